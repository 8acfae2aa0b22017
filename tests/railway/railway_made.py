"""A hand-made way to Railway for tests in virtual time: up and down by the clock of the loop, without a socket."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from logrelay.railway.answers import QueryFailed
from logrelay.railway.budget import Budget, Gate
from logrelay.railway.rows import Row
from logrelay.railway.transport import Batch, SubscriptionEnded
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay import timestamps

LOST = Verdict(Kind.TRANSIENT, "the connection to Railway was lost")
EPOCH = timestamps.parse("2026-11-23T12:00:00Z")


class MadeGateway:
    """What a feed needs of a gateway. Railway is up in every second second, and says something at once or nothing."""

    def __init__(self, *, talking: bool) -> None:
        clock = asyncio.get_running_loop().time
        self._clock: Callable[[], float] = clock
        self._talking = talking
        self.gate = Gate(clock)
        self.budget = Budget(clock=clock)
        self.openings = asyncio.Semaphore(3)
        self.renewals = 0
        self.rejected = False
        self.ends: Counter[str] = Counter()
        self.tries: list[float] = []
        self.opens: list[float] = []
        self.lines = 0

    @property
    def up(self) -> bool:
        return int(self._clock()) % 2 == 0

    async def query(self, name: str, _variables: dict[str, object]) -> dict[str, Any]:
        await self.budget.take()
        if not self.up:
            raise QueryFailed(LOST)
        if name == "EnvironmentPage":
            return {"environmentLogs": []}
        services: dict[str, Any] = {"edges": [], "pageInfo": {"hasNextPage": False}}
        return {"environment": {"name": "production", "serviceInstances": services}}

    @contextlib.asynccontextmanager
    async def subscription(self, _variables: dict[str, object]) -> AsyncIterator[AsyncIterator[Batch]]:
        self.tries.append(self._clock())
        if not self.up:
            raise SubscriptionEnded(LOST)
        self.opens.append(self._clock())
        async with contextlib.aclosing(self._batches()) as batches:
            yield batches

    async def _batches(self) -> Any:
        yield Batch([], [])
        if self._talking:
            self.lines += 1
            stamp = timestamps.render(EPOCH + int(self._clock() * 1e9))
            yield Batch([Row(stamp, f"line {self.lines}")], [])
        await asyncio.sleep(1 - self._clock() % 1)
        raise SubscriptionEnded(LOST)
