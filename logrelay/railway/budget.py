"""What of Railway's API we allow ourselves: queries by the hour and by the second, and the gate that a 429 shuts."""

import asyncio
import time
from collections.abc import Callable

from logrelay.errors import BudgetSpent

_TICK = 0.001  # seconds; a rest made of rounding errors would be slept off in many turns that move no clock


class Budget:
    """A client-side limit on HTTP queries: two token buckets, refilled steadily.

    Railway counts 1,000 requests an hour and 10 a second on the smallest paid plan (facts.md section 9).
    """

    def __init__(
        self,
        *,
        per_hour: int = 1000,
        per_second: int = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_hour = per_hour
        self._per_second = per_second
        self._clock = clock
        self._hourly = float(per_hour)
        self._momentary = float(per_second)
        self._filled = clock()
        self.spent = 0

    def __repr__(self) -> str:
        return f"<Budget {self.left} of {self.per_hour} left>"

    @property
    def left(self) -> int:
        """Whole queries left of the hour's."""
        self._fill()
        return int(self._hourly)

    @property
    def plenty(self) -> bool:
        """Whether there is enough for what is only nice to have: a quarter of the hour's is kept for the rest."""
        return self.left * 4 >= self.per_hour

    def _fill(self) -> None:
        now = self._clock()
        passed = now - self._filled
        self._filled = now
        self._hourly = min(self.per_hour, self._hourly + passed * self.per_hour / 3600)
        self._momentary = min(self._per_second, self._momentary + passed * self._per_second)

    async def take(self) -> None:
        """Take one query, waiting out the limit of a second. Raises BudgetSpent when the hour's are gone."""
        while True:
            self._fill()
            if self._hourly < 1:
                wait = (1 - self._hourly) * 3600 / self.per_hour
                raise BudgetSpent("the relay's own budget of Railway queries is spent", wait)
            if self._momentary >= 1:
                self._hourly -= 1
                self._momentary -= 1
                self.spent += 1
                return
            await asyncio.sleep(max((1 - self._momentary) / self._per_second, _TICK))


class Gate:
    """Shut for all environments together while Railway has asked for patience (faults.md U3)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = clock()

    @property
    def wait(self) -> float:
        """Seconds until it opens; 0 when it is open."""
        return max(0.0, self._until - self._clock())

    def shut(self, seconds: float) -> None:
        """Let nothing through for so long; a shorter wish never opens it earlier."""
        self._until = max(self._until, self._clock() + seconds)
