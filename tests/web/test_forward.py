"""Forward mode against a main API on loopback: what it may say, how it may fail, and who hears of it."""

import asyncio
import gzip
import json
import logging
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from web_harness import until

import logrelay
from logrelay.errors import CloseCode, Disconnect
from logrelay.relay.records import Content, LogRecord, key, record
from logrelay.web.forward import ForwardGuard
from logrelay.web.grants import Credential, Grant, Guard, Source
from logrelay.web.narrowing import BODY_LIMIT

COOKIE = Credential(Source.COOKIE, headers={"Cookie": "session=alice"})
OTHER = Credential(Source.COOKIE, headers={"Cookie": "session=bob"})
UNDECIDED = (CloseCode.INTERNAL, "internal")
UNAUTHENTICATED = (CloseCode.UNAUTHENTICATED, "unauthenticated")
EXPIRED = (CloseCode.UNAUTHENTICATED, "expired")
NOT_ALLOWED = (CloseCode.NOT_ALLOWED, "not_allowed")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@attrs.define
class MainApi:
    """Answers as the test says, and remembers what it was asked."""

    answer: Answer
    asked: list[web.Request] = attrs.Factory(list)
    asking: int = 0
    most: int = 0  # requests at a time
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.asking += 1
        self.most = max(self.most, self.asking)
        try:
            return await self.answer(request)
        finally:
            self.asking -= 1


def says(status: int = 204, body: bytes | None = None, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=fields)

    return answer


def tells(told: object) -> Answer:
    """A 200 with this JSON; bytes go as they are."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return says(200, body, Content_Type="application/json")


async def never(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def api() -> AsyncIterator[MainApi]:
    api = MainApi(says())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}/may-look"
    yield api
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def guard(api: MainApi, clock: Clock) -> AsyncIterator[ForwardGuard]:
    async with ForwardGuard(api.url, clock=clock) as guard:
        yield guard


@asynccontextmanager
async def raw(
    answer: bytes, *, hangs: bool = False, resets: bool = False, **options: Any
) -> AsyncIterator[str]:
    """A server that says these bytes to whatever it is asked; its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if hangs:
                await reader.read()
            if resets:
                writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


async def refusal(
    guard: Guard, credential: Credential = COOKIE, environment: str = "env-1"
) -> tuple[int, str | None]:
    with pytest.raises(Disconnect) as refused:
        await guard.grant(credential, environment)
    return refused.value.code, refused.value.error


def line(service_id: str, service_name: str) -> LogRecord:
    stamp = "2026-11-23T03:21:30.033333123Z"
    content = Content(stamp, "hello", None, service_id, "dep-1", "ins-1")
    return record(content, key(content, 1), 1, service_name=service_name)


# What is asked


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "session=alice; theme=dark"},
        {"Authorization": "Bearer abc.def"},
        {"Cookie": "name=Jürgen", "Authorization": "Basic YTpi"},
    ],
)
async def test_the_main_api_is_asked_with_the_callers_headers(
    guard: ForwardGuard, api: MainApi, headers: Mapping[str, str]
) -> None:
    await guard.grant(Credential(Source.COOKIE, headers=headers), "env-1")

    [request] = api.asked
    assert request.method == "GET"
    assert request.path == "/may-look"
    assert dict(request.query) == {"environment": "env-1"}
    assert {name: request.headers.get(name) for name in headers} == headers
    assert {"Cookie", "Authorization"} & request.headers.keys() == headers.keys()
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["User-Agent"] == f"logrelay/{logrelay.__version__}"


async def test_a_query_of_the_address_stays_and_names_no_other_environment(
    api: MainApi, clock: Clock
) -> None:
    async with ForwardGuard(f"{api.url}?for=logs%26more&environment=env-9", clock=clock) as guard:
        await guard.grant(COOKIE, "env-1")

    assert list(api.asked[0].query.items()) == [("for", "logs&more"), ("environment", "env-1")]


