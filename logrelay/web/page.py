"""The log page and the browser client, as they were built: files in memory, with headers that let nothing else in.

Everything is read once, so that no request touches the disk, and no path leads anywhere else.
"""

import functools
import gzip
import hashlib
import importlib.resources
import logging
import re
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable

import attrs
from aiohttp import hdrs, web

from logrelay.web.answers import refusal
from logrelay.web.origins import Proxies

logger = logging.getLogger(__name__)

_MOST_FILES = 500
_MOST_BYTES = 20 * 1024 * 1024
_HEADERS = web.ResponseKey("headers", dict[str, str])
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", re.ASCII)
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".map": "application/json",
    ".ts": "application/typescript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
_PLAIN = {".png", ".ico"}  # packed already
_FOR_EVER = "public, max-age=31536000, immutable"
_LOOK_AGAIN = "no-cache"
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@attrs.frozen
class File:
    """A file as it is sent. Its tag is made of its content."""

    kind: str
    body: bytes = attrs.field(repr=False)
    packed: bytes | None = attrs.field(repr=False)  # gzip, where that is shorter
    tag: str

    @classmethod
    def of(cls, name: str, body: bytes) -> "File":
        """The file with this name, whose ending says what it is."""
        ending = name[name.rfind(".") :]
        packed = None if ending in _PLAIN else gzip.compress(body, 9, mtime=0)
        return cls(
            _KINDS[ending],
            body,
            packed if packed is not None and len(packed) < len(body) else None,
            hashlib.sha256(body).hexdigest()[:32],
        )


class Page:
    """What a build has left in a folder: `index.html`, `assets/…` with a hash of the content in each name, `client/…`.

    Where there is no build, the page's own routes answer with a sentence, and everything else works.
    """

    def __init__(self, folder: Traversable | None = None, proxies: Proxies | None = None) -> None:
        self._proxies = proxies or Proxies()
        self._files = _built() if folder is None else _read(folder)

    def __repr__(self) -> str:
        return f"<Page of {len(self._files)} files>"

    def add_routes(self, app: web.Application, base_path: str) -> list[web.AbstractRoute]:
        """Put the routes into the application; gives those that other origins' pages may use: the client's."""
        app.on_response_prepare.append(_finish)
        shared: list[web.AbstractRoute] = []
        for path in dict.fromkeys(("", base_path)):
            index = _Index(self._files.get("index.html"), path, self._proxies)
            for method in (hdrs.METH_GET, hdrs.METH_HEAD):
                app.router.add_route(method, f"{path}/", index.answer)
                app.router.add_route(method, f"{path}/environments/{{id}}", index.answer)
                app.router.add_route(method, f"{path}/assets/{{name:.+}}", self._asset)
                shared.append(app.router.add_route(method, f"{path}/client/{{name:.+}}", self._client))
        return shared

    async def _asset(self, request: web.Request) -> web.Response:
        return _answer(request, self._file(request, "assets"), {hdrs.CACHE_CONTROL: _FOR_EVER})

    async def _client(self, request: web.Request) -> web.Response:
        headers = {hdrs.CACHE_CONTROL: _LOOK_AGAIN, "Cross-Origin-Resource-Policy": "cross-origin"}
        return _answer(request, self._file(request, "client"), headers)

    def _file(self, request: web.Request, folder: str) -> File:
        found = self._files.get(f"{folder}/{request.match_info['name']}")
        if found is None:
            raise web.HTTPNotFound
        return found


class _Index:
    """The page itself, under one path."""

    def __init__(self, file: File | None, path: str, proxies: Proxies) -> None:
        if file is not None and path:
            # The only addresses in it; scripts know theirs by themselves.
            body = file.body.replace(b'="/assets/', f'="{path}/assets/'.encode())
            file = File.of("index.html", body.replace(b'="/client/', f'="{path}/client/'.encode()))
        self._file = file
        self._proxies = proxies

    async def answer(self, request: web.Request) -> web.Response:
        if self._file is None:
            return refusal(
                404, "no_page", "this relay was built without its page; the API works all the same"
            )
        headers = {
            hdrs.CACHE_CONTROL: _LOOK_AGAIN,
            "Content-Security-Policy": _policy(self._proxies.host(request)),
        }
        return _answer(request, self._file, headers)


def _policy(host: str | None) -> str:
    """Nothing but this relay, its WebSockets included; some browsers take `'self'` for HTTP only."""
    sockets = f" ws://{host} wss://{host}" if host is not None and _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _answer(request: web.Request, file: File, headers: Mapping[str, str]) -> web.Response:
    """The file, packed for those who take it so, or that it is the same as before (RFC 9110 section 13.1.2)."""
    packs = any(
        part.partition(";")[0].strip().casefold() == "gzip" and not _refused(part)
        for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").split(",")
    )
    packed = file.packed if packs else None
    tag = f'"{file.tag}{"-gz" if packed is not None else ""}"'
    all_headers = {
        **_SAFE,
        **headers,
        hdrs.ETAG: tag,
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    shown = {
        each.strip().removeprefix("W/") for each in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")
    }
    if tag in shown or "*" in shown:
        answer = web.Response(status=304)
    else:
        all_headers[hdrs.CONTENT_TYPE] = file.kind
        if packed is not None:
            all_headers[hdrs.CONTENT_ENCODING] = "gzip"
        answer = web.Response(body=file.body if packed is None else packed)
    answer.headers.update(all_headers)
    answer[_HEADERS] = all_headers
    return answer


def _refused(part: str) -> bool:
    """Whether an encoding is listed only to say that it isn't taken."""
    return re.search(r";\s*q\s*=\s*0(\.0*)?\s*$", part) is not None


async def _finish(_: web.BaseRequest, response: web.StreamResponse) -> None:
    """Files may be kept, other than answers of the API, for which this says otherwise before."""
    kept = response.get(_HEADERS)
    if kept is not None:
        response.headers[hdrs.CACHE_CONTROL] = kept[hdrs.CACHE_CONTROL]


@functools.cache
def _built() -> Mapping[str, File]:
    """The files that came with the package."""
    return _read(importlib.resources.files("logrelay").joinpath("viewer", "dist"))


def _read(folder: Traversable) -> Mapping[str, File]:
    """The files of a build, by their paths; none without one. Stops where there is more than a build can have."""
    if not folder.is_dir():
        return {}
    files: dict[str, File] = {}
    room = _MOST_BYTES
    for name, found in _walk(folder, ""):
        if name[name.rfind(".") :] not in _KINDS:
            continue
        body = found.read_bytes()
        room -= len(body)
        if room < 0 or len(files) >= _MOST_FILES:
            logger.error("the page has more files than are served", extra={"files": len(files)})
            break
        files[name] = File.of(name, body)
    return files


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for found in sorted(folder.iterdir(), key=lambda each: each.name):
        name = f"{path}{found.name}"
        if found.is_dir():
            yield from _walk(found, f"{name}/")
        elif found.is_file():
            yield name, found
