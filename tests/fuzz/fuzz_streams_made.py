"""Streams of frames as hostile clients may send them: whole and broken, sensible and not."""

import json
import struct
from typing import Any

import attrs
from fuzz_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from fuzz_scene import MARK
from hypothesis import strategies as st

_SHORT, _MEDIUM = 126, 65536


@attrs.frozen
class Frame:
    """A frame as it is to be sent, rightly or wrongly."""

    opcode: int
    payload: bytes
    final: bool = True
    rsv: int = 0
    mask: bytes | None = b"\x0f\xa5\x3c\x81"
    claimed: int | None = None  # bytes, where the header lies
    width: int = 0  # of the length's field at least: 0, 2 or 8 bytes

    def encode(self) -> bytes:
        """The frame's bytes."""
        size = len(self.payload) if self.claimed is None else self.claimed
        bit = 0x80 if self.mask is not None else 0
        first = (0x80 if self.final else 0) | self.rsv << 4 | self.opcode
        if size < _SHORT and self.width == 0:
            head = struct.pack("!BB", first, bit | size)
        elif size < _MEDIUM and self.width <= 2:
            head = struct.pack("!BBH", first, bit | 126, size)
        else:
            head = struct.pack("!BBQ", first, bit | 127, size)
        if self.mask is None:
            return head + self.payload
        return head + self.mask + bytes(b ^ self.mask[place % 4] for place, b in enumerate(self.payload))


# -- texts -------------------------------------------------------------------------------------------------

_hostile_text = st.text(st.characters(exclude_categories=()), max_size=20)
_words = st.sampled_from(
    ["", "api", "api, web", MARK, "-", '"open', "a b", "(x)", "@a:b", "/x/", "/(x/", "/x/y", "x" * 1025, "\0"]
)
_any_text = _hostile_text | _words
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_any_text, inner, max_size=4),
    max_leaves=6,
)
_severities = st.none() | st.sampled_from(["debug", "info", "warn", "error", "INFO", "fatal", ""])
_filters = st.fixed_dictionaries(
    {"type": st.just("filter")},
    optional={
        "services": st.lists(_any_text, max_size=4) | _json_values,
        "search": _any_text | _json_values,
        "severity": _severities | _json_values,
        "replay": st.sampled_from([0, 1, 100, 10_000, 10_001, -1, 10**30, 1.0, True, "5"]) | _json_values,
        "unknown": _json_values,
    },
)
_pings = st.fixed_dictionaries({"type": st.just("ping")}, optional={"id": _json_values})
_holds = st.sampled_from([{"type": "pause"}, {"type": "resume"}])
_commands = _filters | _pings | _holds
_not_commands = (
    _json_values
    | st.dictionaries(st.just("type") | _any_text, _json_values, max_size=3)
    | st.sampled_from([{"type": "PING"}, {"type": "subscribe"}, {"type": ["ping"]}, {"Type": "ping"}, {}])
)


def _written(value: Any, *, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)