@pytest.mark.parametrize(
    "environment", ["", "a" * 65, "env 1", "env&x=1", "../env", "é", "env-1\n", "env%2D1"]
)
async def test_what_cannot_be_an_environments_id_is_refused_without_asking(
    guard: ForwardGuard, api: MainApi, environment: str
) -> None:
    assert await refusal(guard, environment=environment) == NOT_ALLOWED
    assert api.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer a\r\nX-Admin: 1"},
        {"Authorization": "Bearer a\nb"},
        {"Authorization": "Bearer a\x00"},
        {"Cookie": "a=\udcff"},
        {"Cook\r\nie": "a=b"},
    ],
)
async def test_no_credential_and_one_that_is_no_header_are_refused_without_asking(
    guard: ForwardGuard, api: MainApi, headers: Mapping[str, str]
) -> None:
    assert await refusal(guard, Credential(Source.MESSAGE, headers=headers)) == UNAUTHENTICATED
    assert api.asked == []


async def test_no_proxy_of_the_environment_hears_of_it(
    api: MainApi, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login relay password x\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with raw(b"HTTP/1.1 204 No Content\r\n\r\n") as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        async with ForwardGuard(api.url, clock=clock) as guard:
            await guard.grant(COOKIE, "env-1")

    [request] = api.asked
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    "url",
    ["", "api:8000/x", "ftp://api/", "http:///x", "http://api:99999/", "http://u:p@api/", "http://u@api/",
     "http://:p@api/", "http://api/#part", "http://a b/", "http://api\r\n/", "http://api/\x00", "http://a..b/",
     f"http://{'a' * 64}/", "http://[::1/"],
)  # fmt: skip
def test_an_address_that_cannot_be_asked_is_told_at_once_and_not_repeated(url: str) -> None:
    assert not ForwardGuard.valid(url)
    with pytest.raises(ValueError, match=r"^not an address to ask$"):
        ForwardGuard(url)


@pytest.mark.parametrize(
    "url", ["http://api:8000/may?x=1", "https://api.example/", "http://[::1]:8000", "http://api_1.internal/x"]
)
def test_an_address_on_a_private_network_may_be_plain_http(url: str) -> None:
    assert ForwardGuard.valid(url)


# What the answer means


@pytest.mark.parametrize(
    "answer",
    [
        says(200), says(201), says(204), says(299),
        says(200, b"", Content_Type="application/json"),
        says(200, b"{}", Content_Type="application/json"),
        says(200, b'{"name":"x","roles":[]}', Content_Type="application/json"),
        says(200, b"OK", Content_Type="text/plain"),
        says(200, b"welcome", Content_Type="application/octet-stream"),
    ],
)  # fmt: skip
async def test_a_2xx_lets_in_and_what_tells_nothing_narrows_nothing(
    guard: ForwardGuard, api: MainApi, answer: Answer
) -> None:
    api.answer = answer

    grant = await guard.grant(COOKIE, "env-1")

    assert grant.kind == "forward"
    assert grant.environments == frozenset({"env-1"})
    assert grant.covers("env-1")
    assert not grant.covers("env-2")
    assert grant.scope.everything
    assert grant.until is None
    assert guard.describe() == {"state": "ok"}


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/access+json"]
)
async def test_its_json_narrows_services_time_and_names_the_subject(
    guard: ForwardGuard, api: MainApi, clock: Clock, kind: str
) -> None:
    body = b'{"services":["api","svc-2"],"subject":"alice@example","seconds":90.5,"more":{"a":[1]}}'
    api.answer = says(200, body, Content_Type=kind)

    grant = await guard.grant(COOKIE, "env-1")

    assert grant.subject == "alice@example"
    assert grant.until == clock.now + 90.5
    assert grant.scope.matches(line("svc-1", "api"))
    assert grant.scope.matches(line("svc-2", "web"))
    assert not grant.scope.matches(line("svc-3", "API"))


