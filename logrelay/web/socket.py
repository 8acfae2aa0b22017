"""One client's WebSocket: what it takes, what it says, and how it is closed. Nothing of logs.

Frames are written ready-made to the transport, beside aiohttp's own writer; both write whole frames only.
"""

import asyncio
import contextlib
import socket as stdlib_socket
from collections.abc import AsyncIterator

import attrs
from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from logrelay.errors import CloseCode, Disconnect
from logrelay.web import frames, protocol

MESSAGE_LIMIT = 16 * 1024  # bytes of a client's message


@attrs.frozen
class SocketLimits:
    """What one connection may cost. Times are in seconds, sizes in bytes."""

    write_timeout: float = 10.0  # without any progress of the writes
    closing: float = 2.0
    messages_per_second: int = 20
    send_buffer: int = 64 * 1024


def gone() -> Disconnect:
    """The peer has left or can't be reached: there is nothing more to say."""
    return Disconnect(CloseCode.NORMAL)


def too_slow() -> Disconnect:
    """The peer's writes have stopped."""
    message = "a write made no progress for too long"
    return Disconnect(CloseCode.TOO_SLOW, "too_slow", message, retryable=True, abort=True)


def flooding() -> Disconnect:
    """The peer sends more than anyone needs to."""
    return Disconnect(CloseCode.FLOODING, "flooding", "too many messages")


class Socket:
    """An upgraded connection."""

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
        self.response = response
        self._writer = writer
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.last_seen = self._loop.time()
        self.written = 0  # bytes
        self._second = 0.0
        self._in_second = 0
        self._prepare()

    def __repr__(self) -> str:
        return f"<Socket {self.pending} bytes pending>"

    @classmethod
    async def upgraded(cls, request: web.Request, limits: SocketLimits) -> "Socket":
        """Answer the upgrade. Raises web.HTTPBadRequest for a broken handshake, ConnectionError when it's too late."""
        response = web.WebSocketResponse(
            autoping=False,  # pings and pongs are signs of life, and count against floods
            compress=False,  # it costs 110 KiB a client (faults.md, Hardening)
            max_msg_size=MESSAGE_LIMIT + 1,
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
                milliseconds = int(self._limits.write_timeout * 1500)
                raw.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_USER_TIMEOUT, milliseconds)

    # -- writing ------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Bytes that the kernel hasn't taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def full(self) -> bool:
        """Whether the next write should wait for `writable`."""
        return self.pending >= self._transport.get_write_buffer_limits()[1]

    def write(self, ready: bytes) -> None:
        """Write ready-made frames; never waits."""
        if ready and not self._transport.is_closing():
            self.written += len(ready)
            self._transport.write(ready)

    def send(self, payload: bytes) -> None:
        """Write one text message."""
        self.write(frames.text(payload))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.write(frames.ping())

    async def writable(self) -> None:
        """Wait until the peer has taken enough. Raises Disconnect when its writes make no progress at all.

        A drain that takes long is only a slow reader; no progress means that the buffer doesn't shrink.
        """
        least = self.pending
        moved = self._loop.time()
        # Cancelling a drain breaks all later ones on this connection (aiohttp keeps its cancelled future), so it is
        # only looked at from outside.
        draining = asyncio.ensure_future(self._writer.drain())
        try:
            while not draining.done():
                await asyncio.wait([draining], timeout=self._limits.write_timeout / 10)
                if self.pending < least:
                    least = self.pending
                    moved = self._loop.time()
                elif not draining.done() and self._loop.time() - moved >= self._limits.write_timeout:
                    raise too_slow()
        finally:
            draining.cancel()
        if draining.cancelled() or draining.exception() is not None:
            raise gone()

    # -- reading ------------------------------------------------------------------------------------------

    async def messages(self) -> AsyncIterator[str]:
        """The peer's text messages until it leaves. Raises Disconnect for what ends a connection."""
        while True:
            message = await self.response.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG, WSMsgType.BINARY):
                return  # closed; broken frames have been answered by aiohttp with 1002, 1007 or 1009
            self.last_seen = self._loop.time()
            self._count()
            if message.type is WSMsgType.BINARY:
                raise Disconnect(CloseCode.UNSUPPORTED)
            if message.type is WSMsgType.PING and not self.full:
                self.write(frames.pong(bytes(message.data)))
            elif message.type is WSMsgType.TEXT:
                yield message.data

    def _count(self) -> None:
        """Count frames by the second; floods end the connection."""
        if self.last_seen - self._second >= 1.0:
            self._second = self.last_seen
            self._in_second = 0
        self._in_second += 1
        if self._in_second > self._limits.messages_per_second:
            raise flooding()

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
                    await self.response.close(code=end.code, message=end.message[:120].encode(), drain=False)
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
        """Free the socket at once."""
        self._transport.abort()
