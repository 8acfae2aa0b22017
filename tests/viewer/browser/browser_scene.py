"""A relay as a process before a stand-in Railway, and the page that it serves in a real browser."""

import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

sys.path.append(str(Path(__file__).resolve().parents[1]))

from client_scene import QUICK, ROOT, VIEWER, Scene, environment, running
from interop_processes import Child

from logrelay.standin import Environment, StandIn

SIZES = {
    "desktop": {"width": 1280, "height": 800},
    "phone": {"width": 360, "height": 740},
    "zoomed": {"width": 640, "height": 400},  # what is left of a desktop at 200 %
}
SCHEMES = ("dark", "light")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DEADLINE = 10_000  # milliseconds for anything that the page should do soon


def cannot(reason: str) -> NoReturn:
    """Skip what needs a browser; where there has to be one, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"a browser is needed in CI: {reason}")
    pytest.skip(reason)


def chromium() -> str:
    """Where Chromium is: `LOGRELAY_TEST_CHROMIUM`, or the one on the path. Skips, or fails in CI."""
    names = (os.environ.get("LOGRELAY_TEST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        cannot("no Chromium on this machine (Debian's package is `chromium`)")
    return found


@asynccontextmanager
async def launched() -> AsyncIterator["Browser"]:
    """Chromium without a window."""
    try:
        from playwright.async_api import async_playwright  # noqa: PLC0415 skipped where it isn't installed
    except ImportError:
        cannot("playwright is not installed")
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@attrs.frozen
class Window:
    """A page of the relay in a context of its own: nothing that it stores is shared with another."""

    page: "Page"
    context: "BrowserContext"
    faults: list[str]  # what went wrong in it: exceptions, errors in the console, requests to strangers

    def part(self, test_id: str) -> "Locator":
        """What carries this data-testid and can be seen."""
        return self.page.locator(f'[data-testid="{test_id}"]:visible')

    def line(self, text: str) -> "Locator":
        """The lines on the screen that say this."""
        return self.page.locator(".row:visible", has_text=text)

    async def messages(self) -> list[str]:
        """The messages of the lines on the screen, from the oldest."""
        read = """rows => rows.map(row => [Number(row.dataset.n), row.querySelector(".message")?.textContent ?? ""])
            .sort((a, b) => a[0] - b[0]).map(([, message]) => message)"""
        found: list[str] = await self.page.locator(".row:visible").evaluate_all(read)
        return found

    async def picture(self, name: str) -> None:
        """Write a screenshot into the folder that `LOGRELAY_TEST_SCREENSHOTS` names, where it names one."""
        folder = os.environ.get("LOGRELAY_TEST_SCREENSHOTS")
        if folder:
            await self.page.screenshot(path=f"{folder}/{name}.png", animations="disabled")


@attrs.define(eq=False)
class Windows:
    """Opens pages of a relay, and looks after them."""

    browser: "Browser"
    base: str
    opened: list[Window] = attrs.Factory(list)

    async def open(
        self,
        path: str = "/",
        *,
        size: str = "desktop",
        scheme: str = "dark",
        base: str | None = None,
        wait: str = ".row",
        tolerated: Iterable[str] = (),
        **options: Any,
    ) -> Window:
        """A page, once it shows a line (or whatever `wait` selects).

        `tolerated` are patterns of what may stand in its console. `options` are those of Playwright's `new_context`.
        """
        phone = {"has_touch": True, "is_mobile": True} if size == "phone" else {}
        context = await self.browser.new_context(
            viewport=SIZES[size],  # type: ignore[arg-type] a TypedDict that isn't public
            color_scheme=scheme,  # type: ignore[arg-type] one of SCHEMES
            **phone,
            **options,
        )
        context.set_default_timeout(DEADLINE)
        base = base or self.base
        page = await context.new_page()
        window = Window(page, context, [])
        self.opened.append(window)
        _watch(window, base, tuple(tolerated))
        await page.goto(base + path)
        if wait:
            await page.locator(f"{wait}:visible").first.wait_for()
        return window

    async def close(self) -> None:
        """Close all of them. AssertionError where something went wrong in one."""
        faults = [fault for window in self.opened for fault in window.faults]
        for window in self.opened:
            await window.context.close()
        self.opened.clear()
        assert faults == []


def _watch(window: Window, base: str, tolerated: tuple[str, ...]) -> None:
    """Note what must not happen in a page."""

    def note(text: str) -> None:
        if not any(re.search(pattern, text) for pattern in tolerated):
            window.faults.append(text)

    window.page.on("pageerror", lambda error: note(f"exception: {error}"))
    window.page.on(
        "console", lambda message: note(f"console: {message.text}") if message.type == "error" else None
    )
    window.page.on(
        "request", lambda request: None if _ours(request.url, base) else note(f"request: {request.url}")
    )


def _ours(url: str, base: str) -> bool:
    return url.startswith((base, base.replace("http", "ws", 1), "blob:", "data:"))


@attrs.define(eq=False)
class Shop:
    """A stand-in Railway with an environment's services, a relay before it, and windows on the relay."""

    railway: StandIn
    scene: Scene
    windows: Windows
    children: list[Child] = attrs.Factory(list)  # the relays that were started

    @property
    def child(self) -> Child:
        """The newest relay."""
        return self.children[-1]

    @property
    def environment(self) -> Environment:
        return self.railway.world.environment

    async def relay(self, **settings: str) -> Child:
        """Start a relay, on which windows are opened from now on."""
        child, port = await self.scene.relay(**settings)
        self.children.append(child)
        self.windows.base = f"http://127.0.0.1:{port}"
        return child

    @property
    def path(self) -> str:
        """The page of the environment."""
        return f"/environments/{self.environment.id}"

    async def open(self, path: str | None = None, **options: Any) -> Window:
        """Open the environment's page, or another one; see `Windows.open`."""
        return await self.windows.open(self.path if path is None else path, **options)


__all__ = [
    "QUICK",
    "ROOT",
    "VIEWER",
    "Child",
    "Scene",
    "Shop",
    "Window",
    "Windows",
    "cannot",
    "chromium",
    "environment",
    "launched",
    "running",
]
