"""What a caller shows, and what it may see for it: credentials and grants, as values. Decides nothing."""

import enum
import time
from collections.abc import Mapping
from typing import Protocol, Self

import attrs

from logrelay.relay.filters import EVERYTHING, Filter


class Source(enum.Enum):
    """Where a credential was found (protocol.md section 1, in the order in which they are looked for)."""

    HEADER = "header"  # Authorization
    SUBPROTOCOL = "subprotocol"
    TICKET = "ticket"  # the query parameter
    COOKIE = "cookie"
    MESSAGE = "message"  # `auth`


@attrs.frozen
class Credential:
    """What a caller has shown. Its texts are secrets, so they are in no `repr`.

    `token` is the bare token, without `Bearer`; empty for a cookie, and for an Authorization of another scheme.
    `headers` are those that the main API is asked with in forward mode; empty in all other modes.
    """

    source: Source
    token: str = attrs.field(default="", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class Grant:
    """What a caller may see, and for how long.

    `until` is a time of `time.monotonic()`, so that a clock that jumps changes nothing (faults.md P9).
    """

    kind: str  # none, token, jwt, forward, ticket
    subject: str | None = None  # who it is, for limits and the audit line
    named: bool = True  # whether the subject is a name, and not made of the credential itself
    environments: frozenset[str] | None = None  # ids; None: all that the relay serves
    scope: Filter = EVERYTHING  # records that it doesn't match never leave
    until: float | None = None
    issued: float | None = None  # seconds since 1970, where the credential says so
    ticket: str | None = None  # id of the ticket that it comes from

    def covers(self, environment_id: str) -> bool:
        """Whether this environment may be seen."""
        return self.environments is None or environment_id in self.environments

    @property
    def seconds(self) -> float | None:
        """How long it lasts from now on."""
        return None if self.until is None else self.until - time.monotonic()


class Guard(Protocol):
    """One way to tell who a caller is: a mode of authentication."""

    mode: str
    recheck: (
        float | None
    )  # seconds after which a live connection's credential is looked at again; None: never

    async def grant(self, credential: Credential, environment_id: str) -> Grant:
        """What this credential allows; whether it covers the environment is judged by the caller.

        Raises Disconnect (`endings.unauthenticated()` and its neighbours) where it allows nothing.
        """

    def describe(self) -> Mapping[str, object]:
        """How it is, for `/readyz`: `{"state": "ok"}`, or `{"state": "failing", …}`. No secrets."""

    def reload(self) -> bool:
        """Read again what may have changed (SIGHUP); whether live connections must be looked at again."""

    async def __aenter__(self) -> Self:
        """Open what it needs."""

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
