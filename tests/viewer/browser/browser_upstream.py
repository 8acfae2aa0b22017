"""A stand-in Railway as a process of its own, so that it takes no time from a test's: `python browser_upstream.py`.

It says `{"url", "token", "environment"}` first. A JSON line on stdin `{"write": lines, "rate": lines per second}` has
`line 1`, `line 2` and so on written, and is answered by `{"written": number of the last line}`.
"""

import asyncio
import json
import sys
import time
from typing import Any

from logrelay.standin import Line, StandIn, World

TICK = 0.02  # seconds between two writes
SERVICES = ("api", "web", "worker")
SEVERITIES = ("info", "info", "debug", "warn", "error", None)


def line(number: int) -> Line:
    """The line with this number."""
    attributes = {"orderId": number, "path": "/checkout"} if number % 5 == 0 else None
    text = f"line {number} GET /api/orders/{number % 1000} 200 in 12 ms"
    return Line(text, SERVICES[number % 3], SEVERITIES[number % 6], attributes)


async def write(world: World, first: int, count: int, rate: float) -> None:
    """Write so many lines from this number on, so many a second."""
    began, written = time.monotonic(), 0
    while written < count:
        due = min(count, int((time.monotonic() - began) * rate))
        world.environment.write_many(map(line, range(first + written, first + due)))
        written = due
        await asyncio.sleep(TICK)


def say(**fields: Any) -> None:
    """Write a JSON line."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def _main() -> None:
    world = World(seed=9)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async with StandIn(world, poll_interval=TICK) as railway:
        say(url=railway.url, token=world.account_token, environment=world.environment.id)
        number = 0
        async for command in reader:
            given = json.loads(command)
            await write(world, number + 1, given["write"], given["rate"])
            number += given["write"]
            say(written=number)


if __name__ == "__main__":
    asyncio.run(_main())
