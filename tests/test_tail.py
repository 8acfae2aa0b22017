import argparse
import asyncio
import contextlib
import io
import json
import os
import queue
import signal
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC
from typing import Any

import pytest
from aiohttp import ClientConnectorCertificateError, WSCloseCode, web
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.test_utils import TestServer
from yarl import URL

from logrelay import tail as command
from logrelay import viewing
from logrelay.tail import Tail
from logrelay.terminal import Look
from logrelay.viewing import Connection, End, Seen, after_close, after_refusal, stream_url

DEADLINE = 20.0  # seconds, for a test that hangs
Script = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Relay:
    """Plays one script for each connection; when there are no more, it refuses for good with 4400."""

    def __init__(self) -> None:
        self.scripts: list[Script | web.Response] = []
        self.requests: list[web.Request] = []
        self.url = URL()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        script = self.scripts.pop(0) if self.scripts else over
        if isinstance(script, web.Response):
            return script
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await script(socket, request)
        if not socket.closed:
            await socket.close()
        return socket

    def asked(self, number: int) -> dict[str, str]:
        return dict(self.requests[number].query)


async def over(socket: web.WebSocketResponse, request: web.Request) -> None:
    await socket.send_json({"type": "error", "code": "parameter_invalid", "message": "that is all"})
    await socket.close(code=4400)


def says(*messages: object, code: int = 1012) -> Script:
    async def script(socket: web.WebSocketResponse, request: web.Request) -> None:
        for message in messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        await socket.close(code=code)

    return script


def log(number: int, **fields: object) -> dict[str, object]:
    stamp = f"2026-11-23T03:21:{number:02}.000000000Z"
    record = {"id": f"{stamp}-{number}", "timestamp": stamp, "severity": "info", "serviceName": "api"}
    return {"type": "log", "data": record | {"message": f"line {number}"} | fields}


def status(message: str, **fields: object) -> dict[str, object]:
    return {"type": "status", "message": message, "data": fields}


CONNECTED = status("connected", environmentName="production", services=[{"name": "worker"}, 3])


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    app = web.Application()
    app.router.add_get("/{tail:.*}", relay.handle)
    async with TestServer(app) as server:
        relay.url = server.make_url("/api/environments/e1/logs/stream")
        yield relay


def viewer(url: URL, **fields: Any) -> Tail:
    fields = {
        "out": io.StringIO(),
        "err": io.StringIO(),
        "look": Look(zone=UTC),
        "first_delay": 0.01,
    } | fields
    return Tail(url=url, **fields)


async def watch(tail: Tail) -> int:
    async with asyncio.timeout(DEADLINE):
        return await tail.run()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# What is shown.


async def test_records_go_to_stdout_and_everything_else_to_stderr(relay: Relay) -> None:
    relay.scripts = [says(status("connecting"), CONNECTED, log(1), status("live"), log(2), code=1000)]
    tail = viewer(relay.url)

    code = await watch(tail)

    assert code == 1
    assert tail.out.getvalue().split("\n") == [
        "03:21:01.000 api    INFO  line 1",
        "03:21:02.000 api    INFO  line 2",
        "",
    ]
    assert tail.err.getvalue().split("\n") == [
        "── the relay is connecting to Railway ──",
        "── connected to production · services: worker ──",
        "── Railway is back ──",
        "logrelay tail: the relay ended the stream (1000)",
        "",
    ]
    assert str(tail.tally) == "2 records shown, 0 repeats dropped, 0 missing, 0 reconnects"


async def test_on_a_terminal_notices_stand_between_the_records(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED, log(1), status("gap", count=3), log(2), code=1000)]
    tail = viewer(relay.url, out=Terminal())

    await watch(tail)

    assert "line 1\n── gap: 3 records missing ──\n03" in tail.out.getvalue()


async def test_json_is_nothing_but_the_records(relay: Relay) -> None:
    relay.scripts = [
        says(CONNECTED, log(1, message="\x1b[31mrot\u202e", x=1.5), status("gap"), log(2), code=1000)
    ]
    tail = viewer(relay.url, out=Terminal(), as_json=True)

    await watch(tail)

    first, second = tail.out.getvalue().splitlines()
    assert json.loads(first) == log(1, message="\x1b[31mrot\u202e", x=1.5)["data"]
    assert json.loads(second) == log(2)["data"]
    assert "gap" in tail.err.getvalue()


