"""What somebody who has never seen the page finds without a manual, and what does not get into their way."""

import re

from browser_hands import big, each_size, keys, press
from browser_scene import Shop, Window
from playwright.async_api import expect

DUE = "new Promise(done => setTimeout(done, 400))"  # milliseconds; timers that were due before have run then
DROPPED = (
    "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the "
    "logging rate. Messages dropped: 12"
)


async def opened(shop: Shop, lines: int, size: str = "desktop") -> Window:
    """A page that shows so many lines of a service called api."""
    shop.environment.write_many([f"line {number}" for number in range(lines)])
    window = await shop.open(size=size)
    await window.line(f"line {lines - 1}").first.wait_for()
    return window


@big
async def test_lines_stay_while_a_service_is_being_chosen(shop: Shop) -> None:
    window = await opened(shop, 20)

    await window.part("query").focus()
    await window.page.keyboard.type("@service:a")
    await window.part("completion").first.wait_for()
    await window.page.evaluate(DUE)
    shop.environment.write("meanwhile")
    await window.line("meanwhile").wait_for()
    await expect(window.part("fault")).to_have_count(0)

    await window.part("lines").focus()  # what was typed is meant as it stands
    await expect(window.part("fault")).to_contain_text("No service is called a yet")
    await window.part("nothing").wait_for()


@big
async def test_a_gap_is_news_until_it_is_looked_at_and_counted_from_then_on(shop: Shop) -> None:
    window = await opened(shop, 3)
    shop.environment.write(DROPPED)
    await expect(window.part("state")).to_have_text("lines are missing")

    await press(window, "holes")
    await expect(window.part("connection")).to_contain_text("lines in 1 place")
    await press(window, "connection-hole")

    await expect(window.part("state")).to_have_text("live")
    await expect(window.part("holes")).to_have_text("1 gap")
    await window.page.locator(".ruler-gap.selected:visible").wait_for()


@big
@each_size
async def test_a_list_that_cannot_be_scrolled_leads_to_older_lines(shop: Shop, size: str) -> None:
    window = await opened(shop, 3, size)

    await press(window, "older-again")

    await expect(window.part("top-note")).to_have_text(re.compile("beginning", re.IGNORECASE))
    await expect(window.part("older-again")).to_have_count(0)
    await expect(window.page.locator(".row:visible")).to_have_count(3)


@big
async def test_an_empty_list_leads_to_older_matches_and_out_of_the_filter(shop: Shop) -> None:
    window = await opened(shop, 3)
    await window.part("query").fill("nobody writes this")

    await press(window, "nothing-older")
    await expect(window.part("top-note")).to_have_text(re.compile("beginning", re.IGNORECASE))
    await press(window, "nothing-clear")

    await window.line("line 2").wait_for()


@big
@each_size
async def test_following_is_seen_and_changed_by_a_button(shop: Shop, size: str) -> None:
    window = await opened(shop, 100, size)
    await expect(window.part("follow")).to_have_attribute("aria-pressed", "true")

    await press(window, "follow")
    await expect(window.part("follow")).to_have_attribute("aria-pressed", "false")
    shop.environment.write("new")
    await expect(window.part("newer")).to_contain_text("1 new")
    await press(window, "follow")

    await window.line("new").wait_for()
    await expect(window.part("newer")).to_have_count(0)


@big
@each_size
async def test_the_sheet_explains_the_filter_and_begins_at_its_beginning(shop: Shop, size: str) -> None:
    window = await opened(shop, 3, size)

    await press(window, "help")

    sheet = window.part("sheet")
    await expect(sheet.get_by_text("@service:api")).to_be_in_viewport()
    await expect(sheet.get_by_role("button", name="Close")).to_be_in_viewport()
    await keys(window, "Escape")
    await expect(sheet).to_have_count(0)


@big
async def test_licences_are_named_in_the_settings(shop: Shop) -> None:
    window = await opened(shop, 3)
    await press(window, "settings")

    address = await window.part("licences").get_attribute("href")

    assert address is not None
    assert "license" in await (await window.page.request.get(address)).text()
