"""Requests with something wrong in them, each with the answers that it may get (protocol.md section 1).

A request begins as a good handshake. What is done to it says which statuses may answer it; `None` is a connection that
is closed without an answer, because the request never ends.
"""

from collections.abc import Callable

import attrs
from fuzz_scene import MARK
from hypothesis import strategies as st

Statuses = frozenset[int | None]
PATH = b"/api/environments/env-1/logs/stream"
KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="
_MARK = MARK.encode()


@attrs.define
class Request:
    """A request, piece by piece."""

    method: bytes = b"GET"
    target: bytes = PATH
    version: bytes = b"HTTP/1.1"
    headers: list[tuple[bytes, bytes]] = attrs.Factory(
        lambda: [
            (b"Host", b"127.0.0.1"),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Version", b"13"),
            (b"Sec-WebSocket-Key", KEY),
        ]
    )
    lines: list[bytes] = attrs.Factory(list)  # further lines of the head, as they are
    newline: bytes = b"\r\n"
    before: bytes = b""
    after: bytes = b""
    kept: float = 1.0  # the part that is sent

    def encode(self) -> bytes:
        """The request's bytes."""
        head = [b" ".join((self.method, self.target, self.version))]
        head += [name + b": " + value for name, value in self.headers]
        whole = self.before + self.newline.join([*head, *self.lines, b"", b""]) + self.after
        return whole[: max(1, int(len(whole) * self.kept))] if self.kept < 1 else whole


@attrs.frozen
class Change:
    """Something done to a request, and the statuses that may answer it then."""

    subject: object  # what is changed; of changes of the same thing the last would undo the others
    apply: Callable[[Request], None]
    statuses: Statuses


def allowed(changes: list[Change]) -> Statuses:
    """The statuses that may answer a request with all of these changes."""
    if not changes:
        return frozenset({101})
    statuses = frozenset[int | None]().union(*(change.statuses for change in changes))
    return statuses if all(101 in change.statuses for change in changes) else statuses - {101}


def _statuses(*statuses: int | None) -> Statuses:
    return frozenset(statuses)


def _field(name: str, *statuses: int | None) -> Callable[[bytes], Change]:
    return lambda value: Change(name, lambda request: setattr(request, name, value), _statuses(*statuses))


def _without(name: bytes, *statuses: int) -> Change:
    def apply(request: Request) -> None:
        request.headers = [header for header in request.headers if header[0] != name]

    return Change(name, apply, _statuses(*statuses))


def _header(name: bytes, value: bytes, *statuses: int | None) -> Change:
    """Another value for a header, or a header besides."""

    def apply(request: Request) -> None:
        request.headers = [header for header in request.headers if header[0] != name] + [(name, value)]

    return Change(name, apply, _statuses(*statuses))


def _twice(name: bytes, value: bytes, *statuses: int) -> Change:
    return Change(name, lambda request: request.headers.append((name, value)), _statuses(*statuses))


def _line(line: bytes, *statuses: int | None) -> Change:
    return Change(line, lambda request: request.lines.append(line), _statuses(*statuses))


def _cut(part: float) -> Change:
    return Change("kept", lambda request: setattr(request, "kept", part), _statuses(None, 400, 101))