@pytest.mark.parametrize(
    "told",
    [
        None, [], "x", 1, True,
        {"services": "api"}, {"services": [1]}, {"services": [""]}, {"services": None}, {"services": {"api": 1}},
        {"services": ["x" * 201]}, {"services": [["api"]]},
        {"subject": 1}, {"subject": ""}, {"subject": None}, {"subject": "x" * 201}, {"subject": "a\x1b[2J"},
        {"subject": "a\nb"}, {"subject": "a\u202eb"}, {"subject": ["a"]},
        {"seconds": -1}, {"seconds": "60"}, {"seconds": None}, {"seconds": True}, {"seconds": [1]},
        b'{"seconds":NaN}', b'{"seconds":Infinity}', b'{"seconds":1e999}', b'{"seconds":' + b"9" * 400 + b"}",
        b"{", b'{"services":["api"]', b"{}{}", b"\xef\xbb\xbf{}", b'{"subject":"\xff"}', b'{"subject":"\\ud800"}',
        b"[" * 60_000, b'{"x":' + b"[" * 60_000, b"<html>", b" ", b"\x00",
        b'{"subject":"a"}' + b" " * BODY_LIMIT,
    ],
    ids=lambda told: repr(told)[:30],
)  # fmt: skip
async def test_json_that_cannot_be_understood_lets_nobody_in(
    guard: ForwardGuard, api: MainApi, told: object
) -> None:
    api.answer = tells(told)

    assert await refusal(guard) == UNDECIDED
    assert guard.describe() == {"state": "failing", "seconds": 0.0, "reason": "answer", "failures": 1}


async def test_an_answer_of_just_the_limit_is_read(guard: ForwardGuard, api: MainApi) -> None:
    body = b'{"subject":"a"}'
    api.answer = tells(body + b" " * (BODY_LIMIT - len(body)))

    assert (await guard.grant(COOKIE, "env-1")).subject == "a"


@pytest.mark.parametrize(
    ("told", "ending"),
    [({"services": []}, NOT_ALLOWED), ({"seconds": 0}, EXPIRED), ({"seconds": -0.0}, EXPIRED),
     ({"seconds": 0, "services": []}, EXPIRED)],
)  # fmt: skip
async def test_an_answer_that_leaves_nothing_refuses_and_is_an_answer(
    guard: ForwardGuard, api: MainApi, told: object, ending: tuple[int, str]
) -> None:
    api.answer = tells(told)

    assert await refusal(guard) == ending
    assert guard.describe() == {"state": "ok"}


@pytest.mark.parametrize(("status", "ending"), [(401, UNAUTHENTICATED), (403, NOT_ALLOWED)])
async def test_401_and_403_refuse_whatever_their_body_says(
    guard: ForwardGuard, api: MainApi, status: int, ending: tuple[int, str]
) -> None:
    api.answer = says(status, b'{"services":["api"],"subject":"alice"}', Content_Type="application/json")

    assert await refusal(guard) == ending
    assert guard.describe() == {"state": "ok"}


@pytest.mark.parametrize(
    "status", [300, 302, 304, 307, 400, 402, 404, 405, 407, 408, 429, 500, 502, 503, 504, 599]
)
async def test_any_other_status_decides_nothing_and_lets_nobody_in(
    guard: ForwardGuard, api: MainApi, status: int
) -> None:
    api.answer = says(status, Content_Type="application/json")

    assert await refusal(guard) == UNDECIDED
    assert guard.describe()["reason"] == f"status {status}"


async def test_where_no_subject_is_told_it_is_a_short_name_of_the_credential(api: MainApi) -> None:
    async with ForwardGuard(api.url) as one, ForwardGuard(api.url) as another:
        subjects = [
            (await one.grant(COOKIE, "env-1")).subject,
            (await one.grant(COOKIE, "env-2")).subject,
            (await one.grant(OTHER, "env-1")).subject,
            (await another.grant(COOKIE, "env-1")).subject,
        ]

    assert all(subject is not None and len(subject) == 16 for subject in subjects)
    assert subjects[0] == subjects[1]
    assert len({*subjects}) == 3  # another process calls the same caller something else


# Faults


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_its_target_sees_nothing(
    guard: ForwardGuard, api: MainApi, status: int
) -> None:
    elsewhere = MainApi(says(200))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere.handle)
    async with TestServer(app) as server:
        api.answer = says(status, Location=str(server.make_url("/in")))

        assert await refusal(guard) == UNDECIDED

    assert elsewhere.asked == []
    assert len(api.asked) == 1


