"""Seeing: the histogram, and a header that tells quiet from broken."""

import re
import signal
import time

from browser_hands import AWAY, big, each_scheme, each_size, phone, phone_is_big, press, until
from browser_scene import Shop, Window
from playwright.async_api import expect

NOW = time.time_ns()
MINUTE = 60_000_000_000

_SHADES = """() => {
    const canvas = document.querySelector("#histogram canvas");
    if (!canvas) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const shades = new Set();
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255) shades.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
    return shades.size;
}"""


def an_hour(shop: Shop) -> None:
    """Three lines a minute over the last hour: all info but warnings in minute 20 and errors in minute 40."""
    for minute in range(60):
        severity = {20: "warn", 40: "error"}.get(minute, "info")
        for line in range(3):
            at = NOW - (60 - minute) * MINUTE + line * 1_000_000_000
            shop.environment.write(f"minute {minute:02} line {line}", severity=severity, at=at)


async def state(window: Window, text: str, within: float = 10_000) -> None:
    await expect(window.part("state")).to_contain_text(re.compile(text), timeout=within)


@big
@each_size
@each_scheme
async def test_the_histogram_shows_severities_over_time_and_jumps(shop: Shop, size: str, scheme: str) -> None:
    an_hour(shop)
    window = await shop.open(size=size, scheme=scheme)
    await window.line("minute 59 line 2").wait_for()
    histogram = window.part("histogram")

    await expect(histogram).to_contain_text("180 lines over")
    await until(window, f"({_SHADES})() >= 3")
    box = await histogram.bounding_box()
    assert box is not None
    if phone(window):
        await window.page.touchscreen.tap(box["x"] + 2, box["y"] + box["height"] - 4)
    else:
        await window.page.mouse.click(box["x"] + 2, box["y"] + box["height"] - 4)
    await window.line("minute 00 line 0").wait_for()
    await expect(window.page.locator(".row.selected:visible")).to_contain_text("minute 00 line 0")
    await expect(window.part("newer")).to_be_visible()
    await window.picture(f"histogram-{size}-{scheme}")


@big
async def test_the_header_tells_live_rate_lag_freshness_and_viewers(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open()
    await state(window, "^live$")
    await expect(window.part("viewers")).to_have_text("1 viewer")
    shop.environment.write_many([f"burst {number}" for number in range(40)])
    await expect(window.part("rate")).to_have_text(re.compile("^4[01]/s$"))
    shop.environment.write_many([f"burst {number}" for number in range(40)])

    await expect(window.part("lag")).to_have_text(re.compile(r"lag \d"))
    await expect(window.part("freshness")).to_have_text("Railway now")
    await expect(window.part("environment")).to_contain_text("production")
    assert await window.page.title() == "production · logrelay"


@big
async def test_two_windows_are_two_viewers(shop: Shop) -> None:
    await shop.relay(LOGRELAY_HEARTBEAT_SECONDS="1")
    shop.environment.write("a line")
    first = await shop.open()
    await expect(first.part("viewers")).to_have_text("1 viewer")

    second = await shop.open()

    await expect(second.part("viewers")).to_have_text("2 viewers")
    await expect(first.part("viewers")).to_have_text("2 viewers")


@big
async def test_quiet_is_told_from_broken_by_its_length(shop: Shop) -> None:
    shop.environment.write("long ago", at=time.time_ns() - 3 * MINUTE)
    window = await shop.open()

    await state(window, "^quiet for 3 min$")
    await expect(window.part("state")).to_have_attribute("data-tone", "calm")
    await window.picture("quiet-desktop-dark")
    shop.environment.write("and now")
    await state(window, "^live$")
    await expect(window.part("state")).to_have_attribute("data-tone", "good")


@phone_is_big
async def test_a_relay_that_is_gone_is_said_and_nothing_is_lost_when_it_is_back(
    shop: Shop, size: str
) -> None:
    relay = await shop.relay()
    port = shop.windows.base.rpartition(":")[2]
    shop.environment.write_many([f"before {number}" for number in range(5)])
    window = await shop.open(size=size, tolerated=AWAY)
    await window.line("before 4").wait_for()

    relay.signal(signal.SIGKILL)
    await state(window, r"^reconnecting, try \d+( in \d+ s)?$")
    await expect(window.part("state")).to_have_attribute("data-tone", "bad")
    await window.line("before 4").wait_for()  # the view is not cleared
    await window.picture(f"reconnecting-{size}-dark")
    shop.environment.write_many([f"meanwhile {number}" for number in range(5)])
    await shop.relay(PORT=port)
    shop.environment.write("after")

    await window.line("after").wait_for(timeout=20_000)
    await state(window, "^live$", 20_000)
    told = [text for text in await window.messages() if text.split()[0] in ("before", "meanwhile", "after")]
    assert told == [
        *(f"before {number}" for number in range(5)),
        *(f"meanwhile {number}" for number in range(5)),
        "after",
    ]
    await window.page.locator(".ruler-disconnected:visible").wait_for()
    await window.page.locator(".ruler-connected:visible").wait_for()


@big
@each_size
async def test_an_upstream_that_is_away_is_said_and_comes_back(shop: Shop, size: str) -> None:
    shop.environment.write("before")
    window = await shop.open(size=size)
    await window.line("before").wait_for()
    await shop.railway.subscribed()

    await shop.railway.stop_listening(cut=True)
    await state(window, r"^Railway is away, (try \d+ in \d+ s|reconnecting)$")
    await window.picture(f"away-{size}-dark")
    shop.environment.write("meanwhile")
    await shop.railway.listen_again()

    await window.line("meanwhile").wait_for()
    await state(window, "^live$")


@big
async def test_a_gap_is_said_in_the_header_too(shop: Shop) -> None:
    shop.environment.write("before")
    window = await shop.open()
    await window.line("before").wait_for()

    shop.environment.write(
        "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the "
        "logging rate. Messages dropped: 12"
    )

    await state(window, "lines are missing")
    await window.page.locator(".ruler-gap:visible").wait_for()
    await window.picture("gap-desktop-dark")


@big
async def test_the_header_is_heard_when_it_changes(shop: Shop) -> None:
    shop.environment.write("before")
    window = await shop.open()
    await expect(window.page.locator("#spoken-state")).to_have_text("live")
    await shop.railway.subscribed()

    await shop.railway.stop_listening(cut=True)

    await expect(window.page.locator("#spoken-state")).to_contain_text("Railway is away")
    assert await window.page.locator("#spoken-state").get_attribute("role") == "status"
    await press(window, "help")
