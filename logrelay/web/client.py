"""One connection: a position in a hub's history, a filter, a read pump and a write pump.

There is no queue: what a client hasn't been sent yet is what stands in the history after its position.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from logrelay.errors import Disconnect, FilterInvalid, MessageInvalid
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.relay.records import Entry, LogRecord
from logrelay.web import frames, protocol
from logrelay.web.endings import failed, flooding, gone, refused, restart
from logrelay.web.frames import Form, Page, Pages, passes
from logrelay.web.greeting import Greeting
from logrelay.web.limits import ClientLimits
from logrelay.web.placing import Placing, lost, recent
from logrelay.web.protocol import FilterCommand, PauseCommand, PingCommand
from logrelay.web.socket import Socket
from logrelay.web.ticker import Ticker

_LOOK = 0.01  # seconds
_PAGES_AT_ONCE = 4  # of the history, before others get their turn

logger = logging.getLogger(__name__)


class Client:
    """Serves one socket from one hub until either ends.

    Thousands of them wait for the next line, so one that is up to date costs a single task: the read pump's. The write
    pump is there only while the client is behind.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_filter",
        "_form",
        "_greeting",
        "_held",
        "_hub",
        "_invalid",
        "_joined",
        "_last_id",
        "_limits",
        "_pages",
        "_placing",
        "_position",
        "_reading",
        "_replay",
        "_served_ns",
        "_socket",
        "_writing",
        "lost",
        "sent",
    )

    def __init__(
        self,
        socket: Socket,
        hub: Hub,
        placing: Placing,
        *,
        pages: Pages,
        limits: ClientLimits,
        greeting: Greeting,
        form: Form,
    ) -> None:
        self._socket = socket
        self._hub = hub
        self._pages = pages
        self._placing: Placing | None = placing  # None when it isn't needed any more
        self._limits = limits
        self._greeting = greeting
        self._form = form
        self._filter = placing.filter
        self._joined = hub.history.end
        self._position: int | None = None  # None until the client has been placed in the history
        self._held: asyncio.Event | None = None  # while the client pauses: its end
        self._replay: FilterCommand | None = None  # a change of filter whose past is to be shown first
        self._last_id: str | None = None
        self._served_ns: int | None = None
        self._invalid = 0
        self._ended: Disconnect | None = None
        self._reading: asyncio.Task[object] | None = None  # while messages are being read
        self._writing: asyncio.Task[None] | None = None  # while the client is behind
        self.sent = 0  # records
        self.lost = 0  # records passed over because the client was too slow

    def __repr__(self) -> str:
        return f"<Client at {self._position} of {self._hub.history!r} {self._socket!r}>"

    # -- life -----------------------------------------------------------------------------------------------

    async def run(self) -> Disconnect:
        """Serve until the end, and say which it was; the socket is closed then."""
        ticker = Ticker(self._socket, self._limits, self._beat, self.end)
        try:
            with self._hub.heard_by(self._heard):
                self._write_on()
                await self._read_on()
        finally:
            end = self._ended = self._ended or restart()  # what a restart has left, aiohttp cancels
            ticker.cancel()
            await self._stop_writing()
            await self._socket.close(end)
        return end

    async def _read_on(self) -> None:
        """Run the read pump until it ends, or the connection does for another reason."""
        self._reading = task = asyncio.current_task()
        assert task is not None  # noqa: S101 coroutines run in tasks
        try:
            await self.read_pump()
            end = gone()
        except Disconnect as ended:
            end = ended
            end.__traceback__ = None  # its frames would keep this client in memory until the next collection
        except asyncio.CancelledError:
            # As in asyncio.timeout: a cancellation that `end` has asked for is ours, and goes no further.
            if self._ended is None or task.uncancel():
                raise
            return
        except Exception:
            logger.exception("connection failed")
            end = failed()
        finally:
            self._reading = None
        self.end(end)

    def end(self, end: Disconnect) -> None:
        """End the connection; the first end given counts."""
        if self._ended is None:
            self._ended = end
            if self._reading is not None:
                self._reading.cancel()

    def drain(self, seconds: float) -> None:
        """Say that the relay is about to restart, and when to come back."""
        self._socket.send(protocol.status("draining", {"reconnectInSeconds": seconds}))

    async def flushed(self) -> None:
        """Wait until the client has been sent everything that has arrived so far, if it has a place in it yet."""
        target = self._hub.history.end
        # Looked at from time to time: it happens once in a life, and an event for it would cost every write.
        while self._position is not None and self._ended is None:
            if (self._held is not None or self._position >= target) and not self._socket.pending:
                return
            await asyncio.sleep(_LOOK)

    def abort(self) -> None:
        """Free the socket at once."""
        self._socket.abort()

    # -- reading ----------------------------------------------------------------------------------------------

    async def read_pump(self) -> None:
        """Take the client's messages until it leaves."""
        while (text := await self._socket.message()) is not None:
            try:
                self._obey(protocol.command(text))
            except FilterInvalid as error:
                self._socket.send(protocol.error("filter_invalid", str(error), retryable=False))
            except MessageInvalid as error:
                self._complain(error)
            if self._socket.full:
                # Answers are for those who read them: the next message isn't looked at before.
                await self._socket.writable()

    def _complain(self, error: MessageInvalid) -> None:
        self._socket.send(protocol.error("message_invalid", str(error), retryable=False))
        self._invalid += 1
        if self._invalid >= self._limits.invalid_messages:
            raise flooding("too many messages that can't be understood")

    def _obey(self, command: protocol.Command) -> None:
        if isinstance(command, FilterCommand):
            self._change_filter(command)
        elif isinstance(command, PingCommand):
            self._socket.send(protocol.pong(command.id))
        else:
            self._hold(on=isinstance(command, PauseCommand))

    def _hold(self, *, on: bool) -> None:
        self._socket.send(protocol.status("paused" if on else "resumed", {"lastId": self._last_id}))
        if on:
            self._held = self._held or asyncio.Event()
        elif self._held is not None:
            self._held.set()
            self._held = None
            self._write_on()

    def _change_filter(self, command: FilterCommand) -> None:
        """Swap the filter; the position stays. A replay shows the past through it, up to that position."""
        self._filter = Filter.parse(command.services, command.search, command.severity)
        echoed = self._greeting.filter(self._filter, self._hub)
        self._socket.send(protocol.status("filter", {"filter": echoed}))
        self._replay = command if command.replay else None
        self._write_on()

    # -- writing ----------------------------------------------------------------------------------------------

    async def write_pump(self) -> None:
        """Place the client, then send what it is behind with, until it is up to date."""
        if self._position is None:
            await self._settle()
            await self._place()
        while self._busy:
            while self._replay is not None and self._held is None:
                await self._show_past(self._replay)
            self._advance()
            if self._behind:
                if self._socket.full:
                    await self._socket.writable()
                else:
                    await asyncio.sleep(0)

    def _write_on(self) -> None:
        """Let the write pump run, if there is something for it to do."""
        if self._writing is None and self._busy and self._ended is None:
            self._writing = asyncio.create_task(self.write_pump())
            self._writing.add_done_callback(self._written)

    def _written(self, pump: asyncio.Task[None]) -> None:
        """The write pump has come to its end: the client is up to date, or done for."""
        self._writing = None
        if pump.cancelled():
            self.end(gone())  # however a pump ends, it leaves no half a client behind
            return
        error = pump.exception()
        if error is None:
            self._write_on()  # something may have come in the turn between
        elif isinstance(error, Disconnect):
            error.__traceback__ = None
            self.end(error)
        else:
            logger.error("connection failed", exc_info=error)
            self.end(failed())

    async def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    def _heard(self) -> None:
        """The hub's bell: an up-to-date client is served right here, the pump is for those that are behind."""
        try:
            if self._hub.refusal is not None:
                self.end(refused(self._hub.refusal))
                return
            self._advance()
        except Exception:
            logger.exception("connection failed")
            self.end(failed())
        self._write_on()

    @property
    def _busy(self) -> bool:
        """Whether there is something that the write pump has to do."""
        return self._position is None or self._behind or (self._replay is not None and self._held is None)

    @property
    def _behind(self) -> bool:
        """Whether there is something to send; not while the client pauses or is shown the past."""
        return (
            self._position is not None
            and self._position < self._hub.history.end
            and self._held is None
            and self._replay is None
        )

    def _advance(self) -> None:
        """Move the position as far as the socket takes it, a few pages at most; nothing else moves it."""
        for _ in range(_PAGES_AT_ONCE):
            if not self._behind or self._socket.full:
                return
            assert self._position is not None  # noqa: S101 _behind says so
            try:
                page = self._pages.read(self._position, self._filter, self._form)
            except IndexError:
                self._fall_off(self._position)
            else:
                self._send_page(self._position, page)
                self._position = page.end

    def _send_page(self, position: int, page: Page) -> None:
        placing = self._placing
        fresh = None if placing is None else placing.fresh(self._hub.history, position, page.end)
        if fresh is None:
            self._socket.write(page.frames)
            self.sent += page.sent
        else:
            self._write([entry for entry in fresh if passes(entry, self._filter)])
        self._last_id = page.last_id or self._last_id
        self._served_ns = page.last_ns or self._served_ns

    def _fall_off(self, position: int) -> None:
        """The history has overrun the client: say how much it has missed, then go on with the oldest entry."""
        data = lost(self._hub.history, position, self._served_ns)
        self._socket.send(protocol.status("lost", data))
        # What was said to be missing among it stays missing when the history is read again.
        self._write(self._hub.history.notices_passed_over(position))
        self.lost += data["count"]
        self._position = self._hub.history.first

    def _write(self, entries: Sequence[Entry]) -> None:
        self._socket.write(frames.of_entries(entries, self._form))
        self.sent += sum(1 for entry in entries if isinstance(entry, LogRecord))

    # -- what doesn't come from a position --------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait for the upstream, and say so when that takes longer than a moment."""
        if not await self._hub.settled(self._limits.moment):
            about = {"environmentId": self._hub.environment_id, "upstream": self._hub.upstream.describe()}
            self._socket.send(protocol.status("connecting", about))
            await self._hub.settled()
        if self._hub.refusal is not None:
            raise refused(self._hub.refusal)

    async def _place(self) -> None:
        """Find the client's position, tell it the outcome, and send what lies before that position."""
        placing = self._placing
        assert placing is not None  # noqa: S101 it is needed until the client has been placed
        await placing.prepare(self._hub, self._joined)
        described = self._greeting.connected(self._hub, placing, self._filter)
        self._socket.send(protocol.status("connected", described))
        async with contextlib.aclosing(placing.backfill(self._hub)) as past:
            async for entries in past:
                await self._send_all(entries)
                if self._socket.full:
                    # The history's beginning, where it is joined, may be evicted while a full socket is waited for.
                    await self._socket.writable()
                self._served(
                    next((entry for entry in reversed(entries) if isinstance(entry, LogRecord)), None)
                )
        position = placing.position
        if placing.tail and self._replay is None:  # a replay will show the past itself
            await self._send_all(await recent(self._hub, position, self._filter, placing.tail))
        self._served(self._hub.history.before(position))
        self._position = position
        if not placing.already:
            self._placing = None

    async def _show_past(self, asked: FilterCommand) -> None:
        """Show the past up to the position, unless another change of the filter makes that pointless."""
        assert self._position is not None  # noqa: S101 the client has been placed
        past = await recent(self._hub, self._position, self._filter, asked.replay)
        await self._send_all(past, asked)
        if self._replay is asked:
            self._replay = None

    async def _send_all(self, entries: Sequence[Entry], asked: FilterCommand | None = None) -> None:
        """Send entries through the filter of the moment; a replay that isn't the latest `asked` for is given up."""
        for portion in frames.portions(entries):
            while self._held is not None:
                await self._held.wait()
            if self._socket.full:
                await self._socket.writable()
            if asked is not None and self._replay is not asked:
                return
            self._write([entry for entry in portion if passes(entry, self._filter)])

    def _served(self, record: LogRecord | None) -> None:
        if record is not None:
            self._last_id, self._served_ns = record.id, record.ns

    def _beat(self) -> None:
        self._socket.send(protocol.heartbeat(self._greeting.heartbeat(self._hub, self._last_id)))
