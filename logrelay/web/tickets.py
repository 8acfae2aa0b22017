"""Tickets, reconnect tokens and share links: made, redeemed, revoked (protocol.md section 6). No HTTP.

They stand on top of any mode of authentication, switched on by a service secret that the main API and the relay share.

- A ticket opens one stream. This process remembers the tickets that it has made and that nobody has used: a ticket is
  in that memory, or it is nothing. One that was made before a restart or by another replica is refused as one that was
  used, because nobody here could know whether it was; a new one is a request away.
- A reconnect token has the ticket's scope, subject and end. It may be used often, after a restart, and at any replica
  with the same secret.
- A share link's secret is exchanged for tickets, which end with it and are revoked with it.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import msgspec

from logrelay.errors import Disconnect, FilterInvalid, ParameterInvalid
from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.web import endings
from logrelay.web.grants import Credential, Grant, Source
from logrelay.web.revocations import Revocations
from logrelay.web.seals import TEXT_LIMIT, Claims, Kind, Seals, kind_of
from logrelay.web.waiting import Waiting

logger = logging.getLogger(__name__)

REDEEM_LIMIT = 60  # seconds
REDEEM_DEFAULT = 30
ACCESS_LIMIT = 86_400  # seconds
ACCESS_DEFAULT = 3_600
SUBJECT_LIMIT = 256  # characters
_SKEW = 60.0  # seconds by which two replicas' clocks may differ
_SHOWN = 64  # characters of a name in a log line


@attrs.frozen
class Minted:
    """A new credential. Times are seconds since 1970."""

    id: str  # revokes it
    text: str = attrs.field(repr=False)  # the credential itself
    expires: float  # when it must have been used; for a share link, when it ends
    until: float  # when access is over


@attrs.frozen
class TicketGrant(Grant):
    """What a ticket or a reconnect token allows, and the claims that a new reconnect token is made of."""

    claims: Claims = attrs.field(kw_only=True, repr=False)


def shown(text: str | None) -> str | None:
    """A name as a log line may show it: short and printable."""
    return text and "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN])


class Tickets:
    """Makes credentials and judges them. Holds the tickets that wait to be used, and what was revoked.

    `now` is seconds since 1970 and may jump; what is kept in this process is timed by `monotonic` (faults.md P9).
    Raises SettingsInvalid for a secret that is too short or a file that can't be used.
    """

    def __init__(
        self,
        secret: str,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        share_links: bool = False,
        revocations_file: Path | None = None,
        waiting_limit: int = 100_000,
        revocations_limit: int = 100_000,
    ) -> None:
        self._seals = Seals(secret)
        self._wall = now
        self._monotonic = monotonic
        self._latest, self._ticked = now(), monotonic()
        self._waiting = Waiting(monotonic, most=waiting_limit)
        self._revocations = Revocations(revocations_file, now=self._now, most=revocations_limit)
        self.share_links = share_links
        self.on_revoked: Callable[[], None] = lambda: None  # live connections are to be looked at again

    def __repr__(self) -> str:
        return f"<Tickets {len(self._waiting)} waiting, {self._revocations!r}>"

    def is_service(self, text: str) -> bool:
        """Whether this is the service secret; compared in constant time."""
        return self._seals.is_service(text)

    @staticmethod
    def recognises(text: str) -> bool:
        """Whether a text says that it is a credential of ours, so that no other guard needs to see it."""
        return kind_of(text) is not None

    def mint(
        self,
        environment: str,
        *,
        services: Iterable[str] = (),
        search: str = "",
        redeem_seconds: float = REDEEM_DEFAULT,
        access_seconds: float = ACCESS_DEFAULT,
        subject: str | None = None,
    ) -> Minted:
        """A ticket for an environment, and for no more of it than the services and the search say.

        Access is counted from now on, not from when the ticket is used. Raises FilterInvalid, TicketsFull, and
        ParameterInvalid where the ticket would be too long for a URL.
        """
        claims = self._claims(environment, services, search, access_seconds, subject)
        return self._ticket(claims, redeem_seconds)

    def mint_share(
        self,
        environment: str,
        *,
        services: Iterable[str] = (),
        search: str = "",
        access_seconds: float = ACCESS_DEFAULT,
        subject: str | None = None,
    ) -> Minted:
        """The secret of a share link; it makes tickets only, and for so long. Raises as `mint` does."""
        claims = self._claims(environment, services, search, access_seconds, subject)
        text = self._sealed(Kind.SHARE, claims)
        _tell("share link minted", claims)
        return Minted(claims.id, text, claims.until, claims.until)

    def link(self, text: str) -> Claims:
        """The share link behind its secret. Raises Disconnect where the secret is no good."""
        if not self.share_links:
            raise _refused("kind")
        return self._valid(Kind.SHARE, text)

    def exchange(self, link: Claims) -> Minted:
        """A ticket of a share link; it ends with the link and is revoked with it. Raises TicketsFull."""
        fresh = msgspec.structs.replace(link, id=_new_id(), issued=self._now(), parent=link.id)
        return self._ticket(fresh, REDEEM_DEFAULT)

    def admit(self, credential: Credential, environment_id: str) -> TicketGrant:
        """What a credential of ours allows, by its kind; in a URL only a ticket is taken. Raises Disconnect."""
        kind = kind_of(credential.token)
        if kind is Kind.TICKET:
            return self.redeem(credential.token, environment_id)
        if kind is Kind.RECONNECT and credential.source is not Source.TICKET:
            return self.come_back(credential.token, environment_id)
        raise _refused("kind")

    def redeem(self, text: str, environment_id: str) -> TicketGrant:
        """What a ticket allows, once. Raises Disconnect, alike for all that is wrong with a ticket.

        With the wrong environment it is used up as well: whoever tries that shall have one try.
        """
        claims = self._valid(Kind.TICKET, text)
        if not self._waiting.take(claims.id):
            raise _refused("not_waiting", claims)  # used, too late, made elsewhere or before a restart
        return self._grant(claims, environment_id)

    def reconnect_token(self, grant: Grant) -> str | None:
        """What its holder comes back with; None for a grant that comes from no ticket."""
        return self._seals.seal(Kind.RECONNECT, grant.claims) if isinstance(grant, TicketGrant) else None

    def come_back(self, text: str, environment_id: str) -> TicketGrant:
        """What a reconnect token allows, as often as its holder likes until access is over. Raises Disconnect."""
        return self._grant(self._valid(Kind.RECONNECT, text), environment_id)

    def revoked(self, grant: Grant) -> bool:
        """Whether a grant, of whatever mode, has been revoked: by its ticket, its share link or its subject.

        For a subject it is refused when it was issued until then, and also when it doesn't say when it was issued.
        """
        parent = grant.claims.parent if isinstance(grant, TicketGrant) else None
        return self._is_revoked((grant.ticket, parent), grant.subject, grant.issued)

    async def revoke_ticket(self, ticket_id: str) -> None:
        """Refuse a ticket or share link from now on, and all that was made from it; an unknown id is fine.

        Live connections end at once, also where this raises RevocationNotKept. Raises RevocationsFull.
        """
        self._revocations.add_ticket(ticket_id)
        logger.info("ticket revoked", extra={"ticket": ticket_id})
        await self._spread()

    async def revoke_subject(self, subject: str) -> None:
        """Refuse all that was issued for a subject until now; raises as `revoke_ticket` does.

        Who signs elsewhere (JWTs) has its own clock: what it stamps in our future isn't caught.
        """
        self._revocations.add_subject(subject)
        logger.info("subject revoked", extra={"subject": shown(subject)})
        await self._spread()

    async def _spread(self) -> None:
        """Tell the live connections before the disk, which may be slow."""
        self.on_revoked()
        await self._revocations.keep()

    def _now(self) -> float:
        """Seconds since 1970, never going back or standing still: what is revoked mustn't seem older than it is."""
        tick = self._monotonic()
        self._latest = max(self._wall(), self._latest + tick - self._ticked)
        self._ticked = tick
        return self._latest

    def _claims(
        self, environment: str, services: Iterable[str], search: str, access: float, subject: str | None
    ) -> Claims:
        now = self._now()
        claims = Claims(
            id=_new_id(),
            environment=environment,
            issued=now,
            until=now + access,
            services=tuple(dict.fromkeys(services)),
            search=search,
            subject=subject,
        )
        _scope(claims)  # raises FilterInvalid now and not when it is used
        return claims

    def _ticket(self, claims: Claims, redeem_seconds: float) -> Minted:
        text = self._sealed(Kind.TICKET, claims)
        seconds = min(redeem_seconds, claims.until - claims.issued)
        self._waiting.put(claims.id, seconds)
        _tell("ticket minted", claims)
        return Minted(claims.id, text, claims.issued + seconds, claims.until)

    def _sealed(self, kind: Kind, claims: Claims) -> str:
        text = self._seals.seal(kind, claims)
        # A ticket made from a share link also names that; what is made later must not be refused for its length.
        if len(text) > TEXT_LIMIT - (0 if claims.parent else 64):
            raise ParameterInvalid("services, search and subject: too long together for a credential")
        return text

    def _valid(self, kind: Kind, text: str) -> Claims:
        """The claims of a credential that we signed, that isn't over and wasn't revoked. Raises Disconnect."""
        claims = self._seals.read(kind, text)
        if claims is None:
            raise _refused("signature")
        # What would live longer than anything may was signed while a clock was wrong.
        if not 0 < claims.until - self._now() <= ACCESS_LIMIT + _SKEW:
            raise _refused("expired", claims)
        if self._is_revoked((claims.id, claims.parent), claims.subject, claims.issued):
            raise _refused("revoked", claims)
        return claims

    def _grant(self, claims: Claims, environment_id: str) -> TicketGrant:
        if claims.environment != environment_id:
            raise _refused("environment", claims, endings.not_allowed())
        try:
            scope = _scope(claims)
        except FilterInvalid:  # the language has changed since
            raise _refused("search", claims) from None
        return TicketGrant(
            kind="ticket",
            subject=claims.subject,
            environments=frozenset({claims.environment}),
            scope=scope,
            until=self._monotonic() + claims.until - self._now(),
            issued=claims.issued,
            ticket=claims.id,
            claims=claims,
        )

    def _is_revoked(self, ids: Iterable[str | None], subject: str | None, issued: float | None) -> bool:
        if any(key is not None and self._revocations.has_ticket(key) for key in ids):
            return True
        return subject is not None and self._revocations.has_subject(subject, issued)


def _new_id() -> str:
    return secrets.token_urlsafe(12)


def _scope(claims: Claims) -> Filter:
    """The records that these claims let through. Raises FilterInvalid."""
    wanted = Filter.of_services(claims.services) if claims.services else EVERYTHING
    return Filter.parse(search=claims.search).inside(wanted) if claims.search else wanted


def _tell(what: str, claims: Claims) -> None:
    logger.info(
        what,
        extra={
            "ticket": claims.id,
            "environment": shown(claims.environment),
            "subject": shown(claims.subject),
            "share": claims.parent,
        },
    )


def _refused(reason: str, claims: Claims | None = None, end: Disconnect | None = None) -> Disconnect:
    """The end of whoever shows a credential that is no good; the operator learns why, the caller doesn't."""
    about = {"ticket": claims.id, "subject": shown(claims.subject)} if claims is not None else {}
    logger.info("credential refused", extra={"reason": reason, **about})
    return end or endings.unauthenticated()
