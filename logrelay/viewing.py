"""One connection of a viewer to a relay: where it goes, how it opens, what it brings, how it ended.

It speaks protocol.md as any client would and shares no code with the relay. Ends are values, decided in plain
functions (``after_…``); nothing that it says quotes a header or the query of an address.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import attrs
from yarl import URL

_FINAL = frozenset({1000, 1003, 1007, 1009, 4400, 4401, 4403, 4404})
_LATER = frozenset({1008, 4429, 4502})
_BROKEN = 1006
_UNAUTHENTICATED = 4401
_MEANINGS = {
    1000: "the relay ended the stream",
    1001: "the relay shut down",
    1003: "the relay takes no binary frames",
    1007: "a text was no UTF-8",
    1008: "the relay was flooded by this client",
    1009: "a message was too big",
    1011: "the relay had a fault",
    1012: "the relay restarts",
    4400: "the relay doesn't understand a parameter",
    _UNAUTHENTICATED: "the relay wants a credential, or a new one",
    4403: "this environment may not be seen",
    4404: "Railway knows no such environment",
    4408: "this viewer was too slow",
    4429: "too many connections to this environment",
    4502: "Railway refuses the relay",
    _BROKEN: "the connection broke",
}
_LATER_SECONDS = 30.0  # where an end says "later" without a number
_LONGEST_WAIT = 3600.0  # seconds, whatever a peer asks for
_BODY_BYTES = 65_536  # of a refusal's explanation
_MESSAGE_BYTES = 16 * 1024 * 1024  # a record has at most 64 KiB of text, but a message may carry many
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_PATH = re.compile(r"(?P<base>.*)/api/environments/(?P<id>[^/]+)(/logs(/stream)?)?/?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def stream_url(target: str, base: str) -> URL:
    """Make the stream's address of an environment id or of any address below the environment's.

    The schemes become those of HTTP, for which proxies are configured. Raises ValueError with a sentence for
    the user.
    """
    if _ID.fullmatch(target):
        return _web_url(base, "--url") / "api" / "environments" / target / "logs" / "stream"
    if "://" not in target:
        raise ValueError(
            "the target is neither an environment id nor an address: give an id, or "
            "http://host:port/api/environments/<environment id>"
        )
    url = _web_url(target, "the target")
    match = _PATH.fullmatch(url.raw_path)
    if match is None:
        raise ValueError(
            f"the target names no environment: it would be "
            f"{url.origin()}/api/environments/<environment id>, or an id with --url {public(url)}"
        )
    path = f"{match['base']}/api/environments/{match['id']}/logs/stream"
    return url.with_path(path, encoded=True).with_query(url.query)


def _web_url(text: str, name: str) -> URL:
    try:
        url = URL(text)
        valid = url.scheme in _SCHEMES and bool(url.host) and url.port is not None
    except ValueError:
        valid = False
    if not valid:
        # not quoted: it may hold a credential
        raise ValueError(f"{name} is no address of http, https, ws or wss, such as http://127.0.0.1:8080")
    return url.with_scheme(_SCHEMES[url.scheme]).with_fragment(None)


def public(url: URL) -> URL:
    """Leave out of an address what may be a secret."""
    return url.with_user(None).with_query(None).with_fragment(None)


@attrs.frozen
class End:
    """How a connection ended: why, whether for good, and the seconds to wait (None: backoff)."""

    reason: str
    final: bool = False
    wait: float | None = None


def after_close(code: int, error: Mapping[str, Any], drain: float | None = None) -> End:
    """Judge a close by protocol.md section 4, the error before it and the seconds that a drain asked for."""
    reason = error.get("message") or _MEANINGS.get(code, "the connection was closed")
    wait = drain
    if code in _LATER:
        asked = seconds(error.get("retryAfter"))
        wait = _LATER_SECONDS if asked is None else asked
    if code == _UNAUTHENTICATED:
        reason = _advised(reason, error)
    return End(_labelled(reason, str(code), error), code in _FINAL, wait)


def after_refusal(status: int, headers: Mapping[str, str], body: bytes) -> End:
    """Judge an HTTP answer in place of the upgrade; a redirect is told, and no credential follows it."""
    label = f"HTTP {status}"
    if location := headers.get("Location"):
        with contextlib.suppress(ValueError):
            return End(_labelled(f"the address redirects to {public(URL(location))}", label, {}), final=True)
    error = _error_of(body)
    passing = status >= 500 or status in {408, 425, 429}  # noqa: PLR2004 - RFC 9110 section 15
    fallback = "the relay isn't available" if passing else "there is no log stream at this address"
    after = headers.get("Retry-After")
    wait = None
    if after is not None or status == 429:  # noqa: PLR2004 - Too Many Requests
        # a date is allowed too, but no relay sends one
        wait = seconds(int(after)) if after and re.fullmatch("[0-9]{1,9}", after) else _LATER_SECONDS
    reason = error.get("message") or fallback
    if status == 401:  # noqa: PLR2004 - Unauthorized
        reason = _advised(reason, error)
    return End(_labelled(reason, label, error), not passing, wait)


def after_failure(error: Exception) -> End:
    """Judge a connection that broke or never stood; aiohttp's own texts quote URLs and are not shown."""
    final = False
    match error:
        case RefusedError():
            return error.end
        case TimeoutError():
            reason = "the relay doesn't answer"
        case aiohttp.ClientConnectorCertificateError():
            reason, final = f"the certificate of {error.host}:{error.port} is not trusted here", True
        case aiohttp.ClientConnectorSSLError():
            reason, final = f"{error.host}:{error.port} doesn't speak TLS as it should", True
        case aiohttp.ClientConnectorError():
            why = error.os_error.strerror or type(error.os_error).__name__
            reason = f"{error.host}:{error.port} can't be reached: {why}"
        case aiohttp.WSServerHandshakeError():
            reason, final = "the address doesn't speak WebSocket", True
        case _:
            reason = f"{_MEANINGS[_BROKEN]} ({type(error).__name__})"
    return End(reason, final)


