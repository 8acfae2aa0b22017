"""A process that speaks the relay's protocol and sends lines as fast as it is told: `python browser_flood_server.py`.

Where a real relay would be the limit of what is measured on a small machine. It serves the built page, and two pages
to compare it with: `/blank` only receives and parses, `/naive` adds an element for each line, as most viewers do.
Commands come as JSON lines on stdin: `{"write": lines, "rate": lines per second or 0}` for whoever connected last;
`{"drop": true}` cuts that connection. It says `{"port"}` first, `{"joined"}` for each stream, and
`{"written": number of the last line}` after a command.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import msgspec
from aiohttp import WSMsgType, web

import logrelay

DIST = Path(logrelay.__file__).parent / "viewer" / "dist"
ENVIRONMENT = "11111111-2222-4333-8444-555555555555"
SERVICES = ("api", "web", "worker", "postgres", "redis")
SEVERITIES = ("info", "info", "info", "debug", "warn", "error", None)
MESSAGES = (
    '100.64.0.2 - "GET /api/orders/{0} HTTP/1.1" 200 12.5ms',
    "order {0} accepted",
    "\x1b[32m✓\x1b[0m compiled \x1b[1m/cart\x1b[0m in {0}ms",
    'Traceback (most recent call last):\n  File "/app/x.py", line {0}, in y\nTimeoutError: none',
    "cache miss key=product:{0}",
)
FRAME = 100  # lines of a message, at most
REPLAYED = 200  # lines that a change of the filter brings
OLDER = 50  # that a search of the past finds
TICK = 0.005  # seconds between two looks at the clock

_BLANK = """<!doctype html><title>blank</title><link rel="icon" href="data:,"><script>
window.lines = 0;
const socket = new WebSocket(`ws://${location.host}/api/environments/x/logs/stream`);
socket.onmessage = (event) => {
  const body = JSON.parse(event.data);
  if (body.type === "logs") lines += body.data.length;
};
</script>"""
_NAIVE = """<!doctype html><title>naive</title><link rel="icon" href="data:,"><style>
body { margin: 0; font: 12px/18px monospace } #list { height: 100vh; overflow: auto } #list div { white-space: pre }
</style><div id="list"></div><script>
window.lines = 0;
const list = document.getElementById("list");
const socket = new WebSocket(`ws://${location.host}/api/environments/x/logs/stream`);
socket.onmessage = (event) => {
  const body = JSON.parse(event.data);
  if (body.type !== "logs") return;
  for (const record of body.data) {
    const line = document.createElement("div");
    line.textContent = `${record.timestamp} ${record.severity} ${record.serviceName} ${record.message}`;
    list.append(line);
  }
  lines += body.data.length;
  list.scrollTop = list.scrollHeight;
};
</script>"""


def stamp(seconds: float) -> str:
    """A time since 1970 as the relay writes it."""
    ns = int(seconds * 1e9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9:09d}Z"


def record(number: int, now: str) -> dict[str, Any]:
    """The line with this number, which stands in its id, too."""
    kind = number % len(MESSAGES)
    attributes = {"orderId": number, "durationMs": 12.5, "user": {"id": number % 500, "plan": "pro"}}
    return {
        "id": f"{now}-{number:012x}",
        "timestamp": now,
        "severity": SEVERITIES[number % len(SEVERITIES)],
        "message": MESSAGES[kind].format(number),
        "serviceId": f"s{kind}",
        "serviceName": SERVICES[kind],
        "deploymentId": f"d{kind}",
        "instanceId": f"i{kind}",
        "attributes": attributes if kind == 1 else {},
    }


def connected() -> dict[str, Any]:
    """The first message of a stream."""
    now = stamp(time.time())
    data = {
        "environmentId": ENVIRONMENT,
        "environmentName": "flood",
        "protocol": 1,
        "services": [{"id": f"s{number}", "name": name} for number, name in enumerate(SERVICES)],
        "filter": {"services": [], "search": "", "severity": None},
        "resume": None,
        "limits": {"heartbeatSeconds": 25, "maxConnections": 10},
        "upstream": {"state": "live", "lastFrameAt": now},
        "viewers": 1,
        "version": "1",
    }
    return {"type": "status", "message": "connected", "timestamp": now, "data": data}


def heartbeat() -> dict[str, Any]:
    """What tells a client that it is served, so that it isn't slow to come back the next time."""
    now = stamp(time.time())
    data = {"lastId": None, "upstream": {"state": "live", "lastFrameAt": now}, "lastLogAt": now, "viewers": 1}
    return {"type": "heartbeat", "timestamp": now, "data": data}


