from collections.abc import Sequence
from typing import Any

from logrelay.errors import BudgetSpent, UpstreamUnavailable
from logrelay.railway.holes import Room, fetched
from logrelay.railway.intake import SECOND, Intake
from logrelay.railway.pages import Fetched, Stamped
from logrelay.relay import timestamps
from logrelay.relay.records import Content, Entry, Notice

HOUR = 3600 * SECOND
BEGIN = timestamps.parse("2026-11-23T12:00:00Z")


def log(*stamps: int) -> list[Stamped]:
    return [(ns, Content(timestamps.render(ns), str(number))) for number, ns in enumerate(stamps)]


async def fill(
    rows: list[Stamped],
    start: int,
    end: int,
    room: Room | None = None,
    failure: Exception | None = None,
    **more: Any,
) -> list[Any]:
    taken = Intake(lambda _: None)

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        if failure is not None:
            raise failure
        return Fetched([row for row in rows if start_ns <= row[0] <= end_ns][-5001:], **more)

    def make(found: Sequence[Stamped]) -> list[Entry]:
        return taken.entries(taken.unseen(found))

    entries = [entry async for part in fetched(fetch, make, start, end, room or Room()) for entry in part]
    return [
        (entry.data["reason"], entry.data["from"], entry.data["to"], entry.data["count"])
        if isinstance(entry, Notice)
        else entry.text
        for entry in entries
    ]


async def test_a_hole_is_fetched_oldest_first() -> None:
    assert await fill(log(BEGIN, BEGIN + 5, BEGIN + HOUR), BEGIN, BEGIN + HOUR) == ["0", "1", "2"]


async def test_what_lies_too_far_back_is_declared_first() -> None:
    got = await fill(log(BEGIN, BEGIN + 2 * HOUR), BEGIN, BEGIN + 2 * HOUR)

    middle = timestamps.render(BEGIN + HOUR)
    assert got == [("limit", timestamps.render(BEGIN), middle, None), "1"]


async def test_what_is_too_much_is_declared_last() -> None:
    rows = log(*(BEGIN + n for n in range(6000)))

    got = await fill(rows, BEGIN, BEGIN + 6000, Room(records=1000))

    assert 1000 <= len(got) - 1 < 6000
    reason, start, end, _ = got[-1]
    assert (reason, start, end) == (
        "limit",
        timestamps.render(BEGIN + len(got) - 1),
        timestamps.render(BEGIN + 6000),
    )


async def test_a_failure_leaves_a_gap_with_its_reason() -> None:
    whole = (timestamps.render(BEGIN), timestamps.render(BEGIN + 9), None)

    assert await fill([], BEGIN, BEGIN + 9, failure=UpstreamUnavailable("no")) == [("outage", *whole)]
    assert await fill([], BEGIN, BEGIN + 9, failure=BudgetSpent("no")) == [("limit", *whole)]


async def test_more_rows_of_one_nanosecond_than_railway_gives_are_a_gap() -> None:
    got = await fill(log(*[BEGIN] * 6000), BEGIN, BEGIN)

    assert len(got) == 5002
    assert got[-1] == ("upstream_truncated", timestamps.render(BEGIN), timestamps.render(BEGIN), None)


async def test_rows_that_cannot_be_read_are_a_gap() -> None:
    got = await fill(log(BEGIN), BEGIN, BEGIN + 9, unreadable=2)

    assert got == ["0", ("unreadable", timestamps.render(BEGIN), timestamps.render(BEGIN + 9), 2)]
