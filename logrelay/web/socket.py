"""One client's WebSocket: what it takes, what it says, and how it is closed. Nothing of logs.

Frames are written ready-made to the transport, beside aiohttp's own writer; both write whole frames only.
"""

import asyncio
import contextlib
import re
import socket as stdlib_socket
import struct
from collections import deque

import attrs
from aiohttp import WSMsgType, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from logrelay.errors import CloseCode, Disconnect
from logrelay.web import frames, protocol
from logrelay.web.endings import flooding, gone

MESSAGE_LIMIT = 16 * 1024  # bytes of a client's message
_WINDOW = 15  # bits, the largest; who wants a smaller one is sent nothing compressed
_REASON_LIMIT = 123  # bytes of a close frame's reason (RFC 6455 section 5.5)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==", re.ASCII)  # 16 bytes (RFC 6455 section 4.1)
_RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: closing is a TCP reset then
_LOOKS = 5  # without a byte that moved, before the peer counts as stuck


@attrs.frozen
class SocketLimits:
    """What one connection may cost. Times are in seconds, sizes in bytes."""

    write_timeout: float = 10.0  # without any progress of the writes
    closing: float = 2.0
    messages_per_second: int = 20
    message_limit: int = MESSAGE_LIMIT  # bytes of a client's message
    send_buffer: int = 64 * 1024
    unacknowledged: float = 120.0  # until the kernel gives up a peer that takes nothing


