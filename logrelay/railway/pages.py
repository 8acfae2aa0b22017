"""The past in pages, oldest first: closed windows forward in time, a full one made smaller. No I/O of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import attrs

from logrelay.relay.records import Content

PAGE_SIZE = 5000  # rows; the most that Railway gives (facts.md section 4)
_CALM = 3  # pages that have to fit before windows grow again

Stamped = tuple[int, Content]  # nanoseconds since 1970, and what the row says


@attrs.frozen
class Fetched:
    """What one query gave: rows with their stamps, and how many more could not be read.

    `oversize`: there is more, which makes an answer larger than the relay takes.
    """

    rows: Sequence[Stamped]
    unreadable: int = 0
    oversize: bool = False
    foreign: int = 0  # rows that are another environment's

    @property
    def size(self) -> int:
        """How many rows the answer had."""
        return len(self.rows) + self.unreadable + self.foreign


Fetch = Callable[[int, int], Awaitable[Fetched]]


@attrs.frozen
class Page:
    """Rows stamped from `start_ns` to `end_ns`, both included.

    `overfull`: Railway has more of them than it gives. `too_large`: it has more than the relay takes in one answer.
    """

    start_ns: int
    end_ns: int
    rows: Sequence[Stamped]
    overfull: bool = False
    unreadable: int = 0
    too_large: bool = False


async def forward(
    fetch: Fetch, start_ns: int, end_ns: int, *, size: int = PAGE_SIZE, width_ns: int | None = None
) -> AsyncIterator[Page]:
    """Pages from `start_ns` to `end_ns`, both included, without a hole between them; the first windows `width_ns` wide.

    `fetch(start, end)` gives the newest `size` rows (or one more, facts.md section 5) of a closed window, oldest
    first. A window is complete, even when the answer is full, once a row from before it has come along: the
    newest rows are given first. Only a window of a single nanosecond can stay overfull or too large; equal stamps
    never fall into two pages.
    """
    cursor = start_ns
    width = widest = max(end_ns - start_ns, 0) if width_ns is None else width_ns
    calm = _CALM  # pages since the last answer that was too large
    bad = start_ns - 1  # the end of the last window that was too large; beyond it nothing is known
    while cursor <= end_ns:
        stop = min(cursor + width, end_ns)
        fetched = await fetch(cursor, stop)
        if fetched.oversize and stop > cursor:
            bad, width = stop, (stop - cursor) // 2
            calm = 0
            continue
        oldest = min((ns for ns, _ in fetched.rows), default=cursor)
        full = fetched.size >= size and oldest >= cursor and not fetched.oversize
        if full and stop > cursor:
            # A tie at the end says nothing about what lies before it: leave just that nanosecond for later.
            tied = oldest >= stop
            width = stop - cursor - 1 if tied else min((stop - cursor) // 2, (stop - oldest) * 4 // 5)
            continue
        inside = sorted((row for row in fetched.rows if cursor <= row[0] <= stop), key=lambda row: row[0])
        yield Page(cursor, stop, inside, full, fetched.unreadable, fetched.oversize)
        cursor = stop + 1
        calm += 1
        if fetched.oversize:
            width = widest  # what was in the way is left behind
        elif cursor <= bad:
            width = bad - cursor  # the rest of what was too large as a whole
        elif fetched.size <= size // 4 and (calm >= _CALM or not inside):
            # Where each row is large, a wider window would only have to be made smaller again.
            width = max(width, 1) * (2 if inside else 8)
