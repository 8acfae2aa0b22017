"""P8: a process without a free descriptor goes on with what it has, and takes up the rest as soon as there is one."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from conftest_system import Viewer, until
from process_harness import Served, cpu_seconds, descriptors, served

from logrelay import descriptors as descriptors_of_ours
from logrelay.standin import Canary, StandIn, World

DESCRIPTORS = 64
LIMITED = f"ulimit -n {DESCRIPTORS}"


def numbers(viewer: Viewer) -> list[int]:
    """The numbers of the canary's lines in the order in which they came."""
    return [int(line.split()[1]) for line in viewer.lines]


@contextlib.asynccontextmanager
async def silent_peers(served: Served, count: int) -> AsyncIterator[None]:
    """Peers who take a descriptor each and say nothing; those that find none wait in the kernel's queue."""
    opened = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", served.relay.port) for _ in range(count))
    )
    try:
        yield
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def cut_off(railway: StandIn) -> None:
    """Break every connection to the stand-in, those that wait for another query too, and let nobody in."""
    await railway.stop_listening()
    assert railway._runner is not None
    assert railway._runner.server is not None
    for connection in railway._runner.server.connections:
        if connection.transport is not None:
            connection.transport.abort()
    await railway.until(lambda: railway.journal.open_sockets == 0)


def retries(served: Served) -> list[object]:
    """What the relay has said of its tries to reach the upstream again."""
    return [*served.child.said(message="upstream retry")]


@pytest.mark.big
async def test_p8_without_a_free_descriptor_accepting_pauses_and_streams_go_on(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    canary = Canary(world.environment)
    beats = {"LOGRELAY_HEARTBEAT_SECONDS": "0.25"}
    async with (
        served(railway, tmp_path, before=LIMITED, **beats) as relay,
        contextlib.AsyncExitStack() as viewers,
    ):
        first = [await viewers.enter_async_context(relay.relay.viewer()) for _ in range(10)]
        for viewer in first:
            await viewer.until_said("connected")

        async with silent_peers(relay, 2 * DESCRIPTORS):
            await until(lambda: descriptors(relay.pid) == DESCRIPTORS, "all descriptors are taken")
            late = asyncio.create_task(viewers.enter_async_context(relay.relay.viewer()))
            used, heard = cpu_seconds(relay.pid), len(first[0].others)
            await until(
                lambda: len(first[0].others) >= heard + 12, "three seconds, with a try to accept in each"
            )
            used = cpu_seconds(relay.pid) - used
            for _ in range(20):
                canary.write(10)
                await railway.flush()
                await until(lambda: len(first[0].lines) == canary.number, "live without a free descriptor")

            assert not late.done()
            assert descriptors(relay.pid) == DESCRIPTORS
        newcomer = await late
        await newcomer.until_said("connected")
        canary.write(10)
        for viewer in first:
            await viewer.until_lines(canary.number)
        await newcomer.until_lines(10)

        assert [numbers(viewer) for viewer in first] == [[*range(1, canary.number + 1)]] * 10
        assert railway.journal.open_subscriptions == 1
        said = [line for line in relay.child.lines if line["logger"] == "asyncio"]
        assert [(line["level"], line["message"]) for line in said] == [
            ("warning", "accepting pauses, no descriptor is free")
        ]
        assert "exc_info" not in said[0]
        assert len(relay.child.lines) < 100
        assert used < 0.1, "it was busy with nothing"


@pytest.mark.big
async def test_p8_an_upstream_that_is_lost_meanwhile_comes_back_with_the_descriptors(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    canary = Canary(world.environment)
    async with served(railway, tmp_path, before=LIMITED) as relay, relay.relay.viewer() as viewer:
        await viewer.until_said("connected")
        canary.write(10)
        await viewer.until_lines(10)

        async with silent_peers(relay, 2 * DESCRIPTORS):
            await until(lambda: descriptors(relay.pid) == DESCRIPTORS, "all descriptors are taken")
            await cut_off(railway)
            # Who waits in the kernel's queue is given the upstream's descriptors at asyncio's next try to accept.
            await until(lambda: len(retries(relay)) >= 8, "it tries to reach what doesn't listen")
            await until(lambda: descriptors(relay.pid) == DESCRIPTORS, "all descriptors are taken again")
            await railway.listen_again()
            canary.write(10)
            tried = len(retries(relay))
            await until(lambda: len(retries(relay)) >= tried + 3, "it tries without a descriptor")
            assert railway.journal.open_sockets == 0
        await viewer.until_said("live")
        canary.write(10)
        await viewer.until_lines(canary.number)

        assert numbers(viewer) == [*range(1, canary.number + 1)]
        assert [notice["message"] for notice in viewer.notices] == ["connected", "reconnecting", "live"]


async def test_p8_viewers_leave_the_upstream_its_descriptors(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    canary = Canary(world.environment)
    async with served(railway, tmp_path, before=LIMITED) as relay, contextlib.AsyncExitStack() as viewers:
        first = [await viewers.enter_async_context(relay.relay.viewer()) for _ in range(DESCRIPTORS // 2)]
        for viewer in first:
            await viewer.until_said("connected")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with relay.relay.viewer():
                pass

        await railway.stop_listening(cut=True)
        await first[0].until_said("reconnecting")
        await railway.listen_again()
        await first[0].until_said("live")
        canary.write(10)
        for viewer in first:
            await viewer.until_lines(10)

        assert refused.value.status == 503
        (said,) = relay.child.said(message="file descriptors are enough for fewer connections than may be")
        assert said["connections"] == DESCRIPTORS // 2


def test_p8_the_limit_is_raised_as_far_as_it_goes_and_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1024, 4096]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.__setitem__(slice(None), new))

    assert descriptors_of_ours.room() == 960
    descriptors_of_ours.raise_limit()
    assert descriptors_of_ours.room() == 4032
    limits[:] = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    assert descriptors_of_ours.room() > 1_000_000
