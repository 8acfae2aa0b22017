"""A relay of web parts on loopback, an upstream that does what a test says, and peers that check every message."""

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import attrs
import web_schemas
from aiohttp import web

from logrelay.relay import timestamps
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Description, Hub, Hubs, Sink
from logrelay.relay.records import Content, Entry, LogRecord, key, record
from logrelay.web import routes
from logrelay.web.access import Access, TicketOffice
from logrelay.web.answers import Runner
from logrelay.web.client import Client
from logrelay.web.door import Door
from logrelay.web.environments import Environments
from logrelay.web.grants import Guard
from logrelay.web.greeting import Greeting
from logrelay.web.health import Health
from logrelay.web.leases import Leases
from logrelay.web.limits import ClientLimits
from logrelay.web.origins import Origins, Proxies
from logrelay.web.places import Handshakes, Places
from logrelay.web.stream import StreamLimits, Streams

ENV = "env-1"
SECOND = 1_000_000_000
BASE = 1_764_000_000 * SECOND
SERVICES = (("svc-api", "api"), ("svc-web", "web"))
DEADLINE = 2.5


def line(
    second: float,
    message: str | None = None,
    *,
    severity: str | None = "info",
    service: str = "api",
    late: bool = False,
) -> LogRecord:
    """A record stamped so many seconds after the base."""
    ns = BASE + round(second * SECOND)
    content = Content(
        timestamp=timestamps.render(ns), message=f"line {second}" if message is None else message, severity=severity,
        service_id=f"svc-{service}", deployment_id="dep-1", instance_id="ins-1",
    )  # fmt: skip
    return record(content, key(content, ns), ns, service_name=service, late=late)


def lines(start: int, end: int) -> list[LogRecord]:
    return [line(second) for second in range(start, end)]


def ids(entries: Sequence[Entry]) -> list[str]:
    return [entry.id for entry in entries if isinstance(entry, LogRecord)]


Past = Callable[[int, int], AsyncIterator[Sequence[Entry]]]


