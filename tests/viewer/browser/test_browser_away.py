"""Taking away: copies and files say what the records say, in forms that other programs read."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from browser_hands import CLIPBOARD, big, copied, each_size, keys, opened, press
from browser_scene import Shop, Window
from playwright.async_api import expect

from logrelay.standin import Row

AWKWARD = [
    'a comma, a "quote" and a ; too',
    "two\nlines",
    "=1+2",
    "+cmd|' /C calc'!A0",
    "-3",
    "@SUM(A1)",
    "\ttabbed",
    "ünïcødé 🎉",
    "\x1b[31mcoloured\x1b[0m",
    "",
]


def written(shop: Shop) -> list[Row]:
    return [
        shop.environment.write(
            message, severity=("info", "error", None)[number % 3], attributes={"n": number}
        )
        for number, message in enumerate(AWKWARD)
    ]


def plain(message: str) -> str:
    return message.replace("\x1b[31m", "").replace("\x1b[0m", "")


def values(row: Row) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in row.attributes}


async def downloaded(window: Window, kind: str) -> tuple[str, str]:
    """Choose a format in the dialog; the file's name and its content."""
    async with window.page.expect_download() as coming:
        await press(window, f"download-{kind}")
    download = await coming.value
    path = await download.path()
    return download.suggested_filename, Path(path).read_bytes().decode()  # noqa: ASYNC240 it is small and here


async def shown(shop: Shop, **options: Any) -> Window:
    window = await shop.open(**CLIPBOARD, **options)
    await window.line("(empty)").wait_for()
    return window


def same(record: dict[str, Any], row: Row) -> bool:
    return (
        record["id"].startswith(row.timestamp)
        and record["timestamp"] == row.timestamp
        and record["message"] == row.message
        and record["severity"] == row.severity
        and record["serviceName"] == "api"
        and record["attributes"] == values(row)
    )


@pytest.mark.parametrize("kind", ["ndjson", pytest.param("json", marks=big)])
async def test_a_download_as_json_has_each_record_as_it_was(shop: Shop, kind: str) -> None:
    rows = written(shop)
    window = await shown(shop)

    await press(window, "download")
    await expect(window.part("panel")).to_contain_text("Download 10 lines")
    await window.picture("download-desktop-dark")
    name, text = await downloaded(window, kind)

    assert name.startswith("production-")
    assert name.endswith(f".{kind}")
    records = json.loads(text) if kind == "json" else [json.loads(line) for line in text.splitlines()]
    assert [same(record, row) for record, row in zip(records, rows, strict=True)] == [True] * 10
    await expect(window.part("panel")).to_have_count(0)


@big
@each_size
async def test_a_download_as_csv_is_read_by_spreadsheets_and_starts_no_formula(shop: Shop, size: str) -> None:
    rows = written(shop)
    window = await shown(shop, size=size)

    await press(window, "download")
    name, text = await downloaded(window, "csv")

    assert name.endswith(".csv")
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [cells["timestamp"] for cells in table] == [row.timestamp for row in rows]
    expected = [plain(row.message) for row in rows]
    guarded = [f"'{text}" if text[:1] in "=+-@\t" and text else text for text in expected]
    assert [cells["message"] for cells in table] == guarded
    assert [cells["severity"] for cells in table] == [row.severity or "" for row in rows]
    assert {cells["service"] for cells in table} == {"api"}
    assert [json.loads(cells["attributes"]) for cells in table] == [values(row) for row in rows]


@big
async def test_a_download_as_text_has_a_line_for_each_record(shop: Shop) -> None:
    rows = written(shop)
    window = await shown(shop)

    await press(window, "download")
    _, text = await downloaded(window, "text")

    at = 0
    for row in rows:
        line = f"{row.timestamp} api {(row.severity or '-').upper():5} {plain(row.message)}"
        found = text.find(line, at)
        assert found >= at, line
        at = found + len(line)
    assert "\x1b" not in text


@big
async def test_what_is_filtered_out_is_not_downloaded_and_a_selection_is_all_that_is(shop: Shop) -> None:
    shop.environment.write_many([f"line {number}" for number in range(8)])
    shop.environment.write("another service's", service="web")
    window = await shop.open(f"{shop.path}?services=api", **CLIPBOARD)
    await window.line("line 7").wait_for()

    await press(window, "download")
    _, text = await downloaded(window, "ndjson")
    assert [json.loads(line)["message"] for line in text.splitlines()] == [
        f"line {number}" for number in range(8)
    ]
    await press(window, window.line("line 2").locator(".time"))
    await window.line("line 5").locator(".time").click(modifiers=["Shift"])
    await press(window, "download")
    await expect(window.part("panel")).to_contain_text("4 selected lines")
    _, text = await downloaded(window, "ndjson")

    assert [json.loads(line)["message"] for line in text.splitlines()] == [
        f"line {number}" for number in range(2, 6)
    ]


async def test_a_line_and_a_selection_are_copied(shop: Shop) -> None:
    rows = [shop.environment.write(f"line {number}") for number in range(5)]
    window = await shop.open(**CLIPBOARD)
    await window.line("line 4").wait_for()
    lines = [f'{row.timestamp} api INFO  {row.message}  {{"level":"info"}}' for row in rows]

    await opened(window, "line 1")
    await press(window, "copy-line")
    assert await copied(window) == lines[1]
    await press(window, "copy-json")
    await expect(window.part("toast")).to_be_visible()
    record = json.loads(await window.page.evaluate("navigator.clipboard.readText()"))
    assert same(record, rows[1])
    await press(window, "drawer-close")
    await keys(window, "J", "Shift+ArrowDown", "c")

    await expect(window.part("toast")).to_have_text("3 lines copied")
    assert await copied(window) == "\n".join(lines[1:4])
    await keys(window, "Escape", "End", "k", "Control+c")
    await expect(window.part("toast")).to_have_text("Copied")
    assert await copied(window) == lines[4]
