"""Tickets that were made here and that nobody has used yet: what isn't in here can't be redeemed."""

from collections.abc import Callable

import attrs

from logrelay.errors import LogrelayError

_SWEEP = 60.0  # seconds between two looks for what nobody used in time
_FULL = 1.0  # the same, where nothing more fits: a look at 100,000 takes 9 ms


@attrs.define
class TicketsFull(LogrelayError):
    """So many tickets wait to be used that no more are made."""

    retry_after: float = 1.0  # seconds

    def __str__(self) -> str:
        return "too many tickets wait to be used"


class Waiting:
    """At most so many ids, each until its time is over or it is taken."""

    def __init__(self, monotonic: Callable[[], float], *, most: int) -> None:
        self._monotonic = monotonic
        self._most = most
        self._deadlines: dict[str, float] = {}
        self._swept = monotonic()

    def __len__(self) -> int:
        return len(self._deadlines)

    def put(self, ticket_id: str, seconds: float) -> None:
        """Let this one be taken within so many seconds. Raises TicketsFull."""
        now = self._monotonic()
        if now - self._swept > (_SWEEP if len(self) < self._most else _FULL):
            self._swept = now
            self._deadlines = {key: deadline for key, deadline in self._deadlines.items() if deadline > now}
        if len(self) >= self._most:
            raise TicketsFull
        self._deadlines[ticket_id] = now + seconds

    def take(self, ticket_id: str) -> bool:
        """Take this one out; whether it was there, and in time. Nobody else gets it, whatever the answer."""
        deadline = self._deadlines.pop(ticket_id, None)
        return deadline is not None and self._monotonic() < deadline