async def test_records_in_batches_are_shown_alike(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED, {"type": "logs", "data": [log(1)["data"], log(2)["data"]]}, code=1000)]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.shown == 2


async def test_what_is_missing_is_counted(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED, status("gap", count=3), status("lost", count=1000), code=1000)]
    known = viewer(relay.url)
    await watch(known)
    relay.scripts = [says(CONNECTED, status("gap", count=None), status("lost", count=2), code=1000)]
    partly = viewer(relay.url)
    await watch(partly)
    relay.scripts = [says({"type": "status", "message": "gap"}, code=1000)]
    unknown = viewer(relay.url)
    await watch(unknown)

    assert "1,003 missing" in str(known.tally)
    assert "2 and an unknown number more missing" in str(partly.tally)
    assert "an unknown number missing" in str(unknown.tally)


async def test_a_gap_that_comes_again_is_counted_once(relay: Relay) -> None:
    gap = status("gap", count=3, **{"from": "2026-11-23T03:00:00Z", "to": "2026-11-23T03:00:01Z"})
    relay.scripts = [says(CONNECTED, log(1), gap), says(CONNECTED, gap)]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.missing == 3


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "message",
    [
        "{",
        DEEP,
        "[]",
        "null",
        b"{}",
        {"type": "log"},
        {"type": "log", "data": []},
        {"type": "logs", "data": {}},
    ],
    ids=["cut", "deep", "array", "null", "binary", "no record", "array for a record", "no array"],
)
async def test_a_message_that_cannot_be_read_is_said_and_passed_over(relay: Relay, message: object) -> None:
    relay.scripts = [says(CONNECTED, message, log(1), code=1000)]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.shown == 1
    assert tail.tally.unknown
    assert "can't be read was passed over" in tail.err.getvalue()


@pytest.mark.parametrize("kind", ["log", "status"])
def test_a_message_too_deep_to_be_written_is_passed_over(kind: str) -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    tail = viewer(URL("http://x"), as_json=True)
    tail._seen = Seen()

    tail._take({"type": kind, "message": "gap", "data": {"id": "1", "from": nested}})

    assert tail.out.getvalue() == ""
    assert "can't be read" in tail.err.getvalue()


async def test_unknown_messages_are_ignored_and_records_without_an_id_shown(relay: Relay) -> None:
    relay.scripts = [
        says(
            CONNECTED,
            {"type": "pong"},
            {"type": "heartbeat"},
            log(1, id=None),
            log(1, id="\ud800"),
            code=1000,
        )
    ]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.shown == 2
    assert tail.last_id is None
    assert not tail.tally.unknown


async def test_an_error_without_a_close_is_a_notice(relay: Relay) -> None:
    error = {"type": "error", "code": "message_invalid", "message": "what?\x1b[2J"}
    relay.scripts = [says(CONNECTED, error, log(1), {"type": "error", "code": "x"}, log(2), code=1000)]
    tail = viewer(relay.url)

    await watch(tail)

    assert "── error: what?␛[2J ──\n── error: x ──\n" in tail.err.getvalue()


# Coming back.


async def test_a_viewer_comes_back_to_its_place_and_drops_repeats(relay: Relay) -> None:
    relay.scripts = [
        says(CONNECTED, log(1), log(2)),
        says(CONNECTED, log(1), log(3), log(2), log(4)),
    ]
    tail = viewer(relay.url.with_query(tail=7, search="a b"))

    code = await watch(tail)

    assert code == 1
    assert relay.asked(0) == {"tail": "7", "search": "a b"}
    assert relay.asked(1) == {"search": "a b", "lastId": log(2)["data"]["id"], "overlap": "10"}
    assert relay.asked(2)["lastId"] == log(4)["data"]["id"]
    assert [line[-1] for line in tail.out.getvalue().splitlines()] == ["1", "2", "3", "4"]
    assert str(tail.tally) == "4 records shown, 2 repeats dropped, 0 missing, 1 reconnect"
    assert tail.err.getvalue().endswith("logrelay tail: that is all (4400 parameter_invalid)\n")


async def test_a_repeat_is_a_place_too(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED, log(1), log(2)), says(CONNECTED, log(1))]
    tail = viewer(relay.url)

    await watch(tail)

    assert relay.asked(2)["lastId"] == log(1)["data"]["id"]


