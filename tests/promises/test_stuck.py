"""Clients that never read (faults.md C2): gone soon, with all that they held, and nobody else is hurt.

The long test is one of thousands: `LOGRELAY_TEST_STUCK_CLIENTS` says how many (2,000), of whom each tenth never reads.
It takes some six minutes, and prints a table.
"""

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from conftest_system import until
from promises_counting import PERFECT
from promises_load import MIB, Served, Writer, flowing, serving

from logrelay.standin import StandIn

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from bench_processes import Load, Process, free_port, python
from bench_subjects import logrelay as subject

GONE = 15.0  # seconds after writes have stopped moving
CLIENTS = int(os.environ.get("LOGRELAY_TEST_STUCK_CLIENTS", "2000"))
DEAF = CLIENTS // 10
SECONDS = 70.0  # of lines
RATE = 100.0  # lines a second
SIZE = 1000  # characters of each; with its envelope 1.3 times as much is sent
SETTLED = 1.0  # seconds from READY to the first line
ENOUGH = 8 * MIB  # bytes to each reader
POOLED = 2  # connections for queries that may have been opened meanwhile
WORSE = 1.25  # times the p99 latency of the same run without stuck clients
FORMULA = (
    64 + 1.5 * 64 + 64 + 50
)  # MB: the README's for one environment and the default history, without its viewers
VIEWER = 0.4  # MB of one viewer, at most


# -- in every run of the suite ------------------------------------------------------------------------------------


def ended(served: Served, code: int) -> list[dict[str, Any]]:
    """What was logged of the connections that ended with a code."""
    return served.lines(message="stream closed", code=code)


@pytest.mark.big
async def test_c2_of_sixty_clients_the_six_who_never_read_are_gone_and_their_places_are_free(
    railway: StandIn, tmp_path: Path
) -> None:
    timeout = 1.0
    changes = {
        "LOGRELAY_WRITE_TIMEOUT_SECONDS": str(timeout),
        "LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT": "60",
    }
    writer = Writer(railway, padding="x" * 8000)
    async with serving(railway, tmp_path, changes) as served:
        healthy = await served.clients(54)
        fds = served.fds()
        stuck = [await served.deaf(number) for number in range(6)]
        await served.until_viewers(60)
        refused = await served.client(60)
        await until(lambda: refused.over, "there is no place for one more")
        assert 4429 == refused.code

        began = time.monotonic()
        async with flowing(
            writer, 100
        ):  # 800 KB a second, which soon is more than what kernels take for the deaf
            await until(lambda: len(ended(served, 4408)) == 6, "they are gone", within=GONE)
            took = time.monotonic() - began
            await until(lambda: served.fds() <= fds, f"no more than {fds} descriptors")
            assert 54 == await served.viewers()
            more = await served.clients(6)
            goal = writer.number + 10
            await until(lambda: all(client.life.last >= goal for client in more), "their places are taken")
        await until(lambda: all(client.life.last == writer.number for client in healthy), "all", within=30)

        sys.stdout.write(f"gone {took:.2f} s after the first line, with a timeout of {timeout} s\n")
        assert [PERFECT] * 54 == [client.life.report(writer.number) for client in healthy]
        assert [["connected"]] * 54 == [client.said for client in healthy]
        assert not [client for client in healthy if client.over]
        assert [101] * 6 == [client.status for client in stuck]
        assert 60 == await served.viewers()


def orphans(port: int) -> int:
    """Sockets of a server that no process holds any more, and for whose peers the system keeps bytes all the same."""
    fin_wait_1 = "04"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(own.endswith(f":{port:04X}") and state == fin_wait_1 for _, own, _, state, *_ in fields)


async def test_c2_the_system_keeps_nothing_for_who_never_read(railway: StandIn, tmp_path: Path) -> None:
    writer = Writer(railway, padding="x" * 8000)
    async with serving(railway, tmp_path, {"LOGRELAY_WRITE_TIMEOUT_SECONDS": "0.5"}) as served:
        stuck = await served.deaf()
        await railway.subscribed()  # what is written from now on is news to whoever is there

        writer.write(100)
        await until(lambda: len(ended(served, 4408)) == 1, "it is gone", within=GONE)

        await until(
            lambda: orphans(served.port) == 0, "its socket is gone, with the bytes that it held", within=5
        )
        assert 101 == stuck.status


# -- the long run ---------------------------------------------------------------------------------------------------


@attrs.frozen
class Look:
    """The relay from outside, at a moment."""

    at: float  # seconds since 1970
    fds: int
    viewers: int

    @classmethod
    def now(cls, relay: Process, port: int) -> "Look":
        url = f"http://127.0.0.1:{port}/readyz"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
            environments = json.load(answer)["environments"].values()
        viewers = sum(environment["viewers"] for environment in environments)
        return cls(time.time(), len(os.listdir(f"/proc/{relay.pid}/fd")), viewers)  # noqa: PTH208 a count


