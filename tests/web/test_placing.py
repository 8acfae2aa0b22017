import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from web_harness import BASE, ENV, SECOND, Make, Past, Peer, Relay, Upstream, ids, line, lines, until

from logrelay.errors import BudgetSpent, UpstreamUnavailable
from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.history import Bounds, History
from logrelay.relay.records import Entry, LogRecord, Notice
from logrelay.relay.resume import Request
from logrelay.web.placing import Placing, ResumeLimits, lost, recent
from logrelay.web.stream import StreamLimits

# By arrival: a tie of three at 12, and a late row of 11 after it.
ARRIVED = [
    line(10), line(11), line(12, "a"), line(12, "b"), line(12, "c"), line(11, "late", late=True), line(13), line(14),
]  # fmt: skip


def archive(records: Any, *, size: Any = 3, between: Any = None) -> Past:
    """Railway's past: closed windows in order of stamps, `size` records a page."""

    async def past(start_ns: Any, end_ns: Any) -> AsyncIterator[Sequence[Entry]]:
        found = sorted(
            (record for record in records if start_ns <= record.ns <= end_ns), key=lambda record: record.ns
        )
        while found:
            stop = size
            while stop < len(found) and found[stop].ns == found[stop - 1].ns:
                stop += 1  # equal stamps never fall into two pages
            yield found[:stop]
            found = found[stop:]
            if between is not None:
                await between()

    return past


def stamp(second: Any) -> str:
    return timestamps.render(BASE + round(second * SECOND))


async def got(peer: Peer, relay: Relay, *, after: Any = 1000) -> list[str]:
    """Ids of all records up to one that is published now."""
    last = line(after, "the last one")
    relay.sink.publish([last])
    found = []
    while not found or found[-1] != last.id:
        message = await peer.message()
        if message["type"] == "log":
            found.append(message["data"]["id"])
    return found[:-1]


@pytest.mark.parametrize("place", range(len(ARRIVED)))
async def test_an_id_in_the_history_resumes_right_after_it(make: Make, place: Any) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=ARRIVED)})

    peer = await relay.connect({"lastId": ARRIVED[place].id})
    connected = await peer.status("connected")

    assert connected["resume"] == {"outcome": "exact"}
    assert await got(peer, relay) == ids(ARRIVED[place + 1 :])
    assert not relay.upstream.asked
    await peer.leave()


@pytest.mark.parametrize(
    ("second", "first"),
    [(9, 0), (10, 1), (10.5, 1), (11, 1), (11.5, 2), (12, 2), (13, 7), (13.5, 7), (14, 8)],
)
async def test_a_stamp_in_the_history_resumes_at_its_ties_and_brings_the_late_rows(
    make: Make, second: Any, first: Any
) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=ARRIVED)})

    peer = await relay.connect({"lastTimestamp": stamp(second)})
    connected = await peer.status("connected")

    assert connected["resume"] == {"outcome": "exact"}
    assert await got(peer, relay) == ids(ARRIVED[first:])
    await peer.leave()


@pytest.mark.parametrize("query", [{"lastTimestamp": stamp(15)}, {"lastId": line(15).id}])
async def test_c15_the_future_is_nothing_to_resume_from(make: Make, query: Any) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=ARRIVED)})

    peer = await relay.connect(query)

    assert (await peer.status("connected"))["resume"] == {"outcome": "none"}
    assert await got(peer, relay) == []
    await peer.leave()


async def test_an_empty_history_is_nothing_to_resume_from(relay: Relay) -> None:
    peer = await relay.connect({"lastTimestamp": stamp(1)})

    assert (await peer.status("connected"))["resume"] == {"outcome": "none"}
    await peer.leave()


async def test_an_id_that_nobody_knows_is_partial_and_goes_on_at_its_stamp(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=ARRIVED)})

    peer = await relay.connect({"lastId": line(12, "never seen").id})
    resume = (await peer.status("connected"))["resume"]

    assert resume == {"outcome": "partial", "from": stamp(12), "to": stamp(12), "reason": "unknown_id"}
    assert await got(peer, relay) == ids(ARRIVED[2:])
    await peer.leave()


