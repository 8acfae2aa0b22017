"""One WebSocket client: its handshake, its end, and the bytes in between for whoever counts them."""

import socket
import time
import zlib
from urllib.parse import parse_qsl, urlsplit

import attrs
from bench_frames import CLOSE, PING, PONG, accept_of, masked
from bench_stream import Follower, Stream

_KEY = b"bG9ncmVsYXkgYmVuY2htYQ=="
_DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@attrs.frozen
class Address:
    """Where to connect, and which lines are to be expected from there."""

    host: str
    port: int
    request: bytes
    every: int
    residue: int
    stream: Stream = attrs.field(factory=Stream, repr=False)

    @classmethod
    def of(cls, url: str, *, compress: bool) -> "Address":
        """Raises ValueError for what is no ws:// address with a port."""
        parts = urlsplit(url)
        if parts.scheme != "ws" or not parts.port or not parts.hostname:
            raise ValueError("want ws://host:port/path")
        wanted = dict(parse_qsl(parts.fragment))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY.decode()}\r\n"
            + (f"Sec-WebSocket-Extensions: {_DEFLATE}\r\n" if compress else "")
            + "\r\n"
        )
        every, residue = int(wanted.get("every", 1)), int(wanted.get("residue", 0))
        return cls(parts.hostname, parts.port, request.encode(), every, residue)


@attrs.define(eq=False)
class Client:
    """One connection."""

    follower: Follower
    socket: socket.socket
    began: float
    compress: bool
    deaf: bool = False  # it reads the answer to its handshake, and then never again
    connected: float | None = None  # seconds that it took
    failed: str = ""
    closed: int | None = None  # the code with which the server ended it
    compressed: bool = False
    received: int = 0  # bytes on the wire
    first_at: int = 0  # ns since 1970, of data
    last_at: int = 0
    _head: bytes = b""

    @property
    def alive(self) -> bool:
        return self.connected is not None and self.closed is None

    def take(self, chunk: bytes, now: int) -> None:
        """Bytes that came at `now` (ns since 1970); none is the end."""
        if not chunk:
            self.end(1006, "closed during the handshake")
            return
        self.received += len(chunk)
        if self.connected is None:
            chunk = self._handshake(chunk)
            if not chunk:
                return
        before = self.follower.tracker.lines
        try:
            self.follower.take(chunk, now)
        except zlib.error:
            self.end(1007)
        if self.follower.tracker.lines != before:
            self.first_at = self.first_at or now
            self.last_at = now
        while self.follower.control and self.closed is None:
            self._control(*self.follower.control.pop(0))

    def _handshake(self, chunk: bytes) -> bytes:
        """What follows the response's head; nothing while that isn't complete or good."""
        self._head += chunk
        head, found, rest = self._head.partition(b"\r\n\r\n")
        if not found:
            return b""
        lines = head.split(b"\r\n")
        pairs = (line.partition(b":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.compressed = b"permessage-deflate" in headers.get(b"sec-websocket-extensions", b"")
        if b" 101 " not in lines[0] + b" ":
            self.end(1006, lines[0].decode("latin-1"))
        elif headers.get(b"sec-websocket-accept") != accept_of(_KEY):
            self.end(1006, "wrong Sec-WebSocket-Accept")
        elif self.compress and not self.compressed:
            self.end(1006, "not compressed")
        else:
            self.connected = time.monotonic() - self.began
            return rest
        return b""

    def _control(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self.socket.send(masked(PONG, payload))
        elif kind == CLOSE:
            self.end(int.from_bytes(payload[:2], "big") if payload else 1005)

    def end(self, code: int, why: str = "") -> None:
        """The server has ended the connection, or never opened it."""
        if self.connected is None:
            self.failed = why
        else:
            self.closed = code
        self.socket.close()
