"""The past in pages, oldest first: closed windows forward in time, a full one made smaller. No I/O of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import attrs

from logrelay.relay.records import Content

PAGE_SIZE = 5000  # rows; the most that Railway gives (facts.md section 4)

Stamped = tuple[int, Content]  # nanoseconds since 1970, and what the row says


@attrs.frozen
class Fetched:
    """What one query gave: rows with their stamps, and how many more could not be read."""

    rows: Sequence[Stamped]
    unreadable: int = 0

    @property
    def size(self) -> int:
        """How many rows the answer had."""
        return len(self.rows) + self.unreadable


Fetch = Callable[[int, int], Awaitable[Fetched]]


@attrs.frozen
class Page:
    """Rows stamped from `start_ns` to `end_ns`, both included. `overfull`: Railway has more of them than it gives."""

    start_ns: int
    end_ns: int
    rows: Sequence[Stamped]
    overfull: bool = False
    unreadable: int = 0


async def forward(fetch: Fetch, start_ns: int, end_ns: int, *, size: int = PAGE_SIZE) -> AsyncIterator[Page]:
    """Pages from `start_ns` to `end_ns`, both included, without a hole between them.

    `fetch(start, end)` gives the newest `size` rows (or one more, facts.md section 5) of a closed window, oldest
    first. A window is complete, even when the answer is full, once a row from before it has come along: the
    newest rows are given first. Only a window of a single nanosecond can stay overfull; equal stamps never fall
    into two pages.
    """
    cursor = start_ns
    width = max(end_ns - start_ns, 0)
    while cursor <= end_ns:
        stop = min(cursor + width, end_ns)
        fetched = await fetch(cursor, stop)
        oldest = min((ns for ns, _ in fetched.rows), default=cursor)
        full = fetched.size >= size and oldest >= cursor
        if full and stop > cursor:
            # A tie at the end says nothing about what lies before it: leave just that nanosecond for later.
            tied = oldest >= stop
            width = stop - cursor - 1 if tied else min((stop - cursor) // 2, (stop - oldest) * 4 // 5)
            continue
        inside = sorted((row for row in fetched.rows if cursor <= row[0] <= stop), key=lambda row: row[0])
        yield Page(cursor, stop, inside, overfull=full, unreadable=fetched.unreadable)
        cursor = stop + 1
        if fetched.size <= size // 4:
            width = max(width, 1) * (2 if inside else 8)
