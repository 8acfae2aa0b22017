import asyncio
import gc
import json
import logging
import time
import weakref
from typing import Any, Never

import attrs
import pytest
from web_harness import BASE, DEADLINE, ENV, Make, Relay, Upstream, ids, line, lines, quick, until

from logrelay.relay import timestamps
from logrelay.relay.history import Bounds
from logrelay.relay.records import LogRecord
from logrelay.web.client import Client
from logrelay.web.frames import Page, Pages
from logrelay.web.limits import ClientLimits
from logrelay.web.socket import SocketLimits
from logrelay.web.stream import StreamLimits
from logrelay.web.ticker import Ticker

SLOW = StreamLimits(socket=SocketLimits(send_buffer=4096, closing=0.1))
BIG = "x" * 2000


def big(start: Any, end: Any) -> list[LogRecord]:
    return [line(second, f"{second} {BIG}") for second in range(start, end)]


async def stuffed(relay: Relay, start: Any = 0) -> list[LogRecord]:
    """Publish until the only client's socket takes no more; gives what was published."""
    published = []
    async with asyncio.timeout(DEADLINE):
        while not relay.client._socket.full:
            fresh = big(start + len(published), start + len(published) + 50)
            relay.sink.publish(fresh)
            published += fresh
            await asyncio.sleep(0)
    return published


async def test_the_tail_is_what_matches_and_has_no_notices(make: Make) -> None:
    upstream = Upstream(seed=[line(n, severity="error" if n % 3 == 0 else "info") for n in range(20)])
    relay = await make(upstreams={ENV: upstream})
    keeper = await relay.joined({"tail": 0})
    relay.sink.announce("live", {"backfilled": 0})
    await keeper.status("live")

    peer = await relay.joined({"tail": 3, "severity": "warn"})

    assert await peer.ids(3) == ids([line(n, severity="error") for n in (12, 15, 18)])
    await peer.quiet()
    await peer.leave()
    await keeper.leave()


async def test_notices_stand_between_the_records_and_pass_every_filter(relay: Relay) -> None:
    peer = await relay.joined({"search": "nothing like it"})

    relay.sink.announce("reconnecting", {"reason": "the connection was lost"})
    relay.sink.publish(lines(0, 3))
    relay.sink.announce("live", {"backfilled": 3})

    assert await peer.status("reconnecting") == {"reason": "the connection was lost"}
    assert await peer.status("live") == {"backfilled": 3}
    await peer.leave()


async def test_a_filter_is_changed_on_the_live_connection(relay: Relay) -> None:
    peer = await relay.joined({"services": "api"})
    relay.sink.publish([line(1, service="api"), line(2, service="web")])
    assert await peer.ids(1) == ids([line(1)])

    await peer.say(type="filter", services=["WEB", "nobody"], severity="info")
    echoed = await peer.status("filter")
    relay.sink.publish([line(3, service="api"), line(4, service="web")])

    assert echoed == {
        "filter": {
            "services": ["WEB", "nobody"],
            "search": "",
            "severity": "info",
            "unknownServices": ["nobody"],
        }
    }
    assert await peer.ids(1) == ids([line(4, service="web")])
    await peer.leave()


async def test_a_replay_shows_the_past_through_the_new_filter_and_then_goes_on(relay: Relay) -> None:
    peer = await relay.joined({"services": "api"})
    relay.sink.publish([line(n, service="web" if n % 2 else "api") for n in range(10)])
    await peer.ids(5)

    await peer.say(type="filter", services=["web"], replay=3)
    await peer.status("filter")
    replayed = await peer.ids(3)
    relay.sink.publish([line(10, service="api"), line(11, service="web")])

    assert replayed == ids([line(n, service="web") for n in (5, 7, 9)])
    assert await peer.ids(1) == ids([line(11, service="web")])
    await peer.leave()


