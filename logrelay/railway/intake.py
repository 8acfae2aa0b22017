"""Rows in, records out, each row once. No I/O and no asyncio; the wall clock is handed in."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from logrelay.railway.pages import PAGE_SIZE, Stamped
from logrelay.relay import records, timestamps
from logrelay.relay.identities import Identities
from logrelay.relay.records import Content, Entry, LogRecord, Notice

SECOND = 1_000_000_000
_DAY = 86_400 * SECOND
_BEFORE_ALL = -1  # ns; before any stamp that rows.stamped lets through

# Railway says so itself, in the log, when it drops lines (facts.md section 9).
_DROPPED = re.compile(
    r"Railway rate limit of \d+ logs/sec reached for replica\b.*Messages dropped: (\d{1,18})\b"
)

Name = Callable[[str | None], str | None]


@attrs.frozen
class New:
    """A row that has not been seen before, and the id that it gets."""

    ns: int
    content: Content
    id: str


class Intake:
    """What one environment has delivered so far: which rows, and up to which time."""

    def __init__(
        self,
        name: Name,
        *,
        overlap: float = 30.0,  # seconds
        remembered: int = 50_000,  # identities
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._name = name
        self._overlap = int(overlap * SECOND)
        self._clock = clock
        self._identities = Identities(capacity=remembered)
        self._high = _BEFORE_ALL  # ns; the newest stamp that has arrived
        self.watermark: int | None = None  # ns; the newest stamp that is not in our future

    def __repr__(self) -> str:
        return f"<Intake {self._identities!r}>"

    @property
    def since(self) -> int:
        """From when on a subscription has to ask, in nanoseconds: an overlap before the watermark."""
        # Without any row, a day back by our own clock is far enough: the seed has just found nothing.
        watermark = self._clock() - _DAY if self.watermark is None else self.watermark
        return max(watermark - self._overlap, 0)

    def unseen(self, frame: Sequence[Stamped]) -> list[New]:
        """The rows of one frame that are new; they count as seen from now on."""
        ids = self._identities.unseen(records.key(content, ns) for ns, content in frame)
        return [
            New(ns, content, identity)
            for (ns, content), identity in zip(frame, ids, strict=True)
            if identity is not None
        ]

    def entries(self, new: Iterable[New]) -> list[Entry]:
        """New rows as records, in order, with a gap after each that says that Railway dropped some."""
        made: list[Entry] = []
        for row in new:
            made.append(self._record(row, late=row.ns < self._high))
            dropped = _dropped(row.content)
            if dropped:
                made.append(gap("upstream_dropped", row.ns, row.ns, dropped))
            self._high = max(self._high, row.ns)
        if made:
            # A stamp in our future must not move the watermark past rows that are still to come; should our clock be
            # slow instead, the resubscription only reaches further back.
            self.watermark = max(self.watermark or 0, min(self._high, self._clock()))
            self._identities.forget(self.since)
        return made

    def past(self, frame: Sequence[Stamped]) -> list[Entry]:
        """All rows of a page of the past as records; nothing of what has been seen is looked at or kept."""
        ids = Identities().unseen(records.key(content, ns) for ns, content in frame)
        return [
            self._record(New(ns, content, identity))
            for (ns, content), identity in zip(frame, ids, strict=True)
            if identity is not None
        ]

    def _record(self, row: New, *, late: bool = False) -> LogRecord:
        name = self._name(row.content.service_id)
        return records.record(row.content, row.id, row.ns, service_name=name, late=late)


def _dropped(content: Content) -> int:
    """How many lines Railway says here that it dropped; the word of its own line only."""
    if "Messages dropped: " not in content.message:
        return 0
    match = _DROPPED.match(content.message)
    return int(match[1]) if match else 0


def truncated(size: int, unreadable: int, new: int) -> bool:
    """Whether what lies before a frame may have been cut off: it is full, and nothing of it known (faults.md U20).

    `size` counts all of its rows, `new` those that were not seen before.
    """
    return size in {PAGE_SIZE, PAGE_SIZE + 1} and 0 < new == size - unreadable


def gap(reason: str, start_ns: int | None, end_ns: int | None, count: int | None = None) -> Notice:
    """The notice that says in its place what is missing (protocol.md section 3)."""
    data = {
        "from": None if start_ns is None else timestamps.render(start_ns),
        "to": None if end_ns is None else timestamps.render(end_ns),
        "count": count,
        "reason": reason,
    }
    return Notice("gap", data, time.time_ns())


def runs(entries: Iterable[Entry]) -> Iterator[list[LogRecord] | Notice]:
    """Entries as a sink takes them: runs of records, and the notices between them."""
    run: list[LogRecord] = []
    for entry in entries:
        if isinstance(entry, LogRecord):
            run.append(entry)
            continue
        if run:
            yield run
            run = []
        yield entry
    if run:
        yield run
