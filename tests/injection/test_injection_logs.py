"""Hostile requests and the relay's own log: each of its lines is one JSON object, whatever was asked for."""

import asyncio
import json
import re
import signal
import sys
from typing import Any

from injection_children import Child, running
from injection_corpus import LINES

from logrelay.standin import StandIn, World

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"  # a frame that says 1000
SHORT = [text for text in LINES if len(text) <= 300]


def encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


async def asked(port: int, target: str, header: bytes) -> bool:
    """Whether the relay upgraded; what it says then is read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + header + UPGRADE.encode())
        async with asyncio.timeout(10):
            upgraded = b" 101 " in await reader.readline()
            if upgraded:
                writer.write(CLOSE)
                await reader.read()
    finally:
        writer.transport.abort()
    return upgraded


def lines(child: Child) -> list[dict[str, Any]]:
    return [json.loads(line) for line in child.out.split(b"\n") if line]


async def port_of(child: Child) -> int:
    await child.until(lambda: b'"serving"' in child.out and child.out.endswith(b"\n"))
    return int(next(line["port"] for line in lines(child) if line["message"] == "serving"))


async def test_whatever_is_asked_for_the_log_stays_one_object_a_line(world: World, railway: StandIn) -> None:
    settings = {
        "PORT": "0",
        "LOGRELAY_RAILWAY_URL": railway.url,
        "RAILWAY_API_TOKEN": world.account_token,
        "LOGRELAY_ENVIRONMENTS": world.environment.id,
        "LOGRELAY_LOG_LEVEL": "debug",
    }
    stream = f"/api/environments/{world.environment.id}/logs/stream"
    upgraded = 0
    async with running("serve", **settings) as child:
        port = await port_of(child)
        for text in SHORT:
            hostile = encoded(text)
            raw = re.sub(r"[\r\n\0]", "", text).encode("utf-8", "surrogatepass")
            for target, header in (
                (f"/api/environments/{hostile}x/logs/stream", b""),
                (f"{stream}?search={hostile}&lastId={hostile}&{hostile}={hostile}", b""),
                (stream, b"Origin: " + raw + b"\r\n"),
                (
                    stream,
                    b"X-Attack: "
                    + raw
                    + b"\r\nUser-Agent: "
                    + raw
                    + b"\r\nX-Forwarded-For: "
                    + raw
                    + b"\r\n",
                ),
            ):
                upgraded += await asked(port, target, header)
        assert await child.end(signal.SIGTERM) == 0

    said = lines(child)
    counts = f"{len(SHORT)} hostile texts in 4 places each, {upgraded} upgrades, {len(said)} lines of log"
    sys.stdout.write(f"{counts}\n")
    assert len(SHORT) >= 200
    assert all(isinstance(line, dict) and line["timestamp"] and line["level"] for line in said)
    assert sum(line["message"] == "stream closed" for line in said) == upgraded > len(SHORT)
    assert not [line for line in said if line["level"] in ("warning", "error") or "exc_info" in line]
    assert not [line for line in said if "forged" in line["message"] or line.get("level") == "forged"]
    assert child.noted == ""
    # Nothing in it is obeyed by a terminal, nor taken for a line's end by whatever splits it.
    assert (
        re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", child.shown) == []
    )
