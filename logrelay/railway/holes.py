"""Fetching what a full frame left out, or saying that it is missing. Knows no sink and no gateway."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

import attrs

from logrelay.errors import BudgetSpent, UpstreamError, UpstreamUnavailable
from logrelay.railway import pages
from logrelay.railway.answers import QueryFailed
from logrelay.railway.intake import SECOND, gap
from logrelay.railway.pages import Fetch, Fetched, Page
from logrelay.railway.verdicts import Kind
from logrelay.relay.records import Entry

logger = logging.getLogger(__name__)

_TICK = 0.001  # seconds; a rest made of rounding errors moves no clock
_PASSING = {Kind.TRANSIENT, Kind.BROKEN, Kind.LIMITED}


@attrs.frozen
class Room:
    """How large a hole may be that is fetched."""

    records: int = 100_000
    seconds: float = 3600.0


Make = Callable[[Page], Sequence[Entry]]


@attrs.define
class Persistent:
    """A fetch that is tried again after failures that may pass.

    All failures of one hole together may take so many `seconds`, with the waits after them and those that Railway
    or the budget asks for; then the last failure is raised. `unhurried`: such a wish is waited for however long it is.
    """

    fetch: Fetch
    seconds: float = 15.0
    spread: Callable[[float], float] = lambda delay: delay
    tries: int = 4  # of one query
    unhurried: bool = False
    _spent: float = attrs.field(default=0.0, init=False)

    async def __call__(self, start_ns: int, end_ns: int) -> Fetched:
        """See pages.Fetch."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = clock()
            try:
                return await self.fetch(start_ns, end_ns)
            except UpstreamError as error:
                wait = wanted(error)
                if wait is None:
                    raise
                if not (self.unhurried and isinstance(error, UpstreamUnavailable)):
                    failures += 1
                    wait = max(wait, self.spread(self.seconds / 30 * 2 ** (failures - 1)))
                    self._spent += clock() - began + wait
                    if failures == self.tries or self._spent > self.seconds:
                        raise
            await asyncio.sleep(max(wait, _TICK))


def wanted(error: UpstreamError) -> float | None:
    """The seconds to wait at least before the next try; None where another one is of no use."""
    if isinstance(error, UpstreamUnavailable):
        return error.retry_after or 0.0
    if isinstance(error, QueryFailed) and error.verdict.kind in _PASSING:
        return error.verdict.retry_after or 0.0
    return None


async def fetched(
    fetch: Fetch, make: Make, start_ns: int, end_ns: int, room: Room
) -> AsyncIterator[tuple[Sequence[Entry], int]]:
    """The entries of a hole, both ends included, oldest first, each time with the stamp where what is left begins.

    What can't be had is a gap in its place. `make` turns a page into entries and leaves out those that are known.
    Raises nothing of Railway's.
    """
    earliest = end_ns - int(room.seconds * SECOND)
    if start_ns < earliest:
        yield [gap("limit", start_ns, earliest)], earliest
        start_ns = earliest
    cursor = start_ns
    left = room.records
    try:
        async for page in pages.forward(fetch, start_ns, end_ns):
            made = make(page)
            cursor = page.end_ns + 1
            yield made, cursor
            left -= len(made)
            if left <= 0 and cursor <= end_ns:
                yield [gap("limit", cursor, end_ns)], cursor
                return
    except UpstreamError as error:
        logger.warning("hole not filled", extra={"reason": str(error)})
        yield [gap("limit" if isinstance(error, BudgetSpent) else "outage", cursor, end_ns)], cursor


def losses(page: Page) -> list[Entry]:
    """The gaps of a page: rows of one nanosecond beyond what Railway gives or we take, and rows that can't be read."""
    found: list[Entry] = []
    if page.overfull:
        found.append(gap("upstream_truncated", page.start_ns, page.end_ns))
    if page.unreadable:
        found.append(gap("unreadable", page.start_ns, page.end_ns, page.unreadable))
    if page.too_large:
        # Where some of that nanosecond came, nobody knows how many more there are.
        found.append(gap("too_large", page.start_ns, page.end_ns, None if page.rows else 1))
    return found
