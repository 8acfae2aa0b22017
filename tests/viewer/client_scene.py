"""A relay as a process, the built client in Node as another, and between them a wire that can be cut."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest

import logrelay
from logrelay.standin import StandIn

ROOT = Path(logrelay.__file__).resolve().parents[1]
HERE = Path(__file__).parent
VIEWER = ROOT / "logrelay" / "viewer"
sys.path += [str(ROOT / "tests" / "interop"), str(ROOT / "tests" / "promises")]

from interop_processes import Child, environment, running  # noqa: E402 found by the path above

QUICK = {
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "0.05",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "0.2",
    "LOGRELAY_STANDS_SECONDS": "0.2",
    "LOGRELAY_FLAPPING_SECONDS": "0",
    "LOGRELAY_QUERIES_PER_SECOND": "1000",
}
DEADLINE = 30.0  # seconds


def cannot(reason: str) -> NoReturn:
    """Skip what needs Node; where it has to be there, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"Node is needed in CI: {reason}")
    pytest.skip(reason)


def node(*packages: str) -> str:
    """The program, where it is new enough and these packages were installed for it. Skips, or fails in CI."""
    found = shutil.which("node")
    if found is None:
        cannot("node is not on this machine")
    missing = [name for name in packages if not (VIEWER / "node_modules" / name).is_dir()]
    if missing:
        cannot(f"`npm ci` has not been run in logrelay/viewer: no {', '.join(missing)}")
    return found


@attrs.define(eq=False)
class Wire:
    """Passes bytes on between the client and the relay of the moment. `cut` resets what is open."""

    target: int = 0  # port
    port: int = 0
    opened: int = 0  # connections
    _open: set[asyncio.Transport] = attrs.Factory(set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client's."""
        self.opened += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer.transport, far_writer.transport}
        self._open |= both
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open -= both
            for transport in both:
                transport.abort()

    def cut(self) -> None:
        """Reset what is open, wherever in a frame it is."""
        for transport in list(self._open):
            transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@contextlib.asynccontextmanager
async def wire(target: int) -> AsyncIterator[Wire]:
    """A wire to a port of this machine."""
    carrier = Wire(target)
    carrying: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carrier.carry(reader, writer))
        carrying.add(task)
        task.add_done_callback(carrying.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    carrier.port = server.sockets[0].getsockname()[1]
    try:
        yield carrier
    finally:
        server.close()
        carrier.cut()
        for task in list(carrying):
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


@attrs.frozen
class Follower:
    """The client as a process; what it was handed stands in its lines."""

    child: Child

    @property
    def records(self) -> list[dict[str, Any]]:
        """All that it was handed, in order."""
        return [record for line in self.child.said(event="records") for record in line["records"]]

    @property
    def messages(self) -> list[str]:
        return [record["message"] for record in self.records]

    async def until_message(self, message: str) -> None:
        """Wait until a record says this. AssertionError when none does."""
        try:
            async with asyncio.timeout(DEADLINE):
                while message not in self.messages[-100:]:
                    await self.child.until_said(len(self.child.said(event="records")) + 1, event="records")
        except TimeoutError:
            pytest.fail(f"{message} has not come:\n{self.child.text[-3000:]}")

    def notices(self, name: str) -> list[dict[str, Any]]:
        return [line["data"] for line in self.child.said(event="notice", notice=name)]


@attrs.define(eq=False)
class Scene:
    """Starts relays and clients; all of them end with the test."""

    railway: StandIn
    folder: Path
    processes: contextlib.AsyncExitStack

    @property
    def environment_id(self) -> str:
        return self.railway.world.environment.id

    async def relay(self, **settings: str) -> tuple[Child, int]:
        """`logrelay serve`, once it serves, and its port."""
        given = {
            "PORT": "0",
            "LOGRELAY_RAILWAY_URL": self.railway.url,
            "LOGRELAY_ENVIRONMENTS": self.environment_id,
            "RAILWAY_API_TOKEN": self.railway.world.account_token,
        }
        child = await self.processes.enter_async_context(
            running(
                sys.executable,
                *("-m", "logrelay", "serve"),
                variables=environment(PYTHONPATH=str(ROOT), **given | QUICK | settings),
                folder=self.folder,
            )
        )
        (line,) = await child.until_said(message="serving")
        return child, line["port"]

    async def wire(self, target: int) -> Wire:
        """A wire to a relay."""
        return await self.processes.enter_async_context(wire(target))

    async def follow(self, port: int, **options: Any) -> Follower:
        """The client, with these options."""
        given = {"base": f"http://127.0.0.1:{port}", "environmentId": self.environment_id, **options}
        program = HERE / "client_follow.mjs"
        child = await self.processes.enter_async_context(
            running(node("ws"), str(program), json.dumps(given), variables=environment(), folder=self.folder)
        )
        return Follower(child)


@contextlib.asynccontextmanager
async def scene(railway: StandIn, folder: Path) -> AsyncIterator[Scene]:
    """A place for relays and clients before this upstream."""
    node("ws")
    async with contextlib.AsyncExitStack() as processes:
        yield Scene(railway, folder, processes)
