"""The promises, end to end: what stands in Railway's log is what every viewer gets."""

import asyncio
import itertools
import random

import pytest
from conftest_system import Relay, Viewer, relaying, until

from logrelay.standin import Canary, StandIn, World


def numbers(viewer: Viewer) -> list[int]:
    """The numbers of the canary's lines in the order in which they came."""
    return [int(line.split()[1]) for line in viewer.lines if line.startswith("canary ")]


def written(canary: Canary) -> list[int]:
    return list(range(1, canary.number + 1))


async def test_a_viewer_gets_what_railway_has(world: World, railway: StandIn, relay: Relay) -> None:
    row = world.environment.write("hello", service="api", severity="warn", attributes={"status": 200})

    async with relay.viewer(tail=10) as viewer:
        await viewer.until_lines(1)

        (connected,) = viewer.said("connected")
        assert connected["data"]["environmentName"] == "production"
        assert connected["data"]["resume"] is None
        assert connected["data"]["upstream"]["state"] == "live"
        (record,) = viewer.records
        assert record["timestamp"] == row.timestamp
        assert record["severity"] == "warn"
        assert record["serviceName"] == "api"
        assert record["attributes"]["status"] == 200

        world.environment.write("again", service="web")
        await viewer.until_lines(2)
        assert viewer.records[1]["serviceName"] == "web"


async def test_every_viewer_of_an_environment_shares_one_subscription(
    world: World, railway: StandIn, relay: Relay
) -> None:
    await fan_out(world, railway, relay, viewers=20, records=2000)


@pytest.mark.big
@pytest.mark.timeout(300)
async def test_a_hundred_viewers_get_twenty_thousand_records_each_once_in_order(
    world: World, railway: StandIn
) -> None:
    # A hundred viewers in this very process hold up its loop for longer than the tests' ping waits.
    async with relaying(railway, {"LOGRELAY_UPSTREAM_PING_SECONDS": "13"}) as relay:
        await fan_out(world, railway, relay, viewers=100, records=20_000)


async def fan_out(world: World, railway: StandIn, relay: Relay, *, viewers: int, records: int) -> None:
    canary = Canary(world.environment, tied=0.4, late=0.05, max_lateness=2.0, duplicates=0.05)
    entered = [relay.viewer() for _ in range(viewers)]
    opened = [await viewer.__aenter__() for viewer in entered]
    try:
        await asyncio.gather(*(viewer.until_said("connected") for viewer in opened))
        while canary.number < records:
            canary.write(500)
            await railway.flush()
        await until(lambda: all(len(viewer.lines) >= records for viewer in opened), "every line", within=240)
        await railway.flush()

        first = opened[0]
        assert sorted(numbers(first)) == written(canary)
        assert len(set(first.ids)) == records
        assert all(viewer.ids == first.ids for viewer in opened)
        assert any(record.get("late") for record in first.records)
        assert [notice["message"] for notice in first.notices] == ["connected"]
        assert railway.journal.open_subscriptions == 1
        assert len(railway.journal.subscribes) == 1
    finally:
        await asyncio.gather(*(viewer.__aexit__(None, None, None) for viewer in entered))


async def test_faults_of_the_upstream_in_turn_cost_a_live_viewer_nothing(
    world: World, railway: StandIn, relay: Relay
) -> None:
    canary = Canary(world.environment, tied=0.4, late=0.05, max_lateness=2.0, duplicates=0.05)

    async def refuse() -> None:
        await railway.stop_listening(cut=True)
        canary.write(20)
        await asyncio.sleep(0)
        await railway.listen_again()

    async def stall() -> None:
        railway.faults.stall = True
        canary.write(20)
        await viewer.until_said("reconnecting", times)
        railway.faults.stall = False

    faults = [
        railway.faults.reset,
        railway.faults.complete,
        stall,
        refuse,
        railway.faults.fin,
        railway.faults.cut_mid_frame,
        lambda: railway.faults.close(1000),
        lambda: railway.faults.close(4500, "Internal server error"),
        lambda: railway.faults.close(1011, "deadline_exceeded"),
        lambda: railway.faults.send_raw("null"),
    ]
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        for times, fault in enumerate(faults, start=1):
            canary.write(20)
            await fault()
            canary.write(20)
            await viewer.until_said("reconnecting", times)
            await viewer.until_said("live", times)
            canary.write(20)
            await railway.subscribed()
            await viewer.until_lines(canary.number)

        assert sorted(numbers(viewer)) == written(canary)
        assert len(viewer.lines) == canary.number
        assert viewer.said("gap") == []
        assert viewer.others == []
        assert railway.journal.open_subscriptions == 1


