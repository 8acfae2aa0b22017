"""`history` requests: what is older comes once, newest first, wherever it is kept, and never in the stream's way."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import attrs
import pytest
from web_harness import BASE, ENV, SECOND, Make, Past, Peer, Relay, Upstream, ids, line, lines, until

from logrelay.errors import BudgetSpent, UpstreamUnavailable
from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Hub
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.web import client, older, searching
from logrelay.web.grants import Credential, Grant
from logrelay.web.placing import ResumeLimits
from logrelay.web.socket import SocketLimits
from logrelay.web.stream import StreamLimits

FAR = StreamLimits(resume=ResumeLimits(records=1_000_000), socket=SocketLimits(messages_per_second=1000))


def railway(rows: Sequence[LogRecord], at_once: int = 7) -> Past:
    """A past with these rows, in pages; equal stamps never fall into two of them."""
    ordered = sorted(rows, key=lambda row: row.ns)

    async def past(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        page: list[Entry] = []
        for row in ordered:
            if not start_ns <= row.ns <= end_ns:
                continue
            if len(page) >= at_once and page[-1].ns != row.ns:
                yield page
                page = []
            page.append(row)
        if page:
            yield page

    return past


async def pages(peer: Peer, request: Any) -> list[Any]:
    """The pages of one request, up to the last; what else is said meanwhile is passed over."""
    found = []
    while not found or not found[-1]["done"]:
        page = await peer.until("history")
        if page["request"] == request:
            found.append(page)
    return found


async def asked(peer: Peer, **about: Any) -> tuple[list[str], Any]:
    """The ids of what a request finds, and its last page."""
    await peer.say(type="history", **about)
    found = await pages(peer, about.get("request"))
    return [row["id"] for page in found for row in page["data"]], found[-1]


async def all_older(peer: Peer, before: str | None, limit: int) -> tuple[list[str], str | None]:
    """Everything older, by as many requests as it takes; and why the last one went no further."""
    found: list[str] = []
    while True:
        some, last = await asked(peer, before=before, limit=limit)
        found += some
        if "next" not in last:
            return found, last.get("reason")
        before = last["next"]


# -- what is older ----------------------------------------------------------------------------------------------


@attrs.frozen
class World:
    """Rows of an environment: those before the relay came, and how the rest arrived."""

    before: list[LogRecord]
    arrived: list[LogRecord]

    @classmethod
    def of(cls, chance: random.Random) -> "World":
        second = 0.0
        rows = []
        for number in range(chance.randint(60, 160)):
            second += chance.choice([0, 0, 0.001, 1, 1, 40, 3600 if number % 40 == 0 else 2])
            rows.append(line(second, f"row {number}"))
        split = chance.randint(0, len(rows))
        arrived = rows[split:]
        for _ in range(len(arrived) // 8):  # late by some places
            place = chance.randrange(len(arrived))
            arrived.insert(min(place + chance.randint(1, 30), len(arrived) - 1), arrived.pop(place))
        for number in range(chance.randint(0, 4)):  # late by far
            arrived.insert(
                chance.randint(0, len(arrived)), line(chance.uniform(0, second), f"very late {number}")
            )
        return cls(rows[:split], arrived)

    def expected(self, relay: Relay) -> list[str]:
        """The ids of everything, newest first."""
        history = relay.hub.history
        here = [entry.id for _, entry in history.backwards(history.end) if isinstance(entry, LogRecord)]
        rows = sorted([*self.before, *self.arrived], key=lambda row: row.ns)
        return here + [row.id for row in reversed(rows) if row.id not in set(here)]


@pytest.mark.parametrize("number", range(24))
async def test_everything_older_comes_once_and_newest_first_whatever_arrived_how(
    make: Make, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    chance = random.Random(number)
    world = World.of(chance)
    monkeypatch.setattr(older, "_WANTED", chance.choice([3, 20, 2500]))
    monkeypatch.setattr(older, "_TOO_MANY", chance.choice([12, 80]))
    seed = world.before[-chance.randint(1, 40) :]
    floor = seed[0].ns if seed and len(seed) < len(world.before) else None
    upstream = Upstream(
        seed=seed, floor_ns=floor, past_of=railway([*world.before, *world.arrived], chance.choice([1, 7]))
    )
    bounds = Bounds(records=chance.choice([10, 60, 1000]), keep=5)
    relay = await make(upstreams={ENV: upstream}, bounds=bounds, limits=FAR)
    peer = await relay.joined({"tail": 0})
    for row in world.arrived:
        relay.sink.publish([row])
    expected = world.expected(relay)
    limit = chance.choice([1, 7, 5000] if len(expected) < 100 else [7, 50, 5000])

    found, reason = await all_older(peer, None, limit)
    assert found == expected
    assert reason == (None if relay.hub.history.floor_ns is None else "retention")

    for place in chance.sample(range(len(expected)), 3) if expected else ():
        found, _ = await all_older(peer, expected[place], 5000)
        assert found == expected[place + 1 :]
    await peer.leave()


async def test_what_is_stamped_before_a_moment_may_be_asked_for(make: Make) -> None:
    upstream = Upstream(seed=lines(50, 60), floor_ns=line(50).ns, past_of=railway(lines(0, 60)))
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.joined({"tail": 0})

    in_memory, _ = await asked(peer, before=timestamps.render(BASE + 55 * SECOND), limit=8)
    in_the_past, last = await asked(peer, before=timestamps.render(BASE + 20 * SECOND), limit=5)
    between, _ = await asked(peer, before="2025-11-24T16:00:10.5Z", limit=1)

    assert in_memory == ids(lines(47, 55))[::-1]
    assert in_the_past == ids(lines(15, 20))[::-1]
    assert between == ids([line(10)])
    assert last["scannedTo"] == timestamps.render(line(15).ns + 1)
    await peer.leave()


async def test_the_connections_filter_counts_where_the_request_names_no_other(make: Make) -> None:
    rows = [
        line(n, f"needle {n}" if n % 3 else "hay", service="web" if n % 2 else "api", severity="warn")
        for n in range(40)
    ]
    upstream = Upstream(seed=rows[30:], floor_ns=rows[30].ns, past_of=railway(rows))
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.joined({"tail": 0, "services": "web", "search": "needle"})

    own, _ = await asked(peer)
    other, _ = await asked(peer, search="hay", request=1)
    all_of_them, _ = await asked(peer, search="", services=[], request={"a": [None]})
    none, _ = await asked(peer, severity="error")

    assert own == [row.id for n, row in reversed(list(enumerate(rows))) if n % 2 and n % 3]
    assert other == [row.id for n, row in reversed(list(enumerate(rows))) if n % 2 and not n % 3]
    assert all_of_them == ids(rows)[::-1]
    assert none == []
    await peer.leave()


async def test_older_records_are_the_same_as_live_ones(make: Make) -> None:
    relay = await make(
        upstreams={ENV: Upstream(past_of=railway(lines(0, 3)))}, bounds=Bounds(records=1, keep=1)
    )
    peer = await relay.joined()
    live = []
    for row in lines(0, 3):
        relay.sink.publish([row])
        live.append(await peer.record())

    await peer.say(type="history")
    older_ones = [row for page in await pages(peer, None) for row in page["data"]]

    assert older_ones == live[::-1]
    await peer.leave()


async def test_gaps_among_what_is_older_are_told(make: Make) -> None:
    gap = {"from": None, "to": None, "count": 3, "reason": "upstream_dropped"}
    too_large = {
        "from": timestamps.render(BASE),
        "to": timestamps.render(BASE),
        "count": None,
        "reason": "too_large",
    }

    async def past(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        if start_ns <= line(5).ns <= end_ns:
            yield [line(5), Notice("gap", too_large, BASE)]

    relay = await make(upstreams={ENV: Upstream(seed=[line(20)], floor_ns=line(20).ns, past_of=past)})
    peer = await relay.joined()
    relay.sink.announce("reconnecting", {"reason": "the connection was lost"})
    relay.sink.announce("gap", gap)

    await peer.say(type="history")
    found = await pages(peer, None)

    assert [told for page in found for told in page.get("gaps", ())] == [gap, too_large]
    assert [row["id"] for page in found for row in page["data"]] == ids([line(20), line(5)])
    await peer.leave()


class Scoped:
    """A guard that lets everyone see one service's records, until the test says otherwise."""

    mode = "token"
    recheck = None

    def __init__(self) -> None:
        self.services = ["web"]

    async def grant(self, _credential: Credential, _environment_id: str) -> Grant:
        return Grant("token", subject="a", scope=Filter.of_services(self.services))

    def describe(self) -> dict[str, object]:
        return {"state": "ok"}

    def reload(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


async def test_nothing_from_outside_the_callers_scope_is_found_wherever_it_is(make: Make) -> None:
    rows = [line(n, service="web" if n % 2 else "api") for n in range(40)]
    upstream = Upstream(seed=rows[30:], floor_ns=rows[30].ns, past_of=railway(rows))
    guard = Scoped()
    relay = await make(upstreams={ENV: upstream}, guard=guard)
    peer = await relay.joined({"tail": 0}, headers={"Authorization": "Bearer x"})

    found, _ = await asked(peer, services=[], search="")
    aimed, _ = await asked(peer, services=["api", "svc-api"])
    guard.services = ["api"]
    relay.leases.reload()
    await until(lambda: relay.client._lease.scope.services == ("api",))
    after, _ = await asked(peer)

    assert found == [row.id for row in reversed(rows) if row.service_name == "web"]
    assert aimed == []
    assert after == [row.id for row in reversed(rows) if row.service_name == "api"]
    await peer.leave()


# -- how far it goes -------------------------------------------------------------------------------------------


async def test_one_request_looks_at_so_many_records_and_says_where_to_go_on(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(older, "_WANTED", 20)
    rows = [line(n, "needle" if n == 3 else "hay") for n in range(200)]
    upstream = Upstream(seed=rows[190:], floor_ns=rows[190].ns, past_of=railway(rows))
    relay = await make(upstreams={ENV: upstream}, limits=StreamLimits(resume=ResumeLimits(records=60)))
    peer = await relay.joined({"tail": 0})

    requests, before, found = 0, None, []
    while not found:
        found, last = await asked(peer, search="needle", before=before)
        requests += 1
        before = last.get("next")
        assert found or last["reason"] == "limit"
        assert found or timestamps.parse(last["next"]) == timestamps.parse(last["scannedTo"])

    assert found == ids([rows[3]])
    assert 2 <= requests <= 5
    await peer.leave()


async def test_the_past_beyond_the_retention_is_not_asked_for(make: Make) -> None:
    rows = [line(0), line(5000), line(10_000)]
    upstream = Upstream(seed=[rows[2]], floor_ns=rows[2].ns, past_of=railway(rows))
    relay = await make(upstreams={ENV: upstream}, limits=StreamLimits(resume=ResumeLimits(retention=6000.0)))
    peer = await relay.joined({"tail": 0})

    found, last = await asked(peer)

    assert found == ids([rows[2], rows[1]])
    assert last["reason"] == "retention"
    assert "next" not in last
    assert min(start for start, _ in upstream.asked) >= rows[2].ns - 6000 * SECOND
    await peer.leave()


@pytest.mark.parametrize(
    ("error", "reason"), [(UpstreamUnavailable("away"), "outage"), (BudgetSpent("spent"), "limit")]
)
async def test_where_railway_gives_nothing_the_last_page_says_so(make: Make, error: Any, reason: str) -> None:
    async def past(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        if start_ns <= line(5).ns:
            raise error
        yield []

    relay = await make(upstreams={ENV: Upstream(seed=lines(10, 12), floor_ns=line(10).ns, past_of=past)})
    peer = await relay.joined({"tail": 0})

    found, last = await asked(peer)

    assert found == ids(lines(10, 12))[::-1]
    assert last["reason"] == reason
    assert "next" in last
    await peer.leave()


async def test_where_queries_are_short_only_the_history_is_looked_at(make: Make) -> None:
    upstream = Upstream(seed=lines(10, 12), floor_ns=line(10).ns, past_of=railway(lines(0, 12)))
    limits = StreamLimits(resume=ResumeLimits(plenty=lambda: False))
    relay = await make(upstreams={ENV: upstream}, limits=limits)
    peer = await relay.joined({"tail": 0})

    found, last = await asked(peer)

    assert found == ids(lines(10, 12))[::-1]
    assert last["reason"] == "limit"
    assert upstream.asked == []
    await peer.leave()


async def test_a_log_without_records_has_nothing_older(relay: Relay) -> None:
    peer = await relay.joined()

    found, last = await asked(peer, request="r")

    assert found == []
    assert last == {"type": "history", "request": "r", "data": [], "scannedTo": None, "done": True}
    await peer.leave()


# -- fetching ---------------------------------------------------------------------------------------------------


def held(rows: Sequence[LogRecord]) -> tuple[Past, asyncio.Event, list[str]]:
    """A past that gives nothing before the event is set, and notes what becomes of its fetches."""
    go, notes = asyncio.Event(), []
    whole = railway(rows)

    async def past(start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        notes.append("asked")
        try:
            await go.wait()
        except asyncio.CancelledError:
            notes.append("given up")
            raise
        async for page in whole(start_ns, end_ns):
            yield page

    return past, go, notes


async def test_equal_requests_of_several_share_what_is_fetched(make: Make) -> None:
    past, go, notes = held(lines(0, 30))
    upstream = Upstream(seed=lines(28, 30), floor_ns=line(28).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})
    peers = [await relay.joined({"tail": 0}) for _ in range(8)]
    for peer in peers:
        await peer.say(type="history")
    await until(lambda: notes != [])
    go.set()

    found = [[row["id"] for page in await pages(peer, None) for row in page["data"]] for peer in peers]

    alone = len(notes)
    again, _ = await asked(peers[0])
    assert found == [again] * 8
    assert again == ids(lines(0, 30))[::-1]
    assert len(notes) == alone  # what was fetched is still here
    assert len({start for start, _ in upstream.asked}) == len(upstream.asked)
    for peer in peers:
        await peer.leave()


@pytest.mark.parametrize("how", ["cancel", "leave"])
async def test_nothing_is_fetched_for_who_does_not_wait_any_more(make: Make, how: str) -> None:
    past, _, notes = held(lines(0, 30))
    relay = await make(upstreams={ENV: Upstream(seed=[line(30)], floor_ns=line(30).ns, past_of=past)})
    peer = await relay.joined({"tail": 0})
    await peer.say(type="history", request=7)
    await until(lambda: notes == ["asked"])

    if how == "cancel":
        await peer.say(type="cancel", request=7)
        last = (await pages(peer, 7))[-1]
        assert last["reason"] == "cancelled"
        await until(lambda: notes == ["asked", "given up"])
        await peer.quiet()
        await peer.leave()
    else:
        await peer.leave()
        await until(lambda: notes == ["asked", "given up"])
    await relay.empty()


async def test_what_was_cancelled_makes_room_and_a_cancel_of_nothing_is_no_mistake(make: Make) -> None:
    past, go, _ = held(lines(0, 30))
    upstream = Upstream(seed=[line(30)], floor_ns=line(30).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream}, limits=FAR)
    peer = await relay.joined({"tail": 0})

    await peer.say(type="cancel", request="nobody's")
    for number in range(12):
        await peer.say(type="history", request=number, search="nothing")
        if number < 11:
            await peer.say(type="cancel", request=number)
            assert (await pages(peer, number))[-1]["reason"] == "cancelled"
    go.set()

    assert (await pages(peer, 11))[-1]["reason"] == "retention"
    await peer.leave()


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "code", "sentence"),
    [
        ({"before": "SECRET"}, "message_invalid", "before is a record's id or an RFC 3339 timestamp"),
        ({"before": line(5, "SECRET").id}, "message_invalid", "nobody knows a record with this id"),
        ({"search": '"SECRET'}, "filter_invalid", "unbalanced quote"),
        ({"severity": "SECRET"}, "filter_invalid", "severity: one of"),
    ],
)
async def test_what_cannot_be_looked_for_is_refused_with_a_sentence(
    make: Make, about: Any, code: str, sentence: str
) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 3))})
    peer = await relay.joined({"tail": 0})

    for _ in range(12):  # a mistake in what is looked for doesn't end a connection
        await peer.say(type="history", request=["mine"], **about)
        error = await peer.error(code)
        assert sentence in error["message"]
        assert "SECRET" not in json.dumps(error)
        assert error["request"] == ["mine"]
    await peer.leave()


