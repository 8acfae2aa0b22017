"""A soak: many clients come and go for hours while the upstream is cut once a minute; nothing grows, nothing is lost.

`LOGRELAY_TEST_SOAK_SECONDS` says how long (7,200), `LOGRELAY_TEST_SOAK_CLIENTS` with how many (500). With `pytest -s` a
line a minute tells how it goes.
"""

import asyncio
import math
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from conftest_system import until
from promises_clients import Client, Life
from promises_counting import PERFECT, Report
from promises_load import MIB, Served, Writer, serving

from logrelay.chaos import FAULTS, Fault
from logrelay.standin import StandIn

SECONDS = float(os.environ.get("LOGRELAY_TEST_SOAK_SECONDS", "7200"))
CLIENTS = int(os.environ.get("LOGRELAY_TEST_SOAK_CLIENTS", "500"))
RATE = 200.0  # lines a second
CHURN = 5.0  # clients a second that leave
LONGEST_AWAY = 5.0  # seconds
BETWEEN_CUTS = min(60.0, SECONDS / 5)  # seconds
BETWEEN_LOOKS = min(5.0, SECONDS / 60)  # seconds
WARM = 1200.0 if SECONDS >= 3600 else SECONDS / 3  # seconds, before memory counts
LONG_ENOUGH = 3600.0  # seconds of a run whose slope says something
STEEPEST = 1.0  # MiB an hour
CHANGES = {
    "LOGRELAY_HISTORY_RECORDS": "6000",  # full after half a minute: from then on, memory is steady or there is a leak
    "LOGRELAY_HISTORY_SECONDS": "86400",
    # As in production, where the tests' own are quicker: a cut a minute makes an upstream flap, but the wait is bounded
    # so that what comes after it fits into that history.
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "0.5",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "5",
    "LOGRELAY_FLAPPING_SECONDS": "300",
    "LOGRELAY_STANDS_SECONDS": "2",
    "LOGRELAY_LINGER_SECONDS": "2",
    "LOGRELAY_QUERIES_PER_SECOND": "10",
}


async def _unavailable(railway: StandIn) -> None:
    railway.faults.refuse_upgrade = (503, {}, "")
    await railway.faults.reset()
    await asyncio.sleep(5)
    railway.faults.refuse_upgrade = None


CUTS = (*FAULTS, Fault("503 for five seconds", _unavailable))


# -- the clients --------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Member:
    """One of the crowd: a viewer and its present connection."""

    number: int
    life: Life
    client: Client
    away: bool = False


@attrs.define
class Crowd:
    """All clients, and what those had got who won't come back."""

    served: Served
    members: list[Member]
    chance: random.Random
    done: Report = PERFECT  # of lives that are over
    counts: Counter[str] = attrs.Factory(Counter)

    def report(self, up_to: int | None = None) -> Report:
        """The three numbers of everyone; those who are here ought to have got every line up to this one."""
        return sum((member.life.report(up_to) for member in self.members), self.done)

    async def churn(self, tasks: asyncio.TaskGroup) -> None:
        """So many leave in a second, until cancelled; each comes back in a while."""
        while True:
            await asyncio.sleep(1 / CHURN)
            here = [member for member in self.members if not member.away]
            for member in here:
                if member.client.over:  # which is not for the relay to decide
                    self.counts["ended by the relay"] += 1
            leaver = self.chance.choice(here)
            leaver.away = True
            tasks.create_task(self._turn(leaver))

    async def _turn(self, member: Member) -> None:
        """Leave, stay away, and come back to where it was, or as somebody else."""
        await (member.client.leave() if self.chance.random() < 0.5 else member.client.cut())
        self._note(member.client)
        await asyncio.sleep(self.chance.uniform(0, LONGEST_AWAY))
        query = {}
        if member.life.last_id and self.chance.random() < 0.7:
            query = {"lastId": member.life.last_id}
        else:
            self.done += member.life.report()
            member.life = Life()
        self.counts["resumed" if query else "new"] += 1
        member.client = await self.served.client(member.number, member.life, **query)
        await until(lambda: member.client.settled, "it is served", within=60)
        self.counts["refused"] += not member.client.connected
        for message in member.client.messages:
            if message.get("message") == "connected" and query:
                self.counts[message["data"]["resume"]["outcome"]] += 1
        member.away = False

    def _note(self, client: Client) -> None:
        """Count what a connection was told that it should not have been."""
        for said in set(client.said) - {"connecting", "connected", "reconnecting", "live"}:
            self.counts[said] += client.said.count(said)

    async def leave(self) -> None:
        """Everyone goes."""
        for member in self.members:
            self._note(member.client)
        await asyncio.gather(*(member.client.leave() for member in self.members))


# -- what is measured ---------------------------------------------------------------------------------------------


@attrs.frozen
class Look:
    """The relay, seen from outside."""

    at: float  # seconds since the start
    memory: float  # MiB that it has in memory
    fds: int
    viewers: int


