"""The example's API with a small fake logrelay behind it, over real sockets."""

import asyncio
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import aiohttp
import attrs
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

pytestmark = pytest.mark.timeout(15)

Play = Callable[[web.WebSocketResponse], Awaitable[None]]
PATH = "/api/environments/env-1/logs/stream"
NAME, PASSWORD = "viewer", "made up"


@attrs.define
class FakeRelay:
    """Accepts one stream at a time, remembers its request, and plays what the test gave it."""

    play: Play | None = None
    refuse: int | None = None
    sets: str = ""  # a cookie
    requests: list[web.Request] = attrs.field(factory=list)
    received: asyncio.Queue[aiohttp.WSMessage] = attrs.field(factory=asyncio.Queue)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.refuse is not None:
            return web.json_response({"error": {"code": "draining"}}, status=self.refuse)
        socket = web.WebSocketResponse(protocols=["logrelay.v1"])
        if self.sets:
            socket.headers["Set-Cookie"] = self.sets
        await socket.prepare(request)
        if self.play is not None:
            await self.play(socket)
        while True:
            message = await socket.receive()
            self.received.put_nowait(message)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return socket


@pytest.fixture(scope="module")
def api(deploy: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_api", deploy / "example" / "api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def relay() -> FakeRelay:
    return FakeRelay()


@pytest.fixture
async def relay_server(relay: FakeRelay) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_get("/api/environments/{environment}/logs/stream", relay.serve)
    async with TestServer(app) as server:
        yield server


@pytest.fixture
def app(api: ModuleType, relay_server: TestServer) -> web.Application:
    made: web.Application = api.create_app(str(relay_server.make_url("")), "env-1, env-2", (NAME, PASSWORD))
    return made


@pytest.fixture
async def url(app: web.Application) -> AsyncIterator[URL]:
    """The API as `web.run_app` runs it; aiohttp's own test server would cancel handlers on a disconnect."""
    runner = web.AppRunner(app, shutdown_timeout=2.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield URL.build(scheme="http", host="127.0.0.1", port=runner.addresses[0][1])
    await runner.cleanup()


@pytest.fixture
async def browser(url: URL) -> AsyncIterator[aiohttp.ClientSession]:
    # Hosts that are addresses count too, as they do for browsers.
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def sign_in(browser: aiohttp.ClientSession, name: str = NAME, password: str = PASSWORD) -> int:
    """Send the form; the status of the answer."""
    form = {"name": name, "password": password}
    async with browser.post("/?environment=env-1", data=form, allow_redirects=False) as answer:
        if answer.status == 303:
            assert answer.headers["Location"] == "/?environment=env-1"
        return answer.status


async def test_a_stranger_gets_the_form_to_sign_in_by_and_the_user_the_page(
    browser: aiohttp.ClientSession,
) -> None:
    async with browser.get("/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<title>Sign in</title>" in await answer.text()

    assert await sign_in(browser) == 303

    async with browser.get("/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<title>Logs</title>" in await answer.text()


async def test_the_sessions_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: aiohttp.ClientSession,
) -> None:
    form = {"name": NAME, "password": PASSWORD}
    async with browser.post("/", data=form, allow_redirects=False) as answer:
        [cookie] = answer.headers.getall("Set-Cookie")

    value, *attributes = cookie.split("; ")
    assert re.fullmatch(r"session=[\w-]{43}", value)
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"} == {*attributes}


@pytest.mark.parametrize(
    ("name", "password"),
    [(NAME, "wrong"), (NAME, ""), ("", PASSWORD), ("", ""), ("Viewer", PASSWORD), ("é", "é")],
)
async def test_who_gives_a_wrong_name_or_password_gets_no_session(
    browser: aiohttp.ClientSession, name: str, password: str
) -> None:
    assert await sign_in(browser, name, password) == 403
    assert [*browser.cookie_jar] == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1"])
async def test_the_form_of_another_site_signs_nobody_in(browser: aiohttp.ClientSession, origin: str) -> None:
    form = {"name": NAME, "password": PASSWORD}
    async with browser.post("/", data=form, headers={"Origin": origin}) as answer:
        assert answer.status == 403

    assert [*browser.cookie_jar] == []


async def test_the_form_of_its_own_page_signs_in(browser: aiohttp.ClientSession, url: URL) -> None:
    form, headers = {"name": NAME, "password": PASSWORD}, {"Origin": str(url.origin())}
    async with browser.post("/", data=form, headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303


@pytest.mark.parametrize("user", [("", "x"), ("x", ""), ("", "")])
def test_it_does_not_start_for_a_user_without_name_or_password(
    api: ModuleType, user: tuple[str, str]
) -> None:
    with pytest.raises(ValueError, match="needs a name and a password"):
        api.create_app("http://127.0.0.1:9", "*", user)


# What it says to logrelay


async def test_it_says_to_the_relay_who_may_look_and_for_how_long(browser: aiohttp.ClientSession) -> None:
    await sign_in(browser)

    async with browser.get("/may-look?environment=env-2") as answer:
        said = await answer.json()

    assert answer.status == 200
    assert said["subject"] == NAME
    assert 8 * 3600 - 60 < said["seconds"] <= 8 * 3600


@pytest.mark.parametrize("cookie", ["", "session=", "session=made-up", "session=made-up; session=x"])
async def test_it_says_401_for_strangers(browser: aiohttp.ClientSession, cookie: str) -> None:
    headers = {"Cookie": cookie} if cookie else {}
    async with browser.get("/may-look?environment=env-1", headers=headers, allow_redirects=False) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("query", ["?environment=env-3", "?environment=", "", "?environment=*"])
async def test_it_says_403_for_what_it_does_not_offer(browser: aiohttp.ClientSession, query: str) -> None:
    await sign_in(browser)

    async with browser.get(f"/may-look{query}") as answer:
        assert answer.status == 403


async def test_a_session_ends_when_the_user_signs_out_on_any_copy_of_its_cookie(
    browser: aiohttp.ClientSession, url: URL
) -> None:
    await sign_in(browser)
    [kept] = [f"{cookie.key}={cookie.value}" for cookie in browser.cookie_jar]

    async with browser.post("/sign-out") as answer:
        assert "<title>Sign in</title>" in await answer.text()
    async with aiohttp.ClientSession(url, headers={"Cookie": kept}) as thief:
        answer = await thief.get("/may-look?environment=env-1")

    assert answer.status == 401


async def test_a_session_ends_with_its_time_and_is_forgotten_at_the_next_sign_in(
    api: ModuleType, app: web.Application, browser: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(api, "SESSION_SECONDS", 0.0)
        await sign_in(browser)
        [ended] = app[api.SESSIONS]
    browser.cookie_jar.update_cookies({"session": ended})
    async with browser.get("/may-look?environment=env-1") as answer:
        assert answer.status == 401

    await sign_in(browser)

    assert len(app[api.SESSIONS]) == 1
    assert ended not in app[api.SESSIONS]


# What it passes on


async def test_messages_pass_both_ways_as_they_are(browser: aiohttp.ClientSession, relay: FakeRelay) -> None:
    async def greet(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"type":"status","message":"connected"}')

    relay.play = greet

    async with browser.ws_connect(PATH) as socket:
        assert await socket.receive_str() == '{"type":"status","message":"connected"}'
        await socket.send_str('{"type":"pause"}')
        assert (await relay.received.get()).data == '{"type":"pause"}'
        await socket.send_bytes(b"\x00\xff")
        assert (await relay.received.get()).data == b"\x00\xff"


async def test_the_relay_sees_the_query_the_host_and_the_origin_of_the_browser(
    browser: aiohttp.ClientSession, url: URL, relay: FakeRelay
) -> None:
    query = "?search=%22a%20b%22+-c&lastId=2026-11-23T03:21:30.033333123Z-5f3a%2B"

    async with browser.ws_connect(
        PATH + query, origin=str(url.origin()), protocols=["logrelay.v1", "bearer.eA"]
    ) as socket:
        assert socket.protocol == "logrelay.v1"

    [request] = relay.requests
    assert request.headers["Host"] == url.authority
    assert request.headers["Origin"] == str(url.origin())
    assert request.headers["Sec-WebSocket-Protocol"] == "logrelay.v1,bearer.eA"
    assert request.match_info["environment"] == "env-1"
    assert request.query["search"] == '"a b" -c'
    assert request.query["lastId"] == "2026-11-23T03:21:30.033333123Z-5f3a+"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4400, 4408, 4429, 4502])
async def test_the_browser_gets_the_relays_close_code_after_its_last_message(
    browser: aiohttp.ClientSession, relay: FakeRelay, code: int
) -> None:
    async def leave(socket: web.WebSocketResponse) -> None:
        await socket.send_str("last")
        await socket.close(code=code)

    relay.play = leave

    async with browser.ws_connect(PATH) as socket:
        assert await socket.receive_str() == "last"
        message = await socket.receive()

    assert message.type is WSMsgType.CLOSE
    assert message.data == code


async def test_the_relay_gets_the_browsers_close_code(
    browser: aiohttp.ClientSession, relay: FakeRelay
) -> None:
    async with browser.ws_connect(PATH) as socket:
        await socket.close(code=1000)

    message = await relay.received.get()
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)


async def test_a_browser_that_vanishes_leaves_no_stream_at_the_relay(
    browser: aiohttp.ClientSession, relay: FakeRelay
) -> None:
    socket = await browser.ws_connect(PATH)

    connection = socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.abort()

    message = await relay.received.get()
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)


async def test_a_relay_that_vanishes_closes_the_browser_with_a_code_that_says_come_back(
    browser: aiohttp.ClientSession, relay: FakeRelay
) -> None:
    async def vanish(_socket: web.WebSocketResponse) -> None:
        transport = relay.requests[0].transport
        assert transport is not None
        transport.abort()

    relay.play = vanish

    async with browser.ws_connect(PATH) as socket:
        message = await socket.receive()

    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)


