"""What RFC 6455 and protocol.md sections 3 and 4 say of a stream of bytes from a client: a model of its own.

It reads the bytes as the RFC has them, without looking at the relay's code. Where aiohttp 3.14.5 is known to be milder
than the RFC, both are allowed, and the place says so.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

LIMIT = 16 * 1024  # bytes of a message
CONTROL_LIMIT = 125  # bytes of a control frame
FRAMES_A_SECOND = 20
INVALID_MESSAGES = 10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
SEVERITIES = {"debug", "info", "warn", "error"}
REPLAY_LIMIT = 10_000
SEARCH_LIMIT = 1024
_FIN, _RSV, _MASKED = 0x80, 0x70, 0x80
_DEEP = 100  # levels, beyond which a JSON reader may give up


@attrs.frozen
class Message:
    """A whole text, ping or pong."""

    opcode: int
    payload: bytes


@attrs.frozen
class Ending:
    """The stream has to be ended with one of these codes; where `certain` is false, it may also go on."""

    codes: frozenset[int]
    certain: bool = True


def ending(*codes: int, certain: bool = True) -> Ending:
    return Ending(frozenset(codes), certain)


Event = Message | Ending


@attrs.frozen
class Reading:
    """What a stream of bytes means.

    `missing` is the number of bytes to the end of its last frame; None where the connection has to be ended.
    """

    events: list[Event]
    missing: int | None


def read(stream: bytes) -> Reading:
    """Read a whole stream of bytes from a client."""
    reader = _Reader(stream)
    events = list(reader.events())
    return Reading(events, reader.missing)


class _Reader:
    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self._place = 0
        self._open: int | None = None  # the opcode of the message whose fragments are coming
        self._partial = b""
        self.missing: int | None = 0

    def events(self) -> Iterator[Event]:
        """What comes up to the end of the stream, or up to what ends it for certain."""
        while self._place < len(self._stream):
            header = self._header()
            if header is None:
                return  # cut off within a frame
            if isinstance(header, Ending):
                self.missing = None
                yield header
                return
            for event in self._frame(*header):
                yield event
                if isinstance(event, Ending) and event.certain:
                    self.missing = None
                    return

    def _take(self, count: int) -> bytes | None:
        """The next bytes; None, and the number of those that are missing, where the stream is cut off."""
        taken = self._stream[self._place : self._place + count]
        if len(taken) < count:
            self.missing = count - len(taken)
            return None
        self._place += count
        return taken

    def _header(self) -> tuple[int, bool, bytes] | Ending | None:
        """Opcode, whether it is the last fragment, and payload of the next frame."""
        if (two := self._take(2)) is None:
            return None
        opcode, size = two[0] & 0x0F, two[1] & 0x7F
        final = bool(two[0] & _FIN)
        control = opcode >= CLOSE
        if two[0] & _RSV or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            return ending(1002)
        if control and (not final or size > CONTROL_LIMIT):
            return ending(1002)
        if size > CONTROL_LIMIT:  # lengths that could be shorter are read all the same
            if (longer := self._take(2 if size == CONTROL_LIMIT + 1 else 8)) is None:
                return None
            size = int.from_bytes(longer, "big")
        if not control and size + len(self._partial) > LIMIT:
            return ending(1009)
        mask = b"\0\0\0\0"  # aiohttp takes frames without one (faults.md C8)
        if two[1] & _MASKED:
            if (given := self._take(4)) is None:
                return None
            mask = given
        if (masked := self._take(size)) is None:
            return None
        return opcode, final, bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))

    def _frame(self, opcode: int, final: bool, payload: bytes) -> Iterator[Event]:  # noqa: FBT001 as it stands in the frame
        if opcode in (PING, PONG):
            yield Message(opcode, payload)
        elif opcode == CLOSE:
            yield _closing(payload)
        elif (opcode == CONTINUATION and self._open is None) or (
            opcode != CONTINUATION and self._open is not None and (self._partial or not final)
        ):
            yield ending(1002)
        elif not final:
            self._open = self._open or opcode
            self._partial += payload
        else:
            yield from self._whole(opcode, payload)

    def _whole(self, opcode: int, payload: bytes) -> Iterator[Event]:
        if opcode == CONTINUATION:
            assert self._open is not None
            opcode, self._open = self._open, None
        elif self._open is not None:
            # After an empty first fragment aiohttp also takes a message that doesn't continue it.
            yield ending(1002, certain=False)
        whole, self._partial = self._partial + payload, b""
        if opcode == BINARY:
            yield ending(1003)
        elif not _is_text(whole):
            yield ending(1007)
        else:
            yield Message(TEXT, whole)


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _closing(payload: bytes) -> Ending:
    """How a close frame is answered (RFC 6455 sections 5.5.1 and 7.4)."""
    if not payload:
        return ending(1000)
    if len(payload) == 1:
        return ending(1002)
    code = int.from_bytes(payload[:2], "big")
    if code == 1006 or code >= 5000:  # aiohttp takes these; a reason may be wrong besides
        return ending(1000, 1002, 1007)
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or code >= 3000):
        return ending(1002)
    return ending(1000 if _is_text(payload[2:]) else 1007)


# -- what a message is answered with -----------------------------------------------------------------------

INVALID = ("error", "message_invalid")
FILTER_INVALID = ("error", "filter_invalid")
Reply = tuple[str, Any]


def replies(text: str) -> list[Reply]:
    """The answers that a text message may get, one of which it has to get."""
    try:
        body = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        return [INVALID]
    except ValueError:
        return [INVALID]
    unsure = [INVALID] if _unusual(text) else []  # what one JSON reader takes and another doesn't
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        return [INVALID]
    match body["type"]:
        case "ping":
            return [("pong", body.get("id")), *unsure]
        case "pause":
            return [("status", "paused"), *unsure]
        case "resume":
            return [("status", "resumed"), *unsure]
        case "filter":
            return [*_filter_replies(body), *unsure]
    return [INVALID]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _unusual(text: str) -> bool:
    """Halves of characters, numbers that fit no machine's, and nesting."""
    huge = re.search(r"[0-9]{16}|[0-9][eE][+-]?[0-9]{3}", text)
    return bool(re.search(r"\\u[dD][89a-fA-F]", text) or huge or text.count("[") + text.count("{") > _DEEP)


def _filter_replies(body: dict[str, Any]) -> list[Reply]:
    services, search = body.get("services", []), body.get("search", "")
    severity, replay = body.get("severity"), body.get("replay", 0)
    if (
        not isinstance(services, list)
        or not all(isinstance(service, str) for service in services)
        or not isinstance(search, str)
        or not (severity is None or isinstance(severity, str))
        or type(replay) is not int
        or not 0 <= replay <= REPLAY_LIMIT
    ):
        return [INVALID]
    right = filter_is_right(services, search, severity)
    return [
        *([("status", "filter")] if right is not False else []),
        *([FILTER_INVALID] if right is not True else []),
    ]


def filter_is_right(services: list[str], search: str, severity: str | None) -> bool | None:
    """Whether protocol.md section 5 takes a filter; None where this model doesn't know."""
    names = {name.strip() for name in services} - {""}
    if severity is not None and severity not in SEVERITIES:
        return False
    if len(search) > SEARCH_LIMIT or re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]", search):
        return False
    if any(len(name) > 200 or re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name) for name in names):
        return False
    if len(names) > 50:
        return False
    plain = re.fullmatch("[a-z0-9 ]{0,40}", search) and all(name.isascii() for name in names)
    return True if plain else None
