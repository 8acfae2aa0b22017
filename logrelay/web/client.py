"""One connection: a position in a hub's history, a filter, a read pump and a write pump.

There is no queue: what a client hasn't been sent yet is what stands in the history after its position.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator, Sequence

import attrs

from logrelay.errors import (
    CloseCode,
    Disconnect,
    FilterInvalid,
    MessageInvalid,
    Scope,
    UpstreamRefused,
)
from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.relay.records import Entry, LogRecord
from logrelay.web import frames, protocol
from logrelay.web.frames import Pages
from logrelay.web.placing import Placing, recent
from logrelay.web.protocol import FilterCommand, PauseCommand, PingCommand
from logrelay.web.socket import Socket, flooding, gone

_LOOK = 0.01  # seconds

logger = logging.getLogger(__name__)


@attrs.frozen
class ClientLimits:
    """Times of one connection in seconds, and how much nonsense it may talk."""

    heartbeat: float = 25.0
    ping: float = 54.0
    silence: float = 60.0
    grace: float = 1.0  # after a stall of our own loop, what has arrived must be read before anyone is judged
    moment: float = 0.25  # an upstream that takes longer is announced as `connecting`
    invalid_messages: int = 10


class Client:
    """Serves one socket from one hub until either ends."""

    def __init__(
        self,
        socket: Socket,
        hub: Hub,
        placing: Placing,
        *,
        pages: Pages,
        limits: ClientLimits,
        greeting: "Greeting",
    ) -> None:
        self._socket = socket
        self._hub = hub
        self._pages = pages
        self._placing = placing
        self._limits = limits
        self._greeting = greeting
        self._filter = placing.filter
        self._position: int | None = None  # None until the client has been placed in the history
        self._paused = False
        self._replay = 0  # records of the past to show through a new filter before going on
        self._last_id: str | None = None
        self._served_ns: int | None = None
        self._invalid = 0
        self._wake = asyncio.Event()
        self._ending: asyncio.Future[Disconnect] = asyncio.get_running_loop().create_future()
        self.sent = 0  # records
        self.lost = 0  # records passed over because the client was too slow

    def __repr__(self) -> str:
        return f"<Client at {self._position} of {self._hub.history!r} {self._socket!r}>"

    # -- life -----------------------------------------------------------------------------------------------

    async def run(self) -> Disconnect:
        """Serve until the end, and say which it was; the socket is closed then."""
        end = Disconnect(CloseCode.INTERNAL, "internal", "the relay failed", retryable=True)
        try:
            with contextlib.ExitStack() as resources:
                resources.callback(self._ticking().cancel)
                resources.enter_context(self._hub.heard_by(self._heard))
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self.read_pump())
                    pumps.create_task(self.write_pump())
                    pumps.create_task(self._until_ended())
        except* Disconnect as ends:
            end = next(_leaves(ends))
        except* Exception as faults:
            logger.exception("connection failed", exc_info=faults)
        finally:
            await self._socket.close(end)
        return end

    async def _until_ended(self) -> None:
        raise await self._ending

    def end(self, end: Disconnect) -> None:
        """End the connection; the first end given counts."""
        if not self._ending.done():
            self._ending.set_result(end)

    def drain(self, seconds: float) -> None:
        """Say that the relay is about to restart, and when to come back."""
        self._socket.send(protocol.status("draining", {"reconnectInSeconds": seconds}))

    async def flushed(self) -> None:
        """Wait until the client has been sent everything that has arrived so far."""
        target = self._hub.history.end
        # Looked at from time to time: it happens once in a life, and an event for it would cost every write.
        while self._position is None or self._position < target:
            if self._paused or self._ending.done():
                return
            await asyncio.sleep(_LOOK)
        while self._socket.pending and not self._ending.done():
            await asyncio.sleep(_LOOK)

    def abort(self) -> None:
        """Free the socket at once."""
        self._socket.abort()

    # -- reading ----------------------------------------------------------------------------------------------

    async def read_pump(self) -> None:
        """Take the client's messages until it leaves."""
        async for text in self._socket.messages():
            try:
                self._obey(protocol.command(text))
            except (MessageInvalid, FilterInvalid) as error:
                self._complain(error)
        self.end(gone())

    def _complain(self, error: MessageInvalid | FilterInvalid) -> None:
        code = "filter_invalid" if isinstance(error, FilterInvalid) else "message_invalid"
        self._socket.send(protocol.error(code, str(error), retryable=False))
        self._invalid += 1
        if self._invalid >= self._limits.invalid_messages:
            raise flooding()

    def _obey(self, command: protocol.Command) -> None:
        if isinstance(command, FilterCommand):
            self._change_filter(command)
        elif isinstance(command, PingCommand):
            self._socket.send(protocol.pong(command.id))
        else:
            self._paused = isinstance(command, PauseCommand)
            message = "paused" if self._paused else "resumed"
            self._socket.send(protocol.status(message, {"lastId": self._last_id}))
            self._wake.set()

    def _change_filter(self, command: FilterCommand) -> None:
        """Swap the filter; the position stays. A replay shows the past through it, up to that position."""
        self._filter = Filter.parse(command.services, command.search, command.severity)
        self._socket.send(
            protocol.status("filter", {"filter": self._greeting.filter(self._filter, self._hub)})
        )
        self._replay = command.replay
        self._wake.set()

    # -- writing ----------------------------------------------------------------------------------------------

    async def write_pump(self) -> None:
        """Place the client, then send what comes after its position, for ever."""
        await self._settle()
        await self._place()
        while True:
            if self._replay:
                await self._show_past()
            self._advance()
            if self._behind:
                await self._socket.writable()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _show_past(self) -> None:
        assert self._position is not None  # noqa: S101 the client has been placed
        await self._send_all(await recent(self._hub, self._position, self._filter, self._replay))
        self._replay = 0

    def _heard(self) -> None:
        """The hub's bell: an up-to-date client is served right here, the pump is for those that are behind."""
        if self._hub.refusal is not None:
            self.end(refused(self._hub.refusal))
        elif self._position is not None:
            self._advance()
            if self._behind:
                self._wake.set()

    @property
    def _behind(self) -> bool:
        """Whether there is something to send; not while the client pauses or is shown the past."""
        return (
            self._position is not None
            and self._position < self._hub.history.end
            and not self._paused
            and not self._replay
        )

    def _advance(self) -> None:
        """Move the position as far as the socket takes it. Nothing else moves it once the client is placed."""
        while self._behind and not self._socket.full:
            assert self._position is not None  # noqa: S101 _behind says so
            try:
                page = self._pages.read(self._position, self._filter)
            except IndexError:
                self._fall_off(self._position)
                continue
            if self._placing.met_again():
                self._write(self._not_yet_sent(self._position, page.end))
            else:
                self._socket.write(page.frames)
                self.sent += page.sent
            self._position = page.end
            self._last_id = page.last_id or self._last_id
            self._served_ns = page.last_ns or self._served_ns

    def _fall_off(self, position: int) -> None:
        """The history has overrun the client: say how much it has missed, then go on with the oldest entry."""
        history = self._hub.history
        count = history.passed_over(position)
        oldest = next((entry for entry in history.read(history.first) if isinstance(entry, LogRecord)), None)
        data = {
            "count": count,
            "from": None if self._served_ns is None else timestamps.render(self._served_ns),
            "to": None if oldest is None else timestamps.render(oldest.ns),
        }
        self._socket.send(protocol.status("lost", data))
        self.lost += count
        self._position = history.first

    def _not_yet_sent(self, start: int, end: int) -> list[Entry]:
        """Entries of the history that the backfill hasn't brought already (the seam of a resume)."""
        entries = self._hub.history.read(start, most=end - start)
        already = self._placing.already
        return [
            entry
            for entry in entries
            if not isinstance(entry, LogRecord) or (self._filter.matches(entry) and entry.id not in already)
        ]

    def _write(self, entries: Sequence[Entry]) -> None:
        self._socket.write(frames.of_entries(entries))
        self.sent += sum(1 for entry in entries if isinstance(entry, LogRecord))

    # -- the beginning ------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait for the upstream, and say so when that takes longer than a moment."""
        if not await self._hub.settled(self._limits.moment):
            self._socket.send(
                protocol.status("connecting", {"environmentId": self._hub.environment_id} | self._upstream())
            )
            await self._hub.settled()
        if self._hub.refusal is not None:
            raise refused(self._hub.refusal)

    async def _place(self) -> None:
        """Find the client's position, tell it the outcome, and send what lies before that position."""
        placing = self._placing
        await placing.prepare(self._hub)
        described = self._greeting.connected(self._hub, placing)
        self._socket.send(protocol.status("connected", described))
        async for entries in placing.backfill(self._hub):
            await self._send_all([entry for entry in entries if self._passes(entry)])
            last = next((entry for entry in reversed(entries) if isinstance(entry, LogRecord)), None)
            if last is not None:
                self._last_id, self._served_ns = last.id, last.ns
        position = placing.position
        if placing.tail:
            position = self._hub.history.end
            await self._send_all(await recent(self._hub, position, self._filter, placing.tail))
        before = self._hub.history.before(position)
        if before is not None:
            self._last_id, self._served_ns = before.id, before.ns
        self._position = position

    def _passes(self, entry: Entry) -> bool:
        return not isinstance(entry, LogRecord) or self._filter.matches(entry)

    async def _send_all(self, entries: Sequence[Entry]) -> None:
        """Send entries that aren't read from a position, as fast as the socket takes them."""
        for start in range(0, len(entries), 500):
            self._write(entries[start : start + 500])
            if self._socket.full:
                await self._socket.writable()

    # -- time -----------------------------------------------------------------------------------------------------

    def _ticking(self) -> "_Ticker":
        return _Ticker(self._limits, self._socket, self._beat, self.end)

    def _beat(self) -> None:
        hub = self._hub
        data = {"lastId": self._last_id} | self._upstream()
        data["lastLogAt"] = None if hub.last_log_ns is None else timestamps.render(hub.last_log_ns)
        data["viewers"] = hub.viewers
        self._socket.send(protocol.heartbeat(data))

    def _upstream(self) -> dict[str, object]:
        return {"upstream": self._hub.upstream.describe()}


