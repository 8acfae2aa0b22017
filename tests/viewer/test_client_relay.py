"""The built client in Node against a real relay: whatever is cut, each line comes once and in order."""

import hashlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from client_scene import Follower, Scene, scene
from promises_counting import PERFECT, report

from logrelay.standin import Canary, Row, StandIn, World

TOKEN = "a-token-of-the-tests-0123456789"
SECRET = "a service secret that is long enough for the relay to take"


@pytest.fixture
async def railway() -> AsyncIterator[StandIn]:
    async with StandIn(World(seed=9), poll_interval=0.01) as railway:
        yield railway


@pytest.fixture
async def stage(railway: StandIn, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(railway, tmp_path) as stage:
        yield stage


async def connected(follower: Follower, times: int = 1) -> None:
    await follower.child.until_said(times, event="notice", notice="connected")


async def whole(railway: StandIn, follower: Follower, rows: list[Row]) -> None:
    """Write a last line, wait until it has come, and count."""
    rows = [*rows, railway.world.environment.write("the end")]
    await follower.until_message("the end")
    assert report(rows, follower.records) == PERFECT
    assert follower.notices("gap") == follower.notices("lost") == []


@pytest.mark.timeout(120)
async def test_nothing_is_missing_or_repeated_whichever_side_is_cut(stage: Scene, railway: StandIn) -> None:
    canary = Canary(railway.world.environment, tied=0.3, late=0.05, max_lateness=2.0)
    _, port = await stage.relay()
    wire = await stage.wire(port)
    follower = await stage.follow(wire.port, tail=0)
    await connected(follower)
    await railway.subscribed()

    cuts = 0
    for round_ in range(8):
        canary.write(200)
        await railway.flush()
        canary.write(50)
        if round_ % 2:
            await railway.faults.reset()
        else:
            cuts += 1
            wire.cut()
        canary.write(200)
        await connected(follower, cuts + 1)
        await railway.subscribed()

    await whole(railway, follower, list(canary.written))
    assert len(follower.notices("disconnected")) == cuts
    assert len(follower.notices("reconnecting")) >= 1
    assert wire.opened >= cuts + 1


@pytest.mark.big
async def test_the_client_knows_which_try_the_relay_is_at_without_waiting_for_a_heartbeat(
    stage: Scene, railway: StandIn
) -> None:
    _, port = await stage.relay(
        LOGRELAY_HEARTBEAT_SECONDS="600",
        LOGRELAY_BACKOFF_FIRST_SECONDS="2",  # give or take half
        LOGRELAY_BACKOFF_LONGEST_SECONDS="2",
    )
    follower = await stage.follow(port, tail=0)
    await connected(follower)
    await railway.subscribed()
    railway.faults.refuse_upgrade = (503, {}, "down")

    await railway.faults.reset()
    await follower.child.until_said(event="state", upstream="reconnecting", tries=1)
    await follower.child.until_said(event="state", upstream="reconnecting", tries=2)
    late = await stage.follow(port, tail=0)

    await late.child.until_said(event="state", phase="live", upstream="reconnecting")
    railway.faults.refuse_upgrade = None
    await follower.child.until_said(event="notice", notice="live")
    await whole(railway, follower, [])


async def test_a_restart_of_the_relay_costs_nothing(stage: Scene, railway: StandIn) -> None:
    canary = Canary(railway.world.environment)
    relay, port = await stage.relay()
    wire = await stage.wire(port)
    follower = await stage.follow(wire.port, tail=0)
    await connected(follower)
    await railway.subscribed()
    canary.write(300)
    await railway.flush()

    relay.signal(signal.SIGTERM)
    canary.write(100)
    assert await relay.ended() == 0
    canary.write(100)
    _, wire.target = await stage.relay()
    await connected(follower, 2)
    canary.write(100)

    await whole(railway, follower, list(canary.written))
    assert [data["code"] for data in follower.notices("disconnected")] == [1012]
    assert len(follower.notices("draining")) == 1


async def test_a_filter_changes_on_the_live_connection(stage: Scene, railway: StandIn) -> None:
    world = railway.world.environment
    _, port = await stage.relay()
    wire = await stage.wire(port)
    follower = await stage.follow(wire.port, tail=0)
    await connected(follower)
    await railway.subscribed()
    world.write_many(["red 1", "blue 1"])
    await follower.until_message("blue 1")

    await follower.child.tell(do="filter", filter={"search": "red"}, replay=10)
    (answer,) = await follower.child.until_said(event="filtered")
    world.write_many(["blue 2", "red 2"])
    await follower.until_message("red 2")
    await follower.child.tell(do="filter", filter={"search": '"unbalanced'})
    (failed,) = await follower.child.until_said(event="failed")
    wire.cut()
    await connected(follower, 2)
    world.write_many(["blue 3", "red 3"])
    await follower.until_message("red 3")

    assert answer["filter"]["search"] == "red"
    assert failed["code"] == "filter_invalid"
    assert "search" in failed["error"]
    assert follower.messages == ["red 1", "blue 1", "red 1", "red 2", "red 3"]
    assert wire.opened == 2


async def test_a_pause_holds_the_place(stage: Scene, railway: StandIn) -> None:
    world = railway.world.environment
    _, port = await stage.relay()
    follower = await stage.follow(port, tail=0)
    await connected(follower)
    await railway.subscribed()
    await follower.child.tell(do="pause")
    await follower.child.until_said(event="state", phase="paused")
    # Another client shows that the lines have passed the relay; the answer to a message shows that the pause is known.
    other = await stage.follow(port, tail=0)
    await connected(other)
    await follower.child.tell(do="filter", filter={})
    await follower.child.until_said(event="filtered")
    world.write_many([f"line {number}" for number in range(50)])
    await other.until_message("line 49")

    assert follower.messages == []
    await follower.child.tell(do="resume")
    await follower.until_message("line 49")

    assert follower.messages == other.messages


async def test_who_takes_slowly_makes_the_relay_wait_and_misses_nothing(
    stage: Scene, railway: StandIn
) -> None:
    canary = Canary(railway.world.environment)
    _, port = await stage.relay()
    follower = await stage.follow(port, tail=0, highWater=300, batch=100, slow=10)
    await connected(follower)
    await railway.subscribed()

    for _ in range(20):
        canary.write(200)
        await railway.flush()

    await whole(railway, follower, list(canary.written))
    pauses = follower.child.said(event="sent", type="pause")
    assert pauses
    await follower.child.until_said(len(pauses), event="sent", type="resume")
    assert not follower.child.said(event="state", phase="paused")


async def test_older_records_are_brought_beside_the_stream(stage: Scene, railway: StandIn) -> None:
    world = railway.world.environment
    _, port = await stage.relay()
    follower = await stage.follow(port, tail=2)
    await connected(follower)
    await railway.subscribed()
    world.write_many([f"line {number}" for number in range(40)])
    await follower.until_message("line 39")

    wish = {"before": follower.records[30]["id"], "limit": 3}
    await follower.child.tell(do="history", wish=wish)
    await follower.child.until_said(event="history")
    await follower.child.tell(do="history", wish=wish | {"search": "5", "limit": 2})
    await follower.child.until_said(2, event="history")
    await follower.child.tell(do="history", wish={"search": '"unbalanced'})
    (failed,) = await follower.child.until_said(event="failed")

    plain, searched = follower.child.said(event="history")
    assert plain["messages"] == ["line 29", "line 28", "line 27"]
    assert searched["messages"] == ["line 25", "line 15"]
    assert failed["code"] == "filter_invalid"


async def test_a_token_opens_and_a_wrong_one_is_asked_for_anew(
    stage: Scene, railway: StandIn, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.write_text(json.dumps({"name": "tests", "sha256": digest, "environments": "*"}) + "\n")
    relay, port = await stage.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS_FILE=str(tokens))
    follower = await stage.follow(
        port, tail=0, credentials=[{"token": "a-wrong-one-0123456789"}, {"token": TOKEN}]
    )
    await connected(follower)
    await railway.subscribed()

    railway.world.environment.write("seen")
    await follower.until_message("seen")

    assert len(follower.child.said(event="credential")) == 2
    assert TOKEN not in relay.text


async def test_who_has_no_other_token_is_told_so(stage: Scene, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.write_text(json.dumps({"name": "tests", "sha256": digest, "environments": ["another"]}) + "\n")
    _, port = await stage.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS_FILE=str(tokens))

    unknown = await stage.follow(port, credentials=[{"token": "a-wrong-one-0123456789"}])
    foreign = await stage.follow(port, credentials=[{"token": TOKEN}])

    await unknown.child.until_said(event="state", phase="closed", code=4401)
    await foreign.child.until_said(event="state", phase="closed", code=4403)
    await foreign.child.until_said(event="over")


async def test_a_ticket_opens_once_and_its_token_comes_back(stage: Scene, railway: StandIn) -> None:
    relay, port = await stage.relay(LOGRELAY_AUTH="ticket", LOGRELAY_SERVICE_SECRET=SECRET)
    wire = await stage.wire(port)
    async with aiohttp.ClientSession() as session:
        answer = await session.post(
            f"http://127.0.0.1:{port}/api/tickets",
            headers={"Authorization": f"Bearer {SECRET}"},
            json={"environment": stage.environment_id},
        )
        ticket = (await answer.json())["ticket"]
    follower = await stage.follow(wire.port, tail=0, credentials=[{"ticket": ticket}])
    await connected(follower)
    await railway.subscribed()
    railway.world.environment.write("before")
    await follower.until_message("before")

    wire.cut()
    await connected(follower, 2)
    railway.world.environment.write("after")
    await follower.until_message("after")

    assert follower.messages == ["before", "after"]
    assert len(follower.child.said(event="credential")) == 1
    assert ticket not in relay.text
