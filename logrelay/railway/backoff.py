"""When to try again: faults.md's common rules as a small machine without a clock of its own."""

import random
from collections import deque

_FLAPPING_LOSSES = 3


class Backoff:
    """Delays of 0.5, 1, 2, 4 ... 30 seconds, each spread by half in both directions.

    Data resets the row, a mere connect never. After three losses within `flapping_window` seconds nothing resets
    it but `healthy_after` seconds of health. All times are a monotonic clock's seconds.
    """

    def __init__(
        self,
        *,
        first: float = 0.5,
        longest: float = 30.0,
        flapping_window: float = 300.0,
        healthy_after: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        self._first = first
        self._longest = longest
        self._window = flapping_window
        self._healthy_after = healthy_after
        self._rng = rng or random.Random()  # noqa: S311 jitter is no secret
        self._losses: deque[float] = deque(maxlen=_FLAPPING_LOSSES)
        self._flapping = False
        self._since: float | None = None
        self.attempt = 0

    def __repr__(self) -> str:
        return f"<Backoff attempt {self.attempt}>"

    def opened(self, now: float) -> None:
        """The upstream stands; health is counted from here."""
        self._since = now

    def data(self) -> None:
        """Records came."""
        if not self._flapping:
            self.attempt = 0

    def lost(self, now: float) -> float:
        """The upstream was lost or could not be had: the seconds to wait before the next try."""
        if self._since is not None:
            if now - self._since >= self._healthy_after:
                self.attempt = 0
                self._losses.clear()
                self._flapping = False
            self._losses.append(now)
            self._since = None
            if len(self._losses) == _FLAPPING_LOSSES and now - self._losses[0] <= self._window:
                # It stays so: with long delays the losses alone would soon lie too far apart to say so.
                self._flapping = True
        delay = min(self._first * 2**self.attempt, self._longest)
        self.attempt = min(self.attempt + 1, 32)
        # While it flaps, the longer half of the spread, so that ten minutes hold thirty tries at most (faults.md U19).
        return self.spread(delay, 1.0 if self._flapping else 0.5)

    def spread(self, delay: float, least: float = 0.5) -> float:
        """A delay with its jitter: from `least` of it up to half as much again."""
        return delay * self._rng.uniform(least, 1.5)

    @property
    def longest(self) -> float:
        """The longest delay with jitter, in seconds."""
        return self.spread(self._longest)
