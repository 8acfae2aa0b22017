import json

import pytest

from logrelay.railway.intake import SECOND, Intake, gap, runs, truncated
from logrelay.railway.pages import Stamped
from logrelay.relay import timestamps
from logrelay.relay.records import Content, LogRecord, Notice

NOW = timestamps.parse("2026-11-23T12:00:00Z")


def row(message: str, ns: int = NOW) -> Stamped:
    return ns, Content(timestamps.render(ns), message, service_id="s")


def intake() -> Intake:
    return Intake({"s": "api"}.get, clock=lambda: NOW)  # type: ignore[arg-type]


def given(taken: Intake, *frame: Stamped) -> list[dict[str, object]]:
    entries = taken.entries(taken.unseen(frame))
    return [json.loads(entry.encoded) for entry in entries if isinstance(entry, LogRecord)]


def messages(taken: Intake, *frame: Stamped) -> list[object]:
    return [wire["message"] for wire in given(taken, *frame)]


def test_each_row_comes_once() -> None:
    taken = intake()

    assert messages(taken, row("a"), row("b")) == ["a", "b"]
    assert messages(taken, row("b"), row("c")) == ["c"]


def test_what_stands_twice_in_a_frame_is_two_records() -> None:
    taken = intake()

    assert messages(taken, row("a"), row("a")) == ["a", "a"]
    assert messages(taken, row("a"), row("a")) == []
    assert messages(taken, row("a"), row("a"), row("a")) == ["a"]


def test_late_is_what_is_stamped_before_an_earlier_arrival() -> None:
    taken = intake()

    wires = given(taken, row("a", NOW), row("tied", NOW), row("late", NOW - 1))

    assert [wire.get("late", False) for wire in wires] == [False, False, True]


def test_the_watermark_is_the_newest_stamp_that_is_not_in_our_future() -> None:
    taken = intake()
    assert taken.since == NOW - 86_430 * SECOND

    given(taken, row("a", NOW - 60 * SECOND))
    assert taken.watermark == NOW - 60 * SECOND
    assert taken.since == NOW - 90 * SECOND
    given(taken, row("ahead", NOW + 3600 * SECOND))
    assert taken.watermark == NOW
    given(taken, row("late", NOW - 100 * SECOND))

    assert taken.watermark == NOW
    assert repr(taken) == "<Intake <Identities 3 of 50000>>"


def test_the_oldest_rows_there_are_can_be_followed() -> None:
    taken = Intake(lambda _: None, clock=lambda: 5)

    given(taken, row("first", 0))

    assert taken.since == 0


def test_the_past_is_made_without_a_trace() -> None:
    taken = intake()
    page = [row("a"), row("a"), row("b")]

    past = taken.past(page)

    assert [entry.id for entry in past if isinstance(entry, LogRecord)] == [
        new.id for new in taken.unseen(page)
    ]
    assert taken.watermark is None


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (
            "Railway rate limit of 500 logs/sec reached for replica, update your application. Messages dropped: 7",
            7,
        ),
        ("Railway rate limit of 500 logs/sec reached for replica, …. Messages dropped: 0", None),
        ("our own Messages dropped: 7", None),
        ("quoted: Railway rate limit of 500 logs/sec reached for replica. Messages dropped: 7", None),
    ],
)
def test_only_railways_own_word_about_dropped_lines_counts(message: str, count: int | None) -> None:
    taken = intake()

    notices = [entry for entry in taken.entries(taken.unseen([row(message)])) if isinstance(entry, Notice)]

    assert [notice.data["count"] for notice in notices] == ([] if count is None else [count])


@pytest.mark.parametrize(
    ("size", "new", "expected"),
    [
        (5000, 5000, True),
        (5001, 5001, True),
        (5000, 1, True),  # late rows among what was left out are older than the known ones of the frame
        (5000, 0, False),
        (4999, 4999, False),
        (50_000, 50_000, False),
    ],
)
def test_u20_a_full_frame_with_unknown_rows_may_be_cut(size: int, new: int, *, expected: bool) -> None:
    assert truncated(size, new) is expected


def test_a_gap_may_have_open_ends() -> None:
    assert gap("outage", None, None).data == {"from": None, "to": None, "count": None, "reason": "outage"}


def test_runs_keep_notices_in_their_place() -> None:
    taken = intake()
    a, b, c = taken.entries(taken.unseen([row("a"), row("b"), row("c")]))
    notice = gap("limit", 0, 1)

    assert list(runs([notice, a, b, notice, notice, c])) == [notice, [a, b], notice, notice, [c]]
    assert list(runs([])) == []