@pytest.mark.parametrize("by", ["lastId", "lastTimestamp"])
async def test_a_viewer_cut_anywhere_and_resumed_misses_nothing(
    world: World, railway: StandIn, relay: Relay, by: str
) -> None:
    rng = random.Random(by)
    canary = Canary(world.environment, tied=0.4, late=0.05, max_lateness=2.0, duplicates=0.05)
    got: list[dict[str, object]] = []
    async with relay.viewer(tail=0) as keeper:
        await keeper.until_said("connected")
        for _ in range(50):
            last = got[-1] if got else None
            query = {} if last is None else {by: last["id" if by == "lastId" else "timestamp"]}
            async with relay.viewer(**query) as viewer:
                await viewer.until_said("connected")
                if last is not None:
                    assert viewer.said("connected")[0]["data"]["resume"] == {"outcome": "exact"}
                fresh = rng.randrange(1, 30)
                canary.write(fresh)
                await railway.flush()
                await keeper.until_lines(canary.number)
                # Cut somewhere in what has come or will come.
                await viewer.until_lines(rng.randrange(min(5, fresh + 1)))
                await viewer.cut()
            got += viewer.records

        query = {by: got[-1]["id" if by == "lastId" else "timestamp"]}
        async with relay.viewer(**query) as viewer:
            await viewer.until_said("connected")
            await until(
                lambda: {*keeper.ids} <= {record["id"] for record in [*got, *viewer.records]}, "all of it"
            )
            got += viewer.records

        ids = [record["id"] for record in got]
        assert set(ids) == set(keeper.ids)
        if by == "lastId":
            assert ids == keeper.ids
        else:
            check_repeats_are_ties(keeper, ids)


def check_repeats_are_ties(keeper: Viewer, ids: list[str]) -> None:
    """What came twice came after a resume by a stamp, and from the first record with that stamp on."""
    place = {identity: number for number, identity in enumerate(keeper.ids)}
    stamps = {record["id"]: record["timestamp"] for record in keeper.records}
    for before, after in itertools.pairwise(ids):
        if place[after] != place[before] + 1:
            assert stamps[after] == stamps[before]


async def test_a_thousand_connects_leave_nothing_behind(world: World, railway: StandIn, relay: Relay) -> None:
    canary = Canary(world.environment)
    canary.write(50)

    async def visit() -> None:
        async with relay.viewer(tail=5) as viewer:
            await viewer.until_lines(5)

    for _ in range(20):
        await asyncio.gather(*(visit() for _ in range(50)))

    await until(lambda: not list(relay.hubs), "no hub is left")
    await until(lambda: railway.journal.open_sockets == 0, "no subscription is left")
    assert relay.streams.clients == 0
    assert len(railway.journal.subscribes) <= 2


async def test_a_viewer_who_comes_back_within_the_linger_finds_the_same_subscription(
    world: World, railway: StandIn
) -> None:
    async with relaying(railway, {"LOGRELAY_LINGER_SECONDS": "30"}) as relay:
        for _ in range(3):
            async with relay.viewer() as viewer:
                await viewer.until_said("connected")
            await until(lambda: relay.streams.clients == 0, "the viewer has left")

        assert len(railway.journal.subscribes) == 1


async def test_a_restarted_relay_gives_the_same_ids_and_backfills(world: World, railway: StandIn) -> None:
    canary = Canary(world.environment, tied=0.4)
    canary.write(100)
    async with relaying(railway) as relay, relay.viewer(tail=100) as before:
        await before.until_lines(100)
    canary.write(9000)  # more than a restarted relay is seeded with

    async with relaying(railway) as relay, relay.viewer(lastId=before.ids[49]) as after:
        await after.until_lines(9050)

        assert after.said("connected")[0]["data"]["resume"] == {"outcome": "backfilled"}
        assert after.ids[:50] == before.ids[50:]
        assert numbers(after) == written(canary)[50:]
        assert after.said("gap") == []


async def test_what_comes_while_a_viewer_is_connecting_is_live_to_it(
    world: World, railway: StandIn, relay: Relay
) -> None:
    world.environment.write("before")
    railway.faults.slow_ack = 0.3
    async with relay.viewer(tail=0) as viewer:
        await until(lambda: railway.journal.connections, "the relay subscribes")
        world.environment.write("meanwhile")
        await viewer.until_lines(1)
        world.environment.write("after")
        await viewer.until_lines(2)

        assert viewer.lines == ["meanwhile", "after"]


async def test_filters_choose_records_and_never_subscribe_again(
    world: World, railway: StandIn, relay: Relay
) -> None:
    environment = world.environment
    async with relay.viewer(services="api,web", search='-noise "two words"', severity="warn") as viewer:
        await viewer.until_said("connected")
        environment.write("two words", service="api", severity="error")
        environment.write("two words", service="worker", severity="error")
        environment.write("two words", service="api", severity="info")
        environment.write("two words and noise", service="web", severity="warn")
        environment.write("TWO words", service="web", severity="warn")
        await viewer.until_lines(2)
        assert viewer.lines == ["two words", "TWO words"]

        await viewer.socket.send_json({"type": "filter", "services": ["worker"], "replay": 10})
        await viewer.until_lines(3)
        assert viewer.records[2]["serviceName"] == "worker"
        assert len(railway.journal.subscribes) == 1


async def test_a_new_service_is_found_by_its_name_from_its_first_line_on(
    world: World, railway: StandIn, relay: Relay
) -> None:
    async with relay.viewer(services="late-comer") as viewer:
        await viewer.until_said("connected")
        assert viewer.said("connected")[0]["data"]["filter"]["unknownServices"] == ["late-comer"]

        world.environment.add_service("late-comer")
        world.environment.write("first", service="late-comer")
        await viewer.until_lines(1)

        assert viewer.records[0]["serviceName"] == "late-comer"
