from __future__ import annotations

import asyncio
from typing import Any

import pytest

from logrelay.standin import StandIn, World, timestamps


async def watch(dial: Any, query: str, **variables: object) -> Any:
    peer = await dial()
    await peer.init()
    await peer.subscribe(variables, query)
    return peer


async def test_a_backlog_comes_first_and_then_what_is_written(
    railway: StandIn, world: World, dial: Any
) -> None:
    environment = world.environment
    old = [environment.write(str(n)) for n in range(5)]
    peer = await dial()
    await peer.init()
    await peer.subscribe({"beforeDate": old[1].timestamp, "beforeLimit": 2})
    await railway.subscribed()

    assert await peer.rows() == ["3", "4"]
    environment.write_many(["5", "6"])
    await railway.flush()
    assert await peer.rows() == ["5", "6"]


async def test_a_frame_holds_one_polls_rows_in_order_of_stamp(world: World, tail: Any) -> None:
    late = world.clock() - timestamps.SECOND
    world.environment.write_many(["now", {"message": "late", "at": late}, {"message": "tied", "tied": True}])

    assert await tail.rows() == ["late", "tied", "now"]


async def test_a_poll_drops_the_older_rest_without_a_word(railway: StandIn, world: World, dial: Any) -> None:
    peer = await dial()
    await peer.init()
    await peer.subscribe({"beforeLimit": 3})
    assert await peer.rows() == []
    world.environment.write_many(list("abcdef"))
    await railway.flush()
    world.environment.write("g")

    assert await peer.rows() == ["d", "e", "f"]
    assert await peer.rows() == ["g"]


async def test_a_limit_of_nothing_is_nothing(railway: StandIn, world: World, dial: Any) -> None:
    world.environment.write("old")
    peer = await dial()
    await peer.init()
    await peer.subscribe({"beforeLimit": 0})
    assert await peer.rows() == []
    world.environment.write("new")
    await railway.flush()
    await peer.send({"type": "ping"})

    assert await peer.receive() == {"type": "pong"}


async def test_the_anchored_form_goes_on_after_its_anchor_and_keeps_the_rest(
    railway: StandIn, world: World, dial: Any
) -> None:
    environment = world.environment
    rows = [environment.write(str(n)) for n in range(6)]
    until = timestamps.stamp(world.clock() + 3600 * timestamps.SECOND)
    peer = await dial()
    await peer.init()
    await peer.subscribe({"anchorDate": rows[0].timestamp, "afterDate": until, "afterLimit": 2})

    assert await peer.rows() == ["1", "2"]
    assert await peer.rows() == ["3", "4"]
    assert await peer.rows() == ["5"]
    environment.write_many([{"message": "too old", "at": rows[0].ns}, "6", "7", "8"])
    assert await peer.rows() == ["6", "7"]
    assert await peer.rows() == ["8"]


