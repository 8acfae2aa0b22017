"""Finding: the filter, highlights, what is older, and links that bring somebody else to the same place."""

import pytest
from browser_hands import (
    CLIPBOARD,
    big,
    copied,
    each_size,
    keys,
    opened,
    press,
    watched,
)
from browser_scene import Shop, Window
from playwright.async_api import Locator, expect


def filled(shop: Shop) -> None:
    """Fifty lines of three services, some of which matter."""
    for number in range(50):
        service = ("api", "web", "worker")[number % 3]
        severity = ("info", "debug", "warn", "error")[number % 4]
        word = "payment" if number % 10 == 0 else "request"
        shop.environment.write(f"{word} number {number:02}", service=service, severity=severity)


def rows(window: Window) -> Locator:
    return window.page.locator(".row:visible")


async def typed(window: Window, text: str) -> None:
    await window.part("query").fill(text)


async def test_words_filter_and_a_fault_is_said_in_its_place(shop: Shop) -> None:
    filled(shop)
    window = await shop.open()
    await window.line("number 49").wait_for()
    await typed(window, 'payment -"number 20"')
    await expect(rows(window)).to_have_count(4)
    await expect(window.page.locator("mark.wanted").first).to_have_text("payment")

    async with watched(window, "payment number 40") as steady:
        await typed(window, 'payment -"number')
        await expect(window.part("fault")).to_contain_text("unbalanced quote")
        shop.environment.write("payment while there is a fault")
        await window.line("while there is a fault").wait_for()

    assert steady.moved < 40  # the bar grows by the sentence, and the list stays full
    assert await rows(window).count() == 5
    await expect(window.part("query")).to_have_attribute("aria-invalid", "true")
    await window.picture("fault-desktop-dark")
    await typed(window, "payment")
    await expect(rows(window)).to_have_count(6)
    await expect(window.part("fault")).to_have_count(0)
    await press(window, "clear-filter")
    await window.line("request number 49").wait_for()


@big
@each_size
async def test_a_lowest_severity_is_chosen_and_kept_in_the_address(shop: Shop, size: str) -> None:
    filled(shop)
    window = await shop.open(size=size)
    await window.line("number 49").wait_for()

    await window.part("level").select_option("error")
    await expect(rows(window)).to_have_count(12)
    assert "severity=error" in window.page.url
    await window.page.reload()

    await expect(rows(window)).to_have_count(12)
    await expect(window.part("level")).to_have_value("error")
    await window.part("level").select_option("")
    await window.line("number 48").wait_for()


@big
@each_size
async def test_a_reload_keeps_the_filter_the_words_and_what_is_looked_for(shop: Shop, size: str) -> None:
    filled(shop)
    window = await shop.open(size=size)
    await window.line("number 49").wait_for()
    await press(window, window.line("number 49").locator(".service"))
    await press(window, "only-service")
    await typed(window, "request -07")
    await press(window, "find-open")
    await window.part("find").fill("number 1")
    await expect(rows(window)).to_have_count(14)
    before = await window.messages()

    for _ in range(2):
        await window.page.reload()
        await window.line("number 49").wait_for()
        await expect(rows(window)).to_have_count(14)
        await expect(window.part("query")).to_have_value("request -07")
        await expect(window.part("chip")).to_contain_text("web")
        await expect(window.part("find")).to_have_value("number 1")
        assert await window.messages() == before
    shop.environment.write("request of another", service="api")
    shop.environment.write("request of the same", service="web")
    await window.line("request of the same").wait_for()
    await expect(window.line("request of another")).to_have_count(0)


@big
async def test_services_and_levels_are_completed_by_the_keyboard(shop: Shop) -> None:
    filled(shop)
    window = await shop.open()
    await window.line("number 49").wait_for()
    await window.part("lines").focus()

    await keys(window, "/")
    await window.page.keyboard.type("@ser")
    await window.part("completion").first.wait_for()
    await window.picture("completion-desktop-dark")
    await keys(window, "Enter")
    await expect(window.part("query")).to_have_value("@service:")
    await window.page.keyboard.type("wk")  # letters in order are enough
    await expect(window.part("completion")).to_have_count(1)
    await keys(window, "Tab")
    await expect(window.part("chip")).to_contain_text("worker")
    await expect(rows(window)).to_have_count(16)
    await window.page.keyboard.type("@level:")
    await expect(window.part("completion")).to_have_count(4)
    await keys(window, "ArrowDown", "ArrowDown")
    chosen = await window.page.locator('[data-testid="completion"][aria-selected="true"]').text_content()
    await keys(window, "Enter")

    assert chosen is not None
    assert "warn" in chosen
    await expect(window.part("level")).to_have_value("warn")
    await expect(rows(window)).to_have_count(8)
    await expect(window.part("query")).to_have_value("")
    await keys(window, "Escape")
    await expect(window.part("lines")).to_be_focused()
    await keys(window, "\\")
    await window.line("number 49").wait_for()
    await expect(window.part("chip")).to_have_count(0)


