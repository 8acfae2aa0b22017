"""A fast stand-in for Railway's endpoint, for benchmarks only: graphql-transport-ws, a few queries, and a generator.

`POST /_start` begins to send rows at the rate that was given when this was started, `GET /_stats` tells how far it
is. A batch of rows is made once for all subscriptions. A subscriber that doesn't keep up is held back by TCP.
"""

import argparse
import asyncio
import gc
import json
import signal
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
from bench_frames import CLOSE, FIN, FIN_TEXT, PING, PONG, accept_of, header, opcode, unmasked
from bench_rows import ENVIRONMENT, PROJECT, SERVICES, Rows, service_id

_SECOND = 1_000_000_000
_MOST_AT_ONCE = 256  # batches that are made before readers get their turn
_WRITE = 262_144  # bytes that are written at once, roughly
_CREATED = "2024-01-01T00:00:00.000Z"


def _deployment(number: int) -> dict[str, str]:
    return {"id": f"de000000-0000-4000-8000-{number + 1:012d}", "status": "SUCCESS", "createdAt": _CREATED}


def _environment() -> dict[str, Any]:
    """Names and deployments, as they are asked for by discovery."""
    services = [
        {
            "serviceId": service_id(number),
            "serviceName": f"service-{number + 1}",
            "latestDeployment": _deployment(number),
            "activeDeployments": [_deployment(number)],
        }
        for number in range(SERVICES)
    ]
    return {
        "id": ENVIRONMENT,
        "name": "production",
        "projectId": PROJECT,
        "serviceInstances": {
            "edges": [{"node": service} for service in services],
            "pageInfo": {"hasNextPage": False, "endCursor": None},
        },
    }


# The field that a query asks for, and what it gets; looked for in this order.
_ANSWERS: dict[str, Any] = {
    "environmentLogs": [],
    "serviceInstances": _environment(),
    "projectToken": {"projectId": PROJECT, "environmentId": ENVIRONMENT},
    "apiToken": {"workspaces": []},
}


def answer(query: str) -> bytes:
    """The JSON answer to a query."""
    for field, value in _ANSWERS.items():
        if field in query:
            name = "environment" if field == "serviceInstances" else field
            return msgspec.json.encode({"data": {name: value}})
    return b'{"errors":[{"message":"not a query of this stand-in"}]}'


@attrs.frozen
class Speed:
    """What to send: rows a second, rows a message, and for how many seconds."""

    rate: float
    batch: int
    seconds: float


@attrs.define
class Generator:
    """Sends batches when they are due; when it wakes late, all that are due, so that the rate holds."""

    speed: Speed
    rows: Rows
    waiting: list[deque[bytes]] = attrs.Factory(list)  # JSON arrays that a subscriber hasn't taken yet
    grown: asyncio.Event = attrs.Factory(asyncio.Event)
    first: int = 1
    last: int = 0
    stamp_ns: int = 0
    began: float | None = None
    ended: float | None = None
    late: float = 0.0  # seconds that a batch was late at most

    async def run(self) -> None:
        """Send one run's rows."""
        interval = self.speed.batch / self.speed.rate
        total = int(self.speed.seconds / interval + 1e-6)
        self.first, self.ended, self.late = self.last + 1, None, 0.0
        self.began = began = time.monotonic()
        done = 0
        while done < total:
            due = began + done * interval
            await asyncio.sleep(max(due - time.monotonic(), 0))
            now = time.monotonic()
            self.late = max(self.late, now - due)
            owed = min(int((now - began) / interval) + 1 - done, total - done, _MOST_AT_ONCE)
            self._make(max(owed, 0))
            done += max(owed, 0)
        self.ended = time.monotonic()

    def _make(self, count: int) -> None:
        sent = time.time_ns()
        self.stamp_ns = max(self.stamp_ns, sent)
        for _ in range(count):
            array = self.rows.array(self.last + 1, self.speed.batch, sent, self.stamp_ns)
            for batches in self.waiting:
                batches.append(array)
            self.last += self.speed.batch
            self.stamp_ns += self.speed.batch
        self.grown.set()
        self.grown = asyncio.Event()

    def stats(self) -> dict[str, Any]:
        """Counters; `lines_per_s` is what was kept up, `late_max_ms` how late the latest batch was."""
        began = self.began
        emitted = self.last + 1 - self.first if began is not None else 0
        seconds = (self.ended or time.monotonic()) - began if began is not None else 0.0
        return {
            "started": began is not None,
            "done": began is not None and self.ended is not None,
            "first_seq": self.first,
            "last_seq": self.last,
            "emitted": emitted,
            "late_max_ms": 1000 * self.late,
            "lines_per_s": emitted / seconds if seconds > 0 else 0.0,
        }


