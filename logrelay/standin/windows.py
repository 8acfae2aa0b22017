"""Which rows of a log a set of window arguments selects (facts.md section 5). Pure: no clock, no I/O."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

import attrs

from logrelay.standin import timestamps
from logrelay.standin.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrelay.standin.rows import Row

DEFAULT_LIMIT = 100
MAX_LIMIT = 5000


@attrs.frozen
class Window:
    """The window arguments, read and checked. Moments are in ns; what wasn't given is None."""

    before_date: int | None = None
    anchor_date: int | None = None
    after_date: int | None = None
    before_limit: int | None = None
    after_limit: int | None = None

    @property
    def rows_before(self) -> int:
        """How many rows are wanted up to the anchor: 100, unless only the other side was asked for."""
        if self.before_limit is not None:
            return self.before_limit
        one_sided = self.anchor_date is not None and (self.after_limit or self.after_date is not None)
        return 0 if one_sided else DEFAULT_LIMIT

    @property
    def rows_after(self) -> int:
        """How many rows are wanted after the anchor: none, unless that side was asked for."""
        if self.after_limit is not None:
            return self.after_limit
        return DEFAULT_LIMIT if self.after_date is not None else 0


def moment(arguments: Mapping[str, Any], name: str) -> int | None:
    """Read a date argument, or refuse it by its name."""
    text = arguments.get(name)
    if text is None:
        return None
    try:
        return timestamps.parse(text)
    except (TypeError, ValueError):
        raise invalid(name) from None


def limit(arguments: Mapping[str, Any], name: str) -> int | None:
    """Read a limit argument; more than 5000 rows are refused by the argument's name."""
    number: int | None = arguments.get(name)
    if number is not None and not 0 <= number <= MAX_LIMIT:
        raise invalid(name)
    return number


def read_window(arguments: Mapping[str, Any]) -> Window:
    """Read and check the five window arguments."""
    return Window(
        before_date=moment(arguments, "beforeDate"),
        anchor_date=moment(arguments, "anchorDate"),
        after_date=moment(arguments, "afterDate"),
        before_limit=limit(arguments, "beforeLimit"),
        after_limit=limit(arguments, "afterLimit"),
    )


def one_more(number: int) -> int:
    """Return the rows that a query gives for a limit: one more than asked, but none for none."""
    return number + 1 if number else 0


def newest(rows: Sequence[Row], number: int, test: Callable[[Row], bool]) -> list[Row]:
    """Return the last rows that pass, at most so many, in their order."""
    found: list[Row] = []
    for row in reversed(rows):
        if len(found) >= number:
            break
        if test(row):
            found.append(row)
    return found[::-1]


def oldest(rows: Sequence[Row], number: int, test: Callable[[Row], bool]) -> list[Row]:
    """Return the first rows that pass, at most so many."""
    found: list[Row] = []
    for row in rows:
        if len(found) >= number:
            break
        if test(row):
            found.append(row)
    return found


def _stamp(row: Row) -> int:
    return row.ns


def between(rows: Sequence[Row], start: int | None, end: int | None) -> Sequence[Row]:
    """Return the rows of a log sorted by stamp with start <= stamp <= end."""
    low = 0 if start is None else bisect.bisect_left(rows, start, key=_stamp)
    high = len(rows) if end is None else bisect.bisect_right(rows, end, key=_stamp)
    return rows[low:high]


def query(rows: Sequence[Row], window: Window, now: int, test: Callable[[Row], bool]) -> list[Row]:
    """Select for a query, from rows sorted by stamp: oldest first, one row more than asked.

    Both ends of a range count. Without an anchor a `beforeDate` selects nothing at all.
    """
    if window.anchor_date is None:
        if window.before_date is not None:
            return []
        return newest(rows, one_more(window.rows_before), test)
    anchor = min(window.anchor_date, now)
    before = between(rows, window.before_date, anchor)
    after = between(rows, anchor + 1, window.after_date)
    return [
        *newest(before, one_more(window.rows_before), test),
        *oldest(after, one_more(window.rows_after), test),
    ]


def backlog(rows: Sequence[Row], window: Window, test: Callable[[Row], bool]) -> list[Row]:
    """Select for a subscription's first frame, from rows sorted by stamp; here the limits are exact.

    `beforeDate` itself is outside. In the anchored form all rows after the anchor belong to the backlog:
    what exceeds `afterLimit` comes with the next polls.
    """
    after_start = None if window.before_date is None else window.before_date + 1
    if window.anchor_date is None:
        return newest(between(rows, after_start, None), window.rows_before, test)
    before = between(rows, after_start, window.anchor_date)
    after = between(rows, window.anchor_date + 1, window.after_date)
    return [*newest(before, window.rows_before, test), *filter(test, after)]
