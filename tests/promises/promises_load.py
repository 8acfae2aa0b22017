"""Loads: numbered lines, and the relay as a process of its own, which is looked at from outside."""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import attrs
from conftest_system import QUICK, until
from promises_clients import TINY, Client, Life, dial, request

import logrelay
from logrelay.standin import Line, Row, StandIn

MIB = 1 << 20
_START = 20.0  # seconds in which a relay has to serve


# -- lines ------------------------------------------------------------------------------------------------------


@attrs.define
class Writer:
    """Writes `line 1`, `line 2` and so on into the stand-in's first environment."""

    railway: StandIn
    padding: str = ""
    number: int = 0  # of the last line

    def write(self, count: int = 1) -> list[Row]:
        """Write the next lines in one go."""
        first = self.number + 1
        self.number += count
        lines = [Line(f"line {number} {self.padding}") for number in range(first, self.number + 1)]
        return self.railway.world.environment.write_many(lines)

    async def run(self, rate: float, *, every: float = 0.1) -> None:
        """Write so many lines a second until cancelled, some at once `every` so many seconds."""
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.number
        while True:
            due = int((loop.time() - began) * rate) - (self.number - before)
            if due > 0:
                self.write(due)
            await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def flowing(writer: Writer, rate: float) -> AsyncIterator[None]:
    """Lines are written while inside."""
    task = asyncio.create_task(writer.run(rate))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


# -- the relay --------------------------------------------------------------------------------------------------


@attrs.frozen
class Served:
    """`logrelay serve` as a process of its own, seen from outside."""

    process: asyncio.subprocess.Process
    port: int
    environment_id: str
    log: Path
    opened: set[Client] = attrs.field(factory=set, repr=False)  # connections that haven't ended yet

    def path(self, **query: Any) -> str:
        """The stream's path and query."""
        given = {"tail": "0"} | {name: str(value) for name, value in query.items()}
        return f"/api/environments/{self.environment_id}/logs/stream?{urlencode(given)}"

    async def client(self, number: int = 0, life: Life | None = None, **query: Any) -> Client:
        """Connect a client that reads."""
        client = Client(request(self.port, self.path(**query)), life, at_end=self.opened.discard)
        self.opened.add(client)
        await dial(self.port, client, number)
        return client

    async def deaf(self, number: int = 0, **query: Any) -> Client:
        """Connect a client that never reads."""
        client = Client(request(self.port, self.path(**query)), deaf=True, at_end=self.opened.discard)
        self.opened.add(client)
        await dial(self.port, client, number, buffer=TINY)
        return client

    async def clients(self, count: int, *, at_once: int = 50, **query: Any) -> list[Client]:
        """Connect so many, and wait until each is served."""
        crowd: list[Client] = []
        for first in range(0, count, at_once):
            some = range(first, min(first + at_once, count))
            crowd += await asyncio.gather(*(self.client(number, **query) for number in some))
        await until(lambda: all(client.settled for client in crowd), "all are served", within=60)
        assert all(client.connected for client in crowd), Counter(client.status for client in crowd)
        return crowd

    def memory(self, name: str = "VmRSS") -> int:
        """Bytes, by a name of proc(5): VmRSS is what it has in memory now, VmHWM the most it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024

    def fds(self) -> int:
        """Descriptors that are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 their number is all that is wanted

    def lines(self, **fields: Any) -> list[dict[str, Any]]:
        """Of what it has logged, the lines with these fields."""
        whole, _, _ = self.log.read_text(encoding="utf-8").rpartition("\n")
        lines = map(json.loads, whole.splitlines())
        return [line for line in lines if fields.items() <= line.items()]

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """What `/readyz` says, and with which status; by a connection that is gone afterwards."""
        headers = {"Connection": "close"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"http://127.0.0.1:{self.port}/readyz") as response,
        ):
            return response.status, await response.json()

    async def tasks(self) -> int:
        """Tasks of its event loop, the one that answers among them."""
        headers = {"Connection": "close"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"http://127.0.0.1:{self.port}/metrics") as response,
        ):
            (found,) = re.findall(r"^logrelay_tasks (\d+)", await response.text(), re.MULTILINE)
            return int(found)

    async def tasks_at_most(self, count: int, within: float = 20.0) -> int:
        """Wait until there are no more tasks than so many; how many there are then."""
        async with asyncio.timeout(within):
            while (seen := await self.tasks()) > count:
                await asyncio.sleep(0.05)
        return seen

    async def viewers(self) -> int:
        """Clients that are being served, by `/readyz`."""
        _, body = await self.ready()
        return sum(environment["viewers"] for environment in body["environments"].values())

    async def until_viewers(self, count: int, within: float = 20.0) -> None:
        """Wait until exactly so many are being served."""
        seen = -1
        try:
            async with asyncio.timeout(within):
                while (seen := await self.viewers()) != count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{seen} viewers instead of {count} after {within} s") from None

    async def ended(self, within: float) -> int:
        """Wait for its end; the exit code."""
        async with asyncio.timeout(within):
            return await self.process.wait()


def _variables(railway: StandIn, changes: Mapping[str, str]) -> dict[str, str]:
    ours = ("LOGRELAY_", "RAILWAY_", "PORT")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and not name.lower().endswith("_proxy")
    }
    given = {
        "PYTHONPATH": str(Path(logrelay.__file__).parents[1]),
        "LOGRELAY_AUTH": "none",
        "LOGRELAY_RAILWAY_URL": railway.url,
        "LOGRELAY_ENVIRONMENTS": railway.world.environment.id,
        "RAILWAY_API_TOKEN": railway.world.account_token,
        # The stand-in shares its loop with the clients here, and may be busy for longer than the tests' ping waits.
        "LOGRELAY_UPSTREAM_PING_SECONDS": "13",
    }
    return kept | QUICK | given | dict(changes)


@contextlib.asynccontextmanager
async def serving(
    railway: StandIn, folder: Path, changes: Mapping[str, str] | None = None, *, name: str = "relay"
) -> AsyncIterator[Served]:
    """A relay of the stand-in's first environment as a process, from when it serves; afterwards it is gone."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "logrelay", "serve"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=_variables(railway, changes or {}),
            cwd=folder,
        )
    served = Served(process, 0, railway.world.environment.id, log)
    try:
        await until(
            lambda: served.lines(message="serving") or process.returncode is not None, "it serves", _START
        )
        assert process.returncode is None, log.read_text(encoding="utf-8")
        (line,) = served.lines(message="serving")
        yield attrs.evolve(served, port=line["port"])
        _check_said(served, railway)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        for client in tuple(served.opened):
            client.drop()
        _tell_of_trouble(served)


def _check_said(served: Served, railway: StandIn) -> None:
    """Whatever has happened, it has written nothing but its own lines, no secret, and of no fault of its own."""
    assert railway.world.account_token not in served.log.read_text(encoding="utf-8")
    assert [] == [line for line in served.lines() if "exc_info" in line or line["level"] == "error"]


def _tell_of_trouble(served: Served) -> None:
    """Show the last warnings with a test that fails."""
    text = served.log.read_text(encoding="utf-8", errors="replace")
    grave = [line for line in text.splitlines() if '"info"' not in line]
    sys.stdout.write("".join(f"{line}\n" for line in grave[-20:]))
