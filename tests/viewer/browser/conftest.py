"""The fixtures of the tests in a browser; one Chromium serves all of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from browser_scene import Scene, Shop, Windows, launched

from logrelay.standin import StandIn, World

if TYPE_CHECKING:
    from playwright.async_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder run in the loop of the browser."""
    for item in items:
        if "tests/viewer/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator["Browser"]:
    """Chromium."""
    async with launched() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def stage(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A shop without a relay yet; at the test's end, nothing may have gone wrong in any window."""
    async with StandIn(World(seed=9), poll_interval=0.02) as railway, AsyncExitStack() as processes:
        scene = Scene(railway, tmp_path_factory.mktemp("relay"), processes)
        windows = Windows(browser, "")
        yield Shop(railway, scene, windows)
        await windows.close()


@pytest_asyncio.fixture(loop_scope="session")
async def windows(browser: "Browser") -> AsyncIterator[Windows]:
    """Windows on servers that the test names; at its end, nothing may have gone wrong in any of them."""
    windows = Windows(browser, "")
    yield windows
    await windows.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shop(stage: Shop) -> Shop:
    """A relay of its own for a test, before a stand-in Railway of its own."""
    await stage.relay()
    return stage