async def test_two_requests_are_answered_at_a_time_and_a_third_is_refused(make: Make) -> None:
    past, go, _ = held(lines(0, 30))
    relay = await make(upstreams={ENV: Upstream(seed=[line(30)], floor_ns=line(30).ns, past_of=past)})
    peer = await relay.joined({"tail": 0})

    for request in ("a", "b"):
        await peer.say(type="history", request=request)
        assert (await peer.until("history"))["data"] != []
    await peer.say(type="history", request="a")
    again = await peer.error("message_invalid")
    await peer.say(type="history", request="c")
    third = await peer.error("message_invalid")
    go.set()
    done: set[Any] = set()
    while done != {"a", "b"}:
        page = await peer.until("history")
        done |= {page["request"]} if page["done"] else set()

    assert "already" in again["message"]
    assert "at most 2" in third["message"]
    assert (third["request"], third["retryable"]) == ("c", False)
    assert (await asked(peer, request="c"))[0] == ids(lines(0, 31))[::-1]
    await peer.leave()


async def test_before_connected_nothing_can_be_asked_for(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)})
    peer = await relay.connect()
    await peer.status("connecting")

    await peer.say(type="history")

    await peer.error("message_invalid")
    relay.sink.stands()
    await peer.status("connected")
    await peer.leave()


