"""Hostile lines, names and addresses in the page: nothing runs, and everything is shown as the text that it is."""

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from browser_flood import download, eventually, held
from browser_hands import big
from browser_hostile import (
    ALL,
    DIRECTIONS,
    HIDDEN,
    KEYS,
    RAN,
    SERVICES,
    TALL,
    in_list,
    sendable,
    shown,
)
from browser_scene import Shop, Window

from logrelay.standin import Line, Row

AT_LEAST = 200
SHORT = 300  # characters of a line that stand in its attributes as well
SCRIPT = SERVICES[0]
PERMISSIONS = ["clipboard-read", "clipboard-write"]
STARTS = set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # of what a spreadsheet takes for a formula
LOADS = {
    "fetch",
    "xhr",
    "websocket",
    "manifest",
    "other",
}  # what a page that runs may still ask its relay for
TAGS = {
"a", "aside", "b", "button", "canvas", "dd", "div", "dl", "dt",
    "h2", "i", "input", "label", "li", "main", "mark", "ol", "p", "path", "pre", "progress",
    "section", "span", "svg", "ul",
}  # fmt: skip

ROWS = """() => [...document.querySelectorAll(".row:not([hidden])")]
  .sort((one, other) => one.dataset.n - other.dataset.n)
  .map((row) => {
    const message = row.querySelector(".message").cloneNode(true);
    message.querySelector(".attributes")?.remove();
    const cut = message.querySelector("button.all");
    const text = message.textContent;
    return {
      message: cut ? text.slice(0, text.length - cut.textContent.length - 2) : text,
      service: row.querySelector(".service").textContent,
      level: row.querySelector(".level").textContent,
    };
  })"""
DRAWERS = """(count) => {
  const lines = document.getElementById("lines");
  const drawer = document.getElementById("drawer");
  const found = [];
  for (let line = 0; line < count; line += 1) {
    const names = [...drawer.querySelectorAll("[data-testid=attributes] dt")];
    found.push({
      message: drawer.querySelector("[data-testid=drawer-message]").textContent,
      title: drawer.querySelector(".drawer-title").textContent,
      attributes: names.map((name) => [name.textContent, name.nextElementSibling.querySelector(".value").textContent]),
    });
    lines.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true, cancelable: true }));
  }
  return found;
}"""
# Where the columns of each row begin, how tall it is, and whether its attributes stand to the right of its message.
PLACES = """() => [...document.querySelectorAll(".row:not([hidden])")].map((row) => {
  const message = row.querySelector(".message");
  const side = row.querySelector(".attributes");
  const text = document.createRange();
  text.setStartBefore(message.firstChild);
  if (side) text.setEndBefore(side); else text.setEndAfter(message.lastChild);
  const ends = [...text.getClientRects()].map((rect) => rect.right);
  const starts = side ? [...side.getClientRects()].map((rect) => rect.left) : [Infinity];
  const columns = [".time", ".level", ".service", ".message"];
  return {
    lefts: columns.map((part) => row.querySelector(part).getBoundingClientRect().left),
    height: row.getBoundingClientRect().height,
    clipped: getComputedStyle(message).overflow === "hidden",
    apart: Math.max(...ends) <= Math.min(...starts) + 0.5,
  };
})"""
ELEMENTS = """() => {
  const all = [...document.querySelectorAll("main *, #completions *, .menu *, #chips *")];
  return {
    tags: [...new Set(all.map((element) => element.localName))],
    handlers: all.flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith("on")),
    links: all.map((element) => element.getAttribute("href")).filter((href) => href !== null),
  };
}"""


@asynccontextmanager
async def nothing_runs(window: Window) -> AsyncIterator[None]:
    """While inside, no script of a line runs, and nothing is asked for, opened, refused or said on its behalf."""
    page = window.page
    seen: list[str] = []
    page.on("dialog", lambda dialog: seen.append(f"dialog: {dialog.message}"))
    page.on("popup", lambda popup: seen.append(f"popup: {popup.url}"))
    page.on("console", lambda message: seen.append(f"console: {message.text}"))
    page.on(
        "framenavigated", lambda frame: seen.append(f"navigation: {frame.url}") if _moved(frame) else None
    )
    page.on(
        "request",
        lambda request: (
            seen.append(f"request: {request.url}") if request.resource_type not in LOADS else None
        ),
    )
    await page.evaluate(
        """() => { window.__refused = []; document.addEventListener("securitypolicyviolation",
            (event) => window.__refused.push(`${event.violatedDirective} ${event.blockedURI}`)); }"""
    )
    yield
    elements = await page.evaluate(ELEMENTS)
    assert await page.evaluate("[window.__ran, window.__refused]") == [None, []]
    assert seen == []
    assert set(elements["tags"]) <= TAGS
    assert elements["handlers"] == elements["links"] == []


