"""Requests of any kind: each is answered by a refusal of ours, upgraded, or closed at the keep-alive limit."""

import asyncio
import json
import struct
from collections.abc import Iterator

import pytest
from fuzz_frames import CLOSE
from fuzz_requests import Request, Statuses, allowed, changed, noise
from fuzz_scene import MARK, Scene, examples
from fuzz_streams_made import Frame
from hypothesis import example, given
from web_harness import Raw

COUNTS = [
    pytest.param(250, id="few"),
    pytest.param(3000, marks=[pytest.mark.big, pytest.mark.timeout(400)], id="many"),
]
WAITS = 0.1  # seconds, so that requests which never end cost little
ENDS = {None, 1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4404}


@pytest.fixture
def hasty() -> Iterator[Scene]:
    with Scene.opened(WAITS) as scene:
        yield scene


async def status_of(peer: Raw, *, head_only: bool) -> int | None:
    """The status of the answer, whose head and body are checked; None where the relay closes without one."""
    try:
        head = (await peer.reader.readuntil(b"\r\n\r\n")).decode("ascii")
        if head.startswith("HTTP/1.1 100 "):
            head = (await peer.reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except asyncio.IncompleteReadError as error:
        return None if error.partial == b"" else -1
    first, *rest = head.strip().split("\r\n")
    status = int(first.split()[1])
    headers = dict(row.split(": ", 1) for row in rest)
    assert MARK not in head
    assert headers["Server"] == "logrelay"
    if status != 101:
        assert headers["X-Content-Type-Options"] == "nosniff"
        size = 0 if head_only else int(headers["Content-Length"])
        check_body(await peer.reader.readexactly(size))
    return status


def check_body(body: bytes) -> None:
    if body:
        error = json.loads(body)["error"]
        assert set(error) == {"code", "message"}
        assert MARK not in str(error)


async def goodbye(peer: Raw) -> int | None:
    """Close an upgraded connection; the relay's code, or None where it has just left."""
    try:
        peer.writer.write(Frame(CLOSE, struct.pack("!H", 1000)).encode())
        while (frame := await peer.frame())[0] != CLOSE:
            assert MARK.encode() not in frame[1]
    except (ConnectionError, asyncio.IncompleteReadError):
        return None
    return int(struct.unpack("!H", frame[1][:2])[0])


async def visit(scene: Scene, sent: bytes, statuses: Statuses) -> None:
    peer = await scene.relay.raw(upgrade=False)
    try:
        peer.writer.write(sent)
        status = await status_of(peer, head_only=b"HEAD " in sent)
        assert status in statuses, (status, statuses, sent)
        if status == 101:
            assert await goodbye(peer) in ENDS
    except ConnectionError:
        # A reset overtakes the answer where there was more to be read than was wanted.
        assert None in statuses or 400 in statuses or len(sent) > 8000
    finally:
        peer.leave()


@pytest.mark.parametrize("count", COUNTS)
def test_any_request_is_refused_upgraded_or_closed_and_never_repeated(hasty: Scene, count: int) -> None:
    @examples(count, random=count > 1000)
    @example((Request().encode(), allowed([])))
    @example((Request(lines=[b"Expect: " + MARK.encode()]).encode(), frozenset({417})))
    @example((Request().encode()[:-2], frozenset({None})))
    @given(changed | changed | changed | noise)
    def fuzz(request: tuple[bytes, Statuses]) -> None:
        hasty.run(visit(hasty, *request))

    fuzz()
