"""Messages in and out, as protocol.md sections 2 and 3 have them. Encodes and decodes; decides nothing."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import cattrs
import msgspec

from logrelay.errors import MessageInvalid
from logrelay.relay import timestamps
from logrelay.relay.records import LogRecord, Notice

VERSION = 1
REPLAY_LIMIT = 10_000  # records that a filter change may re-read

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


def error(code: str, message: str, *, retryable: bool, retry_after: float | None = None) -> bytes:
    """An `error` message; `retry_after` is in seconds."""
    body: dict[str, Any] = {"type": "error", "code": code, "message": message, "retryable": retryable}
    if retry_after is not None:
        body["retryAfter"] = retry_after
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


Command = AuthCommand | FilterCommand | PauseCommand | ResumeCommand | PingCommand

_COMMANDS: dict[str, type[Command]] = {
    "auth": AuthCommand,
    "filter": FilterCommand,
    "pause": PauseCommand,
    "resume": ResumeCommand,
    "ping": PingCommand,
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
    if isinstance(read, PingCommand):
        _check_echo(read.id)
    if isinstance(read, FilterCommand) and not 0 <= read.replay <= REPLAY_LIMIT:
        raise MessageInvalid(f"filter: replay is a number from 0 to {REPLAY_LIMIT}")
    return read


def _check_echo(identity: Any) -> None:
    """Raise MessageInvalid for an id that can't be sent back, because it is nested too deeply."""
    try:
        pong(identity)
    except (ValueError, RecursionError, OverflowError) as failure:
        raise MessageInvalid("ping: an id that can't be sent back") from failure
