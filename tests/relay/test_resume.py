"""Where a client begins, and what it is told."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_making import BASE, SECOND, log, logs, notice

from logrelay.relay import records, resume, timestamps
from logrelay.relay.history import Bounds, History
from logrelay.relay.records import LogRecord
from logrelay.relay.resume import Outcome, Plan, Request

HOUR = 3600.0
WEEK = 7 * 86_400.0
UNKNOWN = "0123456789ab"


def stamp(second: float) -> int:
    return BASE + int(second * SECOND)


def line(text: str, second: float) -> LogRecord:
    return log(text, stamp(second))


def filled(*entries: LogRecord, most: int = 1000, floor: float | None = None, seeded: int = 0) -> History:
    history = History(Bounds(records=most))
    history.floor_ns = None if floor is None else stamp(floor)
    history.append(entries, 0.0)
    history.seeded = seeded
    return history


def plan(request: Request, history: History, reach: float = HOUR, retention: float = WEEK) -> Plan:
    return resume.plan(request, history, reach=reach, retention=retention)


def by_stamp(second: float) -> Request:
    return Request(None, stamp(second))


def unknown(second: float, overlap: int = 0) -> Request:
    return Request.from_id(f"{timestamps.render(stamp(second))}-{UNKNOWN}", overlap)


# -- reading an id -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordinal", ["", "~2", "~13"])
def test_an_id_is_read_with_its_stamp_and_ordinal(ordinal: str) -> None:
    identity = log().id + ordinal

    request = Request.from_id(identity, 30)

    assert request == Request(identity, BASE, 30)
    assert request.begin == BASE - 30 * SECOND


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "-",
        "x",
        "2026-11-23T03:21:30.000000000Z",
        "2026-11-23T03:21:30.000000000Z-",
        "2026-11-23T03:21:30.000000000Z-0123456789a",
        "2026-11-23T03:21:30.000000000Z-0123456789abc",
        "2026-11-23T03:21:30.000000000Z-0123456789aB",
        "2026-11-23T03:21:30.000000000Z-0123456789ab~",
        "2026-11-23T03:21:30.000000000Z-0123456789ab~x",
        "2026-11-23T03:21:30.000000000Z-0123456789ab~٢",
        "2026-11-23T03:21:30.000000000Z-0123456789ab~2~3",
        "2026-11-23T03:21:30.000000000Z-0123456789ab\n",
        "yesterday-0123456789ab",
        "0001-01-01T00:00:00+01:00-0123456789ab",
    ],
)
def test_what_can_be_no_id_is_refused(identity: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Request.from_id(identity)


@given(st.text(max_size=60))
def test_any_text_is_read_as_an_id_or_refused(text: str) -> None:
    try:
        request = Request.from_id(text)
    except ValueError:
        return
    assert request.last_id == text


# -- exact ---------------------------------------------------------------------------------------------------


def test_after_an_id_comes_all_that_arrived_after_it() -> None:
    entries = [line("a", 5), line("b", 1), line("c", 5), line("d", 5)]
    history = filled(*entries)

    for place, entry in enumerate(entries):
        assert plan(Request.from_id(entry.id), history) == Plan(Outcome.EXACT, place + 1)


def test_the_second_of_equal_rows_is_told_from_the_first_by_its_ordinal() -> None:
    first = line("same", 1)
    second = records.record(
        records.Content(timestamps.render(stamp(1)), "same"), first.id + "~2", stamp(1), service_name=None
    )
    history = filled(first, second, line("next", 2))

    assert plan(Request.from_id(first.id), history).position == 1
    assert plan(Request.from_id(first.id + "~2"), history).position == 2


def test_an_overlap_does_not_count_where_the_history_holds_the_id_in_order_of_arrival() -> None:
    entries = [line("a", 1), line("b", 2), line("c", 3)]
    history = filled(*entries, seeded=2)

    assert plan(Request.from_id(entries[2].id, 30), history) == Plan(Outcome.EXACT, 3)


def test_in_a_rebuilt_history_the_overlap_brings_what_may_have_arrived_late() -> None:
    entries = [line("a", 1), line("late", 8), line("b", 10), line("c", 11)]
    history = filled(*entries, seeded=4)

    assert plan(Request.from_id(entries[2].id, 5), history) == Plan(Outcome.EXACT, 1)
    assert plan(Request.from_id(entries[2].id, 60), history) == Plan(Outcome.EXACT, 0)
    assert plan(Request.from_id(entries[2].id), history) == Plan(Outcome.EXACT, 3)


def test_an_overlap_that_the_rebuilt_history_does_not_reach_is_fetched() -> None:
    entries = [line("a", 1), line("b", 10)]
    history = filled(*entries, floor=1, seeded=2)

    found = plan(Request.from_id(entries[1].id, 20), history)

    assert found == Plan(Outcome.BACKFILLED, 0, fetch_from=stamp(-10))


def test_after_a_stamp_that_one_record_has_comes_the_next() -> None:
    assert plan(by_stamp(2), filled(line("a", 1), line("b", 2), line("c", 3))) == Plan(Outcome.EXACT, 2)


def test_records_that_tie_at_the_stamp_come_again() -> None:
    history = filled(line("a", 1), line("b", 2), line("c", 2), line("d", 3))

    assert plan(by_stamp(2), history) == Plan(Outcome.EXACT, 1)


def test_after_a_stamp_that_no_record_has_comes_the_first_one_later_and_late_rows_behind_it() -> None:
    history = filled(line("a", 1), line("b", 5), line("late", 2), line("c", 6))

    assert plan(by_stamp(3), history) == Plan(Outcome.EXACT, 1)
    assert plan(by_stamp(2), history) == Plan(Outcome.EXACT, 3)


def test_one_nanosecond_makes_a_difference() -> None:
    history = History()
    history.append(logs(1, 2, 3), 0.0)

    assert plan(Request(None, BASE + 1), history).position == 1
    assert plan(Request(None, BASE), history).position == 0


# -- none ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [by_stamp(9.000000001), by_stamp(1e9), unknown(10), unknown(10, 30)])
def test_what_lies_in_the_future_begins_now(request_: Request) -> None:
    history = filled(line("a", 1), line("b", 9))

    assert plan(request_, history) == Plan(Outcome.NONE, 2)


@pytest.mark.parametrize("request_", [by_stamp(1), unknown(1), unknown(1, 60)])
def test_an_empty_history_has_nothing_to_resume_from(request_: Request) -> None:
    history = History()
    history.append([notice()], 0.0)

    found = plan(request_, history)

    assert found == Plan(Outcome.NONE, 1)
    assert found.describe() == {"outcome": "none"}


# -- partial within the history ------------------------------------------------------------------------------


def test_an_id_that_nobody_knows_resumes_by_its_stamp_and_says_so() -> None:
    history = filled(line("a", 1), line("b", 2), line("c", 2), line("d", 3))

    ties = plan(unknown(2), history)
    between = plan(unknown(2.5), history)
    single = plan(unknown(3), history)

    assert (ties.position, between.position, single.position) == (1, 3, 3)
    for found, second in ((ties, 2), (between, 2.5), (single, 3)):
        place = timestamps.render(stamp(second))
        assert found.fetch_from is None
        assert found.describe() == {"outcome": "partial", "from": place, "to": place, "reason": "unknown_id"}


def test_an_id_that_nobody_knows_has_its_overlap_too() -> None:
    history = filled(line("a", 1), line("b", 5), line("c", 9))

    found = plan(unknown(9, 5), history)

    assert (found.outcome, found.reason, found.position) == (Outcome.PARTIAL, "unknown_id", 1)


def test_where_the_overlap_lies_before_the_history_it_is_fetched_and_the_id_stays_unknown() -> None:
    history = filled(line("a", 1), line("b", 5), floor=0)

    found = plan(unknown(3, 10), history)

    assert (found.outcome, found.reason) == (Outcome.PARTIAL, "unknown_id")
    assert (found.position, found.fetch_from) == (0, stamp(-7))


def test_what_may_have_expired_at_railway_is_declared() -> None:
    history = filled(line("a", 0), line("b", 10))

    found = plan(by_stamp(-100), history, retention=60.0)

    assert found.position == 0
    assert found.describe() == {
        "outcome": "partial",
        "from": timestamps.render(stamp(-100)),
        "to": timestamps.render(stamp(-50)),
        "reason": "retention",
    }


def test_nothing_can_have_expired_after_a_record_that_is_still_here() -> None:
    history = filled(line("a", 0), line("b", 1000))

    assert plan(by_stamp(1), history, retention=60.0) == Plan(Outcome.EXACT, 1)
    assert plan(by_stamp(0), history, retention=60.0) == Plan(Outcome.EXACT, 1)
    tied = filled(line("a", 0), line("b", 0), line("c", 1000))
    assert plan(by_stamp(0), tied, retention=60.0) == Plan(Outcome.EXACT, 0)


def test_after_the_floor_all_that_arrived_is_here_whatever_the_retention() -> None:
    history = filled(line("a", 1), line("b", 5), line("c", 1000), most=2)

    assert plan(by_stamp(2), history, retention=60.0) == Plan(Outcome.EXACT, 1)


# -- before the history --------------------------------------------------------------------------------------


def test_what_lies_before_the_history_is_fetched_from_the_stamp_on() -> None:
    history = filled(line("a", 100), line("b", 101), floor=100)

    assert plan(by_stamp(50), history) == Plan(Outcome.BACKFILLED, 0, fetch_from=stamp(50))
    assert plan(unknown(50), history) == Plan(Outcome.BACKFILLED, 0, fetch_from=stamp(50))
    assert plan(unknown(50, 20), history) == Plan(Outcome.BACKFILLED, 0, fetch_from=stamp(30))
    assert plan(by_stamp(50), history).describe() == {"outcome": "backfilled"}


def test_a_stamp_at_the_floor_is_fetched_because_its_ties_may_be_gone() -> None:
    history = filled(line("a", 100), line("b", 100), line("c", 101), most=2)

    assert plan(by_stamp(100), history) == Plan(Outcome.BACKFILLED, 1, fetch_from=stamp(100))


@pytest.mark.parametrize(
    ("reach", "retention", "reason", "earliest"),
    [(60.0, 600.0, "limit", 940), (600.0, 60.0, "retention", 940), (60.0, 60.0, "retention", 940)],
)
def test_what_lies_too_far_back_is_declared_with_the_reason(
    reach: float, retention: float, reason: str, earliest: int
) -> None:
    history = filled(line("a", 990), line("b", 1000), floor=990)

    found = plan(by_stamp(10), history, reach, retention)

    assert (found.position, found.fetch_from) == (0, stamp(earliest))
    assert found.describe() == {
        "outcome": "partial",
        "from": timestamps.render(stamp(10)),
        "to": timestamps.render(stamp(earliest)),
        "reason": reason,
    }


def test_an_overlap_is_no_reason_to_call_something_missing() -> None:
    history = filled(line("a", 990), line("b", 1000), floor=990)

    assert plan(unknown(945, 30), history, 60.0) == Plan(Outcome.BACKFILLED, 0, fetch_from=stamp(940))


def test_a_history_that_goes_further_back_than_a_fetch_may_lacks_only_what_lies_before_it() -> None:
    history = filled(line("a", 100), line("b", 100_000), floor=100)

    found = plan(by_stamp(50), history, 60.0)

    assert (found.position, found.fetch_from) == (0, None)
    assert (found.outcome, found.missing_from, found.missing_to) == (Outcome.PARTIAL, stamp(50), stamp(100))


def test_an_overlap_out_of_reach_of_a_history_that_holds_the_stamp_is_left_out() -> None:
    seeded = [line("a", 110), line("b", 100_000)]
    history = filled(*seeded, floor=100, seeded=2)

    assert plan(Request.from_id(seeded[0].id, 30), history, 60.0) == Plan(Outcome.EXACT, 0)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1677-01-01T00:00:00Z"]
)
@pytest.mark.parametrize("floor", [None, 0])
def test_any_stamp_of_the_calendar_has_a_plan_that_can_be_described(text: str, floor: float | None) -> None:
    history = filled(line("a", 1), log("zero time", timestamps.parse("0001-01-01T00:00:00Z")), floor=floor)

    for request in (Request(None, timestamps.parse(text)), Request.from_id(f"{text}-{UNKNOWN}", 60)):
        assert plan(request, history).describe()["outcome"] in {"none", "partial", "exact"}


def test_the_first_reason_known_stays() -> None:
    found = Plan(Outcome.EXACT, 3).short_of(1, 2, "limit")

    assert found.short_of(5, 6, "unknown_id") == found
    assert attrs.evolve(found, missing_from=None, missing_to=None).describe() == {
        "outcome": "partial",
        "from": None,
        "to": None,
        "reason": "limit",
    }


# -- no hole and no repeat, as a property --------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=25),
    st.integers(0, 24),
    st.integers(1, 25),
)
def test_a_client_cut_anywhere_gets_the_rest_once_or_is_sent_to_fetch(
    stamps: list[int], cut: int, most: int
) -> None:
    arrived = [line(f"line {place}", second) for place, second in enumerate(stamps)]
    last = arrived[cut % len(arrived)]
    rest = arrived[arrived.index(last) + 1 :]
    history = filled(*arrived, most=most)

    by_id = plan(Request.from_id(last.id), history)
    by_time = plan(Request(None, last.ns), history)

    if by_id.fetch_from is None:
        assert by_id.outcome is Outcome.EXACT
        assert list(history.read(by_id.position)) == rest
    else:
        assert by_id.fetch_from <= last.ns
    if by_time.fetch_from is None:
        given_again = list(history.read(by_time.position))
        assert given_again[-len(rest) :] == rest or not rest
        ties = [record for record in arrived if record.ns == last.ns]
        # Not more than protocol.md allows: all that arrived from the first tie on.
        assert given_again == (
            arrived[arrived.index(ties[0]) + 1 :] if len(ties) == 1 else arrived[arrived.index(ties[0]) :]
        )
    else:
        assert history.floor_ns is not None
        assert last.ns <= history.floor_ns


# -- the first fetched page ----------------------------------------------------------------------------------

IDS = [f"{timestamps.render(stamp(second))}-{n:012x}" for n, second in enumerate((1, 2, 2, 3))]
STAMPS = [stamp(second) for second in (1, 2, 2, 3)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request.from_id(IDS[0]), (1, True)),
        (Request.from_id(IDS[1]), (2, True)),
        (Request.from_id(IDS[3]), (4, True)),
        (unknown(2), (0, False)),
        (by_stamp(1), (1, True)),
        (by_stamp(2), (1, True)),
        (by_stamp(3), (4, True)),
        (by_stamp(0.5), (0, True)),
        (by_stamp(2.5), (3, True)),
        (by_stamp(9), (4, True)),
        (Request.from_id(IDS[2], 30), (0, True)),
        (unknown(2, 30), (0, False)),
        (unknown(4, 30), (0, None)),
    ],
)
def test_what_of_a_fetched_page_the_client_has_not_seen(
    request_: Request, expected: tuple[int, bool | None]
) -> None:
    assert resume.unseen(request_, IDS, STAMPS, STAMPS[-1]) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [(by_stamp(1), (0, True)), (unknown(1), (0, False)), (unknown(1, 30), (0, False))],
)
def test_an_empty_page_holds_nothing_unseen(request_: Request, expected: tuple[int, bool]) -> None:
    assert resume.unseen(request_, [], [], stamp(9)) == expected
