"""Schedules of faults: what may happen to a relay, its upstream and its viewers, in any order; and their player."""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Self, TypeAlias

import aiohttp
import attrs
from conftest_system import Relay, relaying, until
from hypothesis import strategies as st
from promises_counting import Report
from promises_reader import Reader, Sight, Verdict, Visit

from logrelay.standin import Line, Row, StandIn, World

STEP = 200_000  # ns between two stamps
LATENESS = 2_000_000_000  # ns
RECEIVE_BUFFER = 32 * 1024  # bytes; the kernel's own would hide a slow reader
PADDING = 8 * 1024  # bytes of a line that fills buffers
QUICK = {
    "LOGRELAY_LINGER_SECONDS": "60",
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "0.002",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "0.02",
    "LOGRELAY_FLAPPING_SECONDS": "0",
    "LOGRELAY_UPSTREAM_PING_SECONDS": "0.06",
    "LOGRELAY_HEARTBEAT_SECONDS": "0.05",
    "LOGRELAY_OPEN_SECONDS": "0.5",
    "LOGRELAY_QUERY_TIMEOUT_SECONDS": "0.5",
    "LOGRELAY_FLUSH_SECONDS": "0.1",
    "LOGRELAY_MESSAGES_PER_SECOND": "10000",
}


# -- what may happen ---------------------------------------------------------------------------------------


@attrs.frozen
class Write:
    """So many lines in one go, each `plain`, `tied`, `late`, a `late tie`, said twice (`twins`), `padded`, or `mixed`.

    Where the relay reads again, some of the mixed ones are hidden from polls.
    """

    count: int
    kind: str = "plain"


@attrs.frozen
class Poll:
    """Railway's poll, at once."""


@attrs.frozen
class Again:
    """So many of the last rows are sent once more by a later poll."""

    count: int


@attrs.frozen
class Break:
    """The upstream's connections end in some way."""

    how: str


@attrs.frozen
class Stall:
    """The upstream falls silent until the relay has noticed; so many lines are written meanwhile."""

    lines: int


@attrs.frozen
class Away:
    """The upstream is cut and refuses connections while so many lines are written."""

    lines: int


@attrs.frozen
class Trouble:
    """A setting of the stand-in's faults, until the next Calm."""

    name: str
    value: Any


@attrs.frozen
class Calm:
    """The end of all troubles."""


@attrs.frozen
class Turns:
    """So many turns of the event loop."""

    count: int


@attrs.frozen
class Cut:
    """A reader loses its connection; `beat`: right after a heartbeat."""

    reader: int
    beat: bool = False


@attrs.frozen
class Join:
    """A reader comes (back)."""

    reader: int
    by: str = "record"  # or "beat", the last heartbeat's id if that is newer, or "stamp", the last record's
    overlap: int = 0
    sight: Sight | None = None
    wait: bool = True


@attrs.frozen
class Look:
    """A reader changes its filter."""

    reader: int
    sight: Sight


@attrs.frozen
class Pause:
    """A reader pauses (or goes on), by the protocol or by reading nothing."""

    reader: int
    on: bool
    slow: bool = False


@attrs.frozen
class Settle:
    """Everyone who takes what it is sent gets all there is."""


@attrs.frozen
class Restart:
    """The relay ends, by a signal or by `kill -9`, and another one begins; whoever was there comes back."""

    kill: bool
    by: str = "record"
    overlap: int = 0


Step: TypeAlias = (
    Write
    | Poll
    | Again
    | Break
    | Stall
    | Away
    | Trouble
    | Calm
    | Turns
    | Cut
    | Join
    | Look
    | Pause
    | Settle
    | Restart
)


@attrs.frozen
class Schedule:
    """Steps in order, the history's size in records, and what a resume may fetch. `seed` chooses stamps."""

    steps: tuple[Step, ...]
    history: int = 50_000
    fetched: int = 20_000
    seed: int = 0
    reread: bool = False  # all the time; only then are there lines that polls pass over


SIGHTS = (Sight(), Sight(("web",)), Sight((), "odd"), Sight(("api", "web"), "even"))
BREAKS = ("reset", "fin", "half", "complete", "1000", "1011", "4500", "null", "error")


