"""Lines that are larger than the relay takes (faults.md U15): found, skipped, declared, and never in the way again."""

import asyncio
from typing import Any

import pytest
from railway_peers import answering
from railway_recorder import Recorder

from logrelay.errors import BudgetSpent
from logrelay.railway.answers import QueryFailed
from logrelay.railway.archive import Archive
from logrelay.railway.budget import Budget
from logrelay.railway.gateway import Addresses, Gateway
from logrelay.railway.stumbles import Stumbles
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.standin import Environment, StandIn

LIMIT = 8000  # bytes
BIG = "x" * 10_000
PATIENT: Any = {"stands_after": 5.0}  # `live` comes with a frame, however slow this machine is


def outline(sink: Recorder) -> list[Any]:
    return [entry if isinstance(entry, str) else entry[0] for entry in sink.log]


async def test_u15_a_line_that_ends_three_connections_is_skipped_with_a_gap(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")
    environment.write("before")
    await sink.message("before")

    _, big, _ = environment.write_many(["beside", BIG, "after"])
    await sink.until(lambda: "live" in sink.notices)
    environment.write("more")
    await sink.message("more")

    assert outline(sink) == ["before", "reconnecting", "beside", "gap", "after", "live", "more"]
    gap = {"from": big.timestamp, "to": big.timestamp, "count": 1, "reason": "too_large"}
    assert sink.data("gap") == [gap]
    assert sink.data("live") == [{"backfilled": 2}]
    assert "1009" in sink.data("reconnecting")[0]["reason"]
    # Three connections ended by it, and the next one began behind it.
    assert railway.journal.total_connections == 4
    assert railway.journal.subscribes[-1].variables["beforeDate"] >= big.timestamp
    assert len(railway.journal.queries) < 120


async def test_u15_what_was_skipped_stays_skipped_after_the_next_loss(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")
    environment.write_many([BIG, "after"])
    await sink.until(lambda: "live" in sink.notices)
    connections = railway.journal.total_connections

    await railway.faults.reset()
    await sink.until(lambda: sink.notices.count("live") == 2)

    assert sink.messages == ["after"]
    assert sink.notices.count("gap") == 1
    assert railway.journal.total_connections == connections + 1


@pytest.mark.parametrize("late", [False, True])
async def test_u15_each_of_several_has_a_gap_of_its_own(
    environment: Environment, open_gateway: Any, follow: Any, *, late: bool
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")
    first = environment.write("first", at=environment.clock() - 10_000_000_000)
    await sink.message("first")

    stamps = [first.ns - 3_000_000_000, first.ns - 1] if late else [first.ns + 1, first.ns + 2]
    rows = environment.write_many({"message": BIG, "at": stamp} for stamp in stamps)
    environment.write("last")
    await sink.until(lambda: "live" in sink.notices)

    assert sink.messages == ["first", "last"]
    assert [gap["from"] for gap in sink.data("gap")] == [row.timestamp for row in rows]
    assert {gap["reason"] for gap in sink.data("gap")} == {"too_large"}


async def test_u15_many_lines_that_are_too_large_together_are_all_fetched(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")

    lines = [f"{n} {'x' * 1000}" for n in range(60)]
    environment.write_many(lines)
    await sink.until(lambda: "live" in sink.notices)
    environment.write("after")
    await sink.message("after")

    assert sink.messages == [*lines, "after"]
    assert "gap" not in sink.notices


async def test_u15_of_one_nanosecond_what_fits_is_delivered(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")

    environment.write_many([BIG, *({"message": f"tied {n}", "tied": True} for n in range(5))])
    await sink.until(lambda: "live" in sink.notices)

    # Two were asked for, and which of the others are missing nobody can say.
    assert sink.messages == ["tied 3", "tied 4"]
    assert [(gap["reason"], gap["count"]) for gap in sink.data("gap")] == [("too_large", None)]


async def test_u15_a_line_of_five_megabytes_beyond_the_limit_is_skipped(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=4 * 1024 * 1024), **PATIENT)
    await sink.state("live")

    environment.write("x" * (5 * 1024 * 1024))
    await sink.until(lambda: "live" in sink.notices)
    environment.write("after")
    await sink.message("after")

    assert outline(sink) == ["reconnecting", "gap", "live", "after"]


async def test_u15_stepping_over_goes_on_where_a_failure_has_stopped_it(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT, fill_patience=0.0)
    await sink.state("live")
    railway.faults.http = (503, {}, "down", 2)

    environment.write_many(["before", BIG, "after"])
    await sink.until(lambda: "live" in sink.notices)

    assert sink.messages == ["before", "after"]
    assert sink.notices == ["reconnecting", "gap", "live"]


async def test_u15_a_small_budget_only_makes_stepping_over_slower(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    class Meagre(Budget):
        """Has one query every few milliseconds."""

        turn = 0

        async def take(self) -> None:
            self.turn += 1
            if self.turn > 10 and self.turn % 2:
                raise BudgetSpent("spent", 0.002)
            await super().take()

    budget = Meagre(per_second=1000)
    sink = follow(await open_gateway(max_message_bytes=LIMIT, budget=budget), **PATIENT, fill_patience=0.0)
    await sink.state("live")

    environment.write_many(["before", BIG, "after"])
    await sink.until(lambda: "live" in sink.notices)

    assert sink.messages == ["before", "after"]
    assert sink.notices == ["reconnecting", "gap", "live"]


async def test_u15_stepping_over_is_bounded_and_the_rest_comes_by_subscription(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT, fill_records=10)
    await sink.state("live")

    lines = [f"{n} {'x' * 500}" for n in range(24)]
    environment.write_many(lines)
    await sink.until(lambda: "live" in sink.notices)

    assert sink.messages == lines


# -- the beginning ---------------------------------------------------------------------------------------------


async def test_u15_a_seed_that_is_too_large_is_a_smaller_one(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    old = environment.clock() - 3_600_000_000_000
    environment.write_many({"message": f"{n} {'x' * 500}", "at": old + n} for n in range(40))
    environment.write("newest")

    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")

    ((messages, floor),) = sink.seeds
    assert len(messages) == 9
    assert messages[-1] == "newest"
    assert floor == old + 32


async def test_u15_a_seed_of_which_nothing_fits_begins_behind_it(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    environment.write(BIG)

    sink = follow(await open_gateway(max_message_bytes=LIMIT), **PATIENT)
    await sink.state("live")
    environment.write("after")
    await sink.message("after")

    assert sink.seeds[0][0] == []
    assert sink.seeds[0][1] is not None
    assert outline(sink) == ["gap", "after"]
    assert sink.data("gap")[0]["reason"] == "too_large"
    assert railway.journal.total_connections == 1


# -- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [True, False])
async def test_u15_an_answer_that_is_too_large_is_read_no_further(
    open_gateway: Any, *, announced: bool
) -> None:
    body = b'{"data":{"a":"' + b"x" * 20_000 + b'"}}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    if announced:
        answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    async with answering(answer) as other:
        address = f"http://127.0.0.1:{other.port}/graphql/v2"
        gateway: Gateway = await open_gateway(addresses=Addresses(address), max_message_bytes=LIMIT)
        with pytest.raises(QueryFailed) as failed:
            await gateway.query("BearerScope", {})
        assert failed.value.verdict.kind is Kind.OVERSIZE

        larger: Gateway = await open_gateway(addresses=Addresses(address), max_message_bytes=len(body))
        assert await larger.query("BearerScope", {}) == {"a": "x" * 20_000}


async def test_an_answer_that_breaks_off_is_a_failure_that_may_pass(open_gateway: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"

    async with asyncio.timeout(5), answering(answer) as other:
        address = f"http://127.0.0.1:{other.port}/graphql/v2"
        gateway: Gateway = await open_gateway(addresses=Addresses(address))
        with pytest.raises(QueryFailed) as failed:
            await gateway.query("BearerScope", {})

    assert failed.value.verdict.kind is Kind.TRANSIENT


async def test_u15_a_row_behind_one_that_is_too_large_is_not_taken_for_it(
    environment: Environment, open_gateway: Any
) -> None:
    row = environment.write(BIG)
    environment.write("behind", at=row.ns + 1)
    archive = Archive(await open_gateway(max_message_bytes=LIMIT), environment.id)

    fetched = await archive.window(row.ns + 1, row.ns + 1)

    assert [content.message for _, content in fetched.rows] == ["behind"]
    assert not fetched.oversize


# -- the count ---------------------------------------------------------------------------------------------------

TOO_BIG = Verdict(Kind.OVERSIZE, "too big")
LOST = Verdict(Kind.TRANSIENT, "lost")


def test_three_ends_at_one_place_are_enough_and_others_between_them_change_nothing() -> None:
    stumbles = Stumbles()

    for verdict in (TOO_BIG, LOST, TOO_BIG, LOST):
        stumbles.ended(verdict, 7)
        assert not stumbles.due
    stumbles.ended(TOO_BIG, 7)

    assert stumbles.due
    stumbles.over()
    assert not stumbles.due


def test_another_place_is_counted_anew() -> None:
    stumbles = Stumbles()

    for place in (None, None, 7, 7, 8, 7):
        stumbles.ended(TOO_BIG, place)

    assert not stumbles.due