async def test_the_anchored_form_ends_with_its_after_date(world: World, dial: Any) -> None:
    until = timestamps.stamp(world.clock() + timestamps.SECOND // 20)
    peer = await dial()
    await peer.init()
    await peer.subscribe({"anchorDate": timestamps.stamp(world.clock()), "afterDate": until, "afterLimit": 2})
    assert await peer.rows() == []

    assert await peer.receive() == {"id": "1", "type": "complete"}


async def test_live_rows_are_filtered(world: World, dial: Any) -> None:
    peer = await dial()
    await peer.init()
    await peer.subscribe({"filter": "@level:error"})
    assert await peer.rows() == []
    world.environment.write_many(["fine", {"message": "bad", "severity": "error"}])

    assert await peer.rows() == ["bad"]


async def test_a_bad_argument_of_a_subscription_is_refused(dial: Any) -> None:
    peer = await dial()
    await peer.init()
    await peer.subscribe({"beforeLimit": 5001})

    message = await peer.receive()
    assert message["payload"]["errors"][0]["message"] == "Error in beforeLimit - Invalid input"
    assert (await peer.receive())["type"] == "complete"


async def test_rows_can_be_hidden_from_the_poll_and_delivered_again(
    railway: StandIn, world: World, tail: Any, page: Any
) -> None:
    row = world.environment.write("hidden", hidden_from_poll=True)
    shown = world.environment.write("shown")
    assert await tail.rows() == ["shown"]
    world.environment.redeliver([shown, row])

    assert await tail.rows() == ["hidden", "shown"]
    assert await page() == ["hidden", "shown"]


async def test_a_flush_waits_for_all_subscriptions_of_all_environments(world: World, dial: Any) -> None:
    async with StandIn(world, poll_interval=3600) as railway:
        staging = world.add_environment("staging")
        peers = [await dial(to=railway) for _ in range(2)]
        for peer, environment in zip(peers, world.environments, strict=True):
            await peer.init()
            await peer.subscribe({"environmentId": environment.id})
            assert await peer.rows() == []
        world.environment.write("here")
        staging.write("there")
        await railway.flush()

        assert [await peer.rows() for peer in peers] == [["here"], ["there"]]


async def test_waiting_in_vain_is_a_timeout(railway: StandIn) -> None:
    with pytest.raises(TimeoutError):
        await railway.until(lambda: False, within=0.01)


async def test_deployment_logs_replay_on_each_subscribe(world: World, dial: Any, documents: Any) -> None:
    api = world.environment.service("api")
    world.environment.write_many(["a", "b", "c", {"message": "other", "service": "web"}])

    for _ in range(2):
        peer = await watch(dial, documents["deployment"], id=api.newest.id, limit=2)
        assert await peer.rows() == ["b", "c"]
    world.environment.write_many(
        ["d", {"message": "other", "service": "web"}, {"message": "none", "tags": None}]
    )
    assert await peer.rows() == ["d"]


async def test_logs_of_an_unknown_deployment_are_refused(dial: Any, documents: Any) -> None:
    peer = await watch(dial, documents["deployment"], id="nowhere")

    assert (await peer.receive())["payload"]["errors"][0]["message"] == "Deployment not found"


async def test_a_build_that_is_over_completes(world: World, dial: Any, documents: Any) -> None:
    peer = await watch(dial, documents["build"], id=world.environment.service("api").newest.id, limit=2)

    assert await peer.rows() == ["load build definition", "Build time: 9.81 seconds"]
    assert await peer.receive() == {"id": "1", "type": "complete"}


async def test_a_build_is_followed_to_its_end(world: World, dial: Any, documents: Any) -> None:
    deployment = world.environment.service("api").deploy("BUILDING")
    peer = await watch(dial, documents["build"], id=deployment.id)
    assert await peer.rows() == []
    deployment.write_build("step 1")
    assert await peer.rows() == ["step 1"]
    deployment.set_status("SUCCESS")

    assert await peer.receive() == {"id": "1", "type": "complete"}


async def test_a_build_that_has_not_begun_is_refused(world: World, dial: Any, documents: Any) -> None:
    deployment = world.environment.service("api").deploy("QUEUED")
    peer = await watch(dial, documents["build"], id=deployment.id)

    message = await peer.receive()
    assert (
        message["payload"]["errors"][0]["message"],
        message["payload"]["data"],
    ) == ("Problem processing request", None)


async def test_a_deployment_pushes_its_status(
    railway: StandIn, world: World, dial: Any, documents: Any
) -> None:
    deployment = world.environment.service("api").newest
    peer = await watch(dial, documents["watch"], id=deployment.id)
    state = {"id": deployment.id, "deploymentStopped": False}
    assert {"deployment": {**state, "status": "SUCCESS"}} == (await peer.receive())["payload"]["data"]
    await railway.subscribed()
    deployment.stopped = True  # which is not pushed
    deployment.set_status("REMOVING")
    deployment.set_status("REMOVED")

    for status in ("REMOVING", "REMOVED"):
        data = (await peer.receive())["payload"]["data"]
        assert {"deployment": {**state, "deploymentStopped": True, "status": status}} == data
    await railway.faults.next_errors("odd", data=[])
    assert (await peer.receive())["payload"]["data"]["deployment"]["status"] == "REMOVED"


async def test_what_is_not_stood_in_for_is_refused(dial: Any) -> None:
    peer = await watch(dial, 'subscription { deploymentEvents(id: "1") { id } }')

    assert (await peer.receive())["payload"]["errors"][0]["message"] == "Problem processing request"


async def test_nothing_is_left_when_it_stops(world: World, dial: Any) -> None:
    before = asyncio.all_tasks()
    async with StandIn(world) as railway:
        peer = await dial(to=railway)
        await peer.init()
        await peer.subscribe()
        await peer.rows()
        railway.faults.stall = True
        world.environment.write("never seen")

    assert not world.environment.inboxes
    assert [task for task in asyncio.all_tasks() - before if "logrelay" in repr(task)] == []
    await railway.listen_again()
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection("127.0.0.1", int(railway.url.split(":")[2].split("/")[0]))
