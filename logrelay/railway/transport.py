"""gql's WebSocket transport, made fit for a stream that must not end in silence. gql's private parts only here.

One transport is one try: connect, one subscription, gone. Retrying is the feed's (libraries.md section 2.3).
"""

import asyncio
import contextlib
import logging
import time
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
from logrelay.railway.network import http_form, of_unreachable
from logrelay.railway.verdicts import Kind, Verdict

logger = logging.getLogger(__name__)

TURN = 0.01  # seconds of uninterrupted work, after which others get their turn
_INEXACT = 1 / 16  # by which part of its time a silence may be judged too early
SUBPROTOCOL = "graphql-transport-ws"
_HELLO = (rows.Ack, rows.Ping, rows.Pong)


@attrs.frozen
class Batch:
    """One `next` of the subscription: rows, messages of errors, and how many rows could not be read."""

    rows: list[rows.Row]
    errors: list[str]
    unreadable: int = 0
    answered: bool = True
    size: int = 0  # bytes of the frame


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
    message: float = (
        60.0  # from one whole message, pongs included, to the next; must be more than the ping's time
    )
    closing: float = 1.0


class LogTransport(AIOHTTPWebsocketsTransport):
    """graphql-transport-ws to Railway: typed rows out, and an end that can be judged."""

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession,
        proxy: str | None,
        headers: Mapping[str, str],
        init_payload: Mapping[str, str],
        timeouts: Timeouts,
        max_message_bytes: int,
        max_waiting_bytes: int,
    ) -> None:
        super().__init__(
            url=http_form(url),  # a proxy that is asked in plain takes no other scheme
            proxy=proxy,
            subprotocols=[SUBPROTOCOL],
            session=session,
            headers=headers,
            init_payload=dict(init_payload),
            heartbeat=timeouts.ping,
            # opened() has the deadline: up to Python 3.11, asyncio.wait_for may swallow a cancellation
            connect_timeout=None,
            ack_timeout=None,
            close_timeout=timeouts.closing,
            websocket_close_timeout=timeouts.closing,
            # bytes, so that bad UTF-8 costs a character and not the connection
            # no autoping: a pong is a sign that whole messages arrive, so it has to be seen here
            connect_args={"max_msg_size": max_message_bytes, "decode_text": False, "autoping": False},
        )
        self._timeouts = timeouts
        self._max_waiting = max_waiting_bytes
        self._silence: asyncio.Timeout | None = None  # ends the reading when nothing has come for too long
        self._put_off = 0.0  # of the loop's clock: when that was set last
        self._turn = 0.0
        self._waiting = 0  # bytes of frames that nobody has taken yet
        self._room = asyncio.Event()
        self._room.set()
        self.close_code: int | None = None
        self.misread: Verdict | None = None

    # -- hooks of gql ---------------------------------------------------------------------------------------

    async def _after_connect(self) -> None:
        await super()._after_connect()  # type: ignore[no-untyped-call] # gql
        # gql takes a missing subprotocol for a good one, and knows headers in one spelling only.
        socket = self.adapter.websocket
        if socket is None or socket.protocol != SUBPROTOCOL:
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
        if not self._room.is_set():
            self._judge_silence(None)  # it is ours
            await self._room.wait()
        while True:
            now = asyncio.get_running_loop().time()
            if now > self._put_off + self._timeouts.message * _INEXACT:
                self._judge_silence(now)
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.PING:
                with contextlib.suppress(OSError):  # whether the socket is gone, the next receive says
                    await socket.pong(message.data)
            elif message.type is not aiohttp.WSMsgType.PONG:
                break
        if message.type is aiohttp.WSMsgType.TEXT:
            now = time.monotonic()
            if now - self._turn > TURN:  # reading what waits already gives nobody else a turn
                await asyncio.sleep(0)
                self._turn = time.monotonic()
            return message.data
        if message.type is aiohttp.WSMsgType.BINARY:
            raise self._unreadable()
        self.close_code = socket.close_code
        raise TransportConnectionFailed("the socket was closed")

    def _judge_silence(self, now: float | None) -> None:
        """From `now` on there may be silence for so long; None: for ever.

        A peer that sends its bytes one by one is alive; one that never ends a message isn't (faults.md U18). A timeout
        for each message would cost as much as the rest of receiving it.
        """
        if self._silence is not None:
            self._silence.reschedule(None if now is None else now + self._timeouts.message)
            self._put_off = 0.0 if now is None else now

    async def _receive_data_loop(self) -> None:
        # In gql, an exception that isn't its own ends this task in silence, and subscriptions wait for ever.
        try:
            async with asyncio.timeout(None) as self._silence:
                await super()._receive_data_loop()
        except TimeoutError:
            self.misread = Verdict(Kind.TRANSIENT, "Railway sent no whole message for too long")
            await self._fail(TransportConnectionFailed("no whole message"), clean_close=False)
        except Exception as error:  # noqa: BLE001 whatever it is, listeners must hear of it
            if not isinstance(error, TransportError):
                logger.error("message not understood", extra={"kind": type(error).__name__})  # noqa: TRY400 no text
                error = self._unreadable()
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
        batch = Batch(message.rows, message.errors, unreadable, message.answered, len(answer))
        # gql's queue has no bound: beyond ours, the socket isn't read any more until the feed has caught up.
        self._waiting += batch.size
        if self._waiting > self._max_waiting:
            self._room.clear()
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
        for number in self.listeners:
            if text == str(number):
                return number
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
                async with asyncio.timeout(self._timeouts.opening):
                    await self.connect()
            except TimeoutError as error:
                verdict = Verdict(Kind.TRANSIENT, "Railway did not acknowledge in time")
                raise SubscriptionEnded(verdict) from error
            except TransportError as error:
                raise SubscriptionEnded(self.misread or _of_failed_connect(error, self.close_code)) from error
            yield
        finally:
            await self._shut()

    async def _shut(self) -> None:
        """Close whatever state it is in, also when we are told to hurry; gql's own close() leaves a half-open one."""
        closing = asyncio.create_task(self._close(), name="closing")
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing])
            raise

    async def _close(self) -> None:
        with contextlib.suppress(TransportError):
            await self.close()
        reading, closing = self.receive_data_task, self.close_task
        if reading is not None:
            reading.cancel()
        left = [task for task in (reading, closing) if task is not None]
        if left:
            await asyncio.wait(left, timeout=2 * self._timeouts.closing)
        await self.adapter.close()

    async def batches(self, request: GraphQLRequest) -> AsyncIterator[Batch]:
        """The batches of one subscription; it always ends by raising SubscriptionEnded."""
        generator = self.subscribe(request)
        try:
            async for result in generator:
                batch: Batch = result.data["batch"]  # type: ignore[index]
                self._waiting -= batch.size
                if self._waiting <= self._max_waiting:
                    self._room.set()
                yield batch
        except TransportError as error:
            raise SubscriptionEnded(self._verdict(error)) from error
        finally:
            with contextlib.suppress(TransportError):
                await generator.aclose()
        raise SubscriptionEnded(Verdict(Kind.NORMAL, "Railway completed the subscription"))


def _of_failed_connect(error: TransportError, close_code: int | None) -> Verdict:
    """Judge a connect that failed by what aiohttp said."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.WSServerHandshakeError):
        headers: Mapping[str, str] = cause.headers or {}
        wait = verdicts.retry_after(headers)
        return verdicts.of_status(cause.status, headers.get("Content-Type", ""), wait)
    return of_unreachable(cause) or verdicts.of_close(close_code)