@attrs.frozen
class Run:
    """What one load was like."""

    name: str
    readers: int
    deaf: int
    result: dict[str, Any]  # by bench_load.py
    ready: Look
    done: Look
    gone: Sequence[float]  # seconds after the first line, at which stuck clients were gone
    peak: float  # MB

    @property
    def lost(self) -> tuple[int, ...]:
        names = ("missing_lines", "duplicates", "reordered", "strange", "failed", "closed_by_server")
        return tuple(self.result[name] for name in names)

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return float(self.result["latency_ms"]["p99"])

    def __str__(self) -> str:
        latency = self.result["latency_ms"]
        gone = f"{min(self.gone):.1f} to {max(self.gone):.1f} s" if self.gone else "-"
        return (
            f"{self.name:8} {self.readers:5} {self.deaf:4} {self.result['lines']:10} "
            f"{self.result['bytes'] / self.readers / MIB:5.1f} {sum(self.lost):5} "
            f"{latency['p50']:7.2f} {latency['p99']:7.2f} {latency['max']:8.1f} {len(self.gone):5} {gone:>15} "
            f"{self.ready.fds:5} {self.done.fds:5} {self.done.viewers:7} {self.peak:6.0f}"
        )


HEAD = (
    "run      readers deaf    lines  MiB each faults p50 ms  p99 ms   max ms  gone      after line 1   "
    "fds  then viewers peak MB"
)


def run(folder: Path, name: str, deaf: int) -> Run:
    """One load of all readers, with so many besides who never read."""
    port, source = free_port(), free_port()
    readers = CLIENTS - DEAF
    feeding = ("-rate", f"{RATE:g}", "-batch", "5", "-duration", f"{SECONDS:g}s", "-msgbytes", str(SIZE))
    relayed = subject()
    upstream = Process(
        (*python("bench_upstream.py"), "-addr", f"127.0.0.1:{source}", *feeding),
        {},
        folder / f"{name} upstream",
    )
    relay = Process(relayed.command, relayed.settings(port, source), folder / f"{name} relay")
    load: Load | None = None
    try:
        upstream.listening(source)
        relay.listening(port)
        clients = ("-n", str(readers + deaf), "-deaf", str(deaf), "-settle", f"{SETTLED:g}s", "-drain", "20s")
        control = ("-timeout", f"{SECONDS + 120:g}s", "-ctl", f"http://127.0.0.1:{source}")
        command = [*python("bench_load.py"), *clients, *control, relayed.url(port)]
        load = Load(command, lambda: Look.now(relay, port))
        result = load.result(SECONDS + 180)
        peak = relay.kib("VmHWM") * 1024 / 1e6
    finally:
        for process in (load, relay, upstream):
            if process is not None:
                process.stop()
        if load is not None:
            with load._popen:  # which closes its pipes
                pass
    ready, done = load.looks["READY"], load.looks["DONE"]
    gone = [at - ready.at - SETTLED for at in evictions(relay.log)]
    return Run(name, readers, deaf, result, ready, done, gone, peak)


def evictions(log: Path) -> list[float]:
    """When connections were closed as too slow, in seconds since 1970."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [
        datetime.fromisoformat(line["timestamp"]).timestamp()
        for line in lines
        if line["message"] == "stream closed" and line["code"] == 4408
    ]


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_c2_of_two_thousand_clients_the_tenth_who_never_reads_is_gone_and_hurts_nobody(
    tmp_path: Path,
) -> None:
    # Whatever else the machine does makes runs slower, never faster: of two runs of a kind, the better one counts.
    plan = {"calm 1": 0, "stuck 1": DEAF, "stuck 2": DEAF, "calm 2": 0}
    runs = [await asyncio.to_thread(run, tmp_path, name, deaf) for name, deaf in plan.items()]
    stuck = [each for each in runs if each.deaf]
    ratio = min(each.p99 for each in stuck) / min(each.p99 for each in runs if not each.deaf)
    allowed = FORMULA + CLIENTS * VIEWER
    sys.stdout.write("\n".join([HEAD, *map(str, runs)]) + "\n")
    sys.stdout.write(
        f"p99 ratio {ratio:.2f}, memory {max(each.peak for each in runs):.0f} of {allowed:.0f} MB\n"
    )

    for each in runs:
        assert (0,) * 6 == each.lost
        assert each.result["bytes"] >= ENOUGH * each.readers
        assert each.done.viewers == each.readers
        assert each.peak <= allowed
    for each in stuck:
        assert DEAF == each.result["deaf"] == len(each.gone)
        # Writes stop moving when buffers are full, some time after the first line: this asks for more than it must.
        assert max(each.gone) <= GONE
        assert CLIENTS == each.ready.viewers
        assert each.done.fds <= each.ready.fds - DEAF + POOLED
    assert ratio <= WORSE
