"""Numbered lines, for measuring what a relay loses, repeats or puts out of order."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import attrs

from logrelay.standin.rows import Line

if TYPE_CHECKING:
    from logrelay.standin.rows import Row
    from logrelay.standin.world import Environment


@attrs.define(eq=False)
class Canary:
    """Writes `canary 1`, `canary 2` and so on; `number` is the last one written.

    Of the lines, the fraction `tied` bears the stamp of the line before, the fraction `late` a stamp up to
    `max_lateness` seconds in the past, and the fraction `duplicates` is sent again by a later poll.
    """

    environment: Environment
    service: str = "canary"
    seed: int = 1
    tied: float = 0.0
    late: float = 0.0
    max_lateness: float = 1.0  # seconds
    duplicates: float = 0.0
    number: int = attrs.field(default=0, init=False)
    written: list[Row] = attrs.field(factory=list, init=False, repr=False)
    _random: random.Random = attrs.field(init=False, repr=False)
    _again: list[Row] = attrs.field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Seed the choices, and add the service where there is none of its name."""
        self._random = random.Random(self.seed)
        if all(service.name != self.service for service in self.environment.services):
            self.environment.add_service(self.service)

    def write(self, n: int = 1) -> list[Row]:
        """Write the next n lines in one go, and the repeats that were due since the last time."""
        self.environment.redeliver(self._again)
        rows = self.environment.write_many([self._line() for _ in range(n)])
        self._again = [row for row in rows if self._random.random() < self.duplicates]
        self.written.extend(rows)
        return rows

    async def run(self, rate: float = 10.0) -> None:
        """Write `rate` lines per second until cancelled."""
        while True:
            self.write()
            await asyncio.sleep(1 / rate)

    def _line(self) -> Line:
        self.number += 1
        choice = self._random.random()
        at = None
        if self.tied <= choice < self.tied + self.late:
            at = self.environment.clock() - int(self._random.uniform(0, self.max_lateness) * 1e9)
        return Line(f"canary {self.number}", self.service, at=at, tied=choice < self.tied)
