"""What the heavy tests of the page share: all that it holds, its memory, and floods from processes of their own."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from browser_scene import Window, environment, running
from client_scene import QUICK, ROOT
from interop_processes import Child

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

HERE = Path(__file__).parent
MIB = 1 << 20
# What Chromium says by itself in the console when a connection fails, which is what these tests make happen.
CUT = ("WebSocket connection to", "Failed to load resource")
_STEP = 0.05  # seconds between two looks at a page


async def eventually(look: Callable[[], Awaitable[bool]], *, within: float = 10.0) -> None:
    """Wait until it is so. TimeoutError after so many seconds."""
    async with asyncio.timeout(within):
        while not await look():
            await asyncio.sleep(_STEP)


async def download(window: Window, kind: str) -> bytes:
    """All that the page holds, as the file that it gives: `ndjson`, `json`, `csv` or `text`."""
    await window.part("download").click()
    async with window.page.expect_download() as coming:
        await window.part(f"download-{kind}").click()
    path = await (await coming.value).path()
    return path.read_bytes()


async def held(window: Window) -> list[dict[str, Any]]:
    """All records that the page holds, from the first on."""
    return [json.loads(line) for line in (await download(window, "ndjson")).splitlines()]


@attrs.frozen
class Memory:
    """What a page takes after its garbage was collected."""

    heap: int  # bytes of JavaScript objects
    buffers: int  # bytes of typed arrays
    nodes: int
    listeners: int

    def __str__(self) -> str:
        return (
            f"{self.heap / MIB:.1f} MiB + {self.buffers / MIB:.1f} MiB of arrays, "
            f"{self.nodes} nodes, {self.listeners} listeners"
        )


@attrs.define(eq=False)
class Inspector:
    """The page's development tools."""

    session: "CDPSession"

    @classmethod
    async def of(cls, window: Window) -> "Inspector":
        """Those of a window."""
        session = await window.context.new_cdp_session(window.page)
        await session.send("Performance.enable")
        return cls(session)

    async def memory(self) -> Memory:
        """Collect the garbage, and measure."""
        for _ in range(2):  # what finalizers let go is collected the second time
            await self.session.send("HeapProfiler.collectGarbage")
        use = await self.session.send("Runtime.getHeapUsage")
        metrics = await self.metrics()
        return Memory(
            int(use["usedSize"]),
            int(use.get("backingStorageSize", 0)),
            int(metrics["Nodes"]),
            int(metrics["JSEventListeners"]),
        )

    async def metrics(self) -> dict[str, float]:
        """Chromium's own counters; durations in seconds."""
        found = await self.session.send("Performance.getMetrics")
        return {metric["name"]: metric["value"] for metric in found["metrics"]}


@attrs.define(eq=False)
class Flood:
    """A process that speaks the relay's protocol, see browser_flood_server.py."""

    child: Child
    base: str

    async def begin(self, lines: int, rate: float = 0.0) -> None:
        """Have so many lines sent, so many a second or as fast as they are taken, once there is a client."""
        await self.child.until_said(joined=True)
        await self.child.tell(write=lines, rate=rate)

    async def drop(self) -> None:
        """Have the newest stream cut, and wait until its client is back."""
        joined = len(self.child.said(joined=True))
        await self.child.tell(drop=True)
        await self.child.until_said(joined + 1, joined=True)

    async def written(self, number: int, *, within: float = 60.0) -> None:
        """Wait until the line with this number was sent."""

        async def so() -> bool:
            return bool(self.child.said(written=number))

        await eventually(so, within=within)


@contextlib.asynccontextmanager
async def flood(folder: Path) -> AsyncIterator[Flood]:
    """Such a process, while inside."""
    program = HERE / "browser_flood_server.py"
    variables = environment(PYTHONPATH=str(ROOT))
    async with running(sys.executable, str(program), variables=variables, folder=folder) as child:
        (line,) = await child.until_said()
        yield Flood(child, f"http://127.0.0.1:{line['port']}")


@attrs.define(eq=False)
class Upstream:
    """A stand-in Railway as a process, see browser_upstream.py, and how a relay finds it."""

    child: Child
    url: str
    token: str
    environment_id: str

    @property
    def settings(self) -> dict[str, str]:
        """What a relay has to be told."""
        return {
            "LOGRELAY_RAILWAY_URL": self.url,
            "LOGRELAY_ENVIRONMENTS": self.environment_id,
            "RAILWAY_API_TOKEN": self.token,
        }

    async def begin(self, lines: int, rate: float) -> None:
        """Have so many lines written, so many a second."""
        await self.child.tell(write=lines, rate=rate)


@contextlib.asynccontextmanager
async def upstream(folder: Path) -> AsyncIterator[Upstream]:
    """Such a process, while inside."""
    program = HERE / "browser_upstream.py"
    variables = environment(PYTHONPATH=str(ROOT))
    async with running(sys.executable, str(program), variables=variables, folder=folder) as child:
        (line,) = await child.until_said()
        yield Upstream(child, line["url"], line["token"], line["environment"])


@contextlib.asynccontextmanager
async def relay(railway: Upstream, folder: Path, **settings: str) -> AsyncIterator[str]:
    """`logrelay serve` before such a stand-in, while inside; its address."""
    given = {"PORT": "0", **railway.settings, **QUICK, **settings}
    command = (sys.executable, "-m", "logrelay", "serve")
    variables = environment(PYTHONPATH=str(ROOT), **given)
    async with running(*command, variables=variables, folder=folder) as child:
        (line,) = await child.until_said(message="serving")
        yield f"http://127.0.0.1:{line['port']}"
