"""`logrelay demo`: the relay and a stand-in for Railway on loopback, and the stream in the terminal."""

import asyncio
import contextlib
import os
import sys

from aiohttp import web
from yarl import URL

from logrelay import app, chaos, logs, settings
from logrelay.standin import StandIn, Traffic, World
from logrelay.tail import Tail, coloured
from logrelay.terminal import Look

_HOST = "127.0.0.1"
_PORT = 8080
_POLL = 0.5  # seconds; Railway's own polls are about four apart (facts.md section 5)


async def run(
    *, port: int | None, rate: float, seed: int, quiet: bool, chaos_every: float | None = None
) -> int:
    """Run until interrupted. `rate` is in lines a second; without a port, the usual one or a free one is taken.

    With `chaos_every`, a fault strikes every so many seconds, and what it cost is said so many seconds later.
    """
    logs.silence()
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
            | (chaos.SETTINGS if chaos_every else {})
        )
        try:
            runner, port = await _start(configured, port)
        except app.PortTaken as error:
            print(f"logrelay: {error}; choose another with --port, or none", file=sys.stderr)
            return 1
        url = URL(f"ws://{_HOST}:{port}/api/environments/{world.environment.id}/logs/stream")
        working = [asyncio.create_task(traffic.run())]
        if chaos_every:
            working.append(asyncio.create_task(chaos.run(railway, url, _say, every=chaos_every)))
        try:
            _introduce(railway, world, port)
            await _watch(url, quiet=quiet)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
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
    print(f"  page       {base}/environments/{environment.id}")
    print(f"  stream     {base.replace('http', 'ws')}/api/environments/{environment.id}/logs/stream")
    print(f"  follow it  logrelay tail {environment.id} --url {base}")
    print(f"  health     curl {base}/readyz")
    print(f"  faults     curl -X POST '{control}/reset'    (all of them: curl {control})")
    print("  end        Ctrl-C", flush=True)
    print()


def _say(sentence: str) -> None:
    """Put a sentence of the demo's own between the lines of the stream, as notices stand there."""
    print(f"── {sentence} ──", flush=True)


async def _watch(url: URL, *, quiet: bool) -> None:
    """Show the relay's stream here, through a WebSocket like anybody else's."""
    if quiet:
        await asyncio.Event().wait()
    look = Look(coloured("auto", os.environ, terminal=sys.stdout.isatty()))
    viewer = Tail(url=url.with_query(tail=20), out=sys.stdout, err=sys.stderr, look=look)
    try:
        with contextlib.suppress(BrokenPipeError):
            await viewer.run()
    finally:
        print(f"\n{viewer.tally}", file=sys.stderr)