async def test_a_browser_that_takes_nothing_is_cut_off(
    api: ModuleType, url: URL, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "WRITE_TIMEOUT", 0.2)

    async def pour(socket: web.WebSocketResponse) -> None:
        with suppress(ConnectionError):
            while True:
                await socket.send_str("x" * 65536)

    async def flood(socket: web.WebSocketResponse) -> None:
        pouring = asyncio.create_task(pour(socket))
        relay.received.put_nowait(await socket.receive())
        pouring.cancel()
        await asyncio.wait([pouring])

    relay.play = flood

    _reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    writer.write(
        f"GET {PATH} HTTP/1.1\r\nHost: {url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    try:
        ended = await relay.received.get()  # although the browser neither read nor closed
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()

    assert (ended.type, ended.data) == (WSMsgType.CLOSE, 1001)


async def test_the_relay_gets_the_cookie_and_the_address_of_the_browser_and_decides(
    browser: aiohttp.ClientSession, relay: FakeRelay
) -> None:
    sent = {
        "Cookie": "session=made-up; theme=dark",
        "X-Forwarded-For": "8.8.8.8",
        "X-Forwarded-Host": "evil.example",
    }

    async with browser.ws_connect("/api/environments/env-3/logs/stream", headers=sent):
        pass

    [request] = relay.requests
    assert request.headers.getall("Cookie") == ["session=made-up; theme=dark"]
    assert request.headers.getall("X-Forwarded-For") == ["127.0.0.1"]
    assert "X-Forwarded-Host" not in request.headers


async def test_a_cookie_that_the_relay_sets_reaches_nobody_else(
    api: ModuleType, relay: FakeRelay, relay_server: TestServer
) -> None:
    relay.sets = "seen=first"
    app = api.create_app(f"http://localhost:{relay_server.port}", "*", (NAME, PASSWORD))
    async with TestClient(TestServer(app)) as client:
        for _ in range(2):
            async with client.ws_connect(PATH):
                pass

    assert ["Cookie" in request.headers for request in relay.requests] == [False, False]


@pytest.mark.parametrize("status", [400, 403, 503])
async def test_a_refused_handshake_is_refused_with_the_same_status(
    browser: aiohttp.ClientSession, relay: FakeRelay, status: int
) -> None:
    relay.refuse = status

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(PATH)

    assert refused.value.status == status


async def test_a_relay_that_is_away_is_a_bad_gateway(
    browser: aiohttp.ClientSession, relay_server: TestServer
) -> None:
    await relay_server.close()

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(PATH)

    assert refused.value.status == 502


async def test_a_plain_request_for_the_stream_is_told_what_it_is(
    browser: aiohttp.ClientSession, relay: FakeRelay
) -> None:
    answer = await browser.get(PATH)

    assert answer.status == 426
    assert relay.requests == []


async def test_it_runs_as_a_program_and_stops_when_told(deploy: Path) -> None:
    environment = {**os.environ, "RELAY_URL": "http://127.0.0.1:9", "PORT": "0", "PYTHONUNBUFFERED": "1"}
    environment |= {"EXAMPLE_USER": NAME, "EXAMPLE_PASSWORD": PASSWORD}
    process = await asyncio.create_subprocess_exec(
        sys.executable, deploy / "example" / "api.py", env=environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        url = next(word for word in line.split() if word.startswith("http://"))
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