@pytest.mark.parametrize(("last", "first"), [(0, 1), (4, 5), (8, 9)])
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_what_lies_before_the_history_is_fetched_in_pages(
    make: Make, last: Any, first: Any, size: Any
) -> None:
    old, new = lines(0, 10), lines(10, 20)
    upstream = Upstream(seed=new, floor_ns=old[-1].ns, past_of=archive(old + new, size=size))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": old[last].id})
    connected = await peer.status("connected")

    assert connected["resume"] == {"outcome": "backfilled"}
    assert await got(peer, relay) == ids(old[first:] + new)
    assert upstream.asked == [(old[last].ns, old[-1].ns)]
    await peer.leave()


async def test_what_is_fetched_passes_the_filter(make: Make) -> None:
    old = [line(n, service="api" if n % 2 else "web") for n in range(10)]
    upstream = Upstream(seed=[line(10)], floor_ns=old[-1].ns, past_of=archive(old))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastTimestamp": stamp(0), "services": "api"})
    await peer.status("connected")

    assert await got(peer, relay) == ids([*old[1::2], line(10)])
    await peer.leave()


async def test_an_overlap_sends_the_seconds_before_again(make: Make) -> None:
    old, new = lines(0, 10), lines(10, 12)
    upstream = Upstream(seed=new, floor_ns=old[-1].ns, past_of=archive(old))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": old[6].id, "overlap": 3})

    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}
    assert await got(peer, relay) == ids(old[3:] + new)
    await peer.leave()


async def test_an_empty_window_before_the_first_record_is_no_unknown_id(make: Make) -> None:
    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield []
        yield []
        yield lines(7, 10)

    upstream = Upstream(seed=[line(10)], floor_ns=line(9).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(7).id, "overlap": 5})

    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}
    assert await got(peer, relay) == ids(lines(7, 11))
    await peer.leave()


async def test_an_id_that_railway_has_not_either_is_partial(make: Make) -> None:
    old = lines(0, 10)
    upstream = Upstream(seed=[line(10)], floor_ns=old[-1].ns, past_of=archive(old))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(5, "never seen").id})
    resume = (await peer.status("connected"))["resume"]

    assert (resume["outcome"], resume["reason"]) == ("partial", "unknown_id")
    assert await got(peer, relay) == ids(lines(5, 11))
    await peer.leave()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ResumeLimits(seconds=5.0), "limit"),
        (ResumeLimits(retention=5.0), "retention"),
    ],
)
async def test_c16_too_old_is_partial_and_says_from_where_on_it_is_complete(
    make: Make, limits: Any, reason: Any
) -> None:
    old, new = lines(0, 10), lines(10, 12)
    upstream = Upstream(seed=new, floor_ns=old[-1].ns, past_of=archive(old))
    relay = await make(upstreams={ENV: upstream}, limits=StreamLimits(resume=limits))

    peer = await relay.connect({"lastTimestamp": stamp(1)})
    resume = (await peer.status("connected"))["resume"]

    assert resume == {"outcome": "partial", "from": stamp(1), "to": stamp(6), "reason": reason}
    assert await got(peer, relay) == ids(old[6:] + new)
    await peer.leave()


async def test_where_railway_gives_nothing_at_all_the_history_is_what_there_is(make: Make) -> None:
    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        raise UpstreamUnavailable("away")
        yield

    upstream = Upstream(seed=lines(10, 12), floor_ns=line(9).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastTimestamp": stamp(1)})
    resume = (await peer.status("connected"))["resume"]

    assert resume == {"outcome": "partial", "from": stamp(1), "to": stamp(9), "reason": "limit"}
    assert await got(peer, relay) == ids(lines(10, 12))
    await peer.leave()


@pytest.mark.parametrize(
    ("error", "reason"), [(UpstreamUnavailable("away"), "outage"), (BudgetSpent("spent"), "limit")]
)
async def test_a_page_that_fails_is_a_gap_in_its_place(make: Make, error: Any, reason: Any) -> None:
    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield lines(1, 5)
        raise error

    upstream = Upstream(seed=lines(10, 12), floor_ns=line(9).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(1).id})
    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}

    assert await peer.ids(3) == ids(lines(2, 5))
    gap = await peer.status("gap")
    assert gap == {"from": stamp(4), "to": stamp(9), "count": None, "reason": reason}
    assert await got(peer, relay) == ids(lines(10, 12))
    await peer.leave()


