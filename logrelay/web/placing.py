"""Where a new connection begins: its place in the history, and what of the past it is sent before that."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import attrs

from logrelay.errors import BudgetSpent, UpstreamError
from logrelay.relay import resume, timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.history import History
from logrelay.relay.hub import Hub
from logrelay.relay.past import Latecomers
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.relay.resume import Outcome, Plan, Request

_SECOND = 1_000_000_000
_SCANNED_AT_ONCE = 2000  # entries, before other clients get their turn


@attrs.frozen
class ResumeLimits:
    """How far a resume may reach into Railway's past."""

    seconds: float = 3600.0  # before the newest record
    records: int = 20_000
    retention: float = (
        604_800.0  # seconds that Railway keeps logs on its smallest paid plan (facts.md section 9)
    )
    plenty: Callable[[], bool] = lambda: True  # whether queries may be spent on looking back
    seam: float = 300.0  # seconds during which a fetched record may still arrive by the live stream


class Placing:
    """Decides once where a client begins. `outcome` and `position` are valid after `prepare` and `backfill`."""

    def __init__(self, wanted: Filter, request: Request | None, *, tail: int, limits: ResumeLimits) -> None:
        self.filter = wanted
        self.limits = limits
        self.tail = 0 if request is not None else tail
        self.outcome: dict[str, Any] | None = None
        self.joined: int | None = None  # where the history ended when the client came; the rest is live to it
        self.position = 0
        self.already: set[str] = set()  # ids fetched from upstream that the history holds or may still get
        self._request = request
        self._plan: Plan | None = None
        self._reached = 0  # ns; up to where the past has been fetched
        self._until = 0  # ns; up to where it has been asked for
        self._pages: AsyncIterator[Sequence[Entry]] | None = None
        self._first: Sequence[Entry] = ()
        self._late = Latecomers()  # what arrives while the past is being fetched and belongs into it
        self._sought: Request | None = None  # whose last record may still come
        self._forget_at: float | None = None
        self._forget_after: int | None = None  # a number of the history

    async def prepare(self, hub: Hub) -> None:
        """Plan, and fetch the first page where the history doesn't reach back, so that the outcome is true."""
        history = hub.history
        self.position = live = history.end if self.joined is None else _live_from(history, self.joined)
        if self._request is None:
            return
        plan = resume.plan(self._request, history, reach=self.limits.seconds, retention=self.limits.retention)
        if plan.fetch_from is not None and history.floor_ns is not None:
            plan = await self._fetch_first(hub, plan, self._request, plan.fetch_from, history.floor_ns)
        self._plan = plan
        self.position = live if plan.outcome is Outcome.NONE else plan.position
        self.outcome = plan.describe()

    async def _fetch_first(
        self, hub: Hub, plan: Plan, request: Request, start_ns: int, floor_ns: int
    ) -> Plan:
        self._reached, self._until = start_ns, floor_ns
        self._late = hub.catching_up()
        pages = hub.past(start_ns, floor_ns)
        try:
            first, end_ns = await _first(pages, floor_ns)
        except UpstreamError:
            # The floor of now: what has been evicted meanwhile is missing too.
            return plan.unfetched(request.begin, hub.history.floor_ns or floor_ns)
        self._pages = pages
        logs = [entry for entry in first if isinstance(entry, LogRecord)]
        ids, stamps = [entry.id for entry in logs], [entry.ns for entry in logs]
        begin, found = resume.unseen(request, ids, stamps, end_ns)
        if start_ns > request.ns or plan.outcome is Outcome.PARTIAL:
            begin, found = (
                0,
                True,
            )  # the place lies before what may be fetched, or is nowhere: `partial` says it already
        elif request.last_id is not None and hub.history.find(request.last_id) is not None:
            found = True  # only its overlap had to be fetched
        if begin:
            first = first[first.index(logs[begin - 1]) + 1 :]
        self._first = first
        self._sought = request if found is None else None
        return plan.short_of(request.ns, request.ns, "unknown_id") if found is False else plan

    async def backfill(self, hub: Hub) -> AsyncGenerator[Sequence[Entry]]:
        """What lies between the client's last record and the history, oldest first.

        The history's beginning moves on while this goes on; it ends where the two meet. From there on nothing is
        passed over silently: should the place be evicted before the client gets there, it is told what it has lost.
        """
        pages, room, reason = self._pages, self.limits.records, None
        if pages is not None and self._first:
            room -= len(self._first)
            yield self._remember(hub, self._first)
        while pages is not None and reason is None:
            try:
                async with closed(pages):
                    async for entries in pages:
                        if room <= 0:
                            reason = "limit"
                            break
                        room -= len(entries)
                        yield self._remember(hub, entries)
                    else:
                        self._reached = self._until
            except UpstreamError as error:
                reason = "limit" if isinstance(error, BudgetSpent) else "outage"
            floor = hub.history.floor_ns
            if floor is None or floor <= self._reached:
                reason = None  # nothing was left to fetch
                break
            pages = hub.past(self._until + 1, floor)
            self._until = floor
        rest = self._meet(hub, reason)
        if rest:
            yield rest

    def _meet(self, hub: Hub, reason: str | None) -> list[Entry]:
        """Go on with the history; what has to be sent before that, because neither the fetch nor the history has it."""
        self._forget_at = asyncio.get_running_loop().time() + self.limits.seam
        if self._plan is None or self._plan.fetch_from is None:
            return []
        history = hub.history
        self.position = history.first
        late, self._late = self._late, Latecomers()
        # They came after the page that they belong into, and the history has lost them again.
        rest: list[Entry] = [
            record
            for record in late.rows.values()
            if record.id not in self.already and history.find(record.id) is None
        ]
        if late.overrun:
            rest.append(_gap(self._plan.fetch_from, self._reached, "limit"))
        if self._sought is not None and reason is None:
            rest.append(_unknown(self._sought))
        if reason is not None:
            rest.append(_gap(self._reached, history.floor_ns, reason))
        return rest

    def _remember(self, hub: Hub, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Note how far the past has been fetched, and which records the client will meet again, or may."""
        newest = hub.history.newest_ns or 0
        border = newest - int(self.limits.seam * _SECOND)
        reached = self._reached
        for entry in entries:
            if isinstance(entry, LogRecord):
                self._reached = max(self._reached, entry.ns)
                if entry.ns > border or hub.history.find(entry.id) is not None:
                    self.already.add(entry.id)
                self._late.rows.pop(entry.id, None)
        return [*self._overdue(reached), *self._look(entries)]

    def _overdue(self, reached: int) -> list[LogRecord]:
        """Records that came too late for what has been sent, which is all up to `reached`.

        They go before the next page, because that may hold what was written after them.
        """
        late = self._late.rows
        overdue = [
            record for record in late.values() if record.ns <= reached and record.id not in self.already
        ]
        for record in overdue:
            del late[record.id]
            self.already.add(record.id)
        return overdue

    def _look(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Look for the client's last record among its overlap; say in its place that it isn't there."""
        sought = self._sought
        if sought is None:
            return entries
        if any(isinstance(entry, LogRecord) and entry.id == sought.last_id for entry in entries):
            self._sought = None
            return entries
        for place, entry in enumerate(entries):
            if isinstance(entry, LogRecord) and entry.ns > sought.ns:
                self._sought = None
                return [*entries[:place], _unknown(sought), *entries[place:]]
        return entries

    def fresh(self, history: History, start: int, end: int) -> list[Entry] | None:
        """Those entries of the history that the backfill hasn't brought already; None where that is all of them."""
        if not self._met_again(history, start):
            return None
        entries = history.read(start, most=end - start)
        fresh: list[Entry] = []
        again = False  # whether the last record had been brought already, and with it what Railway said in it
        for entry in entries:
            if isinstance(entry, LogRecord):
                again = entry.id in self.already
            if not again or (isinstance(entry, Notice) and entry.data.get("reason") != "upstream_dropped"):
                fresh.append(entry)
        return None if len(fresh) == len(entries) else fresh

    def _met_again(self, history: History, position: int) -> bool:
        """Whether fetched records may still come by the history; forgets them when that time is over.

        A client that lags behind may still have to pass what arrived within that time.
        """
        if not self.already:
            return False
        now = asyncio.get_running_loop().time()
        if self._forget_after is None and self._forget_at is not None and now > self._forget_at:
            self._forget_after = history.end
        if self._forget_after is not None and position >= self._forget_after:
            self.already = set()
        return bool(self.already)


def _live_from(history: History, joined: int) -> int:
    """Where live begins for one who joined when the history ended at `joined`.

    What came in after that is live to him, though not the seed, which is the past to everyone.
    """
    return max(joined, history.seeded, history.first)


async def _first(pages: AsyncIterator[Sequence[Entry]], end_ns: int) -> tuple[Sequence[Entry], int]:
    """What is fetched first, at least one record if there is any, and up to which stamp it is complete."""
    first: list[Entry] = []
    async for entries in pages:  # a window of the past may be empty, and the next one not
        first += entries
        newest = max((entry.ns for entry in entries if isinstance(entry, LogRecord)), default=None)
        if newest is not None:
            return first, newest
    return first, end_ns


@contextlib.asynccontextmanager
async def closed(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[None]:
    """Close an upstream's pages at the end, also when the client leaves in the middle of them."""
    try:
        yield
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()


def lost(history: History, position: int, served_ns: int | None) -> dict[str, Any]:
    """`data` of a `lost` notice for a client whose position has been evicted, and who was served up to `served_ns`."""
    oldest = next((entry for entry in history.read(history.first) if isinstance(entry, LogRecord)), None)
    return {
        "count": history.passed_over(position),
        "from": None if served_ns is None else timestamps.render(served_ns),
        "to": None if oldest is None else timestamps.render(oldest.ns),
    }


def _gap(start_ns: int, end_ns: int | None, reason: str) -> Notice:
    return Notice(
        "gap",
        {
            "from": timestamps.render(start_ns),
            "to": None if end_ns is None else timestamps.render(end_ns),
            "count": None,
            "reason": reason,
        },
        time.time_ns(),
    )


def _unknown(request: Request) -> Notice:
    """The client's last record isn't where it belongs."""
    return _gap(request.ns, request.ns, "unknown_id")


async def recent(hub: Hub, before: int, wanted: Filter, count: int) -> list[LogRecord]:
    """The last `count` matching records before a number of the history, oldest first."""
    found: list[LogRecord] = []
    for scanned, (_, entry) in enumerate(hub.history.backwards(before), start=1):
        if isinstance(entry, LogRecord) and wanted.matches(entry):
            found.append(entry)
            if len(found) >= count:
                break
        if scanned % _SCANNED_AT_ONCE == 0:
            await asyncio.sleep(0)
    found.reverse()
    return found
