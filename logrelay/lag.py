"""How late the event loop is: a timer that measures its own lateness. Keeps numbers; judges nothing, logs nothing."""

import asyncio
import bisect
import itertools
from collections.abc import Iterator

# Upper bounds in seconds. Below the first one nobody notices, above the last but one viewers are lost (faults.md C3).
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PERIOD = 0.25  # seconds


class Lag:
    """The lateness of one event loop, of which each look is one sample.

    A stall is seen as its length less what was left of the period when it began, so at least as its length less a
    period. The timer's own coarseness of a millisecond is in it.
    """

    def __init__(self, *, period: float = _PERIOD) -> None:
        self._period = period
        self._samples = [0] * (len(BOUNDS) + 1)
        self.last = 0.0  # seconds
        self.total = 0.0  # seconds

    def __repr__(self) -> str:
        return f"<Lag {self.last:.3f} s, {self.looks} looks>"

    async def watch(self) -> None:
        """Look from time to time, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + self._period
            await asyncio.sleep(self._period)
            self.note(clock() - due)

    def note(self, late: float) -> None:
        """Take one sample, in seconds."""
        late = max(late, 0.0)  # a timer may come a clock's tick early
        self.last = late
        self.total += late
        self._samples[bisect.bisect_left(BOUNDS, late)] += 1

    @property
    def looks(self) -> int:
        """Samples so far."""
        return sum(self._samples)

    def cumulated(self) -> Iterator[tuple[float, int]]:
        """Each bound, and how many samples were at most as late."""
        return zip(
            BOUNDS, itertools.accumulate(self._samples), strict=False
        )  # the last are later than any bound
