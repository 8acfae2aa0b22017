"""Everything configurable, read once from the environment. Nothing else in logrelay looks there.

All faults are reported at once, and no fault repeats a value, because a value may be a secret in the wrong place.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from logrelay import access_settings, readers
from logrelay.access_settings import AccessSettings
from logrelay.errors import SettingsInvalid
from logrelay.readers import setting
from logrelay.relay.redaction import Rule, RulesInvalid

_PREFIX = "LOGRELAY_"
# Kubernetes sets such names for a Service called logrelay; they are none of ours.
_FOREIGN = ("LOGRELAY_SERVICE_", "LOGRELAY_PORT_")
_ELSEWHERE = frozenset({"LOGRELAY_URL", "LOGRELAY_TOKEN"})  # read by `logrelay tail`

_PINGS_PER_MESSAGE = 1.5

LOG_LEVELS = ("debug", "info", "warning", "error")


@attrs.frozen
class Settings:
    """The configuration of `logrelay serve`. Times are in seconds."""

    host: str = setting(
        "LOGRELAY_HOST", readers.TEXT, "127.0.0.1", "address to listen on; the container sets 0.0.0.0"
    )
    port: int = setting(
        "LOGRELAY_PORT",
        readers.number(0, 65535),
        8080,
        "port to listen on; `PORT` is read where this is not set",
    )
    base_path: str = setting(
        "LOGRELAY_BASE_PATH",
        readers.base_path(),
        "",
        "path under which the API lives, behind the main API's proxy",
    )
    api_token: str | None = setting(
        "RAILWAY_API_TOKEN",
        readers.TEXT,
        None,
        "account or workspace token (or `RAILWAY_API_TOKEN_FILE`)",
        repr=False,
    )
    project_token: str | None = setting(
        "RAILWAY_TOKEN",
        readers.TEXT,
        None,
        "project token, for one environment (or `RAILWAY_TOKEN_FILE`)",
        repr=False,
    )
    api_token_file: Path | None = setting(
        "RAILWAY_API_TOKEN_FILE",
        readers.file(),
        None,
        "file with that token; read again after a refusal and on SIGHUP",
    )
    project_token_file: Path | None = setting(
        "RAILWAY_TOKEN_FILE", readers.file(), None, "as above, for a project token"
    )
    railway_url: str = setting(
        "LOGRELAY_RAILWAY_URL",
        readers.url("http", "https"),
        "https://backboard.railway.com/graphql/v2",
        "Railway's GraphQL endpoint",
    )
    railway_ws_url: str | None = setting(
        "LOGRELAY_RAILWAY_WS_URL",
        readers.url("ws", "wss"),
        None,
        "its WebSocket address; made from the URL if not set",
    )
    ca_file: Path | None = setting(
        "LOGRELAY_CA_FILE",
        readers.certificates(),
        None,
        "certificate authorities to trust instead of the system's, as PEM",
    )
    environments: tuple[str, ...] | None = setting(
        "LOGRELAY_ENVIRONMENTS",
        readers.environments(),
        None,
        "ids of the environments that may be streamed, comma-separated, or `*`; "
        "not needed with a project token, which has one of its own",
    )
    allowed_origins: tuple[str, ...] = setting(
        "LOGRELAY_ALLOWED_ORIGINS",
        readers.origins(),
        (),
        "origins of pages that may connect, comma-separated, or `*`; the same origin always may",
    )
    access: AccessSettings = attrs.Factory(AccessSettings)
    max_connections_per_environment: int = setting(
        "LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT",
        readers.number(1, 1_000_000),
        10,
        "connections to one environment",
    )
    max_connections: int = setting(
        "LOGRELAY_MAX_CONNECTIONS", readers.number(1, 1_000_000), 10_000, "connections in all"
    )
    history_records: int = setting(
        "LOGRELAY_HISTORY_RECORDS", readers.number(1, 10_000_000), 50_000, "records kept for one environment"
    )
    history_mb: int = setting(
        "LOGRELAY_HISTORY_MB",
        readers.number(1, 65_536),
        64,
        "MiB of memory that one environment's records may take",
    )
    history_seconds: float = setting(
        "LOGRELAY_HISTORY_SECONDS",
        readers.seconds(1, 864_000),
        3600.0,
        "age of the oldest record kept; not of the newest 1,000",
    )
    memory_mb: int | None = setting(
        "LOGRELAY_MEMORY_MB",
        readers.number(96, 1_048_576),
        None,
        "MiB for the whole process: histories are halved at 80 %, new clients refused at 90 %; "
        "the container's own limit if not set",
    )
    linger_seconds: float = setting(
        "LOGRELAY_LINGER_SECONDS",
        readers.seconds(0, 86_400),
        30.0,
        "how long a subscription outlives its last client",
    )
    overlap_seconds: float = setting(
        "LOGRELAY_OVERLAP_SECONDS", readers.seconds(0, 3600), 30.0, "how far a resubscription reaches back"
    )
    coalesce_seconds: float = setting(
        "LOGRELAY_COALESCE_SECONDS",
        readers.seconds(0, 1),
        0.0,
        "least time from one batch to clients to the next; the first after a pause goes at once",
    )
    redact: bool = setting(
        "LOGRELAY_REDACT",
        readers.flag(),
        default=True,
        meaning="whether what is unmistakably a secret is taken out of records; `false` turns the next two off as well",
    )
    redact_pairs: bool = setting(
        "LOGRELAY_REDACT_PAIRS",
        readers.flag(),
        default=False,
        meaning="whether values go that stand beside a name such as `password`, `token` or `api_key`",
    )
    redact_rules: tuple[Rule, ...] = setting(
        "LOGRELAY_REDACT_RULES_FILE",
        readers.rules(),
        (),
        "file with rules of your own: in each line a name and a pattern in RE2's syntax",
    )
    heartbeat_seconds: float = setting(
        "LOGRELAY_HEARTBEAT_SECONDS", readers.seconds(0.05, 3600), 25.0, "between two heartbeat messages"
    )
    ping_seconds: float = setting(
        "LOGRELAY_PING_SECONDS", readers.seconds(0.05, 3600), 54.0, "between two WebSocket pings to a client"
    )
    silence_seconds: float = setting(
        "LOGRELAY_SILENCE_SECONDS", readers.seconds(0.1, 7200), 60.0, "after which a silent client is gone"
    )
    write_timeout_seconds: float = setting(
        "LOGRELAY_WRITE_TIMEOUT_SECONDS",
        readers.seconds(0.1, 600),
        10.0,
        "after which a client whose writes don't move is gone",
    )
    messages_per_second: int = setting(
        "LOGRELAY_MESSAGES_PER_SECOND",
        readers.number(1, 10_000),
        20,
        "messages that a client may send in a second",
    )
    resume_seconds: float = setting(
        "LOGRELAY_RESUME_SECONDS",
        readers.seconds(0, 7_776_000),
        3600.0,
        "how far before the newest record a resume may fetch",
    )
    resume_records: int = setting(
        "LOGRELAY_RESUME_RECORDS", readers.number(0, 1_000_000), 20_000, "records that one resume may fetch"
    )
    retention_days: float = setting(
        "LOGRELAY_RETENTION_DAYS",
        readers.seconds(0.01, 400),
        7.0,
        "days that Railway keeps logs on your plan",
    )
    fill_records: int = setting(
        "LOGRELAY_FILL_RECORDS",
        readers.number(0, 10_000_000),
        100_000,
        "largest hole that is fetched after an outage",
    )
    fill_seconds: float = setting(
        "LOGRELAY_FILL_SECONDS",
        readers.seconds(0, 864_000),
        3600.0,
        "longest hole that is fetched after an outage",
    )
    fill_patience_seconds: float = setting(
        "LOGRELAY_FILL_PATIENCE_SECONDS",
        readers.seconds(0, 3600),
        15.0,
        "that failures may take while a hole is fetched, before it is declared",
    )
    reread_seconds: float = setting(
        "LOGRELAY_REREAD_SECONDS",
        readers.seconds(0, 86_400),
        60.0,
        "between two looks at what the subscription may have passed over, give or take half; 0 for none",
    )
    reread_window_seconds: float = setting(
        "LOGRELAY_REREAD_WINDOW_SECONDS",
        readers.seconds(1, 3600),
        120.0,
        "how far before the newest record such a look reaches back",
    )
    queries_per_hour: int = setting(
        "LOGRELAY_QUERIES_PER_HOUR",
        readers.number(1, 1_000_000),
        1000,
        "Railway queries that the relay allows itself",
    )
    queries_per_second: int = setting(
        "LOGRELAY_QUERIES_PER_SECOND", readers.number(1, 10_000), 10, "the same in a second"
    )
    query_timeout_seconds: float = setting(
        "LOGRELAY_QUERY_TIMEOUT_SECONDS", readers.seconds(0.1, 600), 30.0, "for the answer to one query"
    )
    openings: int = setting(
        "LOGRELAY_OPENINGS", readers.number(1, 100), 3, "subscriptions that may be opening at once"
    )
    open_seconds: float = setting(
        "LOGRELAY_OPEN_SECONDS", readers.seconds(0.1, 600), 10.0, "for connecting and the acknowledgement"
    )
    upstream_ping_seconds: float = setting(
        "LOGRELAY_UPSTREAM_PING_SECONDS", readers.seconds(0.05, 600), 13.0, "between two pings to Railway"
    )
    message_seconds: float = setting(
        "LOGRELAY_MESSAGE_SECONDS",
        readers.seconds(0.1, 3600),
        60.0,
        "from one whole message of Railway's to the next, pongs included; more than 1.5 x the ping's time",
    )
    max_upstream_mb: int = setting(
        "LOGRELAY_MAX_UPSTREAM_MB",
        readers.number(1, 4096),
        256,
        "MiB of one frame or one answer of Railway's; a line that is larger is passed over with a gap",
    )
    stands_seconds: float = setting(
        "LOGRELAY_STANDS_SECONDS",
        readers.seconds(0.01, 600),
        2.0,
        "after which a subscription without a frame counts as live",
    )
    backoff_first_seconds: float = setting(
        "LOGRELAY_BACKOFF_FIRST_SECONDS",
        readers.seconds(0.001, 600),
        0.5,
        "before the first retry, give or take half",
    )
    backoff_longest_seconds: float = setting(
        "LOGRELAY_BACKOFF_LONGEST_SECONDS",
        readers.seconds(0.001, 3600),
        30.0,
        "before any retry, give or take half",
    )
    flapping_seconds: float = setting(
        "LOGRELAY_FLAPPING_SECONDS",
        readers.seconds(0, 86_400),
        300.0,
        "three losses within this time make the delays grow although data comes",
    )
    refused_seconds: float = setting(
        "LOGRELAY_REFUSED_SECONDS",
        readers.seconds(0.01, 86_400),
        300.0,
        "before asking again what Railway has refused",
    )
    names_seconds: float = setting(
        "LOGRELAY_NAMES_SECONDS",
        readers.seconds(0.01, 86_400),
        600.0,
        "after which names of services are asked for again",
    )
    names_patience_seconds: float = setting(
        "LOGRELAY_NAMES_PATIENCE_SECONDS",
        readers.seconds(0, 600),
        5.0,
        "that the first records wait for the names of services",
    )
    flush_seconds: float = setting(
        "LOGRELAY_FLUSH_SECONDS",
        readers.seconds(0, 60),
        2.0,
        "for sending what has arrived before the relay ends",
    )
    page: bool = setting(
        "LOGRELAY_PAGE",
        readers.flag(),
        default=True,
        meaning="whether the log page is served, at `/` and `/environments/{id}`, and the browser client with it",
    )
    log_level: str = setting(
        "LOGRELAY_LOG_LEVEL", readers.one_of(*LOG_LEVELS), "info", f"one of {', '.join(LOG_LEVELS)}"
    )

    @property
    def websocket_url(self) -> str:
        """Railway's WebSocket address, as given or made from the URL (facts.md section 1)."""
        return self.railway_ws_url or self.railway_url.replace("http", "ws", 1)

    @property
    def token(self) -> str:
        """The token; empty where there is none."""
        return self.api_token or self.project_token or ""


