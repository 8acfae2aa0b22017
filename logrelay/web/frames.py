"""Ready-made WebSocket frames, shared between clients that read the same range through an equal filter.

A server's frames are not masked (RFC 6455 section 5.1), so the bytes are the same for every client.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

import attrs

from logrelay.relay.filters import Filter
from logrelay.relay.history import History
from logrelay.relay.records import Entry, LogRecord
from logrelay.web import protocol

_TEXT = 0x81  # FIN and opcode 1
_PING = 0x89
_PONG = 0x8A
_SHORT = 126
_MEDIUM = 65_536


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


def of_entries(entries: Iterable[Entry]) -> bytes:
    """The frames of records and notices, one message each, ready to be written at once."""
    return b"".join(
        text(protocol.log(entry) if isinstance(entry, LogRecord) else protocol.notice(entry))
        for entry in entries
    )


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
    """Reads one history for all of its clients. Equal reads between two appends are made once."""

    _MOST = 256  # pages
    _ROOM = 4 * 1024 * 1024  # bytes of frames that are kept for others

    def __init__(self, history: History) -> None:
        self._history = history
        self._end = -1
        self._made: dict[tuple[int, Filter], Page] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Pages {len(self._made)} at {self._end}>"

    def read(self, start: int, wanted: Filter) -> Page:
        """The page from number `start` on. Raises IndexError when `start` has been evicted."""
        if self._end != self._history.end or len(self._made) >= self._MOST or self._bytes >= self._ROOM:
            self._made.clear()
            self._bytes = 0
            self._end = self._history.end
        page = self._made.get((start, wanted))
        if page is None or start < self._history.first:
            page = self._made[start, wanted] = self._make(start, wanted)
            self._bytes += len(page.frames)
        return page

    def _make(self, start: int, wanted: Filter) -> Page:
        entries = self._history.read(start)
        chosen: Sequence[Entry] = entries
        if not wanted.everything:
            chosen = [entry for entry in entries if passes(entry, wanted)]
        last = next((entry for entry in reversed(entries) if isinstance(entry, LogRecord)), None)
        return Page(
            end=start + len(entries),
            frames=of_entries(chosen),
            sent=sum(1 for entry in chosen if isinstance(entry, LogRecord)),
            last_id=None if last is None else last.id,
            last_ns=None if last is None else last.ns,
        )
