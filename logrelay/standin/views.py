"""The world as GraphQL objects: plain dicts for the executor, with functions where arguments count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrelay.standin import timestamps
from logrelay.standin.errors import invalid
from logrelay.standin.services import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from logrelay.standin.services import Deployment, Service
    from logrelay.standin.world import Environment, World

    View = dict[str, Any]


def moment(ns: int) -> str:
    """Write a DateTime, which has three digits of fraction."""
    return timestamps.stamp(ns)[:23] + "Z"


def connection(nodes: Iterable[View], page: Mapping[str, Any]) -> View:
    """Cut a list of nodes to `first`/`after`; the cursors are the nodes' ids."""
    edges = [{"cursor": node["id"], "node": node} for node in nodes]
    start, after, first = 0, page.get("after"), page.get("first")
    if after is not None:
        cursors = [edge["cursor"] for edge in edges]
        if after not in cursors:
            raise invalid("after")
        start = cursors.index(after) + 1
    end = len(edges) if first is None else start + first
    shown = edges[start:end]
    return {
        "edges": shown,
        "pageInfo": {
            "hasNextPage": end < len(edges),
            "hasPreviousPage": start > 0,
            "startCursor": shown[0]["cursor"] if shown else None,
            "endCursor": shown[-1]["cursor"] if shown else None,
        },
    }


def _paged(nodes: Callable[[], Iterable[View]]) -> Callable[..., View]:
    return lambda _info, **page: connection(nodes(), page)


def deployment_view(environment: Environment, deployment: Deployment) -> View:
    """Show a deployment as it is now."""
    service = deployment.service
    status = "REMOVED" if deployment.status == "REMOVED" else "RUNNING"
    return {
        "id": deployment.id,
        "status": deployment.status,
        "deploymentStopped": deployment.stopped,
        "serviceId": service.id,
        "environmentId": environment.id,
        "projectId": environment.project_id,
        "snapshotId": deployment.snapshot_id,
        "createdAt": moment(deployment.created_ns),
        "updatedAt": moment(deployment.status_ns),
        "statusUpdatedAt": moment(deployment.status_ns),
        "meta": {},
        "canRedeploy": True,
        "canRollback": False,
        "suggestAddServiceDomain": False,
        "instances": [{"id": instance.id, "status": status} for instance in deployment.instances],
        "environment": lambda _info: environment_view(environment),
        "service": lambda _info: service_view(environment, service),
    }


def service_view(environment: Environment, service: Service) -> View:
    """Show a service."""
    return {
        "id": service.id,
        "name": service.name,
        "projectId": environment.project_id,
        "createdAt": moment(service.created_ns),
        "updatedAt": moment(service.created_ns),
        "hasHiddenRegistryCredentialsFromTemplate": False,
        "isRestricted": False,
        "serviceInstances": _paged(lambda: [instance_view(environment, service)]),
        "deployments": _paged(lambda: newest_first(environment, [service])),
    }


def newest_first(environment: Environment, services: Iterable[Service]) -> list[View]:
    """Show the deployments of services, the newest first."""
    deployments = [deployment for service in services for deployment in service.deployments]
    deployments.sort(key=lambda deployment: -deployment.created_ns)
    return [deployment_view(environment, deployment) for deployment in deployments]


def instance_view(environment: Environment, service: Service) -> View:
    """Show a service in its environment: a service instance, in Railway's words."""
    domain = {
        "id": f"{service.instance_id}-domain",
        "domain": f"{service.name}-{environment.name}.up.example",
        "environmentId": environment.id,
        "serviceId": service.id,
    }
    running = [deployment for deployment in service.deployments if deployment.status in RUNNING]
    latest = service.deployments[-1] if service.deployments else None
    return {
        "id": service.instance_id,
        "serviceId": service.id,
        "serviceName": service.name,
        "environmentId": environment.id,
        "createdAt": moment(service.created_ns),
        "updatedAt": moment(service.created_ns),
        "numReplicas": len(latest.instances) if latest else None,
        "restartPolicyMaxRetries": 10,
        "restartPolicyType": "ON_FAILURE",
        "domains": {"serviceDomains": [domain], "customDomains": []},
        "service": lambda _info: service_view(environment, service),
        "latestDeployment": deployment_view(environment, latest) if latest else None,
        "activeDeployments": [deployment_view(environment, deployment) for deployment in running],
    }


def environment_view(environment: Environment) -> View:
    """Show an environment."""
    services = environment.services
    return {
        "id": environment.id,
        "name": environment.name,
        "projectId": environment.project_id,
        "canAccess": True,
        "isEphemeral": False,
        "createdAt": moment(environment.created_ns),
        "updatedAt": moment(environment.created_ns),
        "serviceInstances": _paged(lambda: [instance_view(environment, service) for service in services]),
        "deployments": _paged(lambda: newest_first(environment, services)),
    }


def project_view(world: World, environments: list[Environment]) -> View:
    """Show the world's project, with as much of it as these environments are."""
    by_name = {
        service.name: (environment, service)
        for environment in reversed(environments)
        for service in environment.services
    }
    return {
        "id": world.project_id,
        "name": world.project_name,
        "createdAt": moment(world.created_ns),
        "updatedAt": moment(world.created_ns),
        "botPrEnvironments": False,
        "focusedPrEnvironments": False,
        "isPublic": False,
        "isTempProject": False,
        "prDeploys": False,
        "subscriptionType": "hobby",
        "workspaceId": world.workspace_id,
        "primaryEnvironmentId": world.environment.id,
        "environments": _paged(lambda: map(environment_view, environments)),
        "services": _paged(lambda: [service_view(*place) for place in by_name.values()]),
    }


def user_view(world: World) -> View:
    """Show the account that owns the world."""
    return {
        "id": world.user_id,
        "name": "Ada",
        "username": "ada",
        "email": "ada@mail.example",
        "workspaces": [],
        "apiTokenRateLimit": {
            "remainingPoints": 1000,
            "resetsAt": moment(world.clock() + 3600 * timestamps.SECOND),
        },
    }
