"""What stands in a history: log records and notices. Identity is made of content; no clock, no I/O."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from logrelay.relay import timestamps
from logrelay.relay.disguises import ANSI
from logrelay.relay.redaction import Redactor

MESSAGE_LIMIT = 65_536  # bytes of UTF-8; a longer message is cut (protocol.md section 2, `truncated`)
_MARGIN = 8192  # characters looked at beyond the limit, so that what is kept doesn't end within a secret
_SURELY_WHOLE = MESSAGE_LIMIT // 4  # characters; none takes more than four bytes
ATTRIBUTES_LIMIT = 65_536  # bytes of JSON text of all attributes together
DEPTH_LIMIT = 64  # levels of an attribute's value; what is nested deeper stays text
_RECORD_COST = 320  # bytes, measured: the struct, its id and stamp, and its places in the history's indexes

SEVERITIES = ("debug", "info", "warn", "error")

# Railway matches levels to the closest of four (facts.md section 4), but its schema still speaks of "err".
_SEVERITY_NAMES = {
    **dict.fromkeys(("debug", "trace", "verbose"), "debug"),
    **dict.fromkeys(("info", "notice", "log", "information"), "info"),
    **dict.fromkeys(("warn", "warning"), "warn"),
    **dict.fromkeys(("error", "err", "fatal", "critical", "crit", "alert", "emerg", "panic"), "error"),
}

# Brackets outside of strings; a string is one match, so that what it holds isn't looked at.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_packer = msgspec.msgpack.Encoder()


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """One line of log, encoded once.

    `ns` is the timestamp in nanoseconds since 1970; `encoded` is the JSON object of protocol.md's `log.data`.
    """

    id: str
    ns: int
    service_id: str | None
    service_name: str | None
    severity: str | None
    encoded: bytes

    @property
    def text(self) -> str:
        """What filters look at: the message without its ANSI codes, case folded.

        It isn't kept with the record, which would take half as much memory again, but read from what is encoded.
        """
        return _texts.of(self.encoded)

    @property
    def said(self) -> str:
        """What patterns look at: the same as `text`, but with its case."""
        return _exact_texts.of(self.encoded)

    @property
    def cost(self) -> int:
        """Bytes of memory that keeping this record takes, within some percent."""
        return len(self.encoded) + _RECORD_COST


class _Said(msgspec.Struct, gc=False):
    message: str


class _Texts:
    """The texts of the records that were looked at last, because many filters look at the same ones."""

    _ROOM = 4 * 1024 * 1024  # characters, and bytes of what is encoded

    def __init__(self, made: Callable[[str], str]) -> None:
        self._made = made
        self._texts: dict[bytes, str] = {}
        self._size = 0

    def of(self, encoded: bytes) -> str:
        text = self._texts.get(encoded)
        if text is None:
            text = self._made(_said.decode(encoded).message)
            self._size += len(text) + len(encoded)
            if self._size > self._ROOM:
                self._texts.clear()
                self._size = len(text) + len(encoded)
            self._texts[encoded] = text
        return text


_said = msgspec.json.Decoder(_Said)


@attrs.frozen
class Notice:
    """A `status` message that stands between the records, at the place where it happened."""

    message: str
    data: Mapping[str, Any]
    ns: int

    @property
    def cost(self) -> int:
        """Bytes of memory, roughly."""
        return 600


Entry = LogRecord | Notice


class _Wire(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """`log.data` of protocol.md section 2; a field that may be left out has a default."""

    id: str
    timestamp: str
    severity: str | None
    message: str
    service_id: str | None
    service_name: str | None
    deployment_id: str | None
    instance_id: str | None
    attributes: dict[str, Any]
    late: bool = False
    truncated: bool = False
    size: int = -1
    redacted: int = 0


class Content(msgspec.Struct, frozen=True, gc=False):
    """A log row as it came from upstream, before anything of it is cut or cleaned.

    `attributes` are pairs of a name and JSON text (facts.md section 4).
    """

    timestamp: str
    message: str
    severity: str | None = None
    service_id: str | None = None
    deployment_id: str | None = None
    instance_id: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()


def key(content: Content, ns: int) -> str:
    """The identity of a row without its ordinal: its time, then a hash of what it says.

    Raises nothing; any string hashes, lone surrogates too.
    """
    said = (content.instance_id, content.service_id, content.severity, content.message, content.attributes)
    # Both forms tell every field from its neighbours and null from empty; msgpack can't write lone surrogates.
    try:
        packed = _packer.encode(said)
    except UnicodeEncodeError:
        packed = ascii(said).encode()
    return f"{timestamps.render(ns)}-{hashlib.blake2b(packed, digest_size=6).hexdigest()}"


def severity_of(name: str | None) -> str | None:
    """The closest of the four severities, or None where there is none."""
    return None if name is None else _SEVERITY_NAMES.get(name.lower())


def clean(text: str) -> str:
    """The same text with lone surrogates replaced, so that it can be sent as UTF-8 (libraries.md 2.4, 3)."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def bare(message: str) -> str:
    """The message without ANSI codes."""
    return ANSI.sub("", message) if "\x1b" in message or "\x9b" in message else message


