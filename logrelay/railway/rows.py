"""Rows and frames as Railway sends them, decoded. What can't be read costs one row or one frame, never more."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from logrelay.relay import timestamps
from logrelay.relay.records import Content, clean


class _Tags(msgspec.Struct, rename="camel", gc=False):
    environment_id: str | None = None
    service_id: str | None = None
    deployment_id: str | None = None
    deployment_instance_id: str | None = None


class _Attribute(msgspec.Struct, gc=False):
    key: str
    value: str


class Row(msgspec.Struct, gc=False):
    """A `Log` of Railway's schema, as far as it is asked for (facts.md section 4)."""

    timestamp: str
    message: str
    severity: str | None = None
    tags: _Tags | None = None
    attributes: list[_Attribute] = []

    def content(self) -> Content:
        """The row as the core knows it."""
        tags = self.tags or _NO_TAGS
        # Ids are sent on as they are, so a lone surrogate in one would make a record that can't be encoded.
        return Content(
            self.timestamp,
            self.message,
            self.severity,
            _shared(tags.service_id),
            _cleaned(tags.deployment_id),
            _cleaned(tags.deployment_instance_id),
            tuple([(attribute.key, attribute.value) for attribute in self.attributes]),
        )


_NO_TAGS = _Tags()
_MALFORMED = "GRAPHQL_VALIDATION_FAILED"
_LAST_NS = 2**63  # a history keeps stamps in 64 bits; its end is in the year 2262


def _cleaned(text: str | None) -> str | None:
    return text if text is None or text.isascii() else clean(text)


def _shared(text: str | None) -> str | None:
    """The same, one for all rows: a history has few services and many records of each."""
    return None if text is None else sys.intern(text if text.isascii() else clean(text))


class _Data(msgspec.Struct, rename="camel"):
    environment_logs: list[Row] | None = None


class _Payload(msgspec.Struct):
    data: _Data | None = None
    errors: list[Any] | None = None


class Next(msgspec.Struct, tag="next", tag_field="type"):
    """A `next` message: rows, errors, or both."""

    id: str
    payload: _Payload

    @property
    def rows(self) -> list[Row]:
        """The rows; empty where there are none."""
        return (self.payload.data.environment_logs if self.payload.data else None) or []

    @property
    def answered(self) -> bool:
        """Whether the log field was answered at all, be it with no rows."""
        return self.payload.data is not None and self.payload.data.environment_logs is not None

    @property
    def errors(self) -> list[str]:
        """The messages of its errors."""
        return messages(self.payload.errors)


class Failed(msgspec.Struct, tag="error", tag_field="type"):
    """An `error` message: a list of GraphQL errors ends the subscription."""

    id: str
    payload: list[Any]


class Complete(msgspec.Struct, tag="complete", tag_field="type"):
    """A `complete` message."""

    id: str


class Ack(msgspec.Struct, tag="connection_ack", tag_field="type"):
    """The server takes subscriptions; proves nothing about the token (facts.md section 2)."""


class Ping(msgspec.Struct, tag="ping", tag_field="type"):
    """The server asks for a pong."""


class Pong(msgspec.Struct, tag="pong", tag_field="type"):
    """The server answers a ping."""


Message = Next | Failed | Complete | Ack | Ping | Pong

_messages: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def messages(errors: Any) -> list[str]:
    """The messages of a list of GraphQL errors, whatever stands in it.

    The one code that can be relied on, that of a document Railway doesn't accept (faults.md), is added to its message.
    """
    if not isinstance(errors, list):
        return []
    return [_message(error) for error in errors]


def _message(error: Any) -> str:
    if not isinstance(error, dict):
        return ""
    text = str(error.get("message", ""))
    extensions = error.get("extensions")
    if isinstance(extensions, dict) and extensions.get("code") == _MALFORMED:
        return f"{text} {_MALFORMED}"
    return text


def decode(frame: bytes) -> tuple[Message, int]:
    """A graphql-transport-ws message, and how many of its rows could not be read.

    What the strict decoder refuses (lone surrogates, bad UTF-8, one odd row) is read again leniently. Raises
    ValueError when it is no message of the protocol at all.
    """
    try:
        return _messages.decode(frame), 0
    except (ValueError, RecursionError):
        pass
    value = loads(frame)
    rows, lost = _convert_rows(_take_rows(value))
    try:
        message = msgspec.convert(value, Message)
    except (ValueError, RecursionError) as error:
        raise ValueError("not a message of graphql-transport-ws") from error
    if isinstance(message, Next) and message.payload.data is not None:
        message.payload.data.environment_logs = rows
    return message, lost


def loads(raw: bytes | str) -> Any:
    """JSON as leniently as the standard library reads it. Raises ValueError."""
    try:
        return json.loads(raw if isinstance(raw, str) else raw.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _take_rows(value: Any) -> Any:
    """Take the rows out of a decoded `next`, so that the rest can be converted without them."""
    try:
        data = value["payload"]["data"]
        rows = data["environmentLogs"]
        if isinstance(rows, list):
            data["environmentLogs"] = []
    except (TypeError, KeyError, IndexError):
        return None
    return rows


def _convert_rows(rows: Any) -> tuple[list[Row] | None, int]:
    if not isinstance(rows, list):
        return None, 0
    kept: list[Row] = []
    for row in rows:
        try:
            kept.append(msgspec.convert(row, Row))
        except (ValueError, RecursionError):
            continue
    return kept, len(rows) - len(kept)


def page(rows: Any) -> tuple[list[Row], int]:
    """The rows of a query's answer, and how many could not be read. Raises ValueError when it is no list."""
    converted, lost = _convert_rows(rows)
    if converted is None:
        raise ValueError("not a list of log rows")
    return converted, lost


def own(rows: Sequence[Row], environment_id: str) -> tuple[Sequence[Row], int]:
    """The rows of this environment, and how many say that they are another's: those go to nobody (faults.md C21).

    A row without that tag is taken for one of the environment that was asked for.
    """
    kept = [
        row
        for row in rows
        if row.tags is None
        or (named := row.tags.environment_id) is None
        or named == environment_id
        or named.casefold() == environment_id.casefold()
    ]
    return kept, len(rows) - len(kept)


def stamped(rows: Sequence[Row]) -> tuple[list[tuple[int, Content]], int]:
    """Rows with their stamps in nanoseconds, and how many had none that can be read."""
    pairs: list[tuple[int, Content]] = []
    for row in rows:
        try:
            ns = timestamps.parse(row.timestamp)
        except ValueError:
            continue
        if 0 <= ns < _LAST_NS:
            pairs.append((ns, row.content()))
    return pairs, len(rows) - len(pairs)
