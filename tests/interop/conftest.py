"""A relay as a process of its own, clients that are not ours, and an upstream that is not ours."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from interop_peers import (
    ENVIRONMENT_ID,
    PROJECT_TOKEN,
    TOKEN,
    Reference,
    Relay,
    Relayed,
    Run,
    Serve,
    View,
    Viewer,
)
from interop_processes import Child, environment, running
from websockets.asyncio.client import connect

import logrelay
from logrelay.standin import StandIn, World

ROOT = Path(logrelay.__file__).resolve().parents[1]
REFERENCE = Path(__file__).with_name("reference")
INSTALL_SECONDS = 90
QUICK = {
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "0.05",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "0.2",
    "LOGRELAY_STANDS_SECONDS": "0.2",
    "LOGRELAY_QUERIES_PER_SECOND": "1000",
}


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Start `logrelay serve` with nothing but these settings. Each process is ended with the test."""
    async with contextlib.AsyncExitStack() as processes:

        async def run(**settings: str) -> Child:
            variables = environment(PYTHONPATH=str(ROOT), **settings)
            command = (sys.executable, "-m", "logrelay", "serve")
            return await processes.enter_async_context(
                running(*command, variables=variables, folder=tmp_path)
            )

        yield run


@pytest.fixture
async def serve(run: Run) -> AsyncIterator[Serve]:
    """Start a relay before an upstream, with quick retries, and wait until it serves."""
    started: list[Child] = []
    secrets: set[str] = set()

    async def serve(url: str, environment_id: str, token: str, **settings: str) -> Relay:
        given = {
            "PORT": "0",
            "LOGRELAY_RAILWAY_URL": url,
            "LOGRELAY_ENVIRONMENTS": environment_id,
            "RAILWAY_API_TOKEN": token,
        }
        secrets.update({token, settings.get("RAILWAY_TOKEN", "")} - {""})
        child = await run(**given | QUICK | settings)
        started.append(child)
        (line,) = await child.until_said(message="serving")
        return Relay(child, line["port"], environment_id)

    yield serve
    for child in started:
        assert not [secret for secret in secrets if secret in child.text]
        assert child.complaints == ""
        assert not [line for line in child.lines if "exc_info" in line]


@pytest.fixture
async def view() -> AsyncIterator[View]:
    """Open a stream; the first message is still to be received."""
    async with contextlib.AsyncExitStack() as connections:

        async def view(relay: Relay, *, options: dict[str, Any] | None = None, **query: Any) -> Viewer:
            given = {"proxy": None, "close_timeout": 1.0} | (options or {})
            return Viewer(await connections.enter_async_context(connect(relay.url(**query), **given)))

        yield view


@pytest.fixture
def world() -> World:
    return World(seed=8)


@pytest.fixture
async def railway(world: World) -> AsyncIterator[StandIn]:
    async with StandIn(world) as railway:
        yield railway


@pytest.fixture
def referred(serve: Serve, reference: Reference) -> Relayed:
    """Start a relay before the reference server."""

    async def referred(**settings: str) -> Relay:
        return await serve(reference.url, reference.environment_id, reference.token, **settings)

    return referred


@pytest.fixture
def relayed(serve: Serve, railway: StandIn, world: World) -> Relayed:
    """Start a relay before the stand-in."""

    async def relayed(**settings: str) -> Relay:
        return await serve(railway.url, world.environment.id, world.account_token, **settings)

    return relayed


# -- the reference server ---------------------------------------------------------------------------------


def _cannot(reason: str) -> NoReturn:
    """Skip what needs the reference server; where it has to be there, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"the reference server is needed in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def reference_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the reference server with its packages, as the lock file names them."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _cannot("node and npm are not on this machine")
    folder = tmp_path_factory.mktemp("reference")
    for name in ("package.json", "package-lock.json", "server.mjs"):
        shutil.copy(REFERENCE / name, folder)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except subprocess.CalledProcessError as error:
        first = next((line for line in error.stderr.splitlines() if line.startswith("npm error")), "")
        _cannot(f"npm ci failed: {first}")
    except subprocess.TimeoutExpired:
        _cannot(f"npm ci took more than {INSTALL_SECONDS} s")
    return folder


@pytest.fixture
async def reference(reference_folder: Path) -> AsyncIterator[Reference]:
    schema = ROOT / "logrelay" / "standin" / "schema.graphql"
    command = ("node", "server.mjs", str(schema), TOKEN, PROJECT_TOKEN, ENVIRONMENT_ID)
    variables = environment(NODE_ENV="production")
    async with running(*command, variables=variables, folder=reference_folder) as child:
        (line,) = await child.until_said(event="listening")
        yield Reference(child, f"http://127.0.0.1:{line['port']}/graphql/v2")
        assert child.complaints == ""