async def test_a_cookie_that_the_main_api_sets_is_not_sent_for_somebody_else(
    guard: ForwardGuard, api: MainApi
) -> None:
    api.answer = says(200, Set_Cookie="admin=yes; Path=/")

    await guard.grant(COOKIE, "env-1")
    await guard.grant(OTHER, "env-1")

    assert [request.headers["Cookie"] for request in api.asked] == ["session=alice", "session=bob"]


JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        (b"", {}),
        (b"", {"resets": True}),
        (b"HTTP/1.1 2", {}),
        (b"HTTP/1.1 200 OK\r\nContent-Ty", {"resets": True}),
        (b"HTTP/1.1 two hundred\r\n\r\n", {}),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}),
        (b"\x16\x03\x01\x00", {}),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", {}),
        (JSON_HEAD + b'Content-Length: 30\r\n\r\n{"services":', {}),
        (JSON_HEAD + b'Content-Length: 30\r\n\r\n{"services":', {"resets": True}),
        (JSON_HEAD + b"Content-Length: 30\r\n\r\n", {}),
        (JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", {}),
        (JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", {}),
        (JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", {"resets": True}),
    ],
)  # fmt: skip
async def test_an_answer_that_breaks_off_or_is_no_http_lets_nobody_in(
    answer: bytes, options: dict[str, bool]
) -> None:
    async with raw(answer, **options) as url, ForwardGuard(url) as guard:
        assert await refusal(guard) == UNDECIDED
        assert guard.describe()["reason"] == "broken off"


@pytest.mark.parametrize("head", [b"", b"Connection: close\r\n"])
async def test_json_that_ends_with_the_connection_before_it_began_lets_nobody_in(head: bytes) -> None:
    async with raw(JSON_HEAD + head + b"\r\n") as url, ForwardGuard(url) as guard:
        assert await refusal(guard) == UNDECIDED
        assert guard.describe()["reason"] == "answer"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Ty",
        JSON_HEAD + b'Content-Length: 30\r\n\r\n{"services":',
        JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)
async def test_an_answer_that_hangs_ends_the_wait_in_time(answer: bytes) -> None:
    async with raw(answer, hangs=True) as url, ForwardGuard(url, timeout=0.05) as guard:
        async with asyncio.timeout(2):
            assert await refusal(guard) == UNDECIDED

        assert guard.describe()["reason"] == "timeout"


async def test_a_trickle_does_not_put_the_deadline_off(api: MainApi) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    api.answer = trickle
    async with ForwardGuard(api.url, timeout=0.1) as guard, asyncio.timeout(2):
        assert await refusal(guard) == UNDECIDED
        assert guard.describe()["reason"] == "timeout"
        await until(lambda: api.asking == 0, 2)


async def test_an_endless_body_is_cut_off_at_its_limit(guard: ForwardGuard, api: MainApi) -> None:
    sent = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)
            sent += 65536

    api.answer = pour

    assert await refusal(guard) == UNDECIDED
    await until(lambda: api.asking == 0, 2)
    assert guard.describe()["reason"] == "answer"
    assert sent < 64 * 2**20


@pytest.mark.parametrize("padding", [0, 2**25])
async def test_a_compressed_answer_is_never_inflated(guard: ForwardGuard, api: MainApi, padding: int) -> None:
    packed = gzip.compress(b'{"services":["api"]}' + b" " * padding)
    assert len(packed) < BODY_LIMIT
    api.answer = says(200, packed, Content_Type="application/json", Content_Encoding="gzip")

    assert await refusal(guard) == UNDECIDED
    assert guard.describe()["reason"] == "answer"


async def test_a_main_api_that_is_away_lets_nobody_in(unused_tcp_port: int) -> None:
    async with ForwardGuard(f"http://127.0.0.1:{unused_tcp_port}/") as guard:
        assert await refusal(guard) == UNDECIDED
        assert guard.describe()["reason"] == "unreachable"


async def test_a_name_that_does_not_exist_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # a question of ours must not leave this machine
    async with ForwardGuard("http://main-api.invalid/") as guard:
        assert await refusal(guard) == UNDECIDED
        assert guard.describe()["reason"] == "unreachable"


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    made, made_key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
               "-keyout", made_key, "-out", made]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, made_key)
    return context


