"""`jwt` mode: what a signed token allows (RFC 7519, RFC 8725). Believes nothing in it before its signature.

Which algorithms count is configured; the token's own idea of them only has to be one of those. Where keys come from
is configured too: nothing that a header names is fetched or used.
"""

import base64
import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import attrs
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning, UnsupportedAlgorithmError
from joserfc.jwk import Key, OctKey

from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.web import endings
from logrelay.web.grants import Credential, Grant

logger = logging.getLogger(__name__)

SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})
TOKEN_LIMIT = 8192  # characters
SECRET_LEAST = 32  # bytes, what HS256 wants (RFC 7518 section 3.2)
LEEWAY_MOST = 60.0  # seconds
TEXT_LIMIT = 200  # characters of a subject, of an id and of a service's name
LAST_SECOND = 253_402_300_799  # the end of the year 9999; a later time is a mistake, such as milliseconds

# Three parts of base64url without padding (RFC 7515 section 7.1), none of them empty: an unsigned token has two.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# What no token here needs: extensions, an unencoded payload (RFC 7797), encryption, a token in the token.
_REFUSED_HEADERS = frozenset({"crit", "b64", "enc", "zip", "cty"})
_TYPES = frozenset({"jwt", "at+jwt"})  # of a session or of access; a token for something else says so


@attrs.frozen
class JwtRules:
    """What a token must be. Raises ValueError for rules that can't hold."""

    algorithms: tuple[str, ...]
    audience: str | None = None
    issuer: str | None = None
    environments_claim: str = "logrelay:environments"
    services_claim: str = "logrelay:services"
    leeway: float = 5.0  # seconds by which the issuer's clock may be ahead of ours

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.leeway <= LEEWAY_MOST:
            raise ValueError(f"the leeway must be 0 to {LEEWAY_MOST:g} seconds")
        if not self.environments_claim or not self.services_claim:
            raise ValueError("the names of claims must not be empty")
        if self.environments_claim == self.services_claim:
            raise ValueError("environments and services must be different claims")
        if self.audience == "" or self.issuer == "":
            raise ValueError("audience and issuer must not be empty where they are given")


class Keys(Protocol):
    """Where the keys come from: a `Secret`, or the `Jwks` of logrelay.web.jwks."""

    algorithms: frozenset[str]

    async def find(self, algorithm: str, kid: str | None) -> Key | None:
        """The one key to check a signature with; None where there is none. Raises Disconnect."""

    def describe(self) -> Mapping[str, object]:
        """As Guard's."""

    def reload(self) -> bool:
        """As Guard's."""

    async def __aenter__(self) -> Self:
        """Open what it needs."""

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""


class Secret:
    """A secret that the relay shares with the issuer of the tokens."""

    algorithms = SYMMETRIC

    def __init__(self, secret: bytes, path: Path | None = None) -> None:
        """With a `path`, `reload` reads it anew. Raises ValueError for one that is too short, or is another key."""
        self._key = _secret_key(secret)
        self._path = path
        self._fault = False

    def __repr__(self) -> str:
        return "<Secret>"

    def replace(self, secret: bytes) -> bool:
        """Take another secret; whether live connections must be looked at again. Raises ValueError as above."""
        key = _secret_key(secret)
        changed = key.raw_value != self._key.raw_value
        self._key = key
        return changed

    async def find(self, algorithm: str, kid: str | None) -> Key | None:  # noqa: ARG002 there is only one
        """See Keys."""
        return self._key if algorithm in SYMMETRIC else None

    def describe(self) -> Mapping[str, object]:
        """See Keys."""
        return (
            {"state": "failing", "reason": "the secret's file can't be used"}
            if self._fault
            else {"state": "ok"}
        )

    def reload(self) -> bool:
        """See Keys. A file that can't be used leaves the secret as it was."""
        if self._path is None:
            return False
        try:
            changed = self.replace(self._path.read_bytes().strip())
        except (OSError, ValueError):
            self._fault = True
            logger.warning("the secret's file can't be used, the last one stays")
            return False
        self._fault = False
        return changed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to close."""


class _Refused(Exception):
    """The token is no good. Its one argument is why, one word of a closed set."""


class _Algorithms(jws.JWSRegistry):
    """Exactly those that are configured, within a token's size; joserfc's own rule also warns about EdDSA's name."""

    max_header_length = TOKEN_LIMIT
    max_signature_length = TOKEN_LIMIT

    def get_alg(self, name: str) -> Any:
        if not self.allowed or name not in self.allowed:
            raise UnsupportedAlgorithmError("not configured")
        return self.algorithms[name]


