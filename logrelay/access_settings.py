"""Settings of who may connect, and what belongs together among them. Read by settings.py with all others."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from yarl import URL

from logrelay import readers
from logrelay.readers import setting
from logrelay.web.forward import ForwardGuard
from logrelay.web.origins import is_loopback
from logrelay.web.tokens import Token, TokensInvalid, parse

MODES = ("none", "token", "jwt", "forward", "ticket")
SECRET_LENGTH = 32  # characters, at least
HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
KEY_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_NOTICED = 60.0  # seconds (faults.md C20)
_LISTED = ("RS256", "ES256", "EdDSA")  # of a key set, unless told otherwise
_BELONGS = {"TOKENS": "token", "JWT": "jwt", "FORWARD": "forward"}  # settings by the mode that reads them


@attrs.frozen
class AccessSettings:
    """Who may connect to `logrelay serve`, and how often. Times are in seconds."""

    auth: str | None = setting(
        "LOGRELAY_AUTH",
        readers.one_of(*MODES),
        None,
        "who may connect: `none` (everyone), `token`, `jwt`, `forward` or `ticket`; "
        "may be left out on a loopback address only, where it is `none`",
    )
    auth_seconds: float = setting(
        "LOGRELAY_AUTH_SECONDS",
        readers.seconds(0.1, 60),
        5.0,
        "for the `auth` message of a client that shows no credential before",
    )
    tokens: str | None = setting(
        "LOGRELAY_TOKENS",
        readers.TEXT,
        None,
        "`token`: JSON lines of name, SHA-256, environments … (or `LOGRELAY_TOKENS_FILE`)",
        repr=False,
    )
    tokens_file: Path | None = setting(
        "LOGRELAY_TOKENS_FILE",
        readers.file(),
        None,
        "file with those lines; read again when it changes and on SIGHUP",
    )
    jwt_secret: str | None = setting(
        "LOGRELAY_JWT_SECRET",
        readers.TEXT,
        None,
        "`jwt`: the secret of HS256 tokens, 32 characters or more (or `LOGRELAY_JWT_SECRET_FILE`)",
        repr=False,
    )
    jwt_secret_file: Path | None = setting(
        "LOGRELAY_JWT_SECRET_FILE", readers.file(), None, "file with that secret"
    )
    jwt_jwks_url: str | None = setting(
        "LOGRELAY_JWT_JWKS_URL",
        readers.url("http", "https"),
        None,
        "`jwt`: address of the key set instead of a secret; https, except on loopback",
    )
    jwt_algorithms: tuple[str, ...] | None = setting(
        "LOGRELAY_JWT_ALGORITHMS",
        readers.some_of(*HMAC_ALGORITHMS, *KEY_ALGORITHMS),
        None,
        "algorithms that count, comma-separated; HS256 with a secret, RS256, ES256 and EdDSA with a key set",
    )
    jwt_audience: str | None = setting(
        "LOGRELAY_JWT_AUDIENCE", readers.TEXT, None, "the `aud` that tokens must have"
    )
    jwt_issuer: str | None = setting(
        "LOGRELAY_JWT_ISSUER", readers.TEXT, None, "the `iss` that tokens must have"
    )
    jwt_environments_claim: str = setting(
        "LOGRELAY_JWT_ENVIRONMENTS_CLAIM",
        readers.TEXT,
        "logrelay:environments",
        "the claim that lists ids of environments, or is `*`",
    )
    jwt_services_claim: str = setting(
        "LOGRELAY_JWT_SERVICES_CLAIM",
        readers.TEXT,
        "logrelay:services",
        "the claim that lists services, if not all may be seen",
    )
    jwt_leeway_seconds: float = setting(
        "LOGRELAY_JWT_LEEWAY_SECONDS",
        readers.seconds(0, 60),
        5.0,
        "by which other machines' clocks may differ",
    )
    forward_url: str | None = setting(
        "LOGRELAY_FORWARD_URL",
        readers.url("http", "https"),
        None,
        "`forward`: where the main API says who may look, with the caller's cookie and Authorization",
        repr=False,
    )
    forward_timeout_seconds: float = setting(
        "LOGRELAY_FORWARD_TIMEOUT_SECONDS",
        readers.seconds(0.05, 30),
        2.0,
        "for its answer; none is a refusal",
    )
    forward_cache_seconds: float = setting(
        "LOGRELAY_FORWARD_CACHE_SECONDS", readers.seconds(0, 60), 5.0, "that its answer is good for"
    )
    forward_recheck_seconds: float = setting(
        "LOGRELAY_FORWARD_RECHECK_SECONDS",
        readers.seconds(0.1, 60),
        30.0,
        "after which it is asked again about a connection that stands",
    )
    service_secret: str | None = setting(
        "LOGRELAY_SERVICE_SECRET",
        readers.TEXT,
        None,
        "switches tickets on: what the main API shows to make them, 32 characters or more "
        "(or `LOGRELAY_SERVICE_SECRET_FILE`)",
        repr=False,
    )
    service_secret_file: Path | None = setting(
        "LOGRELAY_SERVICE_SECRET_FILE", readers.file(), None, "file with that secret"
    )
    share_links: bool = setting(
        "LOGRELAY_SHARE_LINKS",
        readers.flag(),
        default=False,
        meaning="whether tickets can be had as share links",
    )
    revocations_file: Path | None = setting(
        "LOGRELAY_REVOCATIONS_FILE",
        readers.new_file(),
        None,
        "file that remembers what was revoked over a restart",
    )
    trusted_proxies: int = setting(
        "LOGRELAY_TRUSTED_PROXIES",
        readers.number(0, 10),
        0,
        "proxies in front whose X-Forwarded-For and -Host are believed",
    )
    max_connections_per_subject: int | None = setting(
        "LOGRELAY_MAX_CONNECTIONS_PER_SUBJECT",
        readers.number(1, 1_000_000),
        None,
        "connections of one caller, where callers have names",
    )
    max_connections_per_address: int | None = setting(
        "LOGRELAY_MAX_CONNECTIONS_PER_ADDRESS",
        readers.number(1, 1_000_000),
        None,
        "connections from one address (IPv6: one /64)",
    )
    handshakes_per_second: int = setting(
        "LOGRELAY_HANDSHAKES_PER_SECOND",
        readers.number(1, 100_000),
        500,
        "new connections a second from one address, in the long run",
    )
    handshake_burst: int = setting(
        "LOGRELAY_HANDSHAKE_BURST",
        readers.number(1, 1_000_000),
        5000,
        "new connections from one address at once",
    )
    audit_search: bool = setting(
        "LOGRELAY_AUDIT_SEARCH",
        readers.flag(),
        default=False,
        meaning="whether the audit line quotes what was searched for, instead of the number of words",
    )

    @property
    def mode(self) -> str:
        """The mode of authentication."""
        return self.auth or "none"

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms of JSON Web Tokens that count."""
        return self.jwt_algorithms or (_LISTED if self.jwt_jwks_url else HMAC_ALGORITHMS[:1])

    def token_list(self) -> tuple[Token, ...]:
        """The static tokens. Raises TokensInvalid, OSError."""
        text = self.tokens_file.read_text(encoding="utf-8") if self.tokens_file is not None else self.tokens
        return parse(text or "")


