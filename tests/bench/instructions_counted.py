"""The hot path's stages on a fixed input, for instructions.py to count: what runs between two marks is a stage.

Run by itself it only runs them all, which shows whether they still can.
"""

import asyncio
import gc
import os
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_rows import ENVIRONMENT, SERVICES, Rows, service_id

from logrelay.railway import rows
from logrelay.railway.intake import Intake
from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.relay.history import Bounds, History
from logrelay.relay.hub import Hub, Sink
from logrelay.relay.records import LogRecord
from logrelay.relay.redaction import Redactor
from logrelay.web.access import EVERYONE, Access
from logrelay.web.audience import Audience
from logrelay.web.client import Client
from logrelay.web.environments import Environments
from logrelay.web.frames import Form, Pages, View
from logrelay.web.greeting import Greeting
from logrelay.web.leases import Leases
from logrelay.web.limits import ClientLimits
from logrelay.web.placing import Placing, ResumeLimits
from logrelay.web.socket import Socket, SocketLimits

LINES = 50  # of a frame
FRAMES = 100  # that are counted
CROWD = 64  # clients more than one
_WARM = 20  # frames before those; by then the interpreter has specialised its code, and the history is full
_STARTED = 1_735_689_600 * 10**9  # ns; the stamp of the first row
_STEP = 50_000_000  # ns between two frames
_NOW = _STARTED + (_WARM + FRAMES) * _STEP  # ns; what the clock says all the time: no row is in its future
_NEVER = 1e7  # seconds; longer than any run, so that no timer of a connection adds to a count
_NAMES: dict[str | None, str] = {service_id(number): f"service-{number}" for number in range(SERVICES)}

Frames = Sequence[bytes]
Counted = tuple[
    Sequence[Any], Callable[[Any], object]
]  # an input for each frame, and what is counted of each
Stage = Callable[[Frames], Counted]


# -- what comes in --------------------------------------------------------------------------------------------


def frames(number: int) -> list[bytes]:
    """The frames of a subscription, as Railway sends them: first those to warm up with.

    They differ for each `number`, though in nothing but digits, so that no stage profits from what another has left
    in a cache.
    """
    made = Rows()
    first = 1_000_000 + number * (_WARM + FRAMES) * LINES
    start, end = b'{"id":"1","type":"next","payload":{"data":{"environmentLogs":', b"}}}"
    return [
        start + made.array(first + place * LINES, LINES, sent_ns=stamp, stamp_ns=stamp) + end
        for place, stamp in enumerate(range(_STARTED, _NOW, _STEP))
    ]


def _rows(frame: bytes) -> list[rows.Row]:
    message, _ = rows.decode(frame)
    assert isinstance(message, rows.Next)
    return message.rows


def _intake() -> Callable[[list[rows.Row]], list[LogRecord]]:
    intake = Intake(_NAMES.get, clock=lambda: _NOW, redactor=Redactor())

    def records(given: list[rows.Row]) -> list[LogRecord]:
        own, _ = rows.own(given, ENVIRONMENT)
        stamped, _ = rows.stamped(own)
        # This input has no lines of Railway's own, so all entries are records.
        return cast("list[LogRecord]", intake.entries(intake.unseen(stamped)))

    return records


def _records(given: Frames) -> list[list[LogRecord]]:
    records = _intake()
    return [records(_rows(frame)) for frame in given]


# -- the stages -----------------------------------------------------------------------------------------------


def decode(given: Frames) -> Counted:
    """Frames to typed rows."""
    return given, _rows


def intake(given: Frames) -> Counted:
    """Rows to identities to records."""
    return [_rows(frame) for frame in given], _intake()


def history(given: Frames) -> Counted:
    """Records into a history that is full, so that each of them evicts another."""
    full = History(Bounds(records=_WARM * LINES))
    return _records(given), lambda records: full.append(records, now=0.0)


def fan_out(*filters: Filter) -> Stage:
    """The lines of one frame, out of a history of their own, as frames for the first client with each filter."""

    views = [View(wanted) for wanted in filters]

    def read(pages: Pages) -> None:
        for view in views:
            pages.read(0, view)

    def stage(given: Frames) -> Counted:
        histories = [History() for _ in given]
        for one, records in zip(histories, _records(given), strict=True):
            one.append(records, now=0.0)
        return [Pages(one) for one in histories], read

    return stage


