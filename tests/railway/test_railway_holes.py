import asyncio
from typing import Any

import pytest

from logrelay.errors import BudgetSpent, UpstreamError, UpstreamRefused, UpstreamUnavailable
from logrelay.railway.answers import QueryFailed
from logrelay.railway.feed import Feed
from logrelay.railway.gateway import Gateway
from logrelay.railway.holes import Persistent, Room, fetched, losses
from logrelay.railway.intake import SECOND, Intake
from logrelay.railway.pages import Fetched, Page, Stamped
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay import timestamps
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Hub
from logrelay.relay.records import Content, Entry, Notice
from logrelay.relay.upstream import UpstreamState

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

    def make(page: Page) -> list[Entry]:
        return [*taken.entries(taken.unseen(page.rows)), *losses(page)]

    entries = [entry async for part, _ in fetched(fetch, make, start, end, room or Room()) for entry in part]
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


async def test_what_is_too_large_is_a_gap_of_one() -> None:
    got = await fill([], BEGIN, BEGIN, oversize=True)

    assert got == [("too_large", timestamps.render(BEGIN), timestamps.render(BEGIN), 1)]


# -- trying again ----------------------------------------------------------------------------------------------


class Failing:
    """A fetch that fails so many times, and notes on the loop's clock when it was asked."""

    def __init__(self, failure: Exception, times: int = 1000, takes: float = 0.0) -> None:
        self.failure = failure
        self.times = times
        self.takes = takes
        self.asked: list[float] = []

    async def __call__(self, _start_ns: int, _end_ns: int) -> Fetched:
        self.asked.append(round(asyncio.get_running_loop().time(), 3))
        await asyncio.sleep(self.takes)
        if len(self.asked) <= self.times:
            raise self.failure
        return Fetched([])


@pytest.mark.looptime
@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.BROKEN])
async def test_a_failure_that_may_pass_is_tried_again_with_growing_delays(kind: Kind) -> None:
    failing = Failing(QueryFailed(Verdict(kind, "no")), 3)

    await Persistent(failing)(0, 1)

    assert failing.asked == [0.0, 0.5, 1.5, 3.5]


@pytest.mark.looptime
async def test_after_four_tries_the_failure_stands() -> None:
    failing = Failing(QueryFailed(Verdict(Kind.TRANSIENT, "no")))

    with pytest.raises(QueryFailed):
        await Persistent(failing)(0, 1)

    assert len(failing.asked) == 4


@pytest.mark.looptime
@pytest.mark.parametrize(
    "failure",
    [
        QueryFailed(Verdict(Kind.LIMITED, "wait", 7.0)),
        QueryFailed(Verdict(Kind.TRANSIENT, "wait", 7.0)),
        UpstreamUnavailable("wait", 7.0),
        BudgetSpent("wait", 7.0),
    ],
)
async def test_the_gate_and_the_budget_are_waited_for_as_long_as_they_say(failure: Exception) -> None:
    failing = Failing(failure, 2)

    await Persistent(failing)(0, 1)

    assert failing.asked == [0.0, 7.0, 14.0]


@pytest.mark.looptime
async def test_who_is_unhurried_waits_for_the_budget_however_long_and_for_failures_no_longer() -> None:
    patient = Failing(BudgetSpent("wait", 100.0), 9)
    failing = Failing(QueryFailed(Verdict(Kind.TRANSIENT, "no")))

    await Persistent(patient, unhurried=True)(0, 1)
    with pytest.raises(QueryFailed):
        await Persistent(failing, unhurried=True)(0, 1)

    assert patient.asked == [100.0 * n for n in range(10)]
    assert len(failing.asked) == 4


@pytest.mark.looptime
async def test_a_wait_that_is_too_long_is_not_begun() -> None:
    failing = Failing(BudgetSpent("wait", 16.0))

    with pytest.raises(BudgetSpent):
        await Persistent(failing)(0, 1)

    assert asyncio.get_running_loop().time() < 1.0


@pytest.mark.looptime
async def test_all_failures_of_a_hole_share_one_patience() -> None:
    failing = Failing(QueryFailed(Verdict(Kind.TRANSIENT, "no")), 1, takes=4.0)
    persistent = Persistent(failing)

    for _ in range(3):
        await persistent(0, 1)
        failing.asked.clear()
    with pytest.raises(QueryFailed):
        await persistent(0, 1)

    # Three failures took 4.5 seconds each, the fourth would be too much; what went well doesn't count.
    assert round(asyncio.get_running_loop().time(), 3) == 3 * (4.0 + 0.5 + 4.0) + 4.0


@pytest.mark.parametrize(
    "failure",
    [
        QueryFailed(Verdict(Kind.REFUSED, "no")),
        UpstreamRefused("no"),
        QueryFailed(Verdict(Kind.MISFIT, "no")),
    ],
)
async def test_a_refusal_is_not_tried_again(failure: UpstreamError) -> None:
    failing = Failing(failure)

    with pytest.raises(UpstreamError):
        await Persistent(failing)(0, 1)

    assert len(failing.asked) == 1


def test_what_is_being_fetched_is_part_of_the_upstreams_state() -> None:
    state = UpstreamState(state="live")
    assert "backfill" not in state.describe()

    state.fetched, state.missing = 1234, (BEGIN, BEGIN + SECOND)

    whole = {"fetched": 1234, "from": timestamps.render(BEGIN), "to": timestamps.render(BEGIN + SECOND)}
    assert state.describe() == {"state": "live", "backfill": whole}


def test_a_hub_shows_what_is_being_fetched_until_it_is_over(gateway: Gateway) -> None:
    hub = Hub("e", Bounds(), Feed(gateway, "e"))

    hub.progress(5, (BEGIN, BEGIN + SECOND))
    assert hub.upstream.describe()["backfill"]["fetched"] == 5

    hub.progress(7, None)
    assert "backfill" not in hub.upstream.describe()