def faults(settings: AccessSettings, host: str) -> list[str]:
    """What doesn't go together, a sentence each."""
    found: list[str] = []
    if settings.auth is None and not is_loopback(host):
        found.append(
            f"LOGRELAY_AUTH must say who may connect: one of {', '.join(MODES)} "
            "(it may be left out only where LOGRELAY_HOST is a loopback address)"
        )
    found += {
        "token": _token_faults,
        "jwt": _jwt_faults,
        "forward": _forward_faults,
        "ticket": _ticket_faults,
    }.get(settings.mode, _no_faults)(settings)
    secret = settings.service_secret
    if secret is not None and (
        len(secret) < SECRET_LENGTH or not secret.isascii() or not secret.isprintable()
    ):
        found.append(f"LOGRELAY_SERVICE_SECRET must have at least {SECRET_LENGTH} printable characters")
    if secret is None and (settings.share_links or settings.revocations_file is not None):
        found.append("LOGRELAY_SHARE_LINKS and LOGRELAY_REVOCATIONS_FILE need LOGRELAY_SERVICE_SECRET")
    return found


def warnings(settings: AccessSettings, environ: Mapping[str, str]) -> list[str]:
    """What is odd but harmless."""
    told = [
        f"{name} is read only with LOGRELAY_AUTH={mode}"
        for name in sorted(environ)
        for word, mode in _BELONGS.items()
        if name.startswith(f"LOGRELAY_{word}") and environ[name].strip() and settings.mode != mode
    ]
    if settings.mode == "jwt" and settings.jwt_audience is None:
        told.append(
            "LOGRELAY_JWT_AUDIENCE is not set: tokens that were made for other services count here, too"
        )
    return told


