"""The example's API with a small fake logrelay behind it, over real sockets."""

import asyncio
import importlib.util
import os
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
from aiohttp.test_utils import TestServer
from yarl import URL

pytestmark = pytest.mark.timeout(15)

Play = Callable[[web.WebSocketResponse], Awaitable[None]]
PATH = "/api/environments/env-1/logs/stream"


@attrs.define
class FakeRelay:
    """Accepts one stream at a time, remembers its request, and plays what the test gave it."""

    play: Play | None = None
    refuse: int | None = None
    requests: list[web.Request] = attrs.field(factory=list)
    received: asyncio.Queue[aiohttp.WSMessage] = attrs.field(factory=asyncio.Queue)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.refuse is not None:
            return web.json_response({"error": {"code": "draining"}}, status=self.refuse)
        socket = web.WebSocketResponse(protocols=["logrelay.v1"])
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
async def url(api: ModuleType, relay_server: TestServer) -> AsyncIterator[URL]:
    """The API as `web.run_app` runs it; aiohttp's own test server would cancel handlers on a disconnect."""
    runner = web.AppRunner(
        api.create_app(str(relay_server.make_url("")), "env-1, env-2"), shutdown_timeout=2.0
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield URL.build(scheme="http", host="127.0.0.1", port=runner.addresses[0][1])
    await runner.cleanup()


@pytest.fixture
async def browser(url: URL) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url) as session:
        yield session


async def test_the_page_is_served(browser: aiohttp.ClientSession) -> None:
    answer = await browser.get("/")

    assert answer.status == 200
    assert answer.content_type == "text/html"
    assert "<title>Logs</title>" in await answer.text()


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


async def test_an_environment_that_the_api_does_not_offer_is_closed_without_asking_the_relay(
    browser: aiohttp.ClientSession, relay: FakeRelay
) -> None:
    async with browser.ws_connect("/api/environments/env-3/logs/stream") as socket:
        message = await socket.receive()

    assert (message.type, message.data) == (WSMsgType.CLOSE, 4403)
    assert relay.requests == []


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