def seconds(value: object) -> float | None:
    """Take a number of seconds from the wire, within reason."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return min(float(value), _LONGEST_WAIT)
    return None


def mapping(value: object) -> Mapping[str, Any]:
    """Take an object from the wire; anything else counts as an empty one."""
    return value if isinstance(value, dict) else {}


def _labelled(reason: object, label: str, error: Mapping[str, Any]) -> str:
    code = error.get("code")
    return f"{reason} ({label} {code})" if code else f"{reason} ({label})"


def _advised(reason: object, error: Mapping[str, Any]) -> str:
    """Add to an end for want of a credential what its reader can do."""
    what = "a new credential" if error.get("code") == "expired" else "a credential that is valid there"
    return f"{reason}; set LOGRELAY_TOKEN to {what}"


def _error_of(body: bytes) -> Mapping[str, Any]:
    try:
        return mapping(mapping(json.loads(body)).get("error"))
    except (ValueError, RecursionError):
        return {}


class RefusedError(Exception):
    """The HTTP answer was no upgrade; carries the end that follows from it out of aiohttp."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


async def _explained(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Read why an upgrade was refused, which ``ws_connect`` throws away."""
    answer = await handler(request)
    if answer.status == 101:  # noqa: PLR2004 - Switching Protocols
        return answer
    body = b""
    try:
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > _BODY_BYTES:
                break
    except aiohttp.ClientError:
        pass  # the status says enough
    finally:
        answer.close()
    raise RefusedError(after_refusal(answer.status, answer.headers, body))


def session() -> aiohttp.ClientSession:
    """Open what connections share; proxies are those of the environment."""
    return aiohttp.ClientSession(
        trust_env=True, timeout=aiohttp.ClientTimeout(total=None), middlewares=(_explained,)
    )


@attrs.define(eq=False, kw_only=True)
class Connection:
    """One connection; ``take`` gets each message, or None for one that can't be read.

    An error is held back until the next message: where a close comes instead, it explains the end.
    """

    take: Callable[[Mapping[str, Any] | None], None] = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    origin: str | None = None
    opening_timeout: float = 30.0  # seconds, for the handshake
    closing_timeout: float = 2.0  # seconds, for the peer's answer to a close
    silence: float = 2.5  # heartbeats without any frame, after which the connection counts as dead
    _heartbeat: float = attrs.field(init=False, default=25.0)  # seconds, until the relay says otherwise
    _drain: float | None = attrs.field(init=False, default=None)
    _error: Mapping[str, Any] = attrs.field(init=False, factory=dict)

    async def run(self, session: aiohttp.ClientSession, address: URL) -> End:
        """Connect, read until the end and tell it; being cancelled closes with 1000."""
        try:
            async with asyncio.timeout(self.opening_timeout):
                socket = await session.ws_connect(
                    address,
                    headers=self.headers,
                    origin=self.origin,
                    max_msg_size=_MESSAGE_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=self.closing_timeout),
                )
            async with socket:
                return await self._read(socket)
        except (RefusedError, TimeoutError, aiohttp.ClientError) as error:
            return after_failure(error)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> End:
        while True:
            patience = self.silence * self._heartbeat
            try:
                frame = await socket.receive(timeout=patience)
            except TimeoutError:
                return End(f"nothing was heard for {patience:.0f} s")
            match frame.type:
                case aiohttp.WSMsgType.TEXT:
                    self._read_text(frame.data)
                case aiohttp.WSMsgType.BINARY:
                    self.take(None)
                case aiohttp.WSMsgType.CLOSE:
                    return after_close(frame.data, self._error, self._drain)
                case aiohttp.WSMsgType.ERROR if isinstance(frame.data, aiohttp.WebSocketError):
                    return after_close(frame.data.code, self._error)
                case _:
                    # no close frame came, whatever code aiohttp has for that
                    return after_close(_BROKEN, self._error, self._drain)

    def _read_text(self, text: str) -> None:
        if self._error:
            self.take(self._error)
            self._error = {}
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            self.take(None)
            return
        match message:
            case {"type": "error"}:
                self._error = message
                return
            case {"type": "status", "data": {"reconnectInSeconds": wait}}:
                self._drain = seconds(wait)
            case {"type": "status", "data": {"limits": {"heartbeatSeconds": interval}}}:
                self._heartbeat = seconds(interval) or self._heartbeat
        self.take(message if isinstance(message, dict) else None)


@attrs.define
class Seen:
    """The ids of what was shown: the last ``limit``, and beyond them what an overlap may bring again."""

    limit: int = 20_000
    most: int = 200_000  # ids, however many records an overlap holds
    overlap: float = 20.0  # seconds; twice what is asked for, since rows come late
    _stamps: dict[str, str] = attrs.field(init=False, factory=dict, repr=False)

    def add(self, record_id: str, stamp: str) -> bool:
        """Remember an id and tell whether it is new."""
        if record_id in self._stamps:
            return False
        self._stamps[record_id] = stamp
        while len(self._stamps) > self.limit:
            oldest = next(iter(self._stamps))
            if len(self._stamps) <= self.most and self._overlaps(self._stamps[oldest], stamp):
                break
            del self._stamps[oldest]
        return True

    def _overlaps(self, old: str, new: str) -> bool:
        try:
            # to the second, which is exact enough here and the same in every precision
            age = datetime.fromisoformat(new[:19]) - datetime.fromisoformat(old[:19])
        except ValueError:
            return False
        return age <= timedelta(seconds=self.overlap)

    def __len__(self) -> int:
        return len(self._stamps)
