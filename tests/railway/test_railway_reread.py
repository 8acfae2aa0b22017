"""The second look at what the subscription has brought: it finds what Railway's poll passed over, in nobody's way."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from logrelay.railway.backoff import Backoff
from logrelay.railway.budget import Budget
from logrelay.railway.intake import SECOND, Intake
from logrelay.railway.pages import Fetched, Page
from logrelay.railway.reread import Reread
from logrelay.relay import timestamps
from logrelay.relay.records import Content
from logrelay.standin import Environment, StandIn

SOON = {"reread": 0.03}


def pages_asked(railway: StandIn) -> int:
    return sum(asked.operation_name == "EnvironmentPage" for asked in railway.journal.queries)


async def test_a_row_that_the_poll_passed_over_is_delivered_late(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    sink = follow(**SOON)
    await sink.state("live")

    environment.write("passed over", hidden_from_poll=True)
    environment.write("seen")
    await sink.message("passed over")
    environment.write("later")
    await sink.message("later")

    assert sink.messages == ["seen", "passed over", "later"]
    assert ["late" in wire for wire in sink.wires] == [False, True, False]
    assert sink.notices == []
    assert railway.journal.total_connections == 1


async def test_a_repeat_that_two_polls_gave_apart_is_found_as_a_repeat(
    environment: Environment, follow: Any
) -> None:
    sink = follow(**SOON)
    await sink.state("live")

    environment.write_many([{"message": "same"}, {"message": "same", "tied": True, "hidden_from_poll": True}])
    await sink.until(lambda: sink.messages == ["same", "same"])

    assert sink.records[1].id == f"{sink.records[0].id}~2"
    assert "late" not in sink.wires[1]  # as new as the newest


async def test_the_first_line_of_a_new_service_has_its_name_there_too(
    environment: Environment, follow: Any
) -> None:
    sink = follow(**SOON)
    await sink.state("live")

    environment.add_service("newcomer")
    environment.write("hello", service="newcomer", hidden_from_poll=True)
    environment.write("seen")
    await sink.message("hello")

    assert sink.wires[-1]["serviceName"] == "newcomer"


class Watched(Budget):
    """A budget that says how often somebody has looked whether there is plenty."""

    def __init__(self) -> None:
        super().__init__(per_second=1000)
        self.looks = 0
        self.enough = asyncio.Event()

    @property
    def plenty(self) -> bool:
        self.looks += 1
        if self.looks > 20:
            self.enough.set()
        return super().plenty


async def test_nothing_is_asked_where_nothing_came(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    budget = Watched()
    sink = follow(await open_gateway(budget=budget), reread=0.001)
    await sink.state("live")
    environment.write("one")
    await sink.message("one")

    budget.looks = 0
    budget.enough.clear()
    await budget.enough.wait()

    # The seed, and one look at what came.
    assert pages_asked(railway) == 2


async def test_a_look_that_hangs_delays_no_frame_and_no_loss(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    sink = follow(reread=0.001)
    await sink.state("live")
    railway.faults.query_delay = 60.0
    environment.write("first")
    await railway.until(lambda: pages_asked(railway) == 2, within=2.0)

    began = time.monotonic()
    environment.write("second")
    await sink.message("second")
    await railway.faults.reset()
    await sink.state("live", 2)
    environment.write("third")
    await sink.message("third")

    assert time.monotonic() - began < 1.0
    assert sink.messages == ["first", "second", "third"]


@pytest.mark.parametrize("answer", [(503, {}, "down", 1), (200, {}, "no json", 1)])
async def test_a_look_that_fails_is_followed_by_another(
    railway: StandIn, environment: Environment, follow: Any, answer: Any
) -> None:
    sink = follow(**SOON)
    await sink.state("live")
    railway.faults.http = answer
    environment.write("seen")
    await sink.message("seen")
    await railway.until(lambda: railway.faults.http is None, within=2.0)

    environment.write("passed over", hidden_from_poll=True)
    environment.write("seen too")
    await sink.message("passed over")

    assert sink.notices == []


async def test_a_look_that_fails_is_made_up_for_although_nothing_comes_any_more(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    sink = follow(**SOON)
    await sink.state("live")
    railway.faults.http = (503, {}, "down", 1)

    environment.write("passed over", hidden_from_poll=True)
    environment.write("seen")
    await sink.message("passed over")

    assert railway.faults.http is None
    assert sink.notices == []


async def test_a_row_that_is_too_large_is_declared_once_and_not_asked_for_again(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=8000), **SOON)
    await sink.state("live")

    row = environment.write("x" * 10_000, hidden_from_poll=True)
    environment.write("seen")
    await sink.until(lambda: sink.data("gap"))
    for n in range(3):
        environment.write(f"hidden {n}", hidden_from_poll=True)
        environment.write(f"seen {n}")
        await sink.message(f"hidden {n}")

    assert sink.data("gap") == [
        {"from": row.timestamp, "to": row.timestamp, "count": 1, "reason": "too_large"}
    ]
    assert railway.journal.total_connections == 1


# -- on its own ------------------------------------------------------------------------------------------------

NOW = timestamps.parse("2026-11-23T12:00:00Z")


class Rows:
    """A delivery that has something to look at again each time."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.added: list[Page] = []
        self.asked = 0
        self.called = asyncio.Event()

    def span(self) -> tuple[int, int] | None:
        self.asked += 1
        self.called.set()
        return (NOW, NOW + 9)

    def looked(self, end_ns: int | None) -> None:
        assert end_ns in {NOW + 9, None}

    async def name(self, page: Page) -> None:
        pass

    def add(self, page: Page) -> int:
        self.added.append(page)
        return len(page.rows)


