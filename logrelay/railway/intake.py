"""Rows in, records out, each row once. No I/O and no asyncio; the wall clock is handed in."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from logrelay.railway.pages import PAGE_SIZE, Stamped
from logrelay.relay import records, timestamps
from logrelay.relay.identities import Identities
from logrelay.relay.records import Content, Entry, LogRecord, Notice
from logrelay.relay.redaction import Redactor

SECOND = 1_000_000_000
_DAY = 86_400 * SECOND
_MOST_REMEMBERED = 500_000  # identities, whatever the windows are
_BEFORE_ALL = -1  # ns; before any stamp that rows.stamped lets through

# Railway says so itself, in the log, when it drops lines (facts.md section 9).
_DROPPING = "Messages dropped: "
_DROPPED = re.compile(
    r"Railway rate limit of \d+ logs/sec reached for replica\b.*Messages dropped: (\d{1,18})\b"
)

Name = Callable[[str | None], str | None]


class New(msgspec.Struct, frozen=True, gc=False):
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
        window: float = 0.0,  # seconds before the newest stamp whose rows may be read again
        clock: Callable[[], int] = time.time_ns,
        redactor: Redactor | None = None,
    ) -> None:
        self._name = name
        self._redactor = redactor
        self._overlap = int(overlap * SECOND)
        self._window = int(window * SECOND)
        self._clock = clock
        self._ceiling = max(_MOST_REMEMBERED, remembered)
        self._identities = Identities(capacity=remembered, ceiling=self._ceiling)
        self._floor = 0  # ns; a subscription that asks for anything before would be of no use
        self._high = _BEFORE_ALL  # ns; the newest stamp that has arrived
        self.watermark: int | None = None  # ns; the newest stamp that is not in our future
        self._reach = 0  # ns; from there on every row that was delivered is remembered
        self._reading: int | None = None  # ns; from there on rows are read again just now: don't forget them

    def __repr__(self) -> str:
        return f"<Intake {self._identities!r}>"

    @property
    def since(self) -> int:
        """From when on a subscription has to ask, in nanoseconds: an overlap before the watermark."""
        # Without any row, a day back by our own clock is far enough: the seed has just found nothing.
        watermark = self._clock() - _DAY if self.watermark is None else self.watermark
        return max(watermark - self._overlap, self._floor)

    def seeded(self, floor_ns: int | None) -> None:
        """The seed is in; of the nanosecond `floor_ns` and before, where there is one, not everything is known."""
        if floor_ns is not None:
            self._reach = max(self._reach, floor_ns + 1)

    @property
    def now(self) -> int:
        """The wall clock's nanoseconds since 1970; good enough to show, not to judge rows by."""
        return self._clock()

    def settled(self, ns: int) -> None:
        """What is stamped up to `ns` was fetched or declared, so that no subscription has to bring it again."""
        # A stamp in our future must not hide the rows that come before it is reached.
        self._floor = max(self._floor, min(ns, max(self._high, self._clock())))

    def skipped(self, ns: int) -> None:
        """At `ns` is a row that is too large: asking for it again has no use, be it by subscription or by query."""
        self.settled(ns)
        # A window's query reaches back by a nanosecond more.
        self._reach = max(self._reach, ns + 2)

    def again_from(self, end_ns: int) -> int:
        """From when on rows up to `end_ns` may be read again: a window before it, as far as all is remembered."""
        return max(end_ns - self._window, (self.watermark or 0) - self._window, self._reach)

    def reading(self, start_ns: int | None) -> None:
        """Rows from `start_ns` on are being read again, which takes a while in which others arrive; None: no more."""
        self._reading = start_ns

    def told(self, page: Sequence[Stamped]) -> Sequence[Stamped]:
        """Those rows of a page that is read again of which it can be told whether they were delivered."""
        return [row for row in page if row[0] >= self._reach]

    def unseen(self, frame: Sequence[Stamped], here: dict[str, int] | None = None) -> list[New]:
        """The rows of one frame that are new; they count as seen from now on."""
        ids = self._identities.unseen([records.key(content, ns) for ns, content in frame], here)
        return [
            New(ns, content, identity)
            for (ns, content), identity in zip(frame, ids, strict=True)
            if identity is not None
        ]

    def entries(self, new: Iterable[New]) -> list[Entry]:
        """New rows as records, in order, with a gap after each that says that Railway dropped some."""
        made: list[Entry] = []
        high = self._high
        for row in new:
            made.append(self._record(row, late=row.ns < high))
            if _DROPPING in row.content.message:
                made += _dropped(row)
            high = max(high, row.ns)
        self._high = high
        if made:
            # A stamp in our future must not move the watermark past rows that are still to come; should our clock be
            # slow instead, the resubscription only reaches further back.
            self.watermark = max(self.watermark or 0, min(self._high, self._clock()))
            if len(self._identities) > self._ceiling:
                self._reach = max(self._reach, self._high + 1)
            border = min(self.since, self.watermark - self._window)
            self._identities.forget(border if self._reading is None else min(border, self._reading))
        return made

    def past(self, frame: Sequence[Stamped]) -> list[Entry]:
        """All rows of a page of the past as records; nothing of what has been seen is looked at or kept."""
        ids = Identities().unseen(records.key(content, ns) for ns, content in frame)
        made: list[Entry] = []
        for (ns, content), identity in zip(frame, ids, strict=True):
            if identity is not None:
                row = New(ns, content, identity)
                made += [self._record(row, late=False), *_dropped(row)]
        return made

    def _record(self, row: New, *, late: bool) -> LogRecord:
        content = row.content
        name = self._name(content.service_id)
        return records.record(content, row.id, row.ns, service_name=name, late=late, redactor=self._redactor)


def _dropped(row: New) -> list[Notice]:
    """The gap where a row says that Railway dropped lines; the word of its own line only."""
    match = _DROPPED.match(row.content.message)
    count = int(match[1]) if match else 0
    return [gap("upstream_dropped", row.ns, row.ns, count)] if count else []


def truncated(size: int, new: int) -> bool:
    """Whether what lies before a frame may have been cut off: it is full, and something of it new (faults.md U20).

    `size` counts all of its rows, `new` those that were not seen before. A known row among them proves nothing: what
    Railway leaves out is the oldest by stamp, and late rows have old stamps.
    """
    return size in {PAGE_SIZE, PAGE_SIZE + 1} and new > 0


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