async def no_past(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
    for nothing in ():
        yield nothing


@attrs.define
class Upstream:
    """Stands at once and holds `seed`, unless told otherwise; the test publishes by `sink`."""

    seed: Sequence[LogRecord] = ()
    floor_ns: int | None = None
    waits: bool = False  # for the test to say `stands`
    past_of: Past = no_past
    runs: int = 0
    running: asyncio.Event = attrs.Factory(asyncio.Event)
    asked: list[tuple[int, int]] = attrs.Factory(list)
    sink: Sink = attrs.field(init=False)

    async def run(self, sink: Sink) -> None:
        self.sink = sink
        self.runs += 1
        sink.describe(Description("production", SERVICES))
        if not self.waits:
            sink.seed(self.seed, self.floor_ns)
            sink.frame()
            sink.stands()
        self.running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.running.clear()

    def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        self.asked.append((start_ns, end_ns))
        return self.past_of(start_ns, end_ns)


class Peer:
    """A well-behaved viewer: every message is checked against the schemas."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def frame(self) -> aiohttp.WSMessage:
        async with asyncio.timeout(DEADLINE):
            return await self.ws.receive()

    async def message(self) -> Any:
        frame = await self.frame()
        assert frame.type is aiohttp.WSMsgType.TEXT, frame
        message = json.loads(frame.data)
        web_schemas.check(message)
        return message

    async def until(self, kind: str) -> Any:
        """The next message of this kind; others before it are passed over."""
        while True:
            message = await self.message()
            if web_schemas.check(message) == kind:
                return message

    async def status(self, name: str) -> Any:
        """The next message, which has to be this status; its data."""
        message = await self.message()
        assert (message["type"], message.get("message")) == ("status", name), message
        return message["data"]

    async def error(self, code: str) -> Any:
        message = await self.message()
        assert (message["type"], message.get("code")) == ("error", code), message
        return message

    async def ids(self, count: int) -> list[str]:
        """The ids of the next records, which nothing may stand between."""
        return [(await self.record())["id"] for _ in range(count)]

    async def texts(self, count: int) -> list[str]:
        return [(await self.record())["message"] for _ in range(count)]

    async def record(self) -> Any:
        message = await self.message()
        assert message["type"] == "log", message
        return message["data"]

    async def close_code(self) -> int | None:
        frame = await self.frame()
        assert frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), frame
        return self.ws.close_code

    async def quiet(self) -> None:
        """Nothing has been sent: the answer to a ping message comes next."""
        await self.say(type="ping", id="quiet")
        assert await self.message() == {"type": "pong", "id": "quiet"}

    async def say(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def leave(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.ws.close()


@attrs.define
class Relay:
    app: web.Application
    hubs: Hubs
    streams: Streams
    places: Places
    leases: Leases
    health: Health
    environments: Environments
    session: aiohttp.ClientSession
    upstreams: dict[str, Upstream]
    runner: Runner | None = None
    host: str = ""
    port: int = 0
    base_path: str = ""
    keepalive: float = 10.0  # seconds

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def upstream(self) -> Upstream:
        return self.upstreams[ENV]

    @property
    def sink(self) -> Sink:
        return self.upstream.sink

    @property
    def hub(self) -> Hub:
        hub = self.hubs.get(ENV)
        assert hub is not None
        return hub

    @property
    def client(self) -> Client:
        (client,) = self.streams._clients
        return client

    def path(self, environment: str = ENV) -> str:
        return f"{self.base_path}/api/environments/{environment}/logs/stream"

    async def connect(
        self,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
        *,
        environment: str = ENV,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Peer:
        if isinstance(query, Mapping):
            query = [(name, str(value)) for name, value in query.items()]
        ws = await self.session.ws_connect(
            self.url + self.path(environment),
            params=list(query),
            headers=headers,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            **options,
        )
        return Peer(ws)

    async def joined(self, query: Mapping[str, Any] | Sequence[tuple[str, str]] = (), **options: Any) -> Peer:
        """A peer that has been told `connected`."""
        peer = await self.connect(query, **options)
        await peer.status("connected")
        return peer

    async def raw(self, *, buffer: int | None = None, query: str = "", upgrade: bool = True) -> "Raw":
        return await Raw.opened(self.port, self.path() + query, buffer=buffer, upgrade=upgrade)

    async def empty(self) -> None:
        """Wait until no client is left."""
        await until(lambda: not self.streams.clients and not self.places.taken)


Make = Callable[..., Awaitable[Relay]]


async def until(true: Callable[[], bool], deadline: float = DEADLINE) -> None:
    async with asyncio.timeout(deadline):
        while not true():
            await asyncio.sleep(0.001)


def build(
    session: aiohttp.ClientSession,
    *,
    limits: StreamLimits | None = None,
    origins: Origins | None = None,
    allowed: tuple[str, ...] = (ENV, "env-2"),
    places: Places | None = None,
    bounds: Bounds | None = None,
    upstreams: dict[str, Upstream] | None = None,
    linger: float = 30.0,
    base_path: str = "",
    keepalive: float = 10.0,
    guard: Guard | None = None,
    tickets: TicketOffice | None = None,
    ticket_only: bool = False,
    proxies: int = 0,
    handshakes: Handshakes | None = None,
    audit_search: bool = False,
) -> Relay:
    made = {} if upstreams is None else upstreams
    hubs = Hubs(lambda environment: made.setdefault(environment, Upstream()), bounds=bounds, linger=linger)
    environments = Environments(frozenset(allowed), everything="*" in allowed)
    origins = origins or Origins()
    places = places or Places(environment=2000)
    access = Access(environments, guard, tickets, ticket_only=ticket_only)
    leases = Leases(access)
    handshakes = handshakes or Handshakes(per_second=10_000, burst=100_000)
    streams = Streams(
        hubs,
        Door(access, origins, places, handshakes, Proxies(proxies)),
        leases,
        greeting=Greeting(version="1.2.3", heartbeat=25.0, max_connections=10),
        limits=limits or StreamLimits(),
        audit_search=audit_search,
    )
    health = Health(hubs, streams)
    health.started = True
    app = web.Application()
    routes.add_routes(app, streams, health, base_path=base_path, origins=origins.allowed)
    return Relay(
        app,
        hubs,
        streams,
        places,
        leases,
        health,
        environments,
        session,
        made,
        base_path=base_path,
        keepalive=keepalive,
    )


def quick(**limits: float) -> StreamLimits:
    """Limits with the client's times turned down."""
    return StreamLimits(client=attrs.evolve(ClientLimits(), **limits))


async def start(relay: Relay) -> None:
    relay.runner = Runner(relay.app, access_log=None, shutdown_timeout=0.5, keepalive_timeout=relay.keepalive)
    await relay.runner.setup()
    site = web.TCPSite(relay.runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    relay.port = relay.runner.addresses[0][1]


async def stop(relay: Relay) -> None:
    for client in tuple(relay.streams._clients):
        client.abort()
    if relay.runner is not None:
        await relay.runner.cleanup()
    await relay.hubs.close()


class Raw:
    """A peer that says what it likes, byte by byte, and reads only when told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def opened(cls, port: int, path: str, *, buffer: int | None, upgrade: bool) -> "Raw":
        sock = socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)  # noqa: FBT003 the library's own signature
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=2**16)
        raw = cls(reader, writer)
        if upgrade:
            key = base64.b64encode(os.urandom(16)).decode()
            try:
                head = await raw.request(
                    f"GET {path} HTTP/1.1",
                    "Host: 127.0.0.1",
                    "Upgrade: websocket",
                    "Connection: Upgrade",
                    "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Key: {key}",
                )
            except (asyncio.IncompleteReadError, ConnectionError):
                raw.leave()
                raise
            assert head.startswith("HTTP/1.1 101"), head
        return raw

    async def request(self, *head: str) -> str:
        """Send a request's head; gives the answer's head."""
        self.writer.write(("\r\n".join(head) + "\r\n\r\n").encode("utf-8", "surrogateescape"))
        async with asyncio.timeout(DEADLINE):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self, *head: str) -> tuple[int, dict[str, str], bytes]:
        text = await self.request(*head)
        first, *rest = text.strip().split("\r\n")
        headers = {name.casefold(): value for name, value in (row.split(": ", 1) for row in rest)}
        async with asyncio.timeout(DEADLINE):
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split()[1]), headers, body

    def send(self, opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True) -> None:
        size = len(payload)
        first = (0x80 if fin else 0) | opcode
        bit = 0x80 if mask else 0
        if size < 126:
            head = struct.pack("!BB", first, bit | size)
        elif size < 65536:
            head = struct.pack("!BBH", first, bit | 126, size)
        else:
            head = struct.pack("!BBQ", first, bit | 127, size)
        self.writer.write(head + (b"\0\0\0\0" if mask else b"") + payload)

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(DEADLINE):
            first, size = await self.reader.readexactly(2)
            assert not size & 0x80, "a server doesn't mask"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def message(self) -> Any:
        opcode, payload = await self.frame()
        assert opcode == 1, (opcode, payload)
        message = json.loads(payload)
        web_schemas.check(message)
        return message

    async def end(self) -> tuple[list[Any], int | None]:
        """The messages up to the end of the connection, and the close frame's code, if there was one."""
        messages: list[Any] = []
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == 8:
                    self.writer.close()
                    return messages, struct.unpack("!H", payload[:2])[0]
                if opcode == 1:
                    messages.append(json.loads(payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.writer.close()
            return messages, None

    def stall(self) -> None:
        """Read nothing any more; what the kernel holds stays there."""
        self.writer.transport.pause_reading()

    def leave(self) -> None:
        """Go without a word."""
        self.writer.transport.abort()