def _moved(frame: Any) -> bool:
    return frame.parent_frame is not None or not frame.url.startswith("http://127.0.0.1")


def hostile_lines(shop: Shop) -> list[Row]:
    """Write every hostile line, by hostile services, with itself among its attributes."""
    known = {service.name for service in shop.environment.services}
    for name in SERVICES:
        if name not in known:
            shop.environment.add_service(name)
    lines = []
    for number, text in enumerate(ALL):
        lines.append(Line(text, SERVICES[number % len(SERVICES)], attributes=attributes(text)))
    return shop.environment.write_many(lines)


async def unfolded(window: Window) -> None:
    """Each line stands for itself: a folded one would not be on the screen."""
    await window.part("settings").click()
    await window.part("setting-grouped").uncheck()
    await window.part("panel-close").click()


async def tall(window: Window, lines: int) -> None:
    """Make the window so tall that so many lines are on the screen, and wait until they are."""
    await window.page.set_viewport_size({"width": 1280, "height": 22 * lines + 400})
    rows = window.page.locator(".row:visible")
    await window.page.wait_for_function(
        "count => document.querySelectorAll('.row:not([hidden])').length === count", arg=lines
    )
    assert await rows.count() == lines


def attributes(text: str) -> dict[str, Any]:
    """What a hostile line is given as attributes: itself as a value and as a name."""
    return {"value": text[:SHORT], f"name {text[:SHORT]}": 1}


def listed_attributes(row: Row) -> list[list[str]]:
    """The names and values that the drawer shows, in order of their names as the relay has them."""
    values = {sendable(name): same(value) for name, value in attributes(row.message).items()}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return sorted([shown(name), shown(text)] for name, text in {"level": "info", **texts}.items())