async def test_a_heartbeat_moves_the_place_past_records_that_a_filter_left_out(relay: Relay) -> None:
    heartbeats = [
        {"type": "heartbeat", "data": {"lastId": place}} for place in ("h+1", None, 7, "", "x" * 600)
    ]
    relay.scripts = [says(CONNECTED, log(1), *heartbeats)]
    tail = viewer(relay.url)

    await watch(tail)

    assert relay.asked(1)["lastId"] == "h+1"


async def test_without_a_place_the_first_question_is_asked_again(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED)]
    tail = viewer(relay.url.with_query(lastTimestamp="2026-11-23T00:00:00+01:00"))

    await watch(tail)

    assert relay.asked(1) == {"lastTimestamp": "2026-11-23T00:00:00+01:00"}


@pytest.mark.parametrize(("outcome", "unknown"), [("partial", True), ("none", True), ("exact", False)])
async def test_a_return_that_lacks_something_is_counted(relay: Relay, outcome: str, *, unknown: bool) -> None:
    back = status("connected", services=7, resume={"outcome": outcome})
    relay.scripts = [says(CONNECTED, log(1)), says(back)]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.unknown is unknown


async def test_nothing_to_resume_from_is_no_loss_at_the_start(relay: Relay) -> None:
    relay.scripts = [says(status("connected", resume={"outcome": "none"}))]
    tail = viewer(relay.url)

    await watch(tail)

    assert not tail.tally.unknown


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4408, 3000])
async def test_after_a_passing_end_the_viewer_comes_back(relay: Relay, code: int) -> None:
    relay.scripts = [says(CONNECTED, code=code)]

    await watch(viewer(relay.url))

    assert len(relay.requests) == 2


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1009, 4400, 4401, 4403, 4404])
async def test_after_an_end_for_good_it_does_not(relay: Relay, code: int) -> None:
    relay.scripts = [says(CONNECTED, code=code)]
    tail = viewer(relay.url)

    assert await watch(tail) == 1
    assert len(relay.requests) == 1
    assert f"({code})\n" in tail.err.getvalue()


async def test_a_connection_that_breaks_without_a_close_is_no_end(relay: Relay) -> None:
    async def reset(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_json(CONNECTED)
        request.transport.abort()

    async def finish(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_json(CONNECTED)
        request.transport.close()

    relay.scripts = [reset, finish]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.err.getvalue().count("the connection broke (1006); trying again in 0.0 s") == 2


async def test_silence_longer_than_two_and_a_half_heartbeats_is_an_end(relay: Relay) -> None:
    async def mute(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_json(status("connected", limits={"heartbeatSeconds": 0.02}))
        with contextlib.suppress(Exception):
            await socket.receive(timeout=DEADLINE)

    relay.scripts = [mute]
    tail = viewer(relay.url)

    await watch(tail)

    assert len(relay.requests) == 2
    assert "nothing was heard for 0 s" in tail.err.getvalue()


async def test_a_heartbeat_interval_of_nothing_is_not_believed(relay: Relay) -> None:
    relay.scripts = [says(status("connected", limits={"heartbeatSeconds": 0}), log(1), code=1000)]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.shown == 1


async def test_a_drain_says_when_to_come_back(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED, status("draining", reconnectInSeconds=0.1))]
    tail = viewer(relay.url)

    await watch(tail)

    assert "── the relay restarts (1012); trying again in 0.1 s ──" in tail.err.getvalue()


async def test_a_message_too_big_to_be_taken_is_an_end(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED, "x" * (17 * 1024 * 1024))]
    tail = viewer(relay.url)

    assert await watch(tail) == 1
    assert "a message was too big (1009)" in tail.err.getvalue()


async def test_without_reconnecting_the_first_end_is_the_last(relay: Relay) -> None:
    relay.scripts = [says(CONNECTED)]
    tail = viewer(relay.url, reconnect=False)

    assert await watch(tail) == 1
    assert tail.err.getvalue().endswith("logrelay tail: the relay restarts (1012)\n")


async def test_waits_grow_with_jitter_up_to_a_bound_and_start_anew_after_a_success() -> None:
    tail = viewer(URL("http://x"), first_delay=0.5, longest_delay=15.0, jitter=lambda: 1.0)
    tail._seen = Seen()
    end = End("away")

    grown = [tail._pause(end) for _ in range(7)]
    tail._take(log(1))
    anew = tail._pause(end)
    tail._take(CONNECTED)
    tail.jitter = lambda: 0.0
    least = tail._pause(end)

    assert grown == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert anew == 0.5
    assert least == 0.25
    assert tail._pause(End("later", wait=30.0)) == 30.0
    assert tail.err.getvalue().count("── away; trying again in") == 3  # once for each loss


# Refusals before there is a connection.


def refusal(status: int, code: str = "", **headers: str) -> web.Response:
    if not code:
        return web.Response(status=status, text="<html>", headers=headers)
    body = {"error": {"code": code, "message": f"because of {code}"}}
    return web.json_response(body, status=status, headers=headers)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(403, "origin_not_allowed"), "because of origin_not_allowed (HTTP 403 origin_not_allowed)"),
        (refusal(404), "there is no log stream at this address (HTTP 404)"),
        (refusal(200), "there is no log stream at this address (HTTP 200)"),
        (
            refusal(302, Location="https://me:pw@other.example/x?ticket=secret"),
            "the address redirects to https://other.example/x (HTTP 302)",
        ),
        (refusal(302, Location="http://["), "there is no log stream at this address (HTTP 302)"),
    ],
)
async def test_a_refusal_for_good_is_told(relay: Relay, answer: web.Response, said: str) -> None:
    relay.scripts = [answer]
    tail = viewer(relay.url.with_query(ticket="secret"))

    assert await watch(tail) == 1
    assert tail.err.getvalue() == f"logrelay tail: {said}\n"


