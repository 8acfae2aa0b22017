"""One WebSocket and the graphql-transport-ws protocol on it, as Node's graphql-ws serves it.

The socket's tasks live in `run()` and end with it. How bytes leave is wires.py's.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import WSMsgType, web

from logrelay.standin import errors, frames
from logrelay.standin.access import Caller, caller_by_headers, caller_by_init
from logrelay.standin.errors import ViolationError
from logrelay.standin.journal import Asked, Connection, Journal
from logrelay.standin.queries import answer, encode, read_request
from logrelay.standin.streams import open_stream
from logrelay.standin.subscriptions import Subscription
from logrelay.standin.wires import NO_CLOSE_FRAME, Wire

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from logrelay.standin.faults import Faults
    from logrelay.standin.rows import Row
    from logrelay.standin.schema import Operation
    from logrelay.standin.world import World

SUBPROTOCOL = "graphql-transport-ws"


@attrs.frozen
class Timing:
    """The socket's intervals, in seconds."""

    poll_interval: float = 0.01
    init_timeout: float = 3.0
    ping_interval: float = 12.0


@attrs.define(eq=False)
class Socket:
    """One client's socket. `subscriptions` are those that aren't over, by id."""

    world: World = attrs.field(repr=False)
    journal: Journal = attrs.field(repr=False)
    faults: Faults = attrs.field(repr=False)
    timing: Timing
    record: Connection = attrs.field(repr=False)
    ws: web.WebSocketResponse = attrs.field(repr=False)
    wire: Wire = attrs.field(repr=False)
    subscriptions: dict[str, Subscription] = attrs.field(factory=dict, init=False)
    _group: asyncio.TaskGroup = attrs.field(factory=asyncio.TaskGroup, init=False, repr=False)
    _tasks: set[asyncio.Task[Any]] = attrs.field(factory=set, init=False, repr=False)
    _runs: dict[Subscription, asyncio.Task[Any]] = attrs.field(factory=dict, init=False, repr=False)
    _initialised: bool = attrs.field(default=False, init=False)
    _acked: bool = attrs.field(default=False, init=False)
    _ponged: bool = attrs.field(default=True, init=False)

    async def run(self) -> None:
        """Serve the socket until it is gone."""
        self.faults.sockets.add(self)
        self.journal.begin(self.record)
        try:
            if self.record.subprotocol is None and not self.faults.no_subprotocol:
                await self.close(4406, "Subprotocol not acceptable")
                return
            async with self._group:
                self._spawn(self._await_init())
                self._spawn(self._keep_alive())
                try:
                    await self._read()
                finally:
                    for task in self._tasks:
                        task.cancel()
        finally:
            self.faults.sockets.discard(self)
            self.record.open = False
            if self.record.close_code is None:
                self.record.close_code = self.ws.close_code
            self.journal.settle(self.record)

    # what comes in

    async def _read(self) -> None:
        while True:
            message = await self.ws.receive()
            if message.type is WSMsgType.PING:
                self.record.pings += 1
                await self._unless_stalled(frames.PONG, message.data)
            elif message.type is WSMsgType.PONG:
                self._ponged = True
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                try:
                    await self._received(message.data)
                except ViolationError as violation:
                    await self.close(violation.code, violation.reason)
            else:
                return

    async def _received(self, text: str | bytes) -> None:
        try:
            message = json.loads(text) if isinstance(text, str) else None
        except ValueError:
            raise ViolationError(4400, "Invalid message received") from None
        self.record.frames.append(message)
        self.journal.bell.ring()
        if not isinstance(message, dict):
            raise ViolationError(4400, "Invalid message received")
        kind = message.get("type")
        if kind == "connection_init":
            self._initialise(message)
        elif kind == "ping":
            reply = {"type": "pong"} | ({"payload": message["payload"]} if "payload" in message else {})
            await self._unless_stalled(frames.TEXT, encode(reply))
        elif kind == "subscribe":
            self._subscribe(message)
        elif kind == "complete":
            self._completed(message.get("id"))
        elif kind != "pong":
            raise ViolationError(4400, "Invalid message received")

    def _initialise(self, message: dict[str, Any]) -> None:
        if self._initialised:
            raise ViolationError(4429, "Too many initialisation requests")
        self._initialised = True
        self.record.init_payload = message.get("payload")
        self._spawn(self._ack())

    async def _ack(self) -> None:
        await asyncio.sleep(self.faults.slow_ack)
        await self.faults.bell.until(lambda: not self.faults.never_ack)
        self._acked = True
        await self.send({"type": "connection_ack"})

    def _subscribe(self, message: dict[str, Any]) -> None:
        if not self._acked:
            raise ViolationError(4401, "Unauthorized")
        subscription_id, payload = message.get("id"), message.get("payload")
        if not isinstance(subscription_id, str) or not subscription_id or not isinstance(payload, dict):
            raise ViolationError(4400, "Invalid message received")
        if subscription_id in self.subscriptions:
            raise ViolationError(4409, f"Subscriber for {subscription_id} already exists")
        caller = self._caller()
        self._note(subscription_id, payload, caller)
        operation = read_request(payload)
        if isinstance(operation, dict):
            failure = {"id": subscription_id, "type": "error", "payload": operation["errors"]}
            self._spawn(self.send(failure))
        elif operation.kind != "subscription":
            self._spawn(self._query(subscription_id, caller, operation))
        else:
            self._start(subscription_id, caller, operation)

    def _caller(self) -> Caller:
        by_headers = caller_by_headers(self.world, self.record.headers)
        if by_headers is not None and by_headers.refusal is None:
            return by_headers
        by_init = caller_by_init(self.world, self.record.init_payload)
        return by_init if by_headers is None or by_init.refusal is None else by_headers

    def _start(self, subscription_id: str, caller: Caller, operation: Operation) -> None:
        subscription = Subscription(
            subscription_id,
            operation,
            self,
            self.faults,
            lambda: open_stream(self.world, caller, operation, self.faults),
            self.timing.poll_interval,
        )
        self.subscriptions[subscription_id] = subscription
        self.journal.open_subscriptions += 1
        self.journal.replace(self.record, subscription)
        self._runs[subscription] = self._spawn(subscription.run())

    def _note(self, subscription_id: str, payload: dict[str, Any], caller: Caller) -> None:
        asked = Asked.of(
            payload, caller.kind, self.record.headers, connection=self.record, id=subscription_id
        )
        self.record.subscribes.append(asked)
        self.journal.subscribes.append(asked)
        self.journal.bell.ring()

    async def _query(self, subscription_id: str, caller: Caller, operation: Operation) -> None:
        payload = answer(self.world, caller, operation)
        await self.send({"id": subscription_id, "type": "next", "payload": payload})
        await self.send({"id": subscription_id, "type": "complete"})

    def _completed(self, subscription_id: Any) -> None:
        subscription = self.subscriptions.get(subscription_id)
        if subscription is not None:
            task = self._runs.get(subscription)
            self.forget(subscription)
            if task is not None:
                task.cancel()

    # what goes out

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message of the protocol, as soon as nothing is stalled."""
        await self.faults.unstalled()
        await self.wire.write(frames.frame(frames.TEXT, encode(message)))

    def settled(self, subscription: Subscription) -> None:
        """Take note that a subscription's first frame was sent."""
        self.journal.settle(subscription)

    def forget(self, subscription: Subscription) -> None:
        """Take note that a subscription is over; its id is free again."""
        if self.subscriptions.get(subscription.id) is subscription:
            del self.subscriptions[subscription.id]
            self._runs.pop(subscription, None)
            self.journal.open_subscriptions -= 1
            self.journal.settle(subscription)

    async def _unless_stalled(self, opcode: int, payload: bytes) -> None:
        if not self.faults.stall:
            await self.wire.write(frames.frame(opcode, payload))

    # timers

    async def _await_init(self) -> None:
        await asyncio.sleep(self.timing.init_timeout)
        if not self._initialised:
            await self.close(4408, "Connection initialisation timeout")

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self.timing.ping_interval)
            if self.faults.stall:
                self._ponged = True
            elif not self._ponged:
                self.wire.transport.abort()
                return
            else:
                self._ponged = False
                await self.wire.write(frames.frame(frames.PING, b""))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # faults

    def reset(self) -> None:
        """Break the connection by a TCP reset."""
        self.wire.reset()

    def fin(self) -> None:
        """End the connection in TCP, without a close frame."""
        self.wire.fin()

    async def cut_mid_frame(self) -> None:
        """Send half of a frame that carries what the next poll would send, then reset."""
        live = [subscription for subscription in self.subscriptions.values() if subscription.live]
        message = live[0].pending_frame() if live else {"type": "ping"}
        await self.wire.write_half_and_reset(frames.frame(frames.TEXT, encode(message)))

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a code; 1006 is a bare FIN."""
        if code == NO_CLOSE_FRAME:
            self.fin()
            return
        self.record.close_code = code
        self.wire.closing = True
        await self.ws.close(code=code, message=reason.encode())

    async def complete_all(self) -> None:
        """Complete each subscription."""
        for subscription in list(self.subscriptions.values()):
            await subscription.complete()

    async def fail_all(self, message: str) -> None:
        """End each subscription by an `error` frame."""
        for subscription in list(self.subscriptions.values()):
            await subscription.fail(message)

    async def errors_to_all(self, message: str, rows: Sequence[Row] | None) -> None:
        """Send each subscription errors in a `next` frame."""
        for subscription in list(self.subscriptions.values()):
            key = subscription.operation.calls[0].key
            await subscription.send_errors([errors.wire(message, path=[key])], rows)

    async def send_raw(self, message: str | bytes) -> None:
        """Send a message as it is, in a text or a binary frame."""
        text = isinstance(message, str)
        data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
        await self.wire.write(frames.frame(frames.TEXT if text else frames.BINARY, data))
