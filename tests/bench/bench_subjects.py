"""What is measured: logrelay, and the peers that lie in a folder of built tools."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from bench_processes import python
from bench_rows import ENVIRONMENT

PATH = f"/api/environments/{ENVIRONMENT}/logs/stream"
OURS = "logrelay"
SHARED = "Go shared"
SHARED_4096 = "Go shared, queues of 4,096"
_MANY = "100000"  # connections


@attrs.frozen
class Subject:
    """A relay: the command that serves, and its settings for a port and an upstream's port."""

    name: str
    command: tuple[str, ...]
    settings: Callable[[int, int], dict[str, str]]
    tail: bool = False  # whether its address takes logrelay's parameters
    added: tuple[str, ...] = ()  # names of settings that it may not know; it names them in its log then

    def url(self, port: int, query: str = "") -> str:
        """Where clients connect."""
        given = "&".join(part for part in (("tail=0" if self.tail else ""), query) if part)
        return f"ws://127.0.0.1:{port}{PATH}" + (f"?{given}" if given else "")


@attrs.frozen
class Tools:
    """The commands of the upstream and of the clients for plain runs."""

    upstream: tuple[str, ...]
    load: tuple[str, ...]


def _logrelay(port: int, upstream: int) -> dict[str, str]:
    return {
        "LOGRELAY_PORT": str(port),
        "LOGRELAY_AUTH": "none",
        "LOGRELAY_RAILWAY_URL": f"http://127.0.0.1:{upstream}/graphql/v2",
        "RAILWAY_API_TOKEN": "0f1e2d3c-0000-4000-8000-000000000001",
        "LOGRELAY_ENVIRONMENTS": "*",
        "LOGRELAY_ALLOWED_ORIGINS": "*",
        "LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT": _MANY,
        "LOGRELAY_MAX_CONNECTIONS": _MANY,
    }


def _peer(listen: str, **more: str) -> Callable[[int, int], dict[str, str]]:
    """Settings of a peer; `listen` is its variable for the address, in which {} stands for the port."""
    name, _, value = listen.partition("=")

    def settings(port: int, upstream: int) -> dict[str, str]:
        url = f"ws://127.0.0.1:{upstream}/graphql/v2"
        return {name: value.format(port), "RAILWAY_URL": url, "MAX_CONNECTIONS_PER_ENV": _MANY, **more}

    return settings


def logrelay() -> Subject:
    """The checkout's own `serve`."""
    return Subject(OURS, (sys.executable, "-m", "logrelay", "serve"), _logrelay, tail=True)


def peers(folder: Path) -> dict[str, Subject]:
    """The peers by name; Node's only where what it needs is installed."""
    relay = (str(folder / "bin" / "seedrelay"), "-shared")
    found = [
        Subject(SHARED, relay, _peer("LISTEN_ADDR=127.0.0.1:{}")),
        Subject(SHARED_4096, relay, _peer("LISTEN_ADDR=127.0.0.1:{}", SEND_BUFFER="4096")),
    ]
    node = folder / "noderelay"
    if (node / "node_modules").is_dir():
        found.append(Subject("Node ws", ("/usr/bin/env", "node", str(node / "server.js")), _peer("PORT={}")))
    return {subject.name: subject for subject in found}


def own_tools() -> Tools:
    """Upstream and clients of this folder."""
    return Tools(python("bench_upstream.py"), python("bench_load.py"))


def built_tools(folder: Path) -> Tools:
    """Upstream and clients of the folder; reads are gathered for half a millisecond, which saves everybody wake-ups."""
    return Tools((str(folder / "bin" / "upgen"),), (str(folder / "bin" / "wsload"), "-coalesce", "500us"))


def with_settings(subject: Subject, given: Mapping[str, str]) -> Subject:
    """The same relay with more settings."""
    plain = subject.settings
    return attrs.evolve(
        subject, settings=lambda port, upstream: plain(port, upstream) | dict(given), added=tuple(given)
    )