async def test_a_certificate_that_nobody_vouches_for_lets_nobody_in(certificate: ssl.SSLContext) -> None:
    async with (
        raw(b"HTTP/1.1 204 No Content\r\n\r\n", ssl=certificate) as url,
        ForwardGuard(url.replace("http:", "https:")) as guard,
    ):
        assert await refusal(guard) == UNDECIDED
        assert guard.describe()["reason"] == "tls"


async def test_failing_lasts_until_the_next_answer_that_decides(
    guard: ForwardGuard, api: MainApi, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "logrelay")
    assert guard.describe() == {"state": "ok"}

    api.answer = says(500)
    await refusal(guard)
    clock.now += 7
    api.answer = says(429)
    await refusal(guard)
    assert guard.describe() == {"state": "failing", "seconds": 7.0, "reason": "status 429", "failures": 2}
    api.answer = says(403)
    await refusal(guard)
    assert guard.describe() == {"state": "ok"}

    assert [(entry.levelname, entry.message, getattr(entry, "reason", None)) for entry in caplog.records
            if entry.name == "logrelay.web.forward"] == [
        ("WARNING", "the main API doesn't say who may look", "status 500"),
        ("INFO", "the main API says again who may look", None),
        ("INFO", "a caller was refused", "not_allowed"),
    ]  # fmt: skip


# What is remembered


async def test_an_answer_holds_for_its_seconds_and_no_longer(
    guard: ForwardGuard, api: MainApi, clock: Clock
) -> None:
    api.answer = tells({"seconds": 60})
    first = await guard.grant(COOKIE, "env-1")

    clock.now += 4.9
    second = await guard.grant(COOKIE, "env-1")
    assert len(api.asked) == 1
    assert second.until == first.until == 1060.0  # from the moment of the answer

    clock.now += 0.1
    third = await guard.grant(COOKIE, "env-1")
    assert len(api.asked) == 2
    assert third.until == 1065.0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_holds_for_one_second_at_most(
    guard: ForwardGuard, api: MainApi, clock: Clock, status: int
) -> None:
    api.answer = says(status)
    await refusal(guard)
    api.answer = says(200)

    clock.now += 0.9
    await refusal(guard)
    assert len(api.asked) == 1

    clock.now += 0.1
    await guard.grant(COOKIE, "env-1")
    assert len(api.asked) == 2


async def test_a_failure_is_not_remembered(guard: ForwardGuard, api: MainApi) -> None:
    api.answer = says(500)
    await refusal(guard)
    api.answer = says(200)

    await guard.grant(COOKIE, "env-1")

    assert len(api.asked) == 2


async def test_a_yes_that_ends_before_its_seconds_are_over_is_not_used_again(
    guard: ForwardGuard, api: MainApi, clock: Clock
) -> None:
    api.answer = tells({"seconds": 2})
    await guard.grant(COOKIE, "env-1")

    clock.now += 2
    grant = await guard.grant(COOKIE, "env-1")

    assert len(api.asked) == 2
    assert grant.until == clock.now + 2


@pytest.mark.parametrize("status", [200, 401, 403])
async def test_nothing_is_remembered_where_that_is_switched_off(
    api: MainApi, clock: Clock, status: int
) -> None:
    api.answer = says(status)
    async with ForwardGuard(api.url, cache=0, clock=clock) as guard:
        for _ in range(3):
            await asyncio.gather(guard.grant(COOKIE, "env-1"), return_exceptions=True)

    assert len(api.asked) == 3


async def test_an_answer_is_for_one_credential_and_one_environment(guard: ForwardGuard, api: MainApi) -> None:
    async def alice_at_one(request: web.Request) -> web.Response:
        yes = (request.headers.get("Cookie"), request.query["environment"]) == ("session=alice", "env-1")
        return web.Response(status=200 if yes else 403)

    api.answer = alice_at_one
    both = Credential(Source.COOKIE, headers={"Cookie": "session=alice", "Authorization": "Bearer x"})
    moved = Credential(Source.HEADER, headers={"Authorization": "session=alice"})

    await guard.grant(COOKIE, "env-1")

    assert await refusal(guard, OTHER) == NOT_ALLOWED
    assert await refusal(guard, COOKIE, "env-2") == NOT_ALLOWED
    assert await refusal(guard, moved) == NOT_ALLOWED
    await guard.grant(both, "env-1")
    assert len(api.asked) == 5


