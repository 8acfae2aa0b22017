"""One environment: upstream -> history -> bells. Starts with the first client, ends a while after the last.

Knows no wire: the upstream is handed in, clients listen by a plain callable.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from logrelay.errors import Scope, UpstreamRefused
from logrelay.relay.history import Bounds, History
from logrelay.relay.past import Latecomers, Past, PastBounds, ahead
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.relay.upstream import Delivered, Description, Sink, Upstream, UpstreamState

__all__ = ["Description", "Hub", "Hubs", "Listener", "Sink", "Upstream", "UpstreamState"]

logger = logging.getLogger(__name__)

_SOON = 1.0  # seconds; a try that comes sooner is over before anyone could read of it
_STOPPING = 5.0  # seconds that an upstream may take to end; the process must not hang on it

Listener = Callable[[], None]


class Hub:
    """One environment's history, who listens to it, and how its upstream is."""

    def __init__(
        self,
        environment_id: str,
        bounds: Bounds,
        upstream: Upstream,
        *,
        failure_delay: float = 30.0,  # seconds before an upstream that failed by our fault may be made anew
        coalesce: float = 0.0,  # seconds from one bell to the next, at least
    ) -> None:
        self.environment_id = environment_id
        self.history = History(bounds)
        self.upstream = UpstreamState()
        self.delivered = Delivered()
        self.description = Description()
        self.refusal: UpstreamRefused | None = None
        self.viewers = 0
        self.tries = 0  # planned ones that are worth telling
        self.last_log_ns: int | None = None
        self._source = upstream
        self._past = Past(upstream.past, PastBounds(bytes=bounds.bytes // 2))
        self._listeners: set[Listener] = set()
        self._ringing = False
        self._coalesce = coalesce
        self._rang = -math.inf  # of the loop's clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure_delay = failure_delay
        self._retry_at = 0.0  # of the loop's clock; when a refused upstream is tried again
        self._stopped = False
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Hub {self.environment_id} {self.upstream.state} {self.history!r} {self.viewers} viewers>"

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow the upstream."""
        self._task = asyncio.create_task(self._source.run(self), name=f"upstream {self.environment_id}")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._stopped:
            return
        # An upstream never ends by itself, be it by an exception, a stray cancellation or a return: this is a fault
        # of ours. Viewers are told, and nothing hangs.
        logger.error("upstream failed", extra={"environment": self.environment_id}, exc_info=error)
        refusal = UpstreamRefused("the relay failed to follow the upstream", Scope.CONFIGURATION)
        self.refused(refusal, self._failure_delay)

    @property
    def bytes(self) -> int:
        """Bytes of memory that the records take, roughly: of the history, and of the time before it."""
        return self.history.bytes + self._past.bytes

    def shrink(self, room: int) -> int:
        """Drop the oldest records, those before the history first, down to `room` bytes; how many of the history."""
        self._past.forget()
        return self.history.shrink(max(room - self._past.bytes, 0))

    @property
    def failed(self) -> bool:
        """Whether the upstream ended although it never should."""
        return self._task is not None and self._task.done()

    @property
    def wait(self) -> float:
        """Seconds until a refused upstream is tried again; 0 when that is due, or nothing was refused."""
        if self.refusal is None:
            return 0.0
        return max(0.0, self._retry_at - asyncio.get_running_loop().time())

    async def stop(self) -> None:
        """Leave the upstream; nothing is left behind."""
        self._stopped = True
        await self._past.close()
        if self._task is None:
            return
        self._task.cancel()
        _, running = await asyncio.wait([self._task], timeout=_STOPPING)
        if running:
            logger.error("upstream does not end", extra={"environment": self.environment_id})

    async def settled(self, patience: float | None = None) -> bool:
        """Wait until clients can be served or must be refused; whether that came within so many seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    # -- listeners ----------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """From now on, `listener` is called after the history or the upstream has changed, once per turn at most."""
        self._listeners.add(listener)

    def unlisten(self, listener: Listener) -> None:
        """Call it no more."""
        self._listeners.discard(listener)

    def _ring(self) -> None:
        if not self._ringing:
            self._ringing = True
            if self._loop is None:  # asked for once: before Python 3.12 it costs a system call
                self._loop = asyncio.get_running_loop()
            due = self._rang + self._coalesce
            if self._coalesce and due > self._loop.time():
                self._loop.call_at(due, self._rung)
            else:
                self._loop.call_soon(self._rung)

    def _rung(self) -> None:
        self._ringing = False
        if self._coalesce and self._loop is not None:
            self._rang = self._loop.time()
        for listener in tuple(self._listeners):
            if listener not in self._listeners:
                continue  # it left in this very turn
            try:
                listener()
            except Exception:
                # No viewer hurts another: the rest must hear the bell all the same.
                logger.exception("listener failed", extra={"environment": self.environment_id})

    def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """Records of the time before the history, fetched once for all who ask; see Upstream.past."""
        return self._past.read(start_ns, end_ns, ahead(self.history))

    def catching_up(self) -> Latecomers:
        """What arrives from now on although it belongs before the history; for as long as the caller keeps it."""
        return self._past.catching_up()

    # -- what the upstream delivers ------------------------------------------------------------------------

    def _append(self, entries: Sequence[Entry]) -> None:
        floor = self.history.floor_ns
        if floor is not None:
            self._past.note(entries, floor)
        self.history.append(entries, time.monotonic())
        self._ring()

    def seed(self, entries: Sequence[Entry], floor_ns: int | None) -> None:
        """See Sink."""
        self.history.floor_ns = floor_ns
        # When they were written is all that is known of a seed.
        stamps = [entry.ns for entry in entries if isinstance(entry, LogRecord)]
        if entries:
            self.last_log_ns = stamps[-1] if stamps else None
            self.delivered.add(entries)
            self._append(entries)
        self.history.seeded = self.history.end

    def publish(self, records: Sequence[LogRecord]) -> None:
        """See Sink."""
        if records:
            self.last_log_ns = time.time_ns()
            self.delivered.records += len(records)
            self._append(records)

    def announce(self, message: str, data: Mapping[str, Any]) -> None:
        """See Sink."""
        self.delivered.note(message, data)
        self._append([Notice(message, data, time.time_ns())])

    def describe(self, description: Description) -> None:
        """See Sink."""
        self.description = description

    def frame(self) -> None:
        """See Sink."""
        self.upstream.last_frame_ns = time.time_ns()

    def progress(self, fetched: int, missing: tuple[int, int] | None) -> None:
        """See Sink."""
        self.upstream.fetched, self.upstream.missing = fetched, missing

    def stands(self, *, degraded: bool = False) -> None:
        """See Sink."""
        self.upstream.state = "degraded" if degraded else "live"
        self.upstream.attempt = 0
        self.upstream.retry_ns = None
        self.refusal = None
        self._settled.set()

    def retrying(self, attempt: int, delay: float) -> None:
        """See Sink."""
        self.upstream.state = (
            "reconnecting" if self._settled.is_set() and self.refusal is None else "connecting"
        )
        self.upstream.attempt = attempt
        self.upstream.retry_ns = time.time_ns() + int(delay * 1e9)
        if delay >= _SOON:
            self.tries += 1
            self._ring()

    def refused(self, refusal: UpstreamRefused, delay: float) -> None:
        """See Sink."""
        self.upstream.state = "refused"
        self._retry_at = asyncio.get_running_loop().time() + delay
        self.upstream.retry_ns = time.time_ns() + int(delay * 1e9)
        self.refusal = refusal
        self._settled.set()
        self._ring()


class _Joined:
    """A context in which a hub has one viewer more. As small as can be: there is one for each client."""

    __slots__ = ("_environment_id", "_hub", "_hubs")

    def __init__(self, hubs: "Hubs", environment_id: str) -> None:
        self._hubs = hubs
        self._environment_id = environment_id

    async def __aenter__(self) -> Hub:
        self._hub = self._hubs.join(self._environment_id)
        return self._hub

    async def __aexit__(self, *exc: object) -> None:
        self._hubs.leave(self._hub)


class Hubs:
    """The hubs of this process, by environment. Owns their beginning and end."""

    def __init__(
        self,
        make_upstream: Callable[[str], Upstream],
        *,
        bounds: Bounds | None = None,
        linger: float = 30.0,  # seconds
        coalesce: float = 0.0,  # seconds from one bell of a hub to the next, at least
        refusal_linger: float = 300.0,  # seconds; a refused upstream isn't asked again before
        failure_delay: float = 30.0,  # seconds; nor is one that failed by our fault made anew before
    ) -> None:
        self._make_upstream = make_upstream
        self._bounds = bounds or Bounds()
        self._linger = linger
        self._refusal_linger = refusal_linger
        self._failure_delay = failure_delay
        self._coalesce = coalesce
        self._hubs: dict[str, Hub] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Hubs {len(self._hubs)}>"

    def __iter__(self) -> Iterator[Hub]:
        return iter(tuple(self._hubs.values()))

    def get(self, environment_id: str) -> Hub | None:
        """The hub of an environment, if one is running."""
        return self._hubs.get(environment_id)

    def joined(self, environment_id: str) -> _Joined:
        """The environment's hub, with one viewer more while inside; made if there is none."""
        return _Joined(self, environment_id)

    def join(self, environment_id: str) -> Hub:
        """One viewer more."""
        hub = self._hubs.get(environment_id)
        if hub is None or (hub.failed and not hub.wait):
            upstream = self._make_upstream(environment_id)
            hub = Hub(
                environment_id,
                self._bounds,
                upstream,
                failure_delay=self._failure_delay,
                coalesce=self._coalesce,
            )
            self._hubs[environment_id] = hub
            hub.start()
        timer = self._timers.pop(environment_id, None)
        if timer is not None:
            timer.cancel()
        hub.viewers += 1
        return hub

    def leave(self, hub: Hub) -> None:
        """One viewer less."""
        hub.viewers -= 1
        if not hub.viewers and self._hubs.get(hub.environment_id) is hub:
            self._linger_on(hub)

    def _linger_on(self, hub: Hub) -> None:
        # A refused one is kept until its next try is due, so that callers who come back don't make it ask earlier.
        linger = max(self._linger, min(hub.wait, self._refusal_linger))
        self._timers[hub.environment_id] = asyncio.get_running_loop().call_later(linger, self._expire, hub)

    def _expire(self, hub: Hub) -> None:
        self._timers.pop(hub.environment_id, None)
        del self._hubs[hub.environment_id]
        task = asyncio.create_task(hub.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop every hub and wait for the last of them."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for hub in tuple(self._hubs.values()):
            self._expire(hub)
        if self._stopping:
            await asyncio.wait(self._stopping)