def schedules() -> st.SearchStrategy[Schedule]:
    """All schedules; their first reader stays, and only restarts of the relay make it come back."""
    readers = st.sampled_from([1, 2])
    sights = st.sampled_from(SIGHTS)
    lines = st.sampled_from([0, 1, 3, 10, 40])
    ways = st.sampled_from(["record", "record", "beat", "stamp"])
    overlaps = st.sampled_from([0, 3, 3])
    kinds = st.sampled_from(["plain", "tied", "late", "twins", "mixed", "mixed", "padded"])
    writes = st.builds(Write, st.sampled_from([1, 2, 7, 25, 60]), kinds)
    joins = st.builds(Join, readers, ways, overlaps, st.none() | sights, st.booleans())
    troubles = st.sampled_from(
        [
            Trouble("query_delay", 0.02),
            Trouble("query_delay", 0.005),
            Trouble("http", (500, {}, "no", 1)),
            Trouble("http", (502, {}, "<html>no</html>", 2)),
            Trouble("duplicate", 0.3),
            Trouble("slow_ack", 0.01),
            Trouble("split_bytes", (1500, 0.0)),
            Trouble("refuse_upgrade", (503, {}, "no", 2)),
        ]
    )
    breaks = st.builds(Break, st.sampled_from(BREAKS))
    single = st.one_of(
        writes,
        writes,
        st.just(Poll()),
        st.builds(Again, st.sampled_from([1, 5, 30])),
        breaks,
        st.builds(Stall, lines),
        st.builds(Away, lines),
        troubles,
        st.just(Calm()),
        st.builds(Turns, st.sampled_from([1, 5, 40])),
        st.builds(Cut, readers, st.booleans()),
        joins,
        st.builds(Look, readers, sights),
        st.builds(Pause, readers, st.booleans(), st.booleans()),
        st.just(Settle()),
        st.builds(Restart, st.booleans(), ways, overlaps),
    )
    # What seldom comes about by chance: lines that are missed and served, and lines that come during a comeback.
    missed = st.tuples(writes, st.just(Poll()), st.builds(Turns, st.sampled_from([5, 40])))
    comeback = st.tuples(st.builds(Cut, readers, st.booleans()), missed, joins)
    crowded = st.tuples(
        st.just(Trouble("query_delay", 0.01)),
        st.builds(Cut, readers),
        missed,
        joins,
        missed,
        st.none() | breaks,
        missed,
    )
    blocks = st.one_of(
        single.map(lambda step: (step,)), st.tuples(writes, breaks), comeback, comeback, crowded
    )
    return st.builds(
        lambda blocks, **bounds: Schedule((Join(1), Join(2), *_flat(blocks)), **bounds),
        st.lists(blocks, min_size=5, max_size=20),
        history=st.sampled_from([8, 30, 150, 150, 50_000]),
        fetched=st.sampled_from([20_000, 20_000, 20_000, 15]),
        seed=st.integers(0, 999),
        reread=st.booleans(),
    )


def _flat(nested: Iterable[Any]) -> Iterator[Step]:
    for part in nested:
        if isinstance(part, list | tuple):
            yield from _flat(part)
        elif part is not None:
            yield part


# -- the player --------------------------------------------------------------------------------------------


@attrs.define
class Tally:
    """What many schedules came to."""

    schedules: int = 0
    lines: int = 0
    records: int = 0
    visits: int = 0
    outcomes: dict[str, int] = attrs.Factory(dict)  # of resumes
    restarts: int = 0
    losses: int = 0  # of the upstream
    again: int = 0
    excused: dict[str, int] = attrs.Factory(dict)
    report: Report = attrs.Factory(Report)

    def __str__(self) -> str:
        report = self.report
        excused = _listed(self.excused)
        return (
            f"{self.schedules} schedules, {self.lines} lines, {self.records} records to {self.visits} connections, "
            f"{self.losses} losses of the upstream, {self.restarts} restarts, "
            f"resumed {_listed(self.outcomes)}: "
            f"{report.missing} missing, {report.repeated} repeated, {report.out_of_order} out of order "
            f"(said to be missing: {excused or 'none'}; repeated as the protocol allows: {self.again})"
        )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return made