def spent(left: int) -> Budget:
    budget = Budget(per_hour=100, clock=lambda: 0.0)
    budget._hourly = float(left)
    return budget


@pytest.mark.parametrize(("left", "looks"), [(25, True), (24, False), (0, False)])
async def test_a_quarter_of_the_budget_is_left_for_others(left: int, *, looks: bool) -> None:
    rows = Rows()
    fetched: list[tuple[int, int]] = []

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        fetched.append((start_ns, end_ns))
        return Fetched([])

    await Reread(rows, fetch, spent(left), every=1.0, spread=lambda delay: delay)._look()

    assert bool(fetched) is looks
    assert rows.asked == looks


async def test_a_look_ends_when_the_budget_does() -> None:
    rows, budget = Rows(), spent(30)
    full = [(NOW + 5, Content("", str(n))) for n in range(5001)]

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        budget._hourly = 10.0
        return Fetched(full)

    reread = Reread(rows, fetch, budget, every=0.001, spread=lambda delay: delay)
    async with reread.beside():
        await rows.called.wait()
        rows.called.clear()

    assert rows.added == []


async def test_a_fault_of_ours_in_a_look_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    rows = Rows()

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        raise ZeroDivisionError

    async with Reread(rows, fetch, Budget(), every=0.001, spread=lambda delay: delay).beside():
        for _ in range(2):
            rows.called.clear()
            await rows.called.wait()

    assert "reading again failed" in caplog.messages


async def test_a_feed_that_is_lost_again_and_again_is_looked_at_all_the_same() -> None:
    rows = Rows()
    spreads: list[float] = []

    def spread(delay: float) -> float:
        spreads.append(delay)
        return delay

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        return Fetched([])

    reread = Reread(rows, fetch, Budget(), every=0.2, spread=spread)
    async with asyncio.timeout(5.0):
        while not rows.called.is_set():
            async with reread.beside():
                await asyncio.sleep(0.001)  # each subscription is far shorter than the time between two looks
            assert len(spreads) == 1 or rows.called.is_set()


async def test_a_look_that_a_loss_has_cut_is_made_at_once_when_the_subscription_stands_again() -> None:
    rows = Rows()
    fetches: list[int] = []
    begun = asyncio.Event()

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        fetches.append(start_ns)
        begun.set()
        if len(fetches) == 1:
            await asyncio.Event().wait()
        return Fetched([])

    waits = iter([0.0, 3600.0])
    reread = Reread(rows, fetch, Budget(), every=60.0, spread=lambda _: next(waits))
    for _ in range(2):
        begun.clear()
        async with asyncio.timeout(5.0), reread.beside():
            await begun.wait()

    assert len(fetches) == 2


