"""Floods (faults.md U16): in order for everyone, within the bounds of memory, and heartbeats come all the while.

Two viewers of each flood decode every message. The others only look for the numbers in what arrives and hash them, so
that it is the relay that is measured and not fifty JSON decoders in Python.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from conftest_system import QUICK, Viewer, relaying, until

import logrelay
from logrelay.standin import Row, StandIn, World
from logrelay.standin.queries import encode
from logrelay.standin.rows import attribute_list

HEARTBEAT = 0.5  # seconds
CHANGES = {
    "LOGRELAY_HEARTBEAT_SECONDS": str(HEARTBEAT),
    "LOGRELAY_SILENCE_SECONDS": "600",  # most viewers here answer no ping
    "LOGRELAY_UPSTREAM_PING_SECONDS": "13",  # the stand-in shares its loop with the viewers, and may be busy
}
MIB = 1 << 20
# What a flood may add to the process's memory: the history's bound of 64 MiB, and half as much again for what is under
# way; one huge frame is there as bytes, as rows and as records, all at once.
ROOM = {"a frame each": 96 * MIB, "one frame": 192 * MIB}
LONGEST_NUMBERED = 64  # bytes; the longest match of _NUMBERED is shorter
_NUMBERED = re.compile(rb'"message":"flood (\d+)"')


# -- the upstream's side ------------------------------------------------------------------------------------


def made_up(world: World, count: int) -> list[Row]:
    """Numbered rows that go by frames alone: no query finds them, so nothing else can have delivered them."""
    tags, attributes = world.environment.service("api").tags(), attribute_list("info", None)
    return [Row(world.clock(), f"flood {number}", "info", tags, attributes) for number in range(1, count + 1)]


def frame_of(railway: StandIn, rows: Sequence[Row]) -> str:
    """A `next` frame of the one live subscription."""
    (subscription,) = railway.subscriptions
    assert subscription.stream is not None
    payload = subscription.stream.wrap(rows)
    return encode({"id": subscription.id, "type": "next", "payload": payload}).decode()


def frames_of(railway: StandIn, rows: Sequence[Row], shape: str) -> Iterator[str]:
    """All rows in one frame, or each in one of its own."""
    if shape == "one frame":
        yield frame_of(railway, rows)
    else:
        yield from (frame_of(railway, [row]) for row in rows)


# -- the viewers' side --------------------------------------------------------------------------------------


class Counter(asyncio.Protocol):
    """A viewer that decodes nothing: it picks the lines' numbers out of the bytes, and keeps count and a hash."""

    def __init__(self, port: int, path: str) -> None:
        self.count = 0
        self.connected = self.over = False
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        self._hash = hashlib.blake2b()
        self._rest = b""

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        self.connected = self.connected or b'"message":"connected"' in data
        end = 0
        for match in _NUMBERED.finditer(data):
            self._hash.update(match[1] + b",")
            self.count += 1
            end = match.end()
        self._rest = data[max(end, len(data) - LONGEST_NUMBERED) :]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        self.over = True


def digest_of(count: int) -> str:
    """What a Counter's digest is when it has got each number once, in order."""
    return hashlib.blake2b(b"".join(b"%d," % number for number in range(1, count + 1))).hexdigest()


@attrs.frozen
class Audience:
    """Those who watch a flood."""

    readers: Sequence[Viewer]
    counters: Sequence[Counter]

    def served(self, count: int) -> bool:
        return all(len(reader.lines) >= count for reader in self.readers) and all(
            counter.count >= count or counter.over for counter in self.counters
        )


@contextlib.asynccontextmanager
async def watching(port: int, environment_id: str, viewers: int, readers: int = 2) -> AsyncIterator[Audience]:
    """So many viewers of an environment while inside, all of them connected; some of them read."""
    path = f"/api/environments/{environment_id}/logs/stream?tail=0"
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
        sockets = [await session.ws_connect(f"http://127.0.0.1:{port}{path}") for _ in range(readers)]
        reading = [await stack.enter_async_context(Viewer(socket)) for socket in sockets]
        counting = [Counter(port, path) for _ in range(viewers - readers)]
        for counter in counting:
            transport, _ = await loop.create_connection(lambda counter=counter: counter, "127.0.0.1", port)
            stack.callback(transport.abort)
        for reader in reading:
            await reader.until_said("connected")
        await until(lambda: all(counter.connected for counter in counting), "all are connected")
        yield Audience(reading, counting)


def check_served(audience: Audience, count: int) -> None:
    """Everyone has got every line once and in order, and nobody was told of a loss."""
    for reader in audience.readers:
        assert reader.lines == [f"flood {number}" for number in range(1, count + 1)]
        assert len(set(reader.ids)) == count
        told = [notice["message"] for notice in reader.notices]
        assert told in (
            ["connected"],
            ["connecting", "connected"],
        )  # which one is a matter of the upstream's speed
    assert [count] * len(audience.counters) == [counter.count for counter in audience.counters]
    assert [digest_of(count)] * len(audience.counters) == [counter.digest for counter in audience.counters]


def seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp[:26]).timestamp()


def heartbeats(viewer: Viewer) -> list[float]:
    """When the relay sent its heartbeats, by its own clock: how long they took to be read here says nothing."""
    return [seconds(message["timestamp"]) for message in viewer.others if message["type"] == "heartbeat"]


async def one_more_heartbeat(viewer: Viewer) -> None:
    count = len(heartbeats(viewer))
    await until(lambda: len(heartbeats(viewer)) > count, "a heartbeat after the flood")


def longest_wait(viewer: Viewer) -> float:
    """The longest time from one heartbeat to the next, in seconds."""
    (connected,) = viewer.said("connected")
    sent = [seconds(connected["timestamp"]), *heartbeats(viewer)]
    return max(after - before for before, after in itertools.pairwise(sent))


# -- the suite ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["one frame", "a frame each"])
async def test_u16_a_flood_is_served_in_order_and_heartbeats_go_on(
    world: World, railway: StandIn, shape: str
) -> None:
    count = 5000 + (shape == "one frame") * 2  # neither 5000 nor 5001 rows, which would be a full batch
    async with (
        relaying(railway, CHANGES) as relay,
        watching(relay.port, relay.environment_id, viewers=10) as audience,
    ):
        await railway.subscribed()

        for frame in frames_of(railway, made_up(world, count), shape):
            await railway.faults.send_raw(frame)
        await until(lambda: audience.served(count), "every line", within=40)
        await one_more_heartbeat(audience.readers[0])

        check_served(audience, count)
        assert longest_wait(audience.readers[0]) < HEARTBEAT + 1.0
        assert len(railway.journal.subscribes) == 1


async def test_u16_what_a_flood_beyond_the_history_costs_is_said_with_its_count(
    world: World, railway: StandIn
) -> None:
    room = {"LOGRELAY_HISTORY_RECORDS": "1000", "LOGRELAY_HISTORY_MB": "1"}
    async with (
        relaying(railway, CHANGES | room) as relay,
        watching(relay.port, relay.environment_id, viewers=2) as audience,
    ):
        await railway.subscribed()
        (hub,) = relay.hubs

        await railway.faults.send_raw(frame_of(railway, made_up(world, 7000)))
        await until(
            lambda: all(reader.lines[-1:] == ["flood 7000"] for reader in audience.readers), "the end"
        )

        for reader in audience.readers:
            lost = sum(notice["data"]["count"] for notice in reader.said("lost"))
            numbers = [int(line.removeprefix("flood ")) for line in reader.lines]
            assert lost + len(numbers) == 7000
            assert numbers == sorted(set(numbers))
        assert len(hub.history) <= 1000
        assert hub.history.bytes <= MIB


# -- the second tier: the relay as a process, so that its memory is its own ------------------------------------


@attrs.frozen
class Process:
    """`logrelay serve` as a process of its own."""

    pid: int
    port: int

    def memory(self, name: str) -> int:
        """Bytes, by a name of proc(5): VmRSS is what it has in memory now, VmHWM the most it ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024


@contextlib.asynccontextmanager
async def serving(railway: StandIn, folder: Path) -> AsyncIterator[Process]:
    """A relay of the stand-in's first environment as a process, from when it serves; afterwards it is gone."""
    ours = ("LOGRELAY_", "RAILWAY_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    given = {
        "PYTHONPATH": str(Path(logrelay.__file__).parents[1]),
        "LOGRELAY_RAILWAY_URL": railway.url,
        "LOGRELAY_ENVIRONMENTS": railway.world.environment.id,
        "RAILWAY_API_TOKEN": railway.world.account_token,
        "NO_PROXY": "127.0.0.1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "logrelay", "serve"),
        stdout=asyncio.subprocess.PIPE,
        env=kept | QUICK | CHANGES | given,
        cwd=folder,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line: dict[str, Any] = {}
            while line.get("message") != "serving":
                line = json.loads(await process.stdout.readline())
        rest = asyncio.create_task(process.stdout.read())  # or it would block when the pipe is full
        yield Process(process.pid, line["port"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    await rest


@pytest.mark.big
@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as Linux tells it")
@pytest.mark.parametrize("shape", ["one frame", "a frame each"])
async def test_u16_fifty_thousand_lines_for_fifty_viewers(
    world: World, railway: StandIn, tmp_path: Path, shape: str
) -> None:
    count = 50_000
    async with (
        serving(railway, tmp_path) as relay,
        watching(relay.port, world.environment.id, viewers=50) as audience,
    ):
        await railway.subscribed()
        before = relay.memory("VmRSS")

        for frame in frames_of(railway, made_up(world, count), shape):
            await railway.faults.send_raw(frame)
        await until(lambda: audience.served(count), "every line", within=100)
        await one_more_heartbeat(audience.readers[0])

        check_served(audience, count)
        assert longest_wait(audience.readers[0]) < HEARTBEAT + 2.0
        assert relay.memory("VmHWM") - before < ROOM[shape]
