"""`logrelay demo`: the relay and a stand-in for Railway on loopback, and the stream in the terminal."""

import asyncio
import contextlib
import sys

from aiohttp import web
from yarl import URL

from logrelay import app, logs, settings
from logrelay.standin import StandIn, Traffic, World
from logrelay.tail import Tail

_HOST = "127.0.0.1"
_PORT = 8080
_POLL = 0.5  # seconds; Railway's own polls are about four apart (facts.md section 5)


async def run(*, port: int | None, rate: float, seed: int, quiet: bool) -> int:
    """Run until interrupted. `rate` is in lines a second; without a port, the usual one or a free one is taken."""
    logs.quieten()
    world = World(seed=seed)
    traffic = Traffic(world.environment, seed=seed, rate=rate)
    async with StandIn(world, host=_HOST, port=0, poll_interval=_POLL, control=True) as railway:
        configured, _ = settings.read(
            {
                "LOGRELAY_HOST": _HOST,
                "LOGRELAY_RAILWAY_URL": railway.url,
                "RAILWAY_API_TOKEN": world.account_token,
                "LOGRELAY_ENVIRONMENTS": world.environment.id,
            }
        )
        try:
            runner, port = await _start(configured, port)
        except app.PortTaken as error:
            print(f"logrelay: {error}; choose another with --port, or none", file=sys.stderr)
            return 1
        writing = asyncio.create_task(traffic.run())
        try:
            _introduce(railway, world, port)
            await _watch(world.environment.id, port, quiet=quiet)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await runner.cleanup()
    return 0


async def _start(configured: settings.Settings, port: int | None) -> tuple[web.AppRunner, int]:
    """Start the relay. Raises PortTaken when the port that was asked for is."""
    try:
        return await app.start(app.build(configured), _HOST, _PORT if port is None else port)
    except app.PortTaken:
        if port is not None:
            raise
        return await app.start(app.build(configured), _HOST, 0)


def _introduce(railway: StandIn, world: World, port: int) -> None:
    base = f"http://{_HOST}:{port}"
    environment = world.environment
    control = URL(railway.url).with_path("/control")
    print(f"logrelay serves the stand-in's environment “{environment.name}” on {base}")
    print(f"  stream     {base.replace('http', 'ws')}/api/environments/{environment.id}/logs/stream")
    print(f"  follow it  logrelay tail {environment.id} --url {base}")
    print(f"  health     curl {base}/readyz")
    print(f"  faults     curl -X POST '{control}/reset'    (all of them: curl {control})")
    print("  end        Ctrl-C", flush=True)
    print()


async def _watch(environment_id: str, port: int, *, quiet: bool) -> None:
    """Show the relay's stream here, through a WebSocket like anybody else's."""
    if quiet:
        await asyncio.Event().wait()
    url = URL(f"ws://{_HOST}:{port}/api/environments/{environment_id}/logs/stream").with_query(tail=20)
    viewer = Tail(url=url, out=sys.stdout, err=sys.stderr)
    with contextlib.suppress(BrokenPipeError):
        await viewer.run()