async def test_a_heartbeat_during_a_replay_names_no_place_behind_it(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 20))}, limits=quick(heartbeat=0.02))
    peer = await relay.joined({"tail": 0})
    assert (await peer.until("heartbeat"))["data"]["lastId"] == ids(lines(0, 20))[-1]

    await peer.say(type="pause")
    await peer.say(type="filter", search="line", replay=5)
    await peer.until("status filter")
    assert (await peer.until("heartbeat"))["data"]["lastId"] is None
    await peer.say(type="resume")
    await peer.until("status resumed")
    places = []
    while (message := await peer.message())["type"] != "log":
        places.append(message["data"]["lastId"])
    assert set(places) <= {None}
    replayed = [message["data"]["id"], *(await peer.ids(4))]

    assert replayed == ids(lines(15, 20))
    assert (await peer.until("heartbeat"))["data"]["lastId"] == replayed[-1]
    await peer.leave()


async def test_records_that_arrive_during_a_replay_come_after_it(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 3000))})
    peer = await relay.joined({"tail": 0})

    await peer.say(type="filter", search="line", replay=3000)
    relay.sink.publish(lines(3000, 3100))
    await peer.until("status filter")
    relay.sink.publish(lines(3100, 3200))
    seen = await peer.ids(3000)

    first = ids(lines(0, 3200)).index(seen[0])
    rest = await peer.ids(200 - first)
    assert seen + rest == ids(lines(0, 3200))[first:]
    await peer.leave()


async def test_the_latest_of_two_changes_of_filter_wins_and_keeps_its_replay(make: Make) -> None:
    seed = [line(n, service="web" if n % 2 else "api") for n in range(6000)]
    relay = await make(upstreams={ENV: Upstream(seed=seed)})
    peer = await relay.joined({"tail": 0})

    await peer.say(type="filter", services=["api"], replay=5000)
    await peer.say(type="filter", services=["web"], replay=10)
    await peer.status("filter")
    await peer.until("status filter")

    assert await peer.ids(10) == ids(seed[1::2][-10:])
    await peer.quiet()
    await peer.leave()


async def test_a_replay_in_the_middle_gives_way_to_the_latest_change_of_filter(make: Make) -> None:
    seed = [line(n, f"{n} {BIG}", service="web" if n % 2 else "api") for n in range(6000)]
    relay = await make(upstreams={ENV: Upstream(seed=seed)}, limits=SLOW)
    peer = await relay.raw(buffer=4096, query="?tail=0")
    assert (await peer.message())["message"] == "connected"
    peer.send(1, b'{"type":"filter","services":["api"],"replay":5000}')
    await until(lambda: relay.client._socket.full)

    peer.send(1, b'{"type":"filter","replay":10}')
    seen = [await peer.message()]
    while seen[-1]["type"] != "status" or seen[-1]["data"]["filter"]["services"]:
        seen.append(await peer.message())
    replayed = [(await peer.message())["data"]["id"] for _ in range(10)]
    relay.sink.publish([line(6001, service="web")])

    assert len(seen) < 3000
    assert replayed == ids(seed[-10:])
    assert (await peer.message())["data"]["id"] == line(6001, service="web").id
    peer.leave()
    await relay.empty()


async def test_an_invalid_filter_is_answered_and_the_old_one_stays(relay: Relay) -> None:
    peer = await relay.joined({"services": "api"})

    for _ in range(15):
        await peer.say(type="filter", search='"SECRET')
    for _ in range(15):
        error = await peer.error("filter_invalid")
        assert "SECRET" not in json.dumps(error)
    relay.sink.publish([line(1, service="web"), line(2, service="api")])

    assert await peer.ids(1) == ids([line(2)])
    await peer.leave()


async def test_a_filter_may_be_changed_before_the_client_has_a_place(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True, seed=())}, limits=quick(moment=0.001))
    peer = await relay.connect({"services": "api", "tail": 5})
    await peer.status("connecting")

    await peer.say(type="filter", services=["web"], replay=2)
    await peer.status("filter")
    relay.sink.seed([line(n, service="web" if n % 2 else "api") for n in range(10)], None)
    relay.sink.stands()
    connected = await peer.status("connected")

    assert connected["filter"]["services"] == ["web"]
    assert await peer.ids(2) == ids([line(n, service="web") for n in (7, 9)])
    await peer.quiet()
    await peer.leave()