class Socket:
    """An upgraded connection."""

    __slots__ = (
        "_high",
        "_limits",
        "_loop",
        "_recent",
        "_still",
        "_taken",
        "_transport",
        "_writer",
        "last_seen",
        "response",
        "written",
    )

    def __init__(
        self,
        request: web.Request,
        response: web.WebSocketResponse,
        writer: AbstractStreamWriter,
        limits: SocketLimits,
    ) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        self._transport = transport
        self._high = transport.get_write_buffer_limits()[1]
        self.response = response
        self._writer = writer
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.last_seen = self._loop.time()
        self.written = 0  # bytes
        self._taken = 0  # bytes that had left at the last look
        self._still = 0  # looks in a row that found the same bytes waiting
        self._recent: deque[float] | None = None  # when the last frames came; made with the first one
        self._prepare()

    def __repr__(self) -> str:
        return f"<Socket {self.pending} bytes pending>"

    @classmethod
    async def upgraded(cls, request: web.Request, limits: SocketLimits, *, deflate: bool = False) -> "Socket":
        """Answer the upgrade, and agree on compression if `deflate` is wanted here and there.

        Raises web.HTTPBadRequest for a broken handshake, ConnectionError when it's too late.
        """
        if not _KEY.fullmatch(request.headers.get(hdrs.SEC_WEBSOCKET_KEY, "")):
            raise web.HTTPBadRequest  # aiohttp 3.14.5 looks at its beginning only, and fails on what isn't ASCII
        if request.headers.get(hdrs.SEC_WEBSOCKET_VERSION) != "13":
            raise web.HTTPBadRequest  # aiohttp also takes the drafts before RFC 6455
        response = web.WebSocketResponse(
            autoping=False,  # pings and pongs are signs of life, and count against floods
            # Only agreed on: what aiohttp compresses costs 110 KiB a client (faults.md, Hardening), so it never does.
            compress=deflate,
            max_msg_size=limits.message_limit + 1,
            timeout=limits.closing,
            protocols=("logrelay.v1",),
        )
        writer = await response.prepare(request)
        return cls(request, response, writer, limits)

    def _prepare(self) -> None:
        """Keep the kernel from hiding a stuck peer behind megabytes of buffer."""
        raw = self._transport.get_extra_info("socket")
        if raw is None:
            return
        with contextlib.suppress(OSError):
            raw.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_SNDBUF, self._limits.send_buffer)
            if hasattr(stdlib_socket, "TCP_USER_TIMEOUT"):
                # A net far below the write deadline: a reader who lets bytes trickle counts as silent here (Linux 6).
                milliseconds = int(self._limits.unacknowledged * 1000)
                raw.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_USER_TIMEOUT, milliseconds)

    @property
    def deflates(self) -> bool:
        """Whether the peer takes compressed frames of the largest window."""
        return bool(self.response.compress == _WINDOW)

    # -- writing ------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Bytes that the kernel hasn't taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def full(self) -> bool:
        """Whether the next write should wait for `writable`."""
        return self.pending > self._high  # as asyncio judges when to pause

    def write(self, ready: bytes) -> None:
        """Write ready-made frames; never waits. After the close frame nothing is written any more."""
        if ready and not self.response.closed and not self._transport.is_closing():
            self.written += len(ready)
            self._transport.write(ready)

    def offer(self, ready: bytes) -> bool:
        """Write ready-made frames, unless the socket is full; whether it wasn't. Quick: once a client and batch."""
        transport = self._transport
        if transport.get_write_buffer_size() > self._high:
            return False
        if not self.response.closed and not transport.is_closing():
            self.written += len(ready)
            transport.write(ready)
        return True

    def send(self, payload: bytes) -> None:
        """Write one text message."""
        self.write(frames.text(payload))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.write(frames.ping())

    async def writable(self) -> None:
        """Wait until the peer has taken enough. Raises Disconnect when it has left.

        May be waited for more than once at a time, but cancelled only when the connection ends: aiohttp keeps a
        cancelled drain's future, which breaks all later drains of the connection.
        """
        draining = asyncio.ensure_future(self._writer.drain())
        draining.add_done_callback(_looked_at)
        try:
            await asyncio.wait([draining])
        finally:
            draining.cancel()
        if draining.cancelled() or draining.exception() is not None or self._transport.is_closing():
            raise gone()

    @property
    def look_every(self) -> float:
        """How often `stuck` is to be asked, in seconds."""
        return self._limits.write_timeout / _LOOKS

    def stuck(self) -> bool:
        """Whether the peer's writes have made no progress for the write timeout; to be asked at each `look_every`.

        Progress is a byte that has left the buffer, however slowly: who reads at all is only a slow reader, and
        alive, although its pong may still be behind what it has to read first. Looks are counted instead of seconds,
        so that a stall of our own loop counts as one.
        """
        taken = self.written - self.pending
        if taken == self._taken and self.pending:
            self._still += 1
        else:
            self._still = 0
            if self.pending:
                self.last_seen = self._loop.time()
        self._taken = taken
        return self._still >= _LOOKS

    # -- reading ------------------------------------------------------------------------------------------

    async def message(self) -> str | None:
        """The peer's next text message, None when it has left. Raises Disconnect for what ends a connection."""
        while True:
            message = await self.response.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG, WSMsgType.BINARY):
                return None  # closed; broken frames have been answered by aiohttp with 1002, 1007 or 1009
            self.last_seen = self._loop.time()
            self._count()
            if message.type is WSMsgType.BINARY:
                raise Disconnect(CloseCode.UNSUPPORTED)
            if message.type is WSMsgType.PING and not self.full:
                self.write(frames.pong(bytes(message.data)))
            elif message.type is WSMsgType.TEXT:
                return str(message.data)

    def _count(self) -> None:
        """Count the frames of the last second; floods end the connection."""
        if self._recent is None:
            self._recent = deque(maxlen=self._limits.messages_per_second)
        elif len(self._recent) == self._recent.maxlen and self.last_seen - self._recent[0] < 1.0:
            raise flooding()
        self._recent.append(self.last_seen)

    # -- the end ------------------------------------------------------------------------------------------

    async def close(self, end: Disconnect) -> None:
        """Say goodbye as far as the peer takes it, then free the socket, whatever state it is in."""
        if end.abort:
            # A stuck peer takes no goodbye, and waiting for it can hang (style.md, traps); one write may pass.
            self._say(end)
            self.abort()
            return
        try:
            if not self.response.closed:
                self._say(end)
                async with asyncio.timeout(self._limits.closing):
                    await self.response.close(code=end.code, message=_reason(end.message), drain=False)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            if self.pending:
                self.abort()

    def _say(self, end: Disconnect) -> None:
        if end.error is not None:
            self.send(
                protocol.error(end.error, end.message, retryable=end.retryable, retry_after=end.retry_after)
            )

    def abort(self) -> None:
        """Free the socket at once, with all that the system holds for a peer that doesn't take it.

        An abort of asyncio's only closes: the system would go on offering what it has taken already.
        """
        raw = self._transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):  # it is closed already
                raw.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, _RESET)
        self._transport.abort()


def _looked_at(draining: asyncio.Future[None]) -> None:
    """Take note of a drain's failure, so that asyncio doesn't complain of it when nobody waits any more."""
    if not draining.cancelled():
        draining.exception()


def _reason(message: str) -> bytes:
    """As much of a sentence as a close frame holds, cut between characters."""
    return message.encode()[:_REASON_LIMIT].decode(errors="ignore").encode()
