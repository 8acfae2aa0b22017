"""Rows, records and an upstream, made by hand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from logrelay.relay import records, timestamps
from logrelay.relay.history import History
from logrelay.relay.hub import Hub, Listener
from logrelay.relay.records import Content, Entry, LogRecord, Notice
from logrelay.relay.upstream import Sink

BASE = 1_795_404_090_000_000_000  # 2026-11-23T03:21:30Z
SECOND = 1_000_000_000
DEADLINE = 5.0


def row(message: str = "hello", **fields: Any) -> Content:
    return Content(**{"timestamp": timestamps.render(BASE), "message": message} | fields)


def log(
    message: str = "hello",
    ns: int = BASE,
    *,
    service_name: str | None = "api",
    late: bool = False,
    **fields: Any,
) -> LogRecord:
    content = row(message, **{"timestamp": timestamps.render(ns)} | fields)
    return records.record(content, records.key(content, ns), ns, service_name=service_name, late=late)


def logs(*stamps: int) -> list[LogRecord]:
    """One record for each stamp, which is given in nanoseconds after BASE."""
    return [log(f"line {place}", BASE + stamp) for place, stamp in enumerate(stamps)]


def notice(message: str = "live") -> Notice:
    return Notice(message, {}, BASE)


def wire(record: LogRecord) -> dict[str, Any]:
    value = json.loads(record.encoded)
    assert isinstance(value, dict)
    return value


def held(history: History) -> list[Entry]:
    """All that a history holds, read in order."""
    entries: list[Entry] = []
    while history.first + len(entries) < history.end:
        entries += history.read(history.first + len(entries))
    return entries


@contextlib.contextmanager
def heard_by(hub: Hub, listener: Listener) -> Iterator[None]:
    """A listener hears the hub's bell while inside."""
    hub.listen(listener)
    try:
        yield
    finally:
        hub.unlisten(listener)


class ScriptedUpstream:
    """Hands its sink to the test, and ends as the test says."""

    def __init__(self) -> None:
        self.sink: asyncio.Future[Sink] = asyncio.get_running_loop().create_future()
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked: list[tuple[int, int]] = []
        self.running = False
        self.cancelled = asyncio.Event()

    async def run(self, sink: Sink) -> None:
        self.running = True
        self.sink.set_result(sink)
        try:
            await self.end
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.running = False

    async def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        self.asked.append((start_ns, end_ns))
        yield [log("old", start_ns)]
