"""Clients for loads: cheap, and each checks every numbered line that it gets.

A client here is an asyncio protocol that parses frames itself. Those who are up to date get the same bytes in the same
turn, so what a chunk says is worked out once for all of them.
"""

import asyncio
import functools
import json
import pathlib
import re
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import attrs
from promises_counting import Report

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "bench"))

from bench_frames import CLOSE, PING, PONG, masked, opcode, place
from bench_stream import Tracker

TINY = 4096  # bytes of a receive buffer that soon is full
_ADDRESSES = 200  # of loopback that clients come from: limits of one address are other tests' matter
_KEPT_CHUNKS = 32
_LINE = re.compile(rb'"id":"([^"]+)".*?"message":"line (\d+)')
_LOG = b'{"type":"log",'
_HEARTBEAT = b'{"type":"heartbeat"'
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a TCP reset


@attrs.frozen
class Said:
    """What a run of bytes says."""

    lines: tuple[int, ...]
    whole: bool  # whether those are numbers in a row
    last_id: str | None
    others: tuple[bytes, ...]  # messages that are neither lines nor heartbeats
    control: tuple[tuple[int, bytes], ...]
    rest: bytes  # the beginning of a frame that isn't whole


@functools.lru_cache(maxsize=_KEPT_CHUNKS)
def said(data: bytes) -> Said:
    """Take whole frames apart."""
    lines: list[int] = []
    others: list[bytes] = []
    control: list[tuple[int, bytes]] = []
    last_id: str | None = None
    start = 0
    while (found := place(data, start)) is not None:
        payload = data[found[0] : found[1]]
        kind = opcode(data[start])
        start = found[1]
        if kind >= CLOSE:
            control.append((kind, payload))
        elif payload.startswith(_LOG):
            match = _LINE.search(payload)
            if match is not None:
                lines.append(int(match[2]))
                last_id = match[1].decode()
        elif not payload.startswith(_HEARTBEAT):
            others.append(payload)
    whole = bool(lines) and lines == [*range(lines[0], lines[0] + len(lines))]
    return Said(tuple(lines), whole, last_id, tuple(others), tuple(control), data[start:])


@attrs.define(eq=False)
class Life:
    """What one viewer has got over all of its connections."""

    tracker: Tracker = attrs.Factory(Tracker)
    last_id: str = ""  # of its last record
    last: int = 0  # number of its last line

    def take(self, what: Said) -> None:
        """Count lines."""
        if not what.lines:
            return
        if not (what.whole and self.tracker.run(what.lines[0], len(what.lines))):
            for line in what.lines:
                self.tracker.see(line)
        self.last = max(self.last, *what.lines)
        self.last_id = what.last_id or self.last_id

    def report(self, up_to: int | None = None) -> Report:
        """The three numbers; `up_to` is the last line that it ought to have got, where that is known."""
        behind = 0 if up_to is None else max(up_to - self.last, 0)
        return Report(self.tracker.gaps + behind, self.tracker.duplicates, self.tracker.reordered)


class Client(asyncio.Protocol):
    """One connection. With `deaf`, it reads the answer to its handshake, and then never again."""

    def __init__(
        self,
        request: bytes,
        life: Life | None = None,
        *,
        deaf: bool = False,
        at_end: Callable[["Client"], None] | None = None,
    ) -> None:
        self.life = life or Life()
        self.status = 0  # of the handshake
        self.head = b""
        self.messages: list[dict[str, Any]] = []  # that are neither lines nor heartbeats
        self.code: int | None = None  # with which the relay closed
        self.over = False
        self.done = asyncio.Event()  # the connection is over
        self._request = request
        self._deaf = deaf
        self._at_end = at_end
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.status:
            self.head += data
            head, found, data = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            self.head, self.status = head, int(head.split(b" ", 2)[1])
            if self._deaf:
                assert self._transport is not None
                self._transport.pause_reading()
        if self.status != 101:
            self._rest += data  # the body of a refusal
            return
        what = said(self._rest + data if self._rest else data)
        self._rest = what.rest
        self.life.take(what)
        self.messages += map(json.loads, what.others)
        for kind, payload in what.control:
            self._control(kind, payload)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        self.over = True
        self.done.set()
        if self._at_end is not None:
            self._at_end(self)

    def _control(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        if kind == PING:
            self._transport.write(masked(PONG, payload))
        elif kind == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
            self._transport.write(masked(CLOSE, payload[:2]))
            self._transport.close()

    # -- what a test asks of it

    @property
    def connected(self) -> bool:
        return "connected" in self.said

    @property
    def said(self) -> list[str]:
        """The notices' names, and the codes of errors."""
        return [
            str(message.get("message" if message["type"] == "status" else "code"))
            for message in self.messages
        ]

    @property
    def settled(self) -> bool:
        """Whether it is served, or was refused, or is gone."""
        return self.connected or self.over or self.status not in (0, 101)

    @property
    def body(self) -> bytes:
        """Of a refused handshake, what followed the head."""
        return self._rest

    def drop(self) -> None:
        """Let go of the connection, if there still is one."""
        if self._transport is not None:
            self._transport.abort()

    async def leave(self, within: float = 30.0) -> None:
        """Close as a browser does, and wait for the relay's answer."""
        if not self.over:
            assert self._transport is not None
            self._transport.write(masked(CLOSE, (1000).to_bytes(2, "big")))
            async with asyncio.timeout(within):
                await self.done.wait()

    async def cut(self) -> None:
        """Reset the connection."""
        if not self.over:
            assert self._transport is not None
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
            await self.done.wait()


def request(port: int, path: str) -> bytes:
    """A good handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


async def dial(port: int, client: asyncio.Protocol, number: int = 0, *, buffer: int | None = None) -> None:
    """Connect a protocol to the relay, from a loopback address of its own; `buffer` is for receiving, in bytes."""
    raw = socket.socket()
    try:
        raw.setblocking(False)  # noqa: FBT003 the signature is the standard library's
        if buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw.bind((f"127.0.1.{1 + number % _ADDRESSES}", 0))
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", port))
        await loop.create_connection(lambda: client, sock=raw)
    except BaseException:
        raw.close()
        raise
