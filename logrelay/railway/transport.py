"""gql's WebSocket transport, made fit for a stream that must not end in silence. gql's private parts only here.

One transport is one try: connect, one subscription, gone. Retrying is the feed's (libraries.md section 2.3).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import attrs
from gql.graphql_request import GraphQLRequest
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
)
from graphql import ExecutionResult

from logrelay.railway import rows, verdicts
from logrelay.railway.verdicts import Kind, Verdict

SUBPROTOCOL = "graphql-transport-ws"
_HELLO = (rows.Ack, rows.Ping, rows.Pong)


@attrs.frozen
class Batch:
    """One `next` of the subscription: rows, messages of errors, and how many rows could not be read."""

    rows: list[rows.Row]
    errors: list[str]
    unreadable: int = 0
    answered: bool = True


class SubscriptionEnded(Exception):
    """The subscription is over; `verdict` says what that means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


@attrs.frozen
class Timeouts:
    """How long a subscription's socket may take, in seconds."""

    opening: float = 10.0  # connect and ack
    ping: float = 13.0  # a ping after so much silence; a dead socket is found within one and a half of it
    closing: float = 1.0


class LogTransport(AIOHTTPWebsocketsTransport):
    """graphql-transport-ws to Railway: typed rows out, and an end that can be judged."""

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession,
        headers: Mapping[str, str],
        init_payload: Mapping[str, str],
        timeouts: Timeouts,
        max_message_bytes: int,
    ) -> None:
        super().__init__(
            # aiohttp looks proxies up by scheme and knows http's and https's only
            url=url.replace("ws", "http", 1) if url.startswith("ws") else url,
            subprotocols=[SUBPROTOCOL],
            session=session,
            headers=headers,
            init_payload=dict(init_payload),
            heartbeat=timeouts.ping,
            connect_timeout=timeouts.opening,
            ack_timeout=timeouts.opening,
            close_timeout=timeouts.closing,
            websocket_close_timeout=timeouts.closing,
            # bytes, so that bad UTF-8 costs a character and not the connection
            connect_args={"max_msg_size": max_message_bytes, "decode_text": False},
        )
        self._opening = timeouts.opening
        self.close_code: int | None = None
        self.misread: Verdict | None = None

    # -- hooks of gql ---------------------------------------------------------------------------------------

    async def _after_connect(self) -> None:
        await super()._after_connect()  # type: ignore[no-untyped-call] # gql
        # gql takes a missing subprotocol for a good one.
        if self.response_headers.get("Sec-WebSocket-Protocol") != SUBPROTOCOL:
            self.misread = Verdict(
                Kind.MISFIT, "Railway's answer has not the subprotocol graphql-transport-ws"
            )
            raise TransportProtocolError("subprotocol missing")

    async def _wait_ack(self) -> None:
        # gql fails on a ping that comes before the ack.
        while True:
            message = self._decode(await self._receive())[0]
            if isinstance(message, rows.Ack):
                return
            if isinstance(message, rows.Ping):
                await self.send_pong()
            elif not isinstance(message, _HELLO):
                raise self._unreadable()

    async def _receive(self) -> Any:
        socket = self.adapter.websocket
        if socket is None:
            raise TransportConnectionFailed("the socket is closed")
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return message.data
        if message.type is aiohttp.WSMsgType.BINARY:
            raise self._unreadable()
        self.close_code = socket.close_code
        raise TransportConnectionFailed("the socket was closed")

    async def _receive_data_loop(self) -> None:
        # In gql, an exception that isn't its own ends this task in silence, and subscriptions wait for ever.
        try:
            await super()._receive_data_loop()
        except Exception as error:  # noqa: BLE001 whatever it is, listeners must hear of it
            await self._fail(error, clean_close=False)

    def _parse_answer(self, answer: Any) -> tuple[str, int | None, ExecutionResult | None]:
        message, unreadable = self._decode(answer)
        if isinstance(message, rows.Ping):
            return "ping", None, None
        if isinstance(message, rows.Pong | rows.Ack):
            return "pong", None, None
        number = self._number(message.id)
        if isinstance(message, rows.Complete):
            return "complete", number, None
        if isinstance(message, rows.Failed):
            raise TransportQueryError("error", query_id=number, errors=message.payload)
        batch = Batch(message.rows, message.errors, unreadable, message.answered)
        return "data", number, ExecutionResult(data={"batch": batch})

    # -- reading ----------------------------------------------------------------------------------------------

    def _decode(self, answer: bytes | str) -> tuple[rows.Message, int]:
        try:
            return rows.decode(
                answer if isinstance(answer, bytes) else answer.encode("utf-8", "surrogatepass")
            )
        except ValueError as error:
            raise self._unreadable() from error

    def _number(self, text: str) -> int:
        """The number of one of our subscriptions."""
        if text.isascii() and text.isdigit() and int(text) < self.next_query_id:
            return int(text)
        raise self._unreadable()

    def _unreadable(self) -> TransportProtocolError:
        self.misread = Verdict(Kind.TRANSIENT, "Railway sent a message that can't be read")
        return TransportProtocolError("unreadable message")

    def _verdict(self, error: Exception) -> Verdict:
        """What the end of this transport means."""
        if isinstance(error, TransportQueryError):
            return verdicts.of_errors(rows.messages(error.errors))
        return self.misread or verdicts.of_close(self.close_code)

    # -- one subscription ---------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Connected and acked while inside. Raises SubscriptionEnded when that can't be had in time."""
        try:
            try:
                async with asyncio.timeout(self._opening):
                    await self.connect()
            except TimeoutError as error:
                raise SubscriptionEnded(
                    Verdict(Kind.TRANSIENT, "Railway did not acknowledge in time")
                ) from error
            except TransportError as error:
                raise SubscriptionEnded(self.misread or _of_failed_connect(error, self.close_code)) from error
            yield
        finally:
            await self._shut()

    async def _shut(self) -> None:
        """Close whatever state it is in; gql's own close() leaves a half-open one behind."""
        task = self.receive_data_task
        try:
            async with asyncio.timeout(2 * self.close_timeout if self.close_timeout else None):
                await self.close()
                if self.close_task is not None:
                    await asyncio.wait([self.close_task])
        except (TimeoutError, TransportError):
            pass
        finally:
            if task is not None and not task.done():
                task.cancel()
            await self.adapter.close()

    async def batches(self, request: GraphQLRequest) -> AsyncIterator[Batch]:
        """The batches of one subscription; it always ends by raising SubscriptionEnded."""
        generator = self.subscribe(request)
        try:
            async for result in generator:
                yield result.data["batch"]  # type: ignore[index]
        except (TransportError, json.JSONDecodeError) as error:
            raise SubscriptionEnded(self._verdict(error)) from error
        finally:
            with contextlib.suppress(TransportError):
                await generator.aclose()
        raise SubscriptionEnded(Verdict(Kind.NORMAL, "Railway completed the subscription"))


class RedirectRefused(Exception):
    """Railway answered with a redirect; following it would hand the token to whoever it names (faults.md U5)."""


def _of_failed_connect(error: TransportError, close_code: int | None) -> Verdict:
    """Judge a connect that failed by what aiohttp said."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.WSServerHandshakeError):
        headers: Mapping[str, str] = cause.headers or {}
        return verdicts.of_status(cause.status, headers.get("Content-Type", ""), retry_after(headers))
    if isinstance(cause, RedirectRefused):
        return Verdict(Kind.MISFIT, "Railway's address redirects, which is not followed")
    if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Verdict(Kind.TRANSIENT, "Railway's TLS certificate can't be verified")
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return Verdict(Kind.TRANSIENT, "Railway's host name can't be resolved")
    if isinstance(cause, OSError | aiohttp.ClientError):
        return Verdict(Kind.TRANSIENT, "Railway can't be reached")
    return verdicts.of_close(close_code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of `Retry-After`; None without one. Railway sends whole seconds (facts.md section 9)."""
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
