"""Resume, exactly: what a viewer missed while it was away, or while the relay was, from the whole relay."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import attrs
import pytest
from conftest_system import Relay, Viewer, relaying, until

from logrelay.standin import Canary, StandIn, World
from logrelay.standin.rows import Line, Row

SECOND = 1_000_000_000
SEED = 5000  # records with which a restarted relay begins


def stamp(ns: int, digits: int = 9) -> str:
    """RFC 3339 with so many digits after the second; the rest is cut off."""
    seconds, rest = divmod(ns, SECOND)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return text + (f".{rest:09d}"[: digits + 1] if digits else "") + "Z"


def numbers(viewer: Viewer) -> list[int]:
    return [int(line.split()[1]) for line in viewer.lines if line.startswith("canary ")]


def outcome(viewer: Viewer) -> dict[str, Any]:
    (connected,) = viewer.said("connected")
    resume = connected["data"]["resume"]
    assert isinstance(resume, dict)
    return resume


async def last_of(viewer: Viewer, world: World, railway: StandIn) -> None:
    """Wait until a viewer has all that stands in the log now."""
    await viewer.until_said("connected")
    world.environment.write("the last one", service="api")
    await railway.flush()
    await until(lambda: viewer.lines and viewer.lines[-1] == "the last one", "the last line")


# -- C14: many at once after a restart -----------------------------------------------------------------------


ALL_BACK = 30.0  # seconds in which everyone has to be back (faults.md C14); a deadline, some three times what it takes


@attrs.define
class Comeback:
    """A viewer that comes back after a restart, and what it got."""

    place: int  # of its last record among all that it watches
    ids: list[str] = attrs.Factory(list)
    outcome: str = ""
    notices: list[str] = attrs.Factory(list)

    async def run(self, relay: Relay, ids: Sequence[str]) -> None:
        """Resume, and read until all that was missed is here."""
        missing = len(ids) - self.place - 1
        path = f"/api/environments/{relay.environment_id}/logs/stream"
        query = {"lastId": ids[self.place], "services": "worker"}
        async with relay.session.ws_connect(relay.base + path, params=query) as socket:
            while not self.outcome or len(self.ids) < missing:
                self._take(json.loads((await socket.receive()).data))

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "log":
            self.ids.append(message["data"]["id"])
        elif message["message"] == "connected":
            self.outcome = message["data"]["resume"]["outcome"]
        elif message["message"] != "connecting":
            self.notices.append(message["message"])


async def many_come_back(world: World, railway: StandIn, clients: int) -> None:
    """Log of ten minutes, of which a restarted relay holds the newest half; every 50th line is watched."""
    total, minutes = 2 * SEED, 10
    begin = world.clock() - minutes * 60 * SECOND
    step = minutes * 60 * SECOND // total
    world.environment.write_many(
        Line(f"line {n}", "worker" if n % 50 == 0 else "api", at=begin + n * step) for n in range(total)
    )
    watched = total // 50
    # The real limits: two thousand viewers in this very process hold up its loop for longer than the tests' ping waits.
    changes = {"LOGRELAY_QUERIES_PER_SECOND": "10", "LOGRELAY_UPSTREAM_PING_SECONDS": "13"}
    async with relaying(railway, changes) as before, before.viewer(lastTimestamp=stamp(begin - 1)) as viewer:
        await until(lambda: sum("worker" in str(r["serviceName"]) for r in viewer.records) == watched, "all")
        ids = [record["id"] for record in viewer.records if record["serviceName"] == "worker"]
    queries, subscribes = len(railway.journal.queries), len(railway.journal.subscribes)

    comebacks = [Comeback(number * (watched // 2) // clients) for number in range(clients)]
    railway.faults.query_delay = 0.1
    async with relaying(railway, changes) as relay:
        began = time.monotonic()
        async with asyncio.timeout(ALL_BACK), asyncio.TaskGroup() as group:
            # The farthest behind come last: the worst order for whoever fetches what is asked for and no more.
            for number, comeback in enumerate(reversed(comebacks)):
                group.create_task(comeback.run(relay, ids))
                if number % 50 == 0:
                    await asyncio.sleep(0)
        took = time.monotonic() - began
        queries = len(railway.journal.queries) - queries
        sys.stderr.write(f"{clients} came back in {took:.1f} s for {queries} queries\n")

        for comeback in comebacks:
            assert comeback.ids == ids[comeback.place + 1 :]
            assert comeback.outcome == "backfilled"
            assert comeback.notices == []
        assert len(railway.journal.subscribes) - subscribes == 1
        assert queries <= 20


async def test_c14_many_viewers_at_once_after_a_restart_share_what_is_fetched(
    world: World, railway: StandIn
) -> None:
    await many_come_back(world, railway, 200)


@pytest.mark.big
@pytest.mark.timeout(180)
async def test_c14_two_thousand_viewers_at_once_after_a_restart_share_what_is_fetched(
    world: World, railway: StandIn
) -> None:
    await many_come_back(world, railway, 2000)


# -- C15: the future -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [0, 3, 6, 9])
async def test_c15_a_stamp_in_the_future_is_live_from_now(
    world: World, railway: StandIn, relay: Relay, digits: int
) -> None:
    row = world.environment.write("before")
    async with relay.viewer(lastTimestamp=stamp(row.ns + 3600 * SECOND, digits)) as viewer:
        await viewer.until_said("connected")
        world.environment.write("after")
        await viewer.until_lines(1)

        assert outcome(viewer) == {"outcome": "none"}
        assert viewer.lines == ["after"]


async def test_c15_an_id_in_the_future_is_live_from_now(world: World, railway: StandIn, relay: Relay) -> None:
    row = world.environment.write("before")
    async with relay.viewer(lastId=f"{stamp(row.ns + SECOND)}-0123456789ab", overlap=60) as viewer:
        await viewer.until_said("connected")
        world.environment.write("after")
        await viewer.until_lines(1)

        assert outcome(viewer) == {"outcome": "none"}
        assert viewer.lines == ["after"]


# -- C16: too old --------------------------------------------------------------------------------------------


def rows_of_two_hours(world: World) -> list[Row]:
    """More than a relay is seeded with, a second apart, up to now."""
    now = world.clock()
    return world.environment.write_many(Line(f"line {n}", at=now - (7200 - n) * SECOND) for n in range(7200))


@pytest.mark.parametrize("last", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1677-09-21T00:12:43Z"])
async def test_c16_too_old_a_stamp_is_partial_and_what_can_be_had_is_complete(
    world: World, railway: StandIn, last: str
) -> None:
    rows = rows_of_two_hours(world)
    async with (
        relaying(railway, {"LOGRELAY_RESUME_SECONDS": "6000"}) as relay,
        relay.viewer(lastTimestamp=last) as viewer,
    ):
        earliest = rows[-1].ns - 6000 * SECOND
        await last_of(viewer, world, railway)

        resume = outcome(viewer)
        assert resume["from"].startswith(last[:-1])
        assert (resume["outcome"], resume["to"], resume["reason"]) == ("partial", stamp(earliest), "limit")
        assert viewer.lines[:-1] == [row.message for row in rows if row.ns >= earliest]
        assert viewer.said("gap") == []


async def test_c16_what_railway_keeps_no_longer_is_partial_by_retention(
    world: World, railway: StandIn
) -> None:
    rows = rows_of_two_hours(world)
    changes = {"LOGRELAY_RETENTION_DAYS": "0.0625", "LOGRELAY_RESUME_SECONDS": "6000"}  # 5,400 s
    async with (
        relaying(railway, changes) as relay,
        relay.viewer(lastId=f"{stamp(rows[0].ns)}-0123456789ab") as viewer,
    ):
        await last_of(viewer, world, railway)

        resume = outcome(viewer)
        assert (resume["outcome"], resume["reason"]) == ("partial", "retention")
        assert viewer.lines[:-1] == [row.message for row in rows if stamp(row.ns) >= resume["to"]]


@pytest.mark.parametrize("limit", [1000, 2199, 2200])
async def test_c16_more_records_than_a_resume_may_fetch_are_a_gap_in_their_place(
    world: World, railway: StandIn, limit: int
) -> None:
    """2,199 rows lie between the first one and what a relay is seeded with, and one more is its oldest."""
    rows = rows_of_two_hours(world)
    async with (
        relaying(
            railway, {"LOGRELAY_RESUME_RECORDS": str(limit), "LOGRELAY_RESUME_SECONDS": "9000"}
        ) as relay,
        relay.viewer(lastTimestamp=stamp(rows[0].ns)) as viewer,
    ):
        await last_of(viewer, world, railway)

        assert outcome(viewer) == {"outcome": "backfilled"}
        got = {*viewer.lines}
        missing = [row for row in rows[1:] if row.message not in got]
        assert len(viewer.ids) == len({*viewer.ids})
        assert bool(missing) == bool(viewer.said("gap"))
        for gap in viewer.said("gap"):
            data = gap["data"]
            assert data["reason"] == "limit"
            assert all(data["from"] < stamp(row.ns) <= data["to"] for row in missing)
            assert viewer.ids[0] < data["from"]
        if limit == 1000:
            assert missing


# -- C17: malformed, and each precision ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {"lastTimestamp": "yesterday"},
        {"lastTimestamp": "2026-11-23"},
        {"lastTimestamp": "2026-13-45T00:00:00Z"},
        {"lastTimestamp": "1795404090"},
        {"lastId": "2026-11-23T03:21:30.000000000Z"},
        {"lastId": "x" * 300},
        {"lastId": "2026-11-23T03:21:30.000000000Z-0123456789ab", "overlap": "61"},
    ],
)
async def test_c17_a_malformed_place_is_refused_and_costs_nothing_upstream(
    railway: StandIn, relay: Relay, query: dict[str, str]
) -> None:
    async with relay.viewer(**query) as viewer:
        await until(lambda: viewer.socket.closed, "refused")

        assert viewer.socket.close_code == 4400
        assert viewer.others[0]["code"] == "parameter_invalid"
    assert railway.journal.queries == []


@pytest.mark.parametrize("fetched", [False, True])
@pytest.mark.parametrize("digits", [0, 3, 6, 9])
async def test_c17_a_stamp_is_compared_as_given_at_each_precision(
    world: World, railway: StandIn, relay: Relay, digits: int, *, fetched: bool
) -> None:
    """Whether the place is still in the history or has to be fetched makes no difference."""
    step = 10 ** (9 - digits)  # ns, of one unit of that precision
    base = world.clock() // SECOND * SECOND - 600 * SECOND
    place = base + 5 * SECOND + 5 * step * bool(digits)
    at = sorted({place - 1, place, place + 1, place + step - 1, place + step})
    world.environment.write_many(Line(f"line {n}", at=ns) for n, ns in enumerate(at))
    if fetched:
        world.environment.write_many(Line(f"filler {n}", at=base + 10 * SECOND + n) for n in range(SEED + 10))
    async with relay.viewer(lastTimestamp=stamp(place, digits)) as viewer:
        await last_of(viewer, world, railway)

        assert outcome(viewer) == {"outcome": "backfilled" if fetched else "exact"}
        got = [line for line in viewer.lines if line.startswith("line")]
        assert got == [f"line {n}" for n, ns in enumerate(at) if ns > place]
        assert len(viewer.ids) == len({*viewer.ids})


# -- P3: kill -9 ---------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(railway: StandIn) -> AsyncIterator[tuple[asyncio.subprocess.Process, Relay]]:
    """A real `logrelay serve`, with a session to reach it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGRELAY_", "RAILWAY_")) and not name.lower().endswith("_proxy")
    }
    settings = {
        "LOGRELAY_HOST": "127.0.0.1",
        "LOGRELAY_PORT": "0",
        "LOGRELAY_RAILWAY_URL": railway.url,
        "RAILWAY_API_TOKEN": railway.world.account_token,
        "LOGRELAY_ENVIRONMENTS": railway.world.environment.id,
        "LOGRELAY_STANDS_SECONDS": "0.2",
    }
    command = [sys.executable, "-m", "logrelay", "serve"]
    process = await asyncio.create_subprocess_exec(
        *command, env=kept | settings, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            port = None
            while port is None:
                line = (await process.stdout.readline()).decode()
                assert line, "it has ended"
                found = re.search(r'"serving".*"port": ?(\d+)', line)
                port = int(found[1]) if found else None
            yield process, Relay(None, session, port, railway.world.environment.id)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("by", ["lastId", "lastTimestamp"])
async def test_p3_after_kill_9_a_viewer_resumes_on_another_relay_and_has_lost_nothing(
    world: World, railway: StandIn, by: str
) -> None:
    canary = Canary(world.environment, tied=0.4)
    canary.write(100)
    async with serving(railway) as (process, relay), relay.viewer(tail=100) as before:
        await before.until_lines(100)
        canary.write(200)
        await before.until_lines(110)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until(lambda: before.socket.closed, "the viewer has noticed")
    canary.write(SEED + 1000)  # while nobody looks; more than a new relay is seeded with

    last = before.records[-1]["id" if by == "lastId" else "timestamp"]
    async with serving(railway) as (_, relay), relay.viewer(**{by: last}) as after:
        await until(lambda: {*numbers(before), *numbers(after)} >= {*range(1, canary.number + 1)}, "all")
        canary.write(10)
        await until(lambda: numbers(after)[-1:] == [canary.number], "live again")

        assert outcome(after) == {"outcome": "backfilled"}
        assert after.said("gap") == []
        assert len(after.ids) == len({*after.ids})
        repeated = {*before.ids} & {*after.ids}
        if by == "lastId":
            assert not repeated
            assert numbers(before) + numbers(after) == [*range(1, canary.number + 1)]
        assert {record["timestamp"] for record in after.records if record["id"] in repeated} <= {last}


# -- after a restart -----------------------------------------------------------------------------------------


async def test_an_overlap_brings_the_rows_that_came_late_before_the_restart(
    world: World, railway: StandIn
) -> None:
    """A row that arrived after the viewer's last one lies before it when the history has been rebuilt."""
    world.environment.write_many(f"line {n}" for n in range(50))
    async with relaying(railway) as relay, relay.viewer(tail=50) as before:
        await before.until_lines(50)
    now = world.clock()
    world.environment.write("late", at=now - 2 * SECOND)
    world.environment.write_many(f"more {n}" for n in range(SEED + 100))

    async with relaying(railway) as relay, relay.viewer(lastId=before.ids[-1], overlap=10) as after:
        await last_of(after, world, railway)

        assert outcome(after) == {"outcome": "backfilled"}
        assert after.lines.count("late") == 1
        fresh = [
            line for identity, line in zip(after.ids, after.lines, strict=True) if identity not in before.ids
        ]
        assert fresh == ["late", *(f"more {n}" for n in range(SEED + 100)), "the last one"]


async def test_the_seam_holds_while_records_arrive_and_old_ones_are_evicted(
    world: World, railway: StandIn
) -> None:
    canary = Canary(world.environment, tied=0.4)
    canary.write(100)
    async with relaying(railway) as relay, relay.viewer(tail=100) as before:
        await before.until_lines(100)
    canary.write(SEED + 3000)

    changes = {"LOGRELAY_HISTORY_RECORDS": "5000"}
    async with relaying(railway, changes) as relay, relay.viewer() as keeper:
        await keeper.until_said("connected")
        async with relay.viewer(lastId=before.ids[0]) as after:
            while len(after.lines) < SEED + 2000:
                canary.write(40)
                await railway.flush()
            await until(lambda: len(after.lines) >= canary.number - 1, "all of it")

            assert outcome(after) == {"outcome": "backfilled"}
            assert numbers(after) == [*range(2, canary.number + 1)]
            assert after.said("gap") == []
            assert after.said("lost") == []
