"""The past in pages, oldest first: closed windows forward in time, a full one made smaller. No I/O of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import attrs

from logrelay.relay.records import Content

PAGE_SIZE = 5000  # rows; the most that Railway gives (facts.md section 4)

Stamped = tuple[int, Content]
Fetch = Callable[[int, int], Awaitable[Sequence[Stamped]]]


@attrs.frozen
class Page:
    """Rows stamped from `start_ns` to `end_ns`, both included. `overfull`: Railway has more of them than it gives."""

    start_ns: int
    end_ns: int
    rows: Sequence[Stamped]
    overfull: bool = False


async def forward(fetch: Fetch, start_ns: int, end_ns: int, *, size: int = PAGE_SIZE) -> AsyncIterator[Page]:
    """Pages from `start_ns` to `end_ns`, both included, without a hole between them.

    `fetch(start, end)` gives the newest `size` rows (or one more, facts.md section 5) of a closed window, oldest
    first. Whether a window is full is judged before rows outside of it are left out. Only a window of a single
    nanosecond can stay overfull; equal stamps never fall into two pages.
    """
    cursor = start_ns
    width = max(end_ns - start_ns, 0)
    while cursor <= end_ns:
        stop = min(cursor + width, end_ns)
        rows = await fetch(cursor, stop)
        full = len(rows) >= size
        if full and stop > cursor:
            oldest = min(ns for ns, _ in rows)
            width = min((stop - cursor) // 2, max(stop - oldest, 0) * 4 // 5)
            continue
        yield Page(cursor, stop, [row for row in rows if cursor <= row[0] <= stop], overfull=full)
        cursor = stop + 1
        if len(rows) < size // 4:
            width = max(width, 1) * (2 if rows else 8)