async def test_a_refusal_for_now_is_waited_out(relay: Relay) -> None:
    busy = {"Retry-After": "0"}
    relay.scripts = [
        refusal(503, "draining", **busy),
        refusal(503, "draining", **busy),
        refusal(502),
        says(log(1)),
    ]
    tail = viewer(relay.url)

    await watch(tail)

    assert tail.tally.shown == 1
    assert tail.err.getvalue().count("because of draining") == 1
    assert "the relay isn't available (HTTP 502)" in tail.err.getvalue()


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (503, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        (503, {"Retry-After": "9" * 5000}, 30.0),
        (503, {"Retry-After": "999999999"}, 3600.0),
        (503, {}, None),
        (429, {}, 30.0),
    ],
)
def test_a_refusal_says_when_to_come_back(status: int, headers: dict[str, str], wait: float | None) -> None:
    assert after_refusal(status, headers, b"{") == End(
        f"the relay isn't available (HTTP {status})", wait=wait
    )


def test_the_body_of_a_refusal_may_be_anything() -> None:
    assert after_refusal(403, {}, DEEP.encode()).final
    assert after_refusal(403, {}, b'{"error": []}').final


@pytest.mark.parametrize(
    ("code", "error", "wait"),
    [
        (4429, {"retryAfter": 12}, 12.0),
        (4429, {"retryAfter": True}, 30.0),
        (4502, {"retryAfter": -1}, 30.0),
        (1008, {}, 30.0),
        (4408, {"retryAfter": 12}, None),
    ],
)
def test_a_close_says_when_to_come_back(code: int, error: dict[str, object], wait: float | None) -> None:
    end = after_close(code, error)

    assert (end.wait, end.final) == (wait, False)


def test_a_close_of_an_unknown_code_has_a_reason_all_the_same() -> None:
    assert after_close(3999, {}).reason == "the connection was closed (3999)"


@contextlib.asynccontextmanager
async def raw(answer: bytes | None) -> AsyncIterator[URL]:
    served: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        await reader.read(65_536)
        if answer is None:
            await reader.read()
        writer.write(answer or b"")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?ticket=secret")
        await asyncio.gather(*filter(None, served))


async def ended(url: URL, **fields: Any) -> End:
    async with asyncio.timeout(DEADLINE), viewing.session() as session:
        return await Connection(take=lambda _: None, **fields).run(session, url)


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async with raw(None) as url:
        assert await ended(url, opening_timeout=0.05) == End("the relay doesn't answer")


async def test_a_server_that_hangs_up_is_tried_again() -> None:
    async with raw(b"") as url:
        assert await ended(url) == End("the connection broke (ServerDisconnectedError)")


async def test_a_refusal_whose_body_breaks_off_is_one_all_the_same() -> None:
    async with raw(b"HTTP/1.1 403 no\r\nContent-Length: 100\r\n\r\n{") as url:
        assert (await ended(url)).final


