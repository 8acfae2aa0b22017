"""Finds what a request shows of its caller, in the order of protocol.md section 1. Judges no credential itself."""

import base64
import binascii
import re
from collections.abc import Mapping

import attrs
from aiohttp import hdrs, web

from logrelay.web.endings import unauthenticated
from logrelay.web.grants import Credential, Source

_LIMIT = 16 * 1024  # characters of a token
# Names under which people put tokens into URLs, where logs and histories keep them.
_MISPLACED = frozenset(
    {
        "token",
        "access_token",
        "accesstoken",
        "auth",
        "auth_token",
        "authorization",
        "bearer",
        "jwt",
        "id_token",
    }
    | {"api_key", "apikey", "key", "secret", "password", "reconnecttoken", "reconnect_token"}
)
_HOW = (
    "send it as `Authorization: Bearer`, in the subprotocols logrelay.v1 and bearer.<token in base64url>, "
    'or as {"type":"auth","token":…}; only a single-use ticket may stand in the URL'
)
_BEARER = re.compile(r"bearer +([\x21-\x7e]+)", re.IGNORECASE | re.ASCII)
_ENCODED = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


@attrs.frozen
class Doors:
    """Where this relay looks for credentials. Off: nowhere, because everyone may look."""

    required: bool = True  # authentication is on
    forwards: bool = False  # headers go to the main API as they are, cookies among them
    tickets: bool = False

    def find(self, request: web.BaseRequest) -> Credential | None:
        """The request's credential, None where it has none. Raises Disconnect for one that can't be used.

        The first one found counts: one that is bad refuses, whatever else is there.
        """
        query = request.query
        if self.required and any(name.casefold() in _MISPLACED for name in query):
            raise unauthenticated(f"a token does not belong in a URL: {_HOW}")
        found = self._header(request) or self._subprotocol(request)
        if found is not None:
            return found
        tickets = query.getall("ticket", ())
        if tickets and (self.tickets or self.required):
            if not self.tickets or len(tickets) > 1 or not _usable(tickets[0]):
                raise unauthenticated(f"not a ticket of this relay; if it is another token: {_HOW}")
            return Credential(Source.TICKET, tickets[0])
        return self._cookie(request)

    def brings_cookie(self, request: web.BaseRequest) -> bool:
        """Whether what says who is calling is what a browser adds by itself: a cookie, or a password it remembers."""
        shown = request.headers.get(hdrs.AUTHORIZATION, "").strip()
        if self.forwards and shown:
            # Chromium 156 adds `Basic` to a WebSocket of any page, and the cookie goes along with it (`_asked_with`).
            ambient = hdrs.COOKIE in request.headers or not _BEARER.fullmatch(shown)
            return hdrs.ORIGIN in request.headers and ambient
        return (
            self.forwards
            and bool(request.headers.get(hdrs.COOKIE))
            and not any(name.startswith("bearer.") for name in _offered(request))
            and "ticket" not in request.query
        )

    def of_message(self, token: str) -> Credential:
        """The credential of an `auth` message. Raises Disconnect for one that can't be used."""
        if not _usable(token):
            raise unauthenticated()
        return Credential(Source.MESSAGE, token, self._asked_with({hdrs.AUTHORIZATION: f"Bearer {token}"}))

    def _header(self, request: web.BaseRequest) -> Credential | None:
        headers = request.headers.getall(hdrs.AUTHORIZATION, ())
        if not headers or not (self.required or self.tickets):
            return None
        match = _BEARER.fullmatch(headers[0].strip())
        if len(headers) > 1 or (match is None and not self.forwards) or not headers[0].isascii():
            raise unauthenticated("Authorization must be `Bearer` and a token, once")
        token = match[1] if match else ""
        if len(headers[0]) > _LIMIT:
            raise unauthenticated()
        return Credential(Source.HEADER, token, self._asked_with({hdrs.AUTHORIZATION: headers[0]}, request))

    def _subprotocol(self, request: web.BaseRequest) -> Credential | None:
        if not (self.required or self.tickets):
            return None
        shown = [name.removeprefix("bearer.") for name in _offered(request) if name.startswith("bearer.")]
        if not shown:
            return None
        token = _decoded(shown[0]) if len(shown) == 1 else ""
        if not _usable(token):
            raise unauthenticated("the subprotocol must be bearer.<token in base64url>, once")
        # Without the cookie: any page may choose subprotocols, and the browser would add its reader's cookie to them.
        headers = self._asked_with({hdrs.AUTHORIZATION: f"Bearer {token}"})
        return Credential(Source.SUBPROTOCOL, token, headers)

    def _cookie(self, request: web.BaseRequest) -> Credential | None:
        cookie = _cookie_of(request) if self.forwards else None
        return None if cookie is None else Credential(Source.COOKIE, headers={hdrs.COOKIE: cookie})

    def _asked_with(
        self, headers: Mapping[str, str], request: web.BaseRequest | None = None
    ) -> Mapping[str, str]:
        """The headers for the main API. A cookie goes along only where the request says where it comes from."""
        if not self.forwards:
            return {}
        if request is not None and hdrs.ORIGIN in request.headers:
            cookie = _cookie_of(request)
            if cookie is not None:
                return {**headers, hdrs.COOKIE: cookie}
        return headers


def _offered(request: web.BaseRequest) -> list[str]:
    return [
        name.strip()
        for header in request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ())
        for name in header.split(",")
    ]


def _decoded(text: str) -> str:
    """The token in base64url, with or without padding (RFC 4648 section 5); empty where that is broken."""
    bare = text.rstrip("=")
    if not _ENCODED.fullmatch(text):
        return ""
    try:
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        return ""


def _cookie_of(request: web.BaseRequest) -> str | None:
    cookie = "; ".join(request.headers.getall(hdrs.COOKIE, ()))
    if not cookie:
        return None
    try:
        cookie.encode()
    except UnicodeEncodeError:  # bytes that are no text; they can't be sent on
        raise unauthenticated() from None
    return cookie


def _usable(token: str) -> bool:
    return 0 < len(token) <= _LIMIT and token.isascii() and token.isprintable() and " " not in token
