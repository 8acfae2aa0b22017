"""One timer for a connection: heartbeats, pings, silence and stuck writes. Sends nothing and ends nothing itself."""

import asyncio
import random
from collections.abc import Callable

from logrelay.errors import Disconnect
from logrelay.web.endings import gone, too_slow
from logrelay.web.limits import ClientLimits
from logrelay.web.socket import Socket


class Ticker:
    """Ticks from its making until it is cancelled, or has ended the connection."""

    __slots__ = (
        "_beat",
        "_end",
        "_limits",
        "_loop",
        "_next_beat",
        "_next_look",
        "_next_ping",
        "_socket",
        "_suspected",
        "_timer",
    )

    def __init__(
        self,
        socket: Socket,
        limits: ClientLimits,
        beat: Callable[[], None],
        end: Callable[[Disconnect], None],
    ) -> None:
        self._socket = socket
        self._limits = limits
        self._beat = beat
        self._end = end
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        # The first beat comes somewhere within the first interval's last tenth, so that a crowd that came together
        # doesn't beat together for ever.
        self._next_beat = now + limits.heartbeat * random.uniform(0.9, 1.0)  # noqa: S311 jitter is no secret
        self._next_ping = now + limits.ping
        self._next_look = now + socket.look_every
        self._suspected: float | None = None  # since when the peer has been silent for too long
        self._timer = self._loop.call_at(self._due(), self._tick)

    def __repr__(self) -> str:
        return f"<Ticker {self._due() - self._loop.time():.3f} s to go>"

    def cancel(self) -> None:
        """Stop."""
        self._timer.cancel()

    def _due(self) -> float:
        if self._suspected is None:
            judgement = self._socket.last_seen + self._limits.silence
        else:
            judgement = self._suspected + self._limits.grace
        return min(self._next_beat, self._next_ping, self._next_look, judgement)

    def _tick(self) -> None:
        now = self._loop.time()
        if now >= self._next_look:
            self._next_look = now + self._socket.look_every
            if self._socket.stuck():
                self._end(too_slow())
                return
        if self._silent(now):
            self._end(gone(silent=True))
            return
        if now >= self._next_beat:
            self._next_beat = now + self._limits.heartbeat
            self._beat()
        if now >= self._next_ping:
            self._next_ping = now + self._limits.ping
            self._socket.ping()
        self._timer = self._loop.call_at(self._due(), self._tick)

    def _silent(self, now: float) -> bool:
        """Whether nothing has come for too long.

        After a stall of our own loop, what has arrived must be read before anyone is judged: hence the grace.
        """
        if now < self._socket.last_seen + self._limits.silence:
            self._suspected = None
            return False
        if self._suspected is None:
            self._suspected = now
        return now >= self._suspected + self._limits.grace
