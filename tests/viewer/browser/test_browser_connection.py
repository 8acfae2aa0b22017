"""The connection, looked at closely: what stands, what is missing, and the way back before its time."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from browser_flood import CUT, held, relay, upstream
from browser_hands import AWAY, each_size, keys, press
from browser_scene import Shop, Window, Windows
from playwright.async_api import expect

pytestmark = pytest.mark.big

DROPPED = (
    "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the "
    "logging rate. Messages dropped: 12"
)
# Timers of more than a fifth of a second that begin from now on never end: nothing comes back by itself.
NEVER = """() => {
  const wait = setTimeout;
  window.setTimeout = (call, ms, ...rest) => wait(call, ms > 200 ? 1e9 : ms, ...rest);
}"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  const state = hidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def facts(window: Window) -> dict[str, str]:
    """The names and values of the panel."""
    found: dict[str, str] = await window.part("connection").evaluate(
        """list => Object.fromEntries([...list.querySelectorAll("dt")]
            .map(name => [name.textContent, name.nextElementSibling.textContent]))"""
    )
    return found


@each_size
async def test_the_panel_tells_of_both_connections(shop: Shop, size: str) -> None:
    shop.environment.write("a line")
    window = await shop.open(size=size)
    await window.line("a line").wait_for()
    await expect(window.part("state")).to_contain_text(re.compile("live|quiet"))
    await window.part("lines").focus()

    await keys(window, "i")
    await window.part("connection").wait_for()
    known = await facts(window)
    await window.picture(f"connection-{size}-dark")

    assert known["This page and the relay"] == "connected"
    assert re.fullmatch(r"connected(, heard from .+)?", known["The relay and Railway"])
    assert known["Viewers"].startswith("1")
    assert known["Lines held"] == "1 / 100,000"
    assert known["Relay's version"]
    await expect(window.part("connection-now")).to_have_count(0)
    await expect(window.part("connection-hole")).to_have_count(0)
    await press(window, "panel-close")
    await expect(window.part("lines")).to_be_focused()


@each_size
@pytest.mark.parametrize("way", ["reconnect", "connection-now"])
async def test_who_does_not_want_to_wait_tries_now(shop: Shop, size: str, way: str) -> None:
    shop.environment.write("before")
    wire = await shop.scene.wire(int(shop.windows.base.rpartition(":")[2]))
    there = wire.target
    window = await shop.open(base=f"http://127.0.0.1:{wire.port}", size=size, tolerated=CUT)
    await window.line("before").wait_for()
    await window.page.evaluate(NEVER)

    wire.target = 1  # nobody listens there
    wire.cut()
    await expect(window.part("state")).to_contain_text("reconnecting")
    await window.part("reconnect").wait_for(timeout=20_000)
    shop.environment.write("meanwhile")
    wire.target = there
    if way == "connection-now":
        await press(window, "state")
        await expect(window.part("connection")).to_contain_text(re.compile(r"lost .* ago; try \d+ in \d+ s"))
        await window.picture(f"connection-lost-{size}-dark")
    tries = wire.opened
    await press(window, way)

    await window.line("meanwhile").wait_for()
    assert wire.opened > tries
    await expect(window.part(way)).to_have_count(0)


@each_size
async def test_what_is_missing_is_shown_on_demand(shop: Shop, size: str) -> None:
    shop.environment.write("before")
    window = await shop.open(size=size)
    await window.line("before").wait_for()
    shop.environment.write(DROPPED)
    await window.page.locator(".ruler-gap:visible").wait_for()
    shop.environment.write_many([f"after {number}" for number in range(300)])
    await window.line("after 299").wait_for()
    gap = window.page.locator(".ruler-gap:visible")
    await expect(gap).to_have_count(0)

    await press(window, "state")
    await press(window, "connection-hole")

    await expect(gap).to_contain_text("12 lines are missing here")
    await expect(gap).to_be_in_viewport(ratio=1)
    await expect(window.part("panel")).to_have_count(0)
    await expect(window.part("newer")).to_be_visible()
    await window.picture(f"hole-{size}-dark")


async def test_a_resume_that_could_not_have_all_says_so(shop: Shop) -> None:
    relayed = await shop.relay()
    port = shop.windows.base.rpartition(":")[2]
    shop.environment.write("before")
    window = await shop.open(tolerated=AWAY)
    await window.line("before").wait_for()

    relayed.signal(signal.SIGKILL)
    await expect(window.part("state")).to_contain_text("reconnecting")
    shop.environment.write_many([f"meanwhile {number}" for number in range(8000)])
    await shop.relay(PORT=port, LOGRELAY_RESUME_SECONDS="0")

    await window.line("meanwhile 7999").wait_for(timeout=20_000)
    await keys(window, "Home")
    await expect(window.page.locator(".ruler-connected:visible")).to_contain_text(
        "Connected again, but a part could not be had"
    )
    await window.picture("partial-desktop-dark")


@pytest.mark.timeout(120)
async def test_lines_that_were_passed_over_are_counted_in_their_place(
    windows: Windows, tmp_path: Path
) -> None:
    small: Any = {"LOGRELAY_HISTORY_RECORDS": "1000", "LOGRELAY_HISTORY_SECONDS": "1"}
    async with upstream(tmp_path) as railway, relay(railway, tmp_path, **small) as base:
        window = await windows.open(base=base, wait="[data-testid=nothing]")
        await window.page.evaluate(HIDE, True)  # noqa: FBT003 a page's argument
        await railway.begin(30_000, 6000)
        await railway.child.until_said(written=30_000)
        await window.page.evaluate(HIDE, False)  # noqa: FBT003 as above
        await window.line("line 30000 ").wait_for(timeout=60_000)
        await press(window, "state")
        await press(window, "connection-hole")
        lost = window.page.locator(".ruler-lost:visible")
        await expect(lost).to_contain_text("This page fell behind")
        said = await lost.locator(".message").text_content()
        await window.picture("lost-desktop-dark")
        numbers = [int(record["message"].split()[1]) for record in await held(window)]

    match = re.search(r"([\d,]+) lines were passed over", said or "")
    assert match is not None
    assert int(match[1].replace(",", "")) == 30_000 - len(numbers)
    assert numbers == sorted(set(numbers))