async def test_an_upgrade_to_something_else_is_an_end() -> None:
    async with raw(b"HTTP/1.1 101 ok\r\nUpgrade: tea\r\nConnection: upgrade\r\n\r\n") as url:
        assert await ended(url) == End("the address doesn't speak WebSocket", final=True)


async def test_a_refusal_in_pieces_is_read_whole_and_an_endless_one_is_not() -> None:
    body = b'{"error":{"code":"x","message":"in pieces"}}'
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:9], body[9:], b""))
    async with raw(b"HTTP/1.1 403 no\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces) as url:
        assert await ended(url) == End("in pieces (HTTP 403 x)", final=True)
    async with raw(b"HTTP/1.1 403 no\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 200_000) as url:
        assert (await ended(url)).final


def test_a_certificate_that_is_not_trusted_is_an_end() -> None:
    key = ConnectionKey("h", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    error = ClientConnectorCertificateError(key, ssl.CertificateError())

    assert viewing.after_failure(error) == End("the certificate of h:443 is not trusted here", final=True)


async def test_tls_where_there_is_none_is_an_end() -> None:
    async with raw(b"HTTP/1.1 400 no\r\n\r\n") as url:
        end = await ended(url.with_scheme("https"))

    assert end == End(f"127.0.0.1:{url.port} doesn't speak TLS as it should", final=True)


async def test_a_port_where_nobody_listens_is_tried_again_without_telling_the_query() -> None:
    async with raw(b"") as url:
        pass

    end = await ended(url)

    assert not end.final
    assert end.reason.startswith(f"127.0.0.1:{url.port} can't be reached: ")
    assert "secret" not in end.reason


# What was seen.


def test_ids_are_remembered_up_to_a_limit_and_beyond_it_for_the_overlap() -> None:
    seen = Seen(limit=2, most=4)
    stamps = [f"2026-11-23T03:00:{second:02}.000Z" for second in range(60)]

    assert [seen.add(str(number), stamps[number]) for number in range(4)] == [True] * 4
    assert len(seen) == 4
    assert not seen.add("0", stamps[0])
    assert seen.add("4", stamps[4])
    assert len(seen) == 4
    assert seen.add("0", stamps[5])
    assert seen.add("50", stamps[50])
    assert len(seen) == 2


def test_ids_with_strange_stamps_are_forgotten_by_the_limit() -> None:
    seen = Seen(limit=2)

    assert [seen.add(str(number), "None") for number in range(5)] == [True] * 5
    assert len(seen) == 2


# What the user writes.


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def made(*arguments: str, environ: dict[str, str] | None = None, out: io.StringIO | None = None) -> Tail:
    return command.from_arguments(parsed(*arguments), environ or {}, out or io.StringIO(), io.StringIO())


HOST = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("target", "base", "path"),
    [
        ("3f2a-9", "http://127.0.0.1:8080", f"{HOST}/api/environments/3f2a-9/logs/stream"),
        ("e1", "https://host/logs/", "https://host/logs/api/environments/e1/logs/stream"),
        ("e1", "wss://host?x=1", "https://host/api/environments/e1/logs/stream"),
        ("http://h:1/api/environments/e1", HOST, "http://h:1/api/environments/e1/logs/stream"),
        ("http://h/p/api/environments/e1/", HOST, "http://h/p/api/environments/e1/logs/stream"),
        (
            "ws://u:p@h/api/environments/e1/logs/stream?search=a%20b#x",
            HOST,
            "http://u:p@h/api/environments/e1/logs/stream?search=a+b",
        ),
    ],
)
def test_a_target_is_an_id_or_an_address(target: str, base: str, path: str) -> None:
    assert str(stream_url(target, base)) == path


@pytest.mark.parametrize(
    ("target", "base", "said"),
    [
        ("a b", HOST, "the target is neither an environment id nor an address"),
        ("ftp://h/api/environments/e1", HOST, "the target is no address of http"),
        ("http://", HOST, "the target is no address of http"),
        ("http://[", HOST, "the target is no address of http"),
        ("e1", "localhost:8080", "--url is no address of http"),
        (
            "https://h/x?t=secret",
            HOST,
            "https://h/api/environments/<environment id>, or an id with --url https://h/x",
        ),
    ],
)
def test_a_wrong_target_is_told_with_what_would_be_right(target: str, base: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as failure:
        stream_url(target, base)

    assert said in str(failure.value)
    assert "secret" not in str(failure.value)


def test_the_relay_is_that_of_the_option_or_of_the_environment_or_of_loopback() -> None:
    environ = {"LOGRELAY_URL": "https://relay"}

    assert made("e1", "--url", "http://mine", environ=environ).url.host == "mine"
    assert made("e1", environ=environ).url.host == "relay"
    assert made("e1").url.authority == "127.0.0.1:8080"


STREAM = f"{HOST}/api/environments/e1/logs/stream"


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["e1"], {"tail": ["100"]}),
        (["e1", "-n", "0"], {"tail": ["0"]}),
        (
            ["e1", "-s", "api", "--service", "web", "-q", '"a b" -c', "--severity", "warn"],
            {"services": ["api", "web"], "search": ['"a b" -c'], "severity": ["warn"], "tail": ["100"]},
        ),
        (["e1", "--since", "2026-11-23T00:00:00+01:00"], {"lastTimestamp": ["2026-11-23T00:00:00+01:00"]}),
        (["e1", "--last-id", "x"], {"lastId": ["x"]}),
        ([f"{STREAM}?tail=5&search=a", "-q", "b"], {"tail": ["5"], "search": ["b"]}),
        ([f"{STREAM}?tail=5&lastTimestamp=1", "--last-id", "x"], {"lastId": ["x"]}),
        ([f"{STREAM}?tail=5", "-n", "7"], {"tail": ["7"]}),
        ([f"{STREAM}?lastId=5"], {"lastId": ["5"]}),
    ],
)
def test_options_become_the_query(arguments: list[str], query: dict[str, list[str]]) -> None:
    asked = made(*arguments).url.query

    assert {name: asked.getall(name) for name in asked} == query


