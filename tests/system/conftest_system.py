"""The whole relay in one process: a stand-in for Railway, the application on loopback, and viewers that keep count."""

import asyncio
import contextlib
import importlib.resources
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self

import aiohttp
import attrs
import jsonschema
import msgspec
import pytest
import yaml

from logrelay import app, settings
from logrelay.relay.hub import Hubs
from logrelay.standin import StandIn, World
from logrelay.web.stream import Streams

DEADLINE = 15.0  # seconds
CHECKED = 50  # records of each viewer that are held against the protocol's document; all else is anyway

_DOCUMENT: dict[str, Any] = yaml.safe_load(
    importlib.resources.files("logrelay.web").joinpath("asyncapi.yaml").read_text(encoding="utf-8")
)
CHECKS = {
    name: jsonschema.Draft202012Validator(_DOCUMENT | {"$ref": f"#/components/messages/{name}/payload"})
    for name in ("log", "status", "heartbeat", "error", "pong")
} | {
    "history": jsonschema.Draft202012Validator(
        _DOCUMENT | {"$ref": "#/components/messages/historyPage/payload"}
    )
}

# Everything that waits in production, turned down.
QUICK = {
    "LOGRELAY_PORT": "0",
    "LOGRELAY_LINGER_SECONDS": "0.2",
    "LOGRELAY_STANDS_SECONDS": "0.2",
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "0.01",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "0.2",
    "LOGRELAY_FLAPPING_SECONDS": "0",
    "LOGRELAY_UPSTREAM_PING_SECONDS": "0.3",
    "LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT": "2000",
    "LOGRELAY_QUERIES_PER_SECOND": "1000",
}


async def until(holds: Callable[[], object], what: str, within: float = DEADLINE) -> None:
    """Wait until something holds; looks at each turn of the event loop."""
    try:
        async with asyncio.timeout(within):
            while not holds():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"waited {within} s in vain: {what}") from None


@attrs.define(eq=False)
class Viewer:
    """One client of the relay. Keeps ids and messages of its records, and its notices, in order."""

    socket: aiohttp.ClientWebSocketResponse
    ids: list[str] = attrs.Factory(list)
    lines: list[str] = attrs.Factory(list)
    records: list[dict[str, Any]] = attrs.Factory(list)
    notices: list[dict[str, Any]] = attrs.Factory(list)
    others: list[dict[str, Any]] = attrs.Factory(list)
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.socket.close()
        assert self._task is not None
        await self._task  # which fails where a message was not as the document has it

    async def _read(self) -> None:
        async for message in self.socket:
            body = msgspec.json.decode(message.data)
            if body["type"] != "log" or len(self.ids) < CHECKED:
                CHECKS[body["type"]].validate(body)
            if body["type"] == "log":
                self.ids.append(body["data"]["id"])
                self.lines.append(body["data"]["message"])
                self.records.append(body["data"])
            elif body["type"] == "status":
                self.notices.append(body)
            else:
                self.others.append(body)

    def said(self, message: str) -> list[dict[str, Any]]:
        """The notices of one kind."""
        return [notice for notice in self.notices if notice["message"] == message]

    async def until_said(self, message: str, count: int = 1) -> None:
        await until(lambda: len(self.said(message)) >= count, f"{count} x {message} in {self.notices}")

    async def until_lines(self, count: int) -> None:
        await until(lambda: len(self.lines) >= count, f"{count} lines, got {len(self.lines)}", within=40)

    async def cut(self) -> None:
        """Leave without a word, as a laptop's lid does."""
        assert self.socket._response.connection is not None
        self.socket._response.connection.transport.abort()
        assert self._task is not None
        await asyncio.wait([self._task])


@attrs.define(eq=False)
class Relay:
    """The application under test."""

    application: aiohttp.web.Application
    session: aiohttp.ClientSession
    port: int
    environment_id: str

    @property
    def hubs(self) -> Hubs:
        return self.application[app.HUBS]

    @property
    def streams(self) -> Streams:
        return self.application[app.STREAMS]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def viewer(self, environment_id: str = "", **query: Any) -> AsyncIterator[Viewer]:
        path = f"/api/environments/{environment_id or self.environment_id}/logs/stream"
        socket = await self.session.ws_connect(
            self.base + path, params={"tail": "0"} | {name: str(value) for name, value in query.items()}
        )
        async with Viewer(socket) as viewer:
            yield viewer


@contextlib.asynccontextmanager
async def relaying(railway: StandIn, changes: Mapping[str, str] | None = None) -> AsyncIterator[Relay]:
    """A relay of the stand-in's first environment, with everything that waits turned down."""
    environment_id = railway.world.environment.id
    configured, warnings = settings.read(
        QUICK
        | {
            "LOGRELAY_RAILWAY_URL": railway.url,
            "RAILWAY_API_TOKEN": railway.world.account_token,
            "LOGRELAY_ENVIRONMENTS": environment_id,
        }
        | dict(changes or {})
    )
    assert warnings == []
    application = app.build(configured)
    runner, port = await app.start(application, "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            yield Relay(application, session, port, environment_id)
    finally:
        await application[app.STREAMS].drain()
        await runner.cleanup()


@pytest.fixture
def world() -> World:
    return World(seed=7)


@pytest.fixture
async def railway(world: World) -> AsyncIterator[StandIn]:
    async with StandIn(world, poll_interval=0.01) as railway:
        yield railway


@pytest.fixture
async def relay(railway: StandIn) -> AsyncIterator[Relay]:
    async with relaying(railway) as relay:
        yield relay


@pytest.fixture(autouse=True)
async def _nothing_left() -> AsyncIterator[None]:
    """No test leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left: set[asyncio.Task[Any]] = set()

    def gone() -> bool:
        nonlocal left
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        return not left

    await until(gone, f"tasks left: {left}", within=5)
