"""Query strings of any kind: a stream begins, or is refused by the right code and a fixed text (faults.md C12)."""

import json
import struct
from typing import Any
from urllib.parse import quote, quote_from_bytes

import attrs
import pytest
import web_schemas
from fuzz_frames import CLOSE, TEXT
from fuzz_queries import LINE_LIMIT, NUMBERS, ONCE, outcomes
from fuzz_scene import MARK, Scene, examples
from fuzz_streams_made import Frame
from hypothesis import example, given
from hypothesis import strategies as st
from web_harness import Raw, line

from logrelay.relay import timestamps

COUNTS = [
    pytest.param(250, id="few"),
    pytest.param(3000, marks=[pytest.mark.big, pytest.mark.timeout(400)], id="many"),
]
GOOD_STAMP = timestamps.render(line(3).ns)
GOOD_ID = line(3).id

_anything = st.text(st.characters(exclude_categories=()), max_size=20)
_nasty = st.sampled_from(
    [
        MARK, "", " ", "\0", MARK + "\0", f"{MARK}\r\nSet-Cookie: {MARK}=1", "\r\n\r\n", "\x1b[2J",
        "\u202e" + MARK, "\ufeff",
        "\ud800", "٣", "²", "१०", "1_000", "+5", "-0", "0x10", "1e3", "9" * 400, "0", "1", "10", "60", "61",
        "10000", "10001",
        "007", "true", "null", "NaN", "[]", "{}", "'; DROP TABLE logs;--", "${jndi:ldap://a}", "{{7*7}}", "%",
        "%00", "%25",
        "../../etc/passwd", MARK * 900, "a," * 60, ",".join(f"{MARK}{n}" for n in range(60)), "(" * 300,
        '"' * 301,
        "AND", "a OR b", "@level:error", "/a+/", "replica:x", "-", "--x", "error timeout", '"a phrase"',
        "api", "web,api",
    ]
)  # fmt: skip
_stamps = st.sampled_from(
    [
        GOOD_STAMP, "2026-11-23T03:21:30Z", "2026-11-23T03:21:30.1+02:00", "2026-11-23T03:21:30.0333331234Z",
        "2026-02-30T00:00:00Z", "2026-11-23t03:21:30z", "2026-11-23 03:21:30Z", "2026-11-23T24:00:00Z",
        "2026-11-23T03:21:60Z",
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0000-00-00T00:00:00Z",
        "2026-11-23T03:21:30", "1764000000",
        "2026-11-23T03:21:30Z\0", "2026-11-23T03:21:30Z\n", "\uff12026-11-23T03:21:30Z", "2999-01-01T00:00:00Z",
    ]
)  # fmt: skip
_ids = st.sampled_from(
    [
        GOOD_ID, GOOD_ID + "~2", GOOD_ID + "~", GOOD_ID + "~٣", GOOD_ID + "~" + "2" * 7000, GOOD_ID.upper(),
        GOOD_ID[:-1],
        GOOD_ID + "\0", GOOD_ID + "\r\n", "-" + GOOD_ID, "2026-02-30T00:00:00.000000000Z-5f3a9c1e0b7d",
        GOOD_ID * 2,
        "1900-01-01T00:00:00.000000000Z-5f3a9c1e0b7d", "9998-01-01T00:00:00.000000000Z-5f3a9c1e0b7d",
    ]
)  # fmt: skip
_severities = st.sampled_from(["debug", "info", "warn", "error", "ERROR", "fatal", "error\0", "all"])
_right = {
    "services": st.sampled_from(["api", "svc-web", "nobody"]),
    "search": st.sampled_from(["line", "line 1", '"a b"']),
    "severity": _severities,
    "lastTimestamp": _stamps,
    "lastId": _ids,
    **{name: st.integers(0, most).map(str) for name, most in NUMBERS.items()},
}