async def test_pause_holds_the_position_and_resume_goes_on_from_it(relay: Relay) -> None:
    peer = await relay.joined()
    relay.sink.publish(lines(0, 3))
    await peer.ids(3)

    await peer.say(type="pause")
    paused = await peer.status("paused")
    relay.sink.publish(lines(3, 6))
    await peer.say(type="filter", replay=2)
    await peer.status("filter")
    await peer.quiet()
    await peer.say(type="resume")
    resumed = await peer.status("resumed")

    assert paused == resumed == {"lastId": line(2).id}
    assert await peer.ids(5) == ids(lines(1, 6))
    await peer.leave()


async def test_pause_holds_the_tail_too(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)}, limits=quick(moment=0.001))
    peer = await relay.connect({"tail": 2})
    await peer.status("connecting")
    await peer.say(type="pause")
    await peer.status("paused")

    relay.sink.seed(lines(0, 5), None)
    relay.sink.stands()
    await peer.status("connected")
    await peer.quiet()
    await peer.say(type="resume")
    await peer.status("resumed")

    assert await peer.ids(2) == ids(lines(3, 5))
    await peer.leave()


@pytest.mark.parametrize("identity", [None, 7, "a", {"x": [1, 2]}, 2**80, 1.5])
async def test_a_ping_is_answered_with_its_id(relay: Relay, identity: Any) -> None:
    peer = await relay.joined()

    await peer.say(type="ping", id=identity)

    assert await peer.message() == {"type": "pong", "id": identity}
    await peer.leave()


async def test_a_flood_is_counted_over_any_second_and_not_by_the_clock(relay: Relay) -> None:
    peer = await relay.joined()
    loop = asyncio.get_running_loop()

    async def pinged(times: int) -> None:
        for number in range(times):
            await peer.say(type="ping", id=number)
        for _ in range(times):
            await peer.message()

    began = loop.time()
    await pinged(1)
    await until(lambda: loop.time() > began + 0.9)
    await pinged(19)
    await until(lambda: loop.time() > began + 1.05)
    # A window that began with the first message would start anew here and let twenty more through.
    for number in range(3):
        await peer.say(type="ping", id=number)

    await peer.until("error")
    assert await peer.close_code() == 1008


async def test_ten_messages_that_cannot_be_understood_end_the_connection(relay: Relay) -> None:
    peer = await relay.joined()

    for _ in range(10):
        await peer.ws.send_str('{"type":"SECRET"}')
    for _ in range(10):
        assert "SECRET" not in json.dumps(await peer.error("message_invalid"))

    await peer.error("flooding")
    assert await peer.close_code() == 1008


async def test_heartbeats_come_at_their_interval_also_when_logs_flow(make: Make) -> None:
    relay = await make(limits=quick(heartbeat=0.05))
    peer = await relay.joined({"services": "web"})
    flowing = asyncio.create_task(flow(relay))

    beats = [(asyncio.get_running_loop().time(), await peer.until("heartbeat")) for _ in range(4)]
    beats = [await peer.until("heartbeat") for _ in range(4)]
    flowing.cancel()

    data = beats[-1]["data"]
    assert data["upstream"]["state"] == "live"
    assert data["viewers"] == 1
    assert data["lastLogAt"] > timestamps.render(BASE)
    # All records are the api's: the client gets none of them, but knows how far it has been served.
    assert data["lastId"] is not None
    assert beats[0]["data"]["lastId"] < data["lastId"]
    await asyncio.wait([flowing])
    await peer.leave()


async def flow(relay: Relay) -> None:
    second = 0
    while True:
        relay.sink.publish([line(second)])
        second += 1
        await asyncio.sleep(0.001)


async def test_a_heartbeats_last_id_resumes_without_loss(make: Make) -> None:
    relay = await make(limits=quick(heartbeat=0.02))
    peer = await relay.joined({"services": "web"})
    relay.sink.publish([line(1, service="web"), line(2), line(3)])
    await peer.ids(1)
    last = (await peer.until("heartbeat"))["data"]["lastId"]
    await peer.leave()
    relay.sink.publish([line(4)])

    again = await relay.connect({"lastId": last})
    assert (await again.status("connected"))["resume"] == {"outcome": "exact"}

    assert last == line(3).id
    assert await again.ids(1) == ids([line(4)])
    await again.leave()