class JwtGuard:
    """Knows callers by signed tokens. A grant ends when its token does."""

    mode = "jwt"
    recheck: float | None = None  # a token says itself when it ends; `reload` says when keys have changed

    def __init__(self, rules: JwtRules, keys: Keys, *, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds since 1970. Raises ValueError for algorithms that the keys aren't made for."""
        if not rules.algorithms or not keys.algorithms.issuperset(rules.algorithms):
            raise ValueError(f"the algorithms must be of {', '.join(sorted(keys.algorithms))}")
        self._rules = rules
        self._keys = keys
        self._now = now
        self._registry = _Algorithms(algorithms=rules.algorithms, strict_check_header=False)

    def __repr__(self) -> str:
        return f"<JwtGuard {', '.join(self._rules.algorithms)} by {self._keys!r}>"

    async def grant(self, credential: Credential, environment_id: str) -> Grant:  # noqa: ARG002 the caller's to judge
        """See Guard. Raises Disconnect: `unauthenticated`, `expired`, `not_allowed` for no service, `undecided`."""
        try:
            return self._judge(await self._verified(credential.token))
        except _Refused as refused:
            reason = str(refused)
        # Raised out here, so that the ending brings no error along that could quote the token.
        logger.info("a token was refused", extra={"reason": reason})
        ending = _ENDINGS.get(reason, endings.unauthenticated)
        raise ending()

    def describe(self) -> Mapping[str, object]:
        """See Guard."""
        return self._keys.describe()

    def reload(self) -> bool:
        """See Guard."""
        return self._keys.reload()

    async def __aenter__(self) -> Self:
        await self._keys.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._keys.__aexit__(*exc)

    async def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature is right."""
        if len(token) > TOKEN_LIMIT:
            raise _Refused("size")
        if not _COMPACT.fullmatch(token):
            raise _Refused("form")
        header = _object(token.partition(".")[0], "header")
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise _Refused("algorithm")
        if not _usable(header):
            raise _Refused("header")
        key = await self._keys.find(algorithm, header.get("kid"))
        if key is None:
            raise _Refused("key")
        try:
            jws.deserialize_compact(token, key, registry=self._registry)
        except (JoseError, ValueError, TypeError):
            raise _Refused("signature") from None
        return _object(token.split(".")[1], "claims")

    def _judge(self, claims: dict[str, Any]) -> Grant:
        """What the claims of a genuine token allow."""
        now, rules = self._now(), self._rules
        expires, begins, issued = (_seconds(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None:
            raise _Refused("claims")
        # No leeway here: the connection ends at that time, so one let in later would end at once.
        if expires <= now:
            raise _Refused("expired")
        if any(time_ is not None and time_ > now + rules.leeway for time_ in (begins, issued)):
            raise _Refused("early")
        if _text(claims, "iss") != rules.issuer and rules.issuer is not None:
            raise _Refused("issuer")
        audiences = _audiences(claims)
        # A token for others is not for us, also where nothing says who we are (RFC 7519 section 4.1.3).
        if rules.audience not in audiences and (audiences or rules.audience is not None):
            raise _Refused("audience")
        return Grant(
            self.mode,
            subject=_text(claims, "sub"),
            environments=_environments(claims.get(rules.environments_claim)),
            scope=_scope(claims, rules.services_claim),
            until=time.monotonic() + expires - now,
            issued=None if issued is None else float(issued),
        )


_ENDINGS: Mapping[str, Callable[[], Exception]] = {
    "expired": endings.expired,
    "services": endings.not_allowed,
}


def _secret_key(secret: bytes) -> OctKey:
    if len(secret) < SECRET_LEAST:
        raise ValueError(
            f"the secret must have {SECRET_LEAST} bytes or more; `openssl rand -base64 48` makes one"
        )
    # joserfc tells public keys and certificates in PEM, DER and SSH; a warning is for what looks like one.
    # A JWK is the one form that it takes for a text: a public one is known to everybody.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)
            key = OctKey.import_key(secret)
    except (ValueError, SecurityWarning):
        key = None
    if key is None or secret.lstrip().startswith(b"{"):
        raise ValueError("the secret must be random bytes, not a key in PEM, DER, SSH or JWK form")
    return key


def _object(part: str, reason: str) -> dict[str, Any]:
    """A part of a token as the JSON object that it has to be, read in the one way in which it can be written.

    A name that stands there twice means one thing to one reader and another to the next (RFC 8259 section 4).
    """
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
            raise _Refused(reason)
        read = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _Refused(reason) from None
    if not isinstance(read, dict):
        raise _Refused(reason)
    return read


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a name stands there twice")
    return read


def _no_constant(name: str) -> Any:  # noqa: ARG001 the signature is json's
    raise ValueError("NaN and Infinity are no JSON")


def _usable(header: dict[str, Any]) -> bool:
    """Whether a header asks for nothing unheard of, and is that of a token to be let in by."""
    kind = header.get("typ", "JWT")
    return (
        header.keys().isdisjoint(_REFUSED_HEADERS)
        and isinstance(header.get("kid", ""), str)
        and isinstance(kind, str)
        and kind.casefold().removeprefix("application/") in _TYPES
    )


def _seconds(claims: dict[str, Any], name: str) -> int | None:
    """A time in whole seconds since 1970; None where the claim is missing."""
    if name not in claims:
        return None
    seconds = claims[name]
    if type(seconds) is not int or not 0 <= seconds <= LAST_SECOND:
        raise _Refused("claims")
    return seconds


def _text(claims: dict[str, Any], name: str) -> str | None:
    """A text for limits and the log; None where the claim is missing."""
    if name not in claims:
        return None
    if not _nameable(claims[name]):
        raise _Refused("claims")
    return str(claims[name])


def _audiences(claims: dict[str, Any]) -> list[str]:
    """Whom the token is for; empty where it doesn't say."""
    audiences = claims.get("aud", [])
    if isinstance(audiences, str):
        return [audiences]
    if not isinstance(audiences, list) or not all(isinstance(audience, str) for audience in audiences):
        raise _Refused("claims")
    return audiences


def _environments(claim: Any) -> frozenset[str] | None:
    """The ids of a claim; None for `*`, which is all. Whatever else it is allows nothing."""
    if claim == "*":
        return None
    if not isinstance(claim, list) or not all(_nameable(identity) for identity in claim):
        return frozenset()
    return frozenset(claim)


def _scope(claims: dict[str, Any], name: str) -> Filter:
    if name not in claims:
        return EVERYTHING
    services = claims[name]
    if not isinstance(services, list) or not all(_nameable(service) for service in services):
        raise _Refused("claims")
    if not services:
        raise _Refused("services")
    return Filter.of_services(services)


def _nameable(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= TEXT_LIMIT and text.isprintable()