def plain(message: str) -> str:
    """The message as filters see it: without ANSI codes and with case folded."""
    return bare(message).casefold()


_texts, _exact_texts = _Texts(plain), _Texts(bare)


def _cut(message: str, redactor: Redactor | None) -> tuple[str, int, int]:
    """A long message cut to the limit at a character's border, its original size in bytes (-1: not cut), redactions.

    Secrets go first. Of a message that goes on beyond the margin its last part isn't kept, wherever the limit then is:
    a secret that was cut in half at its end can't be told.
    """
    kept = message[: MESSAGE_LIMIT + _MARGIN]
    cut = len(kept) < len(message)
    redacted = 0
    if redactor is not None:
        kept, redacted = redactor.text(kept)
    if cut:
        kept = kept[:-_MARGIN]
    raw = kept.encode()
    if len(raw) > MESSAGE_LIMIT:
        kept, cut = raw[:MESSAGE_LIMIT].decode(errors="ignore"), True
    return kept, _weight(message) if cut else -1, redacted


def _cleaned(text: str | None) -> str | None:
    return text if text is None or text.isascii() else clean(text)


def _weight(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _values(attributes: Sequence[tuple[str, str]]) -> tuple[dict[str, Any], bool]:
    """Attributes as real JSON values, and whether some had to be left out for their size."""
    if sum([len(name) + len(text) for name, text in attributes]) <= ATTRIBUTES_LIMIT // 4:
        return {name if name.isascii() else clean(name): _value(text) for name, text in attributes}, False
    values: dict[str, Any] = {}
    room = ATTRIBUTES_LIMIT
    cut = False
    for name, text in attributes:
        size = _weight(name) + _weight(text)
        if size > room:
            cut = True
            continue
        room -= size
        values[clean(name)] = _value(text)
    return values, cut


def _value(text: str) -> Any:
    """The value of JSON text; the text itself where it is none, or none that everyone could read."""
    if len(text) > DEPTH_LIMIT and _depth(text) > DEPTH_LIMIT:
        return clean(text)
    try:
        return _decoder.decode(text)
    except ValueError:
        return clean(text)


def _depth(text: str) -> int:
    """How deep the arrays and objects of JSON text are nested at most; 0 where that is surely within the limit."""
    if text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return 0
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def record(
    content: Content,
    identity: str,
    ns: int,
    *,
    service_name: str | None,
    late: bool = False,
    redactor: Redactor | None = None,
) -> LogRecord:
    """Make the record of a row: what clients get is decided and encoded here, once, and without secrets.

    `identity` is the record's id, ordinal included. Raises nothing, whatever the row says.
    """
    message = cleaned = clean(content.message)
    long = len(cleaned) > _SURELY_WHOLE
    attributes, fewer = _values(content.attributes)
    size, redacted = -1, 0
    # What is large isn't looked at twice.
    if redactor is not None and not (long or fewer or redactor.suspects(cleaned, content.attributes)):
        redactor = None
    if redactor is not None:
        attributes, redacted = redactor.value(attributes)
        if not long:
            message, more = redactor.text(cleaned)
            redacted += more
    if long:
        message, size, more = _cut(cleaned, redactor)
        redacted += more
    if fewer and size < 0:
        size = _weight(cleaned)
    service_id, service_name = _cleaned(content.service_id), _cleaned(service_name)
    timestamp, severity = content.timestamp, severity_of(content.severity)
    # By position: names would take as long as the encoding.
    wire = _Wire(
        identity,
        timestamp if timestamp.isascii() else clean(timestamp),
        severity,
        message,
        service_id,
        service_name,
        _cleaned(content.deployment_id),
        _cleaned(content.instance_id),
        attributes,
        late,
        size >= 0,
        size,
        redacted,
    )
    # The encoder's own bytes keep the room that it had taken in advance, up to half as much again.
    encoded = bytes(memoryview(_encoder.encode(wire)))
    return LogRecord(identity, ns, service_id, service_name, severity, encoded)
