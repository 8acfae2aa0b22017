"""Measures the log page in Chromium while lines flood in: `python tests/bench/page.py`. It judges nothing.

Each row of the table is a while of a flood: frame times by the stamps of animation frames, long tasks, the time from a
key to the frame that shows its effect, keys that got lost, and how much of one core the page's main thread took.
Frames and long tasks are told by the clock, and so by whatever else the machine does; the columns under "own" are
tasks by the processor time of the page's main thread, which is the page's doing alone.
In the same run stand a page that only receives and parses the same messages, and one that adds an element for each
line as most viewers do. The lines come from a process of its own, over loopback.
"""

import argparse
import asyncio
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from playwright.async_api import Browser

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "tests" / "viewer" / "browser")]

from bench_tasks import Tasks, traced  # noqa: E402 of the same folder
from browser_flood import MIB, Flood, Inspector, flood  # noqa: E402 found by the path above
from browser_scene import Window, Windows, launched  # noqa: E402 as above

HELD = 100_000  # lines that the page holds at most
NAIVE = 5.0  # seconds that the simple page is measured: what it is sent meanwhile keeps it busy for a minute
PRESSED = 0.5  # seconds between two keys
SETTLE = 1.0  # seconds after a change of what is measured
_PROBE = """() => {
  const probe = (window.__probe = { frames: [], long: [], keys: [], pressed: 0, last: performance.now() });
  new PerformanceObserver((list) => probe.long.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: "longtask" });
  const frame = (now) => { probe.frames.push(now - probe.last); probe.last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  addEventListener("keydown", (event) => {
    probe.pressed += 1;
    // A message that is posted in a frame's callback comes after that frame was drawn.
    const channel = new MessageChannel();
    channel.port1.onmessage = () => probe.keys.push(performance.now() - event.timeStamp);
    requestAnimationFrame(() => channel.port2.postMessage(0));
  }, true);
}"""
_RESET = "() => Object.assign(window.__probe, { frames: [], long: [], keys: [], pressed: 0, last: performance.now() })"
_READ = "() => ({ ...window.__probe })"


@attrs.frozen
class Row:
    """One line of the table. Milliseconds, but for the shares of one core."""

    name: str
    frames: list[float]
    long: list[float]
    keys: list[float]
    lost: int
    script: float
    task: float
    heap: float  # MiB of JavaScript
    nodes: int
    tasks: Tasks

    def text(self) -> str:
        """The row as it is printed."""
        over = sum(frame > 50 for frame in self.frames)
        times = f"{_part(self.frames, 0.5):6.1f} {_part(self.frames, 0.99):6.1f} {max(self.frames, default=0):6.1f}"
        keys = (
            f"{_part(self.keys, 0.5):5.0f} {max(self.keys, default=0):5.0f} {self.lost:4}"
            if self.keys
            else " " * 16
        )
        own = f"{max(self.tasks.own, default=0):6.1f} {self.tasks.over(16):5} {self.tasks.over(50):5}"
        shares = f"{self.script:6.1%} {self.task:6.1%}"
        return (
            f"{self.name:28} {times} {over:5} {len(self.long):5} {own} {keys} {shares} "
            f"{self.heap:7.1f} {self.nodes:7}"
        )


HEADING = (
    f"{'':28} {'frames, ms':^20} {'over':>5} {'long':>5} {'tasks, own ms':^18} {'keys, ms':^11} {'':4} "
    f"{'of a core':^13} {'heap':>7} {'DOM':>7}\n"
    f"{'':28} {'p50':>6} {'p99':>6} {'max':>6} {'50 ms':>5} {'tasks':>5} {'max':>6} {'>16':>5} {'>50':>5} "
    f"{'p50':>5} {'max':>5} {'lost':>4} {'script':>6} {'all':>6} {'MiB':>7} {'nodes':>7}\n"
)


