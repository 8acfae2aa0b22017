"""The commands: serve, demo, tail, token, check, healthcheck. Imports no more than the chosen one needs."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Sequence

from logrelay import __version__

_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    chosen = _parser().parse_args(arguments)
    run = {
        "serve": _serve,
        "check": _check,
        "demo": _demo,
        "tail": _tail,
        "token": _token,
        "healthcheck": _healthcheck,
    }[chosen.command]
    return run(chosen)


def _parser() -> argparse.ArgumentParser:
    from logrelay import minting, tail  # noqa: PLC0415 they declare their own options

    parser = argparse.ArgumentParser(
        prog="logrelay",
        description="Relays the logs of a Railway environment, live, to any number of browsers.",
    )
    parser.add_argument("--version", action="version", version=f"logrelay {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("serve", help="run the relay; configured by environment variables only")
    commands.add_parser("check", help="say whether token, addresses, environments and names work, and how")
    demo = commands.add_parser("demo", help="run the relay against a stand-in for Railway; no account needed")
    demo.add_argument("--port", type=int, help="port of the relay; 8080, or a free one where that is taken")
    demo.add_argument("--rate", type=float, default=5.0, help="lines a second (%(default)s)")
    demo.add_argument(
        "--seed", type=int, default=1, help="what the made-up lines are made from (%(default)s)"
    )
    demo.add_argument(
        "--chaos", action="store_true", help="break the upstream every few seconds, and count the cost"
    )
    demo.add_argument("--every", type=float, default=4.0, help="seconds between the chaos (%(default)s)")
    demo.add_argument("--quiet", action="store_true", help="don't show the stream here")
    tail.add_arguments(commands.add_parser("tail", help="follow a relay's stream in the terminal"))
    minting.add_arguments(commands.add_parser("token", help="make a token for LOGRELAY_AUTH=token"))
    commands.add_parser(
        "healthcheck", help="ask the relay on this machine whether it is alive; for containers"
    )
    return parser


def _serve(_: argparse.Namespace) -> int:
    from logrelay import app, logs, settings  # noqa: PLC0415 see the module's sentence
    from logrelay.errors import SettingsInvalid  # noqa: PLC0415 as above

    try:
        configured, warnings = settings.read(os.environ)
    except SettingsInvalid as error:
        return _faults(error.faults)
    with logs.written(configured.log_level):
        for warning in warnings:
            logs.warn(warning)
        # What has been imported stays: each whole collection would go through it for ten milliseconds.
        gc.freeze()
        try:
            return asyncio.run(app.serve(configured))
        except app.PortTaken as error:
            return _faults((str(error),))
        except SettingsInvalid as error:  # a file of the settings can't be used after all
            return _faults(error.faults)


def _check(_: argparse.Namespace) -> int:
    from logrelay import check  # noqa: PLC0415 see the module's sentence

    return asyncio.run(check.run(os.environ))


def _demo(chosen: argparse.Namespace) -> int:
    from logrelay import demo  # noqa: PLC0415 see the module's sentence

    try:
        return asyncio.run(
            demo.run(
                port=chosen.port,
                rate=chosen.rate,
                seed=chosen.seed,
                quiet=chosen.quiet,
                chaos_every=chosen.every if chosen.chaos else None,
            )
        )
    except KeyboardInterrupt:
        return 0


def _tail(chosen: argparse.Namespace) -> int:
    from logrelay import tail  # noqa: PLC0415 see the module's sentence

    return tail.run(chosen)


def _token(chosen: argparse.Namespace) -> int:
    from logrelay import minting  # noqa: PLC0415 see the module's sentence

    return minting.run(chosen)


def _healthcheck(_: argparse.Namespace) -> int:
    """Ask `/healthz` with nothing but the standard library, because a container asks every few seconds."""
    import http.client  # noqa: PLC0415 see the module's sentence

    port = os.environ.get("LOGRELAY_PORT", "")
    if not port.isdigit():  # not set, or Kubernetes' description of a Service
        port = os.environ.get("PORT", "") or "8080"
    host = os.environ.get("LOGRELAY_HOST", "127.0.0.1")
    connection = http.client.HTTPConnection(
        {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host),  # noqa: S104 listened on everywhere, asked here
        int(port) if port.isdigit() else 8080,
        timeout=3,
    )
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException) as error:
        print(f"logrelay does not answer: {type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        connection.close()


def _faults(faults: Sequence[str]) -> int:
    for fault in faults:
        print(f"logrelay: {fault}", file=sys.stderr)
    return _USAGE