async def test_notices_of_the_upstreams_pages_stand_in_their_place(make: Make) -> None:
    data = {"from": stamp(3), "to": stamp(3), "count": None, "reason": "upstream_truncated"}

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield [*lines(1, 4), Notice("gap", data, BASE)]
        yield lines(4, 6)

    upstream = Upstream(seed=lines(10, 12), floor_ns=line(9).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.joined({"lastId": line(1).id})

    assert await peer.ids(2) == ids(lines(2, 4))
    assert await peer.status("gap") == data
    assert await got(peer, relay) == ids([*lines(4, 6), *lines(10, 12)])
    await peer.leave()


async def test_a_resume_fetches_no_more_records_than_its_limit(make: Make) -> None:
    old = lines(0, 100)
    upstream = Upstream(seed=[line(100)], floor_ns=old[-1].ns, past_of=archive(old, size=10))
    relay = await make(upstreams={ENV: upstream}, limits=StreamLimits(resume=ResumeLimits(records=25)))
    peer = await relay.joined({"lastTimestamp": stamp(0)})

    found = await peer.ids(29)
    gap = await peer.status("gap")

    assert found == ids(old[1:30])
    assert gap == {"from": stamp(29), "to": stamp(99), "count": None, "reason": "limit"}
    assert await got(peer, relay) == [line(100).id]
    await peer.leave()


@pytest.mark.parametrize("lateness", [4, 90])  # the history spans about 35 s
@pytest.mark.parametrize("seed", range(25))
async def test_the_seam_has_no_hole_and_no_repeat(make: Make, seed: Any, lateness: Any) -> None:
    """Records arrive, late and tied ones too, and the oldest are evicted, while the past is being fetched."""
    dice = random.Random(seed)
    now, everything = 100.0, []

    def fresh(count: Any) -> list[LogRecord]:
        nonlocal now
        made = []
        for _ in range(count):
            now += dice.choice([0, 0, 1, 2])
            late = dice.random() < 0.2
            second = now - dice.choice([1, 2, 4, lateness]) if late else now
            made.append(line(second, f"record {len(everything) + len(made)}", late=late))
        everything.extend(made)
        return made

    fresh(dice.randrange(40, 120))
    seeded = everything[-20:]
    older = everything[:-20]
    live = []

    async def between() -> None:
        if len(live) < 150:
            arrived = fresh(dice.randrange(0, 6))
            live.extend(arrived)
            relay.sink.publish(arrived)
        await asyncio.sleep(0)

    upstream = Upstream(
        seed=seeded,
        floor_ns=max(record.ns for record in older),
        past_of=archive(everything, size=dice.randrange(1, 8), between=between),
    )
    relay = await make(upstreams={ENV: upstream}, bounds=Bounds(records=40, keep=10))
    in_order = sorted(older, key=lambda record: record.ns)
    place = dice.randrange(len(in_order) // 2)
    by_id = dice.random() < 0.6
    last = in_order[place]
    peer = await relay.connect(
        {"lastId": last.id} if by_id else {"lastTimestamp": timestamps.render(last.ns)}
    )
    outcome = (await peer.status("connected"))["resume"]["outcome"]

    await until(lambda: relay.client._placed)
    found = await got(peer, relay, after=now + 1000)

    assert outcome == "backfilled"
    assert len(found) == len(set(found))
    ties = [record for record in everything if record.ns == last.ns]
    if by_id or len(ties) == 1:
        expected = [record for record in everything if record.ns > last.ns] + ties[ties.index(last) + 1 :]
    else:
        expected = [record for record in everything if record.ns >= last.ns]
    # What arrived since the client came is not missed, whatever its stamp; for what had come late before that,
    # a client asks for an overlap.
    missing = {*ids(expected), *ids(live)} - set(found)
    assert not missing - {last.id}
    assert not set(found) - {*ids(expected), *ids(seeded), *ids(live)}
    await peer.leave()


async def test_a_resume_that_ends_exactly_at_its_limit_declares_no_gap(make: Make) -> None:
    old = lines(0, 31)
    upstream = Upstream(seed=[line(31)], floor_ns=old[-1].ns, past_of=archive(old, size=10))
    relay = await make(upstreams={ENV: upstream}, limits=StreamLimits(resume=ResumeLimits(records=30)))

    peer = await relay.connect({"lastTimestamp": stamp(0)})

    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}
    assert await peer.ids(31) == ids(lines(1, 32))
    await peer.quiet()
    await peer.leave()


async def test_a_page_that_only_says_that_rows_are_missing_is_no_unknown_id(make: Make) -> None:
    data = {"from": stamp(5), "to": stamp(5), "count": 3, "reason": "upstream_truncated"}

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield [Notice("gap", data, BASE)]
        yield lines(7, 10)

    upstream = Upstream(seed=[line(10)], floor_ns=line(9).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(7).id, "overlap": 5})

    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}
    assert await peer.status("gap") == data
    assert await got(peer, relay) == ids(lines(7, 11))
    await peer.leave()


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_an_id_that_comes_on_a_later_page_of_its_overlap_is_known(make: Make, size: Any) -> None:
    old = lines(0, 10)
    upstream = Upstream(seed=[line(10)], floor_ns=old[-1].ns, past_of=archive(old, size=size))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(7).id, "overlap": 5})

    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}
    assert await got(peer, relay) == ids(lines(2, 11))
    await peer.leave()


