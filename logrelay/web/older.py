"""Looking back from a place of the log, the newest first: through the history, then through Railway's past.

The order is the history's own: what is in it stands where it arrived, what is not stands where its stamp says. Decides
what belongs into an answer; sends nothing.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

import attrs

from logrelay.errors import BudgetSpent, MessageInvalid, UpstreamError
from logrelay.relay import timestamps
from logrelay.relay.history import History
from logrelay.relay.hub import Hub
from logrelay.relay.records import Entry, LogRecord
from logrelay.relay.resume import Request
from logrelay.web.placing import ResumeLimits, closed

_SECOND = 1_000_000_000
_SCANNED_AT_ONCE = 1000  # entries, before others get their turn
_WANTED = 2500  # records in a window of the past; half of what Railway gives at once
_TOO_MANY = 4 * _WANTED  # a window with more is made smaller, because its newest records come last
_WIDEST = 1 << 50  # ns; 13 days
_GROWTH = 16  # times, at most, from one window to the next


@attrs.frozen
class Start:
    """Where to begin: what stands before `number` in the history, then what is stamped `until` or earlier.

    `until` None: all that lies before the history. `met` is the record that was asked for, where only the past has it.
    """

    number: int
    until: int | None = None
    met: str | None = None
    ns: int | None = None  # the stamp that was asked for


def start(history: History, before: str | None) -> Start:
    """Where to begin for one who asks for what is older than a record's id, or a stamp; None: than everything.

    Raises MessageInvalid for what is neither, and for an id that ought to be here and isn't.
    """
    if before is None:
        return Start(history.end, ns=history.newest_ns)
    number = history.find(before)
    if number is not None:
        return Start(number, ns=Request.from_id(before).ns)
    try:
        ns = timestamps.parse(before)
    except ValueError:
        pass
    else:
        return Start(history.since(ns), ns - 1, ns=ns)
    try:
        ns = Request.from_id(before).ns
    except ValueError:
        raise MessageInvalid("history: before is a record's id or an RFC 3339 timestamp") from None
    if history.reaches(ns):
        raise MessageInvalid("history: nobody knows a record with this id")
    return Start(history.first, ns, met=before, ns=ns)


class Older:
    """One look back. `reached` is the stamp from which on all has been looked at, `reason` why it went no further.

    A reason is `retention`, `limit` or `outage`; None where nothing older exists anywhere.
    """

    def __init__(
        self,
        hub: Hub,
        begin: Start,
        limits: ResumeLimits,
        *,
        wanted: Callable[[LogRecord], bool],
        room: Callable[[], int],
    ) -> None:
        self._hub = hub
        self._begin = begin
        self._limits = limits
        self._wanted = wanted
        self._room = room  # how many more records are wanted
        self._found: set[str] = set()  # ids of what the history had, which may be evicted and be met again
        self._earliest = 0  # ns
        self.reached = begin.ns
        self.reason: str | None = None

    async def portions(self) -> AsyncGenerator[Sequence[Entry]]:
        """What matches, and notices, newest first; a portion may be empty, after a step in which nothing matched."""
        history = self._hub.history
        number = self._begin.number
        while number > history.first:
            scanned = list(itertools.islice(history.backwards(number), _SCANNED_AT_ONCE))
            number = scanned[-1][0]
            entries: Sequence[Entry] = [entry for _, entry in scanned if self._chosen(entry)]
            self._found.update(entry.id for entry in entries if isinstance(entry, LogRecord))
            # Down to a record that nothing before it is stamped later than, or alike: a late one tells nothing.
            stamps = [entry.ns for _, entry in reversed(scanned) if isinstance(entry, LogRecord)]
            self.reached = next((ns for ns in stamps if history.since(ns) >= number), self.reached)
            yield entries
            await asyncio.sleep(0)
        # No turn of the loop lies between the last look at `first` and this: the two meet without a hole.
        floor = history.floor_ns
        if floor is None:
            return
        end = floor if self._begin.until is None else min(floor, self._begin.until)
        async for entries in self._past(end):
            yield entries

    async def _past(self, end: int) -> AsyncGenerator[Sequence[Entry]]:
        """Windows of the past, each read forwards and turned round; the same ones for all who come by."""
        self._earliest = (self._hub.history.newest_ns or end) - int(self._limits.retention * _SECOND)
        width, left = _width(self._hub.history), self._limits.records
        while end >= self._earliest:
            if left <= 0 or not self._limits.plenty():
                self.reason = "limit"
                return
            begin = max(_aligned(end, width), self._earliest)
            try:
                window = await self._window(begin, end)
            except UpstreamError as error:
                self.reason = "limit" if isinstance(error, BudgetSpent) else "outage"
                return
            if window is None:
                width = max(width // _GROWTH, 1)
                continue
            entries, count = window
            left -= count
            self.reached = begin
            yield entries
            width = _next(width, count, end - begin + 1)
            end = begin - 1
        self.reason = "retention"

    async def _window(self, begin: int, end: int) -> tuple[Sequence[Entry], int] | None:
        """What matches of a window, newest first, and how many records it has; None where it has too many.

        Of many that match only the newest are kept, which are those that are wanted.
        """
        kept: deque[Entry] = deque(maxlen=max(self._room(), 1))
        count = 0
        pages = self._hub.past(begin, end)
        async with closed(pages):
            async for entries in pages:
                for entry in entries:
                    if isinstance(entry, LogRecord):
                        count += 1
                        if entry.id == self._begin.met:
                            return tuple(reversed(kept)), count  # its ties after it are newer
                        if entry.id in self._found or self._hub.history.find(entry.id) is not None:
                            continue  # it stands elsewhere in the order
                    if self._chosen(entry):
                        kept.append(entry)
                if count > _TOO_MANY and end > begin:
                    return None
                await asyncio.sleep(0)
        return tuple(reversed(kept)), count

    def _chosen(self, entry: Entry) -> bool:
        return self._wanted(entry) if isinstance(entry, LogRecord) else entry.message == "gap"


def _width(history: History) -> int:
    """How wide a window may be, in nanoseconds: a power of two, so that others find the same ones."""
    newest, floor = history.newest_ns, history.floor_ns
    if newest is None or floor is None or newest <= floor or not len(history):
        return 1 << 42  # an hour and a bit
    return _rounded((newest - floor) * _WANTED // len(history))


def _rounded(width: int) -> int:
    return min(1 << max(width, 1).bit_length() - 1, _WIDEST)


def _next(width: int, count: int, length: int) -> int:
    """How wide the next window is to be, after one of so many records and nanoseconds."""
    fitting = length * _WANTED // count if count else _WIDEST
    return _rounded(max(min(fitting, width * _GROWTH), width // _GROWTH))


def _aligned(end: int, width: int) -> int:
    """Where a window of about this width begins: at a multiple of it, so that all who look back ask for the same."""
    return (end - width // 2) // width * width
