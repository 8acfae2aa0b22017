"""Lines and what can be seen in them: who wrote them, when, in which colours, and what was done to them on the way."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from browser_hands import (
    CLIPBOARD,
    big,
    copied,
    each_scheme,
    each_size,
    frames,
    keys,
    opened,
    phone,
    press,
    until,
)
from browser_scene import Shop, Window
from playwright.async_api import Locator, expect

STAMP = "2026-11-20T13:14:15.123456789Z"
TRACE = """Traceback (most recent call last):
  File "/app/jobs.py", line 17, in perform
    self.handler(job)
ValueError: nothing to do"""
COLOUR = "element => getComputedStyle(element).color"


async def colour(of: Locator) -> str:
    value: str = await of.evaluate(COLOUR)
    return value


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(…)`, as WCAG 2.2 has it."""
    parts = [int(part) / 255 for part in colour[4:-1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


async def chips(window: Window) -> list[str]:
    return [text.rstrip("\N{MULTIPLICATION SIGN}") for text in await window.part("chip").all_text_contents()]


@each_size
@each_scheme
@big
async def test_severities_can_be_told_apart_by_word_and_colour(shop: Shop, size: str, scheme: str) -> None:
    levels = {"debug": "DBG", "info": "INF", "warn": "WRN", "error": "ERR", None: "···"}
    for severity in levels:
        shop.environment.write(f"it is {severity}", severity=severity)
    window = await shop.open(size=size, scheme=scheme)
    await window.line("it is None").wait_for()

    for severity, word in levels.items():
        await expect(window.line(f"it is {severity}").locator(".level")).to_have_text(word)
    seen = [await colour(window.line(f"it is {severity}").locator(".level")) for severity in levels]
    assert len(set(seen[1:4])) == 3
    ground = await window.part("lines").evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert [shade for shade in seen if contrast(shade, ground) < 4.5] == []
    await window.picture(f"severities-{size}-{scheme}")


@big
async def test_a_service_keeps_its_colour_and_has_one_of_its_own(shop: Shop) -> None:
    for service in ("api", "web", "worker"):
        shop.environment.write(f"by {service}", service=service)
    window = await shop.open()
    await window.line("by worker").wait_for()

    async def colours() -> list[str]:
        return [
            await colour(window.line(f"by {name}").locator(".service")) for name in ("api", "web", "worker")
        ]

    before = await colours()
    await window.page.reload()
    await window.line("by worker").wait_for()

    assert len(set(before)) == 3
    assert await colours() == before


@each_size
@big
async def test_a_services_chip_includes_and_excludes_it(shop: Shop, size: str) -> None:
    for service in ("api", "web", "worker"):
        shop.environment.write(f"by {service}", service=service)
    window = await shop.open(size=size)
    await window.line("by worker").wait_for()

    await press(window, window.line("by web").locator(".service"))
    await press(window, "only-service")
    await expect(window.page.locator(".row:visible")).to_have_count(1)
    assert await chips(window) == ["web"]
    await expect(window.part("services")).to_contain_text("web")
    await press(window, window.line("by web").locator(".service"))
    await press(window, "all-services")
    await window.line("by api").wait_for()
    await press(window, window.line("by web").locator(".service"))
    await press(window, "hide-service")
    await expect(window.line("by web")).to_have_count(0)
    await window.line("by api").wait_for()

    await window.line("by worker").wait_for()
    assert await chips(window) == ["not web"]
    await press(window, window.page.get_by_role("button", name="Remove not web"))
    await window.line("by web").wait_for()
    assert await chips(window) == []


@big
async def test_the_menu_of_services_ticks_them_one_by_one(shop: Shop) -> None:
    for service in ("api", "web", "worker"):
        shop.environment.write(f"by {service}", service=service)
    window = await shop.open()
    await window.line("by worker").wait_for()

    await press(window, "services")
    await window.page.get_by_role("checkbox", name="worker").uncheck()
    await expect(window.line("by worker")).to_have_count(0)
    await expect(window.part("services")).to_have_text("All but worker")
    await window.picture("services-desktop-dark")
    await window.page.get_by_role("button", name="only this service: web").click()
    await expect(window.page.locator(".row:visible")).to_have_count(1)
    await window.part("services-menu").get_by_role("button", name="All services").click()

    await window.line("by worker").wait_for()
    await keys(window, "Escape")
    await expect(window.part("services-menu")).to_have_count(0)
    await expect(window.part("services")).to_be_focused()


@big
async def test_times_are_local_utc_in_any_zone_relative_and_to_the_nanosecond(shop: Shop) -> None:
    shop.environment.write("stamped", at=STAMP)
    window = await shop.open(timezone_id="America/New_York")
    time = window.line("stamped").locator(".time")
    moment = datetime.fromisoformat(STAMP[:26] + "+00:00")

    await expect(time).to_have_text("08:14:15.123")
    await press(window, "settings")
    await window.part("setting-zone").select_option("UTC")
    await expect(time).to_have_text("13:14:15.123")
    await window.part("setting-zone").select_option("Asia/Dubai")
    await expect(time).to_have_text(f"{moment.astimezone(ZoneInfo('Asia/Dubai')):%H:%M:%S}.123")
    await window.part("setting-nanoseconds").check()
    await expect(time).to_have_text("17:14:15.123456789")
    await window.part("setting-clock").select_option("full")
    await expect(time).to_have_text("2026-11-20 17:14:15.123456789")
    await window.part("setting-clock").select_option("relative")
    await expect(time).to_have_text(f"{(datetime.now(moment.tzinfo) - moment).days} d ago")


@big
async def test_keys_change_the_clock_the_zone_and_nanoseconds(shop: Shop) -> None:
    shop.environment.write("stamped", at=STAMP)
    window = await shop.open(timezone_id="Asia/Tokyo")
    time = window.line("stamped").locator(".time")
    await window.part("lines").focus()

    await expect(time).to_have_text("22:14:15.123")
    await keys(window, "z")
    await expect(time).to_have_text("13:14:15.123")
    await keys(window, ".")
    await expect(time).to_have_text("13:14:15.123456789")
    await keys(window, "t")
    await expect(time).to_have_text("2026-11-20 13:14:15.123456789")
    await keys(window, "t")
    await expect(time).to_contain_text(" ago")
    await keys(window, "t")
    await expect(time).to_have_text("13:14:15.123456789")


@each_scheme
@big
async def test_ansi_colours_follow_the_theme_and_can_be_read(shop: Shop, scheme: str) -> None:
    shop.environment.write(
        "\x1b[31mred\x1b[0m and \x1b[1;38;2;20;20;30mnight\x1b[0m and \x1b[38;5;230mpale\x1b[0m"
    )
    window = await shop.open(scheme=scheme)
    line = window.line("red and night and pale").locator(".message")
    await line.wait_for()

    assert "\x1b" not in (await line.text_content() or "")
    pieces = line.locator("span[class], span[style]")
    ground = await line.evaluate("() => getComputedStyle(document.body).backgroundColor")
    shades = [await colour(piece) for piece in await pieces.all()]
    assert len(set(shades)) == 3
    assert [shade for shade in shades if contrast(shade, ground) < 4.4] == []
    assert shades[0] == ("rgb(255, 123, 114)" if scheme == "dark" else "rgb(189, 30, 30)")
    assert await pieces.nth(1).evaluate("piece => getComputedStyle(piece).fontWeight") >= "600"
    await press(window, "settings")
    await window.part("setting-colours").uncheck()
    await expect(pieces).to_have_count(0)


async def test_details_show_the_attributes_and_filter_by_their_values(shop: Shop) -> None:
    order = {"order": {"id": 17, "items": ["tea", "jam"]}, "paid": True, "note": 'a "quoted" note'}
    shop.environment.write("an order", attributes=order)
    shop.environment.write("another order", attributes={"order": {"id": 18}, "paid": False})
    window = await shop.open(**CLIPBOARD)
    drawer = await opened(window, "an order")
    attributes = window.part("attributes")

    for path in ("order.id", "order.items[0]", "paid", "note"):
        await expect(attributes).to_contain_text(path)
    await press(window, drawer.get_by_role("button", name="Copy note"))
    assert await copied(window) == 'a "quoted" note'
    await window.picture("drawer-desktop-dark")
    await press(window, drawer.get_by_role("button", name="Filter by this order.id"))
    await expect(window.page.locator(".row:visible")).to_have_count(1)
    assert await chips(window) == ["order.id = 17"]
    await press(window, "clear-filter")
    await window.line("another order").wait_for()
    await opened(window, "an order")
    await press(window, window.page.get_by_role("button", name="Filter out this paid"))
    await window.line("another order").wait_for()
    await expect(window.page.locator(".row:visible")).to_have_count(1)

    shop.environment.write("a paid one", attributes={"paid": True})
    shop.environment.write("an unpaid one", attributes={"paid": False})
    await window.line("an unpaid one").wait_for()
    await expect(window.line("a paid one")).to_have_count(0)


@big
async def test_details_on_a_phone_cover_the_list_and_give_it_back(shop: Shop) -> None:
    shop.environment.write("an order", attributes={"order": {"id": 17}, "long": "word " * 200})
    window = await shop.open(size="phone", **CLIPBOARD)

    drawer = await opened(window, "an order")
    box = await drawer.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert box["height"] > 300
    await press(window, drawer.get_by_role("button", name="Copy order.id"))
    assert await copied(window) == "17"
    await window.picture("drawer-phone-dark")
    await press(window, "drawer-close")

    await expect(window.part("drawer")).to_have_count(0)
    await expect(window.part("lines")).to_be_focused()


@big
async def test_details_step_from_line_to_line_and_name_the_record(shop: Shop) -> None:
    row = shop.environment.write("one", at=STAMP)
    shop.environment.write("two")
    window = await shop.open(timezone_id="Asia/Tokyo")

    drawer = await opened(window, "one")
    await expect(drawer).to_contain_text("2026-11-20 22:14:15.123456789")
    await expect(drawer).to_contain_text("2026-11-20T13:14:15.123456789Z")
    tags = row.tags or {}
    await expect(drawer).to_contain_text(tags["deploymentId"] or "-")
    await expect(drawer).to_contain_text(tags["deploymentInstanceId"] or "-")
    await drawer.get_by_role("button", name="Next line").click()

    await expect(window.part("drawer-message")).to_have_text("two")
    await drawer.get_by_role("button", name="Previous line").click()
    await expect(window.part("drawer-message")).to_have_text("one")


@each_size
@big
async def test_a_stack_trace_is_folded_under_its_first_line_and_unfolds(shop: Shop, size: str) -> None:
    shop.environment.write(TRACE, severity="error")
    for line in (
        "TypeError: price",
        "    at total (/app/cart.js:27:3)",
        "    at checkout (/app/cart.js:118:14)",
    ):
        shop.environment.write(line, service="web", severity="error")
    shop.environment.write("all is well again")
    window = await shop.open(size=size)
    await window.line("all is well again").wait_for()

    await expect(window.page.locator(".row:visible")).to_have_count(3)
    whole, cut = window.line("Traceback"), window.line("TypeError: price")
    await expect(whole.locator(".fold")).to_have_text("+3")
    await expect(cut.locator(".fold")).to_have_text("+2")
    await press(window, whole.locator(".fold"))
    await expect(whole).to_contain_text("ValueError: nothing to do")
    await press(window, cut.locator(".fold"))
    await expect(window.line("at checkout")).to_have_count(1)
    await window.picture(f"traces-{size}-dark")
    await press(window, cut.locator(".fold"))

    await expect(window.line("at checkout")).to_have_count(0)
    await keys(window, "Escape", "End", "k", "k", "k")
    await expect(window.page.locator(".row.selected")).to_contain_text("Traceback")
    await keys(window, "x")
    await expect(whole.locator(".fold")).to_have_text("+3")
    await press(window, "settings")
    await window.part("setting-grouped").uncheck()
    await press(window, "panel-close")
    await window.line("at checkout").wait_for()


@big
async def test_long_lines_wrap_when_wanted(shop: Shop) -> None:
    shop.environment.write("wide " + "word " * 120)
    window = await shop.open()
    line = window.line("wide word")

    async def height() -> float:
        box = await line.bounding_box()
        assert box is not None
        return box["height"]

    before = await height()
    await press(window, "wrap")
    await frames(window)
    assert await height() >= 3 * before
    await expect(window.page.get_by_role("button", name="Wrap lines")).to_have_attribute(
        "aria-pressed", "true"
    )
    await keys(window, "w")
    await frames(window)
    assert await height() == before


@each_size
@big
async def test_a_very_long_line_is_cut_and_shown_whole_on_demand(shop: Shop, size: str) -> None:
    text = "begin " + "middle " * 3000 + "end"
    shop.environment.write(text)
    window = await shop.open(size=size)
    line = window.line("begin middle")
    if size == "desktop":
        await press(window, "wrap")  # a phone wraps by itself

    await expect(line).to_contain_text("show all 21 KB")
    assert len(await line.locator(".message").text_content() or "") < 2100
    await line.locator(".all").scroll_into_view_if_needed()
    await press(window, line.locator(".all"))

    await expect(window.part("drawer-message")).to_have_text(text)


@big
async def test_marks_tell_what_is_late_cut_and_redacted(shop: Shop) -> None:
    window = await shop.open(wait='[data-testid="state"]')
    await shop.railway.subscribed()
    now = shop.environment.write("the newest").ns
    await window.line("the newest").wait_for()
    shop.environment.write("an earlier one", at=now - 1_000_000_000)
    shop.environment.write("giant " + "x" * 70_000)
    shop.environment.write(
        "with postgres://shop:hunter2hunter2@db/shop and Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
    )

    await expect(window.line("an earlier one").locator(".mark-late")).to_have_text("late")
    await expect(window.line("giant xxx").locator(".mark-truncated")).to_have_text("cut")
    await expect(window.line("with postgres").locator(".mark-redacted")).to_contain_text("redacted")
    await expect(window.line("hunter2hunter2")).to_have_count(0)
    drawer = await opened(window, "giant xxx")
    await expect(drawer).to_contain_text("Cut at 64 KiB; it had 68 KB")
    await window.picture("marks-desktop-dark")


@big
async def test_rulers_stand_where_a_deployment_began_and_lines_were_dropped(shop: Shop) -> None:
    shop.environment.write("by the old one")
    window = await shop.open()
    await window.line("by the old one").wait_for()
    new = shop.environment.service("api").deploy()
    shop.environment.write("by the new one")
    await window.line("by the new one").wait_for()
    shop.environment.write(
        "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the "
        "logging rate. Messages dropped: 12"
    )

    deployment = window.page.locator(".ruler-deployment:visible")
    await expect(deployment).to_contain_text(f"New deployment of api ({new.id[:8]})")
    gap = window.page.locator(".ruler-gap:visible")
    await expect(gap).to_contain_text("12 lines are missing here: Railway dropped them")
    boxes = [
        await row.bounding_box()
        for row in (window.line("by the old one"), deployment, window.line("by the new one"), gap)
    ]
    tops = [box["y"] for box in boxes if box is not None]
    assert len(tops) == 4
    assert tops == sorted(tops)


@each_size
@big
async def test_rulers_stand_where_the_upstream_was_lost(shop: Shop, size: str) -> None:
    shop.environment.write("before")
    window = await shop.open(size=size)
    await window.line("before").wait_for()
    await shop.railway.subscribed()

    await shop.railway.stop_listening(cut=True)
    await window.page.locator(".ruler-reconnecting:visible").wait_for()
    shop.environment.write_many(["in the hole", "deep in the hole"])
    await shop.railway.listen_again()

    await expect(window.page.locator(".ruler-live:visible")).to_contain_text("Railway is back")
    await window.line("deep in the hole").wait_for()
    assert [text for text in await window.messages() if "Railway" not in text] == [
        "before",
        "in the hole",
        "deep in the hole",
    ]
    await window.picture(f"rulers-{size}-dark")


@big
@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_ids_of_rows_are_the_records_own(shop: Shop, size: str) -> None:
    written = shop.environment.write("with an id", at=STAMP, attributes={"a": 1})
    window = await shop.open(size=size)

    identity = await window.line("with an id").get_attribute("data-id")

    assert identity is not None
    assert identity.startswith(written.timestamp)
    await until(window, f"!location.href.includes({json.dumps(identity)})")
    assert phone(window) == (size == "phone")
