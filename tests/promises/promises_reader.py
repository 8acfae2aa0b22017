"""One viewer over many connections: it remembers what it got, what it was told, and what it was promised.

It knows the rules of protocol.md (*Resuming*) and nothing of how the relay keeps them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import attrs
import msgspec
from conftest_system import until
from promises_counting import PERFECT, Place, Report, key, keys, misplaced

from logrelay.standin import Row
from logrelay.standin.timestamps import parse

SECOND = 1_000_000_000


@attrs.frozen
class Sight:
    """A filter: names of services and a word of the message. Nothing given is everything."""

    services: tuple[str, ...] = ()
    search: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The filter as the stream's parameters."""
        given = {"services": ",".join(self.services), "search": self.search}
        return {name: value for name, value in given.items() if value}

    def sees(self, service: str, message: str) -> bool:
        """Whether a line passes."""
        return (not self.services or service in self.services) and self.search in message


@attrs.frozen
class Anchor:
    """Where a reader may resume: an id that it was given, when it had got `got` records, and who gave it."""

    id: str
    life: int  # of the relay: each restart begins another
    got: int

    @property
    def timestamp(self) -> str:
        """The stamp of the record with this id."""
        return self.id.rpartition("-")[0]


@attrs.define(eq=False)
class Visit:
    """One connection: what was asked for, and all that was answered, in order."""

    life: int
    sight: Sight
    anchor: Anchor | None = None
    by: str = "lastId"
    overlap: int = 0
    first: int = 0  # the reader's records before this visit
    connected: int | None = None  # rows that had been written when `connected` came
    outcome: dict[str, Any] | None = None
    rebuilt: bool = False  # the anchor lies in a history that was made from the past at once
    close_code: int | None = None

    @property
    def begin(self) -> int:
        """The stamp from which on records were asked for."""
        assert self.anchor is not None
        return parse(self.anchor.timestamp) - (self.overlap * SECOND if self.by == "lastId" else 0)

    @property
    def exact(self) -> bool:
        """Whether nothing at all may be missing: the very history that gave the anchor was read on."""
        if self.anchor is None or self.outcome is None:
            return True
        return self.outcome["outcome"] == "exact" and self.life == self.anchor.life

    @property
    def sorted(self) -> bool:
        """Whether what came first was in order of stamps and not of arrival, overlap included."""
        return not self.exact or (self.overlap > 0 and self.rebuilt)


@attrs.frozen
class Got:
    """One record as it came."""

    key: str
    visit: int
    late: bool = False  # as the relay said


@attrs.frozen
class Come:
    """A record whose order is judged: where it belongs, and how it came."""

    place: Place
    got: Got

    @property
    def fetched(self) -> bool:
        """Whether a query has brought it: by the subscription it would have been late."""
        return self.place.passed and not self.got.late


