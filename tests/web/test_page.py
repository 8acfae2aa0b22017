"""The page's files: what is served, from where, for how long, and what a browser may do with it."""

import gzip
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import web_harness
from aiohttp import web
from web_harness import Relay

from logrelay.web import page, routes
from logrelay.web.page import Page

SCRIPT = "export const answer = 42;\n" * 50
INDEX = (
    '<!doctype html><link rel="stylesheet" href="/assets/page-1a2b.css">'
    '<script type="module" src="/assets/page-1a2b.js"></script>'
)


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "client").mkdir()
    (dist / "index.html").write_text(INDEX)
    (dist / "assets" / "page-1a2b.js").write_text(SCRIPT)
    (dist / "assets" / "page-1a2b.css").write_text("body{}")
    (dist / "client" / "logrelay-client.js").write_text(SCRIPT)
    (dist / "client" / "index.d.ts").write_text("export declare const answer: number;\n")
    (dist / "README.md").write_text("not served")
    (tmp_path / "secret.js").write_text("SECRET")
    return dist


Serve = Callable[..., Awaitable[Relay]]


@pytest.fixture
async def serve(session: aiohttp.ClientSession) -> AsyncIterator[Serve]:
    made: list[Relay] = []

    async def serve(folder: Path | None, *, base_path: str = "", **options: Any) -> Relay:
        relay = web_harness.build(session, base_path=base_path)
        relay.app = web.Application()
        served = None if folder is None else Page(folder, **options)
        routes.add_routes(
            relay.app,
            relay.streams,
            relay.health,
            base_path=base_path,
            origins=("https://shop.example",),
            page=served,
        )
        await web_harness.start(relay)
        made.append(relay)
        return relay

    yield serve
    for relay in made:
        await web_harness.stop(relay)


async def get(relay: Relay, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    async with relay.session.request(
        method,
        relay.url + path,
        headers=headers,
        skip_auto_headers=["Accept-Encoding"],
        auto_decompress=False,
    ) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("path", ["/", "/environments/env-1", "/environments/of-nobody"])
async def test_the_page_is_served_and_looked_at_again_each_time(serve: Serve, dist: Path, path: str) -> None:
    relay = await serve(dist)

    status, headers, body = await get(relay, path)
    again, same, nothing = await get(relay, path, **{"If-None-Match": headers["ETag"]})

    assert (status, body.decode()) == (200, INDEX)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache"
    assert (again, nothing) == (304, b"")
    assert same["ETag"] == headers["ETag"]
    assert same["Content-Security-Policy"] == headers["Content-Security-Policy"]


async def test_a_browser_may_do_nothing_that_the_page_does_not_need(serve: Serve, dist: Path) -> None:
    relay = await serve(dist)

    _, headers, _ = await get(relay, "/")

    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    host = relay.url.removeprefix("http://")
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": f"'self' ws://{host} wss://{host}",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a b", "x" * 300, "a,b"])
async def test_a_host_that_is_none_gets_nothing_into_the_policy(serve: Serve, dist: Path, host: str) -> None:
    relay = await serve(dist)

    _, headers, _ = await get(relay, "/", Host=host)

    assert "connect-src 'self';" in headers["Content-Security-Policy"]
    assert "script-src 'self';" in headers["Content-Security-Policy"]


async def test_assets_are_kept_for_ever_because_their_names_change_with_them(
    serve: Serve, dist: Path
) -> None:
    relay = await serve(dist)

    status, headers, body = await get(relay, "/assets/page-1a2b.js")

    assert (status, body.decode()) == (200, SCRIPT)
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Access-Control-Allow-Origin" not in headers


async def test_the_licences_of_what_is_in_the_page_are_served_as_text(serve: Serve, dist: Path) -> None:
    (dist / "assets" / "licenses-1a2b.txt").write_text("Permission is hereby granted ö")
    relay = await serve(dist)

    status, headers, body = await get(relay, "/assets/licenses-1a2b.txt")

    assert (status, body.decode()) == (200, "Permission is hereby granted ö")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip, br", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_files_are_packed_for_those_who_take_them_so(
    serve: Serve, dist: Path, accepts: str, *, packed: bool
) -> None:
    relay = await serve(dist)

    _, headers, body = await get(relay, "/assets/page-1a2b.js", **{"Accept-Encoding": accepts})

    assert (headers.get("Content-Encoding") == "gzip") is packed
    assert (gzip.decompress(body) if packed else body).decode() == SCRIPT
    assert "Accept-Encoding" in headers["Vary"]
    assert int(headers["Content-Length"]) == len(body)
    assert headers["ETag"].endswith('-gz"') is packed


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.js",
        "/assets/..%2f..%2fsecret.js",
        "/assets/%2e%2e/%2e%2e/secret.js",
        "/client//etc/passwd",
        "/assets/..\\secret.js",
        "/assets/",
        "/assets/none.js",
        "/README.md",
        "/index.html",
        "/client/../index.html%00.js",
    ],
)
async def test_no_path_leads_out_of_the_build(serve: Serve, dist: Path, path: str) -> None:
    relay = await serve(dist)
    raw = await web_harness.Raw.opened(relay.port, "/", buffer=None, upgrade=False)

    status, _, body = await raw.answer(f"GET {path} HTTP/1.1", "Host: 127.0.0.1")

    assert status in {400, 404}
    assert b"SECRET" not in body
    raw.leave()


