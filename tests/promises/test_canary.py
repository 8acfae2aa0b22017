"""Numbered lines through a relay whose upstream is cut all the time: missing, repeated and out of order are nought.

Out of order is a line that comes after another one although it was written before it and isn't stamped later.
"""

import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conftest_system import Viewer, relaying, until
from promises_counting import PERFECT, Place, Report, misplaced, report

from logrelay.standin import Canary, Row, StandIn, World

EVERY = 500  # lines between two cuts
STEP = 2_000_000  # ns between two stamps: a replica may write 500 lines a second (facts.md section 9)
UNRULY = {"tied": 0.4, "late": 0.05, "max_lateness": 2.0}
AGAIN = 0.05  # of the rows, sent once more by a later poll
SETTINGS = {
    "LOGRELAY_FLAPPING_SECONDS": "0",
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "0.005",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "0.02",
    "LOGRELAY_UPSTREAM_PING_SECONDS": "0.1",
    "LOGRELAY_STANDS_SECONDS": "5",
}

Fault = Callable[[], Awaitable[Any]]


def paced(lines: int) -> Callable[[], int]:
    """A clock that goes on with each look, from so far back that it doesn't overtake ours."""
    return itertools.count(time.time_ns() - 2 * lines * STEP, STEP).__next__


def faults_in_turn(railway: StandIn, viewer: Viewer) -> list[Fault]:
    faults = railway.faults

    async def stall() -> None:
        losses = len(viewer.said("reconnecting"))
        faults.stall = True
        await viewer.until_said("reconnecting", losses + 1)
        faults.stall = False

    return [
        faults.reset,
        faults.fin,
        faults.cut_mid_frame,
        faults.complete,
        lambda: faults.close(1000),
        lambda: faults.close(4500, "Internal server error"),
        stall,
    ]


async def sing(lines: int, *, unruly: bool) -> None:
    world = World(seed=7, source=paced(lines))
    canary = Canary(world.environment, **(UNRULY if unruly else {}))
    async with (
        StandIn(world, poll_interval=0.005) as railway,
        relaying(railway, SETTINGS | {"LOGRELAY_HISTORY_RECORDS": "50000"}) as relay,
        relay.viewer() as viewer,
        relay.viewer() as other,
    ):
        await viewer.until_said("connected")
        await other.until_said("connected")
        railway.faults.duplicate = AGAIN if unruly else 0.0
        await endure(canary, railway, viewer, lines)
        last = world.environment.write("the end")
        await until(lambda: {viewer.lines[-1], other.lines[-1]} == {last.message}, "the end", within=40)

        rows = [*canary.written, last]
        assert report(rows, viewer.records) == PERFECT
        assert other.ids == viewer.ids
        assert viewer.said("gap") == other.said("gap") == []
        assert viewer.said("lost") == other.said("lost") == []
        if not unruly:
            assert viewer.lines == [row.message for row in rows]
        assert any("late" in record for record in viewer.records) == unruly
        check_late(viewer)
        assert len(railway.journal.subscribes) > lines // EVERY


async def endure(canary: Canary, railway: StandIn, viewer: Viewer, lines: int) -> None:
    """Write the lines; in the middle of each portion comes a fault, with lines on their way and lines that wait."""
    faults = itertools.cycle(faults_in_turn(railway, viewer))
    for cuts in range(1, lines // EVERY + 1):
        for _ in range(3):
            canary.write(EVERY // 5)
            await railway.flush()
        canary.write(EVERY // 5)
        await next(faults)()
        canary.write(EVERY // 5)
        await viewer.until_said("live", cuts)
        await railway.subscribed()
        await railway.flush()


def check_late(viewer: Viewer) -> None:
    """A record is marked late when one with a higher stamp has come before it, and only then."""
    highest = ""
    for record in viewer.records:
        assert ("late" in record) == (record["timestamp"] < highest)
        highest = max(highest, record["timestamp"])


@pytest.mark.parametrize("unruly", [False, True], ids=["plain", "tied, late and sent again"])
async def test_ten_thousand_lines_survive_a_cut_every_five_hundred(unruly: bool) -> None:  # noqa: FBT001 pytest's
    await sing(10_000, unruly=unruly)


# -- the canary's own eyes ---------------------------------------------------------------------------------------------


def row(message: str, ns: int) -> Row:
    return Row(ns, message, "info", None, [])


def record(message: str, ordinal: str = "") -> dict[str, str]:
    return {"message": message, "id": f"stamp-digest{ordinal}"}


def test_the_three_numbers_tell_what_is_missing_repeated_and_out_of_order() -> None:
    rows = [row("a", 1), row("b", 2), row("c", 3), row("d", 4)]

    assert report(rows, [record(name) for name in "abcd"]) == PERFECT
    assert report(rows, [record(name) for name in "abd"]) == Report(missing=1)
    assert report(rows, [record(name) for name in "abbcd"]) == Report(repeated=1)
    assert report(rows, [record(name) for name in "abcdx"]) == Report(repeated=1)
    assert report(rows, [record("a"), record("a", "~2"), *map(record, "bcd")]) == Report(repeated=1)
    assert report(rows, [record(name) for name in "acbd"]) == Report(out_of_order=1)
    assert report(rows, [record(name) for name in "dabc"]) == Report(out_of_order=3)


def test_rows_that_say_the_same_count_as_many() -> None:
    rows = [row("twin", 1), row("twin", 1)]

    assert report(rows, [record("twin"), record("twin", "~2")]) == PERFECT
    assert report(rows, [record("twin")]) == Report(missing=1)


def test_a_late_line_may_come_early_or_late_and_ties_may_not_swap() -> None:
    first, late, tied = Place(0, 10), Place(1, 5), Place(2, 10)

    assert misplaced([first, late, tied]) == misplaced([late, first, tied]) == []
    assert misplaced([tied, first]) == [first]
    assert misplaced([first, tied, late]) == [late]
