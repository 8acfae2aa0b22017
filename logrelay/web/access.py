"""Who may look at what: one decision about one caller and one environment, returned as a value."""

from collections.abc import Mapping
from typing import Protocol, Self

import attrs
from aiohttp import web

from logrelay.errors import Disconnect
from logrelay.web.credentials import Doors
from logrelay.web.endings import expired, not_allowed, unauthenticated
from logrelay.web.environments import Environments
from logrelay.web.grants import Credential, Grant, Guard, Source

Decision = Grant | Disconnect
EVERYONE = Grant("none")


class TicketOffice(Protocol):
    """Tickets, as far as a decision needs them."""

    def recognises(self, text: str) -> bool:
        """Whether a text has the form of one of our own credentials."""

    def admit(self, credential: Credential, environment_id: str) -> Grant:
        """The grant of a ticket, which is used up, or of a reconnect token. Raises Disconnect."""

    def reconnect_token(self, grant: Grant) -> str | None:
        """A credential of the same scope for coming back, for who has come by a ticket."""

    def revoked(self, grant: Grant) -> bool:
        """Whether a grant was revoked since it was made."""


@attrs.frozen
class Access:
    """Decides by the mode's guard (None: everyone may look, or only who has a ticket), and by tickets beside it.

    Nothing falls through: a credential that is shown is judged, and that judgement stands. Railway isn't asked, and
    "not yours" can't be told from "not there" (faults.md C21).
    """

    environments: Environments
    guard: Guard | None = None
    tickets: TicketOffice | None = None
    ticket_only: bool = False  # nobody is let in without one

    @property
    def mode(self) -> str:
        """The name of the mode."""
        return self.guard.mode if self.guard is not None else "ticket" if self.ticket_only else "none"

    @property
    def required(self) -> bool:
        """Whether a credential must be shown."""
        return self.guard is not None or self.ticket_only

    @property
    def doors(self) -> Doors:
        """Where credentials are looked for."""
        return Doors(
            required=self.required, forwards=self.mode == "forward", tickets=self.tickets is not None
        )

    async def decide(self, credential: Credential | None, environment_id: str) -> Decision:
        """What this caller may see of this environment, or the end that its connection comes to."""
        try:
            grant = await self._granted(credential, environment_id)
        except Disconnect as refused:
            refused.__traceback__ = None
            return refused
        seconds = grant.seconds
        if seconds is not None and seconds <= 0:
            return expired()
        if self.tickets is not None and self.tickets.revoked(grant):
            return expired()
        if not grant.covers(environment_id):
            return not_allowed()
        return grant

    async def _granted(self, credential: Credential | None, environment_id: str) -> Grant:
        if (
            credential is not None
            and self.tickets is not None
            and (credential.source is Source.TICKET or self.tickets.recognises(credential.token))
        ):
            return self.tickets.admit(credential, environment_id)
        if not self.required:
            return EVERYONE
        if credential is None:
            raise unauthenticated(
                "show who you are: by Authorization, a subprotocol, a ticket or an `auth` message"
            )
        if self.guard is None:
            raise unauthenticated()
        return await self.guard.grant(credential, environment_id)

    def find(self, request: web.BaseRequest) -> Credential | Disconnect | None:
        """The request's credential, None where it has none, or the end that a bad one comes to."""
        try:
            return self.doors.find(request)
        except Disconnect as refused:
            refused.__traceback__ = None
            return refused

    def describe(self) -> Mapping[str, object]:
        """For `/readyz`."""
        return {"mode": self.mode} | dict(
            self.guard.describe() if self.guard is not None else {"state": "ok"}
        )

    async def __aenter__(self) -> Self:
        """Open what the guard needs."""
        if self.guard is not None:
            await self.guard.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        if self.guard is not None:
            await self.guard.__aexit__(*exc)