def fields() -> "list[attrs.Attribute[Any]]":
    """The settings in order; `metadata` has name, reader and meaning. The README is checked against them."""
    found: list[attrs.Attribute[Any]] = []
    for field in attrs.fields(Settings):
        found += attrs.fields(AccessSettings) if field.name == "access" else (field,)
    return found


def read(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Read the settings, with sentences that warn of what is odd but harmless.

    Raises SettingsInvalid with every fault at once.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in fields():
        name, reader = field.metadata["name"], field.metadata["reader"]
        text = _given(environ, name)
        if text is None:
            continue
        try:
            values[field.name] = reader.parse(text)
        except RulesInvalid as error:
            faults += [f"{name}: {fault}" for fault in error.faults]
        except ValueError:
            faults.append(f"{_named(environ, name)} must be {reader.right}")
    _read_token_files(values, faults)
    faults += access_settings.secret_files(values)
    faults += _missing(environ)
    if faults:
        raise SettingsInvalid(tuple(faults))
    settings = _made(values)
    faults += access_settings.faults(settings.access, settings.host)
    if settings.message_seconds <= _PINGS_PER_MESSAGE * settings.upstream_ping_seconds:
        # A quiet socket's only messages are pongs: it would be taken for dead between two of them.
        faults.append("LOGRELAY_MESSAGE_SECONDS must be more than 1.5 times LOGRELAY_UPSTREAM_PING_SECONDS")
    if faults:
        raise SettingsInvalid(tuple(faults))
    return settings, _warnings(environ) + access_settings.warnings(settings.access, environ)


def _made(values: Mapping[str, Any]) -> Settings:
    """The settings from the values of all fields."""
    of_access = {field.name for field in attrs.fields(AccessSettings)}
    access = AccessSettings(**{name: value for name, value in values.items() if name in of_access})
    rest = {name: value for name, value in values.items() if name not in of_access}
    return Settings(access=access, **rest)


def _given(environ: Mapping[str, str], name: str) -> str | None:
    """The text of a variable; an empty one counts as not set."""
    text = environ.get(name, "").strip() or None
    if name == "LOGRELAY_PORT":
        if text is not None and text.startswith("tcp://"):
            text = None  # Kubernetes' description of a Service called logrelay
        return text or environ.get("PORT", "").strip() or None
    return text


def _named(environ: Mapping[str, str], name: str) -> str:
    """The variable whose text was read for this one."""
    text = environ.get(name, "").strip()
    return "PORT" if name == "LOGRELAY_PORT" and (not text or text.startswith("tcp://")) else name


def _read_token_files(values: dict[str, Any], faults: list[str]) -> None:
    for field, name in (("api_token", "RAILWAY_API_TOKEN"), ("project_token", "RAILWAY_TOKEN")):
        path = values.get(f"{field}_file")
        if path is None:
            continue
        if field in values:
            faults.append(f"{name} and {name}_FILE are both set; set one of them")
            continue
        try:
            values[field] = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            faults.append(f"{name}_FILE must be the path of a file that can be read")
            continue
        if not values[field]:
            faults.append(f"{name}_FILE names an empty file; it must hold the token")
    for field, name in (("api_token", "RAILWAY_API_TOKEN"), ("project_token", "RAILWAY_TOKEN")):
        token = values.get(field)
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            faults.append(f"{name} has characters that no token has")


def _missing(environ: Mapping[str, str]) -> list[str]:
    """What must be there and isn't, and what must not be there twice."""
    faults: list[str] = []
    given = {
        name
        for name in ("RAILWAY_API_TOKEN", "RAILWAY_TOKEN")
        if _given(environ, name) or _given(environ, f"{name}_FILE")
    }
    if not given:
        faults.append(
            "RAILWAY_API_TOKEN or RAILWAY_TOKEN must hold a token for Railway (or one of them with _FILE)"
        )
    if len(given) > 1:
        faults.append("RAILWAY_API_TOKEN and RAILWAY_TOKEN are both set; set one of them")
    if not _given(environ, "LOGRELAY_ENVIRONMENTS") and "RAILWAY_TOKEN" not in given:
        faults.append(
            "LOGRELAY_ENVIRONMENTS must name the environments that may be streamed: ids, comma-separated, or *"
        )
    return faults


def _warnings(environ: Mapping[str, str]) -> list[str]:
    """Names of ours that nothing reads are typing mistakes."""
    known = {field.metadata["name"] for field in fields()} | _ELSEWHERE
    # The prefix is left out of the comparison, because it makes everything look alike.
    ours = [name.removeprefix(_PREFIX) for name in known if name.startswith(_PREFIX)]
    warnings: list[str] = []
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name in known or name.startswith(_FOREIGN):
            continue
        nearest = difflib.get_close_matches(name.removeprefix(_PREFIX), ours, n=1)
        hint = f"; did you mean {_PREFIX}{nearest[0]}?" if nearest else ""
        warnings.append(f"{name} is not a setting of logrelay{hint}")
    return warnings