def test_headers_and_an_origin_are_sent_and_never_shown() -> None:
    tail = made(
        "e1", "--header", "Authorization: Bearer secret: x", "--header", "X-A:b ", "--origin", "https://o"
    )

    assert tail.headers == (("Authorization", "Bearer secret: x"), ("X-A", "b"))
    assert tail.origin == "https://o"
    assert "secret" not in repr(tail)


def test_a_credential_comes_from_the_environment_unless_a_header_brings_another() -> None:
    environ = {"LOGRELAY_TOKEN": " secret-1\n"}
    own = made("e1", "--header", "authorization: Basic x", environ=environ)
    named = made("http://u:p@h/api/environments/e1", environ=environ)

    assert made("e1", environ=environ).headers == (("Authorization", "Bearer secret-1"),)
    assert made("e1", "--header", "X-A: b", environ=environ).headers[0] == ("X-A", "b")
    assert own.headers == (("authorization", "Basic x"),)
    assert named.headers == ()  # its address has one
    assert made("e1", environ={"LOGRELAY_TOKEN": " "}).headers == ()
    assert "secret" not in repr(made("e1", environ=environ))


@pytest.mark.parametrize("token", ["secret x", "secret\r\nX-A: b", "secret\u00e9", "\x1bsecret"])
def test_a_credential_that_is_none_is_refused_without_telling_it(token: str) -> None:
    with pytest.raises(ValueError, match=r"^LOGRELAY_TOKEN has characters that no token has$"):
        made("e1", environ={"LOGRELAY_TOKEN": token})


def test_no_option_takes_a_credential(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")

    shown = " ".join(capsys.readouterr().out.split())
    assert "--token" not in shown
    assert "A credential is read from $LOGRELAY_TOKEN" in shown


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"code": "expired", "message": "it is over"}, "it is over; set LOGRELAY_TOKEN to a new credential"),
        (
            {"code": "unauthenticated", "message": "it is no good"},
            "it is no good; set LOGRELAY_TOKEN to a credential that is valid there",
        ),
    ],
)
async def test_an_end_for_want_of_a_credential_says_what_to_set(
    relay: Relay, error: dict[str, str], said: str
) -> None:
    body = json.dumps({"error": error})
    relay.scripts = [
        says({"type": "error", **error}, code=4401),
        web.Response(status=401, text=body, content_type="application/json"),
    ]
    headers = (("Authorization", "Bearer secret-1"),)

    closed, refused = viewer(relay.url, headers=headers), viewer(relay.url, headers=headers)

    assert (await watch(closed), await watch(refused)) == (1, 1)
    assert relay.requests[0].headers["Authorization"] == "Bearer secret-1"
    assert f"logrelay tail: {said} (4401 {error['code']})\n" in closed.err.getvalue()
    assert f"logrelay tail: {said} (HTTP 401 {error['code']})\n" in refused.err.getvalue()
    assert "secret-1" not in closed.err.getvalue() + refused.err.getvalue()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_credential_follows_no_redirect(relay: Relay, code: int) -> None:
    elsewhere = str(relay.url.with_path("/elsewhere").with_query(token="secret-2"))
    relay.scripts = [web.Response(status=code, headers={"Location": elsewhere})]
    tail = viewer(relay.url, headers=(("Authorization", "Bearer secret-1"),))

    assert await watch(tail) == 1

    assert [request.path for request in relay.requests] == [relay.url.path]
    assert "secret" not in tail.err.getvalue()