class Player:
    """Plays one schedule. `async with Player(schedule) as player: await player.play()`, and look at the readers."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._random = random.Random(schedule.seed)
        start = time.time_ns() - 5_000_000_000  # so that ours is never overtaken
        self._moment = start
        self.world = World(schedule.seed, source=lambda: self._moment)
        self.railway = StandIn(self.world, poll_interval=0.003)
        self.rows: list[Row] = []
        services = self.world.environment.services
        names = {service.id: service.name for service in services}
        seeded: dict[int, int] = {}
        arrived: dict[tuple[int, str], int] = {}
        self.readers = [Reader(f"reader {place}", self.rows, names, seeded, arrived) for place in range(3)]
        self.life = 0
        self._looked = -1  # records that had come at the last look for what is missing
        self._lacking = False
        self._relay: Relay | None = None
        self._session: aiohttp.ClientSession | None = None
        self._relays = contextlib.AsyncExitStack()
        self._resources = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket)
        self._session = await self._resources.enter_async_context(aiohttp.ClientSession(connector=connector))
        await self._resources.enter_async_context(self.railway)
        await self._begin()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.railway.faults.reset_all()
        await asyncio.gather(*(reader.cut() for reader in self.readers))
        await self._relays.aclose()
        await self._resources.aclose()

    async def _begin(self) -> None:
        changes = QUICK | {
            "LOGRELAY_HISTORY_RECORDS": str(self.schedule.history),
            "LOGRELAY_RESUME_RECORDS": str(self.schedule.fetched),
            "LOGRELAY_REREAD_SECONDS": "0.05" if self.schedule.reread else "0",
        }
        self._relay = await self._relays.enter_async_context(relaying(self.railway, changes))
        self.life += 1

    async def play(self) -> list[Verdict]:
        """Play all steps, then let everything come to rest; the verdicts on all readers."""
        await self._join(self.readers[0], Join(0))
        for step in self.schedule.steps:
            await self._steps[type(step)](self, step)
        await self._rest()
        return [reader.verdict() for reader in self.readers if reader.visits]

    # -- Railway --------------------------------------------------------------------------------------------

    def _written(self, count: int, kind: str = "plain") -> None:
        """Write lines; the log's order is the rows' order."""
        lines: list[Line] = []
        while len(lines) < count:
            lines += self._lines(len(self.rows) + len(lines), kind)
        self.rows += self.world.environment.write_many(lines)

    def _lines(self, number: int, kind: str) -> list[Line]:
        if kind == "mixed":
            kinds = ["plain", "plain", "tied", "late", "twins", "late tie"]
            kind = self._random.choice([*kinds, "hidden"] if self.schedule.reread else kinds)
        self._moment += STEP
        at: int | None = self._moment
        if kind == "late":
            at = self._moment - self._random.randrange(LATENESS)
        elif kind == "late tie" and self.rows:
            at = self.rows[-self._random.randrange(1, min(len(self.rows), 40) + 1)].ns
        service = self._random.choice(["api", "web", "worker"])
        message = f"{number} {'even' if number % 2 == 0 else 'odd'}" + " ." * (
            PADDING // 2 if kind == "padded" else 0
        )
        line = Line(message, service, at=at, tied=kind == "tied", hidden_from_poll=kind == "hidden")
        return [line, attrs.evolve(line, tied=False, at=at)] if kind == "twins" else [line]

    async def _write(self, step: Write) -> None:
        self._written(step.count, step.kind)

    async def _poll(self, _: Poll) -> None:
        await self.railway.flush()

    async def _again(self, step: Again) -> None:
        """Rows that wait for a poll already would stand twice in one frame, which makes them two."""
        waiting = {id(row) for inbox in self.world.environment.inboxes for row in inbox.items}
        for subscription in self.railway.subscriptions:
            waiting |= set(map(id, getattr(subscription.stream, "repeats", ())))
        rows = [row for row in self.rows[-step.count :] if id(row) not in waiting and not row.hidden]
        self.world.environment.redeliver(rows)

    async def _break(self, step: Break) -> None:
        faults = self.railway.faults
        blows: dict[str, Callable[[], Awaitable[None]]] = {
            "reset": faults.reset,
            "fin": faults.fin,
            "half": faults.cut_mid_frame,
            "complete": faults.complete,
            "1000": lambda: faults.close(1000),
            "1011": lambda: faults.close(1011, "deadline_exceeded"),
            "4500": lambda: faults.close(4500, "Internal server error"),
            "null": lambda: faults.send_raw("null"),
            "error": lambda: faults.error("Problem processing request"),
        }
        await blows[step.how]()

    async def _stall(self, step: Stall) -> None:
        hub = self._hub
        self.railway.faults.stall = True
        self._written(step.lines, "mixed")
        await until(lambda: hub is None or hub.upstream.state != "live", "the relay notices the silence")
        self.railway.faults.stall = False

    async def _away(self, step: Away) -> None:
        await self.railway.stop_listening(cut=True)
        self._written(step.lines, "mixed")
        await asyncio.sleep(0)
        await self.railway.listen_again()

    async def _trouble(self, step: Trouble) -> None:
        setattr(self.railway.faults, step.name, step.value)

    async def _calm(self, _: Calm) -> None:
        self.railway.faults.reset_all()

    async def _turns(self, step: Turns) -> None:
        for _ in range(step.count):
            await asyncio.sleep(0)

    @property
    def _hub(self) -> Any:
        assert self._relay is not None
        return self._relay.hubs.get(self._relay.environment_id)

    # -- readers --------------------------------------------------------------------------------------------

    async def _cut(self, step: Cut) -> None:
        reader = self.readers[step.reader]
        if step.beat and reader.attentive and reader.visits[-1].connected is not None:
            beats = reader.beats
            await until(lambda: reader.beats > beats or not reader.here, "a heartbeat")
        await reader.cut()

    async def _joins(self, step: Join) -> None:
        await self._join(self.readers[step.reader], step)

    async def _join(self, reader: Reader, step: Join) -> None:
        assert self._session is not None
        assert self._relay is not None
        await reader.cut()
        visit = Visit(self.life, reader.wanted if step.sight is None else step.sight)
        visit.anchor = reader.anchor if step.by == "beat" else reader.record or reader.anchor
        if step.by == "stamp":
            visit.by = "lastTimestamp"
            visit.anchor = reader.record
        elif visit.anchor is not None:
            visit.overlap = step.overlap
        path = f"/api/environments/{self._relay.environment_id}/logs/stream"
        await reader.join(self._session, self._relay.base + path, self.life, visit, wait=step.wait)

    async def _look(self, step: Look) -> None:
        await self.readers[step.reader].look(step.sight)

    async def _pause(self, step: Pause) -> None:
        reader = self.readers[step.reader]
        if step.slow and reader.here:
            (reader.slow if step.on else reader.fast)()
        elif not step.slow:
            await reader.pause(on=step.on)

    async def _settle(self, _: Settle) -> None:
        """Write a line that everyone sees, and wait until all who take it have it."""
        for reader in self.readers:
            await reader.placed()
        number = len(self.rows)
        self._moment += STEP
        line = Line(f"{number} even odd", "web", at=self._moment)
        self.rows += self.world.environment.write_many([line])
        for reader in self.readers:
            if reader.attentive:
                await until(
                    lambda reader=reader: line.message in reader.seen or not reader.attentive,
                    f"{reader.name} gets {line.message!r} in {reader.visits[-1]}",
                )
                if line.message in reader.seen:
                    reader.settled = number

    async def _restart(self, step: Restart) -> None:
        there = [reader for reader in self.readers if reader.here]
        for reader in there:
            reader.fast()
            if step.kill:
                await reader.cut()
        await self._relays.aclose()
        for reader in there:
            await reader.gone()
        await self._begin()
        for reader in there:
            place = self.readers.index(reader)
            await self._join(reader, Join(place, step.by, step.overlap, wait=False))

    async def _rest(self) -> None:
        """Let everything come to an end, so that nothing is on its way any more."""
        self.railway.faults.reset_all()
        for place, reader in enumerate(self.readers):
            reader.fast()
            if not reader.here and reader.visits:
                await self._join(reader, Join(place))
            await reader.pause(on=False)
        await self._settle(Settle())
        await self.railway.flush()
        await self._settle(Settle())
        with contextlib.suppress(AssertionError):  # then the verdicts say what is missing
            await until(self._found, "what polls have passed over is found", within=3.0)

    def _found(self) -> bool:
        """Whether everyone has what was hidden from polls, if anything was; looks closely only when more has come."""
        came = sum(len(reader.got) for reader in self.readers)
        if self._looked != came and any(row.hidden for row in self.rows):
            self._looked = came
            self._lacking = any(reader.verdict().missing for reader in self.readers)
        return not self._lacking

    _steps: dict[type, Callable[..., Awaitable[None]]] = {  # noqa: RUF012 a table, not a state
        Write: _write,
        Poll: _poll,
        Again: _again,
        Break: _break,
        Stall: _stall,
        Away: _away,
        Trouble: _trouble,
        Calm: _calm,
        Turns: _turns,
        Cut: _cut,
        Join: _joins,
        Look: _look,
        Pause: _pause,
        Settle: _settle,
        Restart: _restart,
    }


async def play(schedule: Schedule, tally: Tally) -> None:
    """Play one schedule and judge it. Raises AssertionError with all that is wrong."""
    async with Player(schedule) as player:
        verdicts = await player.play()
    tally.schedules += 1
    tally.lines += len(player.rows)
    tally.restarts += player.life - 1
    tally.losses += len(player.railway.journal.subscribes) - player.life
    for reader, verdict in zip(player.readers, verdicts, strict=False):
        tally.records += len(reader.got)
        tally.visits += len(reader.visits)
        tally.again += verdict.again
        for visit in reader.visits:
            if visit.outcome is not None:
                outcome = visit.outcome["outcome"]
                tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + 1
        tally.report += verdict.report
        for name, count in verdict.excused.items():
            tally.excused[name] = tally.excused.get(name, 0) + count
    wrong = [verdict for verdict in verdicts if not verdict.right]
    assert not wrong, "\n".join(map(str, [schedule, *wrong]))
