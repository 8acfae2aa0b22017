"""How long the relay's event loop is kept busy: `python tests/bench/lag.py` prints a table, and judges nothing.

The relay runs in a process of its own and looks at its own loop; the stand-in and the viewers are in this one. A stall
counts for all of its time, not once: of a stall of 100 ms, every 5 ms give a sample of what is left of it, as
if somebody had asked for the loop at each of these moments.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import attrs

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "system"), str(TESTS / "promises")]

from conftest_system import QUICK, until  # noqa: E402 the path comes first
from test_flood import CHANGES, Audience, frames_of, made_up, watching  # noqa: E402

from logrelay import app, settings  # noqa: E402
from logrelay.standin import StandIn, World  # noqa: E402

INTERVAL = 0.005  # seconds between two looks at the loop
WITHIN = 300.0  # seconds for a whole scenario
COLUMNS = ("scenario", "seconds", "lines/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms")


# -- the relay's process --------------------------------------------------------------------------------------


def spread(stalls: Sequence[float]) -> list[float]:
    """Samples of lag, sorted: each stall, and what was left of it at every further interval."""
    samples: list[float] = []
    for stall in stalls:
        samples.append(stall)
        samples.extend(stall - step * INTERVAL for step in range(1, int(stall / INTERVAL) + 1))
    return sorted(samples)


def summary(stalls: Sequence[float]) -> dict[str, float]:
    samples = spread(stalls)

    def at(share: float) -> float:
        return 1000 * samples[min(int(len(samples) * share), len(samples) - 1)]

    return {"p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "longest": at(1.0)}


async def look(stalls: list[float]) -> None:
    """Note at each interval by how much the loop is late."""
    while True:
        due = time.perf_counter() + INTERVAL
        await asyncio.sleep(INTERVAL)
        stalls.append(max(time.perf_counter() - due, 0.0))


async def relay() -> None:
    """Serve as configured; for each line on stdin, tell how late the loop has been since the last one."""
    configured, _ = settings.read(os.environ)
    application = app.build(configured)
    runner, port = await app.start(application, "127.0.0.1", 0)
    stalls: list[float] = []
    looking = asyncio.create_task(look(stalls))
    asked = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    tell(port=port)
    while await asked.readline():
        tell(**summary(stalls or [0.0]))
        stalls.clear()
    looking.cancel()
    await application[app.STREAMS].drain()
    await runner.cleanup()


def tell(**facts: float) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


# -- this process ---------------------------------------------------------------------------------------------


@attrs.frozen
class Measured:
    """A relay in its own process, and how to ask it."""

    port: int
    process: asyncio.subprocess.Process

    async def lag(self) -> dict[str, float]:
        """How late the loop was since this was last asked, in milliseconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        answer: dict[str, float] = json.loads(await self.process.stdout.readline())
        return answer


@contextlib.asynccontextmanager
async def measured(railway: StandIn) -> AsyncIterator[Measured]:
    """Start the relay's process; it ends with its stdin."""
    given = {
        "LOGRELAY_RAILWAY_URL": railway.url,
        "LOGRELAY_ENVIRONMENTS": railway.world.environment.id,
        "RAILWAY_API_TOKEN": railway.world.account_token,
        "NO_PROXY": "127.0.0.1",
    }
    ours = ("LOGRELAY_", "RAILWAY_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--relay"), stdin=pipe, stdout=pipe, env=kept | QUICK | CHANGES | given
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Measured(json.loads(await process.stdout.readline())["port"], process)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


Scenario = Callable[[StandIn], Awaitable[int]]


async def calm(_: StandIn) -> int:
    """Nothing happens for two seconds."""
    await asyncio.sleep(2)
    return 0


def steady(rate: int, duration: float) -> Scenario:
    """So many lines a second, twenty times a second some of them."""

    async def write(railway: StandIn) -> int:
        rows = made_up(railway.world, int(rate * duration))
        portion = rate // 20
        began = time.perf_counter()
        for start in range(0, len(rows), portion):
            await asyncio.sleep(max(began + start / rate - time.perf_counter(), 0))
            for frame in frames_of(railway, rows[start : start + portion], "one frame"):
                await railway.faults.send_raw(frame)
        return len(rows)

    return write


def flood(count: int, shape: str) -> Scenario:
    """All at once."""

    async def write(railway: StandIn) -> int:
        for frame in list(frames_of(railway, made_up(railway.world, count), shape)):
            await railway.faults.send_raw(frame)
        return count

    return write


async def run(scenario: Scenario, viewers: int) -> tuple[float, int, dict[str, float]]:
    """Seconds until everyone had everything, lines, and the relay's lag; each scenario has a relay of its own."""
    async with (
        StandIn(World(seed=7)) as railway,
        measured(railway) as relay,
        watching(relay.port, railway.world.environment.id, viewers, readers=0) as audience,
    ):
        await railway.subscribed()
        await relay.lag()  # what it took to start is no part of it
        began = time.perf_counter()
        count = await scenario(railway)
        await served(audience, count)
        return time.perf_counter() - began, count, await relay.lag()


async def served(audience: Audience, count: int) -> None:
    await until(lambda: audience.served(count), f"{count} lines for everyone", within=WITHIN)


async def main(viewers: int, count: int) -> None:
    scenarios: dict[str, Scenario] = {
        "calm": calm,
        "1,000 lines/s": steady(1000, 10),
        "5,000 lines/s": steady(5000, 5),
        f"{count:,} frames": flood(count, "a frame each"),
        f"{count:,} in a frame": flood(count, "one frame"),
    }
    say(COLUMNS)
    for name, scenario in scenarios.items():
        seconds, lines, lag = await run(scenario, viewers)
        figures = (f"{seconds:.1f}", f"{lines / seconds:.0f}", *(f"{value:.1f}" for value in lag.values()))
        say((name, *figures))


def say(texts: Sequence[str]) -> None:
    """Write a line of the table."""
    sys.stdout.write("".join(f"{text:>16}" for text in texts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the lag of the relay's event loop under floods.")
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--lines", type=int, default=50_000, help="of a flood")
    parser.add_argument("--relay", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    asyncio.run(relay() if arguments.relay else main(arguments.viewers, arguments.lines))
