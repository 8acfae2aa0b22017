"""What may stand between the characters of a text without being seen: colour codes, and the escapes of JSON.

A layer is the text with one of those levels taken off; it knows where each of its bytes stood. Plain Python, no I/O.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

# ECMA-48: control sequences (colours among them), operating system commands, character sets (`tput sgr0` sends one)
# and the other escapes. Of a sequence without its end only the introducer goes, so that no text hides behind it.
_CONTROL = r"[0-?]*[ -/]*[@-~]"
_COMMAND = r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
_CODE = rf"\x1b(?:\[{_CONTROL}|[ -/]+[0-~]|[0-~])|\x9b{_CONTROL}"
ANSI = re.compile(rf"{_COMMAND}|{_CODE}")

# Of commands the introducer only, because what is in them is text, such as a link's address. Then JSON's escapes, and
# those that Python and shells write.
_DISGUISE = re.compile(
    _CODE.replace(r"\x9b", r"\xc2\x9b").encode() + rb"""|\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|["'\\/bfnrt])"""
)
_BACKSLASH, _ESCAPE, _C1 = b"\\\x1b\x9b"
_SHORT = {
    rb"\b": b"\b",
    rb"\f": b"\f",
    rb"\n": b"\n",
    rb"\r": b"\r",
    rb"\t": b"\t",
}


class Layer:
    """A text, as UTF-8, with one level of disguise taken off."""

    __slots__ = ("_below", "_origins", "_places", "_under", "text")

    def __init__(self, text: bytes, under: bytes, below: "Layer | None") -> None:
        self.text = text
        self._under = under
        self._below = below
        self._places: list[int] = []  # where pieces begin in `text`, and where they come from
        self._origins: list[tuple[int, int]] = []  # start and end in `under`

    def __repr__(self) -> str:
        return f"<Layer of {len(self.text)} bytes>"

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where a piece of this text, which is not empty, stood in the text that was given first."""
        if not self._places:
            self._chart()
        first, last = self._origin(start)[0], self._origin(end - 1)[1]
        return (first, last) if self._below is None else self._below.origin(first, last)

    def _origin(self, place: int) -> tuple[int, int]:
        """Start and end of what became the byte at that place."""
        # Of pieces that begin at the same place all but the last are empty: codes that went without a trace.
        piece = bisect_right(self._places, place) - 1
        start, end = self._origins[piece]
        beyond = self._places[piece + 1] if piece + 1 < len(self._places) else len(self.text)
        if beyond - self._places[piece] == end - start:
            within = start + place - self._places[piece]
            return within, within + 1
        return start, end

    def _chart(self) -> None:
        place = begun = 0
        for match in _DISGUISE.finditer(self._under):
            start, end = match.span()
            self._note(place, begun, start)
            place += start - begun
            self._note(place, start, end)
            place += len(_shown(match))
            begun = end
        self._note(place, begun, len(self._under))

    def _note(self, place: int, start: int, end: int) -> None:
        if start < end:
            self._places.append(place)
            self._origins.append((start, end))


def disguised(text: bytes) -> bool:
    """Whether there may be anything to take off; wrong at most in saying yes."""
    # Looking for numbers takes a fifth of the time that looking for strings does. 0x9b ends other characters, too.
    return _BACKSLASH in text or _ESCAPE in text or _C1 in text


def layers(text: bytes, most: int) -> Iterator[Layer]:
    """The text with one level after the other taken off, as long as there are any; none for most texts."""
    below = None
    for _ in range(most):
        if not disguised(text):
            return
        shown = _DISGUISE.sub(_shown, text)
        if shown == text:
            return
        below = Layer(shown, text, below)
        yield below
        text = shown


def _shown(match: re.Match[bytes]) -> bytes:
    """What an escape stands for; nothing for a terminal's code."""
    piece = match[0]
    if not piece.startswith(b"\\"):
        return b""
    digits = piece[2:]
    return chr(int(digits, 16)).encode("utf-8", "replace") if digits else _SHORT.get(piece, piece[1:])