def say(**line: Any) -> None:
    """Write a JSON line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@attrs.define(eq=False)
class Stream:
    """One connection: which line is the last, and whether its client has asked to wait."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    number: int = 0
    going: asyncio.Event = attrs.Factory(asyncio.Event)

    async def write(self, count: int, rate: float) -> None:
        """Send so many lines, so many a second; without a rate, as fast as they are taken."""
        last = self.number + count
        began, before = time.monotonic(), self.number
        while self.number < last and not self.socket.closed:
            if not self.going.is_set():
                await self.going.wait()
                began, before = time.monotonic(), self.number  # a client that has waited isn't rushed
            due = last if rate == 0 else min(last, before + int((time.monotonic() - began) * rate))
            now = stamp(time.time())
            while self.number < due and self.going.is_set():
                upto = min(due, self.number + FRAME)
                data = [record(number, now) for number in range(self.number + 1, upto + 1)]
                self.number = upto
                await self.socket.send_str(msgspec.json.encode({"type": "logs", "data": data}).decode())
            await asyncio.sleep(TICK if rate else 0)

    async def listen(self) -> None:
        """Take what the client asks for until it leaves. There are older lines for searches only, always the same."""
        async for message in self.socket:
            if message.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            if asked["type"] == "pause":
                self.going.clear()
            elif asked["type"] == "resume":
                self.going.set()
            elif asked["type"] == "filter":
                wanted = {name: asked.get(name) for name in ("services", "search", "severity")}
                now = stamp(time.time())
                body = {"type": "status", "message": "filter", "timestamp": now, "data": {"filter": wanted}}
                await self.socket.send_json(body)
                await self.write(REPLAYED, 0)
            elif asked["type"] == "history":
                numbers = range(OLDER, 0, -1) if asked.get("search") else ()
                found = [record(number, "2026-01-01T00:00:00.000000000Z") for number in numbers]
                page = {"data": found, "scannedTo": None, "done": True}
                await self.socket.send_json({"type": "history", "request": asked["request"], **page})


@attrs.define(eq=False)
class Flood:
    """The server's handlers; `newest` is the stream that commands are for."""

    newest: Stream | None = None

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket as the relay's."""
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False)
        await socket.prepare(request)
        await socket.send_json(connected())
        await socket.send_json(heartbeat())
        stream = self.newest = Stream(socket, request.transport)
        stream.going.set()
        say(joined=True)
        await stream.listen()
        stream.going.set()
        return socket

    async def page(self, _request: web.Request) -> web.StreamResponse:
        """The page as it was built."""
        return web.FileResponse(DIST / "index.html")

    async def environments(self, _request: web.Request) -> web.StreamResponse:
        """There is one."""
        one = {"id": ENVIRONMENT, "name": "flood", "projectId": "p", "projectName": "flood"}
        return web.json_response({"environments": [one]})

    async def obey(self) -> None:
        """Do what stdin says until it ends."""
        async for command in _lines():
            assert self.newest is not None
            if command.get("drop"):
                if self.newest.transport is not None:
                    self.newest.transport.abort()
                continue
            await self.newest.write(command["write"], command["rate"])
            say(written=self.newest.number)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serve while inside; the port."""
        app = web.Application()
        app.router.add_get("/", self.page)
        app.router.add_get("/environments/{id}", self.page)
        app.router.add_get("/api/environments", self.environments)
        app.router.add_get("/api/environments/{id}/logs/stream", self.stream)
        app.router.add_static("/assets", DIST / "assets")
        app.router.add_get("/blank", lambda _: _html(_BLANK))
        app.router.add_get("/naive", lambda _: _html(_NAIVE))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
        await runner.cleanup()


async def _html(text: str) -> web.StreamResponse:
    return web.Response(text=text, content_type="text/html")


async def _lines() -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async for line in reader:
        yield json.loads(line)


async def _main() -> None:
    flood = Flood()
    async with flood.serving() as port:
        say(port=port)
        await flood.obey()


if __name__ == "__main__":
    asyncio.run(_main())