@pytest.mark.parametrize("text", [None, "never seen"])
async def test_an_overlap_that_begins_before_the_history_of_its_id_is_fetched(make: Make, text: Any) -> None:
    old = lines(0, 10)
    upstream = Upstream(seed=lines(10, 20), floor_ns=old[-1].ns, past_of=archive(old, size=2))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(12, text).id, "overlap": 5})
    resume = (await peer.status("connected"))["resume"]

    unknown = {"outcome": "partial", "from": stamp(12), "to": stamp(12), "reason": "unknown_id"}
    assert resume == (unknown if text else {"outcome": "backfilled"})
    assert await peer.ids(13) == ids(lines(7, 20))
    await peer.quiet()
    await peer.leave()


@pytest.mark.parametrize(("second", "before"), [(7, [2, 3, 4, 5, 6, 7]), (9, [4, 5, 6, 7, 8, 9])])
async def test_an_id_that_turns_out_to_be_unknown_is_a_gap_in_its_place(
    make: Make, second: Any, before: Any
) -> None:
    old = lines(0, 10)
    upstream = Upstream(seed=[line(10)], floor_ns=old[-1].ns, past_of=archive(old, size=2))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"lastId": line(second, "never seen").id, "overlap": 5})

    assert (await peer.status("connected"))["resume"] == {"outcome": "backfilled"}
    assert await peer.ids(len(before)) == [line(n).id for n in before]
    place = {"from": stamp(second), "to": stamp(second), "count": None, "reason": "unknown_id"}
    assert await peer.status("gap") == place
    assert await got(peer, relay) == ids(lines(second + 1, 11))
    await peer.leave()


async def test_what_is_partial_and_can_not_be_fetched_either_is_missing_up_to_the_history(make: Make) -> None:
    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        # More is evicted while the query is on its way.
        relay.sink.publish(lines(12, 14))
        raise UpstreamUnavailable("away")
        yield

    upstream = Upstream(seed=lines(10, 12), floor_ns=line(9).ns, past_of=past)
    limits = StreamLimits(resume=ResumeLimits(retention=5.0))
    relay = await make(upstreams={ENV: upstream}, limits=limits, bounds=Bounds(records=3, keep=1))

    peer = await relay.connect({"lastTimestamp": stamp(1)})
    resume = (await peer.status("connected"))["resume"]

    assert resume == {"outcome": "partial", "from": stamp(1), "to": stamp(10), "reason": "retention"}
    assert await got(peer, relay) == ids(lines(11, 14))
    await peer.leave()


async def test_late_rows_that_come_and_go_while_the_past_is_fetched_are_sent(make: Make) -> None:
    old = lines(0, 10)
    late = [line(3.5, "late", late=True), line(8.5, "less late", late=True)]

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield [record for record in old[:6] if start <= record.ns <= end]
        if not pages:
            relay.sink.publish([late[0], *lines(20, 30), late[1], *lines(30, 40)])  # and they are gone again
        pages.append(start)
        yield [record for record in [*old[6:], *lines(10, 40)] if start <= record.ns <= end]

    pages: list[int] = []
    upstream = Upstream(seed=lines(10, 20), floor_ns=old[-1].ns, past_of=past)
    relay = await make(upstreams={ENV: upstream}, bounds=Bounds(records=10, keep=1))
    peer = await relay.joined({"lastId": old[0].id})

    found = await got(peer, relay)

    assert sorted(found) == sorted(ids([*old[1:], *late, *lines(10, 40)]))
    assert found.index(late[1].id) < found.index(line(9).id)
    assert late[0].id in found
    await peer.leave()


