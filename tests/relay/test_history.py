"""The history, against models that are too simple to be wrong."""

import gc
import random
import tracemalloc
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay_making import BASE, held, log, logs, notice

from logrelay.relay import timestamps
from logrelay.relay.history import Bounds, History
from logrelay.relay.records import Entry, LogRecord

ENDLESS = Bounds(records=1 << 40, bytes=1 << 60, seconds=1e18)

# -- appending and reading -----------------------------------------------------------------------------------


def test_an_empty_history_holds_nothing() -> None:
    history = History()

    assert (history.first, history.end, len(history), history.bytes) == (0, 0, 0, 0)
    assert history.newest_ns is None
    assert history.read(0) == []
    assert list(history.backwards(0)) == []
    assert history.before(0) is None
    assert history.find("nothing") is None
    assert list(history.stamped(1)) == []
    assert history.after(1) == 0
    assert history.since(1) == 0
    assert history.reaches(-1)
    assert history.passed_over(0) == 0
    assert history.shrink(0) == 0
    assert repr(history) == "<History 0..0 0 bytes>"


def test_entries_are_numbered_in_order_of_arrival() -> None:
    history = History()
    first, second, third = logs(5, 1, 9)
    told = notice()

    history.append([first, told, second], 0.0)
    history.append([third], 0.0)

    assert held(history) == [first, told, second, third]
    assert (history.first, history.end) == (0, 4)
    assert [history.find(record.id) for record in (first, second, third)] == [0, 2, 3]
    assert history.bytes == first.cost + second.cost + third.cost + told.cost


def test_a_read_is_bounded_in_number_and_in_bytes_but_gives_at_least_one() -> None:
    history = History()
    entries = logs(1, 2, 3, 4)
    history.append(entries, 0.0)

    assert history.read(1, most=2) == entries[1:3]
    assert history.read(0, room=entries[0].cost) == entries[:1]
    assert history.read(0, room=entries[0].cost + 1) == entries[:2]
    assert history.read(3, room=0) == entries[3:]
    assert history.read(4) == []
    assert history.read(400) == []


def test_reading_what_is_gone_is_an_error() -> None:
    history = History(Bounds(records=2))
    history.append(logs(1, 2, 3), 0.0)

    with pytest.raises(IndexError, match="entry 0 is gone, the oldest is 1"):
        history.read(0)


def test_a_record_that_is_here_already_is_left_out() -> None:
    history = History()
    one, other = logs(1, 2)

    history.append([one, other, one], 0.0)
    history.append([one, notice(), notice()], 0.0)

    assert [entry for entry in held(history) if isinstance(entry, LogRecord)] == [one, other]
    assert len(history) == 4
    assert history.find(one.id) == 0
    assert list(history.stamped(one.ns)) == [0]


def test_a_record_that_comes_again_after_its_eviction_is_taken() -> None:
    history = History(Bounds(records=1))
    one, other = logs(1, 2)

    for record in (one, other, one):
        history.append([record], 0.0)

    assert held(history) == [one]
    assert history.find(one.id) == 2


# -- bounds --------------------------------------------------------------------------------------------------


def test_the_number_of_entries_is_bounded() -> None:
    history = History(Bounds(records=3))
    entries: list[Entry] = [*logs(1, 2, 3), notice(), *logs(4)]

    history.append(entries, 0.0)

    assert held(history) == entries[2:]
    assert (history.first, history.end) == (2, 5)


def test_the_bytes_are_bounded_but_the_newest_entry_stays() -> None:
    small = logs(1, 2, 3)
    history = History(Bounds(bytes=small[0].cost * 2))

    history.append(small, 0.0)
    assert held(history) == small[1:]
    big = log("x" * 50_000)
    history.append([big], 0.0)
    assert held(history) == [big]
    assert history.bytes == big.cost


def test_age_takes_the_old_but_never_the_newest() -> None:
    history = History(Bounds(seconds=10.0, keep=2))
    history.append(logs(1, 2, 3), 0.0)
    history.append(logs(11), 9.0)
    assert len(history) == 4

    history.evict(9.9)
    assert len(history) == 4
    history.evict(10.0)
    assert len(history) == 2
    history.evict(1000.0)
    assert len(history) == 2
    history.append(logs(21, 22, 23), 1000.0)
    assert len(history) == 3
    history.append(logs(31), 1001.0)
    assert len(history) == 4