async def test_from_connected_on_it_can_be_asked_for_while_a_resume_is_fetched(make: Make) -> None:
    go = asyncio.Event()
    older = lines(0, 20)

    async def past(_start_ns: int, _end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        yield older[3:10]
        await go.wait()
        yield older[10:]

    upstream = Upstream(seed=lines(20, 30), floor_ns=older[-1].ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.connect({"lastId": line(5).id})
    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}

    found, _ = await asked(peer, before=line(29).id, limit=1)

    assert found == [line(28).id]
    go.set()
    await peer.leave()


# -- beside the stream ----------------------------------------------------------------------------------------------


async def test_who_waits_is_told_how_far_it_is(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_PROGRESS", 0.05)
    past, go, _ = held(lines(0, 30))
    relay = await make(upstreams={ENV: Upstream(seed=[line(30)], floor_ns=line(30).ns, past_of=past)})
    peer = await relay.joined({"tail": 0})

    await peer.say(type="history", search="nothing")
    told = [await peer.until("history") for _ in range(3)]
    go.set()

    assert [(page["data"], page["done"], page["scannedTo"]) for page in told] == [
        ([], False, timestamps.render(line(30).ns))
    ] * 3
    assert (await pages(peer, None))[-1]["scannedTo"] < told[-1]["scannedTo"]
    await peer.leave()


async def test_older_records_come_in_pages_of_a_bounded_size(make: Make) -> None:
    seed = [*lines(0, 250), *[line(n, "x" * 20_000) for n in range(250, 300)]]
    relay = await make(upstreams={ENV: Upstream(seed=seed)})
    peer = await relay.joined({"tail": 0})

    await peer.say(type="history", limit=290)
    found = await pages(peer, None)

    assert [row["id"] for page in found for row in page["data"]] == ids(seed)[:-291:-1]
    assert max(len(page["data"]) for page in found) == 100
    assert max(len(json.dumps(page)) for page in found) < 90_000
    assert (found[-1]["reason"], found[-1]["next"]) == ("limit", seed[10].id)
    await peer.leave()


async def test_live_records_go_on_while_older_ones_are_sent_and_while_the_client_pauses(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 5000))})
    peer = await relay.joined({"tail": 0})

    await peer.say(type="history", limit=5000)
    await until(lambda: relay.client._searches is not None)
    relay.sink.publish([line(6000)])
    messages: list[Any] = []
    while not messages or not (messages[-1]["type"] == "history" and messages[-1]["done"]):
        messages.append(await peer.message())
    await peer.say(type="pause")
    await peer.status("paused")
    relay.sink.publish([line(6001)])
    paused, _ = await asked(peer, before=line(10).id, limit=3)

    live = [place for place, message in enumerate(messages) if message["type"] == "log"]
    assert len(live) == 1
    assert live[0] < 40  # of 51
    assert paused == ids(lines(7, 10))[::-1]
    await peer.leave()


