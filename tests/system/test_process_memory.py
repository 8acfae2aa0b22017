"""P4: histories and connections together have a ceiling, by what the system says that the process takes."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import attrs
import pytest
from process_harness import Served, peak_bytes, resident_bytes, served

from logrelay import memory
from logrelay.standin import StandIn, World

MIB = 1024 * 1024


# -- a real process under a limit ------------------------------------------------------------------------------


@pytest.mark.big
async def test_p4_a_fast_log_halves_the_history_and_never_fills_the_process(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    ceiling = 128
    settings = {"LOGRELAY_MEMORY_MB": str(ceiling), "LOGRELAY_HISTORY_MB": "512"}
    text = "x" * 8000
    written = 0
    async with served(railway, tmp_path, **settings) as relay, relay.relay.viewer(search="marker") as viewer:
        await viewer.until_said("connected")
        for number in range(120):  # 240 MB in all, several times what is left for the history
            world.environment.write_many([f"{written + n} {text}" for n in range(250)])
            world.environment.write(f"marker {number}")
            written += 250
            await railway.flush()
            await viewer.until_lines(number + 1)

        assert viewer.lines == [f"marker {number}" for number in range(120)]
        assert viewer.said("gap") == viewer.said("lost") == []
        assert relay.child.said(message="memory is short, histories are halved")
        assert peak_bytes(relay.pid) < ceiling * MIB
        async with relay.relay.viewer(tail=100) as newcomer:  # the history is short, but it isn't gone
            await newcomer.until_lines(100)


@contextlib.contextmanager
def deaf_peers(port: int, path: str, count: int) -> Iterator[None]:
    """Viewers who never read, whose kernels take little."""
    request = (
        f"GET {path}?tail=10000 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with contextlib.ExitStack() as sockets:
        for _ in range(count):
            peer = sockets.enter_context(socket.socket())
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", port))
            peer.sendall(request.encode())
        yield


async def refused(served: Served) -> aiohttp.WSServerHandshakeError | None:
    """What a newcomer is refused with, if it is."""
    try:
        async with served.relay.viewer():
            return None
    except aiohttp.WSServerHandshakeError as error:
        return error


async def test_p4_connections_that_fill_the_process_keep_newcomers_out_until_they_have_left(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    ceiling = 96
    settings = {"LOGRELAY_MEMORY_MB": str(ceiling), "LOGRELAY_WRITE_TIMEOUT_SECONDS": "600"}
    path = f"/api/environments/{world.environment.id}/logs/stream"
    async with served(railway, tmp_path, **settings) as relay, relay.relay.viewer() as viewer:
        await viewer.until_said("connected")
        # A history too small to be worth halving, which each of many deaf viewers has waiting for it.
        world.environment.write_many([f"{n} " + "x" * 30_000 for n in range(150)])
        await viewer.until_lines(150)
        with deaf_peers(relay.relay.port, path, 200):
            await relay.child.until_said(message="newcomers are refused")
            error = await refused(relay)
            world.environment.write("while memory is short")
            await viewer.until_lines(151)

        assert error is not None
        assert error.status == 503
        assert error.headers is not None
        assert int(error.headers["Retry-After"]) > 0
        await relay.child.until_said(message="newcomers are taken again")
        assert await refused(relay) is None
        assert resident_bytes(relay.pid) < 0.9 * ceiling * MIB


# -- how it is judged ------------------------------------------------------------------------------------------


@attrs.define
class Room:
    """A hub, as far as memory is concerned."""

    bytes: int

    def shrink(self, room: int) -> int:
        dropped, self.bytes = self.bytes - room, room
        return dropped


@attrs.define
class Viewers:
    """Streams, as far as memory is concerned."""

    clients: int = 0
    crowded: bool = False


@attrs.define
class House:
    """A process of 1,000 bytes at most, whose memory is what a test says."""

    rooms: list[Room]
    taken: int | None
    viewers: Viewers = attrs.Factory(Viewers)
    guard: memory.Guard = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.guard = memory.Guard(
            self.rooms,  # type: ignore[arg-type]
            self.viewers,  # type: ignore[arg-type]
            1000,
            measure=lambda: self.taken,
        )

    def look(self, taken: int) -> list[int]:
        """What the histories have after a look at a process that takes so much."""
        self.taken = taken
        self.guard.look()
        return [room.bytes for room in self.rooms]


def test_p4_all_histories_are_halved_above_80_percent_and_not_below() -> None:
    house = House([Room(400), Room(200)], 0)

    assert house.look(800) == [400, 200]
    assert house.look(801) == [200, 100]


def test_p4_memory_that_is_freed_and_not_given_back_is_not_halved_for_again_and_again() -> None:
    house = House([Room(400)], 0)

    assert house.look(850) == [200]
    assert [house.look(850) for _ in range(10)] == [[200]] * 10
    house.rooms[0].bytes = 340  # into what was freed
    assert house.look(850) == [340]
    house.rooms[0].bytes = 360  # 450 were others' when it was halved: that makes more than 800
    assert house.look(850) == [180]
    assert house.look(870) == [90]  # it has grown all the same


def test_p4_what_is_worth_little_is_left_to_the_viewers() -> None:
    house = House([Room(40), Room(22)], 0)

    assert house.look(990) == [40, 22]
    assert house.viewers.crowded


def test_p4_newcomers_are_refused_above_90_percent_until_there_is_room() -> None:
    house = House([], 0)

    assert [(house.look(taken), house.viewers.crowded)[1] for taken in (899, 901, 899, 851, 849, 899)] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_p4_where_the_system_does_not_tell_memory_is_reckoned() -> None:
    house = House([Room(400)], None)
    house.guard._ceiling = 100 * MIB

    house.guard.look()
    assert house.rooms[0].bytes == 400
    house.rooms[0].bytes = 30 * MIB
    house.guard.look()
    assert house.rooms[0].bytes == 15 * MIB
    house.viewers.clients = 1000
    house.guard.look()
    assert house.viewers.crowded


def test_p4_short_memory_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "logrelay")
    house = House([Room(700)], 0)

    for taken in range(810, 890, 10):
        house.rooms[0].bytes = 700
        house.look(taken)

    (said,) = caplog.records
    assert (said.message, said.levelname) == ("memory is short, histories are halved", "WARNING")
    assert vars(said)["bytes"] == 810


def test_the_memory_that_the_process_takes_is_what_the_system_says() -> None:
    said = resident_bytes(os.getpid())

    measured = memory.resident()

    assert measured is not None
    assert abs(measured - said) < 4 * MIB  # the kernel counts some of it later


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"2": "max\n"}, None),
        ({"2": "1048576\n"}, 1048576),
        ({"1": "2097152\n"}, 2097152),
        ({"1": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_p4_the_containers_limit_is_the_ceiling_where_none_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "2", tmp_path / "1"))

    assert memory.ceiling(None) == limit
    assert memory.ceiling(96) == 96 * MIB


async def test_freed_memory_is_given_back_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = asyncio.Semaphore(0)
    monkeypatch.setattr(memory, "give_back", times.release)

    tidying = asyncio.create_task(memory.tidy(every=0.001))
    async with asyncio.timeout(5):
        for _ in range(3):
            await times.acquire()

    tidying.cancel()
    await asyncio.wait([tidying])
