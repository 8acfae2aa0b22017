"""Where a new connection begins: its place in the history, and what of the past it is sent before that."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import attrs

from logrelay.errors import BudgetSpent, UpstreamError
from logrelay.relay import resume, timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.relay.resume import Plan, Request

_SECOND = 1_000_000_000
_SCANNED_AT_ONCE = 2000  # entries, before other clients get their turn


@attrs.frozen
class ResumeLimits:
    """How far a resume may reach into Railway's past."""

    seconds: float = 3600.0  # before the newest record
    records: int = 20_000
    retention: float = (
        7 * 86_400.0
    )  # seconds that Railway keeps logs on its smallest paid plan (facts.md section 9)
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
        self._until = 0  # ns; up to where the past has been asked for
        self._pages: AsyncIterator[Sequence[Entry]] | None = None
        self._first: list[Entry] = []
        self._forget_at: float | None = None

    async def prepare(self, hub: Hub) -> None:
        """Plan, and fetch the first page where the history doesn't reach back, so that the outcome is true."""
        history = hub.history
        self.position = history.end
        if self._request is None:
            return
        plan = resume.plan(
            self._request, history, reach=self._limits.seconds, retention=self._limits.retention
        )
        if plan.fetch_from is not None and history.floor_ns is not None:
            plan = await self._fetch_first(hub, plan, self._request, plan.fetch_from, history.floor_ns)
        self._plan = plan
        self.position = plan.position
        self.outcome = plan.describe()

    async def _fetch_first(
        self, hub: Hub, plan: Plan, request: Request, start_ns: int, floor_ns: int
    ) -> Plan:
        self._until = floor_ns
        pages = hub.past(start_ns, floor_ns)
        try:
            first = list(await anext(pages, ()))
        except UpstreamError:
            return plan.short_of(request.ns, floor_ns, "limit")
        self._pages = pages
        logs = [entry for entry in first if isinstance(entry, LogRecord)]
        ids, stamps = [entry.id for entry in logs], [entry.ns for entry in logs]
        begin, found = resume.unseen(request, ids, stamps)
        if start_ns > request.ns:
            begin, found = 0, True  # the place lies before what may be fetched, which `partial` says already
        if begin:
            first = first[first.index(logs[begin - 1]) + 1 :]
        self._first = first
        return plan if found else plan.short_of(request.ns, request.ns, "unknown_id")

    async def backfill(self, hub: Hub) -> AsyncIterator[Sequence[Entry]]:
        """What lies between the client's last record and the history, oldest first.

        The history's beginning moves on while this goes on; it ends where the two meet, without a turn of the event
        loop between the last look and the position.
        """
        if self._pages is None:
            self._meet(hub)
            return
        room = self._limits.records
        pages: AsyncIterator[Sequence[Entry]] = self._pages
        yield self._remember(hub, self._first)
        room -= len(self._first)
        while True:
            reached = self._until
            try:
                async for entries in pages:
                    yield self._remember(hub, entries)
                    room -= len(entries)
                    reached = max(
                        (entry.ns for entry in entries if isinstance(entry, LogRecord)), default=reached
                    )
                    if room <= 0:
                        break
            except UpstreamError as error:
                reason = "limit" if isinstance(error, BudgetSpent) else "outage"
                yield [_gap(reached, hub.history.floor_ns, reason)]
                break
            floor = hub.history.floor_ns
            if room <= 0 and floor is not None and reached < floor:
                yield [_gap(reached, floor, "limit")]
                break
            if floor is None or floor <= self._until:
                break
            pages = hub.past(self._until + 1, floor)
            self._until = floor
        self._meet(hub)

    def _meet(self, hub: Hub) -> None:
        if self._plan is not None and self._plan.fetch_from is not None:
            self.position = hub.history.first
        self._forget_at = asyncio.get_running_loop().time() + self._limits.seam

    def _remember(self, hub: Hub, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Note which fetched records the client will meet again in the history, or may."""
        newest = hub.history.newest_ns or 0
        border = newest - int(self._limits.seam * _SECOND)
        self.already.update(
            entry.id
            for entry in entries
            if isinstance(entry, LogRecord) and (entry.ns > border or hub.history.find(entry.id) is not None)
        )
        return entries

    def met_again(self) -> bool:
        """Whether fetched records may still come by the history; forgets them when that time is over."""
        if self._forget_at is not None and asyncio.get_running_loop().time() > self._forget_at:
            self.already = set()
        return bool(self.already)


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