def test_the_newest_thousand_stay_whatever_their_age() -> None:
    history = History(Bounds(seconds=1.0))
    history.append(logs(*range(1500)), 0.0)

    history.append([notice()], 1e9)

    assert len(history) == 1000


def test_many_small_batches_age_within_a_step_of_the_limit() -> None:
    history = History(Bounds(seconds=256.0, keep=1))
    for place, record in enumerate(logs(*range(100))):
        history.append([record], place / 10)

    history.evict(256.0 + 5.0)

    # The 50 of the first five seconds are due; the step that they share with others may keep some of them.
    assert 40 <= history.first <= 50


def test_appending_nothing_changes_nothing_but_the_age() -> None:
    history = History(Bounds(seconds=10.0, keep=1))
    history.append(logs(1, 2), 0.0)

    history.append([], 5.0)
    assert len(history) == 2
    history.append([], 10.0)
    assert len(history) == 1


# -- a naive model -------------------------------------------------------------------------------------------


@attrs.define
class Model:
    """The same by lists."""

    bounds: Bounds
    entries: list[tuple[int, Entry, float]] = attrs.Factory(list)
    gone: list[tuple[int, Entry]] = attrs.Factory(list)
    end: int = 0
    floor: int | None = None

    def append(self, entries: Sequence[Entry], now: float) -> None:
        for entry in entries:
            self.entries.append((self.end, entry, now))
            self.end += 1
        self.evict(now)

    def evict(self, now: float) -> None:
        while len(self.entries) > self.bounds.records:
            self.drop()
        while self.bytes > self.bounds.bytes and len(self.entries) > 1:
            self.drop()
        keep = min(self.bounds.keep, self.bounds.records)
        while len(self.entries) > keep and self.entries[0][2] <= now - self.bounds.seconds:
            self.drop()

    @property
    def bytes(self) -> int:
        return sum(entry.cost for _, entry, _ in self.entries)

    def drop(self) -> None:
        number, entry, _ = self.entries.pop(0)
        self.gone.append((number, entry))
        if isinstance(entry, LogRecord):
            self.floor = entry.ns if self.floor is None else max(self.floor, entry.ns)

    @property
    def records(self) -> list[tuple[int, LogRecord]]:
        return [(number, entry) for number, entry, _ in self.entries if isinstance(entry, LogRecord)]

    def stamped(self, ns: int) -> list[int]:
        return [number for number, record in self.records if record.ns == ns]

    def after(self, ns: int) -> int:
        same = self.stamped(ns)
        if same:
            return same[0] + 1 if len(same) == 1 else same[0]
        return next((number for number, record in self.records if record.ns > ns), self.end)


def check(history: History, model: Model, stamps: Sequence[int]) -> None:
    assert (history.end, len(history), history.bytes) == (model.end, len(model.entries), model.bytes)
    assert held(history) == [entry for _, entry, _ in model.entries]
    assert list(history.backwards(history.end)) == [
        (number, entry) for number, entry, _ in model.entries[::-1]
    ]
    assert history.floor_ns == model.floor
    for number, record in model.records:
        assert history.find(record.id) == number
    for _, entry in model.gone:
        assert not isinstance(entry, LogRecord) or history.find(entry.id) is None
    for ns in stamps:
        assert list(history.stamped(ns)) == model.stamped(ns)
        gone_later = any(isinstance(entry, LogRecord) and entry.ns >= ns for _, entry in model.gone)
        assert history.reaches(ns) is not gone_later
        # Where an evicted record was stamped later than what is asked for, "the first one stamped later" is gone.
        if history.reaches(ns):
            assert history.after(ns) == model.after(ns)
        else:
            assert history.first <= history.after(ns) <= history.end
    for start in range(model.end + 1):
        assert history.passed_over(start) == sum(
            1 for number, entry in model.gone if number >= start and isinstance(entry, LogRecord)
        )
        before = [record for number, record in model.records if number < start]
        assert history.before(start) == (before[-1] if before else None)


