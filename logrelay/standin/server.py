"""The stand-in's one port: routes, upgrades and queries; starting, stopping and waiting."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import web

from logrelay.standin import errors
from logrelay.standin.access import NOBODY, caller_by_headers
from logrelay.standin.control import add_control
from logrelay.standin.faults import Faults
from logrelay.standin.journal import Asked, Bell, Connection, Journal
from logrelay.standin.queries import answer, encode, read_request
from logrelay.standin.sockets import SUBPROTOCOL, Socket, Timing
from logrelay.standin.wires import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from logrelay.standin.subscriptions import Subscription
    from logrelay.standin.world import World

PATH = "/graphql/v2"
RATE_LIMIT_POLICY = '"default";q=1000;w=3600'
PATIENCE = 10.0  # seconds that a wait may take before it is a failure


class StandIn:
    """Railway, as far as a reader of logs can tell: `async with StandIn(world) as railway`.

    Times are in seconds. Railway polls about every 4 s; tests want that in milliseconds.
    """

    def __init__(
        self,
        world: World,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        poll_interval: float = 0.01,
        init_timeout: float = 3.0,
        ping_interval: float = 12.0,
        control: bool = False,
    ) -> None:
        self.world = world
        self._host = host
        self._port = port
        self._timing = Timing(poll_interval, init_timeout, ping_interval)
        self._bell = Bell()
        self.journal = Journal(self._bell)
        self.faults = Faults(self._bell)
        self._control = control
        self._runner: web.AppRunner | None = None
        self._site: web.SockSite | None = None
        self._place_holder: socket.socket | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get(PATH, self._upgrade)
        app.router.add_post(PATH, self._query)
        if self._control:
            add_control(app, self)
        app.router.add_route("*", "/{path:.*}", _not_found)
        app.on_response_prepare.append(_add_policy)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await self.listen_again()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_listening(cut=True)
        if self._place_holder is not None:
            self._place_holder.close()
            self._place_holder = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Where queries go."""
        return f"http://{self._host}:{self._port}{PATH}"

    @property
    def ws_url(self) -> str:
        """Where sockets are opened."""
        return f"ws://{self._host}:{self._port}{PATH}"

    @property
    def subscriptions(self) -> list[Subscription]:
        """The subscriptions that aren't over; `live` are those whose backlog was sent."""
        return [
            subscription
            for connection in self.faults.sockets
            if isinstance(connection, Socket)
            for subscription in connection.subscriptions.values()
        ]

    async def until(self, holds: Callable[[], bool], *, within: float = PATIENCE) -> None:
        """Wait until something of the journal or the faults holds; TimeoutError after `within` seconds."""
        await self._bell.until(holds, within=within)

    async def subscribed(self, n: int = 1) -> None:
        """Wait until n subscriptions are live; TimeoutError after 10 s."""
        await self.until(lambda: sum(subscription.live for subscription in self.subscriptions) >= n)

    async def flush(self) -> None:
        """Poll for all subscriptions at once and wait until the rows are on their sockets.

        A subscription that a fault keeps quiet is not waited for. TimeoutError after 10 s.
        """
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(subscription.poll() for subscription in self.subscriptions))

    async def stop_listening(self, *, cut: bool = False) -> None:
        """Refuse new connections; with `cut`, end the open sockets by a TCP reset too."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
            # Bound but not listening: connecting is refused, and nobody else gets the port meanwhile.
            self._place_holder = self._bound()
        if cut:
            await self.faults.reset()
            await self.until(lambda: not self.faults.sockets)

    async def listen_again(self) -> None:
        """Accept connections on the same port (again)."""
        if self._runner is None or self._site is not None:
            return
        if self._place_holder is not None:
            self._place_holder.close()
            self._place_holder = None
        bound = self._bound()
        self._port = bound.getsockname()[1]
        self._site = web.SockSite(self._runner, bound)
        await self._site.start()

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self._host, self._port))
        return bound

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal("refuse_upgrade")
        if refusal is not None:
            self.journal.refused_upgrades += 1
            self._bell.ring()
            return refusal
        protocols = () if self.faults.no_subprotocol else (SUBPROTOCOL,)
        ws = web.WebSocketResponse(
            protocols=protocols, autoping=False, compress=False, max_msg_size=1 << 26, timeout=1.0
        )
        if not ws.can_prepare(request).ok or request.transport is None:
            return web.json_response({"message": "GET is for WebSockets"}, status=400)
        transport = request.transport
        writer = await ws.prepare(request)
        record = Connection(request.headers.copy(), subprotocol=ws.ws_protocol)
        self.journal.connections.append(record)
        await Socket(
            self.world,
            self.journal,
            self.faults,
            self._timing,
            record,
            ws,
            Wire(transport, self.faults, writer),
        ).run()
        return ws

    async def _query(self, request: web.Request) -> web.Response:
        refusal = self._refusal("http")
        body: Any = None
        with contextlib.suppress(ValueError):
            body = await request.json()
        caller = caller_by_headers(self.world, request.headers) or NOBODY
        given = body if isinstance(body, dict) else {}
        self.journal.queries.append(Asked.of(given, caller.kind, request.headers.copy()))
        self._bell.ring()
        await asyncio.sleep(self.faults.query_delay)
        if refusal is not None:
            return refusal
        if self.faults.query_error is not None:
            return _json({"errors": [errors.wire(self.faults.query_error)], "data": None})
        operation = read_request(body)
        if isinstance(operation, dict):
            return _json(operation, status=400)
        if operation.kind != "query":
            message = "Subscriptions are not served over HTTP."
            return _json({"errors": [errors.wire(message, errors.BAD_INPUT)]}, status=400)
        return _json(answer(self.world, caller, operation))

    def _refusal(self, setting: str) -> web.Response | None:
        if self.faults.redirect is not None:
            return web.Response(status=307, headers={"Location": self.faults.redirect})
        answered = self.faults.spend(setting)
        if answered is None:
            return None
        status, headers, body = answered
        return web.Response(status=status, headers=dict(headers), text=body)


def _json(payload: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=encode(payload), status=status, content_type="application/json", charset="utf-8")


async def _add_policy(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["RateLimit-Policy"] = RATE_LIMIT_POLICY


async def _not_found(_request: web.Request) -> web.Response:
    return _json({"message": "Not Found", "requestId": str(uuid.uuid4())}, status=404)
