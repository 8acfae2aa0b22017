"""Troubles on a clock: flapping for minutes, Railway's wish for patience, and a wall clock that jumps."""

import asyncio
import contextlib
import gc
import logging
import random
import time
import tracemalloc
from collections.abc import Mapping
from typing import Any, cast

import pytest
from railway_made import EPOCH, MadeGateway
from railway_recorder import Recorder

from logrelay.railway import verdicts
from logrelay.railway.backoff import Backoff
from logrelay.railway.feed import Feed
from logrelay.railway.gateway import Gateway
from logrelay.standin import StandIn, World

MINUTES = 60.0


async def flap(*, talking: bool, seconds: float, seed: int, sink: Recorder) -> MadeGateway:
    """Follow a flapping Railway for so long."""
    gateway = MadeGateway(talking=talking)

    def wall() -> int:
        return EPOCH + int(asyncio.get_running_loop().time() * 1e9)

    feed = Feed(cast("Gateway", gateway), "e", backoff=Backoff(rng=random.Random(seed)), wall=wall)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await feed.run(sink)
    return gateway


@pytest.mark.looptime
@pytest.mark.parametrize("talking", [False, True])
@pytest.mark.parametrize("seed", range(10))
async def test_u19_flapping_for_ten_minutes_opens_thirty_times_at_most(seed: int, *, talking: bool) -> None:
    sink = Recorder()

    gateway = await flap(talking=talking, seconds=10 * MINUTES, seed=seed, sink=sink)

    assert 5 <= len(gateway.opens) <= 30
    # Those that found nobody listening count as well.
    assert len(gateway.tries) <= 30
    # One notice per change, and never two of a kind in a row.
    losses, returns = sink.notices.count("reconnecting"), sink.notices.count("live")
    assert sink.notices == (["reconnecting", "live"] * (returns + 1))[: losses + returns]
    assert losses >= 3
    assert sink.messages == [f"line {n + 1}" for n in range(gateway.lines)]
    assert bool(gateway.lines) is talking


@pytest.mark.looptime
@pytest.mark.parametrize("talking", [False, True])
async def test_u19_flapping_takes_no_memory(caplog: pytest.LogCaptureFixture, *, talking: bool) -> None:
    caplog.set_level(logging.CRITICAL, "logrelay")  # what is logged would be kept by the test's own tools

    class Forgetful(Recorder):
        def _note(self) -> None:
            for kept in (
                self.log,
                self.records,
                self.states,
                self.delays,
                self.descriptions,
                self.progressed,
            ):
                kept.clear()

    async def taken(seconds: float) -> int:
        await flap(talking=talking, seconds=seconds, seed=1, sink=Forgetful())
        gc.collect()  # what only the collector frees is no growth
        return tracemalloc.get_traced_memory()[0]

    await flap(talking=talking, seconds=10 * MINUTES, seed=1, sink=Forgetful())
    tracemalloc.start()
    try:
        short = await taken(1 * MINUTES)
        before = len(asyncio.all_tasks())
        long = await taken(60 * MINUTES)
        assert len(asyncio.all_tasks()) == before
    finally:
        tracemalloc.stop()

    assert long - short < 50_000


async def test_u3_twenty_environments_wait_for_retry_after_and_come_back_three_at_a_time(
    railway: StandIn, world: World, gateway: Gateway, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited: list[float] = []
    read = verdicts.retry_after

    def hundredth(headers: Mapping[str, str]) -> float | None:
        wait = read(headers)
        if not limited:
            asyncio.get_running_loop().call_later(0.1, setattr, railway.faults, "refuse_upgrade", None)
        limited.append(time.monotonic())
        assert wait == 30.0
        return wait / 100

    environments = [world.add_environment(f"pr-{n}") for n in range(20)]
    sinks = [follow(environment_id=environment.id) for environment in environments]
    for sink in sinks:
        await sink.state("live")
    connections, queries = railway.journal.total_connections, len(railway.journal.queries)
    monkeypatch.setattr(verdicts, "retry_after", hundredth)
    railway.faults.slow_ack = 0.01

    railway.faults.refuse_upgrade = (429, {"Retry-After": "30"}, "slow down")
    await railway.faults.reset()
    for sink in sinks:
        await sink.state("live", 2)

    again = sorted(connection.at for connection in railway.journal.connections[connections:])
    assert len(again) == 20
    # As many as may be opening at once were under way when the first of them was refused.
    assert 1 <= railway.journal.refused_upgrades == len(limited) <= 3
    assert again[0] - limited[-1] >= 0.3
    assert len(railway.journal.queries) == queries
    assert railway.journal.peak_opening <= 3
    # The first wave is spread.
    assert again[-1] - again[0] > 0.1
    assert {tuple(sink.notices) for sink in sinks} == {("reconnecting", "live")}


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_p9_a_wall_clock_that_jumps_an_hour_changes_nothing(
    gateway: Gateway, tasks: Any, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    # Railway's clock goes on as before; only ours jumps.
    began, monotonic = time.time_ns(), time.monotonic_ns()
    world = World(seed=1, source=lambda: began + time.monotonic_ns() - monotonic)
    real = time.time_ns
    shift = [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift[0] * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)

    async with StandIn(world) as railway:
        gateway.addresses = type(gateway.addresses)(railway.url, railway.ws_url)
        gateway.credential.value = world.account_token
        assert gateway._queries is not None
        gateway._queries.url = railway.url
        sink = Recorder()
        feed = Feed(
            gateway,
            world.environment.id,
            backoff=Backoff(first=0.02, longest=0.05),
            wall=time.time_ns,
        )
        task = asyncio.create_task(feed.run(sink))
        await sink.state("live")
        world.environment.write("before")
        await sink.message("before")

        shift[0] = jump
        for n in range(3):
            world.environment.write(f"{n} while it is wrong")
            await sink.message(f"{n} while it is wrong")
            world.environment.write(f"{n} during a loss")
            await railway.faults.reset()
            await sink.state("live", n + 2)
        shift[0] = 0
        world.environment.write("after")
        await railway.faults.reset()
        await sink.state("live", 5)
        await sink.message("after")
        task.cancel()
        await asyncio.wait([task])

    turns = [f"{n} {what}" for n in range(3) for what in ("while it is wrong", "during a loss")]
    assert sink.messages == ["before", *turns, "after"]
    assert sink.notices == ["reconnecting", "live"] * 4
    assert not any("late" in wire for wire in sink.wires)
    assert all(delay <= 0.075 for _, delay in sink.delays)
