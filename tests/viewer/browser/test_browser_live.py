"""The page, live: lines come, and whoever scrolls up is left in peace."""

import re

from browser_hands import (
    CLIPBOARD,
    at_rest,
    big,
    each_size,
    first_row,
    frames,
    hold_back,
    keys,
    phone_is_big,
    press,
    release,
    scroll,
    until,
    watched,
)
from browser_scene import Shop, Window
from playwright.async_api import expect

NUMBERED = [f"line {number:04}" for number in range(1500)]


async def paused(window: Window, distance: int = -600) -> str:
    """Scroll up until the page stops following; the message of the first line in view."""
    await scroll(window, distance)
    await window.part("newer").wait_for()
    await frames(window)
    return await first_row(window)


async def test_a_line_that_is_written_appears(shop: Shop) -> None:
    shop.environment.write("the first line")
    window = await shop.open()
    await window.line("the first line").wait_for()
    shop.environment.write("the second line")
    await window.line("the second line").wait_for()

    assert (await window.messages())[-2:] == ["the first line", "the second line"]
    await window.picture("one-line")


@phone_is_big
async def test_scrolling_up_pauses_and_the_line_stays_where_it_is(shop: Shop, size: str) -> None:
    shop.environment.write_many(NUMBERED[:300])
    window = await shop.open(size=size)
    await window.line(NUMBERED[299]).wait_for()
    read = await paused(window)

    async with watched(window, read) as steady:
        for number in range(5):
            shop.environment.write(f"written meanwhile {number}")
            await expect(window.part("newer")).to_contain_text(f"{number + 1} new")

    assert steady.moved == 0
    await expect(window.line("written meanwhile")).to_have_count(0)
    await window.picture(f"paused-{size}-dark")


@big
@each_size
async def test_the_newest_line_is_followed_at_the_bottom(shop: Shop, size: str) -> None:
    shop.environment.write_many(NUMBERED[:200])
    window = await shop.open(size=size)
    await window.line(NUMBERED[199]).wait_for()

    for number in range(3):
        shop.environment.write_many([f"burst {number} line {line}" for line in range(40)])
        last = window.line(f"burst {number} line 39")
        await last.wait_for()
        await frames(window)
        box, frame = await last.bounding_box(), await window.part("lines").bounding_box()
        assert box is not None
        assert frame is not None
        assert abs(box["y"] + box["height"] - frame["y"] - frame["height"]) < 12

    await expect(window.part("newer")).to_have_count(0)


@big
async def test_the_button_brings_back_to_the_newest_line_on_a_phone_and_a_desktop(shop: Shop) -> None:
    shop.environment.write_many(NUMBERED[:300])
    for size in ("desktop", "phone"):
        window = await shop.open(size=size)
        await window.line(NUMBERED[299]).wait_for()
        await paused(window)
        shop.environment.write(f"unseen on a {size}")
        await expect(window.part("newer")).to_contain_text("1 new")

        await press(window, "newer")

        await window.line(f"unseen on a {size}").wait_for()
        await expect(window.part("newer")).to_have_count(0)
        shop.environment.write(f"followed again on a {size}")
        await window.line(f"followed again on a {size}").wait_for()


@big
async def test_keys_go_to_the_newest_and_the_oldest_line_and_stop_here(shop: Shop) -> None:
    shop.environment.write_many(NUMBERED[:300])
    window = await shop.open()
    await window.line(NUMBERED[299]).wait_for()
    await window.part("lines").focus()

    for newest in ("End", "G"):
        for oldest in ("Home", "g"):
            await keys(window, oldest)
            await window.line(NUMBERED[0]).wait_for()
            await window.part("newer").wait_for()
            await keys(window, newest)
            await window.line(NUMBERED[299]).wait_for()
            await expect(window.part("newer")).to_have_count(0)
    await keys(window, "Space")
    await window.part("newer").wait_for()
    await keys(window, "Space")
    await expect(window.part("newer")).to_have_count(0)


@big
async def test_scrolling_down_to_the_end_follows_again(shop: Shop) -> None:
    shop.environment.write_many(NUMBERED[:300])
    window = await shop.open()
    await window.line(NUMBERED[299]).wait_for()
    await paused(window)

    await scroll(window, 5000)

    await expect(window.part("newer")).to_have_count(0)
    shop.environment.write("followed")
    await window.line("followed").wait_for()


@big
@each_size
async def test_older_lines_load_above_and_nothing_that_is_read_moves(shop: Shop, size: str) -> None:
    shop.environment.write_many([f"{text} {'word ' * (index % 40)}" for index, text in enumerate(NUMBERED)])
    window = await shop.open(size=size)
    await window.line(NUMBERED[-1]).wait_for()
    await window.part("lines").focus()
    lowest = (
        "Math.min(...[...document.querySelectorAll('.row:not([hidden])')].map(row => Number(row.dataset.n)))"
    )
    await hold_back(window, "history")
    await keys(window, "Home")
    await until(window, f"{lowest} === 0")
    read = await first_row(window)
    assert read.startswith(NUMBERED[500])  # the page begins with the newest thousand

    async with watched(window, read[:9]) as steady:
        await release(window)
        await until(window, f"{lowest} < 0")  # the rows beyond the edge are older ones

    assert steady.moved <= 1
    for _ in range(20):
        if (await first_row(window)).startswith(NUMBERED[0]):
            break
        await keys(window, "Home")
        await frames(window)
    await expect(window.part("top-note")).to_have_text(re.compile("beginning"))
    await window.picture(f"beginning-{size}-dark")