async def test_c3_a_peer_that_says_nothing_is_gone_after_the_silence(make: Make) -> None:
    relay = await make(limits=quick(ping=0.05, silence=0.6, grace=0.1))
    silent = await relay.joined(autoping=False)
    healthy = await relay.joined()
    reading = asyncio.create_task(healthy.ws.receive())

    pings = [(await silent.frame()).type.name for _ in range(3)]
    await until(lambda: relay.streams.clients == 1)

    assert set(pings) == {"PING"}
    assert not reading.done()
    reading.cancel()
    await asyncio.wait([reading])
    await healthy.leave()
    await silent.ws.close()


async def test_p5_a_stall_of_our_own_loop_evicts_nobody(make: Make) -> None:
    relay = await make(
        limits=attrs.evolve(
            quick(ping=0.05, silence=0.12, grace=0.05), socket=SocketLimits(write_timeout=0.1)
        )
    )
    peer = await relay.joined()
    reading = asyncio.create_task(peer.ws.receive())
    await asyncio.sleep(0)

    time.sleep(0.4)  # noqa: ASYNC251 the stall
    (client,) = relay.streams._clients
    seen = client._socket.last_seen
    await until(lambda: client._socket.last_seen > seen + 0.2)

    assert relay.streams.clients == 1
    reading.cancel()
    await asyncio.wait([reading])
    await peer.leave()


async def test_c2_who_never_reads_is_ended_and_freed_and_others_are_not_hurt(make: Make) -> None:
    limits = attrs.evolve(SLOW, socket=SocketLimits(send_buffer=4096, closing=0.1, write_timeout=0.25))
    relay = await make(limits=limits)
    stuck = await relay.raw(buffer=4096, query="?search=x")
    await until(lambda: relay.streams.clients == 1)
    stuck.stall()
    published = await stuffed(relay)
    freed = weakref.ref(relay.client)
    began = asyncio.get_running_loop().time()
    healthy = await relay.joined({"tail": 0})

    relay.sink.publish(big(10_000, 10_010))
    assert await healthy.ids(10) == ids(big(10_000, 10_010))
    await until(lambda: relay.streams.clients == 1)

    assert 0.2 < asyncio.get_running_loop().time() - began < 1.0
    assert len(published) < 20_000
    await healthy.leave()
    await relay.empty()
    gc.collect()
    assert freed() is None
    stuck.leave()


async def test_c2_who_never_reads_is_ended_also_when_the_log_goes_quiet(make: Make) -> None:
    limits = StreamLimits(socket=SocketLimits(send_buffer=4096, write_timeout=0.1))
    relay = await make(limits=limits)
    stuck = await relay.raw(buffer=4096)
    await until(lambda: relay.streams.clients == 1 and relay.client._placed)
    stuck.stall()
    client = relay.client
    while client._socket.pending < 100_000:  # more than both kernels take
        client._socket.send(b'{"small":1}' * 1000)

    await relay.empty()

    assert client._writing is None
    stuck.leave()


async def test_c1_a_slow_reader_lags_and_catches_up_from_the_history(make: Make) -> None:
    limits = StreamLimits(socket=SocketLimits(send_buffer=4096, write_timeout=0.3))
    relay = await make(limits=limits)
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"

    published = await stuffed(relay)
    published += big(len(published), len(published) + 200)
    relay.sink.publish(published[-200:])
    got = [(await slow.message())["data"]["id"] for _ in published]

    assert got == ids(published)
    slow.leave()
    await relay.empty()


async def test_who_reads_slowly_but_reads_is_neither_stuck_nor_silent(make: Make) -> None:
    limits = attrs.evolve(
        quick(silence=0.2, grace=0.01, ping=0.1), socket=SocketLimits(send_buffer=4096, write_timeout=0.15)
    )
    relay = await make(limits=limits)
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"
    await stuffed(relay)
    relay.sink.publish(big(50_000, 50_500))
    began = asyncio.get_running_loop().time()

    while asyncio.get_running_loop().time() < began + 0.8:
        await slow.frame()
        await asyncio.sleep(0.005)

    assert relay.streams.clients == 1
    assert relay.client._crowd is None
    slow.leave()
    await relay.empty()


