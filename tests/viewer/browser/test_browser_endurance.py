"""The page in the long run: a million lines, and hundreds of times whatever a reader does, in bounded memory."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from browser_flood import CUT, MIB, Flood, Inspector, eventually, flood, held, relay, upstream
from browser_hands import big
from browser_scene import Window, Windows

LIMIT = 100_000  # entries that the page holds
HEAP = 48 * MIB  # of JavaScript, at most, with 100,000 lines of the usual lengths
RATE = 8_000  # lines a second that a relay passes on beside a browser on two cores
NEWEST = """() => Math.max(0, ...[...document.querySelectorAll(".row:not([hidden])")]
    .map(row => parseInt((row.dataset.id || "").split("-").pop(), 16) || 0))"""


Act = Callable[[Window, Flood, int], Awaitable[None]]


async def newest(window: Window) -> int:
    """The number of the newest line on the screen."""
    return int(await window.page.evaluate(NEWEST))


async def shows(window: Window, number: int, *, within: float = 60.0) -> None:
    """Wait until the line with this number is on the screen."""

    async def so() -> bool:
        return await newest(window) == number

    await eventually(so, within=within)


@big
@pytest.mark.timeout(400)
async def test_a_million_lines_pass_through_in_bounded_memory(windows: Windows, tmp_path: Path) -> None:
    async with flood(tmp_path) as lines:
        window = await windows.open(base=lines.base, wait="[data-testid=nothing]")
        inspector = await Inspector.of(window)
        taken = {}
        number = 0
        for mark in (100_000, 200_000, 250_000, 500_000, 750_000, 1_000_000):
            await lines.begin(mark - number)
            number = mark
            await shows(window, number, within=180)
            taken[number] = await inspector.memory()
            print(f"{number:>9}: {taken[number]}")  # noqa: T201 shown with -s, for the closing note

        full, last = taken[200_000], taken[1_000_000]
        assert last.heap <= 1.3 * full.heap
        assert last.heap <= HEAP
        assert last.buffers <= 1.3 * full.buffers
        assert last.nodes <= 1.5 * full.nodes
        assert last.listeners <= full.listeners + 20
        await alive(window)
        records = await held(window)
        assert len(records) == LIMIT
        numbers = [int(record["id"].rpartition("-")[2], 16) for record in records]
        assert numbers == list(range(number - LIMIT + 1, number + 1))
        await window.picture("a-million-lines")


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_million_lines_come_through_a_relay_and_none_is_missing_at_the_end(
    windows: Windows, tmp_path: Path
) -> None:
    async with upstream(tmp_path) as railway, relay(railway, tmp_path) as base:
        window = await windows.open(base=base, wait="[data-testid=nothing]")
        inspector = await Inspector.of(window)
        taken = {}
        number = 0
        for mark in (200_000, 500_000, 1_000_000):
            await railway.begin(mark - number, RATE)
            number = mark
            await window.line(f"line {number} ").wait_for(timeout=150_000)
            taken[number] = await inspector.memory()
            print(f"{number:>9}: {taken[number]}")  # noqa: T201 shown with -s, for the closing note

        assert taken[1_000_000].heap <= min(HEAP, 1.3 * taken[200_000].heap)
        assert taken[1_000_000].nodes <= 1.5 * taken[200_000].nodes
        messages = [record["message"].split()[1] for record in await held(window)]
        # Notices take places, too: a relay or a page that fell behind says so, and nothing else may be missing.
        assert messages == [str(number) for number in range(1_000_000 - len(messages) + 1, 1_000_001)]
        assert len(messages) >= LIMIT - 10


async def alive(window: Window) -> None:
    """Scrolling works: up it stops and shows older lines, End follows again."""
    last = await newest(window)
    await window.page.mouse.move(600, 500)
    await window.page.mouse.wheel(0, -4000)
    await window.part("newer").wait_for()

    async def older() -> bool:
        return 0 < await newest(window) < last - 100

    await eventually(older)
    assert await window.page.locator(".row:visible").count() > 20
    await window.page.keyboard.press("End")
    await shows(window, last)
    await window.part("newer").wait_for(state="detached")


async def drawers(window: Window, lines: Flood, times: int) -> None:
    await window.page.keyboard.press("k")  # selects a line
    for _ in range(times):
        await window.page.keyboard.press("Enter")
        await window.page.keyboard.press("Escape")
    await window.page.keyboard.press("Enter")
    await window.part("drawer-message").wait_for()
    await window.page.keyboard.press("Escape")


async def filters(window: Window, lines: Flood, times: int) -> None:
    level = window.page.get_by_test_id("level")
    for severity in ("info", "warn", "error", "") * (times // 4):
        await level.select_option(severity)
    await window.line("order ").first.wait_for()


async def finds(window: Window, lines: Flood, times: int) -> None:
    for number in range(times):
        await window.part("find-open").click()
        await window.part("find").fill(f"product:{number % 10}" if number % 2 else "order")
        await window.page.keyboard.press("Enter")
        await window.page.keyboard.press("Escape")
    await window.page.keyboard.press("G")


async def searches(window: Window, lines: Flood, times: int) -> None:
    await window.part("find-open").click()
    for number in range(times):
        await window.part("find").fill(f"order {number}")
        await window.part("find-older").click()
        await window.part("older-match").first.wait_for()
    await window.page.locator("#older").press("Escape")
    await window.part("find-close").click()


async def reconnects(window: Window, lines: Flood, times: int) -> None:
    for _ in range(times):
        await lines.drop()
        await window.page.locator("#state[data-tone=good]").wait_for()
    await window.page.keyboard.press("G")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("act", "times"),
    [
        pytest.param(drawers, 500, marks=pytest.mark.big),
        pytest.param(filters, 200, marks=pytest.mark.big),
        pytest.param(finds, 200, marks=pytest.mark.big),
        pytest.param(searches, 50, marks=pytest.mark.big),
        pytest.param(reconnects, 30, marks=pytest.mark.big),
        pytest.param(reconnects, 100, marks=pytest.mark.long),
    ],
)
async def test_what_is_done_hundreds_of_times_leaves_nothing_behind(
    act: Act, times: int, windows: Windows, tmp_path: Path
) -> None:
    async with flood(tmp_path) as lines:
        window = await windows.open(base=lines.base, wait="[data-testid=nothing]", tolerated=CUT)
        inspector = await Inspector.of(window)
        # Some times before it is measured: what is made once stays, such as rows, compiled code and remembered ids.
        await lines.begin(3000)
        await shows(window, 3000)
        await act(window, lines, times // 5)
        before = await inspector.memory()

        await act(window, lines, times)
        after = await inspector.memory()
        print(f"{act.__name__:>10}: {before}; {after}")  # noqa: T201 shown with -s, for the closing note

        assert after.heap <= before.heap + MIB
        assert after.nodes <= before.nodes + 300
        assert after.listeners <= before.listeners + 20
