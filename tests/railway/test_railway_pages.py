import asyncio
import bisect
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logrelay.railway import pages
from logrelay.railway.pages import Fetched, Page
from logrelay.relay.records import Content


class Railway:
    """A model of Railway's answers to a window: the newest rows, one more than asked, oldest first."""

    def __init__(self, stamps: Sequence[int], size: int, *, more: int = 1, inclusive: bool = True) -> None:
        self.stamps = sorted(stamps)
        self.size = size
        self.more = more
        self.inclusive = inclusive
        self.queries = 0

    async def fetch(self, start_ns: int, end_ns: int) -> Fetched:
        self.queries += 1
        start = start_ns - 1  # as the archive asks
        find = bisect.bisect_left if self.inclusive else bisect.bisect_right
        low, high = find(self.stamps, start), bisect.bisect_right(self.stamps, end_ns)
        found = [(self.stamps[n], Content(str(self.stamps[n]), str(n))) for n in range(low, high)]
        return Fetched(found[-(self.size + self.more) :])


async def all_of(railway: Railway, start: int, end: int) -> list[Page]:
    return [page async for page in pages.forward(railway.fetch, start, end, size=railway.size)]


@settings(max_examples=300, deadline=None)
@given(
    stamps=st.lists(st.integers(0, 60) | st.integers(0, 10**9), max_size=60),
    bounds=st.tuples(st.integers(0, 70) | st.integers(0, 10**9), st.integers(0, 10**9)),
    size=st.integers(1, 8),
    more=st.integers(0, 1),
    inclusive=st.booleans(),
)
def test_pages_cover_the_window_without_hole_or_repeat(
    stamps: list[int], bounds: tuple[int, int], size: int, more: int, *, inclusive: bool
) -> None:
    start, length = bounds
    end = start + length
    railway = Railway(stamps, size, more=more, inclusive=inclusive)

    got = asyncio.run(all_of(railway, start, end))

    # The windows meet without a nanosecond between them ...
    assert [page.start_ns for page in got] == [start, *(page.end_ns + 1 for page in got[:-1])]
    assert got[-1].end_ns == end
    # ... and hold all rows in order; a page that doesn't says so, and is of one nanosecond.
    seen = [ns for page in got for ns, _ in page.rows]
    assert seen == sorted(seen)
    for page in got:
        there = [ns for ns in railway.stamps if page.start_ns <= ns <= page.end_ns]
        if len(page.rows) < len(there):
            assert page.overfull
            assert page.start_ns == page.end_ns
        else:
            assert [ns for ns, _ in page.rows] == there
        if page.overfull:
            assert page.start_ns == page.end_ns


async def test_an_empty_window_is_one_query() -> None:
    railway = Railway([], 5000)

    assert await all_of(railway, 0, 3600 * 10**9) == [Page(0, 3600 * 10**9, [])]
    assert railway.queries == 1


async def test_a_window_the_wrong_way_round_is_nothing() -> None:
    assert await all_of(Railway([1], 5), 2, 1) == []


@pytest.mark.parametrize("at", [0, 1800 * 10**9, 3600 * 10**9])
async def test_more_rows_of_one_nanosecond_than_a_page_holds(at: int) -> None:
    stamps = [*range(0, 3600 * 10**9, 10**9), *[at] * 6000]
    railway = Railway(stamps, 5000)

    got = await all_of(railway, 0, 3600 * 10**9)

    assert [page.start_ns for page in got if page.overfull] == [at]
    assert sum(len(page.rows) for page in got) == 3599 + 5001 if at < 3600 * 10**9 else 3600 + 5001
    assert railway.queries < 150


async def test_a_steady_log_costs_about_as_many_queries_as_it_has_pages() -> None:
    stamps = range(0, 3600 * 10**9, 36 * 10**6)  # 100,000 rows in an hour
    railway = Railway(stamps, 5000)

    got = await all_of(railway, 0, 3600 * 10**9)

    assert sum(len(page.rows) for page in got) == 100_000
    assert railway.queries < 60


