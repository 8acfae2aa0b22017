"""How the relay's sockets keep to RFC 6455, as Autobahn's suite judges it."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import interop_autobahn
import pytest
from aiohttp import WSMessage, WSMsgType, web
from aiohttp.test_utils import TestServer

from logrelay.errors import Disconnect
from logrelay.web import endings, frames
from logrelay.web.socket import Socket, SocketLimits

GROUPS = [
    "1.*",
    "2.*",
    "3.*",
    "4.*",
    "5.*",
    "6.*",
    "7.*",
    "10.*",
]  # without limits (9), and compression (12, 13)
CASES = 247  # that those groups have
BINARY = 0x82  # FIN and opcode 2
# aiohttp 3.14.5 takes a close frame with code 1006, which is never to be sent (RFC 6455 section 7.4.1).
KNOWN = {"7.9.5"}


class Echoing:
    """A response whose binary messages are echoed before the socket sees them, because it takes none."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self._response = response
        self.write: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def receive(self) -> WSMessage:
        while (message := await self._response.receive()).type is WSMsgType.BINARY:
            self.write(frames._frame(BINARY, message.data))
        return message


async def echo(request: web.Request) -> web.StreamResponse:
    """What the relay's stream does with its socket, around an echo instead of a client."""
    made = await Socket.upgraded(
        request, SocketLimits(messages_per_second=1_000_000, message_limit=1 << 20)
    )  # 256 KiB at most
    response = made.response
    echoing = Echoing(response)
    echoing.write = made.write
    made.response = echoing  # type: ignore[assignment] # it stands in for one
    end = endings.gone()
    try:
        while (text := await made.message()) is not None:
            made.send(text.encode())
    except Disconnect as ended:
        end = ended
    await made.close(end)
    return response


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    application = web.Application()
    application.router.add_get("/", echo)
    async with TestServer(application) as server:
        yield server


@pytest.fixture(scope="session")
def python2() -> str:
    try:
        return interop_autobahn.python2()
    except interop_autobahn.CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def packages(python2: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("autobahn")
    try:
        interop_autobahn.install(python2, folder)
    except interop_autobahn.CannotRun as reason:
        pytest.skip(str(reason))
    return folder


@pytest.mark.big
@pytest.mark.timeout(600)
async def test_autobahn_finds_no_failure_but_the_known_one(
    server: TestServer, python2: str, packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"ws://127.0.0.1:{server.port}/"

    results = await interop_autobahn.run(python2, packages, url, GROUPS, tmp_path)

    with capsys.disabled():
        sys.stdout.write(f"\nAutobahn, {len(results.behaviour)} cases:\n{results.table()}\n")
    assert KNOWN == results.failed()
    assert CASES == len(results.behaviour)
