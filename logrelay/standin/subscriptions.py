"""One subscription on one socket: its stream's payloads become frames, at each tick of the poll."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from logrelay.standin.errors import RefusedError
from logrelay.standin.queries import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrelay.standin.faults import Faults
    from logrelay.standin.rows import Row
    from logrelay.standin.schema import Operation
    from logrelay.standin.streams import Stream


class Outlet(Protocol):
    """Where a subscription's frames go."""

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message."""

    def settled(self, subscription: Subscription) -> None:
        """Take note that the first frame was sent."""

    def forget(self, subscription: Subscription) -> None:
        """Take note that the subscription is over."""


@attrs.define(eq=False)
class Subscription:
    """A subscription from its subscribe to its end. `live` means that the backlog was sent."""

    id: str
    operation: Operation = attrs.field(repr=False)
    outlet: Outlet = attrs.field(repr=False)
    faults: Faults = attrs.field(repr=False)
    open_stream: Callable[[], Stream] = attrs.field(repr=False)
    poll_interval: float  # seconds
    live: bool = attrs.field(default=False, init=False)
    over: bool = attrs.field(default=False, init=False)
    frames: int = attrs.field(default=0, init=False)
    stream: Stream | None = attrs.field(default=None, init=False, repr=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    async def run(self) -> None:
        """Send the backlog and then what each poll finds, until the stream or a fault ends it."""
        try:
            await self.faults.audible()
            if self.over:
                return
            if self.faults.complete_at_once:
                await self.complete()
                return
            await self._start()
            while not self.over:
                await asyncio.sleep(self.poll_interval)
                await self.poll()
        finally:
            self._end()

    async def poll(self) -> None:
        """Send what came in since the last poll, unless a fault keeps the subscription quiet."""
        async with self._turn:
            if self.over or self.stream is None or not self.live or self.muted:
                return
            await self._send_all(self.stream.poll())
            while self.stream.pending and not self.over:
                await self._send_all(self.stream.poll())
            if self.stream.ended:
                await self.complete()

    @property
    def muted(self) -> bool:
        """Whether a fault keeps the subscription quiet."""
        return self.faults.stall or self.faults.silent

    async def complete(self) -> None:
        """Send `complete`; nothing follows it."""
        if not self.over:
            self._end()
            await self.outlet.send({"id": self.id, "type": "complete"})

    async def fail(self, message: str) -> None:
        """Send an `error` frame; nothing follows it."""
        if not self.over:
            self._end()
            await self.outlet.send({"id": self.id, "type": "error", "payload": [{"message": message}]})

    async def send_errors(self, errors: list[dict[str, Any]], rows: Sequence[Row] | None) -> None:
        """Send a `next` frame with errors, and rows beside them if there are some."""
        data = None if rows is None or self.stream is None else self.stream.wrap(rows)["data"]
        await self._next({"errors": errors, "data": data})

    def pending_frame(self) -> dict[str, Any]:
        """Return the frame which the next poll would send; its rows count as sent."""
        payloads = self.stream.poll() if self.stream is not None else []
        return self._frame(payloads[0] if payloads else {"data": None})

    async def _start(self) -> None:
        try:
            self.stream = self.open_stream()
        except RefusedError as refused:
            await self._next(refusal(self.operation.calls[0], refused))
            await self.complete()
            return
        async with self._turn:
            await self._send_all(self.stream.first())
            self.live = not self.over
            if self.stream.ended:
                await self.complete()
        self.outlet.settled(self)

    async def _send_all(self, payloads: list[dict[str, Any]]) -> None:
        for payload in payloads:
            if not self.over:
                await self._next(payload)

    def _frame(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"id": self.id, "type": "next", "payload": payload}

    async def _next(self, payload: dict[str, Any]) -> None:
        await self.outlet.send(self._frame(payload))
        self.frames += 1
        if self.faults.complete_after is not None and self.frames >= self.faults.complete_after:
            await self.complete()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self.live = False
            if self.stream is not None:
                self.stream.close()
            self.outlet.forget(self)
