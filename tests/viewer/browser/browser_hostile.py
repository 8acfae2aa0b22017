"""Hostile lines for the page, what it promises to show of each, and how it is told that one of them has run."""

# ruff: noqa: RUF001 that some look like other characters is what they are here for

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "injection"))

from injection_corpus import LINES, NAMES, sendable

RAN = "window.__ran=1"
SCRIPTS = [
    f"<script>{RAN}</script>", f"<img src=x onerror={RAN}>", f"<svg onload={RAN}>",
    f"</textarea><script>{RAN}</script>",
    f"<iframe srcdoc='<script>parent.{RAN}</script>'></iframe>", f"<style>@import url(javascript:{RAN})</style>",
    f"<a href='javascript:{RAN}' autofocus onfocus='{RAN}'>x</a>", f"<details open ontoggle={RAN}>",
    f"<video><source onerror={RAN}></video>", f"<math><mtext><img src=x onerror={RAN}></mtext></math>",
    f"<form action=javascript:{RAN}><input type=submit autofocus></form>",
    f"<template><img src=x onerror={RAN}></template>",
    f"<link rel=stylesheet href=//x.example/a.css onerror={RAN}>", f"\\u003cscript\\u003e{RAN}\\u003c/script\\u003e",
    f"' onmouseover='{RAN}", f'" onclick="{RAN}" x="', f"`${{{RAN}}}`", f"${{{RAN}}}", f"{{{{{RAN}}}}}",
    f"javascript:{RAN}", f"JaVaScRiPt:{RAN}", f"data:text/html,<script>{RAN}</script>",
    f"\x1b]8;;javascript:{RAN}\x1b\\click\x1b]8;;\x1b\\", f"\x1b]8;;javascript:{RAN}\x07click\x1b]8;;\x07",
    f"\x1b[31m<script>{RAN}</script>\x1b[0m", f"<scr\x1b[0mipt>{RAN}</scr\x1b[0mipt>", f"<scr\x00ipt>{RAN}</script>",
    "abc\r\x1b[31mXYZ",
    f"<img\x0bsrc=x\x0conerror={RAN}>", f"＜img src=x onerror={RAN}＞", f"<\u200bscript>{RAN}</script>",
]  # fmt: skip
STYLES = [
    "</style><style>*{display:none}</style>", "<link rel=stylesheet href=/assets/x.css>", "url(//x.example/a.png)",
    "background:url(javascript:1)", "expression(alert(1))", "*{background:url(//x.example)}", "@import '//x.example';",
    "\x1b[38;2;url(//x.example);0;0mcolour", "\x1b[38;2;999;0;0mtoo red", "\x1b[48;5;256mno colour",
    "</title><title>x", "<base target=_blank href=//x.example/>",
    "<meta http-equiv=refresh content='0;url=//x.example'>",
]  # fmt: skip
DIRECTIONS = [
    "\u05e9\u05dc\u05d5\u05dd 12 \u05e2\u05d5\u05dc\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 (1) <b>",
    "\u202e" * 20 + "end",
    "\u2067rtl\u2069 \u2066ltr\u2069 \u202b\u202d\u202e", "\u2069" * 10 + "\u202c" * 10, "a \u200f! \u200e!",
]  # fmt: skip
TALL = [
    "Z" + "\u0335\u0489\u0301\u0316" * 400, "\u0e14" + "\u0e49" * 300, "\U0001f469" + "\u200d\U0001f469" * 200,
    "👍" + "\U0001f3ff" * 100, "🇦" * 300, "\ufdfd" * 100, "𒐫" * 50, "a" + "\u20dd\u20de\u20e3" * 100,
]  # fmt: skip
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    '=HYPERLINK("http://x.example")',
    ";=1",
    '"=1',
]
BIG = ["<" * (64 << 10), "a" * 65_000 + f"<script>{RAN}</script>", f"<img src=x onerror={RAN}>" * 1500]
OURS = [*SCRIPTS, *STYLES, *DIRECTIONS, *TALL, *FORMULAS, *BIG]
ALL = list(dict.fromkeys([*OURS, *LINES]))
SERVICES = [
    *SCRIPTS[:8],
    "__proto__",
    "constructor",
    "\u202egpj.exe",
    "<b>bold</b>",
    "a,b",
    'say "hi"',
    "＜api＞",
    "x" * 60,
]
KEYS = [
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "then",
    "length",
    "0",
    "a.b[0]",
    *SCRIPTS[:8],
]

# What page/ansi.ts promises: escape sequences are left out, and what could hide, turn or move text is made visible.
_ESCAPES = re.compile(
    "\x1b\\[[0-9;:]{0,64}m|\x1b\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\\\)"
    "|\x1b[()][0-9A-B]|\x1b[=>78cDEHM]"
)
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
CUT = 2000  # UTF-16 units of a message that the list shows


def shown(text: str) -> str:
    """What the page shows of a text, its colours left aside."""
    return _plainly(sendable(text))


def _visible(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"<U+{code:04X}>"


def in_list(text: str) -> str:
    """What the list shows of a message while lines are neither wrapped nor unfolded: the first line's beginning."""
    first = sendable(text).split("\n", 1)[0]
    beginning = first.encode("utf-16-le")[: 2 * CUT].decode("utf-16-le", "surrogatepass")
    return _plainly(beginning) or "(empty)"


def _plainly(text: str) -> str:
    bare = re.sub("\r(?=\n|\\Z)", "", _ESCAPES.sub("", text))
    return HIDDEN.sub(lambda match: _visible(ord(match[0])), bare)


__all__ = [
    "ALL",
    "DIRECTIONS",
    "FORMULAS",
    "HIDDEN",
    "KEYS",
    "NAMES",
    "RAN",
    "SERVICES",
    "TALL",
    "in_list",
    "sendable",
    "shown",
]
