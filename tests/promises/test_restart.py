"""Restarts under load (faults.md P1, P2): soon over, whoever doesn't read, and nothing is lost for those who do."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from conftest_system import until
from promises_clients import Client, Life
from promises_counting import PERFECT, Report
from promises_load import Served, Writer, flowing, serving

from logrelay.standin import StandIn

ENDED = 10.0  # seconds within which the relay has to be gone
RED = 2.0  # seconds within which readiness has to say so
FLOOD = 64  # lines of 8,000 characters: more than what a kernel takes for a peer that doesn't read
RATE = 50.0  # lines a second


@attrs.define
class Restart:
    """What a restart was like."""

    red_after: float = 0.0  # seconds from the signal
    code: int = -1
    ended_after: float = 0.0
    warned: int = 0  # clients who were told `draining`, and then closed with 1012
    back: int = 0  # of those who resumed, whom the other relay served
    outcomes: set[str] = attrs.Factory(set)
    report: Report = PERFECT


async def until_draining(served: Served) -> None:
    """Wait until readiness says so."""
    async with asyncio.timeout(RED):
        while True:
            status, body = await served.ready()
            if status == 503:
                break
            await asyncio.sleep(0)
    assert "draining" == body["state"]


async def refused_meanwhile(served: Served) -> Client:
    """Somebody who comes too late."""
    client = await served.client(1)
    await until(lambda: client.settled, "refused")
    return client


async def moved(client: Client, number: int, other: Served) -> Client:
    """Wait for the end of a client's connection, and come back elsewhere when it was told to."""
    await client.done.wait()
    told = [message["data"] for message in client.messages if message.get("message") == "draining"]
    await asyncio.sleep(told[0]["reconnectInSeconds"] if told else 0)
    resumed = await other.client(number, client.life, lastId=client.life.last_id)
    await until(lambda: resumed.settled, "it is served", within=30)
    return resumed


async def restarted(first: Served, second: Served, healthy: Sequence[Client], writer: Writer) -> Restart:
    """End the first relay by SIGTERM while lines flow, and let everyone resume at the second."""
    seen = Restart()
    began = time.monotonic()
    first.process.send_signal(signal.SIGTERM)
    await until_draining(first)
    seen.red_after = time.monotonic() - began
    late = await refused_meanwhile(first)
    assert 503 == late.status
    assert b"\r\nretry-after: " in late.head.lower()
    moving = [asyncio.create_task(moved(client, number, second)) for number, client in enumerate(healthy)]
    seen.code = await first.ended(within=ENDED + 5)
    seen.ended_after = time.monotonic() - began

    resumed = await asyncio.gather(*moving)
    seen.warned = sum("draining" in client.said and client.code == 1012 for client in healthy)
    seen.back = sum(client.connected for client in resumed)
    seen.outcomes = {
        client.messages[-1]["data"]["resume"]["outcome"] for client in resumed if client.connected
    }
    return seen


async def restart_under_load(railway: StandIn, folder: Path, clients: int, deaf: int) -> Restart:
    """The whole course, with so many clients of whom some never read."""
    writer = Writer(railway)
    async with (
        serving(railway, folder, name="first") as first,
        serving(railway, folder, name="second") as second,
    ):
        stuck = [await first.deaf(number) for number in range(deaf)]
        healthy = await first.clients(clients - deaf)
        await first.until_viewers(clients)
        await fill(railway, writer, [client.life for client in healthy])
        async with flowing(writer, RATE):
            await until(lambda: writer.number >= FLOOD + 20, "lines flow")
            seen = await restarted(first, second, healthy, writer)
            goal = writer.number + 20
            await until(lambda: writer.number >= goal, "lines go on")
        await until(lambda: all(client.life.last == writer.number for client in healthy), "all", within=30)

        seen.report = sum((client.life.report(writer.number) for client in healthy), PERFECT)
        assert deaf == len([client for client in stuck if client.status == 101])
        return seen


async def fill(railway: StandIn, writer: Writer, lives: Sequence[Life]) -> None:
    """Write so much that nothing more goes to those who don't read."""
    writer.padding, padding = "x" * 8000, writer.padding
    writer.write(FLOOD)
    writer.padding = padding
    await until(lambda: all(life.last >= FLOOD for life in lives), "the flood has been read", within=60)


def check(seen: Restart, healthy: int) -> None:
    assert 0 == seen.code
    assert seen.ended_after <= ENDED
    assert seen.red_after <= RED
    assert seen.warned >= 0.99 * healthy
    assert healthy == seen.back
    assert PERFECT == seen.report
    assert seen.outcomes <= {"exact", "backfilled"}


@pytest.mark.big
async def test_p1_a_restart_with_clients_who_never_read_is_over_soon_and_costs_the_others_nothing(
    railway: StandIn, tmp_path: Path
) -> None:
    seen = await restart_under_load(railway, tmp_path, clients=50, deaf=5)

    check(seen, 45)
    assert 45 == seen.warned


@pytest.mark.big
@pytest.mark.timeout(240)
async def test_p1_a_restart_with_a_thousand_clients_is_over_in_ten_seconds_and_costs_the_others_nothing(
    railway: StandIn, tmp_path: Path
) -> None:
    seen = await restart_under_load(railway, tmp_path, clients=1000, deaf=100)

    sys.stdout.write(f"{seen}\n")
    check(seen, 900)


async def test_p2_a_second_signal_ends_at_once(railway: StandIn, tmp_path: Path) -> None:
    patient = {"LOGRELAY_FLUSH_SECONDS": "60", "LOGRELAY_WRITE_TIMEOUT_SECONDS": "60"}
    writer = Writer(railway)
    async with serving(railway, tmp_path, patient) as served:
        await served.deaf()
        (reader,) = await served.clients(1)
        await fill(railway, writer, [reader.life])
        served.process.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in reader.said, "it drains")
        assert served.process.returncode is None

        served.process.send_signal(signal.SIGTERM)

        assert 128 + signal.SIGTERM == await served.ended(within=1)