async def test_c1_who_falls_off_the_history_is_told_how_much_it_has_lost(make: Make) -> None:
    relay = await make(limits=SLOW, bounds=Bounds(records=300, keep=10))
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"
    published = await stuffed(relay)
    more = big(len(published), len(published) + 1000)
    for start in range(0, 1000, 100):
        relay.sink.publish(more[start : start + 100])
    published += more

    got, lost = [], None
    while not got or got[-1] != published[-1].id:
        message = await slow.message()
        if message["type"] == "log":
            got.append(message["data"]["id"])
        else:
            assert message["message"] == "lost"
            assert lost is None
            lost, before = message["data"], len(got)

    assert lost["count"] == len(published) - len(got)
    assert got == ids(published[:before] + published[before + lost["count"] :])
    assert lost["from"] == timestamps.render(published[before - 1].ns)
    assert lost["to"] == timestamps.render(published[before + lost["count"]].ns)
    assert relay.client.lost == lost["count"]
    slow.leave()
    await relay.empty()


@pytest.mark.parametrize("how", ["replay", "tail"])
async def test_who_pauses_while_the_past_waits_for_its_socket_gets_nothing_before_it_resumes(
    make: Make, how: str
) -> None:
    relay = await make(limits=SLOW, upstreams={ENV: Upstream(seed=big(0, 2000))})
    slow = await relay.raw(buffer=4096, query="?tail=0" if how == "replay" else "?tail=2000")
    assert (await slow.message())["message"] == "connected"
    if how == "replay":
        slow.send(1, json.dumps({"type": "filter", "replay": 2000}).encode())
    client = relay.client
    await until(lambda: client._socket.full)
    slow.send(1, b'{"type":"pause"}')
    await until(lambda: client._held is not None)

    seen = 0
    while (message := await slow.message()).get("message") != "paused":
        seen += message["type"] == "log"
    written = client._socket.written
    await until(lambda: not client._socket.pending)
    await asyncio.sleep(0.01)  # it would be written at once
    assert client._socket.written == written

    slow.send(1, b'{"type":"resume"}')
    while seen < 2000:
        seen += (await slow.message())["type"] == "log"
    slow.leave()
    await relay.empty()


async def test_what_was_said_to_be_missing_is_told_also_to_who_fell_off_before_it(make: Make) -> None:
    relay = await make(limits=SLOW, bounds=Bounds(records=300, keep=10))
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"
    published = await stuffed(relay)
    told = {"from": None, "to": None, "count": 7, "reason": "upstream_dropped"}
    relay.sink.announce("gap", told)
    more = big(len(published), len(published) + 1000)
    relay.sink.publish(more)

    notices = []
    message = await slow.message()
    while message["type"] != "log" or message["data"]["id"] != more[-1].id:
        if message["type"] == "status":
            notices.append((message["message"], message["data"]))
        message = await slow.message()

    assert [name for name, _ in notices] == ["lost", "gap"]
    assert notices[1][1] == told
    slow.leave()
    await relay.empty()


