"""Ready-made WebSocket frames, shared between clients that read the same range through one view.

A server's frames are not masked (RFC 6455 section 5.1), so the bytes are the same for every client. Nor do compressed
ones depend on what a client was sent before: each begins with an empty window, as a server always may (RFC 7692
section 7.1.1).
"""

import enum
import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

import attrs

from logrelay.relay.filters import Filter
from logrelay.relay.history import History
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.web import protocol

_TEXT = 0x81  # FIN and opcode 1
_DEFLATED = 0xC1  # and RSV1 (RFC 7692 section 6)
_PING = 0x89
_PONG = 0x8A
_SHORT = 126
_MEDIUM = 65_536
_WINDOW = 15  # bits
_LEVEL = 6  # of zlib; a batch is compressed once, whoever gets it
_TAIL = len(b"\x00\x00\xff\xff")  # of a flushed block, which a message leaves out (RFC 7692 section 7.2.1)


class Form(enum.Enum):
    """How a client wants its records."""

    SINGLE = enum.auto()  # a `log` message each
    BATCH = enum.auto()  # as many as there are in one `logs` message
    DEFLATED = enum.auto()  # the same, compressed

    @classmethod
    def wanted(cls, *, batch: bool, deflate: bool) -> "Form":
        """The form for a client that takes batches, and compressed ones."""
        if not batch:
            return cls.SINGLE
        return cls.DEFLATED if deflate else cls.BATCH


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < _SHORT:
        return struct.pack("!BB", first, size) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def text(payload: bytes) -> bytes:
    """A whole text message as one frame."""
    return _frame(_TEXT, payload)


def ping(payload: bytes = b"") -> bytes:
    """A ping; the payload is at most 125 bytes."""
    return _frame(_PING, payload)


def pong(payload: bytes) -> bytes:
    """The answer to a ping with that payload."""
    return _frame(_PONG, payload)


def deflated(payload: bytes) -> bytes:
    """A whole text message as one compressed frame (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW)
    flushed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return _frame(_DEFLATED, flushed[:-_TAIL])


def of_entries(entries: Iterable[Entry], form: Form = Form.SINGLE) -> bytes:
    """The frames of records and notices, ready to be written at once."""
    if form is Form.SINGLE:
        return b"".join(
            [
                text(protocol.log(entry) if isinstance(entry, LogRecord) else protocol.notice(entry))
                for entry in entries
            ]
        )
    message = text if form is Form.BATCH else deflated
    ready: list[bytes] = []
    for of_records, run in itertools.groupby(entries, key=_is_record):
        if of_records:
            ready.append(message(protocol.logs(entry for entry in run if isinstance(entry, LogRecord))))
        else:
            ready += [text(protocol.notice(entry)) for entry in run if isinstance(entry, Notice)]
    return b"".join(ready)


def _is_record(entry: Entry) -> bool:
    return isinstance(entry, LogRecord)


def passes(entry: Entry, wanted: Filter) -> bool:
    """Whether a client with this filter gets the entry. Notices are for everyone; a filter speaks of records."""
    return not isinstance(entry, LogRecord) or wanted.matches(entry)


def portions(entries: Sequence[Entry], *, most: int = 500, room: int = 262_144) -> Iterator[Sequence[Entry]]:
    """The entries in portions that may be written at once: so many, and so many bytes (but at least one)."""
    start, left = 0, room
    for place, entry in enumerate(entries):
        if place > start and (place - start >= most or left < entry.cost):
            yield entries[start:place]
            start, left = place, room
        left -= entry.cost
    if start < len(entries):
        yield entries[start:]


@attrs.frozen(eq=False)
class View:
    """What a client wants, and how. Compared by identity, which is quick: whoever hands them out shares equal ones."""

    filter: Filter
    form: Form = Form.SINGLE


@attrs.frozen
class Page:
    """What one read of the history gives: frames to write, where to go on, and the last record read.

    The last record is that of the range, whether the filter let it through or not.
    """

    end: int
    frames: bytes
    sent: int  # records in `frames`
    last_id: str | None
    last_ns: int | None


class Pages:
    """Reads one history for all of its clients. Equal reads are made once; the oldest go first."""

    _MOST = 1000  # entries of a page
    _STEP = 256  # entries
    _ROOM = 1024 * 1024  # bytes of frames that are kept for others
    _PAGE_COST = 1024  # bytes, roughly, of a page without its frames

    def __init__(self, history: History) -> None:
        self._history = history
        self._made: dict[tuple[int, int, View], Page] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Pages {len(self._made)}, {self._bytes} bytes>"

    def read(self, start: int, view: View, *, aligned: bool = False) -> Page:
        """The page from number `start` on. Raises IndexError when `start` has been evicted.

        An aligned one ends at a number that is the same for everyone, so that clients which are behind by different
        amounts meet, and share what they read from there on.
        """
        stop = (start // self._STEP + 1) * self._STEP if aligned else start + self._MOST
        stop = min(stop, self._history.end)
        page = self._made.get((start, stop, view))
        if page is None or start < self._history.first:
            page = self._make(start, stop, view)
            self._keep((start, stop, view), page)
        return page

    def _keep(self, key: tuple[int, int, View], page: Page) -> None:
        self._made[key] = page
        self._bytes += len(page.frames) + self._PAGE_COST
        while self._bytes > self._ROOM and len(self._made) > 1:
            oldest = self._made.pop(next(iter(self._made)))
            self._bytes -= len(oldest.frames) + self._PAGE_COST

    def _make(self, start: int, stop: int, view: View) -> Page:
        entries = self._history.read(start, most=stop - start)
        chosen: Sequence[Entry] = entries
        if not view.filter.everything:
            chosen = [entry for entry in entries if passes(entry, view.filter)]
        last = next((entry for entry in reversed(entries) if isinstance(entry, LogRecord)), None)
        return Page(
            end=start + len(entries),
            frames=of_entries(chosen, view.form),
            sent=sum(1 for entry in chosen if isinstance(entry, LogRecord)),
            last_id=None if last is None else last.id,
            last_ns=None if last is None else last.ns,
        )
