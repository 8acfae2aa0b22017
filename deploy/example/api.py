"""A small main API with logrelay beside it: serves the page, knows its user, and says to the relay who may look.

It shows the contract of logrelay's `forward` mode, and no more. A real API has users in a database, their passwords as
slow hashes, a limit on tries, and a session store that outlives it; here there is one made-up user, and sessions are
gone with the process.
"""  # noqa: INP001 - one file, not a package

import asyncio
import hmac
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    DummyCookieJar,
    WSMsgType,
    web,
)

RELAY = web.AppKey("RELAY", ClientSession)
ALLOWED = web.AppKey("ALLOWED", frozenset)
USER = web.AppKey("USER", tuple)  # name and password
SESSIONS = web.AppKey("SESSIONS", dict)  # from a cookie's value to the end of its session, monotonic
SESSION_SECONDS = 8 * 3600.0
WRITE_TIMEOUT = 20.0  # seconds in which one peer takes nothing; logrelay's own patience is 10
PASSED = ("Host", "Origin", "Cookie")  # logrelay compares the first two, and asks `may_look` with the third
Socket = ClientWebSocketResponse | web.WebSocketResponse


def seconds_left(request: web.Request) -> float:
    """Tell how long the caller's session still lasts; 0 where there is none."""
    end = request.app[SESSIONS].get(request.cookies.get("session"), 0.0)
    return max(0.0, end - time.monotonic())


async def page(request: web.Request) -> web.FileResponse:
    """Serve the frontend, or to strangers the form to sign in by, which comes back to this same address."""
    name = "index.html" if seconds_left(request) else "sign-in.html"
    return web.FileResponse(Path(__file__).with_name(name), headers={"Cache-Control": "no-store"})


async def sign_in(request: web.Request) -> web.Response:
    """Begin a session. Its cookie is out of the reach of scripts and of other sites' pages."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise web.HTTPForbidden(text="This form belongs to another site.")
    form = await request.post()
    given = [str(form.get(field, "")).encode() for field in ("name", "password")]
    known = [text.encode() for text in request.app[USER]]
    if not all([hmac.compare_digest(*pair) for pair in zip(given, known, strict=True)]):  # noqa: C419 - looks at both
        raise web.HTTPForbidden(text="Name or password is wrong.")
    sessions, now = request.app[SESSIONS], time.monotonic()
    for ended in [value for value, end in sessions.items() if end <= now]:
        del sessions[ended]
    value = secrets.token_urlsafe(32)
    sessions[value] = now + SESSION_SECONDS
    response = web.Response(status=303, headers={"Location": str(request.rel_url)})
    # `secure` where the browser came by HTTPS; behind a proxy that ends TLS, say True.
    response.set_cookie(
        "session",
        value,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session. The relay, which asks again every half a minute, then closes the caller's streams by 4401."""
    request.app[SESSIONS].pop(request.cookies.get("session"), None)
    response = web.Response(status=303, headers={"Location": "/"})
    response.del_cookie("session")
    return response


async def may_look(request: web.Request) -> web.Response:
    """Say to logrelay who may look: 401 to a stranger, 403 for what isn't theirs, else 200 and what it is limited to.

    logrelay comes with the caller's own Cookie, so this knows the caller as every other route of the API does. It never
    answers a stranger with a redirect or a page: the first is no answer to logrelay, and the second would let them in.
    """
    left = seconds_left(request)
    if not left:
        raise web.HTTPUnauthorized
    if not request.app[ALLOWED] & {request.query.get("environment"), "*"}:
        raise web.HTTPForbidden
    # "services": [...] would narrow it to those. `subject` is who it is, for logrelay's limits and its audit line.
    return web.json_response({"subject": request.app[USER][0], "seconds": left})


async def stream(request: web.Request) -> web.StreamResponse:
    """Pass one WebSocket on to logrelay, both ways and with its close code.

    It decides nothing: logrelay asks `may_look` with the cookie that is passed on, when the stream opens and from then
    on every half a minute. To decide here as well would be to ask twice, and to answer only once.
    """
    if not web.WebSocketResponse().can_prepare(request):
        return web.Response(status=426, text="This is a WebSocket.")
    headers = {name: request.headers[name] for name in PASSED if name in request.headers}
    headers["X-Forwarded-For"] = (
        request.remote or ""
    )  # for limits by address, with LOGRELAY_TRUSTED_PROXIES=1
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name]
    try:
        relay = await request.app[RELAY].ws_connect(
            request.rel_url, headers=headers, protocols=offered, max_msg_size=0
        )
    except (ClientError, TimeoutError) as error:  # refused, with a status of logrelay's; or out of reach
        return web.Response(status=getattr(error, "status", 502), text="logrelay refused or is away")
    browser = web.WebSocketResponse(heartbeat=25.0, protocols=[relay.protocol] if relay.protocol else [])
    try:
        await browser.prepare(request)
        async with asyncio.TaskGroup() as group:
            group.create_task(carry(relay, browser))
            group.create_task(carry(browser, relay))
    except* TimeoutError:  # who takes nothing gets no goodbye either
        if request.transport is not None:
            request.transport.abort()
    finally:
        await relay.close(code=1001)  # nothing to do where both have parted already
    return browser


async def carry(source: Socket, sink: Socket) -> None:
    """Move messages one way until the source ends, then end the sink with the same code."""
    code = 1001  # what is said for a source that goes away without a word
    with suppress(ConnectionError):
        while (message := await source.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            async with asyncio.timeout(WRITE_TIMEOUT):
                await (sink.send_str if message.type is WSMsgType.TEXT else sink.send_bytes)(message.data)
        code = (message.data or 1000) if message.type is WSMsgType.CLOSE else 1001
    await sink.close(code=code)


def create_app(relay_url: str, allowed: str, user: tuple[str, str]) -> web.Application:
    """Build the API in front of the relay at this URL, for this user and these environments (ids with commas, or `*`).

    Raises ValueError for a user without a name or without a password.
    """
    if not all(user):
        raise ValueError("the user needs a name and a password")

    async def session(app: web.Application) -> AsyncIterator[None]:
        timeout, jar = ClientTimeout(total=10.0), DummyCookieJar()  # one caller's cookies are no other's
        async with ClientSession(relay_url, timeout=timeout, cookie_jar=jar) as app[RELAY]:
            yield

    app = web.Application()
    app[ALLOWED] = frozenset(name.strip() for name in allowed.split(","))
    app[USER], app[SESSIONS] = user, {}
    app.cleanup_ctx.append(session)
    app.add_routes(
        [
            web.get("/", page),
            web.post("/", sign_in),
            web.post("/sign-out", sign_out),
            web.get("/may-look", may_look),
            web.get("/api/environments/{environment}/logs/stream", stream),
        ]
    )
    return app


if __name__ == "__main__":
    main_api = create_app(
        os.environ["RELAY_URL"],
        os.environ.get("ENVIRONMENTS", "*"),
        (os.environ["EXAMPLE_USER"], os.environ["EXAMPLE_PASSWORD"]),
    )
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    web.run_app(main_api, host=host, port=port, shutdown_timeout=2.0)
