"""What the relay's token sees, by name: environments, and one environment's services. Asked of Railway seldom.

Answers are shared by all who ask within a minute, and so are failures for a while: a page that is loaded often costs
no more than one that is loaded once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Generic, TypeVar

import attrs
import cattrs

from logrelay.errors import Scope, UpstreamError, UpstreamRefused, UpstreamUnavailable
from logrelay.railway.answers import QueryFailed
from logrelay.railway.gateway import Gateway
from logrelay.railway.verdicts import Kind
from logrelay.relay.names import Deployment, Environment, Service

Value = TypeVar("Value")

_KEPT = 60.0  # seconds
_RESTS = 5.0  # seconds after a failure
_MOST = 1000  # environments whose services are kept
_PAGE = 500  # projects, environments of each, services (facts.md section 10)


@attrs.frozen
class _Named:
    id: str
    name: str
    deletedAt: str | None = None  # noqa: N815 Railway's name


@attrs.frozen
class _NamedEdge:
    node: _Named


@attrs.frozen
class _NamedPage:
    edges: list[_NamedEdge]


@attrs.frozen
class _Project:
    id: str
    name: str
    environments: _NamedPage
    deletedAt: str | None = None  # noqa: N815 Railway's name


@attrs.frozen
class _ProjectEdge:
    node: _Project


@attrs.frozen
class _Projects:
    edges: list[_ProjectEdge]


@attrs.frozen
class _Deployment:
    id: str
    status: str
    createdAt: str  # noqa: N815 Railway's name


@attrs.frozen
class _Instance:
    serviceId: str  # noqa: N815 Railway's name
    serviceName: str  # noqa: N815 as above
    latestDeployment: _Deployment | None = None  # noqa: N815 as above
    activeDeployments: list[_Deployment] = attrs.Factory(list)  # noqa: N815 as above


@attrs.frozen
class _InstanceEdge:
    node: _Instance


@attrs.frozen
class _Instances:
    edges: list[_InstanceEdge]


@attrs.frozen
class _Environment:
    id: str
    name: str
    projectId: str  # noqa: N815 Railway's name
    serviceInstances: _Instances  # noqa: N815 as above


_converter = cattrs.Converter()


@attrs.define
class _Shared(Generic[Value]):
    """An answer that is asked for once, for all who wait and for those who come while it is fresh."""

    task: asyncio.Task[Value]
    until: float  # of the clock
    waiting: int = 0


class Catalogue:
    """See names.Catalogue. `clock` gives seconds."""

    def __init__(self, gateway: Gateway, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._all: OrderedDict[str, _Shared[Sequence[Environment]]] = OrderedDict()
        self._one: OrderedDict[str, _Shared[tuple[Environment, Sequence[Service]]]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Catalogue {len(self._one)} environments>"

    async def environments(self) -> Sequence[Environment]:
        """All environments that the token sees. Raises UpstreamError."""
        ask = self._ask_own if self._gateway.credential.project else self._ask_all
        return await self._shared(self._all, "", ask)

    async def services(self, environment_id: str) -> tuple[Environment, Sequence[Service]]:
        """One environment, and its services with their deployments.

        Raises UpstreamError; UpstreamRefused about the environment where Railway knows none with this id.
        """
        return await self._shared(self._one, environment_id, lambda: self._ask_one(environment_id))

    async def _shared(
        self,
        kept: "OrderedDict[str, _Shared[Value]]",
        key: str,
        ask: Callable[[], Coroutine[None, None, Value]],
    ) -> Value:
        shared = kept.get(key)
        if shared is None or (shared.task.done() and self._clock() >= shared.until):
            shared = kept[key] = _Shared(asyncio.create_task(ask()), self._clock() + _KEPT)
            kept.move_to_end(key)
            while len(kept) > _MOST:
                kept.popitem(last=False)
        shared.waiting += 1
        try:
            # One who leaves doesn't take it from the others.
            return await asyncio.shield(shared.task)
        except UpstreamError as error:
            shared.until = min(shared.until, self._clock() + _RESTS)
            raise error.with_traceback(None) from None  # shared by all who waited
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                shared.task.cancel()  # nobody waits for it any more
                kept.pop(key, None)

    async def _ask_own(self) -> Sequence[Environment]:
        """A project token sees one environment."""
        environment, _ = await self.services(await self._gateway.own_environment())
        return [environment]

    async def _ask_all(self) -> Sequence[Environment]:
        data = await self._gateway.query("Projects", {"first": _PAGE})
        try:
            projects = _converter.structure(data["projects"], _Projects)
        except (cattrs.BaseValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UpstreamUnavailable("Railway's list of projects can't be read") from error
        return [
            Environment(environment.node.id, environment.node.name, project.node.id, project.node.name)
            for project in projects.edges
            for environment in project.node.environments.edges
            if project.node.deletedAt is None and environment.node.deletedAt is None
        ]

    async def _ask_one(self, environment_id: str) -> tuple[Environment, Sequence[Service]]:
        try:
            data = await self._gateway.query(
                "EnvironmentNames", {"environmentId": environment_id, "first": _PAGE, "after": None}
            )
        except QueryFailed as failed:
            if failed.verdict.kind is Kind.REFUSED and not failed.verdict.credential:
                raise UpstreamRefused(failed.reason, Scope.ENVIRONMENT) from failed
            raise
        try:
            read = _converter.structure(data["environment"], _Environment)
        except (cattrs.BaseValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UpstreamUnavailable("Railway's answer about the environment can't be read") from error
        services = [_service(edge.node) for edge in read.serviceInstances.edges]
        return Environment(read.id, read.name, read.projectId, None), services


def _service(instance: _Instance) -> Service:
    """Its running deployments, and the latest one where that is another; the newest first."""
    found = {deployment.id: deployment for deployment in instance.activeDeployments}
    if instance.latestDeployment is not None:
        found[instance.latestDeployment.id] = instance.latestDeployment
    newest = sorted(found.values(), key=lambda deployment: deployment.createdAt, reverse=True)
    deployments = tuple(Deployment(each.id, each.status, each.createdAt) for each in newest)
    return Service(instance.serviceId, instance.serviceName, deployments)
