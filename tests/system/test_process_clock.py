"""P9: what a wall clock that jumps may do to viewers: nothing. Timers and ages are those of the monotonic clock."""

import time

import pytest
from conftest_system import relaying, until

from logrelay.standin import Canary, StandIn, World


@pytest.mark.parametrize("jump", [3600, -3600])
async def test_p9_viewers_and_histories_outlive_a_clock_that_jumps_an_hour(
    world: World, railway: StandIn, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    canary = Canary(world.environment)
    changes = {
        "LOGRELAY_HEARTBEAT_SECONDS": "0.1",
        "LOGRELAY_PING_SECONDS": "0.1",
        "LOGRELAY_SILENCE_SECONDS": "5",
        "LOGRELAY_WRITE_TIMEOUT_SECONDS": "5",
        "LOGRELAY_HISTORY_SECONDS": "60",
    }
    async with relaying(railway, changes) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        canary.write(10)
        await viewer.until_lines(10)

        # The stand-in's clock is the one that it was made with, and goes on as before: only ours jumps.
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + jump * 1_000_000_000)
        monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
        for _ in range(3):
            beats = len(viewer.others)
            await until(lambda beats=beats: len(viewer.others) >= beats + 3, "heartbeats go on")
            canary.write(10)
            await viewer.until_lines(canary.number)
        await railway.faults.reset()
        await viewer.until_said("live")
        canary.write(10)
        await viewer.until_lines(canary.number)

        for by in ({"lastId": viewer.ids[4]}, {"lastTimestamp": viewer.records[4]["timestamp"]}):
            async with relay.viewer(**by) as resumed:
                await resumed.until_lines(canary.number - 5)
                assert resumed.said("connected")[0]["data"]["resume"] == {"outcome": "exact"}
                assert resumed.ids == viewer.ids[5:]
        async with relay.viewer(tail=1000) as newcomer:
            await newcomer.until_lines(canary.number)

        assert viewer.lines == [f"canary {number}" for number in range(1, canary.number + 1)]
        assert not any(record.get("late") for record in viewer.records)
        assert [notice["message"] for notice in viewer.notices] == ["connected", "reconnecting", "live"]
        assert not viewer.socket.closed
