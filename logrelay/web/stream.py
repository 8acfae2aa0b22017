"""The stream's handshake: who is calling, may they, and where in the history they begin. And the end of all streams."""

import asyncio
import contextlib
import itertools
import logging
import random
import weakref

import attrs
from aiohttp import hdrs, web

from logrelay.errors import CloseCode, Disconnect, FilterInvalid, MessageInvalid, ParameterInvalid
from logrelay.relay.hub import Hub, Hubs
from logrelay.web import parameters, protocol
from logrelay.web.answers import refusal
from logrelay.web.audience import Audience
from logrelay.web.audit import Audit
from logrelay.web.client import Client
from logrelay.web.counts import StreamCounts
from logrelay.web.door import Door
from logrelay.web.endings import failed, gone, restart, unauthenticated
from logrelay.web.frames import Form
from logrelay.web.grants import Credential, Grant
from logrelay.web.greeting import Greeting
from logrelay.web.leases import Leases
from logrelay.web.limits import ClientLimits
from logrelay.web.placing import ResumeLimits
from logrelay.web.protocol import AuthCommand
from logrelay.web.socket import Socket, SocketLimits

logger = logging.getLogger(__name__)

_COMEBACK = 1.0  # seconds after which those who come while the relay ends may try again


@attrs.frozen
class StreamLimits:
    """All limits of streams."""

    client: ClientLimits = attrs.Factory(ClientLimits)
    socket: SocketLimits = attrs.Factory(SocketLimits)
    resume: ResumeLimits = attrs.Factory(ResumeLimits)
    auth: float = 5.0  # seconds for the `auth` message of those who show nothing before
    flush: float = 2.0  # seconds to send what has arrived, at the end
    comeback_rate: float = 100.0  # clients a second that may come back after a restart