async def test_the_oldest_answer_makes_room(api: MainApi, clock: Clock) -> None:
    async with ForwardGuard(api.url, remembered=2, clock=clock) as guard:
        for environment in ("env-1", "env-2", "env-3"):
            await guard.grant(COOKIE, environment)
        await guard.grant(COOKIE, "env-2")
        await guard.grant(COOKIE, "env-3")
        assert len(api.asked) == 3

        await guard.grant(COOKIE, "env-1")
        assert len(api.asked) == 4
        assert "2 answers, 0 questions" in repr(guard)


async def test_answers_that_are_too_old_are_let_go(guard: ForwardGuard, clock: Clock) -> None:
    for number in range(20):
        await guard.grant(COOKIE, f"env-{number}")
    clock.now += 5

    await guard.grant(COOKIE, "env-1")

    assert "1 answers" in repr(guard)


async def test_a_reload_forgets_what_was_said(guard: ForwardGuard, api: MainApi) -> None:
    await guard.grant(COOKIE, "env-1")
    api.answer = says(403)

    assert guard.reload() is True

    assert await refusal(guard) == NOT_ALLOWED


async def test_an_answer_to_a_question_of_before_a_reload_is_not_remembered(
    guard: ForwardGuard, api: MainApi
) -> None:
    go = asyncio.Event()

    async def slow_yes(_request: web.Request) -> web.Response:
        await go.wait()
        return web.Response()

    api.answer = slow_yes
    early = asyncio.create_task(guard.grant(COOKIE, "env-1"))
    await until(lambda: len(api.asked) == 1, 2)
    guard.reload()
    api.answer = says(403)
    assert await refusal(guard) == NOT_ALLOWED  # it didn't wait for the early one's answer
    go.set()
    await early

    assert await refusal(guard) == NOT_ALLOWED
    assert len(api.asked) == 2


# Many at once


@attrs.define
class Gate:
    """An answer that waits for the test."""

    open: asyncio.Event = attrs.Factory(asyncio.Event)

    async def __call__(self, _request: web.Request) -> web.Response:
        await self.open.wait()
        return web.Response()


async def test_a_thousand_who_ask_the_same_are_one_request(guard: ForwardGuard, api: MainApi) -> None:
    gate = api.answer = Gate()
    waiting = [asyncio.create_task(guard.grant(COOKIE, "env-1")) for _ in range(1000)]
    await until(lambda: len(api.asked) == 1, 2)
    gate.open.set()

    grants = await asyncio.gather(*waiting)

    assert all(isinstance(grant, Grant) for grant in grants)
    assert len(api.asked) == 1


async def test_a_failure_is_everybodys_who_asked_the_same(guard: ForwardGuard, api: MainApi) -> None:
    api.answer = says(500)

    ends = await asyncio.gather(*(guard.grant(COOKIE, "env-1") for _ in range(50)), return_exceptions=True)

    assert {str(end) for end in ends} == {"1011 internal"}
    assert len({id(end) for end in ends}) == 50  # an exception of one's own: tracebacks don't add up
    assert len(api.asked) == 1


async def test_who_leaves_does_not_end_the_wait_of_the_others(guard: ForwardGuard, api: MainApi) -> None:
    gate = api.answer = Gate()
    first, second = (asyncio.create_task(guard.grant(COOKIE, "env-1")) for _ in range(2))
    await until(lambda: len(api.asked) == 1, 2)

    first.cancel()
    await asyncio.wait([first])
    gate.open.set()

    assert (await second).covers("env-1")
    assert first.cancelled()
    assert len(api.asked) == 1


async def test_a_question_ends_with_the_last_who_wanted_to_know(guard: ForwardGuard, api: MainApi) -> None:
    api.answer = never
    waiting = [asyncio.create_task(guard.grant(COOKIE, "env-1")) for _ in range(3)]
    await until(lambda: api.asking == 1, 2)

    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)

    await until(lambda: api.asking == 0, 2)
    assert "0 questions" in repr(guard)
    assert guard.describe() == {"state": "ok"}  # nobody can say that the main API failed
    api.answer = says(200)
    await guard.grant(COOKIE, "env-1")


