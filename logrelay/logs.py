"""Our own logging: JSON lines through a bounded queue, so that a blocked stdout never stops the event loop.

Never a log body, a token or a query string; libraries that would write such things are quietened here.
"""

import contextlib
import datetime as dt
import json
import logging
import logging.handlers
import math
import os
import queue
from collections.abc import Iterator
from typing import Any, TextIO

from pythonjsonlogger.msgspec import MsgspecFormatter

QUEUE_LENGTH = 10_000  # lines
_PATIENCE = 1.0  # seconds for what is still to be written at the end
_STDOUT = 1  # the descriptor
_AGAIN = 60.0  # seconds until what keeps happening is said again

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

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """One line of JSON, also of text with half a surrogate pair, which msgspec refuses: it stands escaped there."""
        try:
            return super().jsonify_log_record(log_data)
        except UnicodeEncodeError:
            return json.dumps(log_data, default=self.json_default)


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


class _NoneFree(logging.Filter):
    """asyncio says with each try that no descriptor is free, and adds a traceback; here it is a line a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said = -math.inf  # when, in a record's own seconds
        self._tries = 0  # since then

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith("socket.accept() out of system resource"):
            return True
        self._tries += 1
        if abs(record.created - self._said) < _AGAIN:
            return False
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.exc_info = "accepting pauses, no descriptor is free", None
        record.tries = self._tries
        self._said, self._tries = record.created, 0
        return True


class _Output(logging.Handler):
    """Writes lines, past Python's buffers and without logging's lock.

    Only the listener's thread writes. While that hangs in a write, both locks would be held, and Python's own end waits
    for both of them: a process whose stdout is blocked could never end.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def createLock(self) -> None:  # noqa: N802 logging's
        """See the class."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. What can't be written is counted, for there is nowhere to say it."""
        try:
            line = self.format(record) + "\n"
            if self._stream is not None:
                self._stream.write(line)
            else:
                rest = line.encode()
                while rest:
                    rest = rest[os.write(_STDOUT, rest) :]
        except OSError:
            _DroppingHandler.dropped += 1
        except Exception:  # noqa: BLE001 as logging's own handlers do: a line that can't be formatted ends no thread
            self.handleError(record)


class _Listener(logging.handlers.QueueListener):
    """Writes the queue's lines in a thread, and doesn't wait for ever for an output that is blocked."""

    def __init__(self, lines: "queue.Queue[logging.LogRecord | None]", output: logging.Handler) -> None:
        super().__init__(lines, output)
        self._lines = lines
        self._told = _DroppingHandler.dropped

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line, and say after the last one how many were dropped meanwhile."""
        super().handle(record)
        count = _DroppingHandler.dropped - self._told
        if count and self._lines.empty():
            self._told += count
            message = "lines of this log were dropped"
            about = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": message}
            super().handle(logging.makeLogRecord(about | {"count": count}))

    def stop(self) -> None:
        """Write what is still to be written, as far as the output takes it."""
        thread, self._thread = self._thread, None
        try:
            self._lines.put(None, timeout=_PATIENCE)
        except queue.Full:
            return
        if thread is not None:
            thread.join(timeout=_PATIENCE)


@contextlib.contextmanager
def written(level: str, stream: TextIO | None = None, *, length: int = QUEUE_LENGTH) -> Iterator[None]:
    """While inside, logging goes to `stream` (stdout) as JSON lines of at least this level.

    At most `length` lines wait to be written; what comes when so many wait is dropped and counted.
    """
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(length)
    output = _Output(stream)
    output.setFormatter(_Formatter())
    listener = _Listener(lines, output)
    handler = _DroppingHandler(lines)
    root = logging.getLogger()
    before = root.level
    root.setLevel(level.upper())
    root.addHandler(handler)
    quieten()
    accepting, scarce = logging.getLogger("asyncio"), _NoneFree()
    accepting.addFilter(scarce)
    listener.start()
    try:
        yield
    finally:
        accepting.removeFilter(scarce)
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
