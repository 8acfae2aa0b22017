"""What environments, services and deployments are called: values that both sides of the core know. Asks nobody."""

from collections.abc import Sequence
from typing import Protocol

import attrs


@attrs.frozen
class Environment:
    """An environment. What isn't known is None."""

    id: str
    name: str | None = None
    project_id: str | None = None
    project_name: str | None = None


@attrs.frozen
class Deployment:
    """A deployment: its status in Railway's words, and when it was made as Railway writes it (RFC 3339)."""

    id: str
    status: str
    created_at: str


@attrs.frozen
class Service:
    """A service in an environment, with the deployments that run and the latest one, newest first."""

    id: str
    name: str
    deployments: tuple[Deployment, ...] = ()


class Catalogue(Protocol):
    """Whoever knows the names. May be asked often: what it takes from elsewhere, it keeps for a while."""

    async def environments(self) -> Sequence[Environment]:
        """All environments that the relay's token sees. Raises UpstreamError."""

    async def services(self, environment_id: str) -> tuple[Environment, Sequence[Service]]:
        """One environment, and its services.

        Raises UpstreamError; UpstreamRefused about the environment where there is none with this id.
        """