def _no_faults(_: AccessSettings) -> list[str]:
    return []


def _token_faults(settings: AccessSettings) -> list[str]:
    if (settings.tokens is None) == (settings.tokens_file is None):
        return ["LOGRELAY_AUTH=token needs LOGRELAY_TOKENS or LOGRELAY_TOKENS_FILE, and not both"]
    name = "LOGRELAY_TOKENS" if settings.tokens_file is None else "LOGRELAY_TOKENS_FILE"
    try:
        return [] if settings.token_list() else [f"{name} has no token in it"]
    except TokensInvalid as error:
        return [f"{name}: {error}"]
    except (OSError, ValueError):
        return [f"{name} must be the path of a text file that can be read"]


def _jwt_faults(settings: AccessSettings) -> list[str]:
    if (settings.jwt_secret is None) == (settings.jwt_jwks_url is None):
        return [
            "LOGRELAY_AUTH=jwt needs LOGRELAY_JWT_SECRET (or its _FILE) or LOGRELAY_JWT_JWKS_URL, and not both"
        ]
    found: list[str] = []
    fitting = HMAC_ALGORITHMS if settings.jwt_jwks_url is None else KEY_ALGORITHMS
    if not set(settings.algorithms) <= set(fitting):
        found.append(f"LOGRELAY_JWT_ALGORITHMS must be some of {', '.join(fitting)} with such keys")
    if (
        settings.jwt_secret is not None
        and len(settings.jwt_secret.encode("utf-8", "replace")) < SECRET_LENGTH
    ):
        found.append(f"LOGRELAY_JWT_SECRET must have at least {SECRET_LENGTH} characters")
    if settings.jwt_jwks_url is not None and not _safe(settings.jwt_jwks_url):
        found.append(
            "LOGRELAY_JWT_JWKS_URL must begin with https, except for a loopback address, and have no #"
        )
    if settings.jwt_environments_claim == settings.jwt_services_claim:
        found.append("LOGRELAY_JWT_ENVIRONMENTS_CLAIM and LOGRELAY_JWT_SERVICES_CLAIM must be different")
    if importlib.util.find_spec("joserfc") is None:
        found.append("LOGRELAY_AUTH=jwt needs the package joserfc: install logrelay[jwt]")
    elif settings.jwt_secret is not None and not found:
        from logrelay.web.jwt import Secret  # noqa: PLC0415 its package may be missing

        try:
            Secret(settings.jwt_secret.encode("utf-8", "replace"))
        except ValueError as fault:
            found.append(f"LOGRELAY_JWT_SECRET: {fault}")
    return found


def _forward_faults(settings: AccessSettings) -> list[str]:
    if settings.forward_url is None:
        return ["LOGRELAY_AUTH=forward needs LOGRELAY_FORWARD_URL"]
    found: list[str] = []
    if not ForwardGuard.valid(settings.forward_url):
        found.append("LOGRELAY_FORWARD_URL must be an address such as http://api:8000/may-look")
    if settings.forward_cache_seconds + settings.forward_recheck_seconds > _NOTICED:
        found.append(
            "LOGRELAY_FORWARD_CACHE_SECONDS and LOGRELAY_FORWARD_RECHECK_SECONDS must be at most "
            f"{_NOTICED:g} together: so late a sign-out would be noticed"
        )
    return found


def _ticket_faults(settings: AccessSettings) -> list[str]:
    return (
        [] if settings.service_secret is not None else ["LOGRELAY_AUTH=ticket needs LOGRELAY_SERVICE_SECRET"]
    )


def _safe(url: str) -> bool:
    parsed = URL(url)
    return not parsed.raw_fragment and (parsed.scheme == "https" or is_loopback(parsed.host or ""))


def secret_files(values: dict[str, Any]) -> list[str]:
    """Put secrets that are kept in files into `values`; a sentence for each one that can't be had."""
    found: list[str] = []
    for field in ("jwt_secret", "service_secret"):
        path, name = values.get(f"{field}_file"), f"LOGRELAY_{field.upper()}"
        if path is None:
            continue
        if field in values:
            found.append(f"{name} and {name}_FILE are both set; set one of them")
            continue
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            text = ""
        if text:
            values[field] = text
        else:
            found.append(f"{name}_FILE must be the path of a file that holds the secret")
    return found