steps = st.lists(
    st.tuples(
        st.lists(st.none() | st.integers(0, 12), max_size=6),  # stamps; None is a notice
        st.floats(0, 5),  # seconds that pass before
    ),
    max_size=12,
)


@settings(deadline=None)
@given(
    steps,
    st.integers(1, 15),
    st.integers(500, 12_000),
    st.sampled_from([1.0, 7.0, 1e9]),
    st.integers(0, 8),
)
def test_it_behaves_like_the_naive_model(
    batches: list[tuple[list[int | None], float]], most: int, room: int, seconds: float, keep: int
) -> None:
    bounds = Bounds(records=most, bytes=room, seconds=seconds, keep=keep)
    history, model = History(bounds), Model(bounds)
    now, serial = 0.0, 0

    for stamps, passed in batches:
        # Batches further apart than a step of the age, so that the model needs none.
        now += passed + seconds / 200
        entries: list[Entry] = []
        for ns in stamps:
            serial += 1
            entries.append(notice() if ns is None else log(f"line {serial}", ns))
        history.append(entries, now)
        model.append(entries, now)

        check(history, model, range(-1, 14))


def test_it_behaves_like_the_naive_model_over_many_compactions() -> None:
    bounds = Bounds(records=50)
    history, model = History(bounds), Model(bounds)
    dice = random.Random(7)
    highest = 0

    for serial in range(4000):
        highest += dice.randrange(3)
        ns = highest - (dice.randrange(40) if dice.random() < 0.1 else 0)
        entry = notice() if dice.random() < 0.02 else log(f"line {serial}", ns)
        history.append([entry], 0.0)
        model.append([entry], 0.0)
        if serial % 97 == 0:
            model.gone = model.gone[-100:]
            assert held(history) == [kept for _, kept, _ in model.entries]
            assert all(history.find(record.id) == number for number, record in model.records)
            for stamp in range(highest - 120, highest + 2):
                assert list(history.stamped(stamp)) == model.stamped(stamp)
                if history.reaches(stamp):
                    assert history.after(stamp) == model.after(stamp)


# -- finding a place -----------------------------------------------------------------------------------------


def test_after_a_stamp_that_one_record_has_comes_the_next_entry() -> None:
    history = History()
    history.append([*logs(1, 2), notice(), *logs(3)], 0.0)

    assert history.after(BASE + 2) == 2


def test_of_records_that_tie_the_first_is_given_again() -> None:
    history = History()
    history.append(logs(1, 2, 2, 2, 3), 0.0)

    assert history.after(BASE + 2) == 1
    assert list(history.stamped(BASE + 2)) == [1, 2, 3]


def test_after_an_unknown_stamp_comes_the_first_one_stamped_later_with_all_that_arrived_after_it() -> None:
    history = History()
    history.append(logs(1, 5, 2, 9), 0.0)

    assert history.after(BASE + 3) == 1
    assert history.after(BASE + 6) == 3
    assert history.after(BASE - 7) == 0
    assert history.after(BASE + 10) == 4


def test_a_late_record_is_found_at_its_place_of_arrival() -> None:
    history = History()
    history.append(logs(1, 5, 2, 9), 0.0)

    assert history.after(BASE + 2) == 3
    assert history.since(BASE + 2) == 1


def test_the_floor_is_the_highest_stamp_that_was_evicted() -> None:
    history = History(Bounds(records=2))
    history.append(logs(1, 7, 3, 4, 8), 0.0)

    assert history.floor_ns == BASE + 7
    assert not history.reaches(BASE + 7)
    assert history.reaches(BASE + 8)


