"""Older matches: how far a search of the past came, why it went no further, and how it goes on."""

import time

import pytest
from browser_hands import big, each_size, press
from browser_scene import Shop, Window
from playwright.async_api import expect

MINUTE = 60_000_000_000
AWAY = (503, {}, "away")
SHORT_MEMORY = {"LOGRELAY_HISTORY_RECORDS": "50", "LOGRELAY_HISTORY_SECONDS": "1"}
pytestmark = big


def past(shop: Shop, lines: int = 6000) -> list[str]:
    """Lines of which every five-hundredth has a needle in it; those, the newest first."""
    texts = [f"line {number:04}" + (" needle" if number % 500 == 3 else "") for number in range(lines)]
    shop.environment.write_many(texts)
    return [text for text in texts[::-1] if "needle" in text]


async def search(window: Window) -> None:
    await press(window, "find-open")
    await window.part("find").fill("needle")
    await press(window, "find-older")


async def found(window: Window) -> list[str]:
    """The messages that the search has brought."""
    return await window.part("older-match").locator(".message").all_text_contents()


@each_size
async def test_a_search_that_railways_outage_ends_says_so_and_goes_on(shop: Shop, size: str) -> None:
    await shop.relay(**SHORT_MEMORY)
    needles = past(shop)
    window = await shop.open(size=size)
    await window.line("line 5999").wait_for()
    shop.railway.faults.http = AWAY

    await search(window)
    await expect(window.part("older-progress")).to_contain_text(
        "then Railway could not be asked", timeout=30_000
    )
    few = await found(window)
    await window.picture(f"older-outage-{size}-dark")
    shop.railway.faults.http = None
    await press(window, "older-more")

    await expect(window.part("older-progress")).to_contain_text(f"{len(needles)} matches in all")
    assert few == needles[: len(few)]
    assert len(few) < len(needles)
    assert await found(window) == needles
    await expect(window.part("older-more")).to_have_count(0)


async def test_a_search_that_the_relays_own_limit_ends_says_so_and_goes_on(shop: Shop) -> None:
    await shop.relay(**SHORT_MEMORY, LOGRELAY_RESUME_RECORDS="800")
    needles = past(shop)
    window = await shop.open()
    await window.line("line 5999").wait_for()

    await search(window)
    progress = window.part("older-progress")
    await expect(progress).to_contain_text("the relay asks Railway for no more just now")
    await window.picture("older-limit-desktop-dark")
    rounds = 1
    while await window.part("older-more").count():
        before = await progress.text_content()
        await press(window, "older-more")
        await expect(window.part("older-cancel")).to_have_count(0)
        await expect(progress).not_to_have_text(before or "")
        rounds += 1
        assert rounds < 40

    assert rounds > 2
    assert await found(window) == needles


async def test_a_search_that_reaches_what_railway_keeps_says_so(shop: Shop) -> None:
    await shop.relay(**SHORT_MEMORY, LOGRELAY_RETENTION_DAYS="0.01")
    now = time.time_ns()
    for minutes in (20, 10, 1):
        shop.environment.write(f"a needle of {minutes} minutes ago", at=now - minutes * MINUTE)
    shop.environment.write_many([f"line {number}" for number in range(60)])
    window = await shop.open()
    await window.line("line 59").wait_for()

    await search(window)

    await expect(window.part("older-progress")).to_contain_text("2 matches in all that Railway keeps")
    assert await found(window) == ["a needle of 1 minutes ago", "a needle of 10 minutes ago"]
    await window.picture("older-kept-desktop-dark")


async def test_a_hole_in_the_past_is_a_line_among_the_matches(shop: Shop) -> None:
    shop.environment.write("needle before")
    window = await shop.open()
    await window.line("needle before").wait_for()
    shop.environment.write(
        "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the "
        "logging rate. Messages dropped: 12"
    )
    await window.page.locator(".ruler-gap:visible").wait_for()
    shop.environment.write("needle after")
    await window.line("needle after").wait_for()

    await search(window)

    await expect(window.part("older-gap")).to_contain_text("12 lines are missing here")
    await expect(window.part("older-match")).to_have_count(2)
    order = (
        await window.part("older-list")
        .locator(":scope > li")
        .evaluate_all(
            "items => items.map(item => item.dataset.testid ?? item.firstElementChild.dataset.testid)"
        )
    )
    assert order == ["older-match", "older-gap", "older-match"]
    await window.picture("older-gap-desktop-dark")


@each_size
async def test_scrolling_back_while_railway_is_away_says_so_and_goes_on(shop: Shop, size: str) -> None:
    await shop.relay(**SHORT_MEMORY)
    past(shop, 3000)
    window = await shop.open(size=size)
    await window.line("line 2999").wait_for()
    shop.railway.faults.http = AWAY
    top = window.part("top-note")

    async def to_the_top() -> None:
        await window.part("lines").evaluate("list => { list.scrollTop = 300; list.scrollTop = 0; }")

    for _ in range(100):
        await to_the_top()
        if "could not be asked" in "".join(await top.all_text_contents()):
            break
        await window.page.wait_for_timeout(100)
    await expect(top).to_contain_text("Railway could not be asked for older lines")
    await window.picture(f"older-again-{size}-dark")
    shop.railway.faults.http = None
    await press(window, "older-again")

    for _ in range(100):
        if await window.line("line 0000").count():
            break
        await to_the_top()
        await window.page.wait_for_timeout(50)
    await window.line("line 0000").wait_for()
    await expect(top).to_contain_text("beginning")


@pytest.mark.parametrize("way", ["button", "Escape"])
async def test_a_search_that_is_left_is_stopped_at_the_relay_too(shop: Shop, way: str) -> None:
    await shop.relay(**SHORT_MEMORY)
    past(shop)
    sent: list[str] = []
    window = await shop.open()
    await window.line("line 5999").wait_for()
    window.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    await window.page.reload()
    await window.line("line 5999").wait_for()
    shop.railway.faults.query_delay = 0.7

    await search(window)
    await expect(window.part("older-progress")).to_be_visible()
    if way == "button":
        await press(window, "older-cancel")
        await expect(window.part("older-progress")).to_contain_text("Stopped")
    else:
        await window.part("older").press("Escape")
        await expect(window.part("older")).to_have_count(0)
    shop.environment.write("a line after it")
    await window.line("a line after it").wait_for()

    assert [frame for frame in sent if '"history"' in frame]
    assert [frame for frame in sent if '"cancel"' in frame or "cancel" in frame]
