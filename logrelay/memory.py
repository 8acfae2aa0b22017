"""The ceiling of the process's memory: histories are halved at 80 % of it, newcomers refused at 90 % (faults.md P4).

What counts is what the system says that the process takes, because that is what a container is killed for: frames that
wait, what resumes share and what viewers take are in it. Where the system doesn't say, it is reckoned.

Memory that was freed needn't be the system's again. After half of a history of 200 MB had been dropped, glibc kept all
of it; `malloc_trim` gave it back in 3 ms. Where there is no such function (musl), or what remains lies scattered, freed
memory is used again first, so it doesn't count until the process has grown beyond what it was: else nothing would
ever be enough, and each look would halve the histories again. Below a sixteenth of the ceiling they aren't halved any
more; that would gain nothing, and a viewer who comes back would find no past.

The last tenth is for what isn't seen in time: what comes between two looks, and the kernel's buffers.
"""

import asyncio
import contextlib
import ctypes
import logging
import math
import mmap
import time
from collections.abc import Callable
from pathlib import Path

from logrelay.relay.hub import Hubs
from logrelay.web.stream import Streams

logger = logging.getLogger(__name__)

_MIB = 1024 * 1024
_BASE_BYTES = 64 * _MIB  # the process at rest, where it has to be reckoned
_CLIENT_BYTES = 24 * 1024  # an idle client, as above
_SHORT = 0.8  # of the ceiling
_CROWDED = 0.9  # of the ceiling
_ROOM = 0.85  # of the ceiling, below which newcomers are taken again: not a hair's breadth below, or they come and go
_LEAST = 1 / 16  # of the ceiling, which histories keep
_FASTEST = 256 * _MIB  # bytes a second that a log of long lines may bring, on one core
_SOONEST, _LATEST = 0.05, 1.0  # seconds from one look to the next
_TIDY = 60.0  # seconds from one time that freed memory is given back to the next
_TELL = 60.0  # seconds from one line about short memory to the next

_STATM = Path("/proc/self/statm")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNLIMITED = 1 << 62  # cgroup 1 says a number as large as can be


def ceiling(megabytes: int | None) -> int | None:
    """Bytes that the process may take: so many MiB, or the container's limit (cgroup 2 or 1); None for no ceiling."""
    if megabytes is not None:
        return megabytes * _MIB
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # it isn't there, or says `max`
            limit = int(path.read_text(encoding="ascii"))
            return limit if limit < _UNLIMITED else None
    return None


def resident() -> int | None:
    """Bytes of memory that the process takes now (proc(5), statm); None where the system doesn't tell."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return None


def give_back() -> None:
    """Let the system have what was freed, as far as the C library knows how to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


async def tidy(every: float = _TIDY) -> None:
    """Give freed memory back from time to time, in seconds.

    After a cut of the upstream all viewers are behind, and what waits for them takes some 150 KB each for a moment.
    glibc keeps that, 70 MB with 500 viewers, until by chance nothing lies behind it in its heap: seen for a quarter of
    an hour. Asked to, it gives it back within milliseconds.
    """
    while True:
        await asyncio.sleep(every)
        give_back()


class Guard:
    """Keeps one process below its ceiling, in bytes."""

    def __init__(
        self,
        hubs: Hubs,
        streams: Streams,
        ceiling: int,
        *,
        measure: Callable[[], int | None] = resident,
    ) -> None:
        self._hubs = hubs
        self._streams = streams
        self._ceiling = ceiling
        self._measure = measure
        self._height = 0  # bytes that the process took when histories were halved last
        self._rest = 0  # bytes of them that weren't the histories'
        self._dropped = 0  # records since the last line
        self._told = -math.inf  # when that was, of the monotonic clock

    def __repr__(self) -> str:
        return f"<Guard {self._ceiling} bytes>"

    async def run(self) -> None:
        """Look again and again, each time before the fastest log can have filled what was free."""
        while True:
            free = _SHORT * self._ceiling - self.look()
            await asyncio.sleep(min(max(free / _FASTEST, _SOONEST), _LATEST))

    def look(self) -> int:
        """Look once, and do what has to be done; bytes that were in use."""
        if self._streams.crowded:
            give_back()  # what viewers have left behind, too
        histories = sum(hub.bytes for hub in self._hubs)
        used = self._used(histories)
        crowded = used > (_ROOM if self._streams.crowded else _CROWDED) * self._ceiling
        if crowded is not self._streams.crowded:
            self._streams.crowded = crowded
            about = {"bytes": used, "ceiling": self._ceiling, "clients": self._streams.clients}
            logger.warning("newcomers are refused" if crowded else "newcomers are taken again", extra=about)
        if used > _SHORT * self._ceiling and histories > _LEAST * self._ceiling:
            self._halve(used, histories)
        return used

    def _used(self, histories: int) -> int:
        """Bytes in use: what the process takes, less what halving has freed and wasn't given back."""
        taken = self._measure()
        if taken is None:
            return _BASE_BYTES + self._streams.clients * _CLIENT_BYTES + histories
        if taken > self._height:
            return taken
        return min(taken, self._rest + histories)

    def _halve(self, used: int, histories: int) -> None:
        self._height = self._measure() or 0
        self._rest = max(self._height - histories, 0)
        self._dropped += sum(hub.shrink(hub.bytes // 2) for hub in self._hubs)
        give_back()
        now = time.monotonic()
        if now - self._told >= _TELL:
            about = {"bytes": used, "ceiling": self._ceiling, "dropped": self._dropped}
            logger.warning("memory is short, histories are halved", extra=about)
            self._told, self._dropped = now, 0
