"""WebSocket frames as bytes: enough of RFC 6455 and RFC 7692 for both ends of a benchmark. No I/O."""

import base64
import hashlib
import struct
import zlib

FIN_TEXT = 0x81
CLOSE, PING, PONG = 0x8, 0x9, 0xA
FIN = 0x80
COMPRESSED = 0x40  # RSV1
_OPCODE = 0x0F
_SHORT, _MEDIUM = 126, 65_536
_MASK = b"\x5a\x17\xc3\x99"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_EMPTY_BLOCK = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.2: what a sender leaves out at the end of a message


def accept_of(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept for a key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def header(size: int, first: int = FIN_TEXT) -> bytes:
    """The header of an unmasked frame with `size` bytes of payload."""
    if size < _SHORT:
        return struct.pack("!BB", first, size)
    if size < _MEDIUM:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's control frame; the payload is at most 125 bytes."""
    covered = bytes(byte ^ _MASK[place % 4] for place, byte in enumerate(payload))
    return bytes((FIN | opcode, 0x80 | len(payload))) + _MASK + covered


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """What a client's payload says."""
    size = len(payload)
    whole = int.from_bytes(mask * (size // 4 + 1), "little") & ((1 << 8 * size) - 1)
    return (int.from_bytes(payload, "little") ^ whole).to_bytes(size, "little")


def place(buffer: bytes, start: int) -> tuple[int, int] | None:
    """Where the payload of the unmasked frame at `start` begins and ends; None while the frame isn't whole."""
    have = len(buffer) - start
    if have < 2:
        return None
    size = buffer[start + 1] & 0x7F
    payload = start + 2
    if size == 126:
        payload += 2
        if have < 4:
            return None
        (size,) = struct.unpack_from("!H", buffer, start + 2)
    elif size == 127:
        payload += 8
        if have < 10:
            return None
        (size,) = struct.unpack_from("!Q", buffer, start + 2)
    return (payload, payload + size) if payload + size <= len(buffer) else None


def opcode(first: int) -> int:
    """The opcode in a frame's first byte."""
    return first & _OPCODE


def inflated(payload: bytes) -> bytes:
    """A compressed message's text, where the sender's context is reset for each message. Raises zlib.error."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + _EMPTY_BLOCK)