def _encoded(text: str, how: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    if how == "all":
        return "".join(f"%{byte:02X}" for byte in raw)
    if how == "twice":
        return quote(quote_from_bytes(raw))
    return quote_from_bytes(raw, safe="" if how == "strict" else ",:~")


@st.composite
def _pairs(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from([*_right, *_right, "Tail", "tail ", "tail[]", "x-unknown", "", MARK]))
    value = draw(_anything | _nasty | _right.get(name, _nasty) | _right.get(name, _nasty))
    how = draw(st.sampled_from(["plain", "plain", "plain", "strict", "all", "twice"]))
    shape = draw(
        st.sampled_from(
            ["{name}={value}"] * 8 + ["{name}", "{name}==", "={value}", "{name}={value}&{name}={value}"]
        )
    )
    return str(
        shape.format(name=_encoded(name, "strict" if how == "plain" else how), value=_encoded(value, how))
    )


_broken = st.sampled_from(
    ["%", "%zz", "%f", "&&&", "=", "%FF%FE", "%C0%AF", "%ED%A0%80", "a=b=c", ";", "tail=1;tail=2", "+"]
)
_queries = st.lists(_pairs() | _pairs() | _broken, max_size=5).map("&".join)


@attrs.define
class Beginning:
    """How a stream began: what the first message was, or the status of an answer without an upgrade."""

    said: str
    code: int | None = None


async def begun(scene: Scene, query: str) -> Beginning:
    peer = await scene.relay.raw(upgrade=False)
    try:
        return await _begun(scene, peer, query)
    finally:
        peer.leave()


async def _begun(scene: Scene, peer: Raw, query: str) -> Beginning:
    status, _, body = await peer.answer(
        f"GET {scene.relay.path()}?{query} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )  # fmt: skip
    if status != 101:
        assert json.loads(body)["error"]["code"] == "bad_request"
        return Beginning(str(status))
    said = await message_of(peer)
    if said["type"] == "error":
        check_refusal(said)
        return Beginning(said["code"], await closed(peer))
    assert said["message"] == "connected", said
    peer.writer.write(Frame(CLOSE, struct.pack("!H", 1000)).encode())
    return Beginning("connected", await closed(peer))


async def message_of(peer: Raw) -> dict[str, Any]:
    opcode, payload = await peer.frame()
    assert opcode == TEXT
    message: dict[str, Any] = json.loads(payload)
    web_schemas.check(message)
    return message


async def closed(peer: Raw) -> int:
    while (frame := await peer.frame())[0] != CLOSE:
        web_schemas.check(json.loads(frame[1]))
    return int(struct.unpack("!H", frame[1][:2])[0])


def check_refusal(error: dict[str, Any]) -> None:
    """A fixed text, which repeats nothing of what was sent."""
    assert MARK not in json.dumps(error)
    assert error["message"].isascii()
    assert error["message"].isprintable()
    assert len(error["message"]) < 160
    assert error["retryable"] is False


async def visit(scene: Scene, query: str) -> None:
    asked = len(scene.relay.upstream.asked)

    beginning = await begun(scene, query)

    target = len(scene.relay.path()) + 1 + len(query)
    if target > LINE_LIMIT - 200:
        assert beginning.said in {"400", *outcomes(query)}
    else:
        assert beginning.said in outcomes(query), (query, beginning)
    assert beginning.code == {"connected": 1000, "400": None}.get(beginning.said, 4400)
    if beginning.said != "connected":
        assert len(scene.relay.upstream.asked) == asked


@pytest.mark.parametrize("count", COUNTS)
def test_any_query_string_opens_a_stream_or_is_refused_by_its_code(scene: Scene, count: int) -> None:
    @examples(count, random=count > 1000)
    @example("")
    @example("&".join(f"{name}=" for name in ONCE))
    @example("search=" + "x" * 8200)
    @example("search=" + "x" * 1025)
    @example("tail=%D9%A3")
    @example(f"lastId={GOOD_ID}~{'2' * 1000}")
    @example(f"lastId={quote(GOOD_ID)}&overlap=60&batch=1&services=api")
    @given(_queries)
    def fuzz(query: str) -> None:
        scene.run(visit(scene, query))

    fuzz()