async def test_made_up_credentials_are_no_flood_at_the_main_api(api: MainApi) -> None:
    gate = api.answer = Gate()
    async with ForwardGuard(api.url, in_flight=5, timeout=10) as guard:
        waiting = [
            asyncio.create_task(guard.grant(Credential(Source.COOKIE, headers={"Cookie": f"a={n}"}), "env-1"))
            for n in range(100)
        ]
        await until(lambda: api.asking == 5, 2)
        gate.open.set()
        await asyncio.gather(*waiting)

    assert api.most == 5
    assert len(api.asked) == 100


async def test_who_waits_too_long_for_a_place_is_refused_and_all_places_come_back(api: MainApi) -> None:
    api.answer = never
    async with ForwardGuard(api.url, in_flight=2, timeout=0.2) as guard:
        flood = [
            guard.grant(Credential(Source.COOKIE, headers={"Cookie": f"a={n}"}), "env-1") for n in range(20)
        ]
        ends = await asyncio.gather(*flood, return_exceptions=True)
        assert {str(end) for end in ends} == {"1011 internal"}
        assert guard.describe()["failures"] == 20
        assert len(api.asked) <= 4
        await until(lambda: api.asking == 0, 2)

        gate = api.answer = Gate()
        both = [asyncio.create_task(guard.grant(who, "env-1")) for who in (COOKIE, OTHER)]
        await until(lambda: api.asking == 2, 2)
        gate.open.set()
        await asyncio.gather(*both)


async def test_no_more_than_a_hundred_requests_are_made_at_a_time(api: MainApi) -> None:
    gate = api.answer = Gate()
    async with ForwardGuard(api.url, timeout=10) as guard:
        waiting = [asyncio.create_task(guard.grant(COOKIE, f"env-{number}")) for number in range(150)]
        await until(lambda: api.asking == 100, 5)
        gate.open.set()
        await asyncio.gather(*waiting)

    assert api.most == 100


async def test_who_still_waits_when_the_guard_closes_is_refused(api: MainApi) -> None:
    api.answer = never
    async with AsyncExitStack() as stack:
        guard = await stack.enter_async_context(ForwardGuard(api.url, in_flight=1))
        waiting = [asyncio.create_task(guard.grant(COOKIE, f"env-{number}")) for number in range(3)]
        await until(lambda: api.asking == 1, 2)

    ends = await asyncio.gather(*waiting, return_exceptions=True)

    assert [str(end) for end in ends] == ["1011 internal"] * 3
    assert len(api.asked) == 1


# Secrets

SECRETS = ("hidden-cookie", "hidden-token", "hidden-query", "hidden-path")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/hidden-path\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: hidden-cookie\r\nSet-Cookie: =hidden-cookie\r\nContent-Length: 0\r\n\r\n",
        JSON_HEAD + b'Content-Length: 32\r\n\r\n{"subject":"hidden-token\\n1234"}',
        JSON_HEAD + b'Content-Length: 30\r\n\r\n{"hidden-token',
        b"HTTP/1.1 hidden-token\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nhidden-token hidden-cookie\r\n\r\n",
        b"",
    ],
)
async def test_no_secret_is_in_a_log_line_or_an_error(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)  # it names the tasks and callbacks that are slow
    shown = ""
    headers = {"Cookie": "session=hidden-cookie", "Authorization": "Bearer hidden-token"}
    async with raw(answer) as url, ForwardGuard(f"{url}hidden-path?key=hidden-query") as guard:
        for sent in (headers, {"Authorization": "Bearer hidden-token\r\n"}):
            try:
                shown += repr(await guard.grant(Credential(Source.COOKIE, headers=sent), "env-1"))
            except Disconnect as error:
                logging.getLogger("test").exception("refused")
                shown += f"{error!r} {error.__cause__!r} {error.__context__!r} {error.message}"
        shown += f"{guard!r} {guard.describe()!r} {vars(guard)['_answers']!r} {vars(guard)['_asking']!r}"

    assert caplog.records
    assert [secret for secret in SECRETS if secret in caplog.text + shown] == []
