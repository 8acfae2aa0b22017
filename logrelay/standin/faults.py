"""Faults to provoke: settings that stay until they are reset, and blows against the sockets that are open.

This module says what goes wrong; sockets.py and server.py make it go wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import attrs

from logrelay.standin.journal import Bell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from logrelay.standin.rows import Row

    # status, headers, body and, if it shall end by itself, how many times
    Answer: TypeAlias = tuple[int, Mapping[str, str], str] | tuple[int, Mapping[str, str], str, int]


FAREWELL = 1.0  # seconds that a socket may take to go


class Target(Protocol):
    """An open socket, as far as a fault can hit it."""

    def reset(self) -> None:
        """Break the connection by a TCP reset."""

    def fin(self) -> None:
        """End the connection in TCP, without a close frame."""

    async def cut_mid_frame(self) -> None:
        """Reset in the middle of a frame that carries rows."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a code."""

    async def complete_all(self) -> None:
        """Complete each subscription."""

    async def fail_all(self, message: str) -> None:
        """End each subscription by an `error` frame."""

    async def errors_to_all(self, message: str, rows: Sequence[Row] | None) -> None:
        """Send each subscription errors in a `next` frame."""

    async def send_raw(self, message: str | bytes) -> None:
        """Send a message as it is."""


def _ring(faults: Faults, _attribute: Any, value: Any) -> Any:
    faults.bell.ring()
    return value


@attrs.define(eq=False, on_setattr=_ring)
class Faults:
    """What goes wrong at present. Times are in seconds."""

    bell: Bell = attrs.field(factory=Bell, repr=False)
    sockets: set[Target] = attrs.field(factory=set, repr=False)

    stall: bool = False  # sockets stay open, but nothing is sent, not even a pong
    silent: bool = False  # subscriptions send nothing; everything else is as usual
    slow_ack: float = 0.0
    never_ack: bool = False
    refuse_upgrade: Answer | None = None
    http: Answer | None = None  # for queries
    query_delay: float = 0.0
    query_error: str | None = None
    complete_at_once: bool = False
    complete_after: int | None = None  # frames
    redirect: str | None = None  # where to
    no_subprotocol: bool = False
    truncate_backlog: int | None = None  # rows
    duplicate: float = 0.0  # fraction of the rows
    split_bytes: tuple[int, float] | None = None  # so many bytes at a time, and the pause between
    _random: random.Random = attrs.field(factory=lambda: random.Random(1), init=False, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by name, as they are now."""
        return {name: getattr(self, name) for name in SETTINGS}

    def reset_all(self) -> None:
        """Put every setting back."""
        for name, default in SETTINGS.items():
            setattr(self, name, default)

    def spend(self, name: str) -> tuple[int, Mapping[str, str], str] | None:
        """Return the answer that `refuse_upgrade` or `http` wants given now, and count it."""
        answer: Any = getattr(self, name)
        if answer is None:
            return None
        status, headers, body, *count = answer
        if count:
            left = count[0] - 1
            setattr(self, name, (status, headers, body, left) if left > 0 else None)
        return status, headers, body

    def again(self, rows: Sequence[Row]) -> list[Row]:
        """Choose the rows that a later poll shall send once more."""
        if not self.duplicate:
            return []
        return [row for row in rows if self._random.random() < self.duplicate]

    async def unstalled(self) -> None:
        """Wait while sockets are stalled."""
        await self.bell.until(lambda: not self.stall)

    async def audible(self) -> None:
        """Wait while subscriptions have to be silent."""
        await self.bell.until(lambda: not self.stall and not self.silent)

    async def reset(self) -> None:
        """Break all open sockets by a TCP reset."""
        hit = set(self.sockets)
        for socket in hit:
            socket.reset()
        await self._gone(hit)

    async def fin(self) -> None:
        """End all open sockets by a FIN, without a close frame."""
        hit = set(self.sockets)
        for socket in hit:
            socket.fin()
        await self._gone(hit)

    async def cut_mid_frame(self) -> None:
        """Send each socket half of a frame which carries the rows that wait, then a TCP reset."""
        hit = set(self.sockets)
        await self._all(socket.cut_mid_frame() for socket in hit)
        await self._gone(hit)

    async def close(self, code: int, reason: str = "") -> None:
        """Close all open sockets. 1006 can't be sent: it is what a peer sees of a bare FIN."""
        hit = set(self.sockets)
        await self._all(socket.close(code, reason) for socket in hit)
        await self._gone(hit)

    async def complete(self) -> None:
        """Complete all live subscriptions."""
        await self._all(socket.complete_all() for socket in self.sockets)

    async def error(self, message: str) -> None:
        """End all live subscriptions by an `error` frame."""
        await self._all(socket.fail_all(message) for socket in self.sockets)

    async def next_errors(self, message: str, data: Sequence[Row] | None = None) -> None:
        """Send all live subscriptions errors in a `next` frame, with rows beside them or with null."""
        await self._all(socket.errors_to_all(message, data) for socket in self.sockets)

    async def send_raw(self, message: str | bytes) -> None:
        """Send all open sockets a text or binary message as it is."""
        await self._all(socket.send_raw(message) for socket in self.sockets)

    async def _gone(self, hit: set[Target]) -> None:
        """Wait until sockets are gone, so that whoever counts next doesn't count the dead."""
        with contextlib.suppress(TimeoutError):
            await self.bell.until(lambda: not hit & self.sockets, within=FAREWELL)

    async def _all(self, blows: Iterable[Any]) -> None:
        await asyncio.gather(*blows)


SETTINGS: dict[str, Any] = {
    field.name: field.default
    for field in attrs.fields(Faults)
    if field.name not in ("bell", "sockets", "_random")
}
