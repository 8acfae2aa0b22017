"""Anyone, anywhere: by keyboard alone, by screen reader, on a phone, in the dark, zoomed in, without motion."""

import re
import signal
from typing import Any

import attrs
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


@attrs.frozen
class Tour:
    """Goes from state to state of the page, and notes the faults in each."""

    stage: Shop
    size: str
    scheme: str
    found: dict[str, list[str]] = attrs.Factory(dict)

    async def open(self, wait: str, **options: Any) -> Window:
        selector = wait if wait.startswith(".") else f'[data-testid="{wait}"]'
        tolerated = (*AWAY, "401", "403")
        return await self.stage.open(
            **{"size": self.size, "scheme": self.scheme, "wait": selector, "tolerated": tolerated, **options}
        )

    async def look(self, window: Window, name: str) -> None:
        """At its accessibility and its width; and take a picture of it."""
        faults = await accessibility_faults(window)
        if not await narrow_enough(window):
            faults.append("the page can be scrolled sideways")
        if faults:
            self.found[name] = faults
        await window.picture(f"{name}-{self.size}-{self.scheme}")

    async def beginning(self) -> None:
        """The sign-in, the choice among many, and an empty log."""
        tokens = '{"name":"a","sha256":"' + "0" * 64 + '","environments":"*"}'
        await self.stage.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS=tokens)
        window = await self.open("signin")
        await window.part("signin-token").fill("not-the-token")
        await press(window, "signin-submit")
        await expect(window.part("signin-reason")).to_contain_text("does not take")
        await self.look(window, "signin")
        await window.context.close()
        world = self.stage.railway.world
        others = [world.add_environment(f"preview {number}") for number in range(10)]
        ids = [self.stage.environment.id, *(other.id for other in others)]
        await self.stage.relay(LOGRELAY_ENVIRONMENTS=",".join(ids))
        window = await self.open("environment-search", path="/")
        await self.look(window, "picker")
        await window.part("environment-search").fill("preview")
        await self.look(window, "picker-search")
        await keys(window, "Escape")
        await window.part("choose").wait_for()
        await self.look(window, "unchosen")
        await window.context.close()
        window = await self.open("nothing")
        await expect(window.part("nothing")).to_contain_text("Waiting")
        await self.look(window, "empty")
        await window.context.close()

    async def core(self) -> Window:
        """The live log, a line's details, and find."""
        mixed(self.stage)
        window = await self.open(".row")
        await window.line("the last").wait_for()
        await self.look(window, "live")
        await opened(window, "line 29")
        await self.look(window, "drawer")
        await press(window, "drawer-close")
        await press(window, "find-open")
        await window.part("find").fill("line")
        await keys(window, "Enter")
        await self.look(window, "find")
        return window

    async def finding(self, window: Window) -> None:
        """Menus, the past, and filters."""
        await press(window, "find-older")
        await expect(window.part("older-progress")).to_contain_text("in all")
        await self.look(window, "older")
        await window.part("older").press("Escape")
        await press(window, "find-close")
        await press(window, window.line("line 29").locator(".service"))
        await self.look(window, "service-menu")
        await keys(window, "Escape")
        await window.part("query").fill('"unbalanced')
        await window.part("fault").wait_for()
        await self.look(window, "fault")
        await window.part("query").fill("@level:")
        await window.part("completion").first.wait_for()
        await self.look(window, "completion")
        await press(window, "clear-filter")
        await press(window, "services")
        await window.part("service-option").first.uncheck()
        await self.look(window, "services")
        await keys(window, "Escape")
        await self.look(window, "chips")
        await window.part("query").fill("what nobody has written")
        await window.part("nothing").wait_for()
        await self.look(window, "nothing")
        await press(window, "clear-filter")
        await window.line("the last").wait_for()

    async def dialogs(self, window: Window) -> None:
        """Each that a key opens."""
        named = (
            ("?", "keys"),
            (",", "settings"),
            ("d", "download"),
            ("e", "environments"),
            ("i", "connection"),
        )
        for key, name in named:
            dialog = "sheet" if key == "?" else "panel"
            await window.part("lines").focus()
            await keys(window, key)
            await window.part(dialog).wait_for()
            await self.look(window, f"dialog-{name}")
            await keys(window, "Escape")
            await expect(window.part(dialog)).to_have_count(0)

    async def troubles(self, window: Window) -> None:
        """Around a line, Railway away, and the relay gone."""
        await opened(window, "line 29")
        await press(window, "show-around")
        await window.part("back-to-live").wait_for()
        await window.line("line 29").wait_for()
        await self.look(window, "around")
        await press(window, "back-to-live")
        await window.line("the last").wait_for()
        self.stage.railway.faults.refuse_upgrade = (503, {}, "away")
        await self.stage.railway.faults.reset()
        await expect(window.part("state")).to_contain_text("Railway is away")
        await self.look(window, "railway-away")
        self.stage.railway.faults.reset_all()
        self.stage.child.signal(signal.SIGKILL)
        await expect(window.part("state")).to_contain_text("reconnecting")
        await self.look(window, "reconnecting")
        await press(window, "state")
        await window.part("connection").wait_for()
        await self.look(window, "dialog-connection-lost")


@big
@each_size
@each_scheme
@pytest.mark.timeout(120)
async def test_axe_finds_no_serious_fault_in_any_state(stage: Shop, size: str, scheme: str) -> None:
    tour = Tour(stage, size, scheme)
    await tour.beginning()
    window = await tour.core()
    await tour.finding(window)
    await tour.dialogs(window)
    await tour.troubles(window)

    assert tour.found == {}


async def test_axe_finds_no_serious_fault_in_the_core_states(shop: Shop) -> None:
    tour = Tour(shop, "desktop", "light")
    await tour.core()

    assert tour.found == {}


@big
async def test_axe_would_find_a_fault(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open()
    await window.page.evaluate("document.querySelector('#settings').removeAttribute('aria-label')")
    await window.page.evaluate("document.querySelector('#settings').removeAttribute('title')")

    assert "button-name" in "".join(await accessibility_faults(window))


@big
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
    for name in ("Find", "Wrap lines", "Download", "Settings", "Help", "Copy a link to this view"):
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
