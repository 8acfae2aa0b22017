"""A feed against the stand-in, when nothing is wrong with the way to Railway."""

import asyncio
from typing import Any

import pytest
from railway_recorder import Recorder

from logrelay.errors import BudgetSpent
from logrelay.railway.answers import QueryFailed
from logrelay.railway.directory import Directory
from logrelay.railway.feed import Feed
from logrelay.railway.gateway import Gateway
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay.records import Notice
from logrelay.standin import Environment, StandIn, World

DROPPED = (
    "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the logging "
    "rate. Messages dropped: 42"
)


async def test_the_history_is_seeded_and_then_followed(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    environment.write("old")

    sink = follow()
    await sink.state("live")
    environment.write("new")
    await sink.message("new")

    assert sink.seeds == [(["old"], None)]
    assert sink.messages == ["old", "new"]
    assert sink.wires[1]["serviceName"] == "api"
    assert sink.descriptions[0].name == "production"
    assert railway.journal.total_connections == 1


async def test_a_full_seed_says_how_far_back_it_reaches(environment: Environment, follow: Any) -> None:
    rows = environment.write_many(str(n) for n in range(10))

    sink = follow(seed=5)
    await sink.state("live")

    # Railway gives one row more than it is asked for; that one's nanosecond may have more of them.
    assert sink.seeds == [(["5", "6", "7", "8", "9"], rows[4].ns)]
    assert sink.messages == ["5", "6", "7", "8", "9", *sink.messages[5:]]


async def test_an_empty_environment_stands_too(follow: Any) -> None:
    sink = follow()

    await sink.state("live")

    assert sink.seeds == [([], None)]
    assert sink.log == []


async def test_a_subscription_that_says_nothing_stands_after_a_while(railway: StandIn, follow: Any) -> None:
    railway.faults.silent = True

    sink = follow(stands_after=0.05)
    await sink.state("live")

    assert sink.frames == 0


async def test_logs_flow_without_names_and_get_them_later(
    environment: Environment, gateway: Gateway, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = gateway.query

    async def query(name: str, variables: Any) -> Any:
        if name == "EnvironmentNames":
            raise QueryFailed(Verdict(Kind.TRANSIENT, "no names today"))
        return await asked(name, variables)

    monkeypatch.setattr(gateway, "query", query)
    now = [100.0]
    sink = follow(directory=Directory(gateway, environment.id, retry_after=60.0, clock=lambda: now[0]))
    await sink.state("degraded")
    environment.write("nameless")
    await sink.message("nameless")
    monkeypatch.setattr(gateway, "query", asked)
    now[0] += 60.0
    environment.write("named")
    await sink.state("live")

    assert [wire["serviceName"] for wire in sink.wires] == [None, "api"]
    assert sink.descriptions[-1].name == "production"


async def test_lines_that_come_while_names_fail_for_a_moment_have_their_names(
    environment: Environment, gateway: Gateway, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer that filters by a service's name would miss them otherwise."""
    asked = gateway.query
    failures = iter([QueryFailed(Verdict(Kind.TRANSIENT, "no names for a moment"))] * 3)

    async def query(name: str, variables: Any) -> Any:
        if name == "EnvironmentNames":
            for failure in failures:
                raise failure
        return await asked(name, variables)

    monkeypatch.setattr(gateway, "query", query)
    sink = follow(directory=Directory(gateway, environment.id))
    await sink.state("degraded")
    environment.write("named all the same")
    await sink.message("named all the same")

    assert [wire["serviceName"] for wire in sink.wires] == ["api"]


async def test_a_service_that_is_new_has_its_name_on_its_first_line(
    environment: Environment, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")

    environment.add_service("newcomer")
    environment.write("hello", service="newcomer")
    await sink.message("hello")

    assert sink.wires[-1]["serviceName"] == "newcomer"
    assert "newcomer" in [name for _, name in sink.descriptions[-1].services]


async def test_what_railway_says_it_dropped_is_a_gap_in_its_place(
    environment: Environment, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")

    environment.write_many(["before", DROPPED, "after"])
    await sink.message("after")

    assert [entry if isinstance(entry, str) else entry[0] for entry in sink.log] == [
        "before",
        DROPPED,
        "gap",
        "after",
    ]
    (gap,) = sink.data("gap")
    assert (gap["reason"], gap["count"]) == ("upstream_dropped", 42)


async def test_what_railway_says_it_dropped_is_a_gap_in_the_seed_and_in_the_past_too(
    environment: Environment, gateway: Gateway, follow: Any
) -> None:
    rows = environment.write_many(["before", DROPPED, "after"])
    sink = follow()
    await sink.state("live")

    past = [
        entry async for page in Feed(gateway, environment.id).past(rows[0].ns, rows[-1].ns) for entry in page
    ]

    assert [entry if isinstance(entry, str) else entry[0] for entry in sink.log[-4:]] == [
        "before",
        DROPPED,
        "gap",
        "after",
    ]
    assert [isinstance(entry, Notice) for entry in past] == [False, False, True, False]
    assert isinstance(past[2], Notice)
    assert [past[2].data, sink.data("gap")[0]] == [
        {"from": rows[1].timestamp, "to": rows[1].timestamp, "count": 42, "reason": "upstream_dropped"}
    ] * 2


async def test_the_past_comes_in_pages_with_the_ids_of_the_live_records(
    environment: Environment, gateway: Gateway, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")
    rows = environment.write_many(["same", {"message": "same", "tied": True}, "other"])
    await sink.message("other")
    feed = Feed(gateway, environment.id)

    pages = [page async for page in feed.past(rows[0].ns, rows[-1].ns)]

    entries = [entry for page in pages for entry in page]
    assert [entry.id for entry in entries if not isinstance(entry, Notice)] == [
        record.id for record in sink.records
    ]


async def test_the_past_raises_what_it_cannot_have(
    railway: StandIn, environment: Environment, gateway: Gateway
) -> None:
    feed = Feed(gateway, environment.id)
    railway.faults.query_error = "Problem processing request"

    with pytest.raises(QueryFailed) as failed:
        await anext(feed.past(0, 1))

    assert failed.value.verdict.kind is Kind.BROKEN


async def test_a_spent_budget_is_waited_out(
    environment: Environment, gateway: Gateway, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = gateway.budget.take

    async def spent_at_first() -> None:
        taken.append(1)
        if len(taken) <= 2:
            raise BudgetSpent("spent", 0.1)
        await take()

    monkeypatch.setattr(gateway.budget, "take", spent_at_first)

    sink = follow()
    await sink.state("live")

    assert sink.states[0] == "retrying"
    assert sink.delays[0][1] >= 0.1


async def test_a_feed_says_how_it_is(world: World, environment: Environment, gateway: Gateway) -> None:
    text = repr(Feed(gateway, environment.id))

    assert environment.id in text
    assert "away" in text
    assert world.account_token not in text


async def test_a_feed_that_stands_says_so(
    gateway: Gateway, environment: Environment, tasks: list[Any]
) -> None:
    feed, sink = Feed(gateway, environment.id), Recorder()
    tasks.append(asyncio.create_task(feed.run(sink)))

    await sink.state("live")

    assert "standing" in repr(feed)
    assert "standing" in repr(feed._delivery)


async def test_a_fault_of_our_own_ends_the_feed(gateway: Gateway, environment: Environment) -> None:
    class Broken(Directory):
        async def refresh(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Feed(gateway, environment.id, directory=Broken(gateway, environment.id)).run(Recorder())


async def test_records_do_not_wait_for_names_for_ever(
    gateway: Gateway, environment: Environment, follow: Any
) -> None:
    class Slow(Directory):
        async def refresh(self) -> None:
            await asyncio.Event().wait()

    environment.write("old")

    sink = follow(directory=Slow(gateway, environment.id, patience=0.01), names_patience=0.01)
    await sink.state("live")

    assert sink.messages == ["old"]
