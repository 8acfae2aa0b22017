"""The benchmark's own clients: what they count is checked against a server that loses, repeats and swaps on purpose."""

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

LOAD = Path(__file__).with_name("bench") / "bench_load.py"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
COUNT = 20  # lines that everyone should get
PING = b"\x89\x00"
HEARTBEAT = b'{"type":"heartbeat"}'

Frames = Callable[[], Sequence[bytes]]


def frame(payload: bytes, first: int = 0x81) -> bytes:
    size = len(payload)
    return (
        struct.pack("!BB", first, size) + payload
        if size < 126
        else struct.pack("!BBH", first, 126, size) + payload
    )


def line(seq: int) -> bytes:
    return b'{"type":"log","data":{"message":"seq=%d t=%d and so on"}}' % (seq, time.time_ns())


SENT = {seq: frame(line(seq)) for seq in range(1, COUNT + 1)}


def lines(*seqs: int) -> list[bytes]:
    """The same bytes of a line for everyone who gets it."""
    return [SENT[seq] for seq in seqs]


def together(*seqs: int) -> bytes:
    return b'{"type":"logs","data":[' + b",".join(line(seq) for seq in seqs) + b"]}"


def pressed(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return frame((packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], 0xC1)


ALL = range(1, COUNT + 1)
WHOLE = lines(*ALL)


@attrs.define
class Server:
    """Sends each client what stands for it, in the order in which they connected, when it is told to start."""

    scripts: Sequence[Sequence[bytes]]
    extension: bytes = b""
    writers: list[asyncio.StreamWriter] = attrs.Factory(list)
    done: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST /_start"):
                await self.send()
            if b"/_st" not in head:
                await self.greet(head, writer)
                await reader.read()
                return
            stats = {"done": self.done, "first_seq": 1, "last_seq": COUNT, "lines_per_s": 1.0}
            body = json.dumps(stats).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
        writer.close()

    async def greet(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept, self.extension)
        )
        await writer.drain()
        self.writers.append(writer)

    async def send(self) -> None:
        """All frames, turn by turn, so that clients are neither ahead of nor behind each other by much."""
        for turn in range(max(map(len, self.scripts))):
            for script, writer in zip(self.scripts, self.writers, strict=True):
                if turn < len(script):
                    writer.write(script[turn])
                    await writer.drain()
            await asyncio.sleep(0.001)
        self.done = True


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        for writer in server.writers:
            writer.close()
        listener.close()
        await listener.wait_closed()


async def counted(server: Server, *arguments: str, fragment: str = "") -> dict[str, Any]:
    """What the load generator says of a server."""
    async with serving(server) as port:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                str(LOAD),
                "-n",
                str(len(server.scripts)),
                "-settle",
                "0.05s",
                "-drain",
                "0.3s",
            ),
            *("-sample", "1", "-ctl", f"http://127.0.0.1:{port}", *arguments),
            f"ws://127.0.0.1:{port}/any{fragment}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await process.communicate()
    result: dict[str, Any] = json.loads(out)
    return result


def faults(result: dict[str, Any]) -> tuple[int, ...]:
    names = ("missing_lines", "duplicates", "reordered", "gap_lines", "strange", "failed", "closed_by_server")
    return tuple(result[name] for name in names)


async def test_losses_repeats_and_swaps_are_told_from_each_other_whoever_has_them() -> None:
    loses = lines(*(seq for seq in ALL if seq not in {5, 6, COUNT}))
    repeats = lines(*range(1, 8), 7, *range(8, COUNT + 1), 2)
    swaps = lines(1, 2, 4, 3, *range(5, COUNT + 1))
    halves = lines(*range(3, COUNT + 1, 2))

    among_others, as_the_first = await asyncio.gather(
        counted(Server([WHOLE, loses, repeats, swaps])), counted(Server([halves, WHOLE]))
    )

    assert among_others["lines"] == 4 * COUNT - 3 + 2
    assert faults(among_others) == (3, 2, 1, 2, 0, 0, 0)
    assert as_the_first["lines"] == COUNT + len(halves)
    assert faults(as_the_first) == (COUNT - len(halves), 0, 0, len(halves) - 1, 0, 0, 0)


async def test_what_comes_once_and_in_order_has_no_fault_be_it_with_pings_or_heartbeats_or_in_pieces() -> (
    None
):
    beats = [*WHOLE[:7], PING, frame(HEARTBEAT), *WHOLE[7:]]
    bytes_one_by_one = b"".join(beats)
    pieces = [bytes_one_by_one[start : start + 33] for start in range(0, len(bytes_one_by_one), 33)]

    result = await counted(Server([WHOLE, beats, pieces, WHOLE]))

    assert result["lines"] == 4 * COUNT
    assert result["messages"] == 4 * COUNT + 2
    assert faults(result) == (0, 0, 0, 0, 0, 0, 0)
    assert 0 < result["latency_ms"]["p50"] <= result["last_ms"]["max"]


async def test_lines_may_come_in_groups_that_differ_from_client_to_client() -> None:
    tens = [frame(together(*range(1, 11))), frame(together(*range(11, 21)))]
    uneven = [frame(together(*range(1, 4))), frame(together(*range(4, 11))), frame(together(*range(11, 21)))]
    lossy = [frame(together(*range(1, 11))), frame(together(*range(12, 21)))]

    result = await counted(Server([tens, uneven, lossy]))

    assert result["lines"] == 3 * COUNT - 1
    assert faults(result) == (1, 0, 0, 1, 0, 0, 0)


async def test_compressed_messages_are_read() -> None:
    script = [pressed(together(*range(1, 11))), pressed(together(*range(11, 20)))]
    extension = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"

    result = await counted(Server([script, script], extension), "-compress")

    assert result["compressed"] == 2
    assert result["lines"] == 2 * (COUNT - 1)
    assert faults(result) == (2, 0, 0, 0, 0, 0, 0)


async def test_only_the_lines_that_a_filter_lets_through_are_expected() -> None:
    result = await counted(Server([lines(5, 10, 15), lines(5, 10, 11, 20)]), fragment="#every=5&residue=0")

    assert result["expected_lines"] == 8
    assert faults(result) == (2, 0, 0, 1, 1, 0, 0)


async def test_a_client_that_is_cut_off_is_told_with_its_code() -> None:
    result = await counted(Server([WHOLE, [frame(struct.pack("!H", 4400), 0x88)]]))

    assert result["close_codes"] == {"4400": 1}
    assert result["closed_by_server"] == 1