@big
async def test_the_oldest_lines_go_while_a_newer_one_is_read_and_it_does_not_move(shop: Shop) -> None:
    # The page keeps 48 million characters, so that long lines reach its bound with few of them.
    shop.environment.write("a first line")
    window = await shop.open()
    await window.line("a first line").wait_for()
    wide = "x" * 7500
    for start in range(0, 6400, 400):
        shop.environment.write_many([f"{number:05} {wide}" for number in range(start, start + 400)])
        await window.line(f"{start + 399:05} ").wait_for()
    read = (await paused(window, -2000))[:6]

    async with watched(window, read) as steady:
        for start in range(6400, 7200, 200):
            shop.environment.write_many([f"{number:05} {wide}" for number in range(start, start + 200)])
            await expect(window.part("newer")).to_contain_text(f"{start - 6200} new")
        await window.page.wait_for_timeout(400)  # what was let go above is taken away when nobody scrolls

    assert steady.moved <= 1
    await keys(window, "Home")
    await expect(window.line("a first line")).to_have_count(0)


@big
async def test_only_the_lines_in_view_are_elements(shop: Shop) -> None:
    shop.environment.write_many(NUMBERED)
    window = await shop.open()
    await window.line(NUMBERED[-1]).wait_for()
    await keys(window, "Home")
    await scroll(window, 4000)
    await scroll(window, 4000)
    await frames(window)

    rows = window.page.locator("#canvas > *")

    shown = await window.page.locator(".row:visible").count()
    assert 20 < shown < 80
    assert await rows.count() < 120


@big
async def test_a_window_that_becomes_narrower_keeps_the_line_that_is_read(shop: Shop) -> None:
    shop.environment.write_many([f"{text} {'word ' * (index % 40)}" for index, text in enumerate(NUMBERED)])
    window = await shop.open()
    await window.line(NUMBERED[-1]).wait_for()
    read = (await paused(window, -4000))[:9]

    await window.page.set_viewport_size({"width": 700, "height": 600})
    await frames(window)

    assert (await first_row(window))[:9] == read


@big
async def test_selecting_text_stops_the_lines_from_running_away(shop: Shop) -> None:
    shop.environment.write_many(NUMBERED[:100])
    window = await shop.open()
    await window.line(NUMBERED[99]).wait_for()

    box = await window.line(NUMBERED[95]).locator(".message").bounding_box()
    assert box is not None
    await window.page.mouse.move(box["x"] + 2, box["y"] + 8)
    await window.page.mouse.down()
    await window.page.mouse.move(box["x"] + 60, box["y"] + 8)
    await window.page.mouse.up()
    shop.environment.write("while text is selected")

    await expect(window.part("newer")).to_contain_text("1 new")
    assert await window.page.evaluate("document.getSelection().toString()")
    await expect(window.part("drawer")).to_have_count(0)


@big
async def test_a_drag_over_lines_copies_whole_lines_also_those_that_scrolled_away(shop: Shop) -> None:
    rows = shop.environment.write_many(NUMBERED[:300])
    window = await shop.open(**CLIPBOARD)
    await window.line(NUMBERED[299]).wait_for()
    mouse = window.page.mouse

    box = await window.line(NUMBERED[295]).locator(".message").bounding_box()
    lines = await window.part("lines").bounding_box()
    assert box is not None
    assert lines is not None
    await mouse.move(box["x"] + 30, box["y"] + 8)
    await mouse.down()
    await mouse.move(box["x"] + 20, box["y"] - 60, steps=4)
    shop.environment.write("while it is dragged")
    await expect(window.part("newer")).to_contain_text("1 new")
    for _ in range(3):
        await mouse.wheel(0, -500)
        await frames(window)
    await at_rest(window)
    end = await window.page.evaluate(
        """([x, y]) => document.elementFromPoint(x, y).closest(".row").querySelector(".message").textContent""",
        [box["x"] + 20, lines["y"] + 100],
    )
    await mouse.move(box["x"] + 20, lines["y"] + 100, steps=4)
    await mouse.up()
    await keys(window, "Control+c")

    first = int(end.split()[1])
    assert first < 250
    text = await window.page.evaluate("navigator.clipboard.readText()")
    assert text.splitlines() == [
        f'{row.timestamp} api INFO  {row.message}  {{"level":"info"}}' for row in rows[first:296]
    ]
    await expect(window.part("drawer")).to_have_count(0)
    await window.picture("selection-desktop-dark")


@big
async def test_a_reload_goes_on_where_the_page_was(shop: Shop) -> None:
    shop.environment.write_many(NUMBERED[:50])
    window = await shop.open()
    await window.line(NUMBERED[49]).wait_for()

    await window.page.reload()
    shop.environment.write("after the reload")
    await window.line("after the reload").wait_for()

    assert (await window.messages())[-3:] == [*NUMBERED[48:50], "after the reload"]