async def test_rows_that_cannot_be_read_count_for_fullness() -> None:
    asked: list[tuple[int, int]] = []

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        asked.append((start_ns, end_ns))
        return Fetched([], 5001) if (start_ns, end_ns) == (0, 100) else Fetched([], 1)

    got = [page async for page in pages.forward(fetch, 0, 100)]

    assert asked[0] == (0, 100)
    assert len(asked) > 2
    assert sum(page.unreadable for page in got) == len(got)


class Narrow(Railway):
    """A model whose rows have a weight, asked by somebody who takes only so much at once."""

    def __init__(self, stamps: Sequence[int], size: int, most: int, heavy: Sequence[int]) -> None:
        super().__init__(stamps, size)
        self.most = most
        self.heavy = set(heavy)
        self.beyond: set[int] = set()

    def too_large(self, rows: Sequence[tuple[int, Content]]) -> bool:
        return len(rows) > self.most or any(ns in self.heavy for ns, _ in rows)

    async def fetch(self, start_ns: int, end_ns: int) -> Fetched:
        fetched = await super().fetch(start_ns, end_ns)
        rows = [row for row in fetched.rows if row[0] not in self.beyond]
        if not self.too_large(rows):
            return Fetched(rows)
        if start_ns < end_ns:
            return Fetched([], oversize=True)
        # As the archive does it for one nanosecond: what fits of it, and whether that is all.
        here = [row for row in rows if row[0] == start_ns]
        if not self.too_large(here):
            return Fetched(here)
        self.beyond.add(start_ns)
        return Fetched([] if start_ns in self.heavy else here[-self.most :], oversize=True)


@settings(max_examples=300, deadline=None)
@given(
    stamps=st.lists(st.integers(0, 60) | st.integers(0, 10**9), max_size=60),
    heavy=st.lists(st.integers(0, 60) | st.integers(0, 10**9), max_size=4),
    length=st.integers(0, 70) | st.integers(0, 10**9),
    size=st.integers(1, 8),
    most=st.integers(1, 8),
    width=st.none() | st.integers(0, 1000),
)
def test_u15_pages_leave_out_what_is_too_large_and_nothing_else(
    *, stamps: list[int], heavy: list[int], length: int, size: int, most: int, width: int | None
) -> None:
    railway = Narrow([*stamps, *heavy], size, most, heavy)

    async def walk() -> list[Page]:
        found = pages.forward(railway.fetch, 0, length, size=size, width_ns=width)
        return [page async for page in found]

    got = asyncio.run(walk())

    assert [page.start_ns for page in got] == [0, *(page.end_ns + 1 for page in got[:-1])]
    assert got[-1].end_ns == length
    for page in got:
        there = [ns for ns in railway.stamps if page.start_ns <= ns <= page.end_ns]
        if page.too_large or page.overfull:
            assert page.start_ns == page.end_ns
            assert not (page.too_large and page.overfull)
        else:
            assert [ns for ns, _ in page.rows] == there
            assert not railway.heavy & set(there)
    wanted = {ns for ns in heavy if ns <= length}
    assert wanted <= {page.start_ns for page in got if page.too_large}


async def test_u15_one_row_that_is_too_large_costs_a_bounded_number_of_queries() -> None:
    stamps = range(0, 3600 * 10**9, 10**9)
    railway = Narrow(stamps, 5000, 10_000, [1800 * 10**9])

    got = await all_of(railway, 0, 3600 * 10**9)

    assert [page.start_ns for page in got if page.too_large] == [1800 * 10**9]
    assert sum(len(page.rows) for page in got) == 3599
    assert railway.queries < 100


async def test_u15_where_all_rows_are_large_windows_do_not_swing() -> None:
    stamps = range(0, 3600 * 10**9, 10**9)
    railway = Narrow(stamps, 5000, 100, [])

    got = await all_of(railway, 0, 3600 * 10**9)

    assert sum(len(page.rows) for page in got) == 3600
    assert railway.queries < 3 * 36 + 20