@attrs.define(eq=False)
class Reader:
    """A viewer with a name. `rows` is the log as it was written; `names` tells its services' names by their ids."""

    name: str
    rows: Sequence[Row] = attrs.field(repr=False)
    names: Mapping[str, str] = attrs.field(repr=False)
    seeded: dict[int, int] = attrs.field(
        repr=False
    )  # rows that had been written when the relay's nth life began
    arrived: dict[tuple[int, str], int] = attrs.field(
        repr=False
    )  # rows that had been written when anyone was sent a late record, by the relay's life and the record's name
    sight: Sight = attrs.Factory(Sight)
    wanted: Sight = attrs.Factory(Sight)  # the same, or what has been asked for and not been confirmed
    visits: list[Visit] = attrs.Factory(list)
    got: list[Got] = attrs.field(factory=list, repr=False)
    told: list[tuple[int, dict[str, Any]]] = attrs.field(
        factory=list, repr=False
    )  # notices, with records before each
    faults: list[str] = attrs.Factory(list)
    anchor: Anchor | None = None  # the last record, or the heartbeat after it
    record: Anchor | None = None  # the last record
    baseline: int | None = None  # rows that had been written when it came first
    settled: int = 0  # rows below this number have been delivered, if they ever will be
    sights: list[tuple[int, int | None, Sight]] = attrs.Factory(list)  # [from, to) of the rows' numbers
    paused: bool = False
    beats: int = 0
    seen: set[str] = attrs.field(factory=set, repr=False)
    _gate: asyncio.Event = attrs.field(factory=asyncio.Event, repr=False)
    _socket: aiohttp.ClientWebSocketResponse | None = None
    _task: asyncio.Task[None] | None = None

    # -- coming and going -----------------------------------------------------------------------------------

    @property
    def here(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def attentive(self) -> bool:
        """Whether it takes what it is sent."""
        return self.here and not self.paused and self._gate.is_set()

    async def join(
        self, session: aiohttp.ClientSession, url: str, life: int, visit: Visit, *, wait: bool
    ) -> None:
        await self.cut()
        visit.life, visit.first = life, len(self.got)
        query = {"tail": "0"} | visit.sight.query
        if visit.anchor is not None:
            query |= (
                {"lastTimestamp": visit.anchor.timestamp}
                if visit.by == "lastTimestamp"
                else {"lastId": visit.anchor.id, "overlap": str(visit.overlap)}
            )
        self.paused = False
        self._gate.set()
        self._ask(visit.sight)
        self.visits.append(visit)
        self._socket = await session.ws_connect(url, params=query, max_msg_size=0)
        self._task = asyncio.create_task(self._read(visit))
        if wait:
            await self.placed()

    async def placed(self) -> None:
        """Wait until the relay has said where the reader stands; what is written before that may be the past to it."""
        if self.attentive:
            visit = self.visits[-1]
            await until(lambda: visit.connected is not None or not self.here, f"{self.name} is connected")

    async def cut(self) -> None:
        """Leave without a word."""
        if self._task is None or self._socket is None:
            return
        connection = self._socket._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        await self.gone()

    async def gone(self) -> None:
        """Wait until the connection has ended."""
        self._gate.set()
        if self._task is not None and self._socket is not None:
            await self._task
            await self._socket.close()
            self.visits[-1].close_code = self._socket.close_code
            self._task = self._socket = None

    def slow(self) -> None:
        """Read no more for a while."""
        self._gate.clear()

    def fast(self) -> None:
        self._gate.set()

    async def pause(self, *, on: bool) -> None:
        if self.here and self.paused != on and self._socket is not None:
            self.paused = on
            await self._say({"type": "pause" if on else "resume"})

    async def look(self, sight: Sight) -> None:
        """Change the filter; it counts from the relay's answer on."""
        asked_before = self.sight != self.wanted
        if self.here and self.visits[-1].connected is not None and sight != self.wanted and not asked_before:
            self._ask(sight)
            await self._say({"type": "filter", "services": list(sight.services), "search": sight.search})

    async def _say(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send_json(message)

    def _ask(self, sight: Sight) -> None:
        if not self.sights or sight != self.wanted:
            self.sights.append((self.settled, None, sight))
        self.wanted = sight

    def _see(self, sight: Sight) -> None:
        """A filter has taken effect: those asked for before it see nothing of what is written from now on."""
        self.sight = sight
        newest = max(place for place, (_, _, asked) in enumerate(self.sights) if asked == sight)
        self.sights = [
            (start, len(self.rows) if end is None and place < newest else end, asked)
            for place, (start, end, asked) in enumerate(self.sights)
        ]

    # -- what comes -----------------------------------------------------------------------------------------

    async def _read(self, visit: Visit) -> None:
        assert self._socket is not None
        async for message in self._socket:
            await self._gate.wait()
            body = msgspec.json.decode(message.data)
            if body["type"] == "log":
                self._record(visit, body["data"])
            elif body["type"] == "status":
                self._told(visit, body["message"], body["data"])
            elif body["type"] == "heartbeat":
                self.beats += 1
                identity = body["data"]["lastId"]
                if identity is not None:
                    self.anchor = Anchor(identity, visit.life, len(self.got))
            else:
                self.faults.append(f"was sent {body}")

    def _record(self, visit: Visit, record: dict[str, Any]) -> None:
        name = key(record)
        late = record.get("late", False)
        self.got.append(Got(name, len(self.visits) - 1, late))
        if late:
            self.arrived.setdefault((visit.life, name), len(self.rows))
        self.seen.add(name)
        self.anchor = self.record = Anchor(record["id"], visit.life, len(self.got))
        if not self.sight.sees(record["serviceName"], record["message"]):
            self.faults.append(f"{name!r} is not in {self.sight}")

    def _told(self, visit: Visit, message: str, data: dict[str, Any]) -> None:
        self.told.append((len(self.got), {"message": message, **data}))
        if message == "connected":
            visit.connected, visit.outcome = len(self.rows), data["resume"]
            self._see(visit.sight)
            seeded = self.seeded.setdefault(visit.life, visit.connected)
            if visit.anchor is None:
                self.baseline = visit.connected
            else:
                stamp = parse(visit.anchor.timestamp)
                visit.rebuilt = any(row.ns == stamp for row in self.rows[:seeded])
        elif message == "filter":
            echoed = data["filter"]
            self._see(Sight(tuple(echoed["services"]), echoed["search"]))

    # -- the verdict ----------------------------------------------------------------------------------------

    def verdict(self) -> "Verdict":
        """Hold what was got against what was written and said."""
        written = keys(self.rows)
        verdict = Verdict(self.name, list(self.faults))
        self._judge_repeats(written, verdict)
        self._judge_order(written, verdict)
        self._judge_missing(written, verdict)
        return verdict

    def _judge_repeats(self, written: Mapping[str, Place], verdict: "Verdict") -> None:
        last: dict[str, int] = {}
        for at, got in enumerate(self.got):
            place = written.get(got.key)
            if place is None:
                verdict.repeats.append(f"{got.key!r} was never written")
            elif got.key in last:
                before = last[got.key]
                same_visit = before >= self.visits[got.visit].first
                if same_visit or not self._may_repeat(self.visits[got.visit], place, before, written):
                    verdict.repeats.append(f"{got.key!r} again in visit {got.visit}")
                else:
                    verdict.again += 1
            last[got.key] = at

    def _may_repeat(self, visit: Visit, place: Place, before: int, written: Mapping[str, Place]) -> bool:
        """Whether a record that had come at `before` may come again in a later visit."""
        anchor = visit.anchor
        if anchor is None:
            return False
        resumed = self.got[anchor.got - 1].key if anchor.got else None
        if before >= next((at for at, got in enumerate(self.got) if got.key == resumed), 0):
            return True  # it came after what the reader resumed from, when that came first
        if place.hidden and not self.visits[self.got[before].visit].exact:
            return (
                True  # a fetch had brought it; to the relay it arrived when it was found, after the last id
            )
        if self.visits[self.got[anchor.got - 1].visit].sorted and self._may_follow(place, anchor, written):
            return True  # who is sent the past in order of stamps doesn't end with what had arrived last
        if place.hidden and visit.by == "lastTimestamp":
            return True  # it was found after the first record of that stamp had come, wherever it was written
        if visit.by == "lastId" and not visit.sorted:
            return False
        # A history which doesn't reach back to a stamp is sent from its beginning, late rows of before included.
        if place.ns >= visit.begin or (visit.by == "lastTimestamp" and not visit.exact):
            return True
        # By a stamp, all that arrived after the first record of that stamp comes again, late ones too.
        first = min((at.number for at in written.values() if at.ns == visit.begin), default=0)
        return visit.exact and place.number >= first

    @staticmethod
    def _may_follow(place: Place, anchor: Anchor, written: Mapping[str, Place]) -> bool:
        """Whether a line may have arrived after a reader's last record: polls come in turn, each in order of stamps."""
        stamp = parse(anchor.timestamp)
        first = min((at.number for at in written.values() if at.ns == stamp), default=0)
        return place.number >= first or place.ns >= stamp

    def _judge_order(self, written: Mapping[str, Place], verdict: "Verdict") -> None:
        run: list[Come] = []
        done: set[str] = set()
        visit = -1
        for got in self.got:
            if got.visit != visit:
                visit = got.visit
                # After a stamp, what ties with it comes again, and may pass another filter now.
                if self.visits[visit].sorted or self.visits[visit].by == "lastTimestamp":
                    self._close_run(run, verdict)
                    done = set()
                    run = []
            place = written.get(got.key)
            if place is None or got.key in done:
                continue
            done.add(got.key)
            # Late rows that a fetch did not ask for come with the history after it, if they still can.
            come = self.visits[visit]
            # Those that were written while the past was being fetched come by query or by subscription, one before
            # the other by chance.
            aside = come.sorted and (
                place.ns < come.begin + (come.by == "lastTimestamp")
                or (place.late and place.number < (come.connected or 0))
            )
            if not place.hidden and not aside:
                run.append(Come(place, got))
        self._close_run(run, verdict)

    def _close_run(self, run: list[Come], verdict: "Verdict") -> None:
        wrong = set(misplaced([come.place for come in run]))
        verdict.disorder += [
            f"{come.place} comes too late"
            for at, come in enumerate(run)
            if come.place in wrong and not all(self._may_precede(before, come) for before in run[:at])
        ]

    def _may_precede(self, before: Come, come: Come) -> bool:
        """Whether one record may have come before another.

        A query shows lines that no poll has brought yet. Of the lines that were written since the past was fetched up
        to some stamp, those stamped later come with its next page, and those stamped before come, late, by the next
        poll: before it nothing tells the relay of them. As soon as one has arrived, whatever is written from then on
        has to come after it.
        """
        if before.place.number < come.place.number or before.place.ns < come.place.ns:
            return True
        visit = self.visits[come.got.visit]
        if not (visit.sorted and come.got.late and before.fetched and before.got.visit == come.got.visit):
            return False
        return before.place.number < self.arrived[visit.life, come.got.key]

    def _judge_missing(self, written: Mapping[str, Place], verdict: "Verdict") -> None:
        if self.baseline is None:
            return
        excuses = self._excuses()
        lost = sum(told["count"] for _, told in self.told if told["message"] == "lost")
        missing = []
        for name, place in written.items():
            if place.number < self.baseline or name in self.seen or not self._must_see(place.number):
                continue
            excuse = next((said for said, covers in excuses if covers(place)), None)
            if excuse is None:
                missing.append(f"{name!r} {place}")
            else:
                verdict.excused[excuse] = verdict.excused.get(excuse, 0) + 1
        verdict.excused["lost"] = min(lost, len(missing))
        verdict.missing += missing[lost:]
        told = {notice["message"] for _, notice in self.told}
        if len(self.visits) == 1 and len(self.sights) == 1 and self.sight == Sight() and "gap" not in told:
            self._judge_count(lost, len(missing), verdict)

    def _judge_count(self, lost: int, missing: int, verdict: "Verdict") -> None:
        """One who was never cut and sees everything knows how much was lost, but for what it met at the door."""
        if not missing <= lost <= missing + (self.baseline or 0):
            verdict.faults.append(f"{lost} are said to be lost, {missing} are")

    def _must_see(self, number: int) -> bool:
        row = self.rows[number]
        assert row.tags is not None
        service = self.names[row.tags["serviceId"] or ""]
        applying = [
            sight
            for start, end, sight in self.sights
            if row.hidden or (start <= number and (end is None or number < end))
        ]
        return all(sight.sees(service, row.message) for sight in applying)

    def _excuses(self) -> list[tuple[str, Callable[[Place], bool]]]:
        found: list[tuple[str, Callable[[Place], bool]]] = []
        for _, told in self.told:
            if told["message"] == "gap":
                found.append(("gap", _between(told)))
            elif told["message"] == "connected" and (told["resume"] or {}).get("outcome") == "partial":
                found.append(("partial", _between(told["resume"])))
        inexact = [visit for visit in self.visits if not visit.exact]
        return found + [("late and no overlap", _before(visit)) for visit in inexact]


def _between(said: Mapping[str, Any]) -> Callable[[Place], bool]:
    start = -1 if said["from"] is None else parse(said["from"])
    end = 1 << 63 if said["to"] is None else parse(said["to"])
    return lambda place: start <= place.ns <= end


def _before(visit: Visit) -> Callable[[Place], bool]:
    """What is stamped before a resume's begin and had been written by then: see protocol.md on `overlap`."""
    # Of two that tie, one which polls passed over may stand before the last id in the same way.
    return lambda place: place.ns < visit.begin + place.hidden and place.number < (visit.connected or 0)


@attrs.define
class Verdict:
    """What is wrong with what one reader got; all empty where nothing is."""

    name: str
    faults: list[str] = attrs.Factory(list)
    missing: list[str] = attrs.Factory(list)
    repeats: list[str] = attrs.Factory(list)
    disorder: list[str] = attrs.Factory(list)
    excused: dict[str, int] = attrs.Factory(dict)  # missing, but said
    again: int = 0  # repeated, as the protocol allows it

    @property
    def report(self) -> Report:
        return Report(len(self.missing), len(self.repeats), len(self.disorder))

    @property
    def right(self) -> bool:
        return self.report == PERFECT and not self.faults
