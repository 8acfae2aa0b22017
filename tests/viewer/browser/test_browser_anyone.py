"""Anyone, anywhere: by keyboard alone, by screen reader, on a phone, in the dark, zoomed in, without motion."""

import re

import pytest
from browser_hands import (
    AWAY,
    CLIPBOARD,
    accessibility_faults,
    big,
    copied,
    each_scheme,
    each_size,
    keys,
    narrow_enough,
    opened,
    press,
)
from browser_scene import Shop, Window
from playwright.async_api import expect

TRACE = 'Traceback (most recent call last):\n  File "/app/jobs.py", line 17\nValueError: nothing'


def mixed(shop: Shop) -> None:
    """Lines of all kinds."""
    for number in range(30):
        severity = ("debug", "info", "warn", "error", None)[number % 5]
        service = ("api", "web", "worker")[number % 3]
        shop.environment.write(
            f"line {number:02}", service=service, severity=severity, attributes={"n": number}
        )
    shop.environment.write(
        "\x1b[31mred\x1b[0m \x1b[44mon blue\x1b[0m \x1b[38;2;40;40;40mdark\x1b[0m " + "wide " * 80
    )
    shop.environment.write(TRACE, severity="error")
    shop.environment.write("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl " + "x" * 3000)
    shop.environment.service("api").deploy()
    shop.environment.write("the last")


async def sound(window: Window, name: str, found: dict[str, list[str]]) -> None:
    """Look at what is shown: its accessibility, its width, and a picture of it."""
    faults = await accessibility_faults(window)
    if not await narrow_enough(window):
        faults.append("the page can be scrolled sideways")
    if faults:
        found[name] = faults
    await window.picture(name)


async def tour(shop: Shop, size: str, scheme: str) -> dict[str, list[str]]:
    """Go through the page's main states; the faults in each."""
    found: dict[str, list[str]] = {}
    look = f"{size}-{scheme}"
    empty = await shop.open(size=size, scheme=scheme, wait='[data-testid="nothing"]')
    await sound(empty, f"empty-{look}", found)
    await empty.context.close()
    mixed(shop)
    window = await shop.open(size=size, scheme=scheme)
    await window.line("the last").wait_for()
    await sound(window, f"live-{look}", found)
    await opened(window, "line 29")
    await sound(window, f"drawer-{look}", found)
    await press(window, "drawer-close")
    await press(window, window.line("line 29").locator(".service"))
    await sound(window, f"service-menu-{look}", found)
    await keys(window, "Escape")
    await press(window, "find-open")
    await window.part("find").fill("line")
    await keys(window, "Enter")
    await sound(window, f"find-{look}", found)
    await press(window, "find-older")
    await expect(window.part("older-progress")).to_contain_text("in all")
    await sound(window, f"older-{look}", found)
    await window.part("older").press("Escape")
    await press(window, "find-close")
    await window.part("query").fill('"unbalanced')
    await window.part("fault").wait_for()
    await sound(window, f"fault-{look}", found)
    await press(window, "clear-filter")
    await press(window, "services")
    await sound(window, f"services-{look}", found)
    await keys(window, "Escape")
    for key, dialog in (("?", "sheet"), (",", "panel"), ("d", "panel"), ("e", "panel")):
        await window.part("lines").focus()
        await keys(window, key)
        await window.part(dialog).wait_for()
        await sound(
            window,
            f"dialog-{ {'?': 'keys', ',': 'settings', 'd': 'download', 'e': 'picker'}[key] }-{look}",
            found,
        )
        await keys(window, "Escape")
        await expect(window.part(dialog)).to_have_count(0)
    return found


@big
@each_size
@each_scheme
@pytest.mark.timeout(120)
async def test_axe_finds_no_serious_fault_in_any_state(shop: Shop, size: str, scheme: str) -> None:
    assert await tour(shop, size, scheme) == {}


async def test_axe_finds_no_serious_fault_in_the_live_log(shop: Shop) -> None:
    mixed(shop)
    window = await shop.open()
    await window.line("the last").wait_for()

    assert await accessibility_faults(window) == []