@attrs.frozen
class Slope:
    """A straight line through values, by least squares."""

    per_hour: float
    error: float  # the slope's standard error

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> "Slope":
        """Of values by seconds; three of them at least."""
        middle = statistics.fmean(at for at, _ in points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        mean = statistics.fmean(value for _, value in points)
        slope = sum((at - middle) * (value - mean) for at, value in points) / spread
        left = sum((value - mean - slope * (at - middle)) ** 2 for at, value in points)
        return cls(3600 * slope, 3600 * math.sqrt(left / (len(points) - 2) / spread))

    def __str__(self) -> str:
        return f"{self.per_hour:+.2f} ± {self.error:.2f} MiB/h"


def slopes(looks: Sequence[Look]) -> tuple[Slope, Slope]:
    """Of memory once it is warm: of each minute's mean, and of the least in each five minutes.

    Looks that lie near each other aren't independent, hence minutes. What is held for a moment, such as the pages of a
    hole that is being filled, comes and goes, and tilts the first line when it happens near an end; a leak lifts the
    floor as well.
    """
    minute = min(60.0, SECONDS / 15)
    means = [(at, statistics.fmean(some)) for at, some in _windows(looks, minute)]
    floors = [(at, min(some)) for at, some in _windows(looks, min(5 * minute, SECONDS / 10))]
    return Slope.of(means), Slope.of(floors)


def _windows(looks: Sequence[Look], seconds: float) -> list[tuple[float, list[float]]]:
    found: dict[int, list[float]] = {}
    for look in looks:
        if look.at >= WARM:
            found.setdefault(int(look.at // seconds), []).append(look.memory)
    return [(number * seconds, some) for number, some in found.items()]


def tell(words: str) -> None:
    """Now, not when the test is over."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {words}\n")
    sys.stdout.flush()


@attrs.define
class Watch:
    """Looks at the relay every few seconds, and tells how it goes every minute."""

    served: Served
    crowd: Crowd
    looks: list[Look] = attrs.Factory(list)
    _began: float = attrs.Factory(time.monotonic)

    async def run(self, seconds: float) -> None:
        told = BETWEEN_CUTS / 2  # between two cuts
        while (now := time.monotonic() - self._began) < seconds:
            look = Look(now, self.served.memory() / MIB, self.served.fds(), await self.served.viewers())
            self.looks.append(look)
            if now >= told:
                told += 60.0
                await self._tell(look)
            await asyncio.sleep(min(BETWEEN_LOOKS, max(seconds - now, 0)))

    async def _tell(self, look: Look) -> None:
        _, body = await self.served.ready()
        memory = "memory {}, floor {}".format(*slopes(self.looks)) if look.at >= 2 * WARM else ""
        tell(
            f"{look.at:6.0f} s  {look.memory:6.1f} MiB  fds {look.fds}  viewers {look.viewers}  {self.crowd.report()}  "
            f"{dict(self.crowd.counts)}  {body['state']} {body.get('budget')}  {memory}"
        )


async def cut(railway: StandIn) -> None:
    """One fault after the other, a minute from one to the next, until cancelled."""
    while True:
        for fault in CUTS:
            await asyncio.sleep(BETWEEN_CUTS)
            tell(f"cut: {fault.name}")
            await fault.strike(railway)


def test_a_slope_is_that_of_the_line_through_the_points() -> None:
    noise = (0.5, -0.5, -0.5, 0.5)

    steady = Slope.of([(second, 100 + second / 1800) for second in range(100)])
    noisy = Slope.of([(second, 100 + noise[second % 4]) for second in range(4000)])

    assert (2.0, 0.0) == pytest.approx((steady.per_hour, steady.error), abs=1e-6)
    assert abs(noisy.per_hour) < 3 * noisy.error < 0.1


# -- the soak -----------------------------------------------------------------------------------------------------


async def soak(railway: StandIn, crowd: Crowd, watch: Watch, writer: Writer) -> None:
    """All of it, for so many seconds; afterwards everyone is there and has every line."""
    async with asyncio.TaskGroup() as tasks:  # the first that fails ends all
        writing = tasks.create_task(writer.run(RATE))
        cutting = tasks.create_task(cut(railway))
        churning = tasks.create_task(crowd.churn(tasks))
        await watch.run(SECONDS)
        cutting.cancel()
        churning.cancel()
        await asyncio.wait([cutting])
        railway.faults.reset_all()
        await railway.listen_again()
        await until(lambda: not any(member.away for member in crowd.members), "everyone is back", within=60)
        goal = writer.number + 1  # so that also those who have just come as new have a line to go by
        await until(
            lambda: all(member.life.last >= goal for member in crowd.members), "lines go on", within=60
        )
        writing.cancel()
    await until(
        lambda: all(member.life.last == writer.number for member in crowd.members),
        "everyone has all",
        within=60,
    )


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 400)
async def test_hours_of_churn_and_cuts_lose_nothing_and_leave_nothing(
    railway: StandIn, tmp_path: Path
) -> None:
    writer = Writer(railway)
    async with serving(railway, tmp_path, CHANGES) as served:
        fds, tasks = served.fds(), await served.tasks()
        clients = await served.clients(CLIENTS)
        members = [Member(number, client.life, client) for number, client in enumerate(clients)]
        crowd = Crowd(served, members, random.Random(1))
        watch = Watch(served, crowd)

        await soak(railway, crowd, watch, writer)
        report = crowd.report(writer.number)
        means, floors = slopes(watch.looks)
        await crowd.leave()
        tell(f"{writer.number} lines: {report}, {dict(crowd.counts)}, memory {means}, floor {floors}")
        await served.until_viewers(0)
        await until(lambda: served.fds() <= fds, f"{fds} descriptors again", within=60)
        left = await served.tasks_at_most(tasks)
        tell(
            f"all have left: 0 viewers, {served.fds()} of {fds} descriptors and {left} of {tasks} tasks at the start"
        )

    assert report == PERFECT
    bad = ("gap", "lost", "refused", "partial", "none", "too_slow", "draining", "ended by the relay")
    assert [] == [name for name, count in crowd.counts.items() if count and name in bad]
    if SECONDS >= LONG_ENOUGH:
        assert floors.per_hour < STEEPEST
