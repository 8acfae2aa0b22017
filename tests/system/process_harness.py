"""A real `logrelay serve` before a stand-in, with limits of the system's, and what the system says of it."""

import contextlib
import os
import pathlib
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import attrs
from conftest_system import QUICK, Relay

import logrelay
from logrelay.standin import StandIn

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))

from interop_processes import Child, environment, running

__all__ = [
    "ROOT",
    "SERVE",
    "Child",
    "Served",
    "accepted",
    "command",
    "cpu_seconds",
    "descriptors",
    "environment",
    "peak_bytes",
    "running",
    "served",
]

ROOT = Path(logrelay.__file__).resolve().parents[1]
SERVE = (sys.executable, "-m", "logrelay", "serve")


@attrs.frozen
class Served:
    """A relay as a process, and how to view what it serves."""

    child: Child
    relay: Relay
    pid: int


def command(before: str = "") -> tuple[str, ...]:
    """The command line of a relay; `before` is what a shell does first, such as `ulimit -n 64`."""
    return ("sh", "-c", f'{before}; exec "$@"', "sh", *SERVE) if before else SERVE


def variables(railway: StandIn, **settings: str) -> dict[str, str]:
    """The environment of a relay before a stand-in."""
    given = {
        "PYTHONPATH": str(ROOT),
        "LOGRELAY_HOST": "127.0.0.1",
        "LOGRELAY_RAILWAY_URL": railway.url,
        "RAILWAY_API_TOKEN": railway.world.account_token,
        "LOGRELAY_ENVIRONMENTS": railway.world.environment.id,
        "LOGRELAY_UPSTREAM_PING_SECONDS": "13",
    }
    return environment(**QUICK | given | settings)


class Lines(Protocol):
    """Where a relay's own log can be read instead of at its stdout."""

    async def until_said(self, message: str) -> Mapping[str, Any]:
        """The line with a message."""


@contextlib.asynccontextmanager
async def served(
    railway: StandIn, folder: Path, *, before: str = "", log: Lines | None = None, **settings: str
) -> AsyncIterator[Served]:
    """Run a relay while inside. It says no secret, and nothing on stderr."""
    async with running(*command(before), variables=variables(railway, **settings), folder=folder) as child:
        line = await log.until_said("serving") if log else (await child.until_said(message="serving"))[0]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            relay = Relay(None, session, line["port"], railway.world.environment.id)  # type: ignore[arg-type]
            yield Served(child, relay, child._process.pid)
    assert railway.world.account_token not in child.text
    assert child.complaints == ""


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def resident_bytes(pid: int) -> int:
    """What a process takes now."""
    return _status(pid, "VmRSS") * 1024


def peak_bytes(pid: int) -> int:
    """The most that a process has ever taken."""
    return _status(pid, "VmHWM") * 1024


def cpu_seconds(pid: int) -> float:
    """What a process has used of the CPU, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def accepted(port: int) -> int:
    """How many connections to a port somebody has open on its side (proc(5), /proc/net/tcp)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    # The whole address: some client of another test may come from the same port of another loopback address.
    address = f"{int.from_bytes(bytes((127, 0, 0, 1)), sys.byteorder):08X}:{port:04X}"
    listening, nobody = "0A", "0"
    return sum(1 for row in rows if row[1] == address and row[3] != listening and row[9] != nobody)
