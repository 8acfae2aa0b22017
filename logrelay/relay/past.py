"""The time before a history: fetched page by page for those who resume from there, each page once for all of them.

Owns what is kept of it, bounded and for a short while. Decides nothing about outcomes.
"""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

import attrs

from logrelay.errors import UpstreamError, UpstreamUnavailable
from logrelay.relay.blocks import Block, Blocks, Latecomers
from logrelay.relay.history import History
from logrelay.relay.records import Entry, LogRecord

__all__ = ["Latecomers", "Past", "PastBounds", "ahead"]

logger = logging.getLogger(__name__)

_FORESIGHT = 2500  # records that may be fetched before anyone asks for them; half of Railway's page
_BEFORE_ALL = -(1 << 63)  # ns
_SHORT_PAGES = 4  # that are fetched in a row, asked for or not
_OPEN = 4  # fetches that may be left in the middle, to be gone on with

Pages = AsyncIterator[Sequence[Entry]]


@attrs.frozen
class PastBounds:
    """How much of the past is kept, and for how many seconds after its last use."""

    records: int = 25_000
    bytes: int = 32 * 1024 * 1024
    linger: float = 60.0


@attrs.frozen
class _Fetch:
    """Pages of what is stamped up to `end`, read up to some place."""

    pages: Pages
    end: int

    async def close(self) -> None:
        """Leave it in the middle, or at its end."""
        if isinstance(self.pages, AsyncGenerator):
            await self.pages.aclose()


@attrs.frozen(eq=False)
class _Waiter:
    """A reader that needs what is stamped `cursor`; up to `end` it or others will need it soon."""

    cursor: int
    end: int
    served: asyncio.Future[UpstreamError | None]


