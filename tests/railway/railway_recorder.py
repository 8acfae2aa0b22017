"""A sink that writes down what it is given, and lets a test wait for it."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from logrelay.errors import UpstreamRefused
from logrelay.railway.intake import runs
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.relay.upstream import Description

DEADLINE = 5.0


class Recorder:
    """`log` is what viewers would see, in order: messages of records, and notices as (message, data)."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.records: list[LogRecord] = []
        self.seeds: list[tuple[list[str], int | None]] = []
        self.states: list[str] = []
        self.delays: list[tuple[int, float]] = []
        self.refusals: list[tuple[UpstreamRefused, float]] = []
        self.descriptions: list[Description] = []
        self.frames = 0
        self.progressed: list[tuple[int, tuple[int, int] | None]] = []
        self._changed = asyncio.Event()

    def _note(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], Any], within: float = DEADLINE) -> None:
        async with asyncio.timeout(within):
            while not holds():
                await self._changed.wait()

    async def message(self, text: str) -> None:
        await self.until(lambda: text in self.log)

    async def state(self, name: str, times: int = 1) -> None:
        await self.until(lambda: self.states.count(name) >= times)

    @property
    def messages(self) -> list[str]:
        return [entry for entry in self.log if isinstance(entry, str)]

    @property
    def notices(self) -> list[str]:
        return [entry[0] for entry in self.log if not isinstance(entry, str)]

    def data(self, message: str) -> list[Mapping[str, Any]]:
        return [entry[1] for entry in self.log if not isinstance(entry, str) and entry[0] == message]

    @property
    def wires(self) -> list[dict[str, Any]]:
        return [json.loads(record.encoded) for record in self.records]

    def seed(self, entries: Sequence[Entry], floor_ns: int | None) -> None:
        for run in runs(entries):
            if isinstance(run, Notice):
                self.announce(run.message, run.data)
            else:
                self._add(run)
        records = [entry for entry in entries if isinstance(entry, LogRecord)]
        self.seeds.append(([json.loads(record.encoded)["message"] for record in records], floor_ns))
        self._note()

    def publish(self, records: Sequence[LogRecord]) -> None:
        assert records, "nothing is no news"
        self._add(records)
        self._note()

    def _add(self, records: Sequence[LogRecord]) -> None:
        self.records += records
        self.log += [json.loads(record.encoded)["message"] for record in records]

    def announce(self, message: str, data: Mapping[str, Any]) -> None:
        self.log.append((message, data))
        self._note()

    def describe(self, description: Description) -> None:
        self.descriptions.append(description)
        self._note()

    def frame(self) -> None:
        self.frames += 1
        self._note()

    def progress(self, fetched: int, missing: tuple[int, int] | None) -> None:
        self.progressed.append((fetched, missing))
        self._note()

    def stands(self, *, degraded: bool = False) -> None:
        self.states.append("degraded" if degraded else "live")
        self._note()

    def retrying(self, attempt: int, delay: float) -> None:
        self.states.append("retrying")
        self.delays.append((attempt, delay))
        self._note()

    def refused(self, refusal: UpstreamRefused, delay: float) -> None:
        self.states.append("refused")
        self.refusals.append((refusal, delay))
        self._note()