class Greeting:
    """What `connected` says besides the client's own place; the same for all clients of this process."""

    def __init__(self, *, version: str, heartbeat: float, max_connections: int) -> None:
        self._version = version
        self._limits = {"heartbeatSeconds": heartbeat, "maxConnections": max_connections}

    def filter(self, wanted: Filter, hub: Hub) -> dict[str, object]:
        """The filter as understood; service names that nobody knows are named."""
        echoed: dict[str, object] = {
            "services": list(wanted.services),
            "search": wanted.search,
            "severity": wanted.severity,
        }
        unknown = wanted.unknown(hub.description.services)
        return echoed | {"unknownServices": unknown} if unknown else echoed

    def connected(self, hub: Hub, placing: Placing) -> dict[str, object]:
        """`data` of the `connected` message."""
        return {
            "environmentId": hub.environment_id,
            "environmentName": hub.description.name,
            "protocol": protocol.VERSION,
            "services": [{"id": identity, "name": name} for identity, name in hub.description.services],
            "filter": self.filter(placing.filter, hub),
            "resume": placing.outcome,
            "limits": self._limits,
            "upstream": hub.upstream.describe(),
            "viewers": hub.viewers,
            "version": self._version,
        }


class _Ticker:
    """One timer for a connection's heartbeats, pings and silence."""

    def __init__(
        self,
        limits: ClientLimits,
        socket: Socket,
        beat: Callable[[], None],
        end: Callable[[Disconnect], None],
    ) -> None:
        self._limits = limits
        self._socket = socket
        self._beat = beat
        self._end = end
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        # The first beat comes somewhere within the first interval's last tenth, so that a crowd that came together
        # doesn't beat together for ever.
        self._next_beat = now + limits.heartbeat * random.uniform(0.9, 1.0)  # noqa: S311 jitter is no secret
        self._next_ping = now + limits.ping
        self._suspected = False
        self._timer = self._loop.call_at(self._due(), self._tick)

    def cancel(self) -> None:
        """Stop."""
        self._timer.cancel()

    def _due(self) -> float:
        if self._suspected:
            return self._loop.time() + self._limits.grace
        return min(self._next_beat, self._next_ping, self._socket.last_seen + self._limits.silence)

    def _tick(self) -> None:
        now = self._loop.time()
        if now >= self._socket.last_seen + self._limits.silence:
            if self._suspected:
                end = gone()
                end.abort = True
                self._end(end)
                return
            self._suspected = True
        else:
            self._suspected = False
        if now >= self._next_beat:
            self._next_beat = now + self._limits.heartbeat
            if not self._socket.full:
                self._beat()
        if now >= self._next_ping:
            self._next_ping = now + self._limits.ping
            self._socket.ping()
        self._timer = self._loop.call_at(self._due(), self._tick)


def refused(refusal: UpstreamRefused) -> Disconnect:
    """What a refusal of Railway's means to a client."""
    if refusal.scope is Scope.ENVIRONMENT:
        message = "Railway knows no such environment, or the relay's token can't see it"
        return Disconnect(CloseCode.UNKNOWN_ENVIRONMENT, "unknown_environment", message)
    return Disconnect(CloseCode.UPSTREAM_REFUSED, "upstream_refused", refusal.reason, retryable=True)


def _leaves(group: BaseExceptionGroup[Disconnect]) -> Iterator[Disconnect]:
    """The exceptions of a group, however deep they lie."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
