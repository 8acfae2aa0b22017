"""The stream's handshake: parse, admit, place the client in the history. And the end of all streams."""

import asyncio
import contextlib
import itertools
import logging
import random
import time
import weakref

import attrs
from aiohttp import hdrs, web

from logrelay.errors import CloseCode, Disconnect, FilterInvalid, ParameterInvalid
from logrelay.relay.hub import Hub, Hubs
from logrelay.web import parameters, protocol
from logrelay.web.access import Environments, Origins, Places
from logrelay.web.answers import refusal
from logrelay.web.audience import Audience
from logrelay.web.client import Client
from logrelay.web.endings import failed, restart
from logrelay.web.frames import Form
from logrelay.web.greeting import Greeting
from logrelay.web.limits import ClientLimits
from logrelay.web.placing import ResumeLimits
from logrelay.web.socket import Socket, SocketLimits

logger = logging.getLogger(__name__)

_COMEBACK = 1.0  # seconds after which those who come while the relay ends may try again
_LOGGED = 64  # characters of an environment's id that hasn't been admitted


@attrs.frozen
class StreamLimits:
    """All limits of streams."""

    client: ClientLimits = attrs.Factory(ClientLimits)
    socket: SocketLimits = attrs.Factory(SocketLimits)
    resume: ResumeLimits = attrs.Factory(ResumeLimits)
    flush: float = 2.0  # seconds to send what has arrived, at the end
    comeback_rate: float = 100.0  # clients a second that may come back after a restart


class Streams:
    """Serves the stream route, and knows every client of this process."""

    def __init__(
        self,
        hubs: Hubs,
        *,
        origins: Origins,
        environments: Environments,
        places: Places,
        greeting: Greeting,
        limits: StreamLimits,
    ) -> None:
        self._hubs = hubs
        self._origins = origins
        self._environments = environments
        self._places = places
        self._greeting = greeting
        self._limits = limits
        self._audiences: weakref.WeakValueDictionary[Hub, Audience] = weakref.WeakValueDictionary()
        self._clients: set[Client] = set()
        self._numbers = itertools.count(1)
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False
        self.crowded = False  # memory is short: no new clients

    def __repr__(self) -> str:
        return f"<Streams {len(self._clients)} clients>"

    @property
    def clients(self) -> int:
        """Clients that are being served."""
        return len(self._clients)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/environments/{environment_id}/logs/stream`."""
        refused = self._refusal(request)
        if refused is not None:
            logger.info("stream refused", extra={"status": refused.status})
            return refused
        with self._places.of_process():
            try:
                deflate = parameters.batched(request.query)
                socket = await Socket.upgraded(request, self._limits.socket, deflate=deflate)
            except web.HTTPBadRequest:
                headers = {"Sec-WebSocket-Version": "13"}
                return refusal(400, "bad_request", "the WebSocket handshake is broken", headers=headers)
            await self._serve(request, socket)
        return socket.response

    def _refusal(self, request: web.Request) -> web.Response | None:
        """What is refused before the upgrade (protocol.md section 1), in the order of what it costs."""
        if "websocket" not in request.headers.get(hdrs.UPGRADE, "").casefold():
            message = "this is a WebSocket; connect to it with one"
            headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
            return refusal(426, "upgrade_required", message, headers=headers)
        if self.draining:
            return refusal(503, "draining", "the relay is about to restart", retry_after=_COMEBACK)
        origins = request.headers.getall(hdrs.ORIGIN, ())
        origin = origins[0] if origins else None
        if len(origins) > 1 or not self._origins.admits(origin, request.headers.get(hdrs.HOST)):
            return refusal(403, "origin_not_allowed", "this origin may not open a stream here")
        if self.crowded or not self._places.free:
            message = "too many connections to this relay"
            return refusal(503, "too_many_connections", message, retry_after=self._places.retry_after)
        return None

    async def _serve(self, request: web.Request, socket: Socket) -> None:
        """One connection after its upgrade; refusals are messages from here on, because browsers can read those."""
        environment_id = request.match_info["environment_id"]
        about: dict[str, object] = {
            "connection": next(self._numbers),
            "environment": environment_id[:_LOGGED],
        }
        began = time.monotonic()
        try:
            end = await self._served(request, socket, environment_id, about)
        except (ParameterInvalid, FilterInvalid) as error:
            code = "filter_invalid" if isinstance(error, FilterInvalid) else "parameter_invalid"
            end = Disconnect(CloseCode.PARAMETERS, code, str(error))
            await socket.close(end)
        except Disconnect as refused:
            end = refused
            await socket.close(end)
        except Exception:
            logger.exception("connection failed", extra=about)
            end = failed()
            await socket.close(end)
        about |= {"code": int(end.code), "error": end.error, "bytes": socket.written}
        logger.info("stream closed", extra=about | {"seconds": round(time.monotonic() - began, 3)})

    async def _served(
        self, request: web.Request, socket: Socket, environment_id: str, about: dict[str, object]
    ) -> Disconnect:
        """Admit and serve one client to its end; raises what it is refused for."""
        if self.draining:  # since the upgrade was begun
            socket.send(protocol.status("draining", {"reconnectInSeconds": _COMEBACK}))
            raise restart()
        if not self._environments.known:
            waiting = {"environmentId": about["environment"], "upstream": {"state": "connecting"}}
            socket.send(protocol.status("connecting", waiting))
            await self._environments.learned()
        self._environments.admit(environment_id)
        placing = parameters.read(request.query, self._limits.resume)
        with self._places.of_environment(environment_id):
            async with self._hubs.joined(environment_id) as hub:
                audience = self._audiences.get(hub)
                if audience is None:
                    audience = self._audiences[hub] = Audience(hub)
                client = Client(
                    socket,
                    audience,
                    placing,
                    limits=self._limits.client,
                    greeting=self._greeting,
                    form=Form.wanted(batch=parameters.batched(request.query), deflate=socket.deflates),
                )
                del placing  # the client drops it when it isn't needed any more
                logger.info("stream opened", extra=about | {"clients": self.clients + 1})
                self._clients.add(client)
                self._empty.clear()
                try:
                    return await client.run()
                finally:
                    about |= {"sent": client.sent, "lost": client.lost}
                    self._clients.discard(client)
                    if not self._clients:
                        self._empty.set()

    async def drain(self) -> None:
        """End every stream politely: announce, flush, 1012, and abort whoever takes none of it."""
        self.draining = True
        clients = tuple(self._clients)
        spread = max(1.0, len(clients) / self._limits.comeback_rate)
        for client in clients:
            client.drain(round(random.uniform(0.1, spread), 1))  # noqa: S311 jitter is no secret
        flushing = [asyncio.create_task(client.flushed()) for client in clients]
        if flushing:
            _, pending = await asyncio.wait(flushing, timeout=self._limits.flush)
            for task in pending:
                task.cancel()
        for client in clients:
            client.end(restart())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.socket.closing + 0.5):
                await self._empty.wait()
        for client in tuple(self._clients):
            client.abort()