async def test_the_client_may_be_imported_by_allowed_origins_only(serve: Serve, dist: Path) -> None:
    relay = await serve(dist)

    _, allowed, body = await get(relay, "/client/logrelay-client.js", Origin="https://shop.example")
    _, foreign, _ = await get(relay, "/client/logrelay-client.js", Origin="https://evil.example")
    _, types, _ = await get(relay, "/client/index.d.ts")

    assert body.decode() == SCRIPT
    assert allowed["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Access-Control-Allow-Origin" not in foreign
    assert allowed["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert allowed["Cache-Control"] == "no-cache"
    assert types["Content-Type"].startswith("application/typescript")


async def test_under_a_base_path_the_page_finds_its_files_there(serve: Serve, dist: Path) -> None:
    relay = await serve(dist, base_path="/logs")

    _, _, body = await get(relay, "/logs/environments/env-1")
    addresses = re.findall(r'(?:href|src)="([^"]+)"', body.decode())

    assert addresses == ["/logs/assets/page-1a2b.css", "/logs/assets/page-1a2b.js"]
    assert [(await get(relay, address))[0] for address in addresses] == [200, 200]
    assert (await get(relay, "/"))[2].decode() == INDEX


async def test_without_a_build_the_page_says_so_and_the_api_works(serve: Serve, tmp_path: Path) -> None:
    relay = await serve(tmp_path / "nothing")

    status, headers, body = await get(relay, "/")

    assert status == 404
    assert b"built without its page" in body
    assert headers["Content-Type"] == "application/json"
    assert (await get(relay, "/assets/page-1a2b.js"))[0] == 404
    assert (await get(relay, "/healthz"))[0] == 200


async def test_where_it_is_switched_off_there_is_nothing(serve: Serve) -> None:
    relay = await serve(None)

    assert [(await get(relay, path))[0] for path in ("/", "/client/logrelay-client.js")] == [404, 404]


async def test_head_has_no_body(serve: Serve, dist: Path) -> None:
    relay = await serve(dist)

    status, headers, body = await get(relay, "/", "HEAD")

    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == len(INDEX)


async def test_answers_of_the_api_are_still_not_kept(serve: Serve, dist: Path) -> None:
    relay = await serve(dist)

    _, headers, _ = await get(relay, "/healthz")

    assert headers["Cache-Control"] == "no-store"


def test_a_build_beyond_all_measure_is_not_taken_into_memory(
    dist: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(page, "_MOST_FILES", 2)

    assert repr(Page(dist)) == "<Page of 2 files>"
    assert "more files than are served" in caplog.text
