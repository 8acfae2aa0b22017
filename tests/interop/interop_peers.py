"""The processes and the client of these tests, as the tests talk to them."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import attrs
import interop_wire
from interop_processes import DEADLINE, Child
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

ENVIRONMENT_ID = "11111111-2222-4333-8444-555555555555"
TOKEN = "aaaaaaaa-0000-4000-8000-000000000001"
PROJECT_TOKEN = "aaaaaaaa-0000-4000-8000-000000000002"


@attrs.define
class Viewer:
    """A client by the `websockets` library. Every message is checked against the protocol as it comes in."""

    connection: ClientConnection
    seen: list[dict[str, Any]] = attrs.field(factory=list)

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises ConnectionClosed, and TimeoutError when none comes."""
        async with asyncio.timeout(DEADLINE):
            text = await self.connection.recv()
        assert isinstance(text, str)
        message: dict[str, Any] = json.loads(text)
        interop_wire.check(message)
        self.seen.append(message)
        return message

    async def until(self, **fields: Any) -> dict[str, Any]:
        """The next message that has these fields; others are only kept in `seen`."""
        while True:
            message = await self.receive()
            if fields.items() <= message.items():
                return message

    async def logs(self, count: int) -> list[dict[str, Any]]:
        """The `data` of the next `log` messages."""
        return [(await self.until(type="log"))["data"] for _ in range(count)]

    async def up_to(self, message: str) -> list[dict[str, Any]]:
        """The `data` of the `log` messages up to the one with this text."""
        found = await self.logs(1)
        while found[-1]["message"] != message:
            found += await self.logs(1)
        return found

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def closed(self) -> int | None:
        """Take what comes until the connection is closed; the close code that was received."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.receive()
        return self.connection.close_code


@attrs.frozen
class Relay:
    """`logrelay serve` as a process."""

    child: Child
    port: int
    environment_id: str

    def url(self, **query: Any) -> str:
        path = f"/api/environments/{query.pop('environment', self.environment_id)}/logs/stream"
        return f"ws://127.0.0.1:{self.port}{path}?{urlencode(query)}"


@attrs.frozen
class Reference:
    """The reference server as a process; what it has seen stands in the child's lines as events."""

    child: Child
    url: str
    environment_id: str = ENVIRONMENT_ID
    token: str = TOKEN
    project_token: str = PROJECT_TOKEN


Run = Callable[..., Awaitable[Child]]
Relayed = Callable[..., Awaitable[Relay]]
Serve = Callable[..., Awaitable[Relay]]
View = Callable[..., Awaitable[Viewer]]