@attrs.define
class Upstream:
    """The server: queries, control, and subscriptions."""

    generator: Generator
    running: asyncio.Task[None] | None = None
    _subscriptions: dict[tuple[int, str], asyncio.Task[None]] = attrs.Factory(dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a single request, or a WebSocket."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            if headers.get("upgrade", "").lower() == "websocket":
                await self._socket(reader, writer, headers)
            else:
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self._respond(writer, self._asked(method, path, body))
                await writer.drain()
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the peer has gone, or the benchmark ends; whoever was waiting for this needs no word of it
        finally:
            for key in [key for key in self._subscriptions if key[0] == id(writer)]:
                self._subscriptions.pop(key).cancel()
            writer.close()

    def _asked(self, method: str, path: str, body: bytes) -> bytes:
        if path.startswith("/_start"):
            if method == "POST" and (self.running is None or self.running.done()):
                self.running = asyncio.create_task(self.generator.run())
            return b"{}"
        if path.startswith("/_stats"):
            return msgspec.json.encode(self.generator.stats() | {"subscriptions": len(self._subscriptions)})
        return answer(str(json.loads(body).get("query", "")))

    @staticmethod
    def _respond(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    async def _socket(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Mapping[str, str]
    ) -> None:
        accept = accept_of(headers.get("sec-websocket-key", "").encode())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        while True:
            first, payload = await self._frame(reader)
            kind = opcode(first)
            if kind == CLOSE:
                writer.write(header(len(payload), FIN | CLOSE) + payload)
                await writer.drain()
                return
            if kind == PING:
                writer.write(header(len(payload), FIN | PONG) + payload)
            elif kind != PONG:
                self._message(msgspec.json.decode(payload), writer)

    @staticmethod
    async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
        """A masked frame; no relay sends a fragmented one."""
        first, size = await reader.readexactly(2)
        size &= 0x7F
        if size >= 126:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        mask = await reader.readexactly(4)
        return first, unmasked(await reader.readexactly(size), mask)

    def _message(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        kind, identity = message.get("type"), str(message.get("id"))
        key = (id(writer), identity)
        if kind == "connection_init":
            _send(writer, b'{"type":"connection_ack"}')
        elif kind == "ping":
            _send(writer, b'{"type":"pong"}')
        elif kind == "subscribe":
            self._subscriptions[key] = asyncio.create_task(self._stream(identity, writer))
        elif kind == "complete" and key in self._subscriptions:
            self._subscriptions.pop(key).cancel()

    async def _stream(self, identity: str, writer: asyncio.StreamWriter) -> None:
        """Everything made from now on, at the subscriber's pace."""
        made = self.generator
        prefix = b'{"id":%b,"type":"next","payload":{"data":{"environmentLogs":' % msgspec.json.encode(
            identity
        )
        batches: deque[bytes] = deque()
        made.waiting.append(batches)
        try:
            while True:
                if not batches:
                    await made.grown.wait()
                pieces: list[bytes] = []
                size = 0
                while batches and size < _WRITE:
                    array = batches.popleft()
                    pieces += (header(len(prefix) + len(array) + 3), prefix, array, b"}}}")
                    size += len(array)
                writer.write(b"".join(pieces))
                await writer.drain()
        finally:
            made.waiting[:] = [other for other in made.waiting if other is not batches]


def _send(writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(header(len(payload), FIN_TEXT) + payload)


async def serve(address: str, generator: Generator) -> None:
    """Serve until SIGTERM or SIGINT."""
    host, _, port = address.rpartition(":")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(Upstream(generator).serve, host, int(port))
    await stop.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Stand in for Railway's endpoint in a benchmark.")
    parser.add_argument("-addr", required=True, help="address to listen on")
    parser.add_argument("-rate", type=float, default=1000, help="rows a second")
    parser.add_argument("-batch", type=int, default=10, help="rows a message")
    parser.add_argument("-msgbytes", type=int, default=200, help="length of each row's message")
    parser.add_argument("-duration", default="10s", help="how long to send after /_start")
    given = parser.parse_args()
    speed = Speed(given.rate, given.batch, float(given.duration.removesuffix("s")))
    gc.disable()  # a collection would look like latency of the relay
    asyncio.run(serve(given.addr, Generator(speed, Rows(given.msgbytes))))
