"""A small main API with logrelay beside it: serves the page, and passes the page's stream on to the relay.

It keeps no log and no state. What it adds to logrelay is one origin for the browser, and the API's own rules.
"""  # noqa: INP001 - one file, not a package

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, web

RELAY = web.AppKey("RELAY", ClientSession)
ALLOWED = web.AppKey("ALLOWED", frozenset)
WRITE_TIMEOUT = 20.0  # seconds in which one peer takes nothing; logrelay's own patience is 10
Socket = ClientWebSocketResponse | web.WebSocketResponse


async def page(_request: web.Request) -> web.FileResponse:
    """Serve the frontend."""
    return web.FileResponse(Path(__file__).with_name("index.html"))


async def stream(request: web.Request) -> web.StreamResponse:
    """Pass one WebSocket on to logrelay, both ways and with its close code."""
    if not web.WebSocketResponse().can_prepare(request):
        return web.Response(status=426, text="This is a WebSocket.")
    # Ask your own session here: LOGRELAY_ENVIRONMENTS is the outer fence, this one knows the caller.
    if not request.app[ALLOWED] & {request.match_info["environment"], "*"}:
        browser = web.WebSocketResponse()
        await browser.prepare(request)  # a browser can read a close code, but not a refused handshake
        await browser.close(code=4403)
        return browser
    # Host and Origin travel as they came: logrelay compares what the browser said.
    headers = {name: request.headers[name] for name in ("Host", "Origin") if name in request.headers}
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


def create_app(relay_url: str, allowed: str) -> web.Application:
    """Build the API in front of the relay at this URL, for these environments (ids with commas, or `*`)."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(relay_url, timeout=ClientTimeout(total=10.0)) as app[RELAY]:
            yield

    app = web.Application()
    app[ALLOWED] = frozenset(name.strip() for name in allowed.split(","))
    app.cleanup_ctx.append(session)
    app.add_routes([web.get("/", page), web.get("/api/environments/{environment}/logs/stream", stream)])
    return app


if __name__ == "__main__":
    main_api = create_app(os.environ["RELAY_URL"], os.environ.get("ENVIRONMENTS", "*"))
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    web.run_app(main_api, host=host, port=port, shutdown_timeout=2.0)
