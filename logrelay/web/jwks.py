"""An issuer's public keys, fetched from its address and kept fresh (RFC 7517). Judges no token.

Only public keys of RSA, EC and OKP are ever taken, so that none of them can be used as the secret of an HMAC.
"""

import asyncio
import json
import logging
import re
import ssl
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import aiohttp
import attrs
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from yarl import URL

import logrelay
from logrelay.web import endings
from logrelay.web.origins import is_loopback

logger = logging.getLogger(__name__)

ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_KINDS: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_SIGNING_CURVES = ("Ed25519", "Ed448")  # an OKP key of another curve is for key agreement
_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})', re.ASCII | re.IGNORECASE)


@attrs.frozen
class JwksLimits:
    """How long keys are kept, and how often and how much is fetched; times in seconds."""

    keep: float = 300.0  # where the answer doesn't say how long it may be kept
    shortest: float = 60.0  # bounds of what the answer may say
    longest: float = 3600.0
    grace: float = 3600.0  # that old keys go on for when no new ones come
    spacing: float = 30.0  # from one fetch for an unknown key to the next, and between retries at most
    first_retry: float = 1.0  # after a failure, doubled each time
    timeout: float = 5.0
    body: int = 256 * 1024  # bytes
    keys: int = 100


@attrs.frozen
class _Known:
    """A key, and the algorithms that it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key = attrs.field(repr=False)


@attrs.frozen
class _Failing:
    """Since when no keys come, and why."""

    since: float
    reason: str


class _NoKeys(Exception):
    """Nothing usable came. Its one argument is why, a word of ours that `/readyz` shows."""


class Jwks:
    """The keys that stand at an address.

    They are fetched again in the background after four fifths of their time, and at once for a key that is unknown:
    at most every `spacing` seconds and once for all who wait, so that made-up key ids make no flood of requests.
    Where nothing comes, old keys go on for `grace` seconds; after that nobody is let in.
    """

    algorithms = ASYMMETRIC

    def __init__(
        self,
        url: str,
        *,
        limits: JwksLimits | None = None,
        tls: ssl.SSLContext | None = None,  # where other authorities than the system's are trusted
        proxy: str | None = None,  # the way out, where one is needed
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError for an address that `valid` doesn't like."""
        if not self.valid(url):
            raise ValueError(
                "a key set's address must be https://, or http:// on loopback, without user or fragment"
            )
        self._url = URL(url)
        self._limits = limits or JwksLimits()
        self._tls = tls
        self._proxy = proxy
        self._clock = clock
        self._keys: tuple[_Known, ...] = ()
        self._ends = clock()  # when the keys may no longer be used
        self._due = clock()  # when they are to be fetched again
        self._retry = 0.0  # seconds after the last failure
        self._reloads = 0
        self._seen = 0  # reloads before the last fetch began that has ended
        self._began = clock() - self._limits.spacing  # the last fetch
        self._failing: _Failing | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._opened = clock()
        self._session: aiohttp.ClientSession  # from entering it to leaving it

    def __repr__(self) -> str:
        return f"<Jwks {self._url.host}: {len(self._keys)} keys>"

    @staticmethod
    def valid(url: str) -> bool:
        """Whether keys may be fetched there: over TLS or on this machine, with no credentials in the address."""
        try:
            parts = URL(url)
            host = parts.host or ""
            return (
                host != ""
                and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
                and parts.user is None
                and parts.password is None
                and not parts.raw_fragment
            )
        except ValueError:
            return False

    async def __aenter__(self) -> Self:
        """Fetch the keys, now and again; doesn't wait for them."""
        self._opened = self._clock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # none is asked for; a bomb stays as small as it came
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=self._limits.timeout),
            headers={
                "Accept": "application/jwk-set+json, application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"logrelay/{logrelay.__version__}",
            },
        )
        self._refreshing = asyncio.create_task(self._refresh(), name="keys")
        return self

    async def __aexit__(self, *exc: object) -> None:
        tasks = [task for task in (self._refreshing, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._session.close()

    async def find(self, algorithm: str, kid: str | None) -> Key | None:
        """The one key that fits; None where none does, or more than one.

        Raises Disconnect (`undecided`) where that can't be told because the keys are missing or can't be fetched.
        """
        while self._seen < self._reloads:
            await self._fetched()
        found = self._match(algorithm, kid)
        spaced = self._clock() - self._began >= self._limits.spacing
        if found is None and (spaced or self._fetching is not None):
            await self._fetched()
            found = self._match(algorithm, kid)
        if found is None and (self._failing is not None or not self._serving):
            logger.info("a token can't be judged", extra={"reason": "keys"})
            raise endings.undecided()
        return found

    def describe(self) -> Mapping[str, object]:
        """`{"state": "ok"}`, or since how many seconds and why no keys come, and whether old ones go on."""
        if self._failing is None and self._serving:
            return {"state": "ok"}
        failing = self._failing or _Failing(self._opened, "not fetched yet")
        seconds = round(self._clock() - failing.since, 1)
        return {"state": "failing", "seconds": seconds, "reason": failing.reason, "serving": self._serving}

    def reload(self) -> bool:
        """Have the next use fetch the keys; live connections are to be judged by those."""
        self._reloads += 1
        return True

    @property
    def _serving(self) -> bool:
        return self._clock() < self._ends

    def _match(self, algorithm: str, kid: str | None) -> Key | None:
        if not self._serving:
            return None
        fitting = [
            known.key for known in self._keys if algorithm in known.algorithms and kid in (None, known.kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self) -> None:
        while True:
            await self._fetched()
            while (wait := self._due - self._clock()) > 0:
                # Another fetch may have brought the time forward, after a failure.
                await asyncio.sleep(min(wait, self._limits.spacing))

    async def _fetched(self) -> None:
        """Wait for the fetch under way, or for a new one. Who stops waiting doesn't end it for the others."""
        if self._fetching is None or self._fetching.done():  # cancelled before it ran, it could not tidy up
            self._began = self._clock()
            self._fetching = asyncio.create_task(self._fetch(), name="keys fetched")
        await asyncio.wait((self._fetching,))

    async def _fetch(self) -> None:
        reloads = self._reloads
        try:
            keys, seconds = await self._ask()
        except _NoKeys as none:
            self._note_failure(str(none))
        except Exception as error:  # noqa: BLE001 whatever it is, the next try must come
            logger.error("fetching keys failed", extra={"kind": type(error).__name__})  # noqa: TRY400 no text
            self._note_failure("internal")
        else:
            self._note_keys(keys, seconds)
        finally:
            self._seen = reloads
            self._fetching = None

    async def _ask(self) -> tuple[tuple[_Known, ...], float]:
        """One request: the keys and for how many seconds. Raises _NoKeys for whatever goes wrong on the way."""
        try:
            async with self._session.get(self._url, allow_redirects=False, proxy=self._proxy) as response:
                body = await self._read(response)
                seconds = self._lifetime(response.headers.get("Cache-Control", ""))
        except TimeoutError:
            reason = "timeout"
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            reason = "tls"
        except (aiohttp.ClientConnectorError, OSError):
            reason = "unreachable"
        except aiohttp.ClientError:
            reason = "broken off"
        else:
            return self._parse(body), seconds
        raise _NoKeys(reason)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status != 200:  # noqa: PLR2004 HTTP's own number
            raise _NoKeys(f"status {response.status}")
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > self._limits.body:
                raise _NoKeys("too large")
        return bytes(body)

    def _lifetime(self, cache_control: str) -> float:
        match = _MAX_AGE.search(cache_control)
        if match is None:
            return self._limits.keep
        return min(max(float(match[1]), self._limits.shortest), self._limits.longest)

    def _parse(self, body: bytes) -> tuple[_Known, ...]:
        try:
            entries = json.loads(body)["keys"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _NoKeys("unreadable") from None
        if not isinstance(entries, list):
            raise _NoKeys("unreadable")
        if len(entries) > self._limits.keys:
            raise _NoKeys("too large")
        return tuple(known for entry in entries if (known := _read_key(entry)) is not None)

    def _note_failure(self, reason: str) -> None:
        self._retry = min(max(2 * self._retry, self._limits.first_retry), self._limits.spacing)
        self._due = self._clock() + self._retry
        if self._failing is None or self._failing.reason != reason:
            logger.warning("the issuer's keys don't come", extra={"reason": reason})
        self._failing = _Failing(self._clock() if self._failing is None else self._failing.since, reason)

    def _note_keys(self, keys: tuple[_Known, ...], seconds: float) -> None:
        now = self._clock()
        self._retry = 0.0
        self._due = now + 0.8 * seconds
        self._ends = now + seconds + self._limits.grace
        if keys != self._keys or self._failing is not None:
            logger.info("the issuer's keys are there", extra={"keys": len(keys)})
        self._keys = keys
        self._failing = None


def _read_key(entry: Any) -> _Known | None:
    """One key of a set; None for one that can't be used, which is no fault of the others (RFC 7517 section 5)."""
    kind = _KINDS.get(str(entry.get("kty"))) if isinstance(entry, dict) else None
    if kind is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)  # a weak key is a bad key
            key: RSAKey | ECKey | OKPKey = kind.import_key(entry)
            if key.is_private:  # whoever has read the set can sign with it
                return None
            key.check_key_op("verify")
    except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
        return None
    algorithms = frozenset(name for name in ASYMMETRIC if _fits(key, name))
    return _Known(key.kid, algorithms, key) if algorithms else None


def _fits(key: RSAKey | ECKey | OKPKey, algorithm: str) -> bool:
    """Whether the key's type, curve, `use` and `alg` allow this algorithm."""
    if isinstance(key, OKPKey) and key.curve_name not in _SIGNING_CURVES:
        return False
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
    except JoseError:
        return False
    return True
