"""What a reader does and sees, in words that the tests of the page share."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from browser_scene import VIEWER, Window, cannot
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Locator

big = pytest.mark.big
each_size = pytest.mark.parametrize("size", ["desktop", "phone"])
phone_is_big = pytest.mark.parametrize("size", ["desktop", pytest.param("phone", marks=big)])
each_scheme = pytest.mark.parametrize("scheme", ["dark", "light"])
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
# Where a relay has gone, the browser says so itself; nothing that the page could keep it from.
AWAY = (r"WebSocket connection to .* failed", r"net::ERR_CONNECTION", r"Failed to load resource")

_AFTER_EACH_FRAME = """([text, name]) => {
    const seen = (window[name] = []);
    const sentinel = document.createElement("div");
    sentinel.style.position = "fixed";
    document.body.append(sentinel);
    let wide = 1;
    const frame = () => {
        wide = 3 - wide;
        sentinel.style.width = `${wide}px`;
        if (window[name] === seen) requestAnimationFrame(frame);
        else sentinel.remove();
    };
    // A ResizeObserver is called when all of a frame's callbacks have run, so it sees what is painted.
    new ResizeObserver(() => {
        for (const row of document.querySelectorAll("#canvas .row")) {
            if (row.hidden || !row.querySelector(".message").textContent.startsWith(text)) continue;
            seen.push(row.getBoundingClientRect().top);
            return;
        }
        seen.push(null);
    }).observe(sentinel);
    requestAnimationFrame(frame);
}"""

_HOLD_BACK = """kind => {
    const { send } = WebSocket.prototype;
    window.heldBack = [];
    WebSocket.prototype.send = function (data) {
        if (JSON.parse(data).type === kind) window.heldBack.push(() => send.call(this, data));
        else send.call(this, data);
    };
    window.release = () => {
        WebSocket.prototype.send = send;
        for (const again of window.heldBack) again();
    };
}"""


@attrs.define
class Steady:
    """Where a line was at each frame; the first and the last one count too."""

    tops: list[float | None] = attrs.Factory(list)

    @property
    def moved(self) -> float:
        """Pixels between the highest and the lowest place. AssertionError where it was not on the screen."""
        assert self.tops, "no frame was painted"
        assert None not in self.tops, "the line was gone"
        tops = [top for top in self.tops if top is not None]
        return max(tops) - min(tops)


@asynccontextmanager
async def watched(window: Window, text: str) -> AsyncIterator[Steady]:
    """Note at every frame where the line that begins with this text stands."""
    steady = Steady()
    name = "watchedLine"
    await window.page.evaluate(_AFTER_EACH_FRAME, [text, name])
    await until(window, f"{name}.length > 1")
    yield steady
    await frames(window)
    steady.tops = await window.page.evaluate(f"() => {{ const seen = {name}; {name} = null; return seen; }}")


async def hold_back(window: Window, kind: str) -> None:
    """Keep the page's messages of this type from the relay, so that what answers them comes when a test wants it."""
    await window.page.evaluate(_HOLD_BACK, kind)


async def release(window: Window) -> None:
    """Wait until a message is held back, and send what is."""
    await until(window, "heldBack.length > 0")
    await window.page.evaluate("() => release()")


async def until(window: Window, expression: str, within: float = 10.0) -> None:
    """Wait until something holds in the page, within seconds. Playwright's own wait is barred by the page's CSP."""
    try:
        async with asyncio.timeout(within):
            while not await window.page.evaluate(expression):
                await frames(window)
    except TimeoutError:
        pytest.fail(f"never so: {expression}")


async def frames(window: Window) -> None:
    """Let the page draw what it has."""
    await window.page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def phone(window: Window) -> bool:
    size = window.page.viewport_size
    return size is not None and size["width"] < 640


async def press(window: Window, what: "Locator | str") -> None:
    """Click it, or tap it on a phone. A text is a data-testid."""
    target = window.part(what) if isinstance(what, str) else what
    await (target.tap() if phone(window) else target.click())


async def scroll(window: Window, distance: int) -> None:
    """Scroll the list by so many pixels, downwards if positive: by the wheel, or by a finger on a phone."""
    box = await window.part("lines").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if phone(window):
        session = await window.context.new_cdp_session(window.page)
        while distance:
            step = max(-200, min(200, distance))  # a finger that stays on the screen
            for kind, moved in (
                ("touchStart", 0.0),
                *(("touchMove", step * part / 5) for part in range(1, 6)),
            ):
                points = [{"x": x, "y": y + step / 2 - moved}]
                await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            distance -= step
        await session.detach()
        await at_rest(window)  # a finger that is lifted lets the list run on
    else:
        await window.page.mouse.move(x, y)
        await window.page.mouse.wheel(0, distance)


async def at_rest(window: Window) -> None:
    """Wait until the list isn't scrolling."""
    await window.page.evaluate("""() => new Promise(done => {
        const list = document.querySelector("#lines");
        let still = 0, before = NaN;
        const look = () => {
            still = list.scrollTop === before ? still + 1 : 0;
            before = list.scrollTop;
            still > 6 ? done() : requestAnimationFrame(look);
        };
        look();
    })""")


async def keys(window: Window, *names: str) -> None:
    """Press these keys, one after the other."""
    for name in names:
        await window.page.keyboard.press(name)


async def opened(window: Window, text: str) -> "Locator":
    """Open a line's details."""
    message = window.line(text).last.locator(".message")
    # At its beginning: Chromium takes a finger below a service's name for one that has missed the name.
    await (message.tap(position={"x": 20, "y": 9}) if phone(window) else message.click())
    drawer = window.part("drawer")
    await drawer.wait_for()
    return drawer


async def copied(window: Window) -> str:
    """What has been copied, once the page says so. Needs CLIPBOARD."""
    await expect(window.part("toast")).to_contain_text("opied")
    text: str = await window.page.evaluate("navigator.clipboard.readText()")
    return text


async def first_row(window: Window) -> str:
    """The message of the uppermost line that is wholly in view."""
    read = """rows => {
        const edge = document.querySelector("#lines").getBoundingClientRect().top;
        const inside = rows.filter(row => row.getBoundingClientRect().top >= edge - 1);
        inside.sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top);
        return inside[0].querySelector(".message").textContent;
    }"""
    text: str = await window.page.locator("#canvas .row:not([hidden])").evaluate_all(read)
    return text


async def narrow_enough(window: Window) -> bool:
    """Whether the page can't be scrolled sideways."""
    fits: bool = await window.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return fits


def axe_source() -> str:
    """The source of axe-core. Skips, or fails in CI, where it is not installed."""
    path = VIEWER / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        cannot("`npm ci` has not been run in logrelay/viewer: no axe-core")
    return Path(path).read_text()


_AXE = """async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
    return violations.map(({ id, impact, nodes }) => ({
        id, impact, nodes: nodes.slice(0, 3).map(node => `${node.target} ${node.failureSummary}`) }));
}"""


async def accessibility_faults(window: Window) -> list[str]:
    """The serious and critical faults that axe-core finds in what is shown."""
    if not await window.page.evaluate("typeof axe === 'object'"):
        await window.page.evaluate(axe_source())
    found: list[dict[str, Any]] = await window.page.evaluate(_AXE)
    return [json.dumps(fault) for fault in found if fault["impact"] in ("serious", "critical")]