@big
async def test_a_service_that_nobody_knows_is_named(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open(f"{shop.path}?services=nobody", wait='[data-testid="nothing"]')

    await expect(window.part("fault")).to_contain_text("No service is called nobody")
    await expect(window.part("nothing")).to_contain_text("Nothing matches this filter")
    await window.picture("nothing-desktop-dark")


@big
async def test_a_fault_in_the_address_shows_the_log_and_the_sentence(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open(f"{shop.path}?q=%22unbalanced")

    await window.line("a line").wait_for()
    await expect(window.part("fault")).to_contain_text("unbalanced")


@big
async def test_find_highlights_counts_and_goes_from_match_to_match(shop: Shop) -> None:
    filled(shop)
    window = await shop.open()
    await window.line("number 49").wait_for()
    await window.part("lines").focus()

    await keys(window, "f")
    await window.page.keyboard.type("PAYMENT")
    await expect(window.part("find-count")).to_have_text("5 matches")
    assert await rows(window).count() > 20  # nothing is filtered
    await keys(window, "Enter")
    current = window.page.locator(".row.current:visible")
    await expect(current).to_contain_text("payment number 40")
    await expect(current.locator("mark.found")).to_have_text("payment")
    await keys(window, "Enter")
    await expect(current).to_contain_text("payment number 30")
    await press(window, "find-previous")
    await expect(current).to_contain_text("payment number 20")
    await press(window, "find-next")
    await expect(current).to_contain_text("payment number 30")
    shop.environment.write("one more payment")
    await expect(window.part("find-count")).to_have_text("4 of 6")
    await window.picture("find-desktop-dark")
    await keys(window, "Escape")
    await expect(window.part("find")).to_have_count(0)
    await expect(window.page.locator("mark.found:visible")).to_have_count(0)


@big
async def test_keys_go_to_matches_and_to_errors(shop: Shop) -> None:
    filled(shop)
    window = await shop.open(f"{shop.path}?find=payment")
    await expect(window.part("find-count")).to_have_text("5 matches")
    await window.part("lines").focus()
    current = window.page.locator(".row.current:visible")

    for key, text in (
        ("N", "number 40"),
        ("p", "number 30"),
        ("n", "number 40"),
        ("[", "39"),
        ("[", "35"),
        ("]", "39"),
    ):
        await keys(window, key)
        await expect(current).to_contain_text(text)


@big
@each_size
async def test_a_match_shows_what_lies_around_it(shop: Shop, size: str) -> None:
    filled(shop)
    window = await shop.open(f"{shop.path}?q=payment", size=size)
    await expect(rows(window)).to_have_count(5)

    await opened(window, "number 20")
    await press(window, "show-around")

    await window.line("request number 19").wait_for()
    await window.line("request number 21").wait_for()
    await expect(window.page.locator(".row.current:visible")).to_contain_text("payment number 20")
    await expect(window.part("query")).to_have_value("")
    assert "at=" in window.page.url
    await window.picture(f"around-{size}-dark")
    await press(window, "back-to-live")
    await window.line("number 49").wait_for()
    await expect(window.part("banner")).to_have_count(0)
    shop.environment.write("live again")
    await window.line("live again").wait_for()
    assert "at=" not in window.page.url


def long_past(shop: Shop) -> None:
    """More lines than the page begins with, and needles that lie before those."""
    lines = [f"hay {number:04}" for number in range(2600)]
    lines[30], lines[700] = "needle in the oldest", "needle in the old"
    lines[2500] = "needle in the new"
    shop.environment.write_many(lines)


@big
@each_size
async def test_older_matches_come_with_their_place(shop: Shop, size: str) -> None:
    long_past(shop)
    window = await shop.open(size=size)
    await window.line("hay 2599").wait_for()
    await press(window, "find-open")
    await window.part("find").fill("needle")
    await expect(window.part("find-count")).to_have_text("1 match")

    await press(window, "find-older")

    await expect(window.part("older-match")).to_have_count(3)
    await expect(window.part("older-progress")).to_contain_text("3 matches in all")
    await expect(window.part("older-match").nth(2).locator("mark")).to_have_text("needle")
    await window.picture(f"older-{size}-dark")
    await press(window, window.part("older-match").nth(2))
    await window.line("hay 0031").wait_for()
    await expect(window.page.locator(".row.current:visible")).to_contain_text("needle in the oldest")


@big
async def test_a_search_of_the_past_shows_its_progress_and_can_be_stopped(shop: Shop) -> None:
    await shop.relay(LOGRELAY_HISTORY_RECORDS="50", LOGRELAY_HISTORY_SECONDS="1")
    long_past(shop)
    window = await shop.open()
    await window.line("hay 2599").wait_for()
    shop.railway.faults.query_delay = 0.7
    await press(window, "find-open")
    await window.part("find").fill("needle")
    await press(window, "find-older")

    await expect(window.part("older-progress")).to_contain_text("search")
    await press(window, "older-cancel")

    await expect(window.part("older-progress")).to_contain_text("Stopped")
    await expect(window.part("older-more")).to_be_visible()
    shop.railway.faults.query_delay = 0.0
    await press(window, "older-more")
    await expect(window.part("older-progress")).to_contain_text("3 matches in all")
    await window.part("older").press("Escape")
    await expect(window.part("older")).to_have_count(0)


@big
async def test_a_link_to_a_record_shows_it_in_another_browser(shop: Shop) -> None:
    long_past(shop)
    window = await shop.open(f"{shop.path}?q=needle", **CLIPBOARD)
    await window.line("needle in the new").wait_for()
    await opened(window, "needle in the new")
    await press(window, "copy-link")
    link = await copied(window)
    identity = await window.line("needle in the new").get_attribute("data-id")

    other = await shop.windows.open(link.removeprefix(shop.windows.base))

    current = other.page.locator(".row.current:visible")
    await expect(current).to_contain_text("needle in the new")
    assert await current.get_attribute("data-id") == identity
    await other.line("hay 2499").wait_for()
    await other.line("hay 2501").wait_for()
    texts = await other.messages()
    assert len(texts) == len(set(texts))


@big
@each_size
async def test_a_link_to_an_old_record_shows_it_once_and_in_the_middle(shop: Shop, size: str) -> None:
    long_past(shop)
    window = await shop.open(size="desktop", **CLIPBOARD)
    await window.line("hay 2599").wait_for()
    await press(window, "find-open")
    await window.part("find").fill("needle")
    await press(window, "find-older")
    await window.part("older-match").nth(2).click()
    await expect(window.page.locator(".row.current:visible")).to_contain_text("needle in the oldest")
    await keys(window, "y")
    link = await copied(window)

    other = await shop.windows.open(link.removeprefix(shop.windows.base), size=size)

    current = other.page.locator(".row.current:visible")
    await expect(current).to_contain_text("needle in the oldest")
    await other.line("hay 0031").wait_for()
    await expect(current).to_be_in_viewport(ratio=1)
    texts = await other.messages()
    assert len(texts) == len(set(texts))


@big
@pytest.mark.parametrize("way", ["button", "key"])
async def test_a_link_to_a_view_restores_its_filter(shop: Shop, way: str) -> None:
    filled(shop)
    window = await shop.open(**CLIPBOARD)
    await window.line("number 49").wait_for()
    await press(window, window.line("number 49").locator(".service"))
    await press(window, "only-service")
    await window.part("level").select_option("warn")
    await typed(window, "request @level:warn -@none:1")
    await press(window, "find-open")
    await window.part("find").fill("number")
    await expect(rows(window)).to_have_count(7)
    before = await window.messages()

    if way == "button":
        await press(window, "view-link")
    else:
        await window.part("lines").focus()
        await keys(window, "Y")
    link = await copied(window)
    other = await shop.windows.open(link.removeprefix(shop.windows.base))

    await other.line("number 43").wait_for()
    await expect(other.part("query")).to_have_value("request @level:warn -@none:1")
    await expect(other.part("level")).to_have_value("warn")
    await expect(other.part("find")).to_have_value("number")
    assert [
        text.rstrip("\N{MULTIPLICATION SIGN}") for text in await other.part("chip").all_text_contents()
    ] == ["web", "none ≠ 1"]
    assert await other.messages() == before


@big
async def test_an_empty_environment_says_that_it_waits(shop: Shop) -> None:
    window = await shop.open(wait='[data-testid="nothing"]')

    await expect(window.part("nothing")).to_contain_text("Waiting for the first lines")
    shop.environment.write("the first")
    await window.line("the first").wait_for()
    await expect(window.part("nothing")).to_have_count(0)