async def test_a_slow_readers_pages_wait_for_its_socket_and_a_cancel_then_breaks_nothing(make: Make) -> None:
    limits = StreamLimits(socket=SocketLimits(send_buffer=4096, closing=0.1))
    seed = [line(n, "x" * 3000) for n in range(3000)]
    relay = await make(upstreams={ENV: Upstream(seed=seed)}, limits=limits)
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"
    slow.send(1, b'{"type":"history","limit":3000,"request":1}')
    served = relay.client
    await until(lambda: served._socket.full)
    written = served._socket.written

    slow.send(1, b'{"type":"cancel","request":1}')
    slow.send(1, b'{"type":"ping","id":"after"}')
    seen: list[Any] = []
    while not seen or seen[-1]["type"] != "pong":
        seen.append(await slow.message())
    relay.sink.publish([line(9000)])
    live = await slow.message()

    assert written < 1_000_000
    assert seen[-2]["reason"] == "cancelled"
    assert sum(len(page["data"]) for page in seen[:-1]) < 1000
    assert live["data"]["id"] == line(9000).id
    slow.leave()
    await relay.empty()


async def test_an_idle_client_has_nothing_for_requests(relay: Relay) -> None:
    peer = await relay.joined()

    assert relay.client._searches is None
    await asked(peer)
    assert "Searches 0" in repr(relay.client._searches)
    await peer.leave()


