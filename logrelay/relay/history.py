"""One environment's history: a bounded, numbered, append-only list of entries. No I/O, no clock, no asyncio.

A number never changes its entry. `first` is the number of the oldest entry that is still here, `end` the number
that the next one will get; a client's position is the number of the entry that it wants next.
"""

import bisect
import itertools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import attrs

from logrelay.relay import timestamps
from logrelay.relay.records import Entry, LogRecord, Notice

# Nanoseconds as 64 bits hold them, 1677 to 2262. Stamps outside (Go's zero time is one) are indexed as the nearest.
_BEFORE_ALL = -(1 << 63)  # before any stamp
_LOWEST, _HIGHEST = _BEFORE_ALL + 1, (1 << 63) - 1
_STAMP = len("2026-11-23T03:21:30.033333123Z")
_FEW = 32  # records with one stamp, which are looked through one by one
_MOST_TIED = 8  # stamps of more, whose records are kept by their ids
_GONE_NOTICES = 4096  # that are remembered; some 2 MB
_AGE_STEPS = 256  # age is measured in steps of the limit's 256th part


@attrs.frozen
class Bounds:
    """How much one environment's history may hold. Age never takes the newest `keep` entries."""

    records: int = 50_000
    bytes: int = 64 * 1024 * 1024
    seconds: float = 3600.0
    keep: int = 1000


