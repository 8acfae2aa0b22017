"""The hunt for secrets that come out of a relay: words that were shown, and all that was said.

Every door gets a word of its own, so that a leak names its door. Requests go over bare sockets: libraries refuse to
send most of what is sent here, and hide some of what comes back.
"""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Iterable

import attrs

DEADLINE = 15.0  # seconds
RECONNECT = "reconnect token"  # the door of it
_OURS = "zq"  # each word begins with this
_PART = 12  # characters of a word that are enough to know it by, also where somebody has cut it
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9  # opcodes (RFC 6455 section 5.2)


def forms(word: str) -> set[str]:
    """How a word may come out: as it is or cut, within base64, in hexadecimal digits, or as its SHA-256.

    A digest opens no door, but it tells who has guessed right, and nobody needs to be shown it.
    """
    found = {hashlib.sha256(word.encode()).hexdigest()}
    cuts = {word[-2 * _PART : -_PART], word[-_PART:]}
    if word.startswith(_OURS):  # others may begin as many do
        cuts.add(word[:_PART])
    for part in map(str.encode, cuts):
        found |= {part.decode(), part.hex()}
        for before in range(3):
            # The first and the last characters depend on the neighbours.
            text = base64.b64encode(bytes(before) + part).decode()[4 if before else 0 : -4]
            found |= {text, text.translate(str.maketrans("+/", "-_"))}
    return found


@attrs.define
class Hunt:
    """Words by the door that they were shown at, and all that a relay has said."""

    words: dict[str, str] = attrs.Factory(dict)
    heard: list[tuple[str, str, frozenset[str]]] = attrs.Factory(list)

    def at(self, door: str) -> str:
        """The word of a door, which is new."""
        return self.words.setdefault(door, f"{_OURS}{secrets.token_hex(14)}")

    def known(self, door: str, text: str) -> str:
        """A text that is a secret by itself; it is known by its last 24 characters."""
        self.words[door] = text
        return text

    def hear(self, place: str, said: str | bytes, *own: str) -> None:
        """Something was said there; the words of the doors `own` may be in it, since they were asked for."""
        text = said if isinstance(said, str) else said.decode("utf-8", "backslashreplace")
        self.heard.append((place, text, frozenset(own)))

    def leaks(self) -> list[str]:
        """Each word that was found: its door, and where it came out, with what stands around it."""
        found: list[str] = []
        sought = {door: forms(word) for door, word in self.words.items()}
        for place, text, own in self.heard:
            # Names of hosts come out in lower case; so do the words, whatever they went in as.
            whole = f"{text}\n{text.lower()}"
            found += [
                f"{door} in {place}: …{whole[max(0, whole.index(form) - 60) :][:160]}…"
                for door in sought.keys() - own
                for form in sought[door]
                if form in whole
            ]
        return sorted(found)


@attrs.frozen
class Knock:
    """One request, the frames after its upgrade, and the doors whose words it may be told again."""

    head: bytes
    frames: tuple[bytes, ...] = ()
    own: tuple[str, ...] = ()


def frame(payload: str | bytes, opcode: int = TEXT) -> bytes:
    """A client's frame, masked with noughts."""
    body = payload if isinstance(payload, bytes) else payload.encode()
    size = len(body)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + bytes(4) + body


def request(line: str, *headers: str, body: str | bytes = b"") -> bytes:
    """A request as it goes over the wire; a Host is added where none is given."""
    content = body if isinstance(body, bytes) else body.encode()
    lines = [line, *headers]
    if not any(header.casefold().startswith("host:") for header in headers):
        lines.append("Host: 127.0.0.1")
    if content:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: bm90aGluZyBhdCBhbGwuLg==",
)


def upgrade(target: str, *headers: str) -> bytes:
    """A WebSocket's handshake; a header that is given here stands in the place of the usual one."""
    given = {header.split(":", 1)[0].casefold() for header in headers}
    usual = [header for header in _UPGRADE if header.split(":", 1)[0].casefold() not in given]
    return request(f"GET {target} HTTP/1.1", *usual, *headers)


async def answer_to(port: int, knock: Knock, farewell: str) -> bytes:
    """All that comes back. An upgraded connection ends with the answer to a last ping, or before."""
    said = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(DEADLINE):
            writer.write(knock.head)
            said += await reader.readuntil(b"\r\n\r\n")
            if said.startswith(b"HTTP/1.1 101"):
                last = (frame('{"type":"ping","id":"last"}'), frame(b"\x03\xe8" + farewell.encode(), CLOSE))
                writer.write(b"".join([*knock.frames, *last]))
                async for payload in _payloads(reader):
                    said += payload + b"\n"
            elif length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", said):
                said += await reader.readexactly(int(length[1]))
    except asyncio.IncompleteReadError as cut:
        said += cut.partial
    except ConnectionError:
        pass  # what it had to say has been taken
    finally:
        writer.transport.abort()
    return said


async def _payloads(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        opcode, size = await reader.readexactly(2)
        if size >= 126:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
        yield await reader.readexactly(size)
        if opcode & 0x0F == CLOSE:
            return


async def knock_at_all(port: int, hunt: Hunt, knocks: Iterable[Knock]) -> list[bytes]:
    """Knock everywhere, some doors at a time; what is heard is added to the hunt."""
    some = asyncio.Semaphore(12)
    farewell = hunt.at("close reason")

    async def one(knock: Knock) -> bytes:
        async with some:
            said = await answer_to(port, knock, farewell)
        # Who comes back with a token may be told it again.
        back = (RECONNECT,) if hunt.words.get(RECONNECT, "none").encode() in knock.head else ()
        hunt.hear(f"the answer to {knock.head[:60]!r}", said, *knock.own, *back)
        return said

    return await asyncio.gather(*(one(knock) for knock in knocks))
