"""Names: environment -> services, deployments. Asked of Railway seldom, and never twice for one unknown id in a row."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import cattrs

from logrelay.errors import UpstreamError
from logrelay.railway import holes
from logrelay.railway.answers import QueryFailed
from logrelay.railway.gateway import Gateway
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay.upstream import Description

logger = logging.getLogger(__name__)

_PAGE = 500  # services a page, as Railway's CLI asks (facts.md section 10)
_MOST_PAGES = 20
_FIRST_WAIT = 0.1  # seconds, doubled with each try, between tries that records wait for
_FIRST_REST = 1.0  # seconds, doubled each time, after tries that were given up
_MOST_UNKNOWN = 1000  # ids; hostile ones must not grow the memory for ever


@attrs.frozen
class Deployment:
    """A deployment as discovery knows it."""

    id: str
    status: str
    createdAt: str  # noqa: N815 Railway's name


@attrs.frozen
class _Service:
    serviceId: str  # noqa: N815 Railway's name
    serviceName: str  # noqa: N815 as above
    latestDeployment: Deployment | None = None  # noqa: N815 as above
    activeDeployments: list[Deployment] = attrs.Factory(list)  # noqa: N815 as above


@attrs.frozen
class _Edge:
    node: _Service


@attrs.frozen
class _PageInfo:
    hasNextPage: bool  # noqa: N815 Railway's name
    endCursor: str | None = None  # noqa: N815 as above


@attrs.frozen
class _Services:
    edges: list[_Edge]
    pageInfo: _PageInfo  # noqa: N815 Railway's name


@attrs.frozen
class _Environment:
    name: str
    serviceInstances: _Services  # noqa: N815 Railway's name


_converter = cattrs.Converter()


class Directory:
    """What one environment and its services are called.

    Names are kept for `refresh_after` seconds. An id that is unknown after a refresh is asked for again only after
    `retry_after` seconds. A refresh that fails is tried again for as long as records may wait for it; after that the
    next one comes a second later, then two, four, and `retry_after` seconds at most.
    """

    def __init__(
        self,
        gateway: Gateway,
        environment_id: str,
        *,
        refresh_after: float = 600.0,  # seconds
        retry_after: float = 60.0,  # seconds
        patience: float = 2.0,  # seconds that records may wait for a new name
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._environment_id = environment_id
        self._refresh_after = refresh_after
        self._retry_after = retry_after
        self._patience = patience
        self._clock = clock
        self._names: dict[str, str] = {}
        self._unknown: dict[str, float] = {}
        self._fetched: float | None = None
        self._failed: float | None = None
        self._rest = 0.0  # seconds after the last refresh that was given up
        self._resting_until = -math.inf
        self._refreshing: asyncio.Task[None] | None = None
        self._told = Description()
        self.description = Description()
        self.deployments: dict[str, tuple[Deployment, ...]] = {}

    def name(self, service_id: str | None) -> str | None:
        """The service's name, or None where it isn't known."""
        return None if service_id is None else self._names.get(service_id)

    @property
    def failing(self) -> bool:
        """Whether the last refresh failed, so that names may be out of date."""
        return self._failed is not None

    async def refresh(self) -> None:
        """Ask Railway. Raises UpstreamError; what was known stays known."""
        try:
            environment_name, services = await self._ask()
        except UpstreamError:
            self._failed = self._clock()
            raise
        self._failed = None
        self._rest = 0.0
        self._fetched = self._clock()
        # A service that is momentarily not listed keeps its name (facts.md section 6).
        self._names |= {service.serviceId: service.serviceName for service in services}
        self.deployments = {
            service.serviceId: tuple(service.activeDeployments)
            or ((service.latestDeployment,) if service.latestDeployment else ())
            for service in services
        }
        pairs = sorted((service.serviceId, service.serviceName) for service in services)
        self.description = Description(environment_name, tuple(pairs))

    async def _ask(self) -> tuple[str, list[_Service]]:
        services: list[_Service] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            data = await self._gateway.query(
                "EnvironmentNames", {"environmentId": self._environment_id, "first": _PAGE, "after": after}
            )
            environment = _structure(data)
            services += [edge.node for edge in environment.serviceInstances.edges]
            info = environment.serviceInstances.pageInfo
            if not info.hasNextPage or not info.endCursor:
                break
            after = info.endCursor
        return environment.name, services

    async def resolve(self, service_ids: Iterable[str | None]) -> bool:
        """See that these ids have names if Railway knows any, waiting at most `patience`.

        Returns whether the description has changed since the last call.

        Records wait for this, because a filter by name would otherwise pass over a new service's first lines.
        """
        now = self._clock()
        wanted = {
            identity
            for identity in service_ids
            if identity is not None
            and identity not in self._names
            and now - self._unknown.get(identity, -self._retry_after) >= self._retry_after
        }
        stale = self._fetched is None or now - self._fetched >= self._refresh_after
        if (wanted or stale) and now >= self._resting_until:
            task = self._begin()
            if wanted:
                await asyncio.wait([task], timeout=self._patience)
                if not self.failing:
                    self._remember_unknown(wanted - self._names.keys(), now)
        changed = self.description != self._told
        self._told = self.description
        return changed

    def _remember_unknown(self, identities: Iterable[str], now: float) -> None:
        for identity in identities:
            self._unknown[identity] = now
        while len(self._unknown) > _MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]

    def _begin(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh_quietly(), name="names")
        return self._refreshing

    async def _refresh_quietly(self) -> None:
        end, wait = self._clock() + self._patience, _FIRST_WAIT
        while True:
            try:
                await self.refresh()
            except UpstreamError as error:
                if holes.wanted(error) != 0.0 or self._clock() + wait >= end:
                    self._rest = min(max(2 * self._rest, _FIRST_REST), self._retry_after)
                    self._resting_until = self._clock() + self._rest
                    logger.warning("names not refreshed", extra={"reason": str(error)})
                    return
            else:
                return
            await asyncio.sleep(wait)
            wait *= 2

    async def close(self) -> None:
        """End a refresh that is under way."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])


def _structure(data: dict[str, Any]) -> _Environment:
    try:
        return _converter.structure(data["environment"], _Environment)
    except (cattrs.BaseValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise QueryFailed(
            Verdict(Kind.TRANSIENT, "Railway's answer about the environment can't be read")
        ) from error
