"""The life of `logrelay serve` as whoever runs it sees it: signals, exit codes, what it writes."""

import asyncio
import signal
import time

import pytest
from interop_peers import Relay, Relayed, Run, View, Viewer
from test_interop_client import connected, messages, numbered, small_buffers, write

from logrelay.standin import Line, StandIn, World

STUCK = [f"{number} " + "x" * 8000 for number in range(400)]


async def stuck(relay: Relay, railway: StandIn, view: View) -> tuple[Viewer, Viewer]:
    """A client that reads nothing although much has come for it, and one that has read it all."""
    deaf = await view(relay, options=small_buffers(relay.port))
    viewer = await view(relay)
    await connected(viewer)
    await write(railway, *STUCK)
    await viewer.logs(len(STUCK))
    return deaf, viewer


async def test_sigterm_drains_and_ends_with_success(relayed: Relayed, railway: StandIn, view: View) -> None:
    relay = await relayed()
    viewers = [await view(relay) for _ in range(3)]
    for viewer in viewers:
        await connected(viewer)
    await write(railway, *numbered(1, 100))

    relay.child.signal(signal.SIGTERM)
    codes = await asyncio.gather(*(viewer.closed() for viewer in viewers))

    assert [1012] * 3 == codes
    assert 0 == await relay.child.ended(within=10)
    for viewer in viewers:
        *_, last = viewer.seen
        drainings = [message for message in viewer.seen if message.get("message") == "draining"]
        assert 1 == len(drainings)
        assert 0 < drainings[0]["data"]["reconnectInSeconds"] <= 1
        assert last["type"] in ("log", "status")
    assert 3 == len(relay.child.said(message="stream closed", code=1012))
    assert relay.child.said(message="stopped")


@pytest.mark.big
async def test_sigterm_waits_for_nobody_longer_than_ten_seconds(
    relayed: Relayed, railway: StandIn, view: View
) -> None:
    relay = await relayed()
    _, viewer = await stuck(relay, railway, view)
    began = time.monotonic()

    relay.child.signal(signal.SIGTERM)

    assert 1012 == await viewer.closed()
    assert 0 == await relay.child.ended(within=10 - (time.monotonic() - began))


async def test_a_second_sigterm_ends_at_once(relayed: Relayed, railway: StandIn, view: View) -> None:
    relay = await relayed(LOGRELAY_FLUSH_SECONDS="60", LOGRELAY_WRITE_TIMEOUT_SECONDS="60")
    _, viewer = await stuck(relay, railway, view)
    relay.child.signal(signal.SIGTERM)
    await viewer.until(message="draining")

    relay.child.signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == await relay.child.ended(within=1)


@pytest.mark.big
async def test_after_a_kill_another_relay_goes_on_from_the_same_ids(
    relayed: Relayed, railway: StandIn, view: View, world: World
) -> None:
    relay = await relayed()
    viewer = await view(relay)
    await connected(viewer)
    twins = [Line("twin", at=world.clock()) for _ in range(3)]
    await write(railway, *numbered(1, 20), *twins, *numbered(21, 40))
    before = await viewer.up_to("line 40")

    relay.child.signal(signal.SIGKILL)
    assert -signal.SIGKILL == await relay.child.ended()
    await viewer.closed()
    world.environment.write_many(numbered(41, 60))
    # Late, and so far back that a history in order of stamps has it before the client's last record.
    world.environment.write("late", at=world.environment.rows[5].ns)
    successor = await relayed()
    resumed = await view(successor, lastId=before[-1]["id"])
    overlapped = await view(successor, lastId=before[9]["id"], overlap=5)
    everything = await view(successor, tail=1000)

    assert {"outcome": "exact"} == (await connected(resumed))["resume"]
    assert numbered(41, 60) == messages(await resumed.logs(20))
    await connected(overlapped)
    await connected(everything)
    after = await everything.up_to("line 60")
    ids = [log["id"] for log in after]
    assert [log["id"] for log in before] == [
        log["id"] for log in after if log["message"] != "late" and log["message"] not in numbered(41, 60)
    ]
    assert 64 == len(ids) == len(set(ids))
    assert 3 == len({log["id"] for log in after if log["message"] == "twin"})
    seen = {log["id"] for log in before[:10]} | {log["id"] for log in await overlapped.up_to("line 60")}
    assert set(ids) == seen


@pytest.mark.parametrize("secret", ["RAILWAY_API_TOKEN", "LOGRELAY_RAILWAY_URL", "LOGRELAY_PORT"])
async def test_a_bad_configuration_is_named_in_full_and_at_once(run: Run, secret: str) -> None:
    word = "hunter2-hunter2"
    bad = {
        "RAILWAY_API_TOKEN": "a token",
        "LOGRELAY_RAILWAY_URL": "ftp://railway.example",
        "LOGRELAY_PORT": "99999",
        "LOGRELAY_HEARTBEAT_SECONDS": "soon",
        "LOGRELAY_ALLOWED_ORIGINS": "https://app.example/path",
    }
    began = time.monotonic()
    child = await run(**bad | {secret: f"https://user:{word}@railway.example/ {word}"})

    code = await child.ended(within=2)

    assert time.monotonic() - began < 2
    assert code > 0
    faults = await child.complained()
    assert [*sorted(bad), "LOGRELAY_ENVIRONMENTS"] == sorted(
        (line.removeprefix("logrelay: ").split()[0] for line in faults),
        key=lambda name: (name == "LOGRELAY_ENVIRONMENTS", name),
    )
    assert word not in child.text
    assert [] == child.lines


async def test_a_port_that_is_taken_is_a_fault_too(relayed: Relayed, run: Run) -> None:
    relay = await relayed()
    child = await run(PORT=str(relay.port), RAILWAY_API_TOKEN="t", LOGRELAY_ENVIRONMENTS="e")

    assert 0 < await child.ended(within=2)

    (fault,) = await child.complained()
    assert str(relay.port) in fault


async def test_an_unknown_setting_is_warned_about_with_the_nearest_one(relayed: Relayed) -> None:
    relay = await relayed(LOGRELAY_HEARTBEET_SECONDS="7", LOGRELAY_SERVICE_HOST="10.0.0.1")

    (warning,) = relay.child.said(level="warning")

    assert "LOGRELAY_HEARTBEET_SECONDS" in warning["message"]
    assert "LOGRELAY_HEARTBEAT_SECONDS" in warning["message"]
