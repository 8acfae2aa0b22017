"""The bytes of one socket: whole frames out, one after another, and the ways in which TCP can fail.

Everything that a socket sends goes through here, so that the faults have one place to get in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

    from logrelay.standin.faults import Faults

NO_CLOSE_FRAME = 1006
HEAD_START = 0.02  # seconds


@attrs.define(eq=False)
class Wire:
    """One socket's transport. Nothing is written any more once `closing` is set."""

    transport: asyncio.Transport = attrs.field(repr=False)
    faults: Faults = attrs.field(repr=False)
    _writer: AbstractStreamWriter = attrs.field(repr=False)
    closing: bool = False
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    @property
    def gone(self) -> bool:
        """Whether writing is of no use any more."""
        return self.closing or self.transport.is_closing()

    async def write(self, data: bytes) -> None:
        """Write one whole frame, in pieces if a fault wants that, and wait for room."""
        async with self._turn:
            with contextlib.suppress(ConnectionError):
                if self.faults.split_bytes is not None:
                    await self._trickle(data, *self.faults.split_bytes)
                elif not self.gone:
                    self.transport.write(data)
                    await self._writer.drain()

    async def _trickle(self, data: bytes, step: int, pause: float) -> None:
        at = 0
        try:
            while at < len(data) and not self.gone:
                self.transport.write(data[at : at + step])
                at += step
                await asyncio.sleep(pause)
        finally:
            # A subscription that is cancelled here must not leave half a frame to the others.
            if at < len(data) and not self.gone:
                self.transport.write(data[at:])

    async def write_half_and_reset(self, data: bytes) -> None:
        """Write the first half of a frame, then break the connection by a TCP reset."""
        async with self._turn:
            if not self.gone:
                self.transport.write(data[: len(data) // 2])
                # A reset overtakes what the peer hasn't read yet, so it comes a little later.
                await asyncio.sleep(HEAD_START)
            self.reset()

    def reset(self) -> None:
        """Break the connection by a TCP reset."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None and not self.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def fin(self) -> None:
        """End the connection in TCP, without a close frame."""
        self.transport.close()
