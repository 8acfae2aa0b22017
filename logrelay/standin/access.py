"""Who is calling, and what that lets them see (facts.md section 2). Decides; refuses by RefusedError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from logrelay.standin.errors import BAD_INPUT, NOT_AUTHORIZED, PROBLEM, PROJECT_TOKEN_NOT_FOUND, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrelay.standin.services import Deployment
    from logrelay.standin.world import Environment, World


@attrs.frozen
class Caller:
    """A caller's token, judged: a kind, or the refusal that whatever they ask is answered with."""

    kind: str | None  # account, project or nothing
    environment_id: str | None = None  # a project token's only environment
    refusal: RefusedError | None = None

    def admitted(self) -> None:
        """Refuse a caller without a good token."""
        if self.refusal is not None:
            raise RefusedError(self.refusal.message, self.refusal.code)

    def account(self) -> None:
        """Refuse everybody who isn't an account."""
        self.admitted()
        if self.kind != "account":
            raise RefusedError(NOT_AUTHORIZED)

    def project(self) -> str:
        """Return the id of a project token's environment; refuse others."""
        self.admitted()
        if self.environment_id is None:
            raise RefusedError(PROJECT_TOKEN_NOT_FOUND)
        return self.environment_id

    def environment(self, world: World, environment_id: str) -> Environment:
        """Return the environment if the caller may see it; what doesn't exist looks the same."""
        self.admitted()
        environment = world.find_environment(environment_id)
        if environment is None or self.environment_id not in (None, environment.id):
            raise RefusedError(NOT_AUTHORIZED)
        return environment

    def deployment(self, world: World, deployment_id: str) -> tuple[Environment, Deployment]:
        """Return the deployment and its environment if the caller may see them."""
        self.admitted()
        for environment in world.environments:
            for service in environment.services:
                for deployment in service.deployments:
                    if deployment.id == deployment_id:
                        return self.environment(world, environment.id), deployment
        raise RefusedError("Deployment not found")


NOBODY = Caller(None, refusal=RefusedError(NOT_AUTHORIZED))


def _bearer(value: Any) -> str | None:
    if not isinstance(value, str) or not value.lower().startswith("bearer "):
        return None
    return value[len("bearer ") :].strip()


def caller_by_headers(world: World, headers: Mapping[str, str]) -> Caller | None:
    """Judge the headers of a request; None where they name no token."""
    project_token = headers.get("Project-Access-Token")
    if project_token is not None:
        environment_id = world.project_tokens.get(project_token)
        return NOBODY if environment_id is None else Caller("project", environment_id)
    token = _bearer(headers.get("Authorization"))
    if token is None:
        return None
    if token in world.project_tokens:
        return Caller(None, refusal=RefusedError(PROJECT_TOKEN_NOT_FOUND))
    return Caller("account") if token in world.tokens else NOBODY


def caller_by_init(world: World, payload: Any) -> Caller:
    """Judge the payload of a `connection_init`. A project token isn't understood there."""
    given = {str(key).lower(): value for key, value in payload.items()} if isinstance(payload, dict) else {}
    token = _bearer(given.get("authorization"))
    if "project-access-token" in given or token in world.project_tokens:
        return Caller(None, refusal=RefusedError(PROBLEM, BAD_INPUT))
    return Caller("account") if token in world.tokens else NOBODY
