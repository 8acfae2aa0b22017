"""Who may connect: origins, environments, and how many at once. Decides; answers nothing itself."""

import asyncio
import contextlib
import ipaddress
import re
from collections import Counter

import attrs
from yarl import URL

from logrelay.errors import CloseCode, Disconnect

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


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
    """Scheme, host and port of an origin (RFC 6454 section 6.2); None when it is none."""
    try:
        url = URL(text)
        if (
            url.scheme not in _DEFAULT_PORTS
            or not url.host
            or url.user is not None
            or url.password is not None
            or url.path not in ("", "/")
            or url.raw_query_string
            or url.raw_fragment
        ):
            return None
        return url.scheme, url.host.casefold(), url.port or _DEFAULT_PORTS[url.scheme]
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

    `*` on the list lets everyone in. On a loopback address without authentication, the Host must be a loopback name
    or that of an allowed origin, so that a foreign page can't reach it by rebinding its own name.
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
        return text == "*" or (_origin(text) is not None and not text.endswith("/"))

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether a request with these two headers may open a stream."""
        if self._everyone:
            return True
        if self._guard_host and not self._own_host(host):
            return False
        if origin is None:
            return True
        parsed = _origin(origin)
        if parsed is None:
            return False
        return parsed in self._known or (host is not None and _authority(host, parsed[0]) == parsed[1:])

    def _own_host(self, host: str | None) -> bool:
        authority = None if host is None else _authority(host, "http")
        if authority is None:
            return False
        return is_loopback(authority[0]) or any(authority[0] == known for _, known, _ in self._known)


@attrs.define
class Environments:
    """Which environments may be streamed. None: not known yet (a project token's own one)."""

    allowed: frozenset[str] | None = None
    everything: bool = False
    patience: float = 5.0  # seconds that a client waits where nothing is known yet
    refusal: str | None = None  # why Railway doesn't say which
    _told: asyncio.Event = attrs.Factory(asyncio.Event)

    def learn(self, environment_id: str) -> None:
        """This one may be streamed, and no other."""
        self.allowed = frozenset({environment_id})
        self.refusal = None
        self._told.set()

    def refuse(self, reason: str) -> None:
        """Railway refuses to say which: waiting won't help for now."""
        self.refusal = reason
        self._told.set()

    @property
    def known(self) -> bool:
        """Whether it is known which may be streamed, or that it won't be for now."""
        return self.allowed is not None or self.everything or self.refusal is not None

    async def learned(self) -> None:
        """Wait until it is known which may be streamed, for as long as a client's patience lasts."""
        if not self.known:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience):
                    await self._told.wait()

    def admit(self, environment_id: str) -> None:
        """Raises Disconnect when this environment may not be streamed; Railway isn't asked for that."""
        if self.refusal is not None:
            raise Disconnect(CloseCode.UPSTREAM_REFUSED, "upstream_refused", self.refusal, retryable=True)
        if self.allowed is None and not self.everything:
            message = "the relay does not know yet which environment its token is for"
            raise Disconnect(CloseCode.INTERNAL, "internal", message, retryable=True)
        if self.everything:
            if not _ID.fullmatch(environment_id):
                message = "Railway knows no such environment, or the relay's token can't see it"
                raise Disconnect(CloseCode.UNKNOWN_ENVIRONMENT, "unknown_environment", message)
            return
        if self.allowed is None or environment_id not in self.allowed:
            message = "this environment may not be streamed"
            raise Disconnect(CloseCode.NOT_ALLOWED, "not_allowed", message)


class Places:
    """How many connections there may be: in the process, and to one environment."""

    def __init__(self, *, process: int = 10_000, environment: int = 10, retry_after: float = 10.0) -> None:
        self._process = process
        self._environment = environment
        self.retry_after = retry_after  # seconds
        self._taken = 0
        self._by_environment: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Places {self._taken} of {self._process}>"

    @property
    def taken(self) -> int:
        """Connections of this process."""
        return self._taken

    @property
    def free(self) -> bool:
        """Whether the process takes one more."""
        return self._taken < self._process

    def of_process(self) -> "_Place":
        """One of the process's places while inside."""
        return _Place(self, None)

    def of_environment(self, environment_id: str) -> "_Place":
        """One of an environment's places while inside. Entering raises Disconnect when they are all taken."""
        return _Place(self, environment_id)

    def take(self, environment_id: str | None) -> None:
        """Take a place, of the process where no environment is given. Raises Disconnect when they are all taken."""
        if environment_id is None:
            self._taken += 1
            return
        if self._by_environment[environment_id] >= self._environment:
            message = "too many connections to this environment"
            raise Disconnect(
                CloseCode.TOO_MANY,
                "too_many_connections",
                message,
                retryable=True,
                retry_after=self.retry_after,
            )
        self._by_environment[environment_id] += 1

    def give_back(self, environment_id: str | None) -> None:
        """Give a place back."""
        if environment_id is None:
            self._taken -= 1
            return
        self._by_environment[environment_id] -= 1
        if not self._by_environment[environment_id]:
            del self._by_environment[environment_id]


class _Place:
    """A context in which one place is taken. As small as can be: there are two for each client."""

    __slots__ = ("_environment_id", "_places")

    def __init__(self, places: Places, environment_id: str | None) -> None:
        self._places = places
        self._environment_id = environment_id

    def __enter__(self) -> None:
        self._places.take(self._environment_id)

    def __exit__(self, *exc: object) -> None:
        self._places.give_back(self._environment_id)