class Streams:
    """Serves the stream route, and knows every client of this process."""

    def __init__(
        self,
        hubs: Hubs,
        door: Door,
        leases: Leases,
        *,
        greeting: Greeting,
        limits: StreamLimits,
        audit_search: bool = False,
    ) -> None:
        self._hubs = hubs
        self._door = door
        self._leases = leases
        self._greeting = greeting
        self._limits = limits
        self._audit_search = audit_search
        self._audiences: weakref.WeakValueDictionary[Hub, Audience] = weakref.WeakValueDictionary()
        self._clients: set[Client] = set()
        self._numbers = itertools.count(1)
        self._empty = asyncio.Event()
        self._empty.set()
        self.counts = StreamCounts(self._clients)
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
            code, answer = refused
            self.counts.refused[code] += 1
            about = {"status": answer.status, "error": code, "address": self._door.proxies.address(request)}
            logger.info("stream refused", extra=about)
            return answer
        with self._door.places.of_process():
            try:
                deflate = parameters.batched(request.query)
                socket = await Socket.upgraded(request, self._limits.socket, deflate=deflate)
            except web.HTTPBadRequest:
                self.counts.refused["bad_request"] += 1
                headers = {"Sec-WebSocket-Version": "13"}
                return refusal(400, "bad_request", "the WebSocket handshake is broken", headers=headers)
            await self._serve(request, socket)
        return socket.response

    def _refusal(self, request: web.Request) -> tuple[str, web.Response] | None:
        """What is refused before the upgrade (protocol.md section 1), in the order of what it costs."""
        if "websocket" not in request.headers.get(hdrs.UPGRADE, "").casefold():
            message = "this is a WebSocket; connect to it with one"
            headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
            return _refused(426, "upgrade_required", message, headers=headers)
        if self.draining:
            return _refused(503, "draining", "the relay is about to restart", retry_after=_COMEBACK)
        if not self._door.admits(request, cookie=self._door.access.doors.brings_cookie(request)):
            return _refused(403, "origin_not_allowed", "this origin may not open a stream here")
        full = self._door.full(request, crowded=self.crowded)
        if full is not None:
            return _refused(503, "too_many_connections", full.message, retry_after=full.seconds)
        return None

    async def _serve(self, request: web.Request, socket: Socket) -> None:
        """One connection after its upgrade; refusals are messages from here on, because browsers can read those."""
        address = self._door.proxies.address(request)
        audit = Audit(next(self._numbers), address, with_search=self._audit_search)
        try:
            end = await self._served(request, socket, audit)
        except (ParameterInvalid, FilterInvalid) as error:
            code = "filter_invalid" if isinstance(error, FilterInvalid) else "parameter_invalid"
            end = Disconnect(CloseCode.PARAMETERS, code, str(error))
            await socket.close(end)
        except Disconnect as refused:
            end = refused
            await socket.close(end)
        except Exception:
            logger.exception("connection failed", extra=audit.known)
            end = failed()
            await socket.close(end)
        if not audit.opened and end.error is not None:
            self.counts.refused[end.error] += 1
        audit.closed(end, socket.written)

    async def _served(self, request: web.Request, socket: Socket, audit: Audit) -> Disconnect:
        """Admit and serve one client to its end; raises what it is refused for."""
        environment_id = request.match_info["environment_id"]
        self._stop_where_draining(socket)
        credential = await self._credential(request, socket)
        grant = await self._granted(credential, environment_id)
        environments = self._door.access.environments
        if not environments.known:
            waiting = {"environmentId": environment_id, "upstream": {"state": "connecting"}}
            socket.send(protocol.status("connecting", waiting))
            await environments.learned()
            # The grant may have been taken back meanwhile. A ticket can't be shown twice; `lease` looks at those.
            if grant.kind != "ticket":
                grant = await self._granted(credential, environment_id)
        environments.admit(environment_id)
        audit.admitted(environment_id, grant)
        placing = parameters.read(request.query, self._limits.resume)
        self._stop_where_draining(socket)
        with self._door.places.of(environment_id, subject=grant.subject, address=audit.address):
            async with self._hubs.joined(environment_id) as hub:
                audience = self._audiences.get(hub)
                if audience is None:
                    audience = self._audiences[hub] = Audience(hub)
                client = Client(
                    socket,
                    audience,
                    placing,
                    self._leases.lease(grant, credential, environment_id),
                    limits=self._limits.client,
                    greeting=self._greeting,
                    form=Form.wanted(batch=parameters.batched(request.query), deflate=socket.deflates),
                )
                del placing, credential, grant  # the client drops them when they aren't needed any more
                return await self._run(client, audit)

    async def _run(self, client: Client, audit: Audit) -> Disconnect:
        """Serve a client that has been let in."""
        audit.open(self.clients + 1)
        self.counts.opened += 1
        self._clients.add(client)
        self._empty.clear()
        end = failed()
        try:
            end = await client.run()
        finally:
            audit.served(client)
            self.counts.ended(client, end)
            self._clients.discard(client)
            if not self._clients:
                self._empty.set()
        return end

    def _stop_where_draining(self, socket: Socket) -> None:
        """Raises Disconnect when the relay has begun to end since the upgrade."""
        if self.draining:
            socket.send(protocol.status("draining", {"reconnectInSeconds": _COMEBACK}))
            raise restart()

    async def _credential(self, request: web.Request, socket: Socket) -> Credential | None:
        """What the caller shows, in its request or else in its first message. Raises Disconnect."""
        access = self._door.access
        found = access.find(request)
        if isinstance(found, Disconnect):
            raise found
        if found is not None or not access.required:
            return found
        try:
            with self._door.places.of_stranger():
                async with asyncio.timeout(self._limits.auth):
                    text = await socket.message()
        except TimeoutError:
            raise unauthenticated("no credential was shown in time") from None
        if text is None:
            raise gone()
        try:
            command = protocol.command(text)
        except MessageInvalid:
            command = None
        if not isinstance(command, AuthCommand):
            raise unauthenticated("the first message must be `auth`, where nothing else says who is calling")
        return access.doors.of_message(command.token)

    async def _granted(self, credential: Credential | None, environment_id: str) -> Grant:
        """What the caller may see. Raises Disconnect."""
        access = self._door.access
        decision = await access.decide(credential, environment_id)
        granted = isinstance(decision, Grant)
        undecided = isinstance(decision, Disconnect) and decision.code is CloseCode.INTERNAL
        outcome = "granted" if granted else "undecided" if undecided else "refused"
        self.counts.auth[access.mode, outcome] += 1
        if isinstance(decision, Disconnect):
            raise decision
        return decision

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


def _refused(
    status: int,
    code: str,
    message: str,
    *,
    retry_after: float | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[str, web.Response]:
    """A refusal, with the code that it is counted by."""
    return code, refusal(status, code, message, retry_after=retry_after, headers=headers)
