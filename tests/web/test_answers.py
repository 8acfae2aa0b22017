import asyncio
import json
from collections.abc import Mapping
from typing import Any, Never

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from web_harness import DEADLINE, Make, Relay, line

from logrelay.web import answers
from logrelay.web.origins import Origins

APP = "https://app.example.com"
UPGRADE = ("Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade")
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="


async def asked(relay: Relay, *head: str) -> tuple[int, dict[str, str], Any]:
    peer = await relay.raw(upgrade=False)
    status, headers, body = await peer.answer(*head)
    peer.leave()
    return status, headers, json.loads(body)["error"]


async def test_without_an_upgrade_the_answer_is_426(relay: Relay) -> None:
    async with relay.session.get(relay.url + relay.path()) as answer:
        body = await answer.json()

    assert answer.status == 426
    assert body["error"]["code"] == "upgrade_required"
    assert answer.headers["Upgrade"] == "websocket"
    assert answer.headers["Vary"] == "Origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "logrelay"


@pytest.mark.parametrize(
    "head",
    [
        (*UPGRADE, "Sec-WebSocket-Version: 12", KEY),
        (*UPGRADE, "Sec-WebSocket-Version: 8", KEY),
        (*UPGRADE, KEY),
        (*UPGRADE, "Sec-WebSocket-Version: 13"),
        (*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: SECRET"),
        (*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: é"),
        ("Host: 127.0.0.1", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY),
    ],
)
async def test_a_broken_handshake_is_400_and_says_which_version_is_spoken(relay: Relay, head: Any) -> None:
    status, headers, error = await asked(relay, f"GET {relay.path()} HTTP/1.1", *head)

    assert (status, error["code"]) == (400, "bad_request")
    assert headers["sec-websocket-version"] == "13"
    assert "SECRET" not in str(error)
    assert not relay.places.taken


async def test_what_aiohttp_cannot_parse_is_answered_and_logged_without_the_request(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    status, headers, error = await asked(
        relay, "GET /SECRET-PATH?ticket=SECRET HTTP/1.1", "Authorization: Bearer SECRET\0", "Host : x"
    )

    assert (status, error["code"]) == (400, "bad_request")
    assert "SECRET" not in str(error) + str(headers)
    logged = "".join(str(vars(record)) + str(record.exc_text) for record in caplog.records)
    assert "request unreadable" in logged
    assert "SECRET" not in logged
    assert (headers["server"], headers["cache-control"]) == ("logrelay", "no-store")


async def test_c12_a_request_line_of_more_than_8_kb_is_400(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    status, _, _ = await asked(relay, f"GET {relay.path()}?search={'SECRET' * 2000} HTTP/1.1", "Host: x")

    assert status == 400
    assert "SECRET" not in "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/api/environments/env-1/logs", 404, "not_found"),
        ("POST", "/api/environments/env-1/logs/stream", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_other_paths_and_methods_are_answered_in_json(
    relay: Relay, method: Any, path: Any, status: Any, code: Any
) -> None:
    async with relay.session.request(method, relay.url + path) as answer:
        body = await answer.json()

    assert (answer.status, body["error"]["code"]) == (status, code)
    assert ("GET" in answer.headers.get("Allow", "")) is (status == 405)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_may_ask_for_the_head_only(relay: Relay, path: str) -> None:
    async with relay.session.head(relay.url + path) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_two_origins_are_none(make: Make) -> None:
    relay = await make(origins=Origins((APP,)))
    head = (*UPGRADE, "Sec-WebSocket-Version: 13", KEY, f"Origin: {APP}", "Origin: https://evil.com")

    status, _, error = await asked(relay, f"GET {relay.path()} HTTP/1.1", *head)

    assert (status, error["code"]) == (403, "origin_not_allowed")


async def test_cors_is_for_listed_origins_and_says_that_it_varies(make: Make) -> None:
    relay = await make(origins=Origins((APP,)))

    async def get(origin: Any) -> Mapping[str, str]:
        headers = {} if origin is None else {"Origin": origin}
        async with relay.session.get(f"{relay.url}/readyz", headers=headers) as answer:
            assert answer.status == 200
            return answer.headers

    assert (await get(APP))["Access-Control-Allow-Origin"] == APP
    assert "Access-Control-Allow-Origin" not in await get("https://evil.com")
    assert [(await get(origin))["Vary"] for origin in (APP, "https://evil.com", None)] == ["Origin"] * 3


async def test_a_preflight_is_answered_for_listed_origins_only(make: Make) -> None:
    relay = await make(origins=Origins((APP,)))

    async def preflight(origin: Any) -> tuple[int, str | None, str]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        async with relay.session.options(f"{relay.url}/readyz", headers=headers) as answer:
            return answer.status, answer.headers.get("Access-Control-Allow-Origin"), answer.headers["Vary"]

    assert await preflight(APP) == (200, APP, "Origin")
    assert await preflight("https://evil.com") == (403, None, "Origin")


async def test_a_fault_of_ours_is_a_500_that_says_nothing(
    relay: Relay, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(hub: Any) -> Never:
        raise RuntimeError("SECRET")

    relay.health._hubs = None
    async with relay.session.get(f"{relay.url}/readyz") as answer:
        body = await answer.json()

    assert (answer.status, body["error"]["code"]) == (500, "internal")
    assert "request failed" in caplog.text


async def test_who_has_left_gets_no_answer() -> None:
    async def gone(request: Any) -> Never:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await answers.plain_errors(None, gone)


async def test_an_error_that_nobody_gave_a_text_still_has_one() -> None:
    async def teapot(request: Any) -> Never:
        raise web.HTTPUpgradeRequired(text="SECRET")

    answer = await answers.plain_errors(None, teapot)

    assert answer.status == 426
    assert b"SECRET" not in answer.body


def test_what_is_to_be_waited_for_is_rounded_up() -> None:
    assert answers.refusal(503, "a", "b", retry_after=0.2).headers["Retry-After"] == "1"


async def test_vary_is_kept() -> None:
    response = web.Response(headers={"Vary": "Accept, ORIGIN"})
    await answers.finish(make_mocked_request("GET", "/"), response)
    assert response.headers["Vary"] == "Accept, ORIGIN"

    response = web.Response(headers={"Vary": "Accept"})
    await answers.finish(make_mocked_request("GET", "/"), response)
    assert response.headers["Vary"] == "Accept, Origin"


@pytest.mark.parametrize(
    "head", [b"", b"GET /api/environments/env-1/logs/str", b"GET /healthz HTTP/1.1\r\nHost: "]
)
async def test_c10_who_never_ends_a_request_is_closed(make: Make, head: bytes) -> None:
    relay = await make(keepalive=0.1)
    slow = [await relay.raw(upgrade=False) for _ in range(50)]
    for peer in slow:
        peer.writer.write(head)

    good = await relay.joined()
    async with asyncio.timeout(DEADLINE):
        for peer in slow:
            assert await peer.reader.read() == b""
            peer.leave()

    relay.sink.publish([line(1)])
    assert (await good.record())["message"] == "line 1"
    await good.leave()