def same(value: object) -> object:
    """The value as the relay passes it on: with halves of characters, which not everyone could read, as JSON text."""
    written = json.dumps(value, separators=(",", ":"))
    read = json.loads(written)
    try:
        json.dumps(read, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return written
    return read


async def test_every_hostile_line_is_text_in_the_list_and_in_the_drawer(shop: Shop) -> None:
    rows = hostile_lines(shop)
    assert len(rows) >= AT_LEAST
    window = await shop.open()
    async with nothing_runs(window):
        await window.picture("hostile-lines")
        await unfolded(window)
        await tall(window, len(rows))

        listed = await window.page.evaluate(ROWS)
        await window.page.locator(".row[data-n='0']").click(position={"x": 600, "y": 9})
        opened = await window.page.evaluate(DRAWERS, len(rows))
        await window.page.set_viewport_size({"width": 1280, "height": 800})
        await window.picture("hostile-drawer")

    for number, (row, line, drawer) in enumerate(zip(rows, listed, opened, strict=True)):
        service = shown(SERVICES[number % len(SERVICES)])
        assert line == {"message": in_list(row.message), "service": service, "level": "INF"}
        assert drawer["message"] == (shown(row.message) or "(empty)")
        assert sorted(drawer["attributes"]) == listed_attributes(row)
        assert not HIDDEN.search(line["message"] + drawer["message"] + drawer["title"])


@big
async def test_every_hostile_line_is_whole_in_every_file(shop: Shop) -> None:
    rows = hostile_lines(shop)
    window = await shop.open()
    async with nothing_runs(window):
        records = await held(window)
        whole = json.loads(await download(window, "json"))
        table = (await download(window, "csv")).decode()
        text = (await download(window, "text")).decode()

    assert [record["message"] for record in records] == [sendable(row.message) for row in rows]
    assert whole == records
    csv.field_size_limit(1 << 20)
    head, *cells = csv.reader(io.StringIO(table, newline=""), strict=True)
    messages = [line[head.index("message")] for line in cells]
    assert [message.removeprefix("'") for message in messages] == [
        shown(row.message).removeprefix("'") for row in rows
    ]
    assert not [cell for line in cells for cell in line if cell[:1] in STARTS]
    assert HIDDEN.search(text) is None
    for row in rows:
        assert shown(row.message) in text


@big
async def test_hostile_names_are_text_in_menus_and_finds_and_copies_say_what_is_there(shop: Shop) -> None:
    for name in SERVICES:
        shop.environment.add_service(name)
    bold, *_ = shop.environment.write_many(
        [
            Line(f"{SCRIPT} \x1b[31mred\x1b[0m\u202e", name, attributes=dict.fromkeys(KEYS, SCRIPT))
            for name in SERVICES
        ]
    )
    window = await shop.open(permissions=PERMISSIONS)
    page = window.page
    async with nothing_runs(window):
        await window.part("find-open").click()
        await window.part("find").fill(SCRIPT)
        found = page.locator(".row:visible .message mark.found")
        await found.first.wait_for()
        assert set(await found.all_text_contents()) == {SCRIPT}
        await window.picture("hostile-find")
        await window.part("find-close").click()

        await window.part("services").click()
        options = await page.locator("#services-menu .service").all_text_contents()
        assert {*map(shown, SERVICES)} <= set(options)
        await page.keyboard.press("Escape")
        await window.part("query").fill("@service:sayhi")
        await window.part("completion").filter(has_text='say \\"hi\\"').click()
        chip = await window.part("chip").text_content()
        assert chip == 'say "hi"\xd7'
        await window.part("clear-filter").click()
        await page.locator(".row:visible", has_text=SCRIPT).nth(3).wait_for()

        await window.line(SCRIPT).first.locator(".message").click(position={"x": 300, "y": 9})
        names = await page.locator("[data-testid=attributes] dt").all_text_contents()
        assert {*KEYS} <= set(names)
        await window.part("copy-line").click()
        line = await copied(window, "red")
        await window.part("copy-json").click()
        record = json.loads(await copied(window, '"message"'))
        await page.mouse.move(600, 120)
        await page.locator("#histogram-tip").wait_for()
        assert (await page.locator("#histogram-tip").text_content() or "").count("<") == 0
    assert not HIDDEN.search(line)
    assert f"{SCRIPT} red<U+202E>" in line
    assert record["message"] == bold.message
    assert {*KEYS} <= set(record["attributes"])


async def copied(window: Window, containing: str) -> str:
    """What the clipboard holds once it contains this."""
    text = ""

    async def there() -> bool:
        nonlocal text
        text = await window.page.evaluate("navigator.clipboard.readText()")
        return containing in text

    await eventually(there)
    return text


@big
async def test_nothing_in_an_address_runs(shop: Shop) -> None:
    shop.environment.write("a line")
    for text in (SCRIPT, f"javascript:{RAN}", "\u202e\x1b[2J\x00", f'"><svg onload={RAN}>'):
        query = urlencode([(name, text) for name in ("find", "services", "severity", "q", "at")])
        window = await shop.open(f"{shop.path}?{query}", wait="[data-testid=banner]")
        async with nothing_runs(window):
            await window.part("banner").locator("button").first.click()
            await window.line("a line").first.wait_for()


@big
async def test_no_line_paints_beyond_its_place(shop: Shop) -> None:
    hostile = [*TALL, *DIRECTIONS]
    attributes = {"1": 2, "2": "\u05d0"}
    for text in hostile:
        shop.environment.write(text, attributes=attributes)
        shop.environment.write("a neighbour of this line")
    window = await shop.open()
    page = window.page
    await page.mouse.move(0, 0)
    await window.line("a neighbour").nth(len(hostile) - 1).wait_for()
    boxes = await page.evaluate(PLACES)
    neighbours = window.line("a neighbour")
    pictures = set()
    for at in range(len(hostile)):
        box = await neighbours.nth(at).locator(".message").bounding_box()
        assert box is not None
        pictures.add(await page.screenshot(clip={**box, "width": 600}))  # type: ignore[arg-type] as Playwright has it
    await window.picture("hostile-tall")

    assert len(boxes) == 2 * len(hostile)
    assert len({tuple(box["lefts"]) for box in boxes}) == 1
    assert len({box["height"] for box in boxes}) == 1
    assert len(pictures) == 1  # all neighbours look the same, to the pixel
    assert all(box["apart"] for box in boxes)
    assert all(box["clipped"] for box in boxes)  # where no font has marks that stack, none would be seen
