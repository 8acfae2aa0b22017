"""Bytes of any kind after the handshake: each stream is answered and ended as the model of the protocol has it."""

import asyncio
import itertools
import json
import struct
import time
from typing import Any

import attrs
import fuzz_frames
import fuzz_streams_made
import pytest
import web_schemas
from fuzz_frames import (
    CLOSE,
    FRAMES_A_SECOND,
    INVALID,
    INVALID_MESSAGES,
    LIMIT,
    PING,
    PONG,
    TEXT,
    Ending,
    Event,
    Message,
)
from fuzz_scene import MARK, Scene, examples
from fuzz_streams_made import Frame
from hypothesis import example, given
from hypothesis import strategies as st
from web_harness import Raw

COUNTS = [
    pytest.param(250, id="few"),
    pytest.param(4000, marks=[pytest.mark.big, pytest.mark.timeout(400)], id="many"),
]
PING_FRAME, PONG_FRAME = Frame(PING, b"").encode(), Frame(PONG, b"").encode()
FLOODING = ("error", "flooding")
OURS = {"connected", "connecting"}
READ_AT_ONCE = 64 * 1024  # bytes
barriers = itertools.count()


@attrs.define
class Answers:
    """What the relay said to a stream: replies in order, and how it ended (None: it goes on)."""

    replies: list[tuple[str, Any]] = attrs.Factory(list)
    code: int | None = None
    seconds: float = 0.0


async def answers(peer: Raw, barrier: bytes | None) -> Answers:
    """Read up to the answer to the barrier or up to the end."""
    found = Answers()
    began = time.monotonic()
    while True:
        opcode, payload = await peer.frame()
        if opcode == CLOSE:
            found.code = struct.unpack("!H", payload[:2])[0]
            break
        if opcode == PONG:
            if payload == barrier:
                break
            found.replies.append(("pong frame", payload))
            continue
        assert opcode == TEXT
        assert MARK.encode() not in payload or b'"pong"' in payload or b'"filter":{' in payload
        message = json.loads(payload)
        web_schemas.check(message)
        reply = reply_of(message)
        if reply is not None:
            found.replies.append(reply)
    found.seconds = time.monotonic() - began
    return found


def reply_of(message: dict[str, Any]) -> tuple[str, Any] | None:
    """A message as an answer; None for what comes by itself."""
    match message["type"]:
        case "error":
            return "error", message["code"]
        case "pong":
            return "pong", message["id"]
        case "status" if message["message"] not in OURS:
            return "status", message["message"]
    return None


def check(events: list[Event], found: Answers) -> None:
    """Hold what the relay said against the model, event by event."""
    said = list(found.replies)
    frames = invalid = 0
    for event in events:
        if isinstance(event, Ending):
            if frames == FRAMES_A_SECOND and said == [FLOODING]:
                # A frame that isn't allowed counts like any other, and was one too many.
                check_flooding(said, found)
                return
            if event.certain or (not said and found.code in event.codes):
                assert (said, True) == ([], found.code in event.codes), (event, said, found.code)
                return
            continue
        frames += 1
        if frames > FRAMES_A_SECOND and (found.seconds < 1 or said[:1] == [FLOODING]):
            check_flooding(said, found)
            return
        if event.opcode == PONG:
            continue
        assert said, f"no answer to {event}, closed by {found.code}"
        reply = said.pop(0)
        assert_allowed(reply, event)
        invalid += reply == INVALID
        if invalid == INVALID_MESSAGES:
            check_flooding(said, found)
            return
    assert (said, found.code) == ([], None)


def assert_allowed(reply: tuple[str, Any], event: Message) -> None:
    if event.opcode == PING:
        assert reply == ("pong frame", event.payload)
        return
    allowed = fuzz_frames.replies(event.payload.decode())
    for kind, what in allowed:
        if kind == reply[0] and (what == reply[1] or kind == "pong"):
            if kind == "pong" and len(allowed) == 1:
                assert same(what, reply[1]), (what, reply[1])
            return
    raise AssertionError(f"{reply} is not among {allowed} for {event}")


def same(sent: Any, returned: Any) -> bool:
    return json.dumps(sent, sort_keys=True) == json.dumps(returned, sort_keys=True)


def check_flooding(said: list[tuple[str, Any]], found: Answers) -> None:
    assert (said, found.code) == ([FLOODING], 1008)


async def visit(scene: Scene, stream: bytes, *, pieces: int, leaves: bool) -> None:
    """Connect, send the stream in so many pieces, and look at the answers, or leave without looking."""
    reading = fuzz_frames.read(stream)
    barrier = None
    if not leaves and reading.missing is not None:
        barrier = f"barrier {next(barriers)}".encode()
        # A frame that is cut off is ended first, so that the barrier is a frame of its own.
        stream += bytes(reading.missing)
        while missing := fuzz_frames.read(stream).missing:
            stream += bytes(missing)
        stream += Frame(PING, barrier).encode()
        reading = fuzz_frames.read(stream)
    peer = await scene.relay.raw(query="?tail=0")
    try:
        size = len(stream) // pieces + 1
        for start in range(0, len(stream), size):
            peer.writer.write(stream[start : start + size])
            await asyncio.sleep(0)
        if leaves:
            return
        found = await answers(peer, barrier)
    except (ConnectionError, asyncio.IncompleteReadError):
        # Who still writes when the end comes is sent a reset by the kernel, which overtakes the close frame.
        assert pieces > 1 or len(stream) > READ_AT_ONCE
        return
    finally:
        peer.leave()
    if found.code is None:
        assert reading.events.pop() == Message(PING, barrier)
    check(reading.events, found)


@pytest.mark.parametrize("count", COUNTS)
def test_any_stream_of_frames_is_answered_and_ended_as_the_protocol_says(scene: Scene, count: int) -> None:
    @examples(count, random=count > 1000)
    @example(stream=PING_FRAME * (FRAMES_A_SECOND + 1), pieces=1, leaves=False)
    @example(stream=PONG_FRAME * (FRAMES_A_SECOND + 1), pieces=1, leaves=False)
    @example(stream=Frame(TEXT, b"{").encode() * INVALID_MESSAGES, pieces=1, leaves=False)
    @example(stream=Frame(TEXT, b"x" * (LIMIT + 1)).encode(), pieces=1, leaves=False)
    @example(stream=Frame(TEXT, b'"' + b"x" * (LIMIT - 2) + b'"').encode(), pieces=1, leaves=False)
    @example(stream=Frame(TEXT, b"", claimed=2**40).encode(), pieces=1, leaves=True)
    @given(
        stream=fuzz_streams_made.streams,
        pieces=st.sampled_from([1, 1, 1, 2, 7]),
        leaves=st.sampled_from([False, False, False, True]),
    )
    def fuzz(stream: bytes, pieces: int, *, leaves: bool) -> None:
        scene.run(visit(scene, stream, pieces=pieces, leaves=leaves))

    fuzz()