_HANDSHAKE = [
    _without(b"Upgrade", 426),
    _header(b"Upgrade", b"h2c", 426),
    _header(b"Upgrade", b"WebSocket", 101),
    _header(b"Upgrade", b"h2c, websocket", 101, 400),
    _header(b"Upgrade", _MARK + b"websocket", 400, 426),
    _without(b"Connection", 400, 426),
    _header(b"Connection", b"keep-alive", 400, 426),
    _header(b"Connection", b"close, Upgrade", 101, 400, 426),
    _without(b"Sec-WebSocket-Version", 400),
    *(
        _header(b"Sec-WebSocket-Version", value, 400)
        for value in (b"8", b"12", b"0", b"13, 8", b"-13", _MARK, b"9" * 900)
    ),
    _without(b"Sec-WebSocket-Key", 400),
    *(_header(b"Sec-WebSocket-Key", value, 400) for value in (b"", b"short", _MARK, b"\xff" * 16, b"====")),
    _header(b"Sec-WebSocket-Key", KEY * 9, 400),
    _twice(b"Sec-WebSocket-Key", KEY, 101, 400),
    _twice(b"Sec-WebSocket-Version", b"13", 101, 400),
]
_ORIGINS = [
    _header(b"Origin", b"http://127.0.0.1", 101),
    _header(b"Origin", b"https://127.0.0.1", 101),  # behind a proxy that speaks TLS
    *(
        _header(b"Origin", value, 403)
        for value in (
            b"null", b"https://evil.example", b"http://127.0.0.1.evil.example",
            b"http://127.0.0.1@evil.example", b"file://",
            b"http://127.0.0.1:1", b"HTTP://[::1", b"http://127.0.0.1/" + _MARK, b"\xff\xfe", b"*", b".",
            b"http://127.0.0.1 http://127.0.0.1", b"http://" + b"a" * 300, b"javascript:" + _MARK,
        )
    ),
    Change(
        b"Origin",
        lambda request: request.headers.extend([(b"Origin", b"http://127.0.0.1"), (b"Origin", b"null")]), _statuses(403)
    ),
]  # fmt: skip
_HOSTS = [
    _without(b"Host", 101, 400, 403),
    _twice(b"Host", b"evil.example", 101, 400, 403),
    *(
        _header(b"Host", value, 101, 400, 403)
        for value in (b"", b":", b"[::", b"a b", b"\xff", b"127.0.0.1:99999", b"@/?#")
    ),
]
_METHODS = [
    *(_field("method", 405)(method) for method in (b"POST", b"HEAD", b"PUT", b"DELETE", b"PATCH")),
    *(
        _field("method", 400, 403, 404, 405)(method)
        for method in (b"OPTIONS", b"CONNECT", b"TRACE", b"get", b"PRI", b"G" * 9000)
    ),
    *(_field("method", 400)(method) for method in (b"", b"G\0T", b"G T", b"\xffGET", _MARK + b"\x01")),
]
_TARGETS = [
    *(
        _field("target", 404)(target)
        for target in (b"/", b"/api", PATH + b"/x", b"/" + _MARK, b"/..%2f..%2fetc/passwd")
    ),
    *(
        _field("target", 101)(target)
        for target in (
            PATH.replace(b"env-1", b"env-9"), PATH.replace(b"env-1", b"%00%0d%0a"), PATH + b"?x=" + _MARK
        )
    ),
    *(
        _field("target", 101, 400, 404, 405)(target)
        for target in (
            b"http://127.0.0.1" + PATH, b"http://[::1" + PATH, b"//" + PATH, b"*", b"/%", b"/%zz", b"/a//b",
            b"127.0.0.1:80",
            PATH + b"#" + _MARK, PATH + b"?" + b"\xff\xfe", b"/\xc3\xa9", PATH + b"\x01",
            b"/api/environments/../../logs/stream",
            b"/api/environments/%2e%2e/logs/stream", b"/api/environments//logs/stream",
            PATH + b"?a=" + b"x" * 8000,
        )
    ),
    *(_field("target", 400)(target) for target in (b"", b"/a b c", b"/\0", PATH + b"?" + b"x" * 20_000)),
]  # fmt: skip
_VERSIONS = [
    *(_field("version", 101, 400, 426)(version) for version in (b"HTTP/1.0", b"HTTP/2.0")),
    *(
        _field("version", 400)(version)
        for version in (b"", b"HTTP/9.9", b"XTTP/1.1", b"HTTP/1", b"HTTP/1.1 x", _MARK)
    ),
]
_HEADERS = [
    *(
        _line(line, 400)
        for line in (b"Bad Name: x", b": x", b"X-Nul: a\0b", b"no colon " + _MARK, b"X\xff: 1", b"X-Cr: a\rb")
    ),
    *(
        _line(line, 101, 400)
        for line in (
            b"X-Folded: a\r\n b", b"X-Bytes: \xff\xfe", b"X-Escape: \x1b[2J", b"Cookie: " + _MARK * 100,
            b"X-Tab:\ta",
            b"Authorization: Bearer " + _MARK, b"Sec-WebSocket-Protocol: " + _MARK,
            b"Sec-WebSocket-Protocol: ,,;\xff",
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
            b"Sec-WebSocket-Extensions: ;;,=" + _MARK,
            b"X-Forwarded-For: " + _MARK, b"Forwarded: for=" + _MARK, b"Accept: text/event-stream",
            b"Last-Event-ID: " + _MARK,
            b"X-Same: 1\r\n" * 50 + b"X: 1", b"Content-Length: 0", b"If-None-Match: *", b"Range: bytes=0-",
        )
    ),
    *(
        _line(line, 101, 400, 431)
        for line in (b"X-Long: " + b"x" * 9000, b"X" * 9000 + b": 1", b"X: 1\r\n" * 3000 + b"X: 1")
    ),
    *(
        _line(line, 400)
        for line in (
            b"Content-Length: -1", b"Content-Length: " + _MARK, b"Content-Length: 1\r\nContent-Length: 2",
            b"Content-Length: " + b"9" * 40, b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        )
    ),
    *(
        _line(line, 101, 400, 413, 417, None)
        for line in (
            b"Content-Length: 10", b"Transfer-Encoding: chunked", b"Transfer-Encoding: " + _MARK,
            b"Expect: 100-continue",
            b"Expect: " + _MARK, b"Content-Encoding: gzip", b"Content-Encoding: " + _MARK, b"Trailer: x",
        )
    ),
]  # fmt: skip
_WIRE = [
    _field("newline", 101, 400, None)(b"\n"),
    _field("newline", 400, None)(b"\r"),
    _field("before", 101, 400)(b"\r\n\r\n"),
    *(
        _field("before", 400, None)(junk)
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 50, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    ),
    _field("after", 101)(b"GET /" + _MARK + b" HTTP/1.1\r\n\r\n"),
    _field("after", 101)(b"\xff" * 50),
]

_one = st.sampled_from([*_HANDSHAKE, *_ORIGINS, *_HOSTS, *_METHODS, *_TARGETS, *_VERSIONS, *_HEADERS, *_WIRE])
_some = _one | _one | st.floats(0, 0.999).map(_cut)
_changes = st.lists(_some, max_size=3, unique_by=lambda change: change.subject)


def _made(changes: list[Change]) -> tuple[bytes, Statuses]:
    request = Request()
    for change in changes:
        change.apply(request)
    return request.encode(), allowed(changes)


changed = _changes.map(_made)
ANYTHING: Statuses = _statuses(None, 400, 404, 405)
noise = (st.binary(min_size=1, max_size=200) | st.text(min_size=1).map(str.encode)).map(
    lambda sent: (sent, ANYTHING)
)
