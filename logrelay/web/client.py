"""One viewer: a place in a hub's history, a view of it, and a write pump.

There is no queue: what a client hasn't been sent yet is what stands in the history after its position.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import attrs

from logrelay.errors import Disconnect, MessageInvalid
from logrelay.relay.filters import Filter
from logrelay.relay.records import Entry, LogRecord
from logrelay.web import frames, protocol
from logrelay.web.audience import PAGES_AT_ONCE, Audience, Crowd, Position
from logrelay.web.connection import Connection
from logrelay.web.endings import failed, gone, refused, restart
from logrelay.web.frames import Form, Page, passes
from logrelay.web.greeting import Greeting, heartbeat
from logrelay.web.leases import Lease
from logrelay.web.limits import ClientLimits
from logrelay.web.placing import Placing, lost, recent
from logrelay.web.protocol import CancelCommand, FilterCommand, HistoryCommand, PauseCommand, PingCommand
from logrelay.web.searching import Searches, Stream
from logrelay.web.socket import Socket
from logrelay.web.ticker import Ticker

_LOOK = 0.01  # seconds
_PATIENCE = 1.0  # seconds that a page of older records waits for what the client is behind with
_NOTICES = 1000  # that are told at once

logger = logging.getLogger(__name__)


class Client(Connection):
    """Serves one socket from one hub until either ends.

    Thousands of them wait for the next line, so one that is up to date costs a single task: the read pump's. It is in a
    crowd then, whose position the hub's bell moves. The write pump, which moves a position of the client's own, is
    there only while the client is behind.
    """

    __slots__ = (
        "_audience",
        "_crowd",
        "_greeted",
        "_greeting",
        "_held",
        "_hub",
        "_placed",
        "_placing",
        "_position",
        "_reach",
        "_replay",
        "_searches",
        "_view",
        "_writing",
        "filters",
        "lost",
        "sent",
    )

    def __init__(
        self,
        socket: Socket,
        audience: Audience,
        placing: Placing,
        lease: Lease,
        *,
        limits: ClientLimits,
        greeting: Greeting,
        form: Form,
    ) -> None:
        super().__init__(socket, lease, limits)
        self._audience = audience
        self._reach = placing.limits
        self._searches: Searches | None = None  # made with the first request for older records
        self._hub = audience.hub
        self._placing: Placing | None = placing  # None when it isn't needed any more
        self._greeting = greeting
        self._view = audience.view(placing.filter.inside(lease.scope), form)
        placing.joined = self._hub.history.end
        self._position = Position()  # the crowd's while the client is in one
        self._greeted = False  # whether the client has been told that it is connected
        self._placed = False  # whether that position is a place in the history yet
        self._crowd: Crowd | None = None
        self._held: asyncio.Event | None = None  # while the client pauses: its end
        self._replay: FilterCommand | None = None  # a change of filter whose past is to be shown first
        self._writing: asyncio.Task[None] | None = None  # while the client is behind
        self.sent = 0  # records
        self.lost = 0  # records passed over because the client was too slow
        self.filters = 1  # that the client has had

    def __repr__(self) -> str:
        return f"<Client at {self._position.number} of {self._hub.history!r} {self._socket!r}>"

    @property
    def filter(self) -> Filter:
        """The filter of the moment, for the audit line."""
        return self._view.filter

    @property
    def services(self) -> Sequence[tuple[str, str]]:
        """Ids and names of the environment's services."""
        return self._hub.description.services

    # -- life -----------------------------------------------------------------------------------------------

    async def run(self) -> Disconnect:
        """Serve until the end, and say which it was; the socket is closed then."""
        ticker = Ticker(self._socket, self._limits, self._beat, self.end)
        self._audience.enter(self)
        try:
            self._lease.begin(self.end, self._rescope)
            self._write_on()
            await self._read_on()
        finally:
            end = self._ended = self._ended or restart()  # what a restart has left, aiohttp cancels
            self._lease.close()
            self._step_out()
            self._audience.leave(self)
            ticker.cancel()
            if self._searches is not None:
                await self._searches.stop()
            await self._stop_writing()
            await self._socket.close(end)
        return end

    async def flushed(self) -> None:
        """Wait until the client has been sent everything that has arrived so far, if it has a place in it yet."""
        target = self._hub.history.end
        # Looked at from time to time: it happens once in a life, and an event for it would cost every write.
        while self._placed and self._ended is None:
            if (self._held is not None or self._position.number >= target) and not self._socket.pending:
                return
            await asyncio.sleep(_LOOK)

    # -- reading ----------------------------------------------------------------------------------------------

    def _rescope(self) -> None:
        """The client may see more or less than before: from here on, whatever position that is."""
        self._view = self._audience.view(self._view.filter.inside(self._lease.scope), self._view.form)
        self._step_out()
        self._write_on()

    def _obey(self, command: protocol.Command) -> None:
        if isinstance(command, FilterCommand):
            self._change_filter(command)
        elif isinstance(command, PingCommand):
            self._socket.send(protocol.pong(command.id))
        elif isinstance(command, HistoryCommand):
            self._search(command)
        elif isinstance(command, CancelCommand):
            if self._searches is not None:
                self._searches.cancel(protocol.encode(command.request))
        else:
            self._hold(on=isinstance(command, PauseCommand))

    def _hold(self, *, on: bool) -> None:
        self._socket.send(protocol.status("paused" if on else "resumed", {"lastId": self._position.last_id}))
        if on:
            self._held = self._held or asyncio.Event()
            self._step_out()
        elif self._held is not None:
            self._held.set()
            self._held = None
            self._write_on()

    def _change_filter(self, command: FilterCommand) -> None:
        """Swap the filter; the position stays. A replay shows the past through it, up to that position."""
        wanted = Filter.parse(command.services, command.search, command.severity)
        self._view = self._audience.view(wanted.inside(self._lease.scope), self._view.form)
        self.filters += 1
        self._step_out()
        echoed = self._greeting.filter(wanted, self._hub, self._lease)
        self._socket.send(protocol.status("filter", {"filter": echoed}))
        self._replay = command if command.replay else None
        self._write_on()

    def _search(self, asked: HistoryCommand) -> None:
        """Look for older records, beside the stream and behind it."""
        if not self._greeted:
            raise MessageInvalid("history: wait for `connected` first")
        if self._searches is None:
            stream = Stream(
                self._hub,
                self._socket,
                self._reach,
                scope=lambda: self._lease.scope,
                sent=self._caught_up,
                end=self.end,
            )
            self._searches = Searches(stream)
        self._searches.begin(asked, self._view.filter)

    async def _caught_up(self) -> None:
        """Wait for what the client is behind with; not for ever, because some are behind all the time."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=_PATIENCE)

    # -- writing ----------------------------------------------------------------------------------------------

    async def write_pump(self) -> None:
        """Place the client, then send what it is behind with, until it can join those who are up to date."""
        if not self._placed:
            await self._settle()
            await self._place()
        while self._busy:
            if self._replay is not None:
                await self._show_past(self._replay)
            elif self._advance() and self._join():
                return
            elif self._socket.full:
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

    @property
    def _busy(self) -> bool:
        """Whether there is something that the write pump has to do."""
        return not self._placed or (self._crowd is None and self._held is None)

    def _join(self) -> bool:
        crowd = self._audience.join(self, self._view, self._position)
        if crowd is None:
            return False
        self._crowd, self._position = crowd, crowd.position
        return True

    def _step_out(self) -> None:
        """Leave the crowd, if the client is in one, with a position of its own."""
        if self._crowd is not None:
            self._audience.part(self, self._crowd)
            self._crowd, self._position = None, attrs.evolve(self._position)

    def fall_behind(self) -> None:
        """See Member."""
        self._step_out()
        self._write_on()

    def hear(self, ready: bytes) -> None:
        """See Member."""
        self._socket.offer(ready)

    def take(self, page: Page) -> bool:
        """See Member."""
        if self._placing is not None:
            return self._take_fresh(page, self._placing)
        if not self._socket.offer(page.frames):
            return False
        self.sent += page.sent
        return True

    def _take_fresh(self, page: Page, placing: Placing) -> bool:
        """Take what of a page the client hasn't got by its resume already."""
        if self._socket.full:
            return False
        fresh = placing.fresh(self._hub.history, self._position.number, page.end)
        if fresh is None:
            self._socket.write(page.frames)
            self.sent += page.sent
        else:
            self._write([entry for entry in fresh if passes(entry, self._view.filter)])
        if not placing.already:
            self._placing = None
        return True

    def _advance(self) -> bool:
        """Move the client's own position as far as the socket takes it, a few pages at most; whether it is up to date.

        Nothing else moves it.
        """
        position, history = self._position, self._hub.history
        for _ in range(PAGES_AT_ONCE):
            if position.number >= history.end:
                return True
            try:
                page = self._audience.pages.read(position.number, self._view, aligned=True)
            except IndexError:
                if self._socket.full:
                    return False
                self._fall_off(position)
            else:
                if not self.take(page):
                    return False
                position.move(page)
        return position.number >= history.end

    def _fall_off(self, position: Position) -> None:
        """The history has overrun the client: say how much it has missed, then go on with the oldest entry."""
        data = lost(self._hub.history, position.number, position.last_ns)
        self._socket.send(protocol.status("lost", data))
        # What was said to be missing among it stays missing when the history is read again.
        self._write(self._hub.history.notices_passed_over(position.number)[-_NOTICES:])
        self.lost += data["count"]
        position.number = self._hub.history.first

    def _write(self, entries: Sequence[Entry]) -> None:
        self._socket.write(frames.of_entries(entries, self._view.form))
        self.sent += sum(1 for entry in entries if isinstance(entry, LogRecord))

    # -- what doesn't come from a position --------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait for the upstream, and say so when that takes longer than a moment."""
        if not await self._hub.settled(self._limits.moment):
            about = {"environmentId": self._hub.environment_id, "upstream": self._hub.upstream.describe()}
            self._socket.send(protocol.status("connecting", about))
            with self._audience.waiting(self):
                await self._hub.settled()
        if self._hub.refusal is not None:
            raise refused(self._hub.refusal)

    async def _place(self) -> None:
        """Find the client's position, tell it the outcome, and send what lies before that position."""
        placing = self._placing
        assert placing is not None  # noqa: S101 it is needed until the client has been placed
        await placing.prepare(self._hub)
        described = self._greeting.connected(self._hub, placing, self._view.filter, self._lease)
        self._socket.send(protocol.status("connected", described))
        self._greeted = True  # from here on it may look back, also while a resume is being fetched
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
            await self._send_all(await recent(self._hub, position, self._view.filter, placing.tail))
        self._served(self._hub.history.before(position))
        self._position.number = position
        self._placed = True
        if not placing.already:
            self._placing = None

    async def _show_past(self, asked: FilterCommand) -> None:
        """Show the past up to the position, unless another change of the filter makes that pointless."""
        past = await recent(self._hub, self._position.number, self._view.filter, asked.replay)
        await self._send_all(past, asked)
        if self._replay is asked:
            self._replay = None

    async def _send_all(self, entries: Sequence[Entry], asked: FilterCommand | None = None) -> None:
        """Send entries through the filter of the moment; a replay that isn't the latest `asked` for is given up."""
        for portion in frames.portions(entries):
            while (
                self._held is not None or self._socket.full
            ):  # either may come while the other is waited for
                await (self._held.wait() if self._held is not None else self._socket.writable())
            if asked is not None and self._replay is not asked:
                return
            self._write([entry for entry in portion if passes(entry, self._view.filter)])

    def _served(self, record: LogRecord | None) -> None:
        if record is not None:
            self._position.last_id, self._position.last_ns = record.id, record.ns

    def _beat(self) -> None:
        # While the past is sent again, through another filter, whoever resumed behind it would miss the rest of it.
        last_id = None if self._replay is not None else self._position.last_id
        self._socket.send(heartbeat(self._hub, last_id))