class Past:
    """Reads the time before a history for any number of readers, with one query at a time.

    Readers go forward. Who needs what isn't kept waits; whoever waits in the same place waits for the same page, and
    what was fetched is kept for those who come after. The least recently used goes first when it becomes too much.
    """

    def __init__(self, fetch: Callable[[int, int], Pages], bounds: PastBounds | None = None) -> None:
        self._fetch = fetch
        self._bounds = bounds or PastBounds()
        self._blocks = Blocks(records=self._bounds.records, room=self._bounds.bytes)
        self._readers = 0
        self._waiters: set[_Waiter] = set()
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_its_way = Latecomers()  # may have missed the page that is being fetched
        self._reach = _BEFORE_ALL  # ns; nothing later has been fetched
        self._catching_up: weakref.WeakSet[Latecomers] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<Past {self._readers} readers, {self._blocks!r}>"

    @property
    def bytes(self) -> int:
        """Bytes of memory that are taken by what is kept, roughly."""
        return self._blocks.bytes

    @property
    def active(self) -> bool:
        """Whether somebody could miss a record that comes late."""
        return bool(self._blocks or self._readers or self._catching_up)

    # -- late records ------------------------------------------------------------------------------------------

    def catching_up(self) -> Latecomers:
        """Collects late records from now on, for as long as the caller keeps it."""
        latecomers = Latecomers()
        self._catching_up.add(latecomers)
        return latecomers

    def note(self, entries: Iterable[Entry], floor_ns: int) -> None:
        """Entries have arrived: of those that belong into the past, nobody may miss one because a page came earlier."""
        if not self.active:
            return
        limit = max(floor_ns, self._reach)
        for entry in entries:
            if isinstance(entry, LogRecord) and entry.ns <= limit:
                self._on_its_way.add(entry)
                for latecomers in self._catching_up:
                    latecomers.add(entry)
                self._blocks.insert(entry)

    # -- reading -----------------------------------------------------------------------------------------------

    async def read(
        self, start_ns: int, end_ns: int, ahead_ns: int = _BEFORE_ALL
    ) -> AsyncGenerator[Sequence[Entry]]:
        """What is stamped from `start_ns` to `end_ns`, both included, oldest first.

        No portion is empty, and equal stamps never fall into two of them. What has to be fetched is fetched up to
        `ahead_ns`, where that is later, for those who come after. Raises UpstreamError when a page can't be had;
        nothing of an error is kept.
        """
        self._readers += 1
        try:
            cursor = start_ns
            while cursor <= end_ns:
                block = self._blocks.find(cursor)
                if block is None:
                    await self._demand(cursor, max(end_ns, ahead_ns))
                    continue
                block.used = asyncio.get_running_loop().time()
                entries, cursor = block.portion(cursor, end_ns)
                if entries:
                    yield entries
        finally:
            self._readers -= 1
            if not self._readers:
                await self._rest()

    async def _demand(self, cursor: int, end: int) -> None:
        """Wait until a page has come that holds what is stamped `cursor`."""
        waiter = _Waiter(cursor, end, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        self._bell.set()
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="past")
        try:
            error = await waiter.served
        finally:
            self._waiters.discard(waiter)
        if error is not None:
            raise error.with_traceback(None)  # shared by all who waited: theirs would pile up in it

    # -- life --------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """The last reader has left: fetch no more, and forget after a while what is kept."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._bounds.linger, self.forget)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def forget(self) -> None:
        """Free what is kept, unless it is being read."""
        if not self._readers:
            self._blocks.clear()
            self._reach = _BEFORE_ALL

    async def close(self) -> None:
        """End for good; whoever still waits is told that nothing comes."""
        await self._rest()
        if self._timer is not None:
            self._timer.cancel()
        self._answer(UpstreamUnavailable("the relay leaves this environment"))
        self._blocks.clear()

    # -- fetching ----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Fetch what is waited for, page by page and the oldest first, because the others may need it next."""
        opened: dict[int, _Fetch] = {}  # fetches by the stamp at which they go on
        async with contextlib.AsyncExitStack() as resources:
            resources.push_async_callback(_close_all, opened)
            while True:
                await asyncio.sleep(0)  # all who come in this turn of the loop wait for the same page
                waiting = [waiter for waiter in self._waiters if not waiter.served.done()]
                if not waiting:
                    self._bell.clear()
                    await self._bell.wait()
                    continue
                try:
                    await self._fetch_for(waiting, opened)
                except UpstreamError as error:
                    self._answer(error)
                except Exception:
                    # A fault of ours; nobody may wait for ever because of it.
                    logger.exception("the past can't be read")
                    self._answer(UpstreamUnavailable("the past can't be read"))
                else:
                    self._answer(None)

    def _answer(self, error: UpstreamError | None) -> None:
        """Tell those who wait: of an error all, else those who find what they need now."""
        for waiter in self._waiters:
            if not waiter.served.done() and (
                error is not None or self._blocks.find(waiter.cursor) is not None
            ):
                waiter.served.set_result(error)

    async def _fetch_for(self, waiting: Sequence[_Waiter], opened: dict[int, _Fetch]) -> None:
        """Fetch the next page for the one who waits farthest back, and keep it."""
        cursor = min(waiter.cursor for waiter in waiting)
        end = max(waiter.end for waiter in waiting)
        following = next(self._blocks.run(cursor), None)
        if following is not None:
            end = min(end, following.start - 1)
        start, fetch = cursor, opened.pop(cursor, None)
        if fetch is None:
            start = self._blocks.foresee(cursor, _FORESIGHT)
            fetch = _Fetch(self._fetch(start, end), end)
            self._reach = max(self._reach, end)
        try:
            for _ in range(_SHORT_PAGES):
                block, over = await self._take(fetch.pages, start, min(end, fetch.end))
                start = block.end + 1
                if over or not cursor <= block.end < end:
                    await fetch.close()  # or it would go on with what is here, or with what nobody asked for
                    return
                if len(block.entries) >= _FORESIGHT:
                    break
                # A short page is the last one as a rule, and only going on tells: else a hole of nothing would stay.
                self._answer(None)
        except BaseException:
            await fetch.close()
            raise
        opened[start] = fetch
        if len(opened) > _OPEN:
            await opened.pop(next(iter(opened))).close()

    async def _take(self, pages: Pages, start: int, end: int) -> tuple[Block, bool]:
        """Keep the next page, with the late records that it may not have had; and whether it was the last one."""
        self._on_its_way = late = Latecomers()
        entries, reached = await _next_page(pages, start)
        if late.overrun:
            raise UpstreamUnavailable("too many records came late")
        covered = end if reached is None else min(reached, end)
        block = Block.of(start, covered, entries, asyncio.get_running_loop().time())
        for record in late.rows.values():
            if start <= record.ns <= covered:
                block.insert(record)
        self._blocks.add(block)
        return block, reached is None


def ahead(history: History) -> int:
    """Up to where to fetch when the floor rises all the time, so that not every client fetches the last bit alone."""
    if not history.first or not history:
        return _BEFORE_ALL  # nothing has been evicted yet
    place = history.first + min(_FORESIGHT, len(history) // 4)
    (entry,) = history.read(place, most=1)
    return entry.ns if isinstance(entry, LogRecord) else _BEFORE_ALL


async def _next_page(pages: Pages, start: int) -> tuple[list[Entry], int | None]:
    """The entries up to the next page with a record, and the last stamp in it, or None at the end.

    Only a record tells how far a page reaches: equal stamps never fall into two pages. What is stamped before `start`
    wasn't asked for.
    """
    entries: list[Entry] = []
    async for page in pages:
        asked = [entry for entry in page if not isinstance(entry, LogRecord) or entry.ns >= start]
        entries += asked
        reached = max((entry.ns for entry in asked if isinstance(entry, LogRecord)), default=None)
        if reached is not None:
            return entries, reached
    return entries, None


async def _close_all(opened: dict[int, _Fetch]) -> None:
    for fetch in opened.values():
        await fetch.close()