async def test_a_fault_in_the_bell_hurts_only_its_own_client(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    relay = await make()
    first = await relay.joined({"services": "api"})
    second = await relay.joined({"services": "web"})
    read = Pages.read

    def broken(self: Any, start: Any, view: Any, **how: Any) -> Page:
        if view.filter.services == ("api",):
            raise RuntimeError("broken")
        return read(self, start, view, **how)

    monkeypatch.setattr(Pages, "read", broken)
    relay.sink.publish([line(1, service="web")])

    await first.error("internal")
    assert await first.close_code() == 1011
    assert await second.ids(1) == ids([line(1, service="web")])
    assert "connection failed" in caplog.text
    await second.leave()


async def test_a_fault_in_a_pump_is_1011(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Never:
        raise RuntimeError("broken")

    relay = await make()
    peer = await relay.joined()
    monkeypatch.setattr(Client, "_obey", broken)

    await peer.say(type="ping")

    await peer.error("internal")
    assert await peer.close_code() == 1011
    assert "connection failed" in caplog.text
    await relay.empty()


async def test_a_pump_that_is_cancelled_from_nowhere_leaves_no_half_client(relay: Relay) -> None:
    peer = await relay.joined()
    pump = relay.client._reading
    assert pump is not None
    pump.cancel()

    assert await peer.close_code() == 1012
    await relay.empty()


async def test_a_write_pump_that_is_cancelled_from_nowhere_leaves_no_half_client(make: Make) -> None:
    relay = await make(limits=SLOW)
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"
    published = await stuffed(relay)
    relay.sink.publish(big(len(published), len(published) + 100))
    await until(lambda: relay.client._writing is not None)
    pump = relay.client._writing
    assert pump is not None
    pump.cancel()

    await relay.empty()
    slow.leave()


async def test_who_is_up_to_date_costs_one_task_besides_its_connections_own(relay: Relay) -> None:
    peer = await relay.joined({"tail": 0})

    await until(lambda: relay.client._writing is None)

    tasks = [repr(task) for task in asyncio.all_tasks()]
    assert not any("write_pump" in task for task in tasks)
    assert (
        sum("RequestHandler" in task for task in tasks) == 2
    )  # aiohttp's: one of the connection, one of the request
    await peer.leave()


async def test_equal_filters_share_what_is_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = await make()
    peers = [await relay.joined({"services": "api", "tail": 0}) for _ in range(10)]
    made = []
    make_page = Pages._make

    def counted(self: Any, start: Any, stop: Any, view: Any) -> Page:
        made.append((start, view))
        return make_page(self, start, stop, view)

    monkeypatch.setattr(Pages, "_make", counted)
    relay.sink.publish(lines(0, 5))

    for peer in peers:
        assert await peer.ids(5) == ids(lines(0, 5))
        await peer.leave()
    assert len(made) == 1


async def test_a_filter_that_lets_nothing_through_does_not_hold_up_the_loop(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 12_000))})
    peer = await relay.connect({"lastId": line(0).id, "search": "needle"})
    await peer.status("connected")
    turns = 0
    while relay.client._crowd is None:
        turns += 1
        await asyncio.sleep(0)
    relay.sink.publish([line(12_001, "needle")])

    assert turns > 1
    assert await peer.texts(1) == ["needle"]
    await peer.leave()


async def test_flushing_waits_for_neither_the_paused_nor_the_unplaced(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)})
    peer = await relay.connect()
    await until(lambda: relay.streams.clients == 1)
    client = relay.client

    await asyncio.wait_for(client.flushed(), 0.5)
    relay.sink.stands()
    await peer.status("connected")
    await peer.say(type="pause")
    await peer.status("paused")
    relay.sink.publish(lines(0, 3))
    await asyncio.wait_for(client.flushed(), 0.5)

    assert "Client at 0 of" in repr(client)
    await peer.leave()


async def test_a_thousand_connects_leave_nothing_behind(relay: Relay) -> None:
    logging.getLogger("logrelay").setLevel(logging.WARNING)
    keeper = await relay.joined()
    tasks = len(asyncio.all_tasks())
    freed = []

    for _ in range(20):
        peers = await asyncio.gather(*(relay.connect({"tail": 1}) for _ in range(50)))
        for peer in peers:
            await peer.status("connected")
        freed += [weakref.ref(client) for client in relay.streams._clients if client._hub.viewers > 1]
        await asyncio.gather(*(peer.ws.close() for peer in peers))
    await until(lambda: relay.places.taken == 1)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    gc.collect()

    assert relay.hub.viewers == 1
    assert len(relay.hub._listeners) == 1
    assert relay.places.taken == 1
    assert sum(1 for ref in freed if ref() is not None and ref() is not relay.client) == 0
    assert len(relay.runner.server.connections) == 1
    relay.sink.publish(lines(0, 1))
    await keeper.ids(1)
    await keeper.leave()
    logging.getLogger("logrelay").setLevel(logging.NOTSET)


async def test_a_connections_parts_say_what_they_are(relay: Relay) -> None:
    peer = await relay.joined()

    ticker = Ticker(relay.client._socket, ClientLimits(), print, print)
    ticker.cancel()
    assert "s to go" in repr(ticker)
    assert "Client at 0 of" in repr(relay.client)
    await peer.leave()