def _part(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@attrs.define(eq=False)
class Bench:
    """A window on a flood, and what is measured of it."""

    browser: "Browser"
    window: Window
    inspector: Inspector
    lines: Flood
    seconds: float
    rate: int
    keys: bool = True
    sent: int = 0

    @classmethod
    async def of(cls, windows: Windows, lines: Flood, given: argparse.Namespace, **options: Any) -> "Bench":
        """Open a page of the flood's server."""
        path = options.pop("path", "/")
        wait = "" if path != "/" else "[data-testid=nothing]"
        joined = len(lines.child.said(joined=True))
        window = await windows.open(path, base=lines.base, wait=wait)
        await lines.child.until_said(joined + 1, joined=True)
        await window.page.evaluate(_PROBE)
        return cls(
            windows.browser, window, await Inspector.of(window), lines, given.seconds, given.rate, **options
        )

    async def fill(self, count: int) -> None:
        """Have so many lines sent as fast as they are taken, and wait until they are held."""
        await self.lines.begin(count)
        self.sent += count
        await self.lines.written(self.sent, within=120)
        await asyncio.sleep(SETTLE)

    async def measure(self, name: str, *, rate: int | None = None) -> Row:
        """A while of the flood, with a key now and then."""
        rate = self.rate if rate is None else rate
        count = int(rate * (self.seconds + SETTLE))
        if count:
            await self.lines.begin(count, rate)
            self.sent += count
        await asyncio.sleep(SETTLE)
        await self.window.page.evaluate(_RESET)
        before = await self.inspector.metrics()
        async with traced(self.browser) as tasks:
            pressed = await self._press()
        after = await self.inspector.metrics()
        found = await self.window.page.evaluate(_READ)
        if count:
            # Who has scrolled up in a full list holds the stream once the oldest lines would be those that are read.
            await self.window.page.keyboard.press("End")
            await self.lines.written(self.sent, within=120 + 4 * self.seconds)
        passed = after["Timestamp"] - before["Timestamp"]
        memory = await self.inspector.memory()
        return Row(
            name,
            found["frames"],
            found["long"],
            found["keys"],
            pressed - found["pressed"],
            (after["ScriptDuration"] - before["ScriptDuration"]) / passed,
            (after["TaskDuration"] - before["TaskDuration"]) / passed,
            (memory.heap + memory.buffers) / MIB,
            memory.nodes,
            tasks,
        )

    async def _press(self) -> int:
        """Open and close the sheet of keys for as long as is measured; how many keys that took."""
        loop = asyncio.get_running_loop()
        until, pressed = loop.time() + self.seconds, 0
        while loop.time() < until:
            if self.keys:
                await self.window.page.keyboard.press("Escape" if pressed % 2 else "?")
                pressed += 1
            await asyncio.sleep(PRESSED)
        if pressed % 2:
            await self.window.page.keyboard.press("Escape")
            pressed += 1
        return pressed

    async def cost(self, name: str, act: Callable[[], Awaitable[Any]]) -> str:
        """The longest frame that one deed makes, while no lines come."""
        await asyncio.sleep(SETTLE)
        await self.window.page.evaluate(_RESET)
        async with traced(self.browser) as tasks:
            await act()
            await asyncio.sleep(SETTLE)
        found = await self.window.page.evaluate(_READ)
        return f"{name:28} {max(found['frames']):6.1f} {max(tasks.own, default=0):9.1f}"


async def flooded(bench: Bench, held: str, show: Callable[[str], None]) -> None:
    """The rows of the page with so many lines held."""
    page = bench.window.page

    async def row(name: str, **options: Any) -> None:
        show((await bench.measure(f"{name}, {held}", **options)).text())

    await row("idle", rate=0)
    await row("following")
    await page.keyboard.press("w")
    await row("wrap on")
    await page.keyboard.press("w")
    await bench.window.part("find-open").click()
    await bench.window.part("find").fill("order")
    await page.locator("#lines").focus()
    await row("finding")
    await bench.window.part("find-close").click()
    await page.mouse.move(600, 500)
    await page.mouse.wheel(0, -3000)
    await row("scrolled up")


async def deeds(bench: Bench, show: Callable[[str], None]) -> None:
    """What single deeds cost while the page holds all that it can."""
    page = bench.window.page
    show(f"\n{'deeds, 100,000 lines held':28} {'frame':>6} {'own task':>9}  the longest, ms")
    for name, key in (
        ("wrap", "w"),
        ("unwrap", "w"),
        ("theme", "l"),
        ("histogram away", "h"),
        ("clock", "t"),
    ):
        show(await bench.cost(name, lambda key=key: page.keyboard.press(key)))  # type: ignore[misc]
    show(await bench.cost("to the oldest line", lambda: page.keyboard.press("Home")))
    show(await bench.cost("to the newest line", lambda: page.keyboard.press("End")))
    await bench.window.part("find-open").click()
    show(await bench.cost("find", lambda: bench.window.part("find").fill("order 1")))
    show(await bench.cost("next match", lambda: page.keyboard.press("Enter")))
    show(
        await bench.cost(
            "a match that isn't there", lambda: bench.window.part("find").fill("nowhere to be found")
        )
    )
    show(await bench.cost("looked for", lambda: page.keyboard.press("Enter")))
    show(await bench.cost("wider window", lambda: page.set_viewport_size({"width": 1400, "height": 800})))


async def profiled(bench: Bench, target: Path) -> None:
    """A profile of the page while it follows, for Chromium's development tools."""
    await bench.inspector.session.send("Profiler.enable")
    await bench.inspector.session.send("Profiler.setSamplingInterval", {"interval": 500})
    await bench.inspector.session.send("Profiler.start")
    await bench.measure("profiled")
    profile = (await bench.inspector.session.send("Profiler.stop"))["profile"]
    target.write_text(json.dumps(profile), encoding="utf-8")  # noqa: ASYNC240 nothing else happens by now


async def compared(
    windows: Windows, lines: Flood, given: argparse.Namespace, show: Callable[[str], None]
) -> None:
    """The same flood in the page that does nothing with it, and in the one that does it the simple way."""
    for path in ("/blank", "/naive"):
        bench = await Bench.of(windows, lines, given, path=path, keys=False)
        if path == "/naive":
            bench.seconds = min(bench.seconds, NAIVE)
        row = await bench.measure(path)
        show(attrs.evolve(row, name=f"{path[1:]} page, 0 to {bench.sent:,} lines").text())
        await windows.close()


async def run(given: argparse.Namespace, show: Callable[[str], None]) -> None:
    """Measure all of it."""
    show(f"{given.rate:,} lines/s for {given.seconds:g} s a row\n\n{HEADING}")
    with tempfile.TemporaryDirectory() as folder:
        async with launched() as browser, flood(Path(folder)) as lines:
            windows = Windows(browser, lines.base)
            bench = await Bench.of(windows, lines, given)
            await flooded(bench, "0 held", show)
            await bench.fill(given.held)
            await flooded(bench, f"{given.held:,} held", show)
            await deeds(bench, show)
            if given.profile:
                await profiled(bench, given.profile)
            await windows.close()
            show("")
            await compared(windows, lines, given, show)


def main() -> None:
    """Read what is wanted, and print the table."""
    parser = argparse.ArgumentParser(description="Measure the log page in Chromium while lines flood in.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each row (20)")
    parser.add_argument("--rate", type=int, default=5000, help="lines a second (5000)")
    parser.add_argument(
        "--held", type=int, default=HELD, help="lines that the page holds in the second half (100000)"
    )
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write a .cpuprofile of one more row")
    given = parser.parse_args()

    out = sys.stdout

    def show(text: str) -> None:
        out.write(text + "\n")
        out.flush()

    with contextlib.redirect_stdout(io.StringIO()):  # what the flood's process has said is not for the table
        asyncio.run(run(given, show))


if __name__ == "__main__":
    main()
