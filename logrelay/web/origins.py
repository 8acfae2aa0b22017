"""Which pages may open a stream: origins, hosts, and what trusted proxies say of them."""

import ipaddress
import re

import attrs
from aiohttp import hdrs, web
from yarl import URL

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What browsers send (RFC 6454 section 6.2): no path, no user, names in ASCII. A stranger form is no origin.
_ORIGIN = re.compile(
    r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?", re.ASCII | re.IGNORECASE
)
_PORTED = re.compile(r"(?:([0-9.]+)|(\[[^\]]+\])):[0-9]{1,5}", re.ASCII)
_NETWORK = 64  # bits of an IPv6 address that tell one customer from the next


def is_loopback(host: str) -> bool:
    """Whether a host name or address is one of this machine's own loopback names."""
    name = host.strip("[]").casefold()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None when it is none."""
    if not _ORIGIN.fullmatch(text):
        return None
    try:
        url = URL(text)
        return (url.scheme, url.host.casefold(), url.port or _DEFAULT_PORTS[url.scheme]) if url.host else None
    except ValueError:
        return None


def _authority(text: str, scheme: str) -> tuple[str, int] | None:
    """Host and port of a Host header, whose port is the scheme's where it names none."""
    try:
        url = URL(f"{scheme}://{text}")
        return (url.host.casefold(), url.port or _DEFAULT_PORTS[scheme]) if url.host else None
    except ValueError:
        return None


class Origins:
    """Which origins may open a stream: those on the list, and the same origin as the Host header's.

    `*` on the list lets everyone in who brings no cookie. On a loopback address without authentication, the Host must
    be a loopback name or that of an allowed origin, so that a foreign page can't reach it by rebinding its own name.
    """

    def __init__(self, allowed: tuple[str, ...] = (), *, guard_host: bool = False) -> None:
        self.allowed = allowed
        self._everyone = "*" in allowed
        self._known = {origin for text in allowed if (origin := _origin(text)) is not None}
        self._guard_host = guard_host

    def __repr__(self) -> str:
        return f"<Origins {', '.join(self.allowed) or 'same origin'}>"

    @staticmethod
    def valid(text: str) -> bool:
        """Whether a list may name this: `*`, or a scheme, host and perhaps port."""
        return text == "*" or _origin(text) is not None

    def admits(self, origin: str | None, host: str | None, *, cookie: bool = False) -> bool:
        """Whether a request with these two headers may open a stream.

        With a `cookie` as its credential it must say where it comes from, and `*` doesn't count: a browser sends the
        cookie whatever page asks (cross-site WebSocket hijacking).
        """
        if self._everyone and not cookie:
            return True
        if self._guard_host and not self._own_host(host):
            return False
        if origin is None:
            return not cookie
        parsed = _origin(origin)
        if parsed is None:
            return False
        return parsed in self._known or (host is not None and _authority(host, parsed[0]) == parsed[1:])

    def _own_host(self, host: str | None) -> bool:
        authority = None if host is None else _authority(host, "http")
        if authority is None:
            return False
        return is_loopback(authority[0]) or any(authority[0] == known for _, known, _ in self._known)


@attrs.frozen
class Proxies:
    """What is believed of forwarded headers: as much as so many proxies of ours have written, from the right."""

    trusted: int = 0

    def host(self, request: web.BaseRequest) -> str | None:
        """The host that the browser asked for."""
        told = self._told(request, "X-Forwarded-Host")
        return told if told is not None else request.headers.get(hdrs.HOST)

    def address(self, request: web.BaseRequest) -> str:
        """Who asks: an IPv4 address, the network of an IPv6 one (nobody has just one of those), or `unknown`."""
        told = self._told(request, "X-Forwarded-For", whole=True)
        text = told if told is not None else request.remote or ""
        bare = _PORTED.fullmatch(text)  # some proxies write the caller's port, too
        try:
            found = (bare[1] or bare[2]) if bare else text
            address = ipaddress.ip_address(found.strip("[]").partition("%")[0])
        except ValueError:
            return "unknown"
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((address, _NETWORK), strict=False))
        return str(address)

    def _told(self, request: web.BaseRequest, name: str, *, whole: bool = False) -> str | None:
        """What the outermost trusted proxy has written into a list; None where none has.

        A list that must be `whole` has a part of each proxy's; a shorter one didn't come that way.
        """
        if not self.trusted:
            return None
        parts = [
            part.strip()
            for line in request.headers.getall(name, ())
            for part in line.split(",")
            if part.strip()
        ]
        if not parts or (whole and len(parts) < self.trusted):
            return None
        return parts[-min(self.trusted, len(parts))]
