"""The judge of what a viewer got: what it must not let pass, and what nobody could have done better."""

from typing import Any

import pytest
from promises_reader import Anchor, Reader, Sight, Visit

from logrelay.standin import Row
from logrelay.standin.timestamps import stamp

SECOND = 1_000_000_000
BASE = 1_795_000_000 * SECOND


class Scene:
    """A log that is being written, and a viewer who comes back and is sent the past, overlap included."""

    def __init__(self, outcome: str = "backfilled") -> None:
        self.rows: list[Row] = []
        arrived: dict[tuple[int, str], int] = {}
        self.reader, self.witness = (
            Reader(name, self.rows, {"s": "web"}, {}, arrived) for name in ("reader", "witness")
        )
        self.write(10, 20)
        anchor = Anchor(self.identity(0), 1, 0)
        visit = Visit(2, Sight(), anchor, overlap=3, connected=2, outcome={"outcome": outcome})
        self.reader.visits.append(visit)
        self.witness.visits.append(Visit(2, Sight(), connected=0))

    def write(self, *seconds: int) -> None:
        """A line for each, stamped so; its message is its number."""
        for second in seconds:
            self.rows.append(Row(BASE + second * SECOND, str(len(self.rows)), "info", {"serviceId": "s"}, []))

    def identity(self, number: int) -> str:
        return f"{stamp(self.rows[number].ns)}-0123456789ab"

    def send(self, *numbers: int, late: bool = False, to: Reader | None = None) -> None:
        """Lines reach a reader."""
        reader = to or self.reader
        for number in numbers:
            record: dict[str, Any] = {"id": self.identity(number), "message": str(number)}
            reader._record(
                reader.visits[-1], record | {"serviceName": "web"} | ({"late": True} if late else {})
            )

    @property
    def misplaced(self) -> list[str]:
        """Which lines came too late."""
        verdict = self.reader.verdict()
        assert not verdict.repeats
        return [said.partition("number=")[2].partition(",")[0] for said in verdict.disorder]


def test_a_line_that_a_query_shows_before_the_poll_may_come_before_those_which_the_poll_brings() -> None:
    scene = Scene()
    scene.send(0)
    scene.write(9, 19)  # the past up to 10 has been read already

    scene.send(3, 1)  # the next page
    scene.send(2, late=True)  # the next poll

    assert scene.misplaced == []


def test_a_line_that_had_arrived_comes_before_what_was_written_from_then_on() -> None:
    scene = Scene()
    scene.send(0)
    scene.write(9)
    scene.send(2, late=True, to=scene.witness)
    scene.write(19)

    scene.send(3, 1)
    scene.send(2, late=True)

    assert scene.misplaced == ["2"]


@pytest.mark.parametrize("late", [False, True])
def test_what_comes_in_one_way_comes_in_order(late: Any) -> None:
    scene = Scene()
    scene.write(18, 19)

    scene.send(0, 1)
    scene.send(3, 2, late=late)

    assert scene.misplaced == ["2"]


def test_the_history_comes_in_order_of_arrival_to_who_resumes_from_it() -> None:
    scene = Scene("exact")
    scene.reader.visits[-1].anchor = Anchor(scene.identity(0), 2, 0)  # of this very history
    scene.write(18, 19)

    scene.send(1, 3)
    scene.send(2, late=True)

    assert scene.misplaced == ["2"]


def test_a_line_that_nobody_wrote_before_the_newest_comes_in_its_place() -> None:
    scene = Scene()
    scene.write(9, 21)

    scene.send(0, 1, 3)  # what is newest has come by the subscription, which had brought the late one
    scene.send(2, late=True)

    assert scene.misplaced == ["2"]
