"""Messages in and out, as protocol.md sections 2 and 3 have them. Encodes and decodes; decides nothing."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import cattrs
import msgspec

from logrelay.errors import MessageInvalid
from logrelay.relay import timestamps
from logrelay.relay.records import LogRecord, Notice

VERSION = 1
REPLAY_LIMIT = 10_000  # records that a filter change may re-read
HISTORY_LIMIT = 5000  # records that one `history` request may ask for

encode = msgspec.json.Encoder().encode


def _now() -> str:
    return timestamps.render(time.time_ns())


def log(record: LogRecord) -> bytes:
    """A `log` message around the record's ready JSON."""
    return b'{"type":"log","data":' + record.encoded + b"}"


def logs(records: Iterable[LogRecord]) -> bytes:
    """A `logs` message of several records."""
    return b'{"type":"logs","data":[' + b",".join([record.encoded for record in records]) + b"]}"


def status(message: str, data: Mapping[str, Any], ns: int | None = None) -> bytes:
    """A `status` message, stamped with `ns` (nanoseconds since 1970) or now."""
    stamp = _now() if ns is None else timestamps.render(ns)
    return encode({"type": "status", "message": message, "timestamp": stamp, "data": data})


def notice(entry: Notice) -> bytes:
    """The `status` message of a notice."""
    return status(entry.message, entry.data, entry.ns)


def heartbeat(data: Mapping[str, Any]) -> bytes:
    """A `heartbeat` message."""
    return encode({"type": "heartbeat", "timestamp": _now(), "data": data})


def error(
    code: str,
    message: str,
    *,
    retryable: bool,
    retry_after: float | None = None,
    request: bytes | None = None,
) -> bytes:
    """An `error` message; `retry_after` is in seconds, `request` the JSON of what it answers."""
    body: dict[str, Any] = {"type": "error", "code": code, "message": message, "retryable": retryable}
    if retry_after is not None:
        body["retryAfter"] = retry_after
    if request is not None:
        body["request"] = msgspec.Raw(request)
    return encode(body)


def history(
    request: bytes,
    records: Sequence[LogRecord],
    scanned_ns: int | None,
    *,
    gaps: Sequence[Mapping[str, Any]] = (),
    done: bool = False,
    reason: str | None = None,
    following: str | None = None,
) -> bytes:
    """A page of older records; `request` is the JSON of what it answers, `following` where a next request may begin."""
    body: dict[str, Any] = {
        "type": "history",
        "request": msgspec.Raw(request),
        "data": [msgspec.Raw(record.encoded) for record in records],
        "scannedTo": None if scanned_ns is None else timestamps.render(scanned_ns),
        "done": done,
    }
    if gaps:
        body["gaps"] = gaps
    if reason is not None:
        body["reason"] = reason
    if following is not None:
        body["next"] = following
    return encode(body)


def pong(identity: Any) -> bytes:
    """The answer to a client's `ping` message."""
    return encode({"type": "pong", "id": identity})


@attrs.frozen
class FilterCommand:
    """`filter`: replaces the filter; `replay` re-reads that many matching records of the past."""

    services: list[str] = attrs.Factory(list)
    search: str = ""
    severity: str | None = None
    replay: int = 0


@attrs.frozen
class PauseCommand:
    """`pause`: hold the position."""


@attrs.frozen
class ResumeCommand:
    """`resume`: go on from the same record."""


@attrs.frozen
class AuthCommand:
    """`auth`: shows who is calling, as the first message or to renew what was shown before."""

    token: str = attrs.field(repr=False)


@attrs.frozen
class PingCommand:
    """`ping`: to be answered with the same id."""

    id: Any = None


@attrs.frozen
class HistoryCommand:
    """`history`: older records are wanted, from before a record or a stamp on.

    What is None of the filter's parts is as in the connection's filter.
    """

    before: str | None = None  # a record's id, or a stamp; None: from the newest on
    limit: int = 500  # records
    services: list[str] | None = None
    search: str | None = None
    severity: str | None = None
    request: Any = None  # is repeated in each answer


@attrs.frozen
class CancelCommand:
    """`cancel`: nobody waits for the rest of a `history` request any more."""

    request: Any = None


Command = (
    AuthCommand | FilterCommand | PauseCommand | ResumeCommand | PingCommand | HistoryCommand | CancelCommand
)

_COMMANDS: dict[str, type[Command]] = {
    "auth": AuthCommand,
    "filter": FilterCommand,
    "pause": PauseCommand,
    "resume": ResumeCommand,
    "ping": PingCommand,
    "history": HistoryCommand,
    "cancel": CancelCommand,
}


def _strict(value: Any, wanted: type) -> Any:
    # cattrs would turn a number into a string; a client that sends one has made a mistake.
    if type(value) is not wanted:
        raise TypeError(f"a {wanted.__name__} is expected")
    return value


_converter = cattrs.Converter()
_converter.register_structure_hook(str, _strict)
_converter.register_structure_hook(int, _strict)
_converter.register_structure_hook_func(
    lambda wanted: wanted == list[str],
    lambda value, _: [_strict(item, str) for item in _strict(value, list)],
)


def command(text: str) -> Command:
    """Read a client's message. Raises MessageInvalid with a sentence that never repeats the message."""
    try:
        body = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as failure:
        raise MessageInvalid("not JSON") from failure
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise MessageInvalid("not an object with a type")
    wanted = _COMMANDS.get(body["type"])
    if wanted is None:
        raise MessageInvalid(f"unknown type; known are {', '.join(_COMMANDS)}")
    try:
        read = _converter.structure(body, wanted)
    except (cattrs.BaseValidationError, TypeError, ValueError) as failure:
        raise MessageInvalid(f"{body['type']}: a field has the wrong type") from failure
    _check(read)
    return read


def _check(read: Command) -> None:
    """Raise MessageInvalid for a number out of its bounds, and for what can't be sent back."""
    if isinstance(read, PingCommand):
        _check_echo("ping: an id", read.id)
    if isinstance(read, HistoryCommand | CancelCommand):
        _check_echo("history: a request", read.request)
    if isinstance(read, FilterCommand) and not 0 <= read.replay <= REPLAY_LIMIT:
        raise MessageInvalid(f"filter: replay is a number from 0 to {REPLAY_LIMIT}")
    if isinstance(read, HistoryCommand) and not 1 <= read.limit <= HISTORY_LIMIT:
        raise MessageInvalid(f"history: limit is a number from 1 to {HISTORY_LIMIT}")


def _check_echo(what: str, value: Any) -> None:
    """Raise MessageInvalid for a value that can't be sent back, because it is nested too deeply."""
    try:
        pong(value)
    except (ValueError, RecursionError, OverflowError) as failure:
        raise MessageInvalid(f"{what} that can't be sent back") from failure