_json_texts = st.builds(_written, _commands | _not_commands, ascii_only=st.booleans())
_nearly_json = st.sampled_from(
    [
        "", " ", "{", "[" * 5000, '{"type":"ping"', '{"type":"ping",}', "{'type':'ping'}", "NaN", "\ufeff{}",
        '{"type":"ping","type":"pause"}', '{"type":"ping","id":1e999}', '{"type":"ping","id":NaN}',
        '{"type":"ping","id":"\\ud800"}', '{"type":"p\\u0069ng"}', '{"type":"ping","id":' + "9" * 400 + "}",
        '{"type":"ping","id":' + "[" * 2000 + "]" * 2000 + "}", '{"type":"ping"}{"type":"ping"}', "null\0",
        '{"type":"ping","id":"\t"}', '{"type":"__class__"}', '{"__proto__":{"type":"ping"}}',
        "${jndi:ldap://x}",
    ]
)  # fmt: skip
_texts = (_json_texts | _nearly_json | _any_text).map(lambda text: text.encode("utf-8", "surrogatepass"))
_bytes = (
    _texts
    | st.binary(max_size=30)
    | st.sampled_from([b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
)

# -- frames ------------------------------------------------------------------------------------------------

_masks = st.sampled_from([b"\x0f\xa5\x3c\x81", b"\0\0\0\0", None])
_widths = st.sampled_from([0, 0, 0, 2, 8])
_good = st.builds(
    Frame, st.just(TEXT), st.builds(_written, _commands, ascii_only=st.just(value=True)).map(str.encode)
)  # fmt: skip
_text_frames = st.builds(Frame, st.just(TEXT), _bytes, mask=_masks, width=_widths)
_small = st.binary(max_size=125)
_controls = st.builds(Frame, st.sampled_from([PING, PONG]), _small, mask=_masks)
_codes = st.sampled_from(
    [
        1000,
        1001,
        1002,
        1003,
        1004,
        1005,
        1006,
        1007,
        1011,
        1014,
        1015,
        1016,
        2999,
        3000,
        4400,
        4999,
        5000,
        65535,
        0,
        999,
    ]
)
_closes = st.builds(
    lambda code, reason: Frame(CLOSE, struct.pack("!H", code) + reason[:123]), _codes, _bytes
) | st.sampled_from([Frame(CLOSE, b""), Frame(CLOSE, b"\x03")])
_sizes = st.sampled_from(
    [16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 65535, 65536, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1]
)
_lying = st.builds(Frame, st.sampled_from([TEXT, BINARY, CONTINUATION]), _small, claimed=_sizes)
_big = st.builds(
    lambda opcode, size: Frame(opcode, b'{"type":"ping","id":"' + b"x" * (size - 23) + b'"}'),
    st.sampled_from([TEXT, TEXT, BINARY]),
    st.sampled_from([125, 126, 127, 1000, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 20_000]),
)
_odd = st.builds(
    Frame,
    st.integers(0, 15),
    _bytes | st.binary(min_size=126, max_size=200),
    final=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 1, 2, 4, 7]),
    mask=_masks,
    width=_widths,
)


@st.composite
def _fragmented(draw: st.DrawFn) -> list[Frame]:
    """A message in fragments, with control frames between them, and now and then a fault in how they follow."""
    payload = draw(_bytes)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    pieces = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    first = draw(st.sampled_from([TEXT, TEXT, TEXT, BINARY, CONTINUATION]))
    frames = []
    for number, piece in enumerate(pieces):
        opcode = draw(st.sampled_from([CONTINUATION] * 8 + [TEXT])) if number else first
        frames.append(Frame(opcode, piece, final=number == len(pieces) - 1))
        frames += draw(st.lists(_controls, max_size=1))
    return frames


_endless = st.integers(2, 20).map(
    lambda count: [
        Frame(TEXT, b"x" * 1000, final=False),
        *[Frame(CONTINUATION, b"x" * 1000, final=False)] * count,
    ]
)
_flood = st.builds(lambda frame, count: [frame] * count, _good | _text_frames | _controls, st.integers(5, 30))
# Good ones often, so that what comes after them is reached.
_groups = (
    st.lists(_good | _controls, min_size=1, max_size=4)
    | st.lists(_text_frames, min_size=1, max_size=3)
    | _fragmented()
    | st.one_of(_odd, _closes, _lying, _big).map(lambda frame: [frame])
    | _endless
    | _flood
)
_structured = st.lists(_groups, min_size=1, max_size=5).map(
    lambda groups: b"".join(frame.encode() for group in groups for frame in group)
)
_cut = st.builds(lambda stream, part: stream[: int(len(stream) * part)], _structured, st.floats(0, 1))
_flipped = st.builds(
    lambda stream, place, bit: (
        stream[: place % len(stream)]
        + bytes([stream[place % len(stream)] ^ 1 << bit])
        + stream[place % len(stream) + 1 :]
    ),
    _structured,
    st.integers(0, 200),
    st.integers(0, 7),
)

streams = _structured | _flipped | _cut | st.binary(max_size=300)
