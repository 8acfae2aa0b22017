"""WebSocket frames as bytes (RFC 6455 section 5.2), unmasked, as a server sends them."""

from __future__ import annotations

import struct

TEXT, BINARY, PING, PONG = 0x1, 0x2, 0x9, 0xA

_SHORT = 126
_MEDIUM = 1 << 16


def frame(opcode: int, payload: bytes) -> bytes:
    """Write one whole message as one frame."""
    size = len(payload)
    first = 0x80 | opcode
    if size < _SHORT:
        return struct.pack("!BB", first, size) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
