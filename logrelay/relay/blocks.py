"""Stretches of the past, each complete in itself, and what comes too late for them. No I/O, no clock, no asyncio."""

import bisect
from collections.abc import Iterable, Iterator, Sequence

import attrs

from logrelay.relay.records import Entry, LogRecord

_AT_ONCE = 500  # entries that one reader is given, more only where stamps are equal
_BLOCK_COST = 600  # bytes, roughly, of a block without its entries


@attrs.define(eq=False)
class Latecomers:
    """Records that arrived while someone was reading the past, stamped so that they belong into it."""

    most: int = 1000
    rows: dict[str, LogRecord] = attrs.Factory(dict)
    overrun: bool = False  # whether there were more

    def add(self, record: LogRecord) -> None:
        """Take a record, as long as there is room."""
        if len(self.rows) < self.most:
            self.rows[record.id] = record
        else:
            self.overrun = True


@attrs.define(eq=False)
class Block:
    """Everything stamped from `start` to `end`, both included, in order of stamps."""

    start: int
    end: int
    entries: list[Entry]
    stamps: list[int]  # of each entry; a notice has that of the record before it
    cost: int
    used: float

    @classmethod
    def of(cls, start: int, end: int, entries: Iterable[Entry], now: float) -> "Block":
        """A block of those entries that belong into the span."""
        block = cls(start, end, [], [], _BLOCK_COST, now)
        stamp = start
        for entry in entries:
            if isinstance(entry, LogRecord):
                stamp = max(stamp, entry.ns)
            if stamp <= end:
                block.entries.append(entry)
                block.stamps.append(stamp)
                block.cost += entry.cost
        return block

    @property
    def size(self) -> int:
        """What it counts towards the limit of records; an empty one isn't free either."""
        return len(self.entries) + 1

    def insert(self, record: LogRecord) -> None:
        """Add a record that came late, after its ties, unless it is here already."""
        low = bisect.bisect_left(self.stamps, record.ns)
        high = bisect.bisect_right(self.stamps, record.ns, low)
        if any(isinstance(tie, LogRecord) and tie.id == record.id for tie in self.entries[low:high]):
            return
        self.entries.insert(high, record)
        self.stamps.insert(high, record.ns)
        self.cost += record.cost

    def portion(self, start: int, end: int) -> tuple[Sequence[Entry], int]:
        """Some entries from `start` on and not after `end`, and the stamp to go on from. Ties stay together."""
        low = bisect.bisect_left(self.stamps, start)
        last = bisect.bisect_right(self.stamps, end, low)
        if last - low <= _AT_ONCE:
            return self.entries[low:last], min(self.end, end) + 1
        stamp = self.stamps[low + _AT_ONCE - 1]
        return self.entries[low : bisect.bisect_right(self.stamps, stamp, low)], stamp + 1


class Blocks:
    """Blocks in order of time; no two of them overlap. The least recently used goes first when it becomes too much."""

    def __init__(self, *, records: int, room: int) -> None:
        self._records = records
        self._room = room  # bytes
        self._blocks: list[Block] = []

    def __repr__(self) -> str:
        return f"<Blocks {len(self)}, {self.bytes} bytes>"

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def bytes(self) -> int:
        """Bytes of memory, roughly."""
        return sum(block.cost for block in self._blocks)

    def find(self, ns: int) -> Block | None:
        """The block that has what is stamped so."""
        place = bisect.bisect_right(self._blocks, ns, key=_start) - 1
        return self._blocks[place] if place >= 0 and ns <= self._blocks[place].end else None

    def before(self, ns: int) -> Block | None:
        """The last block that begins at or before a stamp."""
        place = bisect.bisect_right(self._blocks, ns, key=_start) - 1
        return self._blocks[place] if place >= 0 else None

    def run(self, ns: int) -> Iterator[Block]:
        """The first block that begins after a stamp, and those that follow without a hole."""
        end = None
        for block in self._blocks[bisect.bisect_right(self._blocks, ns, key=_start) :]:
            if end is not None and block.start != end + 1:
                return
            end = block.end
            yield block

    def foresee(self, cursor: int, most: int) -> int:
        """From where on to fetch when `cursor` is needed: some time before it, where blocks follow.

        Else many who come from slightly farther back each would cost a query. As much again as follows, but no more
        than `most` records, if it goes on as it does there.
        """
        run = list(self.run(cursor))
        records = sum(len(block.entries) for block in run)
        if not records:
            return cursor
        length = run[-1].end - run[0].start + 1
        if (run[0].start - cursor) * records > length * most:
            return cursor  # enough as it is
        start = max(cursor - length * min(records, most) // records, 0)
        before = self.before(cursor)
        return cursor if before is not None and before.end >= start else min(start, cursor)

    def add(self, block: Block) -> None:
        """Add a block where there was none; one with nothing in it only makes its neighbour longer."""
        neighbour = None if block.entries else self.find(block.start - 1)
        if neighbour is not None:
            neighbour.end = block.end
            return
        bisect.insort(self._blocks, block, key=_start)
        self._evict(block)

    def insert(self, record: LogRecord) -> None:
        """Add a record that came late to the block that it belongs into, if that is here."""
        block = self.find(record.ns)
        if block is not None:
            block.insert(record)
            self._evict(block)

    def clear(self) -> None:
        """Drop all of them."""
        self._blocks.clear()

    def _evict(self, spared: Block) -> None:
        """Drop what is beyond the bounds, and a little more, so that it is done rarely."""
        records, size = sum(block.size for block in self._blocks), self.bytes
        if records <= self._records and size <= self._room:
            return
        doomed: set[Block] = set()
        for block in sorted(self._blocks, key=_used):
            if records <= self._records * 7 // 8 and size <= self._room * 7 // 8:
                break
            if block is not spared:
                doomed.add(block)
                records -= block.size
                size -= block.cost
        self._blocks = [block for block in self._blocks if block not in doomed]


def _start(block: Block) -> int:
    return block.start


def _used(block: Block) -> float:
    return block.used
