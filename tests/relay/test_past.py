"""The time before a history, and how many fetches it costs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_making import BASE, DEADLINE, SECOND, ScriptedUpstream, log, notice

from logrelay.errors import UpstreamError, UpstreamUnavailable
from logrelay.relay.history import Bounds, History
from logrelay.relay.hub import Hub
from logrelay.relay.past import Past, PastBounds, ahead
from logrelay.relay.records import Entry, LogRecord, Notice


def stamp(second: float) -> int:
    return BASE + round(second * SECOND)


def line(second: float, text: str | None = None) -> LogRecord:
    return log(f"line {second}" if text is None else text, stamp(second))


def lines(start: int, end: int) -> list[LogRecord]:
    return [line(second) for second in range(start, end)]


async def _at_once() -> None:
    await asyncio.sleep(0)


@attrs.define
class Archive:
    """What Railway has, in pages of so many records; counts what is asked of it."""

    records: list[LogRecord]
    size: int = 10
    before_page: Callable[[], Awaitable[None]] = _at_once
    asked: list[tuple[int, int]] = attrs.Factory(list)
    pages: int = 0  # which have been given
    open: int = 0  # fetches that are neither over nor closed

    async def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        self.asked.append((start_ns, end_ns))
        self.open += 1
        try:
            cursor = start_ns
            while cursor <= end_ns:
                await self.before_page()
                left = sorted(
                    (r for r in self.records if cursor <= r.ns <= end_ns), key=lambda record: record.ns
                )
                page = left[: self.size]
                page += [record for record in left[self.size :] if record.ns == page[-1].ns]
                cursor = page[-1].ns + 1 if len(left) > len(page) else end_ns + 1
                self.pages += 1
                yield page
        finally:
            self.open -= 1


async def read(past: Past, start: float, end: float, *, ahead_ns: int = 0) -> list[Entry]:
    async with contextlib.aclosing(past.read(stamp(start), stamp(end), ahead_ns)) as portions:
        return [entry async for portion in portions for entry in portion]


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0)


# -- sharing -------------------------------------------------------------------------------------------------


async def test_readers_who_come_at_once_share_one_fetch_whatever_their_starts() -> None:
    archive = Archive(lines(0, 100))
    past = Past(archive.past)

    found = await asyncio.gather(*(read(past, start, 99) for start in reversed(range(100))))

    for start, entries in zip(reversed(range(100)), found, strict=True):
        assert entries == archive.records[start:]
    assert archive.asked == [(stamp(0), stamp(99))]
    assert archive.pages == 10
    assert archive.open == 0


async def test_who_comes_later_is_served_from_what_is_kept() -> None:
    archive = Archive(lines(0, 100))
    past = Past(archive.past)
    await read(past, 20, 99)

    assert await read(past, 20, 99) == archive.records[20:]
    assert await read(past, 55.5, 80) == archive.records[56:81]
    assert len(archive.asked) == 1
    assert past.bytes > sum(record.cost for record in archive.records[20:])


async def test_many_who_come_from_slightly_farther_back_each_do_not_cost_a_fetch_each() -> None:
    archive = Archive(lines(0, 2000), size=5000)
    past = Past(archive.past)

    for start in range(1990, 0, -1):
        assert await read(past, start, 1999) == archive.records[start:]

    assert len(archive.asked) <= 12


async def test_foresight_fetches_no_more_than_one_page_that_nobody_has_asked_for() -> None:
    dense = [line(3 + n / 1000, f"dense {n}") for n in range(900)]
    archive = Archive([*dense, *lines(4, 6)], size=10)
    past = Past(archive.past)
    await read(past, 4, 5)

    assert await read(past, 3.95, 5) == archive.records[-2:]
    assert archive.asked == [
        (stamp(4), stamp(5)),
        (stamp(3.95) - SECOND - 1, stamp(4) - 1),
        (stamp(3.95), stamp(4) - 1),
    ]
    assert archive.pages == 3


async def test_what_is_kept_is_extended_forwards_when_the_floor_has_risen() -> None:
    archive = Archive(lines(0, 100))
    past = Past(archive.past)
    await read(past, 0, 49)

    assert await read(past, 10, 99) == archive.records[10:]
    assert archive.asked == [(stamp(0), stamp(49)), (stamp(49) + 1, stamp(99))]


async def test_a_rising_floor_is_fetched_ahead_of() -> None:
    archive = Archive(lines(0, 100))
    past = Past(archive.past)

    for floor in range(50, 70):
        assert await read(past, 0, floor, ahead_ns=stamp(80)) == archive.records[: floor + 1]

    # One page after the other, as long as they are needed; not one for every step.
    assert archive.asked == [(stamp(0), stamp(80)), (stamp(59) + 1, stamp(80))]


def test_how_far_to_fetch_ahead_is_told_by_a_history_that_evicts() -> None:
    history = History(Bounds(records=20))
    none = ahead(history)
    history.append(lines(0, 20), 0.0)
    assert ahead(history) == none < 0

    history.append(lines(20, 30), 0.0)
    assert ahead(history) == stamp(15)
    history.append([notice() for _ in range(20)], 0.0)
    assert ahead(history) == none


async def test_a_reader_far_ahead_does_not_wait_for_one_who_reads_slowly() -> None:
    archive = Archive(lines(0, 1000))
    past = Past(archive.past)
    slow = past.read(stamp(0), stamp(999))
    assert await anext(slow) == archive.records[:10]

    assert await read(past, 500, 999) == archive.records[500:]
    rest = [entry async for portion in slow for entry in portion]

    assert rest == archive.records[10:]
    assert archive.asked == [(stamp(0), stamp(999)), (stamp(500), stamp(999))]
    assert archive.open == 0


async def test_no_more_than_a_few_short_pages_are_fetched_in_advance() -> None:
    archive = Archive(lines(0, 1000))
    past = Past(archive.past)
    slow = past.read(stamp(0), stamp(999))
    await anext(slow)

    for _ in range(100):
        await asyncio.sleep(0)

    assert archive.pages == 4
    await slow.aclose()


async def test_few_fetches_are_left_in_the_middle() -> None:
    archive = Archive(lines(0, 1000))
    past = Past(archive.past)
    readers = [past.read(stamp(start), stamp(999)) for start in range(900, 0, -100)]
    for reader in readers:
        await anext(reader)

    assert archive.open <= 5
    for reader in readers:
        await reader.aclose()
    assert archive.open == 0


# -- leaving and failing -------------------------------------------------------------------------------------


async def test_who_leaves_in_the_middle_of_a_fetch_does_not_end_it_for_the_others() -> None:
    gate = asyncio.Event()
    archive = Archive(lines(0, 30), before_page=lambda: _passed(gate))
    past = Past(archive.past)
    first, second = (asyncio.create_task(read(past, start, 29)) for start in (0, 5))
    await until(lambda: archive.asked)

    first.cancel()
    await asyncio.wait([first])
    gate.set()

    assert await second == archive.records[5:]
    assert len(archive.asked) == 1


async def _passed(gate: asyncio.Event) -> None:
    await gate.wait()


async def test_when_the_last_one_leaves_nothing_is_fetched_any_more() -> None:
    archive = Archive(lines(0, 30), before_page=lambda: _passed(asyncio.Event()))
    past = Past(archive.past)
    tasks = [asyncio.create_task(read(past, start, 29)) for start in (0, 5)]
    await until(lambda: archive.open)

    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    assert archive.open == 0
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "past"]


async def test_an_error_reaches_everyone_who_waits_and_is_not_kept() -> None:
    failing = True

    async def fail() -> None:
        await asyncio.sleep(0)
        if failing:
            raise UpstreamUnavailable("away")

    archive = Archive(lines(0, 30), before_page=fail)
    past = Past(archive.past)

    errors = await asyncio.gather(*(read(past, start, 29) for start in range(10)), return_exceptions=True)
    failing = False

    assert [str(error) for error in errors if isinstance(error, UpstreamUnavailable)] == ["away"] * 10
    assert archive.open == 0
    assert len(archive.asked) == 1
    assert await read(past, 0, 29) == archive.records


async def test_what_came_before_an_error_is_kept() -> None:
    archive = Archive(lines(0, 30))
    failing = True

    async def fail() -> None:
        if archive.pages == 2 and failing:
            raise UpstreamUnavailable("away")

    archive.before_page = fail
    past = Past(archive.past)
    reader = past.read(stamp(0), stamp(29))

    assert [*await anext(reader), *await anext(reader)] == archive.records[:20]
    with pytest.raises(UpstreamUnavailable):
        await anext(reader)
    failing = False
    assert await read(past, 0, 29) == archive.records
    assert archive.asked[-1] == (stamp(19) + 1, stamp(29))


async def test_a_fault_of_ours_is_an_error_too_and_nobody_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    past = Past(Archive(lines(0, 30), before_page=fail).past)

    with pytest.raises(UpstreamError):
        await read(past, 0, 29)
    assert "can't be read" in caplog.text


async def test_what_was_not_asked_for_is_left_out() -> None:
    async def fetch(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        yield lines(0, 3)
        yield lines(3, 20)

    assert await read(Past(fetch), 5, 9) == lines(5, 10)
    assert await read(Past(fetch), 25, 29) == []


async def test_a_relay_that_leaves_the_environment_lets_nobody_wait() -> None:
    archive = Archive(lines(0, 30), before_page=lambda: _passed(asyncio.Event()))
    past = Past(archive.past)
    task = asyncio.create_task(read(past, 0, 29))
    await until(lambda: archive.open)

    await past.close()

    with pytest.raises(UpstreamUnavailable):
        await task
    assert archive.open == 0


# -- bounds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [PastBounds(records=50), PastBounds(bytes=50 * line(0).cost)])
async def test_what_is_kept_is_bounded_and_what_is_not_is_fetched_again(bounds: PastBounds) -> None:
    archive = Archive(lines(0, 300))
    past = Past(archive.past, bounds)

    for start in (0, 0, 290):
        assert await read(past, start, 299) == archive.records[start:]
        assert past.bytes <= 60 * line(0).cost + 6000
    assert (
        archive.asked == [(stamp(0), stamp(299)), (stamp(0), stamp(260) - SECOND)] or len(archive.asked) <= 3
    )


async def test_a_page_larger_than_all_that_may_be_kept_is_served_all_the_same() -> None:
    archive = Archive(lines(0, 300), size=100)
    past = Past(archive.past, PastBounds(records=10))

    assert await read(past, 0, 299) == archive.records


async def test_what_nobody_uses_is_forgotten_after_a_while() -> None:
    past = Past(Archive(lines(0, 30)).past, PastBounds(linger=0.0))
    await read(past, 0, 29)

    await until(lambda: not past.bytes)

    assert not past.active
    assert "0 readers" in repr(past)


async def test_what_is_being_read_is_not_forgotten() -> None:
    archive = Archive(lines(0, 30))
    past = Past(archive.past)
    reader = past.read(stamp(0), stamp(29))
    await anext(reader)

    past.forget()

    assert past.bytes
    await reader.aclose()
    past.forget()
    assert not past.bytes


async def test_large_pages_are_read_in_portions_that_no_tie_is_divided_by() -> None:
    records = [line(second // 400, f"line {second}") for second in range(1200)]
    past = Past(Archive(records, size=5000).past)

    portions = [list(portion) async for portion in past.read(stamp(0), stamp(9))]

    assert [len(portion) for portion in portions] == [800, 400]


# -- late records --------------------------------------------------------------------------------------------


async def test_a_record_that_comes_late_is_put_into_what_is_kept_once() -> None:
    archive = Archive(lines(0, 30))
    past = Past(archive.past)
    await read(past, 0, 29)
    late = line(12, "late")

    past.note([late, late, notice(), archive.records[5], line(31, "after the floor")], stamp(29))

    assert await read(past, 0, 29) == [*archive.records[:13], late, *archive.records[13:]]
    assert len(archive.asked) == 1


async def test_a_record_that_comes_while_its_page_is_on_its_way_is_not_missed() -> None:
    gate = asyncio.Event()
    late = [line(12, "late"), line(40, "elsewhere")]

    async def page() -> list[LogRecord]:
        await gate.wait()
        return lines(0, 30)

    async def fetch(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        yield await page()

    past = Past(fetch)
    task = asyncio.create_task(read(past, 0, 29))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    past.note(late, stamp(50))
    gate.set()

    assert await task == [*lines(0, 13), late[0], *lines(13, 30)]


async def test_too_many_that_come_while_a_page_is_on_its_way_make_it_fail_rather_than_lie() -> None:
    archive = Archive(lines(0, 30))

    async def flood() -> None:
        past.note((line(second / 100, "late") for second in range(1001)), stamp(29))

    archive.before_page = flood
    past = Past(archive.past)

    with pytest.raises(UpstreamUnavailable):
        await read(past, 0, 29)


async def test_who_catches_up_is_told_of_what_comes_late_until_it_is_let_go() -> None:
    past = Past(Archive([]).past)
    latecomers = past.catching_up()
    late = line(5)

    past.note([late, line(11)], stamp(10))
    assert latecomers.rows == {late.id: late}
    past.note((line(second / 200) for second in range(1500)), stamp(10))
    assert (len(latecomers.rows), latecomers.overrun) == (1000, True)
    del latecomers

    assert not past.active


async def test_a_hub_tells_the_past_of_what_comes_late_and_counts_its_memory() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    hub.seed(lines(10, 20), stamp(10))
    latecomers = hub.catching_up()
    before = hub.bytes

    pages = [entry async for page in hub.past(stamp(0), stamp(10)) for entry in page]
    hub.publish([line(5, "late"), line(20)])

    assert [entry.ns for entry in pages if isinstance(entry, LogRecord)] == [stamp(0)]
    assert [*latecomers.rows] == [line(5, "late").id]
    assert [entry async for page in hub.past(stamp(0), stamp(10)) for entry in page] == [
        *pages,
        line(5, "late"),
    ]
    assert hub.bytes > before
    assert hub.shrink(hub.history.bytes - 1) > 0
    assert hub.bytes == hub.history.bytes
    await hub.stop()


# -- as a property -------------------------------------------------------------------------------------------


@given(
    stamps=st.lists(st.integers(0, 40), max_size=60),
    windows=st.lists(
        st.tuples(st.integers(-5, 45), st.integers(0, 45), st.integers(0, 6)), min_size=1, max_size=8
    ),
    size=st.integers(1, 12),
    most=st.integers(1, 80),
    late=st.lists(st.integers(0, 40), max_size=5),
)
def test_every_reader_gets_what_there_is_once_and_in_order(
    stamps: list[int], windows: list[tuple[int, int, int]], size: int, most: int, late: list[int]
) -> None:
    archive = Archive([line(second, f"line {n}") for n, second in enumerate(stamps)], size=size)
    past = Past(archive.past, PastBounds(records=most))

    async def reader(start: int, length: int, pause: int) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        got: list[Entry] = []
        here = list(archive.records)
        async with contextlib.aclosing(past.read(stamp(start), stamp(start + length))) as portions:
            async for portion in portions:
                got += portion
                await asyncio.sleep(0)
        # What came late while this one was reading may be there or not; all else has to be.
        inside = [record for record in archive.records if stamp(start) <= record.ns <= stamp(start + length)]
        assert {record.id for record in inside if record in here} <= {
            e.id for e in got if isinstance(e, LogRecord)
        }
        assert [e for e in got if e not in inside] == []
        assert len(got) == len({e.id for e in got if isinstance(e, LogRecord)})
        assert [e.ns for e in got] == sorted(e.ns for e in got)

    async def arrive() -> None:
        for place, second in enumerate(late):
            await asyncio.sleep(0)
            archive.records.append(line(second, f"late {place}"))
            past.note(archive.records[-1:], stamp(50))

    async def everything() -> None:
        await asyncio.gather(arrive(), *(reader(*window) for window in windows))
        start, length, _ = windows[0]
        expected = {r.id for r in archive.records if stamp(start) <= r.ns <= stamp(start + length)}
        assert {e.id for e in await read(past, start, start + length) if isinstance(e, LogRecord)} == expected
        await past.close()

    asyncio.run(everything())


async def test_notices_of_the_pages_stand_in_their_place_for_everyone() -> None:
    gaps = [Notice("gap", {"count": n}, BASE) for n in range(2)]

    async def fetch(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        yield [gaps[0]]
        yield []
        yield [*lines(0, 3), gaps[1]]
        yield lines(3, 6)
        yield []

    past = Past(fetch)
    expected = [gaps[0], *lines(0, 3), gaps[1], *lines(3, 6)]

    assert await asyncio.gather(*(read(past, 0, 9) for _ in range(3))) == [expected] * 3
