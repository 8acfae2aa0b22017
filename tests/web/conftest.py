"""Relays on loopback, all of them ended after the test; and a look for tasks that were left."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import web_harness
from web_harness import Make, Relay


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()

    yield

    left: set[asyncio.Task[Any]] = set()

    def none() -> bool:
        nonlocal left
        left = {task for task in asyncio.all_tasks() if task not in before} - {asyncio.current_task()}
        return not left

    with contextlib.suppress(TimeoutError):
        await web_harness.until(none, 1.0)
    assert not left


@pytest.fixture
async def session(no_task_is_left: None) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
async def make(session: aiohttp.ClientSession) -> AsyncIterator[Make]:
    made: list[Relay] = []

    async def make(**options: Any) -> Relay:
        relay = web_harness.build(session, **options)
        await web_harness.start(relay)
        made.append(relay)
        return relay

    yield make
    for relay in made:
        await web_harness.stop(relay)


@pytest.fixture
async def relay(make: Make) -> Relay:
    return await make()


@pytest.fixture
def collected() -> Callable[[], None]:
    def collected() -> None:
        gc.collect()

    return collected
