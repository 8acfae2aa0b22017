"""A gateway and feeds against the stand-in over loopback, with all times turned down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest
from railway_recorder import DEADLINE, Recorder

from logrelay.railway.backoff import Backoff
from logrelay.railway.budget import Budget
from logrelay.railway.directory import Directory
from logrelay.railway.feed import Feed
from logrelay.railway.gateway import Addresses, Credential, Gateway
from logrelay.railway.limits import FeedLimits
from logrelay.railway.transport import Timeouts
from logrelay.standin import Environment, StandIn, World

LIMITS = FeedLimits(stands_after=0.1, refused_delay=30.0, fill_patience=0.3)
TIMEOUTS = Timeouts(opening=1.0, ping=0.5, message=1.5, closing=0.1)

OpenGateway = Callable[..., Awaitable[Gateway]]
Follow = Callable[..., Recorder]


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, left


@pytest.fixture
def world() -> World:
    return World(seed=1)


@pytest.fixture
def environment(world: World) -> Environment:
    return world.environment


@pytest.fixture
async def railway(world: World) -> AsyncIterator[StandIn]:
    async with StandIn(world) as railway:
        yield railway
        # Whoever used it has left by now, and must have taken leave.
        await railway.until(lambda: not railway.journal.open_sockets, within=DEADLINE)
        assert railway.journal.open_subscriptions == 0


@pytest.fixture
async def open_gateway(railway: StandIn, world: World) -> AsyncIterator[OpenGateway]:
    """Open gateways with other options; they are closed at the end, and leave nothing open."""
    opened: list[Gateway] = []
    async with contextlib.AsyncExitStack() as stack:

        async def open_gateway(credential: Credential | None = None, **options: Any) -> Gateway:
            options = {
                "addresses": Addresses(railway.url, railway.ws_url),
                "budget": Budget(per_second=1000),
                "timeouts": TIMEOUTS,
                "query_timeout": 2.0,
            } | options
            gateway = Gateway(credential or Credential(world.account_token), **options)
            opened.append(await stack.enter_async_context(gateway))
            return gateway

        yield open_gateway
    for gateway in opened:
        assert gateway._session is not None
        assert gateway._session.closed
        assert gateway._queries is not None
        assert gateway._queries.session is not None
        assert gateway._queries.session.closed


@pytest.fixture
async def gateway(open_gateway: OpenGateway) -> Gateway:
    return await open_gateway()


@pytest.fixture
async def tasks(open_gateway: OpenGateway) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Tasks that end with the test, before the gateways do; one that failed fails the test."""
    running: list[asyncio.Task[Any]] = []
    yield running
    for task in running:
        task.cancel()
    for end in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(end, Exception):
            raise end


@pytest.fixture
def follow(gateway: Gateway, environment: Environment, tasks: list[asyncio.Task[Any]]) -> Follow:
    """Start a feed; what it delivers is written down."""
    default = gateway

    def follow(
        gateway: Gateway | None = None,
        environment_id: str | None = None,
        *,
        backoff: Backoff | None = None,
        directory: Directory | None = None,
        **limits: Any,
    ) -> Recorder:
        feed = Feed(
            gateway or default,
            environment_id or environment.id,
            limits=attrs.evolve(LIMITS, **limits),
            backoff=backoff or Backoff(first=0.02, longest=0.05),
            directory=directory,
        )
        recorder = Recorder()
        tasks.append(asyncio.create_task(feed.run(recorder), name="feed"))
        return recorder

    return follow
