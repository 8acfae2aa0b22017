"""Faults in any order: whatever happens, a viewer gets each line once and in order, or is told what it doesn't get."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterator

import pytest
from conftest_system import relaying, until
from hypothesis import HealthCheck, Phase, given, seed, settings
from promises_counting import PERFECT
from promises_schedules import (
    Away,
    Calm,
    Cut,
    Join,
    Poll,
    Restart,
    Schedule,
    Settle,
    Tally,
    Trouble,
    Turns,
    Write,
    play,
    schedules,
)

from logrelay.standin import StandIn

EXAMPLES = 200
RELAXED = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    # Sockets and timers have a share in what happens, so a failure needn't come again: it is shown as it came first.
    "phases": [Phase.explicit, Phase.generate],
}
# An asyncio server that is closed in the very turn in which it accepts a connection leaves that to the collector.
LEFT_TO_THE_COLLECTOR = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


# Schedules that lost, repeated or hung before something was mended, cut down to what it takes.
FOUND = {
    "an overlap that can't be fetched is said to be missing": Schedule(
        (
            Join(1),
            Write(1),
            Settle(),
            Cut(1),
            Write(25, "late"),
            Poll(),
            Turns(5),
            Write(8),
            Poll(),
            Turns(5),
            Trouble("http", (500, {}, "no", 1)),
            Join(1, overlap=3),
            Calm(),
            Settle(),
        ),
        history=8,
    ),
    "a late line is sent before what was written after it, also to who is shown the past": Schedule(
        (
            Join(1),
            Write(60, "twins"),
            Poll(),
            Poll(),
            Restart(kill=True, overlap=3),
            Join(2),
            Trouble("query_delay", 0.01),
            Cut(2),
            Write(60, "twins"),
            Join(1, overlap=3),
            Write(60, "mixed"),
        ),
        history=8,
        seed=151,
    ),
    "what a query shows before the poll does, goes out as it comes": Schedule(
        (
            Join(1),
            Write(60, "twins"),
            Poll(),
            Poll(),
            Restart(kill=True, overlap=3),
            Join(2),
            Trouble("query_delay", 0.01),
            Cut(2),
            Write(60, "twins"),
            Join(1, overlap=3),
            Trouble("silent", value=True),  # no polls, until what is written now has come with the past
            Write(8, "late"),
            Write(16, "late tie"),
            Join(2),
            Cut(2, beat=True),
        ),
        history=25,
        seed=151,
    ),
    "what has arrived late goes before a page of the past with what was written from then on": Schedule(
        (
            Join(1),
            Write(60, "twins"),
            Poll(),
            Poll(),
            Restart(kill=True, overlap=3),
            Join(2),
            Trouble("query_delay", 0.05),
            Cut(2),
            Write(60, "twins"),
            Join(1, overlap=3),
            Write(8, "late"),
            Poll(),
            Turns(40),
            Write(16, "late tie"),
            Join(2),
            Cut(2, beat=True),
            Join(2),
            Cut(2, beat=True),
        ),
        history=25,
        seed=151,
    ),
    "late lines that a full frame leaves out are fetched": Schedule(
        (Write(10), Settle(), Write(6000, "mixed"), Settle())
    ),
    "a known line in a full frame does not prove that nothing was left out": Schedule(
        (Write(10), Settle(), Away(6000), Settle())
    ),
}


@LEFT_TO_THE_COLLECTOR
@pytest.mark.parametrize("schedule", FOUND.values(), ids=FOUND)
async def test_what_went_wrong_once_goes_well(schedule: Schedule) -> None:
    await play(schedule, Tally())


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What the relay logs of a thousand faults would fill the memory."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@LEFT_TO_THE_COLLECTOR
@pytest.mark.timeout(180)
def test_two_hundred_schedules_of_faults_lose_and_repeat_nothing() -> None:
    tally = Tally()

    @settings(max_examples=EXAMPLES, derandomize=True, **RELAXED)
    @given(schedules())
    def all_is_told(schedule: Schedule) -> None:
        asyncio.run(play(schedule, tally))

    all_is_told()

    assert tally.report == PERFECT
    assert tally.schedules >= EXAMPLES


@LEFT_TO_THE_COLLECTOR
@pytest.mark.long
@pytest.mark.timeout(0)
def test_many_schedules_of_faults_lose_and_repeat_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """LOGRELAY_TEST_SCHEDULES says how many (10,000), LOGRELAY_TEST_SEED which, LOGRELAY_TEST_SECONDS how long."""
    tally = Tally()
    limit = float(os.environ.get("LOGRELAY_TEST_SECONDS", "inf"))
    wrong: list[AssertionError] = []
    began = time.monotonic()

    @seed(int(os.environ.get("LOGRELAY_TEST_SEED", "1")))
    @settings(max_examples=int(os.environ.get("LOGRELAY_TEST_SCHEDULES", "10000")), **RELAXED)
    @given(schedules())
    def all_is_told(schedule: Schedule) -> None:
        if time.monotonic() - began > limit:
            return
        try:
            asyncio.run(play(schedule, tally))
        except AssertionError as error:
            wrong.append(error)

    try:
        all_is_told()
    finally:
        with capsys.disabled():
            # The result is quoted elsewhere; pytest would cut a schedule that failed.
            print(f"\n{tally} in {time.monotonic() - began:.0f} s", *wrong, sep="\n\n")  # noqa: T201

    assert wrong == []
    assert tally.report == PERFECT


async def test_a_relay_ends_at_once_wherever_the_opening_of_its_upstream_stands(railway: StandIn) -> None:
    """Up to Python 3.11, `asyncio.wait_for` swallows a cancellation that comes together with what it waits for."""
    for turns in [*range(40)] * 3:  # it is a matter of luck, up to a point
        async with contextlib.AsyncExitStack() as resources:
            relay = await resources.enter_async_context(relaying(railway))
            async with relay.viewer() as viewer:
                await until(lambda turns=turns: len(railway.journal.queries) > 2 * turns, "the relay asks")
                for _ in range(turns):
                    await asyncio.sleep(0)
                await viewer.cut()
            ending = time.monotonic()
        assert time.monotonic() - ending < 2.0, f"{turns} turns after the query"
