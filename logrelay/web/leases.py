"""Grants of live connections: each ends with its time, when it is revoked, and when it isn't confirmed any more."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from logrelay.errors import CloseCode, Disconnect
from logrelay.relay.filters import Filter
from logrelay.web.access import Access
from logrelay.web.endings import expired, unauthenticated
from logrelay.web.grants import Credential, Grant

logger = logging.getLogger(__name__)

_DOUBT = (
    60.0  # seconds since the last yes after which a connection ends that nobody can confirm (faults.md C20)
)
_AGAIN = 5.0  # seconds until somebody who didn't answer is asked again


class Leases:
    """All grants that are in use."""

    def __init__(self, access: Access, *, doubt: float = _DOUBT) -> None:
        self.access = access
        self.doubt = doubt
        self._leases: set[Lease] = set()

    def __repr__(self) -> str:
        return f"<Leases {len(self._leases)}>"

    def lease(self, grant: Grant, credential: Credential | None, environment_id: str) -> "Lease":
        """A grant that is about to be used. Raises Disconnect for one that has ended since it was given."""
        tickets, seconds = self.access.tickets, grant.seconds
        if (seconds is not None and seconds <= 0) or (tickets is not None and tickets.revoked(grant)):
            raise expired()
        return Lease(self, grant, credential, environment_id)

    def add(self, lease: "Lease") -> None:
        """This one is in use."""
        self._leases.add(lease)

    def discard(self, lease: "Lease") -> None:
        """This one isn't any more."""
        self._leases.discard(lease)

    def look_again(self) -> None:
        """What callers may see has changed: judge everyone who is connected anew."""
        for lease in tuple(self._leases):
            lease.look_again(anew=True)

    def reload(self) -> None:
        """Let the guard read again what it knows callers by (SIGHUP)."""
        guard = self.access.guard
        if guard is not None and guard.reload():
            self.look_again()

    def end_revoked(self) -> None:
        """Something was revoked: end the connections that rest on it."""
        tickets = self.access.tickets
        if tickets is not None:
            for lease in tuple(self._leases):
                if tickets.revoked(lease.grant):
                    lease.end(expired())


class Lease:
    """One connection's grant. `begin` starts its time, `close` ends it."""

    __slots__ = (
        "_changed",
        "_confirmed",
        "_credential",
        "_end",
        "_environment_id",
        "_leases",
        "_looking",
        "_timer",
        "grant",
    )

    def __init__(
        self, leases: Leases, grant: Grant, credential: Credential | None, environment_id: str
    ) -> None:
        self._leases = leases
        self._environment_id = environment_id
        self._credential = credential
        self._confirmed = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._end: Callable[[Disconnect], None] | None = None
        self._changed: Callable[[], None] | None = None
        self.grant = grant

    def __repr__(self) -> str:
        return f"<Lease of a {self.grant.kind} grant>"

    @property
    def scope(self) -> Filter:
        """Records that don't match this must not leave."""
        return self.grant.scope

    def reconnect_token(self) -> str | None:
        """A credential for coming back, for those who came by a ticket."""
        tickets = self._leases.access.tickets
        return None if tickets is None else tickets.reconnect_token(self.grant)

    def begin(self, end: Callable[[Disconnect], None], changed: Callable[[], None]) -> None:
        """The connection stands; `end` ends it, `changed` is told when the scope is another one."""
        self._end, self._changed = end, changed
        self._leases.add(self)
        self._wind()

    def close(self) -> None:
        """The connection is over."""
        self._end = self._changed = None
        self._leases.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def end(self, end: Disconnect) -> None:
        """End the connection."""
        if self._end is not None:
            self._end(end)

    async def renew(self, token: str) -> None:
        """Put another grant in the place of this one (`auth` message). Raises Disconnect when it allows less than this.

        A credential that is shown is judged, and a bad one refuses: it is no reason to go on with the old one.
        """
        access = self._leases.access
        if not access.required and not (access.tickets is not None and access.tickets.recognises(token)):
            return
        credential = access.doors.of_message(token)
        decision = await access.decide(credential, self._environment_id)
        if isinstance(decision, Disconnect):
            raise decision
        if decision.subject != self.grant.subject and decision.named and self.grant.named:
            raise unauthenticated("this credential is somebody else's; open another connection for it")
        self._credential = credential
        if self._looking is not None:  # at the one before, which counts no more
            self._looking.cancel()
            self._looking = None
        self._take(decision)

    def look_again(self, *, anew: bool = False) -> None:
        """Judge the credential again, without waiting for it; `anew` when what is on its way comes too early."""
        access = self._leases.access
        if self._looking is not None and anew:
            self._looking.cancel()
            self._looking = None
        if self._credential is None or self._looking is not None or access.guard is None:
            return
        if self.grant.kind != access.guard.mode:  # a ticket has its own time
            return
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            decision = await self._leases.access.decide(self._credential, self._environment_id)
        except Exception:
            logger.exception("a credential could not be looked at again")
            decision = expired()
        self._looking = None
        if isinstance(decision, Grant):
            self._take(decision)
        elif decision.code is CloseCode.INTERNAL and time.monotonic() - self._confirmed < self._leases.doubt:
            self._wind(_AGAIN)
        else:
            # What was valid before isn't any more.
            self.end(expired() if decision.code is CloseCode.UNAUTHENTICATED else decision)

    def _take(self, grant: Grant) -> None:
        rescoped = grant.scope != self.grant.scope
        self.grant = grant
        self._confirmed = time.monotonic()
        if rescoped and self._changed is not None:
            self._changed()
        self._wind()

    def _wind(self, look_in: float | None = None) -> None:
        """Set the one timer to whatever comes first: the end of the grant's time, or the next look at it."""
        if self._timer is not None:
            self._timer.cancel()
        guard = self._leases.access.guard
        if (
            look_in is None
            and guard is not None
            and guard.recheck is not None
            and self.grant.kind == guard.mode
        ):
            look_in = guard.recheck * random.uniform(0.75, 1.0)  # noqa: S311 jitter is no secret
        left = self.grant.seconds
        due = min((seconds for seconds in (look_in, left) if seconds is not None), default=None)
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due), self._due)

    def _due(self) -> None:
        left = self.grant.seconds
        if left is not None and left <= 0:
            self.end(expired())
            return
        self.look_again()
        self._wind()
