"""Counting what clients receive: every line, for every client, once and in order. No I/O and no clock.

Clients of one address receive the same bytes but for heartbeats and losses. So one copy of the stream is kept
and parsed; a client whose bytes equal those at its place in it has received the lines there, and only
where they differ a client's own frames are parsed, until it meets the stream again.
"""

import re
from array import array
from bisect import bisect_right

import attrs
from bench_frames import COMPRESSED, inflated, opcode, place

_LINE = re.compile(rb"seq=(\d+) t=(\d+)")
_KEPT = 32 * 1024 * 1024  # bytes of a stream, before what every client has passed is dropped
_STEP = 20_000  # ns; latencies are told to this
_MS = 1_000_000  # ns
_DATA = 3  # opcodes below are data


@attrs.define
class Latencies:
    """How long lines were under way; one line in `every` is looked at."""

    every: int = 8
    _counts: dict[int, int] = attrs.Factory(dict)  # by latency in steps
    _slowest: dict[int, int] = attrs.Factory(dict)  # ns; by when a line was sent, its last client's latency

    def add(self, sent: int, now: int) -> None:
        """A line that was sent at `sent` has come to a client at `now`, both in nanoseconds."""
        took = now - sent
        step = took // _STEP
        self._counts[step] = self._counts.get(step, 0) + 1
        if took > self._slowest.get(sent, -1):
            self._slowest[sent] = took

    def over_all(self) -> dict[str, float]:
        """Percentiles over all lines and clients, in milliseconds."""
        return _percentiles(sorted(self._counts.items()))

    def of_the_last(self) -> dict[str, float]:
        """Percentiles over lines, of the time until the last client had each, in milliseconds."""
        return _percentiles([(took // _STEP, 1) for took in sorted(self._slowest.values())])


def _percentiles(counted: list[tuple[int, int]]) -> dict[str, float]:
    total = sum(count for _, count in counted)
    found = dict.fromkeys(("p50", "p90", "p99", "max"), 0.0)
    wanted = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)]
    passed = 0
    for step, count in counted:
        passed += count
        while wanted and passed >= total * wanted[0][1]:
            found[wanted.pop(0)[0]] = (step + 0.5) * _STEP / _MS
    return found


@attrs.define
class Tracker:
    """Which lines one client has received. Its lines are those whose number leaves `residue` divided by `every`."""

    every: int = 1
    residue: int = 0
    lines: int = 0  # repeats included
    duplicates: int = 0
    reordered: int = 0  # came after a higher number
    strange: int = 0  # lines that it should not get at all
    _expected: int | None = None
    _holes: set[int] = attrs.Factory(set)

    @property
    def unique(self) -> int:
        """Different lines of those that it should get."""
        return self.lines - self.duplicates - self.strange

    @property
    def gaps(self) -> int:
        """Numbers between the first and the highest that have not come."""
        return len(self._holes)

    def wanted(self, first: int, last: int) -> int:
        """How many of the numbers from `first` to `last` it should get."""
        return (last - self.residue) // self.every - (first - 1 - self.residue) // self.every

    def run(self, first: int, count: int) -> bool:
        """Lines without a hole between them; False where they don't follow on, and have to be seen singly."""
        if first != self._expected or self.every != 1:
            return False
        self.lines += count
        self._expected = first + count
        return True

    def see(self, seq: int) -> None:
        """One line."""
        self.lines += 1
        if seq % self.every != self.residue:
            self.strange += 1
        elif self._expected is None or seq >= self._expected:
            if self._expected is not None:
                self._holes.update(range(self._expected, seq, self.every))
            self._expected = seq + self.every
        elif seq in self._holes:
            self._holes.remove(seq)
            self.reordered += 1
        else:
            self.duplicates += 1


class Stream:
    """What the clients of one address receive: whole frames with lines, from whoever got them first."""

    def __init__(self) -> None:
        self.followers: list[Follower] = []
        self.end = 0  # offset after the last frame
        self.ends = array("q")  # offset after each frame
        self.lines = array("q", [0])  # how many lines lie before each frame, and in all
        self.seqs = array("q")  # of each line
        self.sent = array("q")  # of each line, in nanoseconds
        self._breaks = array("q")  # lines that don't carry the number after that of the line before
        self._data = bytearray()
        self._base = 0  # offset of what _data begins with
        self._ending: dict[int, int] = {}  # by the number of its last line, the frame
        self._dropped = 0  # frames that are no longer in _ending

    def append(self, frame: bytes, lines: list[tuple[int, int]]) -> None:
        """A frame, and the numbers and times of its lines."""
        self._data += frame
        self.end += len(frame)
        self._ending[lines[-1][0]] = len(self.ends)
        self.ends.append(self.end)
        for seq, sent in lines:
            if self.seqs and seq != self.seqs[-1] + 1:
                self._breaks.append(len(self.seqs))
            self.seqs.append(seq)
            self.sent.append(sent)
        self.lines.append(len(self.seqs))
        if len(self._data) > _KEPT:
            self._drop()

    def _drop(self) -> None:
        floor = min(
            (follower.border for follower in self.followers if follower.at is not None), default=self.end
        )
        del self._data[: floor - self._base]
        self._base = floor
        gone = bisect_right(self.ends, floor)
        if gone > self._dropped:
            self._ending = {seq: frame for seq, frame in self._ending.items() if frame >= gone}
            self._dropped = gone

    def holds(self, chunk: bytes, offset: int) -> bool:
        """Whether these bytes stand at an offset."""
        return self._data.startswith(chunk, offset - self._base)

    def cut(self, start: int, end: int) -> bytes:
        """The bytes between two offsets."""
        return bytes(self._data[start - self._base : end - self._base])

    def smooth(self, first: int, end: int) -> bool:
        """Whether lines `first` to before `end` follow each other without a hole."""
        place = bisect_right(self._breaks, first)
        return place == len(self._breaks) or self._breaks[place] >= end

    @property
    def last(self) -> int:
        """The number of the last line; -1 before the first."""
        return self.seqs[-1] if self.seqs else -1

    def frame_ending(self, seq: int) -> int | None:
        """The frame whose last line has this number."""
        return self._ending.get(seq)


@attrs.define(eq=False)
class Follower:
    """One client's place in a stream, and the count of what it has received."""

    stream: Stream
    tracker: Tracker
    latencies: Latencies
    at: int | None = 0  # offset up to which its bytes are the stream's; None while it goes its own way
    frame: int = 0  # frames of the stream that it has received whole
    messages: int = 0  # data messages, all sorts
    others: list[bytes] = attrs.Factory(list)  # the first few messages without a line
    control: list[tuple[int, bytes]] = attrs.Factory(list)  # control frames, for whoever answers them
    _pending: bytes = b""

    def __attrs_post_init__(self) -> None:
        self.stream.followers.append(self)

    @property
    def border(self) -> int:
        """Offset after the last frame that it has received whole."""
        return self.stream.ends[self.frame - 1] if self.frame else 0

    def take(self, chunk: bytes, now: int) -> None:
        """Bytes that came at `now` (ns since 1970). Raises zlib.error for what can't be inflated."""
        buffer = self._pending + chunk if self._pending else chunk
        start = 0
        while start < len(buffer):
            if self.at is not None and self.at < self.stream.end:
                common = min(len(buffer) - start, self.stream.end - self.at)
                same = buffer if common == len(buffer) else buffer[start : start + common]
                if self.stream.holds(same, self.at):
                    start += common
                    self._moved(self.at + common, now)
                    continue
                if self.at > self.border:  # it differs in the middle of a frame: take that frame as its own
                    buffer = self.stream.cut(self.border, self.at) + buffer[start:]
                    start, self.at = 0, self.border
            found = place(buffer, start)
            if found is None:
                break
            self._single(buffer, start, found, now)
            start = found[1]
        self._pending = buffer[start:]

    def _moved(self, offset: int, now: int) -> None:
        """All up to an offset of the stream has come; count the lines of the frames that are whole now."""
        stream = self.stream
        self.at = offset
        frame = bisect_right(stream.ends, offset, lo=self.frame)
        if frame == self.frame:
            return
        first, end = stream.lines[self.frame], stream.lines[frame]
        self.messages += frame - self.frame
        self.frame = frame
        if not (stream.smooth(first, end) and self.tracker.run(stream.seqs[first], end - first)):
            for line in range(first, end):
                self.tracker.see(stream.seqs[line])
        every = self.latencies.every
        for line in range(first + -first % every, end, every):
            self.latencies.add(stream.sent[line], now)

    def _single(self, buffer: bytes, start: int, found: tuple[int, int], now: int) -> None:
        """One frame that is not known to be the stream's."""
        first = buffer[start]
        payload = buffer[found[0] : found[1]]
        if opcode(first) >= _DATA:
            self.control.append((opcode(first), payload))
            return
        text = inflated(payload) if first & COMPRESSED else payload
        lines = [(int(seq), int(sent)) for seq, sent in _LINE.findall(text)]
        if not lines:
            self.messages += 1
            if len(self.others) < 4:
                self.others.append(text[:300])
        elif self.at == self.stream.end or (self.at is None and lines[0][0] > self.stream.last):
            self.frame = len(self.stream.ends)
            self.stream.append(buffer[start : found[1]], lines)
            self._moved(self.stream.end, now)
        else:
            self.messages += 1
            for seq, sent in lines:
                self.tracker.see(seq)
                if seq % self.latencies.every == 0:
                    self.latencies.add(sent, now)
            self._meet(lines[-1][0])

    def _meet(self, seq: int) -> None:
        """Go on along the stream after the frame that ends with this line, if there is one."""
        frame = self.stream.frame_ending(seq)
        self.at = None if frame is None else self.stream.ends[frame]
        if frame is not None:
            self.frame = frame + 1
