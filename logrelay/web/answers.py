"""HTTP answers of ours: JSON bodies with fixed texts, and aiohttp's own error pages tamed.

aiohttp's parse errors put the URL and the Authorization header into the body and the log (faults.md, Hardening);
its private parts for that are touched only here.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler

from logrelay.web import protocol

logger = logging.getLogger(__name__)

_WINDOW = "server_max_window_bits"

_CODES = {
    400: ("bad_request", "the request is not understood"),
    403: ("forbidden", "this is not allowed here"),
    404: ("not_found", "there is nothing here"),
    405: ("method_not_allowed", "this method is not supported here"),
    413: ("too_large", "the request is too large"),
    500: ("internal", "the relay failed"),
}
_ALWAYS = {
    hdrs.SERVER: "logrelay",  # aiohttp's own says which versions there are to attack
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
}


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A refusal with the JSON body of protocol.md section 1."""
    extra = dict(headers or {})
    if retry_after is not None:
        extra[hdrs.RETRY_AFTER] = str(math.ceil(retry_after))
    body = protocol.encode({"error": {"code": code, "message": message}})
    return web.Response(status=status, body=body, content_type="application/json", headers=extra)


def of_status(status: int) -> web.Response:
    """The answer for a status that nobody gave a text."""
    code, message = _CODES.get(status, ("error", "the request can't be served"))
    return refusal(status, code, message)


@web.middleware
async def plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn aiohttp's error pages into ours, and a fault of ours into a 500 that is logged without the request."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        answer = of_status(error.status)
        if hdrs.ALLOW in error.headers:
            answer.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return answer
    except ConnectionError:
        raise
    except Exception:
        logger.exception("request failed", extra={"method": request.method})
        return of_status(500)


async def finish(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """What every answer carries."""
    if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers[hdrs.SERVER] = _ALWAYS[hdrs.SERVER]
        agreed = response.headers.get(hdrs.SEC_WEBSOCKET_EXTENSIONS)
        if agreed is not None:
            response.headers[hdrs.SEC_WEBSOCKET_EXTENSIONS] = _without_takeover(
                agreed, request.headers.get(hdrs.SEC_WEBSOCKET_EXTENSIONS, "")
            )
        return
    if isinstance(response, web.HTTPException):
        # Raised before any middleware, for an Expect header that nobody knows: its text repeats the header.
        plain = of_status(response.status)
        response.body = plain.body
        response.headers[hdrs.CONTENT_TYPE] = plain.headers[hdrs.CONTENT_TYPE]
        response.headers[hdrs.CONTENT_LENGTH] = str(len(plain.text or ""))
    response.headers.update(_ALWAYS)
    # aiohttp-cors answers by Origin but doesn't say so (libraries.md 4.4).
    vary = [part.strip() for part in response.headers.get(hdrs.VARY, "").split(",") if part.strip()]
    if "origin" not in map(str.casefold, vary):
        response.headers[hdrs.VARY] = ", ".join([*vary, "Origin"])


def _without_takeover(agreed: str, offered: str) -> str:
    """The extension that aiohttp agrees to, with no context kept from message to message, here or there.

    We reset ours for each message (see frames), and so say it, even unasked (RFC 7692 section 7.1.1); some clients
    take no other answer (Go's gorilla/websocket). Nor does aiohttp repeat a limit of our window that is the largest
    one, as it should (section 7.1.2.1).
    """
    parameters = [part.strip() for part in agreed.split(";")]
    wanted = ["server_no_context_takeover", "client_no_context_takeover"]
    if _WINDOW in offered and _WINDOW not in agreed:
        wanted.append(f"{_WINDOW}=15")
    return "; ".join([*parameters, *(name for name in wanted if name not in parameters)])


class _Handler(RequestHandler):
    """aiohttp's connection, whose own errors say nothing of the request."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 it quotes the request
    ) -> web.StreamResponse:
        """Answer with a fixed text, and log what kind of error it was."""
        if not isinstance(exc, ConnectionError):  # someone has left; that's no news
            logger.info("request unreadable", extra={"kind": type(exc).__name__, "status": status})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has been begun already")
        response = of_status(status)
        for name, value in _ALWAYS.items():
            response.headers[name] = value
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """aiohttp's runner with connections of ours."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server
