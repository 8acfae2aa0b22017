"""How records and notices look on a terminal: pure functions. No I/O, no clock, no asyncio.

Whatever came over the wire is hostile here: only colour codes (SGR) pass, and only where colours are wanted.
Everything else that a terminal would obey, or that hides or reorders text, is made visible.
"""

import json
import re
import unicodedata
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from itertools import accumulate
from typing import Any, TypeGuard

import attrs

RESET = "\x1b[0m"
_SGR = r"\x1b\[[0-9;:]{0,64}m"
# Controls; what is invisible or turns the direction of writing; the separators that some terminals take for
# line ends; surrogates, which no encoding can write. The joiners U+200C and U+200D stay: scripts need them.
_HOSTILE = (
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SGR_ONLY = re.compile(_SGR)
_HOSTILE_ONLY = re.compile(_HOSTILE)
_SPECIAL = re.compile(f"({_SGR})|{_HOSTILE}")
_NEEDS_QUOTES = re.compile(r"[\s\"=]")

_TAB_STOP = 8  # columns, as terminals have it
_VALUE_COLUMNS = 120  # an attribute longer than this is cut; --json has all of it
_NAMES = 12  # services that the notice of a connection names
# Of the 256 colours, ones in the middle of the scale of brightness: readable on black and on white.
_NAME_COLOURS = (33, 37, 71, 99, 103, 136, 166, 169)
_SEVERITIES = {
    "debug": ("DEBUG", "2"),
    "info": ("INFO", ""),
    "warn": ("WARN", "33"),
    "error": ("ERROR", "31"),
}
_SEVERITY_COLUMNS = 5


@attrs.frozen
class Look:
    """How the reader wants it: colours, the zone of the times (None: the local one), dates beside them."""

    colour: bool = False
    zone: tzinfo | None = None
    wide_time: bool = False


def clean(text: str, *, colour: bool = False) -> str:
    """Return one line that a terminal shows as it is, with its own colours, ended, or without them."""
    if text.isprintable():
        return text
    shown = _SPECIAL.sub(_kept if colour else _dropped, text)
    if "\t" in shown:
        shown = _expanded(shown)
    return f"{shown}{RESET}" if "\x1b" in shown else shown


def _kept(match: re.Match[str]) -> str:
    return match[0] if match[1] else _visible(match[0])


def _dropped(match: re.Match[str]) -> str:
    return "" if match[1] else _visible(match[0])


def _visible(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return character
    if code < 0x20:  # noqa: PLR2004 - the C0 controls have pictures at U+2400
        return chr(0x2400 + code)
    if code == 0x7F:  # noqa: PLR2004 - so has DEL
        return "\u2421"
    if code < 0xA0:  # noqa: PLR2004 - the C1 controls have none
        return f"\\x{code:02x}"
    if unicodedata.category(character) == "Cs":
        return "\ufffd"
    return f"<U+{code:04X}>"


def _expanded(line: str) -> str:
    """Put spaces for tabs, by the columns that are seen: ``str.expandtabs`` would count colour codes too."""
    *pieces, last = line.split("\t")
    shown, column = [], 0
    for piece in pieces:
        column += width(piece)
        spaces = _TAB_STOP - column % _TAB_STOP
        shown += [piece, " " * spaces]
        column += spaces
    return "".join([*shown, last])


def width(text: str) -> int:
    """Count the columns that a cleaned text takes, as far as Unicode's tables know."""
    seen = _SGR_ONLY.sub("", text)
    if seen.isascii():
        return len(seen)
    return sum(_columns(character) for character in seen)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Cut a cleaned text without colours to so many columns, with an ellipsis where it is longer."""
    if width(text) <= columns:
        return text
    kept = sum(end < columns for end in accumulate(map(_columns, text)))
    return f"{text[:kept]}…"


def paint(text: str, code: str, look: Look) -> str:
    """Colour a text by an SGR code where colours are wanted; an empty code leaves it as it is."""
    return f"\x1b[{code}m{text}{RESET}" if look.colour and code and text else text


def json_line(record: Any) -> str:
    """Write a record as one line of JSON, readable in every script, with nothing that a terminal obeys."""
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    # only in its strings can such characters be; DEL is the one that JSON leaves as it is
    escaped = _HOSTILE_ONLY.sub(lambda match: json.dumps(match[0])[1:-1], line)
    return escaped.replace("\x7f", r"\u007f")


def moment(stamp: object, look: Look) -> str:
    """Show an RFC 3339 stamp as the reader wants times; what is none is shown as it came."""
    try:
        then = datetime.fromisoformat(str(stamp))
        then = (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone(look.zone)
    except (ValueError, OverflowError, OSError):
        return fit(clean(str(stamp)), 30)
    day = f"{then:%Y-%m-%d} " if look.wide_time else ""
    return f"{day}{then:%H:%M:%S}.{then.microsecond // 1000:03}"


def service_name(record: Mapping[str, Any]) -> str:
    """Name the record's service, by its id where it has no name."""
    name = record.get("serviceName") or record.get("serviceId") or "-"
    return clean(str(name))


def record_lines(record: Mapping[str, Any], look: Look, name_columns: int) -> str:
    """Show one record: time, service, severity, message, marks, attributes; further lines stand below."""
    time = moment(record.get("timestamp"), look)
    service = service_name(record)
    name = fit(service, name_columns)
    # of the whole name, so that two names with the same beginning differ in colour at least
    hue = _NAME_COLOURS[zlib.crc32(service.encode()) % len(_NAME_COLOURS)]
    name = paint(name, f"38;5;{hue}", look) + " " * (name_columns - width(name))
    label, code = _severity(record.get("severity"))
    label = paint(label, code, look) + " " * (_SEVERITY_COLUMNS - width(label))
    message = record.get("message")
    text = message if isinstance(message, str) else "" if message is None else json.dumps(message)
    lines = [clean(line, colour=look.colour) for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]
    extra = paint(" ".join([*_marks(record), *_attributes(record.get("attributes"))]), "2", look)
    if extra:
        lines[-1] = f"{lines[-1]}  {extra}" if lines[-1] else extra
    indent = " " * (width(time) + 1 + name_columns + 1 + _SEVERITY_COLUMNS + 1)
    return f"{paint(time, '2', look)} {name} {label} " + f"\n{indent}".join(lines)


def _severity(severity: object) -> tuple[str, str]:
    if severity is None:
        return "", ""
    known = _SEVERITIES.get(str(severity))
    return known or (fit(clean(str(severity)), _SEVERITY_COLUMNS), "")


def _marks(record: Mapping[str, Any]) -> list[str]:
    marks = ["[late]"] if record.get("late") else []
    if record.get("truncated"):
        size = record.get("size")
        marks.append(f"[cut, {size:,} bytes]" if isinstance(size, int) else "[cut]")
    if kind := record.get("kind"):
        marks.append(f"[{fit(clean(str(kind)), 20)}]")
    return marks


def _attributes(attributes: object) -> list[str]:
    if not isinstance(attributes, dict):
        return []
    # the level is the severity again
    pairs = ((key, value) for key, value in attributes.items() if key != "level")
    return [f"{fit(clean(str(key)), 40)}={_value(value)}" for key, value in pairs]


def _value(value: object) -> str:
    if isinstance(value, str) and value and not _NEEDS_QUOTES.search(value):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return fit(clean(text), _VALUE_COLUMNS)


def notice_line(text: str, look: Look, *, warning: bool = False) -> str:
    """Show a notice, which is no record: between dashes, dim, or yellow where something is missing."""
    return paint(f"── {clean(text)} ──", "33" if warning else "2", look)


def counted(count: int, noun: str) -> str:
    """Write a number with its noun, as English has it: ``1 record``, ``1,200 records``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def status_text(message: str, data: Mapping[str, Any], look: Look) -> str:
    """Say a status message of protocol.md section 2 as a sentence; an unknown one by its name."""
    match message:
        case "connected":
            said = _connected(data, look)
        case "connecting":
            said = "the relay is connecting to Railway"
        case "reconnecting":
            said = "the relay lost Railway and is reconnecting" + _because(data)
        case "live":
            filled = data.get("backfilled")
            said = "Railway is back" + (
                f", {counted(filled, 'record')} filled in" if is_count(filled) else ""
            )
        case "gap":
            said = f"gap: {_missing(data)} missing{_span(data, look)}{_because(data)}"
        case "lost":
            said = f"this viewer was too slow: {_missing(data)} passed over{_span(data, look)}"
        case "draining":
            said = "the relay is about to restart"
        case _:
            said = message
    return said


def _missing(data: Mapping[str, Any]) -> str:
    count = data.get("count")
    return counted(count, "record") if is_count(count) else "an unknown number of records"


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value from the wire is a number of things."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _because(data: Mapping[str, Any]) -> str:
    return f" ({reason})" if (reason := data.get("reason")) else ""


def _span(data: Mapping[str, Any], look: Look) -> str:
    # a hole may be days wide, so its ends carry their dates
    wide = attrs.evolve(look, wide_time=True)
    return "".join(f" {word} {moment(data[word], wide)}" for word in ("from", "to") if data.get(word))


def _connected(data: Mapping[str, Any], look: Look) -> str:
    parts = [f"connected to {data.get('environmentName') or data.get('environmentId') or 'the relay'}"]
    services = data.get("services")
    if isinstance(services, list):
        names = [str(service.get("name")) for service in services if isinstance(service, dict)]
        more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
        parts.append("services: " + (", ".join(names[:_NAMES]) or "none") + more)
    chosen = data.get("filter")
    unknown = chosen.get("unknownServices") if isinstance(chosen, dict) else None
    if isinstance(unknown, list) and unknown:
        parts.append("no service is called " + ", ".join(str(name) for name in unknown))
    if isinstance(resume := data.get("resume"), dict):
        parts.append(_resumed(resume, look))
    upstream = data.get("upstream")
    if isinstance(upstream, dict) and upstream.get("state") not in (None, "live"):
        parts.append(f"Railway: {upstream['state']}")
    return " · ".join(parts)


def _resumed(resume: Mapping[str, Any], look: Look) -> str:
    match resume.get("outcome"):
        case "exact":
            return "resumed where it ended"
        case "backfilled":
            return "resumed, the rest fetched from Railway"
        case "partial":
            return f"resumed in part, records missing{_span(resume, look)}{_because(resume)}"
        case "none":
            return "nothing to resume from, live from now"
        case outcome:
            return f"resumed: {outcome}"
