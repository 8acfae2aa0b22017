"""`history` requests of one connection: a few at a time, in pages, and only when the stream itself has been sent."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import attrs

from logrelay.errors import Disconnect, FilterInvalid, MessageInvalid
from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.relay.records import Entry, LogRecord
from logrelay.web import frames, older, protocol
from logrelay.web.endings import failed
from logrelay.web.older import Older
from logrelay.web.placing import ResumeLimits, closed
from logrelay.web.protocol import HistoryCommand
from logrelay.web.socket import Socket

AT_ONCE = 2  # requests of a connection
_PAGE = 100  # records
_ROOM = 65_536  # bytes of a page, so that the stream never waits long behind one
_PROGRESS = 1.0  # seconds without a page, after which one says how far it is

logger = logging.getLogger(__name__)


@attrs.frozen
class Stream:
    """The connection that the requests belong to, as far as they are concerned."""

    hub: Hub
    socket: Socket
    limits: ResumeLimits
    scope: Callable[[], Filter]  # records that it doesn't match must not leave
    sent: Callable[[], Awaitable[None]]  # waits until the stream's own records have gone, for a while at most
    end: Callable[[Disconnect], None]


class Searches:
    """The requests that are being answered. `stop` ends them with the connection."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._searches: dict[bytes, Search] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Searches {len(self._searches)}>"

    def begin(self, asked: HistoryCommand, current: Filter) -> None:
        """Answer a request, through the connection's filter of the moment where it names no other; or refuse it."""
        request = protocol.encode(asked.request)
        try:
            search = self._made(request, asked, current)
        except (FilterInvalid, MessageInvalid) as error:
            code = "filter_invalid" if isinstance(error, FilterInvalid) else "message_invalid"
            self._stream.socket.send(protocol.error(code, str(error), retryable=False, request=request))
            return
        self._searches[request] = search
        task = search.task = asyncio.create_task(search.run(), name="history request")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _made(self, request: bytes, asked: HistoryCommand, current: Filter) -> "Search":
        if request in self._searches:
            raise MessageInvalid("history: a request with this `request` is being answered already")
        if len(self._searches) >= AT_ONCE:
            raise MessageInvalid(f"history: at most {AT_ONCE} requests at a time on a connection")
        wanted = Filter.parse(
            current.services if asked.services is None else asked.services,
            current.search if asked.search is None else asked.search,
            current.severity if asked.severity is None else asked.severity,
        )
        return Search(self._stream, request, asked, wanted, over=lambda: self._searches.pop(request, None))

    def cancel(self, request: bytes) -> None:
        """Nobody waits for it any more. One that isn't here has just come to its end."""
        search = self._searches.get(request)
        if search is not None:
            search.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Disconnect):
            error.__traceback__ = None  # its frames would keep the connection in memory
            self._stream.end(error)
        elif error is not None:
            logger.error("history request failed", exc_info=error)
            self._stream.end(failed())

    async def stop(self) -> None:
        """End all of them without a word."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class Search:
    """One request."""

    def __init__(
        self,
        stream: Stream,
        request: bytes,
        asked: HistoryCommand,
        wanted: Filter,
        *,
        over: Callable[[], object],
    ) -> None:
        """Raises MessageInvalid where it can't be told what is older. `over` is called before the last page is sent."""
        self._stream = stream
        self._told_over = over
        self._request = request
        self._wanted = wanted
        self._left = asked.limit
        self._last: str | None = None  # the id of what was sent last
        self._older = Older(
            stream.hub,
            older.start(stream.hub.history, asked.before),
            stream.limits,
            wanted=self._matches,
            room=lambda: self._left,
        )
        self._scanned = self._older.reached  # ns; what is stamped so or later has been looked at, and sent
        self._waits = False  # for the socket, which must not be cancelled (see Socket.writable)
        self._over = False
        self._sent_at = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None] | None = None

    def _matches(self, record: LogRecord) -> bool:
        return self._stream.scope().matches(record) and self._wanted.matches(record)

    def cancel(self) -> None:
        """Stop, and say so; nothing is fetched for it any more."""
        self._over = True
        self._send([], done=True, reason="cancelled")
        if self.task is not None and not self._waits:
            self.task.cancel()

    async def run(self) -> None:
        """Send pages until as many records are found as are wanted, or there is nothing more to look at."""
        ticking = asyncio.create_task(self._tell_progress(), name="history progress")
        try:
            portions = self._older.portions()
            async with closed(portions):
                async for entries in portions:
                    await self._give(entries)
                    if self._over:
                        return
                    if self._left <= 0:
                        break
            await self._turn()
            if not self._over:
                self._finish()
        finally:
            self._over = True
            ticking.cancel()
            await asyncio.wait([ticking])

    def _finish(self) -> None:
        reached, reason = self._scanned, self._older.reason
        if self._left <= 0:
            self._send([], done=True, reason="limit", following=self._last)
            return
        # A stamp, because the last record looked at may be nobody's business.
        further = reached is not None and reason in {"limit", "outage"}
        following = timestamps.render(reached) if further and reached is not None else None
        self._send([], done=True, reason=reason, following=following)

    async def _give(self, entries: Sequence[Entry]) -> None:
        """Send what was found as pages, each when the socket takes it and the stream's own records have gone."""
        portions = list(frames.portions(entries, most=_PAGE, room=_ROOM))
        for number, portion in enumerate(portions, start=1):
            await self._turn()
            if self._over or self._left <= 0:
                return
            gaps = [dict(entry.data) for entry in portion if not isinstance(entry, LogRecord)]
            # The scope may have become smaller since.
            records = [entry for entry in portion if isinstance(entry, LogRecord) and self._matches(entry)]
            records = records[: self._left]
            self._left -= len(records)
            if records:
                self._last = records[-1].id
            self._note(_highest(records[-1:] if self._left <= 0 else itertools.chain(*portions[number:])))
            if records or gaps:
                self._send(records, gaps=gaps)
        if self._left > 0:
            self._note(None)

    def _note(self, left_ns: int | None) -> None:
        """All has been sent that was looked at, but for what is stamped `left_ns` at the latest."""
        reached = self._older.reached
        if left_ns is not None:
            reached = max(left_ns + 1, reached or 0)
        if reached is not None and (self._scanned is None or reached < self._scanned):
            self._scanned = reached

    async def _turn(self) -> None:
        """Wait for our turn: the stream's records go first."""
        await self._stream.sent()
        self._waits = True
        try:
            while self._stream.socket.full:
                await self._stream.socket.writable()
        finally:
            self._waits = False

    async def _tell_progress(self) -> None:
        """Say how far it is when there was nothing else to say, so that who waits knows that it goes on."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(self._sent_at + _PROGRESS - loop.time(), _PROGRESS / 10))
            if loop.time() - self._sent_at >= _PROGRESS and not self._stream.socket.full and not self._over:
                self._send([])

    def _send(
        self,
        records: Sequence[LogRecord],
        *,
        gaps: Sequence[dict[str, object]] = (),
        done: bool = False,
        reason: str | None = None,
        following: str | None = None,
    ) -> None:
        """One page."""
        self._sent_at = asyncio.get_running_loop().time()
        if done:
            self._told_over()  # who reads the last page may ask for the next ones at once
        page = protocol.history(
            self._request,
            records,
            self._scanned,
            gaps=gaps,
            done=done,
            reason=reason,
            following=following,
        )
        self._stream.socket.send(page)


def _highest(entries: Iterable[Entry]) -> int | None:
    return max((entry.ns for entry in entries if isinstance(entry, LogRecord)), default=None)
