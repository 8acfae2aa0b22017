"""Poison (faults.md U13 to U15): whatever a line or a frame is, the next line arrives, once, and nobody is cut off."""

import asyncio
import itertools
import json

import pytest
from conftest_system import Viewer, relaying, until

from logrelay.standin import Canary, Line, StandIn, World

MIB = 1 << 20
CUT = 65_536  # bytes of UTF-8 that are left of a long line
# A frame of megabytes takes the stand-in's loop, which is also the relay's, longer than the tests' usual ping allows.
PATIENT = {"LOGRELAY_UPSTREAM_PING_SECONDS": "13"}


def numbers(viewer: Viewer) -> list[int]:
    """The numbers of the canary's lines in the order in which they came."""
    return [int(line.split()[1]) for line in viewer.lines if line.startswith("canary ")]


def check_canary(viewer: Viewer, canary: Canary) -> None:
    """Nothing missing, nothing repeated, nothing out of order, and the viewer is still there."""
    assert numbers(viewer) == list(range(1, canary.number + 1))
    assert not viewer.socket.closed


def filled(unit: str, size: int) -> str:
    """A line of so many bytes or a few less, made of one character."""
    return unit * (size // len(unit.encode()))


# -- long lines -----------------------------------------------------------------------------------------------


# As JSON, NUL takes six times as much; 64 MiB of it would be beyond the limit for one message.
@pytest.mark.parametrize(
    ("mib", "unit"),
    [
        *itertools.product((1, 5), ("x", "€", "\x00")),
        *(pytest.param(64, unit, marks=[pytest.mark.big, pytest.mark.timeout(120)]) for unit in ("x", "€")),
    ],
    ids=ascii,
)
async def test_u15_a_line_of_megabytes_is_cut_and_the_next_line_arrives(
    world: World, railway: StandIn, mib: int, unit: str
) -> None:
    canary = Canary(world.environment)
    message = filled(unit, mib * MIB)
    async with relaying(railway, PATIENT) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")

        canary.write(3)
        row = world.environment.write(message)
        canary.write(3)
        await until(lambda: len(viewer.lines) >= 7, "the lines after the long one", within=60)

        check_canary(viewer, canary)
        (long,) = [record for record in viewer.records if not record["message"].startswith("canary ")]
        assert long["timestamp"] == row.timestamp
        assert long["message"] == filled(unit, CUT)
        assert (long["truncated"], long["size"]) == (True, len(message.encode()))
        assert [notice["message"] for notice in viewer.notices] == ["connected"]
        assert len(railway.journal.subscribes) == 1


@pytest.mark.parametrize("mib", [1, 5], ids=lambda mib: f"{mib}_mib")
async def test_u15_a_long_line_is_not_repeated_by_a_reconnect_and_is_found_by_a_restart(
    world: World, railway: StandIn, mib: int
) -> None:
    canary = Canary(world.environment)
    async with relaying(railway, PATIENT) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        canary.write(2)
        world.environment.write(filled("x", mib * MIB))
        canary.write(2)
        await viewer.until_lines(5)

        await railway.faults.reset()
        canary.write(2)
        await viewer.until_said("live")
        await viewer.until_lines(7)

        check_canary(viewer, canary)
        assert len(viewer.lines) == 7
        assert viewer.said("gap") == []

    async with relaying(railway, PATIENT) as relay, relay.viewer(lastId=viewer.ids[0]) as after:
        await after.until_lines(6)
        assert after.ids == viewer.ids[1:]


async def test_u15_a_line_that_no_message_holds_is_a_gap_and_the_next_line_arrives(
    world: World, railway: StandIn
) -> None:
    canary = Canary(world.environment)
    async with (
        relaying(railway, PATIENT | {"LOGRELAY_MAX_UPSTREAM_MB": "1"}) as relay,
        relay.viewer() as viewer,
    ):
        await viewer.until_said("connected")
        canary.write(3)
        await viewer.until_lines(3)

        row = world.environment.write(filled("x", 2 * MIB))
        canary.write(3)
        await until(lambda: viewer.said("gap") and viewer.said("live"), "it is passed over")
        canary.write(3)
        await viewer.until_lines(9)

        check_canary(viewer, canary)
        assert len(viewer.lines) == 9
        (gap,) = viewer.said("gap")
        place = {"from": row.timestamp, "to": row.timestamp}
        assert gap["data"] == place | {"count": 1, "reason": "too_large"}


async def test_u15_long_attributes_are_left_out_and_the_line_stays(world: World, railway: StandIn) -> None:
    canary = Canary(world.environment)
    async with relaying(railway, PATIENT) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")

        canary.write(2)
        world.environment.write("heavy", attributes={"stack": filled("x", 5 * MIB), "status": 500})
        canary.write(2)
        await viewer.until_lines(5)

        check_canary(viewer, canary)
        heavy = viewer.records[2]
        assert heavy["message"] == "heavy"
        assert heavy["attributes"] == {"level": "info", "status": 500}
        assert heavy["truncated"] is True


# -- lines that no encoder likes ------------------------------------------------------------------------------

LINES = {
    "half a pair": ("high \ud83d", "high \ufffd"),
    "the other half": ("\ude00 low", "\ufffd low"),
    "halves in the wrong order": ("\ude00\ud83d", "\ufffd\ufffd"),
    "nul": ("nul \x00 inside", "nul \x00 inside"),
    "nothing but nul": ("\x00", "\x00"),
    "empty": ("", ""),
    "line breaks": ("one\r\ntwo\u2028three\x85", "one\r\ntwo\u2028three\x85"),
    "a mark of byte order": ("\ufeffmark", "\ufeffmark"),
    "escapes": ("\x1b[31mred\x1b[0m \x9b2J", "\x1b[31mred\x1b[0m \x9b2J"),
    "text that turns around": ("\u202eback", "\u202eback"),
    "json that ends too soon": ('{"type":"log","data":', '{"type":"log","data":'),
    "json null": ("null", "null"),
    "deep": ("[" * 10_000, "[" * 10_000),
}


async def test_u15_lines_that_no_encoder_likes_arrive_between_the_others(
    world: World, railway: StandIn
) -> None:
    canary = Canary(world.environment)
    expected: list[str] = []
    async with relaying(railway) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")

        for given, arriving in LINES.values():
            canary.write()
            world.environment.write(given, attributes={"said": given, given: 1, "odd": float("nan")})
            expected += [f"canary {canary.number}", arriving]
            await railway.flush()
        canary.write()
        await viewer.until_lines(len(expected) + 1)

        assert viewer.lines == [*expected, f"canary {canary.number}"]
        said = [record["attributes"].get("said") for record in viewer.records[1::2]]
        for attribute, (given, arriving) in zip(said, LINES.values(), strict=True):
            # JSON text which holds half a character is no value that everyone could read, so it stays text.
            assert attribute == (arriving if given == arriving else json.dumps(given))
        assert [notice["message"] for notice in viewer.notices] == ["connected"]
        assert len(railway.journal.subscribes) == 1


# -- frames that are no messages ------------------------------------------------------------------------------

FRAMES: dict[str, str | bytes] = {
    "null": "null",
    "array": "[]",
    "array of messages": '[{"type":"ping"}]',
    "number": "42",
    "huge number": "1e999",
    "string": '"next"',
    "true": "true",
    "nothing": "",
    "garbage": "\x00\x01 garbage",
    "half": '{"id":"1","type":"next","payload":{"data":{"environmentLogs":[{"timest',
    "deep": "[" * 100_000,
    "no utf-8": "\ud800",
    "binary": b"\x00\xff binary",
    "binary json": b'{"type":"ping"}',
    "unknown type": '{"type":"surprise"}',
    "no payload": '{"id":"1","type":"next"}',
    "payload null": '{"id":"1","type":"next","payload":null}',
    "unknown id": '{"id":"elsewhere","type":"next","payload":{"data":{"environmentLogs":[]}}}',
    "id a number": '{"id":1,"type":"next","payload":{"data":{"environmentLogs":[]}}}',
}


@pytest.mark.parametrize("name", FRAMES)
async def test_u13_u14_a_poisonous_frame_amid_live_lines_costs_nobody_a_line(
    world: World, railway: StandIn, name: str
) -> None:
    canary = Canary(world.environment)
    async with relaying(railway) as relay, relay.viewer() as viewer, relay.viewer() as other:
        await viewer.until_said("connected")
        await other.until_said("connected")
        canary.write(5)
        await viewer.until_lines(5)

        canary.write(5)
        await railway.faults.send_raw(FRAMES[name])
        canary.write(5)
        await viewer.until_said("live")
        canary.write(5)
        await viewer.until_lines(20)
        await other.until_lines(20)

        check_canary(viewer, canary)
        check_canary(other, canary)
        assert viewer.said("gap") == []
        assert [notice["message"] for notice in viewer.notices] == ["connected", "reconnecting", "live"]
        assert viewer.others == []


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "text",
        {},
        [None],
        [[]],
        [{}],
        [{"timestamp": "yesterday", "message": "x"}],
        [{"timestamp": None}],
    ],
    ids=["null", "text", "object", "null row", "array row", "empty row", "no stamp", "null stamp"],
)
async def test_u13_poisonous_rows_amid_live_lines_cost_nobody_a_line(
    world: World, railway: StandIn, rows: object
) -> None:
    canary = Canary(world.environment)
    async with relaying(railway) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        canary.write(5)
        await viewer.until_lines(5)
        await railway.subscribed()
        (subscription,) = railway.subscriptions

        canary.write(5)
        payload = {"data": {"environmentLogs": rows}}
        await railway.faults.send_raw(json.dumps({"id": subscription.id, "type": "next", "payload": payload}))
        canary.write(5)
        await viewer.until_lines(15)

        check_canary(viewer, canary)
        assert {notice["data"]["reason"] for notice in viewer.said("gap")} <= {"unreadable"}
        assert viewer.others == []


async def test_u14_poison_after_each_line_stops_nothing(world: World, railway: StandIn) -> None:
    canary = Canary(world.environment, tied=0.4)
    async with relaying(railway) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")

        for frame in FRAMES.values():
            canary.write(3)
            await asyncio.gather(railway.flush(), railway.faults.send_raw(frame))
            canary.write(2)
            await viewer.until_lines(canary.number)

        check_canary(viewer, canary)
        assert viewer.said("gap") == []


def test_lines_are_of_the_length_that_is_said() -> None:
    assert len(filled("€", CUT).encode()) == CUT - 1
    assert len(Line(filled("x", MIB)).message) == MIB