@big
async def test_axe_would_find_a_fault(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open()
    await window.page.evaluate("document.querySelector('#settings').removeAttribute('aria-label')")
    await window.page.evaluate("document.querySelector('#settings').removeAttribute('title')")

    assert "button-name" in "".join(await accessibility_faults(window))


@big
@each_size
@each_scheme
async def test_axe_finds_no_serious_fault_in_sign_in_and_while_reconnecting(
    stage: Shop, size: str, scheme: str
) -> None:
    found: dict[str, list[str]] = {}
    await stage.relay(
        LOGRELAY_AUTH="token", LOGRELAY_TOKENS='{"name":"a","sha256":"' + "0" * 64 + '","environments":"*"}'
    )
    asked = await stage.open(size=size, scheme=scheme, wait='[data-testid="signin"]', tolerated=AWAY)
    await sound(asked, f"signin-{size}-{scheme}", found)
    await asked.context.close()
    relay = await stage.relay()
    mixed(stage)
    window = await stage.open(size=size, scheme=scheme, tolerated=AWAY)
    await window.line("the last").wait_for()
    relay._process.kill()
    await expect(window.part("state")).to_contain_text("reconnecting")
    await sound(window, f"reconnecting-{size}-{scheme}", found)

    assert found == {}


async def test_everything_is_done_by_the_keyboard_alone(shop: Shop) -> None:
    mixed(shop)
    window = await shop.open(**CLIPBOARD)
    await window.line("the last").wait_for()
    selected = window.page.locator(".row.selected:visible")

    await keys(window, "Tab", "Enter")  # the link that skips to the log
    await expect(window.part("lines")).to_be_focused()
    await keys(window, "End", "k")
    await expect(selected).to_contain_text("the last")
    await keys(window, "c")
    assert "the last" in await copied(window)
    await keys(window, "Enter")
    await window.part("drawer").wait_for()
    await keys(window, "Escape")
    await expect(window.part("drawer")).to_have_count(0)
    await expect(window.part("lines")).to_be_focused()
    await keys(window, "/")
    await window.page.keyboard.type('"line 2"')
    await keys(window, "Enter", "Escape")
    await expect(window.page.locator(".row:visible")).to_have_count(10)
    await keys(window, "f")
    await window.page.keyboard.type("line 25")
    await keys(window, "Enter")
    await expect(window.page.locator(".row.current:visible")).to_contain_text("line 25")
    await keys(window, "Escape", "a")
    await window.part("back-to-live").wait_for()
    await window.line("line 15").wait_for()
    await window.part("back-to-live").focus()
    await keys(window, "Enter")
    await window.line("the last").wait_for()
    await window.part("services").focus()
    await keys(window, "Enter", "ArrowDown", "Space", "Escape")
    await expect(window.part("services")).to_be_focused()
    await expect(window.part("chip")).to_contain_text("not api")
    await expect(window.line("line 15")).to_have_count(0)
    await window.part("lines").focus()
    await keys(window, "\\", "d")
    async with window.page.expect_download() as coming:
        await window.part("download-text").focus()
        await keys(window, "Enter")
    assert (await coming.value).suggested_filename.endswith(".log")


@big
@each_size
async def test_the_sheet_names_each_key_and_goes_as_it_came(shop: Shop, size: str) -> None:
    shop.environment.write("a line")
    window = await shop.open(size=size)
    await window.part("lines").focus()

    await keys(window, "?")
    sheet = window.page.get_by_role("dialog", name="Keys")
    for key in ("j", "/", "f", "n", "]", "a", "w", "t", "z", "l", "c", "y", "d", "?"):
        await expect(sheet.locator("kbd", has_text=re.compile(f"^{re.escape(key)}$"))).to_have_count(1)
    await keys(window, "w", "Escape")

    await expect(sheet).to_have_count(0)
    await expect(window.part("lines")).to_be_focused()


@big
async def test_focus_returns_to_what_opened_a_dialog(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open()

    for opener, dialog in (
        ("settings", "panel"),
        ("download", "panel"),
        ("help", "sheet"),
        ("environment", "panel"),
    ):
        await window.part(opener).focus()
        await keys(window, "Enter")
        await window.part(dialog).wait_for()
        assert await window.part(dialog).evaluate("dialog => dialog.contains(document.activeElement)")
        await keys(window, "Escape")
        await expect(window.part(opener)).to_be_focused()


@big
async def test_parts_have_roles_and_names(shop: Shop) -> None:
    shop.environment.write("a line", severity="warn")
    window = await shop.open()
    page = window.page

    await expect(page.get_by_role("log", name="Log lines")).to_be_visible()
    await expect(page.get_by_role("combobox", name="Filter lines")).to_be_visible()
    await expect(page.get_by_role("combobox", name="Lowest severity")).to_be_visible()
    await expect(page.get_by_role("main")).to_have_count(1)
    await expect(page.get_by_role("banner")).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Logs")
    for name in ("Find", "Wrap lines", "Download", "Settings", "Keys", "Copy a link to this view"):
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
    await window.part("lines").focus()
    await keys(window, "k")
    await expect(window.page.get_by_test_id("spoken")).to_have_text(re.compile("^warn, api, .*: a line$"))


@big
async def test_nothing_moves_for_those_who_want_no_motion(shop: Shop) -> None:
    shop.environment.write("a line")
    moving = "document.getAnimations().filter(one => one.effect.getComputedTiming().duration > 50).length"
    window = await shop.open(reduced_motion="reduce")
    await press(window, "settings")
    await keys(window, "Escape")

    assert await window.page.evaluate(moving) == 0


@big
async def test_the_theme_follows_the_system_unless_it_is_chosen(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open(scheme="light")
    root = window.page.locator("html")

    await expect(root).to_have_attribute("data-theme", "light")
    await window.page.emulate_media(color_scheme="dark")
    await expect(root).to_have_attribute("data-theme", "dark")
    await press(window, "settings")
    await window.part("setting-theme").select_option("light")
    await expect(root).to_have_attribute("data-theme", "light")
    await keys(window, "Escape")
    await window.page.reload()
    await window.line("a line").wait_for()
    await expect(root).to_have_attribute("data-theme", "light")
    await window.part("lines").focus()
    await keys(window, "l")
    await expect(root).to_have_attribute("data-theme", "dark")


@big
@each_size
async def test_settings_are_kept_over_a_reload(shop: Shop, size: str) -> None:
    shop.environment.write("a line")
    window = await shop.open(size=size)
    await press(window, "settings")
    boxes = ("nanoseconds", "wrap", "dense", "colours", "grouped", "histogram")
    for name in boxes:
        await press(window, f"setting-{name}")
    before = [await window.part(f"setting-{name}").is_checked() for name in boxes]
    for name, value in (("clock", "full"), ("zone", "UTC"), ("theme", "light")):
        await window.part(f"setting-{name}").select_option(value)
    await press(window, "panel-close")

    await window.page.reload()
    await window.line("a line").wait_for()
    await press(window, "settings")

    assert [await window.part(f"setting-{name}").is_checked() for name in boxes] == before
    for name, value in (("clock", "full"), ("zone", "UTC"), ("theme", "light")):
        await expect(window.part(f"setting-{name}")).to_have_value(value)


@big
@each_scheme
async def test_at_twice_the_size_everything_is_there_and_nothing_is_cut_off(shop: Shop, scheme: str) -> None:
    mixed(shop)
    window = await shop.open(size="zoomed", scheme=scheme, device_scale_factor=2)
    await window.line("the last").wait_for()

    assert await narrow_enough(window)
    await expect(window.part("query")).to_be_in_viewport(ratio=1)
    await expect(window.part("settings")).to_be_in_viewport(ratio=1)
    await expect(window.line("the last")).to_be_in_viewport(ratio=1)
    await window.part("settings").click()
    await window.part("panel-close").scroll_into_view_if_needed()
    await window.part("panel-close").click()
    await window.picture(f"live-zoomed-{scheme}")


@big
@pytest.mark.parametrize(
    "deed",
    [
        "console.error('a complaint')",
        "fetch('http://127.0.0.1:9/elsewhere').catch(() => {})",
        "setTimeout(() => { throw new Error('thrown'); })",
        "document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))",
    ],
)
async def test_whatever_goes_wrong_in_a_window_is_noticed(shop: Shop, deed: str) -> None:
    shop.environment.write("a line")
    window = await shop.open()
    assert window.faults == []

    await window.page.evaluate(f"() => {{ {deed}; }}")
    await window.page.evaluate("() => new Promise(done => setTimeout(done, 50))")

    assert window.faults != []
    window.faults.clear()
