"""The histogram, the completion and the colours, which libraries draw, rank and read for the page."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from browser_hands import big
from browser_scene import Shop, Window
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import FloatRect

BEGIN = datetime(2026, 11, 20, 13, 14, 15, tzinfo=UTC)
LINES = 6


def written(shop: Shop) -> None:
    """Lines ten seconds apart; the last but one is an error."""
    for number in range(LINES):
        at = (BEGIN + timedelta(seconds=10 * number)).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
        severity = "error" if number == LINES - 2 else "info"
        shop.environment.write(f"line {number}", severity=severity, at=at)


async def drawn(window: Window, lines: int = LINES) -> "FloatRect":
    """Where the bars are, once they stand for so many lines."""
    await expect(window.page.locator("#histogram-summary")).to_contain_text(f"{lines} lines over")
    box = await window.page.locator("#histogram .u-over").bounding_box()
    assert box is not None
    return box


@big
async def test_keys_move_over_the_bars_and_jump(shop: Shop) -> None:
    written(shop)
    window = await shop.open(timezone_id="Asia/Kolkata")
    await drawn(window)
    said = window.page.locator("#histogram-tip")

    await window.part("histogram").focus()
    await window.page.keyboard.press("Home")
    await expect(said).to_have_text("18:44:15.000: 1 line")
    await window.page.keyboard.press("Shift+End")
    await expect(said).to_contain_text("6 lines, 1 error")
    await window.page.keyboard.press("Escape")
    await expect(said).to_be_hidden()
    await window.page.keyboard.press("End")
    await window.page.keyboard.press("Enter")

    await expect(window.page.locator(".row.selected")).to_contain_text("line 5")
    await expect(window.part("newer")).to_be_visible()
    await window.page.keyboard.press("h")
    await expect(window.part("histogram")).to_have_count(0)
    await window.page.keyboard.press("h")
    await expect(window.part("histogram")).to_be_visible()


@big
async def test_a_drag_marks_what_lies_below_it_and_jumps_to_its_beginning(shop: Shop) -> None:
    written(shop)
    window = await shop.open()
    box = await drawn(window)
    mouse = window.page.mouse
    said = window.page.locator("#histogram-tip")
    middle = box["y"] + box["height"] / 2
    edge = box["x"] + box["width"] - 2

    await mouse.move(edge, middle)
    await mouse.down()
    await mouse.move(edge - box["width"] * 0.3, middle, steps=4)
    marked = await said.text_content()
    shop.environment.write("a line that comes meanwhile")
    await window.line("a line that comes meanwhile").wait_for()
    await mouse.move(edge - box["width"] * 0.3, middle + 1)

    assert "2 lines, 1 error" in (marked or "")
    await expect(said).to_have_text(marked or "")
    await mouse.up()
    await expect(window.page.locator(".row.selected")).to_contain_text("line 4")
    await drawn(window, LINES + 1)  # bars that held still come back to life


@big
async def test_a_finger_does_what_a_mouse_does(shop: Shop) -> None:
    written(shop)
    window = await shop.open(size="phone")
    box = await drawn(window)
    hand = await window.context.new_cdp_session(window.page)
    right = box["x"] + box["width"] - 2

    async def touch(kind: str, *x: float) -> None:
        points = [{"x": each, "y": box["y"] + 20} for each in x]
        await hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    await touch("touchStart", right)
    for step in range(1, 5):
        await touch("touchMove", right - step * box["width"] * 0.075)
    await expect(window.page.locator("#histogram-tip")).to_contain_text("2 lines, 1 error")
    await touch("touchEnd")

    await expect(window.page.locator(".row.selected")).to_contain_text("line 4")


async def test_a_service_is_found_by_a_few_of_its_letters(shop: Shop) -> None:
    for name in ("cowboy-service", "checkout-api", "checkout-worker"):
        shop.environment.add_service(name)
        shop.environment.write(f"from {name}", name)
    window = await shop.open()
    await window.line("from checkout-worker").wait_for()

    first = window.part("completion").first
    for typed in ("checkout-w", "chkw", "cw"):
        await window.part("query").fill(f"@service:{typed}")
        await expect(first).to_contain_text("@service:checkout-worker")
        assert "".join(await first.locator("mark").all_text_contents()) == typed
    await window.page.keyboard.press("Enter")

    await expect(window.part("chip")).to_contain_text("checkout-worker")
    await expect(window.line("from cowboy-service")).to_have_count(0)


@big
async def test_the_licences_of_the_libraries_can_be_read(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open()

    where = await window.page.locator('link[rel="license"]').get_attribute("href")
    answer = await window.context.request.get(f"{shop.windows.base}{where}")

    text = await answer.text()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert all(f"---- {name} " in text for name in ("anser", "fuzzysort", "uplot"))
