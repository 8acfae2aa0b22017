"""Fetching what a full frame left out, or saying that it is missing. Knows no sink and no gateway."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence

import attrs

from logrelay.errors import BudgetSpent, UpstreamError
from logrelay.railway import pages
from logrelay.railway.intake import SECOND, gap
from logrelay.railway.pages import Fetch, Page, Stamped
from logrelay.relay.records import Entry

logger = logging.getLogger(__name__)


@attrs.frozen
class Room:
    """How large a hole may be that is fetched."""

    records: int = 100_000
    seconds: float = 3600.0


Make = Callable[[Sequence[Stamped]], Sequence[Entry]]


async def fetched(
    fetch: Fetch, make: Make, start_ns: int, end_ns: int, room: Room
) -> AsyncIterator[Sequence[Entry]]:
    """The entries of a hole, both ends included, oldest first; what can't be had is a gap in its place.

    `make` turns rows into entries and leaves out those that are known. Raises nothing of Railway's.
    """
    earliest = end_ns - int(room.seconds * SECOND)
    if start_ns < earliest:
        yield [gap("limit", start_ns, earliest)]
        start_ns = earliest
    cursor = start_ns
    left = room.records
    try:
        async for page in pages.forward(fetch, start_ns, end_ns):
            made = [*make(page.rows), *losses(page)]
            yield made
            left -= len(made)
            cursor = page.end_ns + 1
            if left <= 0 and cursor <= end_ns:
                yield [gap("limit", cursor, end_ns)]
                return
    except UpstreamError as error:
        logger.warning("hole not filled", extra={"reason": str(error)})
        yield [gap("limit" if isinstance(error, BudgetSpent) else "outage", cursor, end_ns)]


def losses(page: Page) -> list[Entry]:
    """The gaps of a page: rows of one nanosecond beyond what Railway gives, and rows that can't be read."""
    found: list[Entry] = []
    if page.overfull:
        found.append(gap("upstream_truncated", page.start_ns, page.end_ns))
    if page.unreadable:
        found.append(gap("unreadable", page.start_ns, page.end_ns, page.unreadable))
    return found