def test_many_records_with_one_stamp_are_told_apart_as_quickly_as_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0  # through all records of a stamp
    ties = History._ties

    def counted(self: History, ns: int, low: int, high: int) -> dict[str, int]:
        nonlocal looks
        looks += ns not in self._tied
        return ties(self, ns, low, high)

    monkeypatch.setattr(History, "_ties", counted)
    history = History(Bounds(records=500))
    tied = [log(f"line {n}", BASE) for n in range(1000)]
    other = [log(f"other {n}", BASE + 5) for n in range(300)]

    history.append([*tied[:400], *tied[:400], *other, *other, *tied[400:]], 0.0)
    history.append([*tied[900:], *tied[:3]], 0.0)

    assert len(history) == 500
    assert [history.find(record.id) for record in (*tied[-2:], *tied[:3])] == [1298, 1299, 1300, 1301, 1302]
    assert history.find(tied[500].id) is None
    assert sorted(history.stamped(BASE)) == [*range(history.first, history.end)]
    assert looks < 10


def test_evicted_notices_are_no_lost_records() -> None:
    history = History(Bounds(records=2))
    history.append([notice(), *logs(1), notice(), *logs(2, 3, 4)], 0.0)

    assert history.passed_over(0) == 2
    assert history.passed_over(1) == 2
    assert history.passed_over(2) == 1
    assert history.passed_over(4) == 0
    assert history.passed_over(6) == 0
    assert [len(history.notices_passed_over(start)) for start in (0, 1, 2, 4)] == [2, 1, 1, 0]


def test_going_backwards_may_pause_while_the_history_moves_on() -> None:
    history = History(Bounds(records=4))
    history.append(logs(1, 2, 3, 4), 0.0)
    going = history.backwards(4)
    assert next(going)[0] == 3

    history.append([log(f"more {n}", BASE + n) for n in range(2)], 0.0)

    assert [number for number, _ in going] == [2]
    assert [number for number, _ in history.backwards(400)] == [5, 4, 3, 2]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"])
def test_stamps_that_64_bits_cannot_hold_do_no_harm(text: str) -> None:
    ns = timestamps.parse(text)
    history = History(Bounds(records=2))
    odd = log("odd", ns)

    history.append([odd, *logs(1)], 0.0)

    assert history.find(odd.id) == 0
    assert list(history.stamped(ns)) == [0]
    assert history.after(ns) == 1
    assert history.since(ns) in {0, history.end}
    newest = history.newest_ns
    assert newest is not None
    assert newest >= BASE + 1
    timestamps.render(newest)
    history.append(logs(2), 0.0)
    assert history.floor_ns == ns


def test_the_newest_stamp_outlives_its_record() -> None:
    history = History(Bounds(records=1))
    history.append([notice()], 0.0)
    assert history.newest_ns is None

    history.append([*logs(9, 3), notice()], 0.0)

    assert history.newest_ns == BASE + 9


# -- memory --------------------------------------------------------------------------------------------------


def test_shrinking_drops_the_oldest_and_says_how_many() -> None:
    history = History()
    entries = logs(*range(10))
    history.append(entries, 0.0)

    dropped = history.shrink(entries[0].cost * 4)

    assert dropped == 6
    assert held(history) == entries[6:]
    assert history.floor_ns == BASE + 5
    assert history.shrink(1 << 30) == 0
    assert history.shrink(0) == 3
    assert held(history) == entries[9:]
    assert history.find(entries[9].id) == 9
    history.append(logs(20), 0.0)
    assert history.after(BASE + 9) == 10


def filled(history: History, count: int, start: int = 0) -> None:
    for begin in range(start, start + count, 100):
        history.append(
            [log(f"GET /health/{n:06} 200 " + "x" * 80, BASE + n) for n in range(begin, begin + 100)], 0.0
        )


def test_memory_comes_back_after_shrinking_and_the_bytes_are_near_the_truth() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        history = History(ENDLESS)
        filled(history, 5000)
        full = tracemalloc.get_traced_memory()[0] - before
        assert 0.85 < history.bytes / full < 1.15

        history.shrink(history.bytes // 10)

        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 450 < len(history) <= 500
    assert left < full * 0.15


def test_memory_stays_where_it_is_while_entries_come_and_go() -> None:
    history = History(Bounds(records=1000))
    filled(history, 5000)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        filled(history, 5000, start=5000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert len(history) == 1000
    # All entries were made anew while memory was watched, so the whole history counts as grown.
    assert grown < history.bytes * 1.25