def clients(count: int) -> Stage:
    """One frame's records published to so many clients, until each has written them to its transport."""

    def stage(given: Frames) -> Counted:
        loop = asyncio.new_event_loop()
        audience = _Watched()
        loop.run_until_complete(audience.come(count))
        return _records(given), lambda records: loop.run_until_complete(audience.publish(records))

    return stage


_WORD, _OTHER = Filter.parse(search="retry"), Filter.parse(search="queue")
A_WORD, TWO_WORDS, ONE_CLIENT, A_CROWD = "fan-out, a word", "two words", "one client", "a crowd"
STAGES: dict[str, Stage] = {
    "decode": decode,
    "intake": intake,
    "history": history,
    "fan-out, everything": fan_out(EVERYTHING),
    "fan-out, one service of five": fan_out(Filter.parse(services=["service-3"])),
    A_WORD: fan_out(_WORD),
    TWO_WORDS: fan_out(_WORD, _OTHER),
    ONE_CLIENT: clients(1),
    A_CROWD: clients(1 + CROWD),
}


# -- clients without a network --------------------------------------------------------------------------------


class _Upstream:
    """Brings nothing by itself."""

    async def run(self, sink: Sink) -> None:
        sink.stands()
        await asyncio.get_running_loop().create_future()

    def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[LogRecord]]:
        raise NotImplementedError  # nobody here asks for what was before


class _Transport(asyncio.Transport):
    """Takes everything at once and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0  # bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.taken += len(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 16_384, 65_536

    def is_closing(self) -> bool:
        return False


class _Response:
    """An upgraded connection whose peer never says anything."""

    closed = False

    async def receive(self) -> None:
        await asyncio.get_running_loop().create_future()


class _Watched:
    """Clients of one hub, all with the same filter and up to date."""

    def __init__(self) -> None:
        self._hub = Hub("an environment", Bounds(), _Upstream())
        self._clients: list[Client] = []
        self._tasks: list[asyncio.Task[object]] = []
        self._sent = 0  # records that each client has got

    async def come(self, count: int) -> None:
        """Let clients join, and wait until each has its place."""
        self._hub.start()
        audience = Audience(self._hub)
        for _ in range(count):
            client = _client(audience)
            self._clients.append(client)
            self._tasks.append(asyncio.create_task(client.run()))
        for _ in range(LINES):  # far more turns of the loop than a client needs to find its place
            await asyncio.sleep(0)

    async def publish(self, records: Sequence[LogRecord]) -> None:
        """Publish and let the bell ring."""
        self._hub.publish(records)
        self._sent += len(records)
        turns = 0
        while self._clients[-1].sent < self._sent:
            turns += 1
            assert turns < LINES, "the clients aren't served"
            await asyncio.sleep(0)
        assert all(client.sent == self._sent for client in self._clients)


def _client(audience: Audience) -> Client:
    socket = Socket(
        cast("Any", SimpleNamespace(transport=_Transport())),
        cast("Any", _Response()),
        cast("Any", None),  # the writer, which is there to be waited for
        SocketLimits(write_timeout=_NEVER),
    )
    return Client(
        socket,
        audience,
        Placing(EVERYTHING, None, tail=0, limits=ResumeLimits()),
        Leases(Access(Environments())).lease(EVERYONE, None, ENVIRONMENT),
        limits=ClientLimits(heartbeat=_NEVER, ping=_NEVER, silence=_NEVER),
        greeting=Greeting(version="", heartbeat=_NEVER, max_connections=1),
        form=Form.SINGLE,
    )


# -- counting -------------------------------------------------------------------------------------------------


def mark() -> None:
    """Where callgrind writes down its count and begins anew: nothing else asks for the parent's id."""
    os.getppid()


def run(stage: Stage, given: Frames) -> None:
    """Run a stage between two marks, after it has warmed up."""
    inputs, step = stage(given)
    for one in inputs[:_WARM]:
        step(one)
    counted = inputs[_WARM:]
    mark()
    for one in counted:
        step(one)
    mark()


def main() -> None:
    random.seed(7)  # the jitter of heartbeats
    gc.disable()
    for number, stage in enumerate(STAGES.values()):
        run(stage, frames(number))
    # Clients that are never ended would complain, each of them, when the interpreter takes itself apart.
    os._exit(0)


if __name__ == "__main__":
    main()
