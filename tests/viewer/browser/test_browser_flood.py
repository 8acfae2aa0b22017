"""The page while more lines come than anyone reads: reloads, hidden tabs, keys."""

import json
import re
from typing import Any

import pytest
from browser_flood import MIB, Inspector, Upstream, eventually, flood, held, relay, upstream
from browser_hands import CLIPBOARD, big, copied
from browser_scene import Window, Windows

RATE = 1000  # lines a second
LINES = 12_000  # of a flood that lasts as long as five reloads
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  const state = hidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def numbers(records: list[dict[str, Any]]) -> list[int]:
    """Of the lines that these records are."""
    return [int(record["message"].split()[1]) for record in records]


async def last(window: Window, railway: Upstream, number: int) -> None:
    """Wait until the last line of a flood is on the screen."""
    line = window.page.locator(".row:visible .message", has_text=re.compile(f"^line {number} "))
    await line.wait_for(timeout=60_000)


@big
@pytest.mark.timeout(120)
async def test_reloads_during_a_flood_go_on_where_the_page_was(windows: Windows, tmp_path: Any) -> None:
    async with upstream(tmp_path) as railway, relay(railway, tmp_path) as base:
        window = await windows.open(base=base, wait="[data-testid=nothing]")
        asked: list[str] = []
        window.page.on("websocket", lambda socket: asked.append(socket.url))
        await railway.begin(LINES, RATE)
        places = []
        for _ in range(5):
            shown = numbers([{"message": text} for text in await following(window)])
            await window.page.reload()
            await following(window)
            places.append(shown[-1])
        await window.picture("reload-in-a-flood")
        await last(window, railway, LINES)
        found = numbers(await held(window))

    # Each went on after a record: a tail would do as well only as long as a reload is quick.
    assert ["lastId=" in url for url in asked[-5:]] == [True] * 5
    assert places == sorted(set(places))  # the flood went on between the reloads
    assert found == list(range(found[0], LINES + 1))  # no hole, no repeat, no other order
    assert found[0] <= places[-1]  # what was on the screen before the last reload is here


async def following(window: Window) -> list[str]:
    """The lines on the screen, once there is a screen full."""
    await window.page.locator(".row:visible").nth(20).wait_for()
    return [text for text in await window.messages() if text.startswith("line ")]


@big
@pytest.mark.timeout(120)
async def test_a_hidden_tab_holds_little_and_catches_up(windows: Windows, tmp_path: Any) -> None:
    async with upstream(tmp_path) as railway, relay(railway, tmp_path) as base:
        window = await windows.open(base=base, wait="[data-testid=nothing]")
        inspector = await Inspector.of(window)
        sent: list[str] = []
        window.page.on(
            "websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame)))
        )
        await window.page.reload()
        await railway.begin(500, RATE)
        await last(window, railway, 500)
        before = await inspector.memory()

        await window.page.evaluate(HIDE, True)  # noqa: FBT003 a page's argument
        await railway.begin(30_000, 6000)

        async def paused() -> bool:
            return any('"pause"' in frame for frame in sent)

        await eventually(paused, within=30)
        await railway.child.until_said(written=30_500)
        hidden = await inspector.memory()
        seen = numbers([{"message": text} for text in await following(window)])[-1]
        await window.page.evaluate(HIDE, False)  # noqa: FBT003 as above
        await last(window, railway, 30_500)
        found = numbers(await held(window))

    assert seen == 500
    assert hidden.heap - before.heap < 24 * MIB  # what waits, which is 10,000 lines and what was under way
    assert found == list(range(1, 30_501))
    assert any('"resume"' in frame for frame in sent)


@big
async def test_no_key_is_lost_in_a_flood(windows: Windows, tmp_path: Any) -> None:
    async with upstream(tmp_path) as railway, relay(railway, tmp_path) as base:
        window = await windows.open(base=base, wait="[data-testid=nothing]")
        await railway.begin(10_000, 2000)
        await following(window)
        text = "order 0123456789 the quick brown fox"

        await window.page.keyboard.press("f")
        await window.page.keyboard.type(text)
        await window.page.keyboard.press("Escape")
        for _ in range(10):
            await window.page.keyboard.press("w")

        assert await window.page.locator("#find").input_value() == text
        assert await window.page.locator("#wrap").get_attribute("aria-pressed") == "false"
        await last(window, railway, 10_000)


@big
@pytest.mark.timeout(120)
async def test_a_line_that_has_long_gone_is_still_the_drawers_and_keeps_no_key_from_moving(
    windows: Windows, tmp_path: Any
) -> None:
    async with flood(tmp_path) as lines:
        window = await windows.open(base=lines.base, wait="[data-testid=nothing]", **CLIPBOARD)
        await lines.begin(50)
        row = window.page.locator(".row:visible").last
        await row.locator(".message").click()
        await window.part("drawer").wait_for()
        shown = await window.part("drawer-message").text_content()
        await window.part("lines").focus()
        await window.page.keyboard.press("End")

        await lines.begin(132_000)
        await window.page.locator(f'.row:visible[data-id$="{132_050:012x}"]').wait_for(timeout=60_000)
        await window.part("copy-json").click()

        assert json.loads(await copied(window))["message"] == shown
        await window.page.keyboard.press("k")
        await window.page.locator(".row.selected:visible").wait_for()
