"""What clients that freeze, crowd in or leave early cost the whole relay: nothing that stays."""

import asyncio
import contextlib
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from conftest_system import Relay, relaying, until
from process_harness import accepted, environment, running, served

from logrelay.standin import Canary, StandIn, World

ANSWER = b"HTTP/1.1 101"
HEAD = (
    "GET {path}?tail=10 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FOLLOWER = """
import asyncio, json, sys
import aiohttp

async def main():
    async with aiohttp.ClientSession() as session, session.ws_connect(sys.argv[1]) as socket:
        async for message in socket:
            print(json.dumps({"type": json.loads(message.data)["type"]}), flush=True)

asyncio.run(main())
"""


# -- C3: a frozen peer -----------------------------------------------------------------------------------------


async def test_c3_a_frozen_process_is_gone_after_the_silence_and_the_others_are_served(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    canary = Canary(world.environment)
    changes = {"LOGRELAY_PING_SECONDS": "0.3", "LOGRELAY_SILENCE_SECONDS": "1"}
    path = f"/api/environments/{world.environment.id}/logs/stream?tail=0"
    async with relaying(railway, changes) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        command = (sys.executable, "-c", FOLLOWER, relay.base + path)
        async with running(*command, variables=environment(), folder=tmp_path) as follower:
            await follower.until_said(type="status")
            canary.write()
            await follower.until_said(type="log")
            assert relay.streams.clients == 2

            follower.signal(signal.SIGSTOP)

            loop = asyncio.get_running_loop()
            frozen = loop.time()
            while relay.streams.clients == 2:
                assert loop.time() < frozen + 10, "the frozen peer is still there"
                canary.write()
                await viewer.until_lines(canary.number)
            # Its last sign of life may be as old as a ping is apart.
            assert loop.time() - frozen > 0.6
            await until(lambda: accepted(relay.port) == 1, "its socket is freed")

        assert len(viewer.lines) == canary.number
        assert not viewer.socket.closed


# -- C10: a thousand who say nothing ----------------------------------------------------------------------------


@pytest.mark.big
@pytest.mark.parametrize("said", ["", "GET /api/environments/"], ids=["silent", "half a request"])
async def test_c10_a_thousand_silent_connections_are_closed_after_ten_seconds_and_nobody_waits_for_them(
    world: World, railway: StandIn, tmp_path: Path, said: str
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))  # the relay inherits it
    async with served(railway, tmp_path) as relay:
        loop = asyncio.get_running_loop()
        began = loop.time()
        opened = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", relay.relay.port) for _ in range(1000))
        )
        for _, writer in opened:
            writer.write(said.encode())
        while accepted(relay.relay.port) < 1000:
            assert loop.time() < began + 8, "they are not accepted"
            async with relay.relay.viewer() as viewer:
                await viewer.until_said("connected")

        taken: list[float] = []
        for _ in range(20):
            before = loop.time()
            async with relay.relay.viewer() as viewer:
                await viewer.until_said("connected")
                taken.append(loop.time() - before)
        async with asyncio.timeout(15):
            await asyncio.gather(*(reader.read() for reader, _ in opened))

        assert sorted(taken)[len(taken) // 2] < 0.5
        assert loop.time() - began > 9.5
        await until(lambda: accepted(relay.relay.port) == 0, "nothing is left of them")
        for _, writer in opened:
            writer.transport.abort()


# -- C11: too many ---------------------------------------------------------------------------------------------


async def test_c11_beyond_the_process_limit_newcomers_are_refused_and_nothing_upstream_is_touched(
    world: World, railway: StandIn
) -> None:
    other = world.add_environment("staging")
    changes = {
        "LOGRELAY_MAX_CONNECTIONS": "3",
        "LOGRELAY_ENVIRONMENTS": f"{world.environment.id},{other.id}",
        "LOGRELAY_REREAD_SECONDS": "0",
    }
    async with relaying(railway, changes) as relay, contextlib.AsyncExitStack() as viewers:
        first = [await viewers.enter_async_context(relay.viewer()) for _ in range(3)]
        for viewer in first:
            await viewer.until_said("connected")
        before = len(railway.journal.queries), len(railway.journal.subscribes)

        refusals = await asyncio.gather(*(refused(relay, other.id) for _ in range(50)))

        assert [refusal.status for refusal in refusals if refusal is not None] == [503] * 50
        for refusal in refusals:
            assert refusal is not None
            assert refusal.headers is not None
            assert int(refusal.headers["Retry-After"]) > 0
        assert (len(railway.journal.queries), len(railway.journal.subscribes)) == before
        assert relay.hubs.get(other.id) is None
        await first[0].socket.close()
        await until(lambda: relay.streams.clients == 2, "a place is free")
        assert await refused(relay, other.id) is None


async def refused(relay: Relay, environment_id: str) -> aiohttp.WSServerHandshakeError | None:
    """What a newcomer is refused with before the upgrade, if it is."""
    try:
        async with relay.viewer(environment_id) as viewer:
            await viewer.until_said("connected")
    except aiohttp.WSServerHandshakeError as error:
        return error
    return None


# -- C18: leaving early ----------------------------------------------------------------------------------------

Leaving = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Connect, and say nothing."""


async def in_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Say half of the request."""
    writer.write(head[: len(head) // 2])
    await writer.drain()


async def before_the_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Say all of it, and don't wait for the answer."""
    writer.write(head)
    await writer.drain()


async def after_the_upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Read the answer to the upgrade, and nothing after it."""
    writer.write(head)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(ANSWER)


async def in_the_first_message(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> None:
    """Read the first bytes of the first message."""
    await after_the_upgrade(reader, writer, head)
    await reader.readexactly(3)


@pytest.mark.parametrize("acknowledged", [True, False], ids=["upstream quick", "upstream silent"])
@pytest.mark.parametrize("abort", [True, False], ids=["by RST", "by FIN"])
@pytest.mark.parametrize(
    "leave", [at_once, in_the_request, before_the_answer, after_the_upgrade, in_the_first_message]
)
async def test_c18_leaving_at_any_stage_leaves_no_task_slot_or_subscription(
    world: World, railway: StandIn, leave: Leaving, *, abort: bool, acknowledged: bool
) -> None:
    places = 5
    changes = {"LOGRELAY_MAX_CONNECTIONS": str(places)}
    railway.faults.never_ack = not acknowledged
    async with relaying(railway, changes) as relay:
        head = HEAD.format(path=f"/api/environments/{world.environment.id}/logs/stream").encode()

        async def visit() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            await leave(reader, writer, head)
            if abort:
                writer.transport.abort()
            else:
                writer.close()

        for _ in range(4):
            await asyncio.gather(*(visit() for _ in range(places)))
            await until(lambda: not relay.streams.clients, "no client is left")
            await until(lambda: not accepted(relay.port), "no connection is left")
        await until(lambda: not list(relay.hubs), "no hub is left")
        await until(lambda: railway.journal.open_sockets == 0, "no subscription is left")

        # Each place can be taken again; a task that was left would fail every test here.
        railway.faults.never_ack = False
        async with contextlib.AsyncExitStack() as viewers:
            for _ in range(places):
                viewer = await viewers.enter_async_context(relay.viewer())
                await viewer.until_said("connected")


# -- C19: the last one leaves ----------------------------------------------------------------------------------


async def test_c19_the_subscription_is_closed_a_linger_after_the_last_client_has_left(
    world: World, railway: StandIn
) -> None:
    linger = 0.5
    async with relaying(railway, {"LOGRELAY_LINGER_SECONDS": str(linger)}) as relay:
        async with relay.viewer() as first:
            await first.until_said("connected")
            async with relay.viewer() as second:
                await second.until_said("connected")
        loop = asyncio.get_running_loop()
        left = loop.time()

        await until(lambda: railway.journal.open_sockets == 0, "nothing is subscribed")

        assert (
            loop.time() - left > linger - 0.1
        )  # the relay may notice a little before the client's close is over
        assert list(relay.hubs) == []
        async with relay.viewer() as third:
            await third.until_said("connected")
        assert len(railway.journal.subscribes) == 2


async def test_c19_who_comes_back_within_the_linger_goes_on_by_the_same_subscription(
    world: World, railway: StandIn
) -> None:
    canary = Canary(world.environment)
    changes = {"LOGRELAY_LINGER_SECONDS": "1", "LOGRELAY_HEARTBEAT_SECONDS": "0.2"}
    async with relaying(railway, changes) as relay:
        got: list[str] = []
        last = ""
        for _ in range(5):
            async with relay.viewer(**({"lastId": last} if last else {})) as viewer:
                await viewer.until_said("connected")
                canary.write(10)
                await viewer.until_lines(canary.number - len(got))
            if last:
                assert viewer.said("connected")[0]["data"]["resume"] == {"outcome": "exact"}
            got += viewer.lines
            last = viewer.ids[-1]
            await until(lambda: relay.streams.clients == 0, "nobody is there")
            canary.write(10)
            await railway.flush()

        async with relay.viewer(lastId=last) as viewer:
            await until(lambda: len(viewer.others) >= 8, "longer than a linger that nobody has called off")
            canary.write(10)
            await viewer.until_lines(canary.number - len(got))

        assert got + viewer.lines == [f"canary {number}" for number in range(1, canary.number + 1)]
        assert len(railway.journal.subscribes) == 1


# -- Hardening -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
async def test_a_viewers_socket_has_a_small_buffer_and_a_deadline_of_the_kernels(relay: Relay) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        (client,) = relay.streams._clients
        raw = client._socket._transport.get_extra_info("socket")

        assert (
            raw.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 64 * 1024
        )  # Linux says twice what was set
        # A net below our own deadline, which has to come first.
        ours = client._socket._limits.write_timeout * 1000
        assert ours < raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 120_000