@pytest.mark.parametrize("header", ["secret", "a b: secret", "A: secret\r\nB: c"])
def test_a_broken_header_is_refused_without_telling_it(header: str) -> None:
    with pytest.raises(ValueError, match=r"a --header is no header") as failure:
        made("e1", "--header", header)

    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("arguments", "environ", "terminal", "colour"),
    [
        ([], {}, True, True),
        ([], {}, False, False),
        ([], {"NO_COLOR": "1"}, True, False),
        ([], {"NO_COLOR": ""}, True, True),
        ([], {"TERM": "dumb"}, True, False),
        (["--color", "always"], {"NO_COLOR": "1"}, False, True),
        (["--color", "never"], {}, True, False),
        (["--no-color"], {}, True, False),
    ],
)
def test_colours(arguments: list[str], environ: dict[str, str], *, terminal: bool, colour: bool) -> None:
    tail = made("e1", *arguments, environ=environ, out=Terminal() if terminal else io.StringIO())

    assert tail.look.colour is colour


def test_times_are_local_unless_the_user_wants_utc() -> None:
    assert made("e1").look == Look()
    assert made("e1", "--utc", "--wide-time").look == Look(zone=UTC, wide_time=True)


@pytest.mark.parametrize("arguments", [["-n", "-1"], ["-n", "x"], ["--since", "a", "--last-id", "b"]])
def test_impossible_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed("e1", *arguments)

    assert end.value.code == 2


# The command as a whole: its own loop in this thread, the relay in another.


@pytest.fixture
def served() -> Iterator[Relay]:
    relay = Relay()
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_get("/{tail:.*}", relay.handle)
    server = TestServer(app)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start_server(), loop).result(DEADLINE)
    relay.url = server.make_url("/api/environments/e1")
    yield relay
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(DEADLINE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(DEADLINE)
    loop.close()


def test_the_command_ends_with_the_counts(served: Relay, capsys: pytest.CaptureFixture[str]) -> None:
    served.scripts = [says(CONNECTED, log(1), code=4403)]

    code = command.run(parsed(str(served.url), "--utc", "--header", "X-A: b", "--origin", "https://o"))

    assert code == 1
    out, err = capsys.readouterr()
    assert out == "03:21:01.000 api    INFO  line 1\n"
    assert err.endswith(
        "logrelay tail: this environment may not be seen (4403)\n"
        "1 record shown, 0 repeats dropped, 0 missing, 0 reconnects\n"
    )
    assert (served.requests[0].headers["X-A"], served.requests[0].headers["Origin"]) == ("b", "https://o")


def test_a_wrong_target_ends_the_command_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(parsed("a\x1bb")) == 2
    assert capsys.readouterr().err.startswith("logrelay tail: the target is neither")


class Interrupting(io.TextIOWrapper):
    def write(self, text: str) -> int:
        signal.raise_signal(signal.SIGINT)
        return super().write(text)


def test_ctrl_c_closes_the_connection_and_ends_well(
    served: Relay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Interrupting(io.BytesIO()))
    closes: queue.Queue[object] = queue.Queue()

    async def flow(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_json(log(1))
        closes.put((await socket.receive(timeout=DEADLINE)).data)

    served.scripts = [flow]

    assert command.run(parsed(str(served.url))) == 0
    assert closes.get(timeout=DEADLINE) == WSCloseCode.OK
    assert capsys.readouterr().err == "1 record shown, 0 repeats dropped, 0 missing, 0 reconnects\n"


def test_a_reader_of_the_pipe_that_has_enough_ends_it_quietly(
    served: Relay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    served.scripts = [says(log(1), log(2))]

    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert command.run(parsed(str(served.url))) == 0

    assert capsys.readouterr().err == ""
