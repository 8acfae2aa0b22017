"""Our own logging: JSON lines through a bounded queue, so that a blocked stdout never stops the event loop.

Never a log body, a token or a query string; libraries that would write such things are quietened here.
"""

import contextlib
import datetime as dt
import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator
from typing import TextIO

from pythonjsonlogger.msgspec import MsgspecFormatter

_QUEUE_LENGTH = 10_000  # lines
_PATIENCE = 1.0  # seconds for what is still to be written at the end

# gql prints tokens and quotes frames (libraries.md 2.4); aiohttp's WebSocket warns with subprotocols, which may carry a
# credential, and its server logs requests with their headers (faults.md, Hardening).
_QUIET = {"gql": logging.CRITICAL, "aiohttp.websocket": logging.ERROR, "aiohttp.server": logging.CRITICAL}


class _Formatter(MsgspecFormatter):
    """Fields in a fixed order, levels in lower case as Railway reads them (facts.md section 4)."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "timestamp", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 logging's
        return dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        return super().format(record)


class _DroppingHandler(logging.handlers.QueueHandler):
    """Puts lines into the queue, and drops them when nobody takes them out."""

    dropped = 0  # of this process

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            _DroppingHandler.dropped += 1

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The formatter runs in the listener's thread of this same process; nothing has to be flattened here.
        return record


class _Listener(logging.handlers.QueueListener):
    """Writes the queue's lines in a thread, and doesn't wait for ever for an output that is blocked."""

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        try:
            self.queue.put(None, timeout=_PATIENCE)  # type: ignore[attr-defined] # ours is a queue.Queue
        except queue.Full:
            return
        if thread is not None:
            thread.join(timeout=_PATIENCE)


@contextlib.contextmanager
def written(level: str, stream: TextIO | None = None, *, length: int = _QUEUE_LENGTH) -> Iterator[None]:
    """While inside, logging goes to `stream` (stdout) as JSON lines of at least this level.

    At most `length` lines wait to be written; what comes when so many wait is dropped and counted.
    """
    lines: queue.Queue[logging.LogRecord] = queue.Queue(length)
    output = logging.StreamHandler(stream or sys.stdout)
    output.setFormatter(_Formatter())
    listener = _Listener(lines, output)
    handler = _DroppingHandler(lines)
    root = logging.getLogger()
    before = root.level
    root.setLevel(level.upper())
    root.addHandler(handler)
    quieten()
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        listener.stop()


def dropped() -> int:
    """Lines of this process that were dropped because nobody took them."""
    return _DroppingHandler.dropped


def quieten() -> None:
    """Keep libraries from logging secrets."""
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def silence() -> None:
    """Log nowhere: for commands that talk to a person, whom Python would show every warning."""
    quieten()
    logging.getLogger().addHandler(logging.NullHandler())


def warn(sentence: str) -> None:
    """Warn the operator."""
    logging.getLogger("logrelay").warning(sentence)