class History:
    """The entries of one environment in order of arrival.

    `floor_ns` tells how far back it reaches: a record stamped at or before it may be missing here, one stamped
    later is here if it has arrived at all. It is None while nothing older exists anywhere.

    `seeded` is the number after the last entry that was made from the past at once, in order of stamps; from there
    on the order is that of arrival.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._entries: list[Entry | None] = []  # evicted ones are None until the list is compacted
        self._offset = 0  # the number of _entries[0]
        self.first = 0
        self.end = 0  # the number that the next entry will get
        self._bytes = 0
        # The highest stamp up to and with each entry; it only rises, so it can be searched.
        self._highs = array("q")
        # All records' stamps in order, each with its number; evicted ones stay until the next compaction.
        self._stamps = array("q")
        self._stamped = array("q")
        # Where many records have one stamp: their numbers by their ids.
        self._tied: dict[int, dict[str, int]] = {}
        # The last notices that were evicted, by number: who has been overrun is told them all the same.
        self._gone_notices: deque[tuple[int, Notice]] = deque(maxlen=_GONE_NOTICES)
        # (end after some batches, when the last of them came, when the first)
        self._arrivals: deque[tuple[int, float, float]] = deque()
        self.floor_ns: int | None = None
        self.seeded = 0

    def __repr__(self) -> str:
        return f"<History {self.first}..{self.end} {self._bytes} bytes>"

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def bytes(self) -> int:
        """Bytes of memory that the entries take, roughly."""
        return self._bytes

    @property
    def newest_ns(self) -> int | None:
        """The highest stamp that ever arrived, in nanoseconds (2262 at most); None before the first record."""
        return self._highs[-1] if self._highs and self._highs[-1] != _BEFORE_ALL else None

    def append(self, entries: Iterable[Entry], now: float) -> None:
        """Add entries at the end; evict what is beyond the bounds. `now` is any monotonic clock's seconds.

        A record whose id is here already is left out: whoever let it come again, nobody gets it twice.
        """
        number = end = self.end
        high = self._highs[-1] if self._highs else _BEFORE_ALL
        for entry in entries:
            if isinstance(entry, LogRecord):
                ns = _indexed(entry.ns)
                if ns > high:  # the newest so far: nothing else is stamped so
                    high = ns
                    self._stamps.append(ns)
                    self._stamped.append(number)
                elif self._number(entry.id, ns) is None:
                    self._index(entry.id, ns, number)
                else:
                    continue
            self._entries.append(entry)
            self._highs.append(high)
            self._bytes += entry.cost
            number += 1
        if number > end:
            self.end = number
            self._arrive(now)
        self.evict(now)

    def _arrive(self, now: float) -> None:
        """Note when the newest entries came; a frame for every line must not cost a note for every line."""
        began = now
        if self._arrivals and now - self._arrivals[-1][2] < self._bounds.seconds / _AGE_STEPS:
            _, _, began = self._arrivals.pop()
        self._arrivals.append((self.end, now, began))

    def _index(self, identity: str, ns: int, number: int) -> None:
        place = bisect.bisect_right(self._stamps, ns)
        self._stamps.insert(place, ns)
        self._stamped.insert(place, number)
        if ns in self._tied:
            self._tied[ns][identity] = number

    def evict(self, now: float) -> None:
        """Drop the oldest entries beyond the bounds."""
        bounds = self._bounds
        if self.end - self.first > bounds.records:
            self._drop(self.end - bounds.records)
        self._drop_bytes(bounds.bytes)
        newest = self.end - min(bounds.keep, bounds.records)
        while self._arrivals and self._arrivals[0][1] <= now - bounds.seconds:
            border = self._arrivals[0][0]
            self._drop(min(border, newest))
            if border > newest:
                break
            self._arrivals.popleft()
        self._tidy()

    def shrink(self, room: int) -> int:
        """Drop the oldest entries until they take at most `room` bytes, because memory is short; how many."""
        first = self.first
        self._drop_bytes(room)
        self._tidy()
        if self.first > first:
            self._compact()
        return self.first - first

    def _drop_bytes(self, room: int) -> None:
        while self._bytes > room and self.end - self.first > 1:
            self._drop(self.first + 1)

    def _tidy(self) -> None:
        while self._arrivals and self._arrivals[0][0] <= self.first:
            self._arrivals.popleft()
        if self.first - self._offset > max(1024, len(self)):
            self._compact()

    def _drop(self, number: int) -> None:
        """Drop all entries before a number."""
        floor = self.floor_ns
        for place in range(self.first - self._offset, number - self._offset):
            entry = self._entries[place]
            self._entries[place] = None
            assert entry is not None  # noqa: S101 every entry from `first` on is there
            self._bytes -= entry.cost
            if not isinstance(entry, LogRecord):
                self._gone_notices.append((place + self._offset, entry))
            elif floor is None or entry.ns > floor:
                floor = entry.ns
        self.floor_ns = floor
        self.first = max(self.first, number)

    def _compact(self) -> None:
        gone = self.first - self._offset
        self._tied.clear()
        del self._entries[:gone]
        del self._highs[:gone]
        self._offset = self.first
        here = [number >= self.first for number in self._stamped]
        self._stamps = array("q", itertools.compress(self._stamps, here))
        self._stamped = array("q", itertools.compress(self._stamped, here))

    def read(self, start: int, *, most: int = 1000, room: int = 262_144) -> Sequence[Entry]:
        """The entries from number `start` on, at most so many and so many bytes of them (but at least one).

        Raises IndexError when `start` has been evicted: the caller has fallen off and must say so.
        """
        if start < self.first:
            raise IndexError(f"entry {start} is gone, the oldest is {self.first}")
        place = start - self._offset
        entries: list[Entry] = []
        for entry in self._entries[place : place + most]:
            assert entry is not None  # noqa: S101 only numbers below `first` are empty
            entries.append(entry)
            room -= entry.cost
            if room <= 0:
                break
        return entries

    def backwards(self, before: int) -> Iterator[tuple[int, Entry]]:
        """Entries with their numbers, from the one just before `before` back to the oldest.

        It ends where eviction has come to, so it may be suspended while entries are added.
        """
        number = min(before, self.end) - 1
        while number >= self.first:
            entry = self._entries[number - self._offset]
            assert entry is not None  # noqa: S101 only numbers below `first` are empty
            yield number, entry
            number -= 1

    def passed_over(self, start: int) -> int:
        """How many records from number `start` on have been evicted."""
        return max(self.first - start, 0) - len(self.notices_passed_over(start))

    def notices_passed_over(self, start: int) -> list[Notice]:
        """The notices from number `start` on that have been evicted."""
        return [notice for number, notice in self._gone_notices if number >= start]

    def before(self, number: int) -> LogRecord | None:
        """The last record before a number, if it is still here."""
        for _, entry in self.backwards(number):
            if isinstance(entry, LogRecord):
                return entry
        return None

    def find(self, identity: str) -> int | None:
        """The number of the record with this id, or None when it isn't here. An id begins with its record's stamp."""
        try:
            ns = timestamps.parse(identity[:_STAMP])
        except ValueError:
            return None
        return self._number(identity, _indexed(ns))

    def _number(self, identity: str, ns: int) -> int | None:
        low, high = self._among(ns)
        if high - low > _FEW:
            number = self._ties(ns, low, high).get(identity, -1)
            return number if number >= self.first else None
        for number in self._stamped[low:high]:
            entry = self._entries[number - self._offset]
            if isinstance(entry, LogRecord) and entry.id == identity:
                return number
        return None

    def _ties(self, ns: int, low: int, high: int) -> dict[str, int]:
        """The numbers of many records with one stamp, by their ids; kept, because who asks for one asks for others."""
        ties = self._tied.get(ns)
        if ties is None:
            numbered = [(number, self._entries[number - self._offset]) for number in self._stamped[low:high]]
            ties = {entry.id: number for number, entry in numbered if isinstance(entry, LogRecord)}
            if len(self._tied) >= _MOST_TIED:
                del self._tied[next(iter(self._tied))]
            self._tied[ns] = ties
        return ties

    def _among(self, ns: int) -> tuple[int, int]:
        """Where in the index the records with exactly this stamp stand that are still here."""
        low = bisect.bisect_left(self._stamps, ns)
        high = bisect.bisect_right(self._stamps, ns, low)
        return bisect.bisect_left(self._stamped, self.first, low, high), high

    def stamped(self, ns: int) -> Sequence[int]:
        """The numbers of the records with exactly this stamp, in order of arrival."""
        low, high = self._among(_indexed(ns))
        return self._stamped[low:high]

    def after(self, ns: int) -> int:
        """Where to go on for one who has seen a record stamped `ns` (protocol.md, *Resuming*).

        From the first record with this stamp, leaving that one out if no other has the same; where there is none,
        from the first one stamped later; the end, where there is none of those either.
        """
        same = self.stamped(ns)
        if len(same) == 1:
            return same[0] + 1
        if same:
            return same[0]
        return self.since(ns + 1)

    def since(self, ns: int) -> int:
        """The number of the first record stamped `ns` or later, in order of arrival; the end, where there is none."""
        return self._offset + bisect.bisect_left(self._highs, ns, self.first - self._offset)

    def reaches(self, ns: int) -> bool:
        """Whether every record stamped `ns` or later that has arrived is still here."""
        return self.floor_ns is None or ns > self.floor_ns


def _indexed(ns: int) -> int:
    """A stamp as the indexes can hold it."""
    return min(max(ns, _LOWEST), _HIGHEST)
