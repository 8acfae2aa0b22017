import asyncio

import pytest

from logrelay.errors import BudgetSpent
from logrelay.railway.budget import Budget, Gate
from logrelay.railway.gateway import patiently

pytestmark = pytest.mark.looptime


async def test_the_second_is_waited_out() -> None:
    loop = asyncio.get_running_loop()
    budget = Budget(per_hour=1000, per_second=10, clock=loop.time)

    for _ in range(30):
        await budget.take()

    assert 2.0 <= loop.time() < 2.1
    assert budget.spent == 30


async def test_many_who_wait_share_one_second() -> None:
    loop = asyncio.get_running_loop()
    budget = Budget(per_hour=1000, per_second=5, clock=loop.time)

    await asyncio.gather(*(budget.take() for _ in range(15)))

    assert 2.0 <= loop.time() < 2.1


async def test_a_spent_hour_is_refused_with_the_time_that_it_takes() -> None:
    loop = asyncio.get_running_loop()
    budget = Budget(per_hour=60, per_second=100, clock=loop.time)
    for _ in range(60):
        await budget.take()

    with pytest.raises(BudgetSpent) as spent:
        await budget.take()
    assert spent.value.retry_after == pytest.approx(60, abs=1)
    await asyncio.sleep(61)
    await budget.take()

    assert budget.left == 0
    assert repr(budget) == "<Budget 0 of 60 left>"


async def test_a_budget_never_grows_beyond_the_hour() -> None:
    loop = asyncio.get_running_loop()
    budget = Budget(per_hour=60, clock=loop.time)

    await asyncio.sleep(100_000)

    assert budget.left == 60


async def test_a_gate_opens_when_the_longest_wish_is_over() -> None:
    loop = asyncio.get_running_loop()
    gate = Gate(loop.time)
    gate.shut(10)
    gate.shut(3)
    assert gate.wait == 10

    await patiently(gate)

    assert loop.time() == pytest.approx(10, abs=0.1)
    assert gate.wait == 0


async def test_a_gate_that_is_shut_again_is_waited_for_again() -> None:
    loop = asyncio.get_running_loop()
    gate = Gate(loop.time)
    gate.shut(1)
    loop.call_later(0.5, gate.shut, 5)

    await patiently(gate)

    assert loop.time() == pytest.approx(5.5, abs=0.1)
