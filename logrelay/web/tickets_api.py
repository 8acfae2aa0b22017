"""The HTTP side of tickets: who may make and revoke them, and how the answers look (protocol.md section 6).

The service secret may do all of it; a share link's secret is exchanged for a ticket, and can do nothing else. Refusals
have fixed texts. Who is refused for its credential isn't told whether the rest of the request would have been right.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import attrs
from aiohttp import hdrs, web

from logrelay.errors import Disconnect, FilterInvalid, LogrelayError, ParameterInvalid
from logrelay.relay import timestamps
from logrelay.web import answers, protocol, ticket_wishes
from logrelay.web.revocations import RevocationNotKept, RevocationsFull
from logrelay.web.ticket_wishes import Wish
from logrelay.web.tickets import SUBJECT_LIMIT, Minted, Tickets
from logrelay.web.waiting import TicketsFull

logger = logging.getLogger(__name__)

BODY_LIMIT = 16 * 1024  # bytes
_BEARER = re.compile(
    r"bearer +([\x21-\x7e][\x20-\x7e]*)", re.IGNORECASE | re.ASCII
)  # a secret may be a sentence
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SECOND = 1_000_000_000  # nanoseconds


@attrs.define
class _Refused(LogrelayError):
    """An HTTP refusal, as a value."""

    status: int
    code: str
    message: str
    retry_after: float | None = None

    def answer(self) -> web.Response:
        headers: dict[str, str] = {}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return answers.refusal(
            self.status, self.code, self.message, retry_after=self.retry_after, headers=headers
        )


@attrs.define
class Patience:
    """A token bucket of wrong secrets. It never keeps the right one out: else whoever guesses locks the main API out.

    So no guess gets harder by it (32 random characters can't be guessed); it bounds the log lines that guesses cost,
    and tells a client that is set up wrong to slow down.
    """

    per_second: float = 10.0
    burst: float = 10.0
    monotonic: Callable[[], float] = time.monotonic
    _left: float = attrs.field(init=False)
    _seen: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst
        self._seen = self.monotonic()

    def lose(self) -> float | None:
        """One more wrong secret: None, or how many seconds its sender should wait for the next try."""
        now = self.monotonic()
        self._left = min(self.burst, self._left + (now - self._seen) * self.per_second)
        self._seen = now
        if self._left < 1:
            return (1 - self._left) / self.per_second
        self._left -= 1
        return None


class TicketsApi:
    """Answers `POST /api/tickets`, `DELETE /api/tickets/{id}` and `DELETE /api/subjects/{subject}`.

    `may_serve` says whether an environment is one of this relay's; `origin_ok` whether a request comes from where it
    may, which one without an Origin does. `body_timeout` is in seconds.
    """

    def __init__(
        self,
        tickets: Tickets,
        *,
        may_serve: Callable[[str], bool],
        origin_ok: Callable[[web.Request], bool],
        base_path: str = "",
        body_timeout: float = 5.0,
        patience: Patience | None = None,
    ) -> None:
        self._tickets = tickets
        self._may_serve = may_serve
        self._origin_ok = origin_ok
        self._base_path = base_path
        self._body_timeout = body_timeout
        self._patience = patience or Patience()

    def add_routes(self, app: web.Application) -> list[web.AbstractRoute]:
        """Put the routes into the application; gives those that other origins' pages may use (share links)."""
        api = f"{self._base_path}/api"
        app.router.add_delete(f"{api}/tickets/{{id}}", self._revoke_ticket)
        app.router.add_delete(f"{api}/subjects/{{subject:[^/]+}}", self._revoke_subject)
        return [app.router.add_post(f"{api}/tickets", self._create)]

    async def _create(self, request: web.Request) -> web.Response:
        return await self._answered(request, self._created)

    async def _revoke_ticket(self, request: web.Request) -> web.Response:
        return await self._answered(request, self._revoked_ticket)

    async def _revoke_subject(self, request: web.Request) -> web.Response:
        return await self._answered(request, self._revoked_subject)

    async def _answered(
        self, request: web.Request, act: Callable[[web.Request, str], Awaitable[web.Response]]
    ) -> web.Response:
        """The answer of one of the three, or the refusal in its place."""
        try:
            return await act(request, self._secret(request))
        except _Refused as refused:
            answer = refused.answer()
        except (ParameterInvalid, FilterInvalid) as error:
            code = "filter_invalid" if isinstance(error, FilterInvalid) else "parameter_invalid"
            answer = answers.refusal(400, code, str(error))
        except (TicketsFull, RevocationsFull) as full:
            answer = answers.refusal(503, "full", str(full), retry_after=full.retry_after)
        except RevocationNotKept:
            message = "it is revoked, but could not be written down, so a restart would forget it; ask again"
            answer = answers.refusal(503, "not_kept", message, retry_after=1.0)
        if request.can_read_body and not request.content.at_eof():
            answer.force_close()  # what is still to come of a body that nobody wants
        return answer

    async def _created(self, request: web.Request, secret: str) -> web.Response:
        if not self._tickets.is_service(secret):
            return await self._exchanged(request, secret)
        if request.content_type != "application/json":
            raise _Refused(415, "unsupported_media_type", "the body must be application/json")
        wish = ticket_wishes.read(await self._body(request))
        self._check_served(wish.environment)
        return self._shared(wish) if wish.share else self._ticketed(wish)

    def _ticketed(self, wish: Wish) -> web.Response:
        minted = self._tickets.mint(
            wish.environment,
            services=wish.services or (),
            search=wish.search or "",
            redeem_seconds=wish.redeem_seconds,
            access_seconds=wish.access_seconds,
            subject=wish.subject,
        )
        return _told("ticket", minted)

    def _shared(self, wish: Wish) -> web.Response:
        if not self._tickets.share_links:
            raise _Refused(403, "not_allowed", "share links are switched off")
        minted = self._tickets.mint_share(
            wish.environment,
            services=wish.services or (),
            search=wish.search or "",
            access_seconds=wish.access_seconds,
            subject=wish.subject,
        )
        # The fragment never leaves the browser that opens the link, so no server's log has it.
        path = f"{self._base_path}/environments/{wish.environment}#share={minted.text}"
        return _told("share", minted, path=path)

    async def _exchanged(self, request: web.Request, secret: str) -> web.Response:
        """A ticket for a share link's secret."""
        try:
            link = self._tickets.link(secret)
        except Disconnect:
            raise self._unauthenticated() from None
        body = await self._body(request)
        if body.strip() and ticket_wishes.decoded(body):
            raise ParameterInvalid("a share link's ticket is as the link is: send no fields")
        self._check_served(link.environment)
        return _told("ticket", self._tickets.exchange(link))

    def _check_served(self, environment_id: str) -> None:
        if not self._may_serve(environment_id):
            raise _Refused(403, "not_allowed", "this environment may not be streamed")

    async def _revoked_ticket(self, request: web.Request, secret: str) -> web.Response:
        self._only_service(secret)
        ticket_id = request.match_info["id"]
        if not _ID.fullmatch(ticket_id):
            raise ParameterInvalid("id: the id that came with the ticket or the share link")
        await self._tickets.revoke_ticket(ticket_id)
        return web.Response(status=204)

    async def _revoked_subject(self, request: web.Request, secret: str) -> web.Response:
        self._only_service(secret)
        subject = request.match_info["subject"]
        if len(subject) > SUBJECT_LIMIT or not subject.isprintable():
            raise ParameterInvalid(f"subject: 1 to {SUBJECT_LIMIT} printable characters, percent-encoded")
        await self._tickets.revoke_subject(subject)
        return web.Response(status=204)

    def _secret(self, request: web.Request) -> str:
        """The secret that the request shows. Raises _Refused where it shows none, or comes from a foreign page."""
        if not self._origin_ok(request):
            raise _Refused(403, "origin_not_allowed", "this origin may not ask for tickets here")
        shown = request.headers.getall(hdrs.AUTHORIZATION, ())
        match = _BEARER.fullmatch(shown[0].strip()) if len(shown) == 1 else None
        if match is None:
            raise self._unauthenticated()
        return match[1]

    def _only_service(self, secret: str) -> None:
        if not self._tickets.is_service(secret):
            raise self._unauthenticated()

    def _unauthenticated(self) -> _Refused:
        """The same for a secret that is missing, wrong, over, or revoked."""
        wait = self._patience.lose()
        if wait is not None:
            return _Refused(429, "too_many_requests", "too many wrong secrets", wait)
        logger.info("ticket request refused", extra={"reason": "secret"})
        return _Refused(401, "unauthenticated", "show the service's secret as `Authorization: Bearer`")

    async def _body(self, request: web.Request) -> bytes:
        """The whole body. Raises _Refused for one that is too large, too slow, or packed."""
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").casefold() != "identity":
            raise _Refused(415, "unsupported_media_type", "the body must not be compressed")
        too_large = _Refused(413, "too_large", f"the body must not have more than {BODY_LIMIT} bytes")
        read = bytearray()
        try:
            async with asyncio.timeout(self._body_timeout):
                async for chunk in request.content.iter_any():
                    read += chunk
                    if len(read) > BODY_LIMIT:
                        raise too_large
        except TimeoutError:
            raise _Refused(408, "timeout", "the body took too long") from None
        return bytes(read)


def _told(kind: str, minted: Minted, **more: str) -> web.Response:
    """The answer with a new credential."""
    body = {"id": minted.id, kind: minted.text, "expires": _stamp(minted.expires), **more}
    if minted.until != minted.expires:
        body["accessExpires"] = _stamp(minted.until)
    return web.Response(status=201, body=protocol.encode(body), content_type="application/json")


def _stamp(seconds: float) -> str:
    return timestamps.render(int(seconds * _SECOND))