async def test_what_railway_dropped_is_told_once_at_the_seam(make: Make) -> None:
    said = {"from": stamp(10), "to": stamp(10), "count": 7, "reason": "upstream_dropped"}
    gap = Notice("gap", said, BASE)

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield [*lines(5, 11), gap]

    seed = [line(10), gap, *lines(11, 13)]
    relay = await make(upstreams={ENV: Upstream(seed=seed, floor_ns=line(10).ns, past_of=past)})
    peer = await relay.joined({"lastId": line(5).id})

    assert await peer.ids(5) == ids(lines(6, 11))
    assert await peer.status("gap") == said
    assert await peer.ids(2) == ids(lines(11, 13))
    await peer.leave()


async def test_more_late_rows_than_can_be_kept_are_a_gap(make: Make) -> None:
    old = lines(0, 10)
    late = [line(n / 1000, f"late {n}", late=True) for n in range(1200)]
    upstream = Upstream(seed=lines(10, 20), floor_ns=old[-1].ns, past_of=archive(old, size=5))
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.joined({"services": "web"})  # only keeps the hub
    placing = Placing(Filter(), Request.from_id(old[0].id), tail=0, limits=ResumeLimits())
    await placing.prepare(relay.hub)
    sent: list[Entry] = []

    async for entries in placing.backfill(relay.hub):
        sent += entries
        if len(sent) == 4:
            relay.sink.publish(late)

    # They go before the next page, which may hold what was written after them.
    assert sent[:-1] == [*old[1:5], *late[:1000], *old[5:]]
    gap = sent[-1]
    assert isinstance(gap, Notice)
    assert gap.data == {"from": stamp(0), "to": stamp(9), "count": None, "reason": "limit"}
    await peer.leave()


async def test_what_is_evicted_while_a_gap_is_being_sent_is_counted_as_lost(make: Make) -> None:
    """From the gap on the place is the history's: nothing after it goes away without a word."""
    old = lines(0, 10)

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        yield old[:5]
        raise UpstreamUnavailable("away")

    upstream = Upstream(seed=lines(10, 20), floor_ns=old[-1].ns, past_of=past)
    relay = await make(upstreams={ENV: upstream}, bounds=Bounds(records=10, keep=1))
    peer = await relay.joined()
    placing = Placing(Filter(), Request.from_id(old[0].id), tail=0, limits=ResumeLimits())
    await placing.prepare(relay.hub)

    async for entries in placing.backfill(relay.hub):
        if isinstance(entries[-1], Notice):
            relay.sink.publish(lines(20, 23))

    assert placing.position == 0
    assert lost(relay.hub.history, placing.position, None)["count"] == 3
    await peer.leave()


async def test_fetched_records_are_remembered_until_the_client_has_passed_the_seam() -> None:
    history = History()
    history.append(lines(10, 20), 0.0)
    limits = ResumeLimits(seam=0.0)
    placing = Placing(Filter(), None, tail=0, limits=limits)
    placing.already = {line(12).id, line(15).id}
    placing._forget_at = asyncio.get_running_loop().time() - 1

    assert ids(placing.fresh(history, 0, 5)) == ids([*lines(10, 12), *lines(13, 15)])
    assert placing.fresh(history, 6, 10) is None
    history.append(lines(20, 21), 0.0)
    assert ids(placing.fresh(history, 5, 6)) == []
    assert placing.fresh(history, 10, 11) is None
    assert not placing.already
    assert placing.fresh(history, 0, 5) is None


async def test_the_recent_past_is_searched_backwards_without_holding_up_others(make: Make) -> None:
    relay = await make(
        upstreams={ENV: Upstream(seed=[line(0, "needle"), *lines(1, 5000), line(5000, "needle")])}
    )
    peer = await relay.joined({"tail": 0})
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    found = await recent(relay.hub, relay.hub.history.end, Filter.parse(search="needle"), 5)
    task.cancel()

    assert ids(found) == ids([line(0, "needle"), line(5000, "needle")])
    assert turns > 1
    await asyncio.wait([task])
    await peer.leave()


def test_lost_tells_the_count_and_between_what() -> None:
    history = History(Bounds(records=3, keep=1))
    history.append([*lines(0, 3), Notice("live", {"backfilled": 0}, BASE), *lines(3, 8)], 0.0)

    assert lost(history, 1, line(0).ns) == {"count": 4, "from": stamp(0), "to": stamp(5)}
    assert lost(history, 0, None)["from"] is None
