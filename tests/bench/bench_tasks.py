"""The tasks of a page's main thread, from Chromium's own trace: how long each took, and how much of that it worked.

On a machine that does other things too, a task of 60 ms may have waited for a core for 50 of them. Only the thread's
own time says what the page is to blame for; tasks shorter than a thousandth of a second are left out.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from playwright.async_api import Browser

_TASK = "ThreadControllerImpl::RunTask"
_LEAST = 1.0  # milliseconds of a task that is kept


@attrs.define
class Tasks:
    """What one thread did. Milliseconds."""

    wall: list[float] = attrs.Factory(list)
    own: list[float] = attrs.Factory(list)

    def over(self, limit: float) -> int:
        """How many tasks worked for longer than this."""
        return sum(own > limit for own in self.own)


@contextlib.asynccontextmanager
async def traced(browser: "Browser", categories: tuple[str, ...] = ("toplevel",)) -> AsyncIterator[Tasks]:
    """The tasks of the busiest page while inside; filled when it is left."""
    session = await browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    over = asyncio.Event()
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda _: over.set())
    wanted = {"includedCategories": [*categories, "__metadata"], "excludedCategories": ["*"]}
    await session.send("Tracing.start", {"traceConfig": wanted, "transferMode": "ReportEvents"})
    tasks = Tasks()
    try:
        yield tasks
    finally:
        await session.send("Tracing.end")
        await over.wait()
        await session.detach()
    for event in _busiest(events):
        tasks.wall.append(event["dur"] / 1000)
        tasks.own.append(event.get("tdur", 0) / 1000)


def _busiest(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks of the page's main thread that worked most. Nothing nests in a task but what it does itself."""
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    ran = [event for event in events if event["name"] == _TASK and event.get("dur", 0) >= _LEAST * 1000]
    work: Counter[tuple[int, int]] = Counter()
    for event in ran:
        work[event["pid"], event["tid"]] += event.get("tdur", 0)
    busiest = max(main, key=lambda thread: work[thread], default=None)
    return [event for event in ran if (event["pid"], event["tid"]) == busiest]
