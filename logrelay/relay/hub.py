"""One environment: upstream -> history -> bells. Starts with the first client, ends a while after the last.

Knows no wire: the upstream is handed in, clients listen by a plain callable.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import attrs

from logrelay.errors import UpstreamRefused
from logrelay.relay import timestamps
from logrelay.relay.history import Bounds, History
from logrelay.relay.records import Entry, LogRecord, Notice

logger = logging.getLogger(__name__)

Listener = Callable[[], None]


@attrs.frozen
class Description:
    """What an environment is called, and its services as (id, name) pairs."""

    name: str | None = None
    services: tuple[tuple[str, str], ...] = ()


@attrs.define
class UpstreamState:
    """How the upstream is; what clients see as `upstream` (protocol.md section 2). Times are nanoseconds since 1970."""

    state: str = "connecting"
    attempt: int = 0
    retry_ns: int | None = None
    last_frame_ns: int | None = None

    def describe(self) -> dict[str, Any]:
        """The JSON object of protocol.md."""
        described: dict[str, Any] = {"state": self.state}
        if self.attempt and self.state in {"reconnecting", "connecting"}:
            described["attempt"] = self.attempt
        if self.retry_ns is not None:
            described["retryAt"] = timestamps.render(self.retry_ns)
        if self.last_frame_ns is not None:
            described["lastFrameAt"] = timestamps.render(self.last_frame_ns)
        return described


class Sink(Protocol):
    """Where an upstream delivers. Nothing here waits."""

    def seed(self, records: Sequence[LogRecord], floor_ns: int | None) -> None:
        """The newest records of the past; older ones than `floor_ns` may exist upstream only."""

    def publish(self, records: Sequence[LogRecord]) -> None:
        """New records, in order of arrival."""

    def announce(self, message: str, data: Mapping[str, Any]) -> None:
        """A notice at this place of the log."""

    def describe(self, description: Description) -> None:
        """The environment's names, first or changed."""

    def frame(self) -> None:
        """A frame has come from upstream, with records or without."""

    def stands(self, *, degraded: bool = False) -> None:
        """The upstream stands: authorised, and the subscription goes without an error."""

    def retrying(self, attempt: int, delay: float) -> None:
        """The upstream is away; the next try comes in `delay` seconds."""

    def refused(self, refusal: UpstreamRefused, delay: float) -> None:
        """The upstream refuses for good; the next try comes in `delay` seconds."""


class Upstream(Protocol):
    """One environment's logs, as a hub needs them."""

    async def run(self, sink: Sink) -> None:
        """Deliver to the sink, for ever; retries are its own business."""

    def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """Records stamped from `start_ns` to `end_ns`, both included, oldest first, in pages with notices.

        Raises UpstreamError when a page can't be had.
        """


class Hub:
    """One environment's history, who listens to it, and how its upstream is."""

    def __init__(self, environment_id: str, bounds: Bounds, upstream: Upstream) -> None:
        self.environment_id = environment_id
        self.history = History(bounds)
        self.upstream = UpstreamState()
        self.description = Description()
        self.refusal: UpstreamRefused | None = None
        self.viewers = 0
        self.last_log_ns: int | None = None
        self._source = upstream
        self._listeners: set[Listener] = set()
        self._ringing = False
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
        if task.cancelled() or task.exception() is None:
            return
        # An upstream never ends by itself: this is a fault of ours. Viewers are told, and nothing hangs.
        logger.error("upstream failed", extra={"environment": self.environment_id}, exc_info=task.exception())
        self.refused(UpstreamRefused("the relay failed to follow the upstream"), 0.0)

    @property
    def failed(self) -> bool:
        """Whether the upstream ended although it never should."""
        return self._task is not None and self._task.done()

    async def stop(self) -> None:
        """Leave the upstream; nothing is left behind."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def settled(self, patience: float | None = None) -> bool:
        """Wait until clients can be served or must be refused; whether that came within so many seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    # -- listeners ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """While inside, `listener` is called after the history has grown or the upstream's refusal has changed.

        At most once per turn of the event loop.
        """
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    def _ring(self) -> None:
        if not self._ringing:
            self._ringing = True
            asyncio.get_running_loop().call_soon(self._rung)

    def _rung(self) -> None:
        self._ringing = False
        for listener in tuple(self._listeners):
            listener()

    def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """Records of the time before the history, from the upstream; see Upstream.past."""
        return self._source.past(start_ns, end_ns)

    # -- what the upstream delivers ------------------------------------------------------------------------

    def _append(self, entries: Sequence[Entry]) -> None:
        self.history.append(entries, time.monotonic())
        self._ring()

    def seed(self, records: Sequence[LogRecord], floor_ns: int | None) -> None:
        """See Sink."""
        self.history.floor_ns = floor_ns
        if records:
            self._append(records)

    def publish(self, records: Sequence[LogRecord]) -> None:
        """See Sink."""
        if records:
            self.last_log_ns = time.time_ns()
            self._append(records)

    def announce(self, message: str, data: Mapping[str, Any]) -> None:
        """See Sink."""
        self._append([Notice(message, data, time.time_ns())])

    def describe(self, description: Description) -> None:
        """See Sink."""
        self.description = description

    def frame(self) -> None:
        """See Sink."""
        self.upstream.last_frame_ns = time.time_ns()

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

    def refused(self, refusal: UpstreamRefused, delay: float) -> None:
        """See Sink."""
        self.upstream.state = "refused"
        self.upstream.retry_ns = time.time_ns() + int(delay * 1e9)
        self.refusal = refusal
        self._settled.set()
        self._ring()


class Hubs:
    """The hubs of this process, by environment. Owns their beginning and end."""

    def __init__(
        self,
        make_upstream: Callable[[str], Upstream],
        *,
        bounds: Bounds | None = None,
        linger: float = 30.0,  # seconds
        refusal_linger: float = 300.0,  # seconds; a refused upstream isn't asked again before
    ) -> None:
        self._make_upstream = make_upstream
        self._bounds = bounds or Bounds()
        self._linger = linger
        self._refusal_linger = refusal_linger
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

    @contextlib.asynccontextmanager
    async def joined(self, environment_id: str) -> AsyncIterator[Hub]:
        """The environment's hub, with one viewer more while inside; made if there is none."""
        hub = self._join(environment_id)
        try:
            yield hub
        finally:
            hub.viewers -= 1
            if not hub.viewers and self._hubs.get(environment_id) is hub:
                self._leave(hub)

    def _join(self, environment_id: str) -> Hub:
        timer = self._timers.pop(environment_id, None)
        if timer is not None:
            timer.cancel()
        hub = self._hubs.get(environment_id)
        if hub is None or hub.failed:
            hub = Hub(environment_id, self._bounds, self._make_upstream(environment_id))
            self._hubs[environment_id] = hub
            hub.start()
        hub.viewers += 1
        return hub

    def _leave(self, hub: Hub) -> None:
        linger = self._linger
        if hub.refusal is not None and hub.upstream.retry_ns is not None:
            # Kept until its next try is due, so that callers who come back don't make it ask again earlier.
            wait = (hub.upstream.retry_ns - time.time_ns()) / 1e9
            linger = max(linger, min(wait, self._refusal_linger))
        self._timers[hub.environment_id] = asyncio.get_running_loop().call_later(linger, self._expire, hub)

    def _expire(self, hub: Hub) -> None:
        self._timers.pop(hub.environment_id, None)
        if self._hubs.get(hub.environment_id) is hub:
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
