"""What a caller may look at, by name: `GET /api/environments` and `GET /api/environments/{id}` (protocol.md section 6).

Who may see what is decided as for the stream. A ticket opens one stream and lists nothing, so it isn't used up here.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import hdrs, web

from logrelay.errors import CloseCode, Disconnect, Scope, UpstreamError, UpstreamRefused, UpstreamUnavailable
from logrelay.relay.names import Catalogue, Environment, Service
from logrelay.web import protocol
from logrelay.web.answers import refusal
from logrelay.web.door import Door
from logrelay.web.endings import not_allowed, unauthenticated
from logrelay.web.grants import Credential, Grant, Source
from logrelay.web.seals import Kind, kind_of

logger = logging.getLogger(__name__)

_MOST = 500  # environments that a list has
_AT_ONCE = 8  # of them are asked about at a time, where another service decides
_STATUS = {CloseCode.UNAUTHENTICATED: 401, CloseCode.NOT_ALLOWED: 403, CloseCode.UNKNOWN_ENVIRONMENT: 403}


class EnvironmentsApi:
    """Answers the two. Names that Railway doesn't tell in time are null in the list; the ids are there all the same."""

    def __init__(self, door: Door, catalogue: Catalogue) -> None:
        self._door = door
        self._access = door.access
        self._catalogue = catalogue

    def add_routes(self, app: web.Application, base_path: str) -> list[web.AbstractRoute]:
        """Put the routes into the application; gives those that other origins' pages may use."""
        path = f"{base_path}/api/environments"
        return [
            app.router.add_route(hdrs.METH_GET, path, self.listed),
            app.router.add_route(hdrs.METH_GET, f"{path}/{{environment_id}}", self.described),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """`GET /api/environments`."""
        return await self._answered(request, self._listed)

    async def described(self, request: web.Request) -> web.Response:
        """`GET /api/environments/{environment_id}`."""
        return await self._answered(request, self._described)

    async def _answered(
        self,
        request: web.Request,
        act: Callable[[web.Request, Credential | None], Awaitable[web.Response]],
    ) -> web.Response:
        """The answer, or the refusal in its place."""
        doors = self._access.doors
        cookie = doors.brings_cookie(request) and not _by_own_page(request)
        if not self._door.admits(request, cookie=cookie):
            return refusal(403, "origin_not_allowed", "this origin may not ask here")
        wait = self._door.handshakes.admit(self._door.proxies.address(request))
        if wait:
            message = f"too many requests from this address; come back in {math.ceil(wait)} s"
            return refusal(429, "too_many_requests", message, retry_after=wait)
        try:
            return await act(request, self._credential(request))
        except Disconnect as refused:
            return self._refusal(refused)
        except UpstreamRefused as error:
            if error.scope is Scope.ENVIRONMENT:
                message = "Railway knows no such environment, or the relay's token can't see it"
                return refusal(404, "unknown_environment", message)
            return refusal(503, "upstream_refused", error.reason)
        except UpstreamError as error:
            later = error.retry_after if isinstance(error, UpstreamUnavailable) else None
            return refusal(503, "upstream_unavailable", error.reason, retry_after=later or 5.0)

    def _credential(self, request: web.Request) -> Credential | None:
        """What the caller shows. Raises Disconnect where it shows nothing and must, or a ticket."""
        found = self._access.find(request)
        if isinstance(found, Disconnect):
            raise found
        if found is None and self._access.required:
            raise unauthenticated("show who you are by Authorization")
        if found is not None and (found.source is Source.TICKET or kind_of(found.token) is Kind.TICKET):
            raise unauthenticated("a ticket opens one stream, and lists nothing")
        return found

    def _refusal(self, end: Disconnect) -> web.Response:
        """What a stream would end by, as an HTTP answer; who must sign in is told how."""
        status = _STATUS.get(end.code, 503)
        if status == 401:  # noqa: PLR2004 Unauthorized
            error = {"code": end.error or "unauthenticated", "message": end.message}
            body = protocol.encode({"error": error, "auth": self._access.mode})
            headers = {hdrs.WWW_AUTHENTICATE: "Bearer"}
            return web.Response(status=status, body=body, content_type="application/json", headers=headers)
        if status == 403:  # noqa: PLR2004 Forbidden
            end = not_allowed()  # not yours and not there look alike
        return refusal(status, end.error or "internal", end.message, retry_after=end.retry_after)

    # -- the list -----------------------------------------------------------------------------------------------

    async def _listed(self, _request: web.Request, credential: Credential | None) -> web.Response:
        await self._learned()
        served = self._access.environments
        known: dict[str, Environment] = {}
        try:
            known = {environment.id: environment for environment in await self._catalogue.environments()}
        except UpstreamError as error:
            if served.everything:
                raise
            logger.info("environments are listed without names", extra={"reason": str(error)})
        candidates = list(known) if served.everything else sorted(served.allowed or ())
        seen = await self._seen(credential, [each for each in candidates if served.serves(each)][:_MOST])
        shown = [_environment(known.get(each, Environment(each))) for each in seen]
        shown.sort(key=lambda each: (each["projectName"] or "", each["name"] or "", each["id"] or ""))
        return _json({"environments": shown})

    async def _seen(self, credential: Credential | None, candidates: Sequence[str]) -> list[str]:
        """Those of the environments that the caller may see. Raises Disconnect where nobody knows the caller at all."""
        turns = asyncio.Semaphore(_AT_ONCE)

        async def decide(environment_id: str) -> Grant | Disconnect:
            async with turns:
                return await self._access.decide(credential, environment_id)

        decisions = await asyncio.gather(*(decide(each) for each in candidates))
        seen = [
            each for each, decision in zip(candidates, decisions, strict=True) if isinstance(decision, Grant)
        ]
        for decision in () if seen else decisions:
            if isinstance(decision, Disconnect) and decision.code is not CloseCode.NOT_ALLOWED:
                raise decision
        return seen

    # -- one environment --------------------------------------------------------------------------------------

    async def _described(self, request: web.Request, credential: Credential | None) -> web.Response:
        environment_id = request.match_info["environment_id"]
        decision = await self._access.decide(credential, environment_id)
        if isinstance(decision, Disconnect):
            raise decision
        await self._learned()
        served = self._access.environments
        served.admit(environment_id)
        if served.everything and environment_id not in {
            environment.id for environment in await self._catalogue.environments()
        }:
            raise not_allowed()  # of ids that anybody makes up, Railway isn't asked
        environment, services = await self._catalogue.services(environment_id)
        project_name = environment.project_name
        shown = [_service(service) for service in services if decision.scope.serves(service.id, service.name)]
        return _json({**_environment(environment), "projectName": project_name, "services": shown})

    async def _learned(self) -> None:
        """Wait until it is known what is served. Raises Disconnect where it won't be for now."""
        environments = self._access.environments
        await environments.learned()
        if environments.refusal is not None or (environments.allowed is None and not environments.everything):
            environments.admit("")


def _environment(environment: Environment) -> dict[str, str | None]:
    return {
        "id": environment.id,
        "name": environment.name,
        "projectId": environment.project_id,
        "projectName": environment.project_name,
    }


def _service(service: Service) -> dict[str, object]:
    deployments = [
        {"id": deployment.id, "status": deployment.status, "createdAt": deployment.created_at}
        for deployment in service.deployments
    ]
    return {"id": service.id, "name": service.name, "deployments": deployments}


def _json(body: object) -> web.Response:
    return web.Response(body=protocol.encode(body), content_type="application/json")


def _by_own_page(request: web.Request) -> bool:
    """Whether the relay's own page asks: a browser names no Origin in a GET of the page's own origin, but says so.

    The header is the browser's alone: no page's script can set it (Fetch Metadata, section 2). Where it isn't sent, as
    over plain HTTP to another machine, a cookie without an Origin opens nothing, as on the stream.
    """
    return hdrs.ORIGIN not in request.headers and request.headers.get("Sec-Fetch-Site") == "same-origin"
