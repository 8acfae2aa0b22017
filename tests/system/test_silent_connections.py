"""Connections that say nothing, or never come to the end of what they say (faults.md C10)."""

import asyncio
import resource
import sys
from collections.abc import Iterator

import pytest
from conftest_system import relaying, until

from logrelay import app
from logrelay.standin import StandIn, World

COUNT = 1000
LATE = 20.0  # seconds; a deadline for the test, not the promise, which the printed number shows
BEGINNINGS = [
    b"",
    b"G",
    b"GET /api/environments/x/logs/str",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
]


@pytest.fixture
def _many_sockets() -> Iterator[None]:
    """Both ends of each connection are in this process, and some systems allow it no more than 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * COUNT + 1000
    if hard not in (resource.RLIM_INFINITY, -1) and hard < wanted:
        pytest.skip(f"a process may have only {hard} files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def silent(port: int, beginning: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(beginning)
    return reader, writer


@pytest.mark.big
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("_many_sockets")
async def test_c10_a_thousand_silent_connections_keep_nobody_out_and_are_closed_at_the_limit(
    world: World, railway: StandIn
) -> None:
    loop = asyncio.get_running_loop()
    async with relaying(railway) as relay, relay.viewer() as before:
        await before.until_said("connected")
        began = loop.time()
        opened = [await silent(relay.port, BEGINNINGS[number % len(BEGINNINGS)]) for number in range(COUNT)]
        opening = loop.time() - began

        asked = loop.time()
        async with relay.viewer() as good:
            await good.until_said("connected")
            connected = loop.time() - asked
            assert not any(reader.at_eof() for reader, _ in opened[-100:])  # they are still there
            world.environment.write("a line meanwhile")
            await asyncio.gather(before.until_lines(1), good.until_lines(1))

            async with asyncio.timeout(app._KEEPALIVE + LATE):
                said = await asyncio.gather(*(reader.read() for reader, _ in opened))
            closed = loop.time() - began
            for _, writer in opened:
                writer.close()

            assert set(said) == {b""}
            world.environment.write("a line afterwards")
            await asyncio.gather(before.until_lines(2), good.until_lines(2))
            assert relay.streams.clients == 2
        await until(lambda: relay.streams.clients == 1, "the good client has left")
        sys.stdout.write(
            f"{COUNT} silent connections, opened within {opening:.1f} s: a good client connected after "
            f"{connected * 1000:.0f} ms; the last was closed {closed:.1f} s after the first was opened\n"
        )
        assert connected < LATE
