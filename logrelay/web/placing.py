"""Where a new connection begins: its place in the history, and what of the past it is sent before that."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import attrs

from logrelay.errors import BudgetSpent, UpstreamError
from logrelay.relay import resume, timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.history import History
from logrelay.relay.hub import Hub
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
    seam: float = 300.0  # seconds during which a fetched record may still arrive by the live stream


class Placing:
    """Decides once where a client begins. `outcome` and `position` are valid after `prepare` and `backfill`."""

    def __init__(self, wanted: Filter, request: Request | None, *, tail: int, limits: ResumeLimits) -> None:
        self.filter = wanted
        self.tail = 0 if request is not None else tail
        self.outcome: dict[str, Any] | None = None
        self.position = 0
        self.already: set[str] = set()  # ids fetched from upstream that the history holds or may still get
        self._request = request
        self._limits = limits
        self._plan: Plan | None = None
        self._reached = 0  # ns; up to where the past has been fetched
        self._until = 0  # ns; up to where it has been asked for
        self._pages: AsyncIterator[Sequence[Entry]] | None = None
        self._first: Sequence[Entry] = ()
        self._forget_at: float | None = None
        self._forget_after: int | None = None  # a number of the history

    async def prepare(self, hub: Hub, joined: int | None = None) -> None:
        """Plan, and fetch the first page where the history doesn't reach back, so that the outcome is true.

        `joined` is where the history ended when the client came; what has arrived since is live to it.
        """
        history = hub.history
        self.position = live = history.end if joined is None else hub.live_from(joined)
        if self._request is None:
            return
        plan = resume.plan(
            self._request, history, reach=self._limits.seconds, retention=self._limits.retention
        )
        if plan.fetch_from is not None and history.floor_ns is not None:
            plan = await self._fetch_first(hub, plan, self._request, plan.fetch_from, history.floor_ns)
        self._plan = plan
        self.position = live if plan.outcome is Outcome.NONE else plan.position
        self.outcome = plan.describe()

    async def _fetch_first(
        self, hub: Hub, plan: Plan, request: Request, start_ns: int, floor_ns: int
    ) -> Plan:
        self._reached, self._until = start_ns, floor_ns
        pages = hub.past(start_ns, floor_ns)
        first: Sequence[Entry] | None = ()
        try:
            while first is not None and not first:  # a window of the past may be empty, and the next one not
                first = await anext(pages, None)
        except UpstreamError:
            return plan.short_of(request.ns, floor_ns, "limit")
        self._pages, first = pages, first or ()
        logs = [entry for entry in first if isinstance(entry, LogRecord)]
        ids, stamps = [entry.id for entry in logs], [entry.ns for entry in logs]
        begin, found = resume.unseen(request, ids, stamps)
        if start_ns > request.ns:
            begin, found = 0, True  # the place lies before what may be fetched, which `partial` says already
        if begin:
            first = first[first.index(logs[begin - 1]) + 1 :]
        self._first = first
        return plan if found else plan.short_of(request.ns, request.ns, "unknown_id")

    async def backfill(self, hub: Hub) -> AsyncGenerator[Sequence[Entry]]:
        """What lies between the client's last record and the history, oldest first.

        The history's beginning moves on while this goes on; it ends where the two meet, without a turn of the event
        loop between the last look and the position.
        """
        pages = self._pages
        room = self._limits.records - len(self._first)
        if pages is not None and self._first:
            yield self._remember(hub, self._first)
        while pages is not None:
            try:
                async with _closed(pages):
                    while room > 0:
                        entries = await anext(pages, None)
                        if entries is None:
                            self._reached = self._until
                            break
                        room -= len(entries)
                        yield self._remember(hub, entries)
            except UpstreamError as error:
                reason = "limit" if isinstance(error, BudgetSpent) else "outage"
                yield [_gap(self._reached, hub.history.floor_ns, reason)]
                break
            floor = hub.history.floor_ns
            if floor is None or floor <= self._reached:
                break
            if room <= 0:
                yield [_gap(self._reached, floor, "limit")]
                break
            pages = hub.past(self._until + 1, floor)
            self._until = floor
        self._meet(hub)

    def _meet(self, hub: Hub) -> None:
        if self._plan is not None and self._plan.fetch_from is not None:
            self.position = hub.history.first
        self._forget_at = asyncio.get_running_loop().time() + self._limits.seam

    def _remember(self, hub: Hub, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Note how far the past has been fetched, and which records the client will meet again, or may."""
        newest = hub.history.newest_ns or 0
        border = newest - int(self._limits.seam * _SECOND)
        for entry in entries:
            if isinstance(entry, LogRecord):
                self._reached = max(self._reached, entry.ns)
                if entry.ns > border or hub.history.find(entry.id) is not None:
                    self.already.add(entry.id)
        return entries

    def fresh(self, history: History, start: int, end: int) -> list[Entry] | None:
        """Those entries of the history that the backfill hasn't brought already; None where that is all of them."""
        if not self._met_again(history, start):
            return None
        entries = history.read(start, most=end - start)
        fresh = [
            entry for entry in entries if not isinstance(entry, LogRecord) or entry.id not in self.already
        ]
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


@contextlib.asynccontextmanager
async def _closed(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[None]:
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