async def test_a_fault_in_a_request_is_1011(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 3))})
    peer = await relay.joined({"tail": 0})
    monkeypatch.setattr(searching.Search, "_finish", broken)

    await peer.say(type="history")

    await peer.until("error")
    assert await peer.close_code() == 1011
    assert "history request failed" in caplog.text


async def test_windows_of_the_past_follow_each_other_to_the_nanosecond(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[tuple[int, int]] = []
    past_of_hub = Hub.past

    def past(self: Hub, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        asked_for.append((start_ns, end_ns))
        return past_of_hub(self, start_ns, end_ns)

    monkeypatch.setattr(Hub, "past", past)
    floor = line(100_000).ns
    relay = await make(upstreams={ENV: Upstream(seed=[line(100_000)], floor_ns=floor)}, limits=FAR)
    peer = await relay.joined({"tail": 0})

    assert (await asked(peer))[1]["reason"] == "retention"

    assert len(asked_for) > 2
    assert asked_for[0][1] == floor
    assert asked_for[-1][0] == floor - 604_800 * SECOND
    assert [end for _, end in asked_for[1:]] == [start - 1 for start, _ in asked_for[:-1]]
    await peer.leave()


async def test_a_late_record_does_not_make_believe_that_all_before_it_has_been_looked_at(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 100))})
    peer = await relay.joined({"tail": 0, "search": "nothing"})
    relay.sink.publish([line(3.5, "very late"), *lines(100, 1098), line(2000, "needle")])

    await peer.say(type="history", search="needle")
    first, *_ = await pages(peer, None)

    assert len(first["data"]) == 1
    assert first["scannedTo"] == timestamps.render(line(100).ns)
    await peer.leave()


async def test_what_the_stream_is_behind_with_goes_before_what_is_older(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PATIENCE", 30.0)
    monkeypatch.setattr(searching, "_PROGRESS", 30.0)
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 3000))})
    peer = await relay.joined({"tail": 0})
    await peer.say(type="pause")
    await peer.status("paused")
    relay.sink.publish(lines(3000, 9000))

    await peer.say(type="resume")
    await peer.say(type="history", before=line(2000).id, limit=1)
    await peer.status("resumed")

    assert await peer.ids(6000) == ids(lines(3000, 9000))
    assert (await peer.until("history"))["data"][0]["id"] == line(1999).id
    await peer.leave()