async def test_looks_of_many_environments_are_spread() -> None:
    waits: list[float] = []
    backoff = Backoff(rng=random.Random(1))

    def spread(delay: float) -> float:
        waits.append(backoff.spread(delay))
        return 3600.0

    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        return Fetched([])

    async def begun() -> AsyncIterator[None]:
        for _ in range(20):
            async with Reread(Rows(), fetch, Budget(), every=60.0, spread=spread).beside():
                await asyncio.sleep(0)
                yield

    assert len([one async for one in begun()]) == 20
    assert 30 <= min(waits) < 40
    assert 80 < max(waits) <= 90


async def test_without_an_interval_there_is_no_second_look() -> None:
    async def fetch(start_ns: int, end_ns: int) -> Fetched:
        raise AssertionError

    before = asyncio.all_tasks()
    async with Reread(Rows(), fetch, Budget(), every=0.0, spread=lambda delay: delay).beside():
        assert asyncio.all_tasks() == before


# -- what may be read again ------------------------------------------------------------------------------------


def taken_with(*stamps: int, **options: Any) -> Intake:
    taken = Intake(lambda _: None, clock=lambda: NOW + 3600 * SECOND, **({"window": 120.0} | options))
    taken.entries(taken.unseen([(ns, Content("", str(ns))) for ns in stamps]))
    return taken


def test_a_window_before_the_newest_row_is_read_again() -> None:
    taken = taken_with(NOW)

    assert taken.again_from(NOW) == NOW - 120 * SECOND
    # Late rows only: what lies before the window of the newest may be forgotten.
    assert taken.again_from(NOW - 60 * SECOND) == NOW - 120 * SECOND


def test_nothing_is_read_again_that_the_seed_left_out() -> None:
    taken = taken_with(NOW)

    taken.seeded(NOW - 5)

    assert taken.again_from(NOW) == NOW - 4


def test_nothing_is_read_again_that_may_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logrelay.railway.intake._MOST_REMEMBERED", 10)

    taken = taken_with(*range(NOW, NOW + 20), remembered=5)

    assert taken.again_from(NOW + 19) == NOW + 20


def test_what_the_window_may_read_again_is_remembered_beyond_the_capacity() -> None:
    taken = taken_with(*range(NOW, NOW + 100 * SECOND, SECOND), remembered=10)

    assert len(taken._identities) == 100
    assert taken.since == NOW + 69 * SECOND


def test_what_is_being_read_again_is_not_forgotten_meanwhile() -> None:
    """A look takes a while, in which others arrive: its oldest page was delivered again when they pushed it out."""

    def rows(start: int, end: int) -> list[tuple[int, Content]]:
        return [(ns, Content("", str(ns))) for ns in range(NOW + start * SECOND, NOW + end * SECOND, SECOND)]

    taken = taken_with(remembered=10)
    taken.entries(taken.unseen(rows(0, 200)))
    start = taken.again_from(NOW + 199 * SECOND)
    taken.reading(start)
    taken.entries(taken.unseen(rows(200, 300)))

    page = [row for row in rows(0, 200) if row[0] >= start]
    assert len(page) == 121
    assert taken.unseen(taken.told(page)) == []

    taken.reading(None)
    taken.entries(taken.unseen(rows(300, 400)))
    assert len(taken._identities) < 160


def test_of_what_was_forgotten_all_the_same_nothing_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logrelay.railway.intake._MOST_REMEMBERED", 10)
    taken = taken_with(NOW, remembered=5)
    page = [(NOW, Content("", str(NOW)))]
    taken.reading(taken.again_from(NOW))

    taken.entries(taken.unseen([(ns, Content("", str(ns))) for ns in range(NOW + 1, NOW + 40)]))

    assert taken.told(page) == []


def test_a_stamp_in_the_future_hides_nothing_that_comes_before_it() -> None:
    taken = taken_with(NOW)

    taken.skipped(NOW + 7200 * SECOND)

    assert taken.since == taken.now
