import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Never

import aiohttp
import pytest
from web_harness import ENV, SERVICES, Make, Peer, Relay, Upstream, ids, line, lines, quick, until

from logrelay import app, settings
from logrelay.errors import Scope, UpstreamRefused
from logrelay.relay.records import Entry
from logrelay.standin import StandIn, World
from logrelay.web.places import Places
from logrelay.web.socket import Socket, SocketLimits
from logrelay.web.stream import StreamLimits


async def test_a_viewer_is_connected_and_gets_the_tail_then_what_arrives(make: Make) -> None:
    upstream = Upstream(seed=lines(0, 5))
    relay = await make(upstreams={ENV: upstream})

    peer = await relay.connect({"tail": 3})
    connected = await peer.status("connected")
    tail = await peer.ids(3)
    relay.sink.publish([line(5), line(6)])
    live = await peer.ids(2)

    assert connected["environmentId"] == ENV
    assert connected["environmentName"] == "production"
    assert connected["services"] == [{"id": identity, "name": name} for identity, name in SERVICES]
    assert connected["resume"] is None
    assert connected["upstream"]["state"] == "live"
    assert connected["viewers"] == 1
    assert connected["version"] == "1.2.3"
    assert tail + live == ids(lines(2, 7))
    await peer.leave()


async def test_many_viewers_cost_one_upstream(relay: Relay) -> None:
    peers = [await relay.joined() for _ in range(20)]
    relay.sink.publish(lines(0, 3))

    assert [await peer.ids(3) for peer in peers] == [ids(lines(0, 3))] * 20
    assert relay.upstream.runs == 1
    assert relay.hub.viewers == 20
    for peer in peers:
        await peer.leave()


async def test_connecting_is_said_first_when_the_upstream_takes_longer_than_a_moment(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)}, limits=quick(moment=0.01, heartbeat=0.05))

    peer = await relay.connect()
    connecting = await peer.status("connecting")
    beat = await peer.until("heartbeat")
    relay.sink.stands()
    connected = await peer.until("status connected")

    assert connecting["upstream"]["state"] == "connecting"
    assert beat["data"]["lastId"] is None
    assert connected["data"]["upstream"]["state"] == "live"
    await peer.leave()


@pytest.mark.parametrize(
    ("scope", "close", "code"),
    [
        (Scope.CREDENTIAL, 4502, "upstream_refused"),
        (Scope.CONFIGURATION, 4502, "upstream_refused"),
        (Scope.ENVIRONMENT, 4404, "unknown_environment"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_a_refusal_of_the_upstream_ends_the_stream(
    make: Make, scope: Any, close: Any, code: Any, late: Any
) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)}, limits=quick(moment=0.01))
    peer = await relay.connect()
    await peer.status("connecting")
    if late:
        relay.sink.stands()
        await peer.status("connected")

    relay.sink.refused(UpstreamRefused("no longer valid", scope), 300.0)

    error = await peer.error(code)
    assert error["retryable"] is (close == 4502)
    assert close == await peer.close_code()
    again = await relay.connect()
    await again.error(code)
    assert close == await again.close_code()
    assert relay.upstream.runs == 1


BAD_PARAMETERS = {
    "tail twice": [("tail", "1"), ("tail", "2")],
    "search twice": [("search", "a"), ("search", "b")],
    "lastId twice": [("lastId", "a"), ("lastId", "b")],
    "tail negative": [("tail", "-1")],
    "tail a word": [("tail", "SECRET")],
    "tail huge": [("tail", "9" * 4000)],
    "tail in other digits": [("tail", "٣")],
    "tail with a plus": [("tail", "+5")],
    "overlap too long": [("overlap", "61")],
    "batch": [("batch", "2")],
    "batch twice": [("batch", "1"), ("batch", "1")],
    "batch a word": [("batch", "yes")],
    "timestamp a word": [("lastTimestamp", "SECRET")],
    "timestamp of no day": [("lastTimestamp", "2026-02-30T00:00:00Z")],
    "timestamp without offset": [("lastTimestamp", "2026-02-03T00:00:00")],
    "timestamp of 8 KB": [("lastTimestamp", "2026-02-03T00:00:00." + "1" * 7000 + "Z")],
    "timestamp with NUL": [("lastTimestamp", "2026-02-03T00:00:00Z\0")],
    "timestamp with CRLF": [("lastTimestamp", "2026-02-03T00:00:00Z\r\n")],
    "timestamp before the calendar": [("lastTimestamp", "0001-01-01T00:00:00+23:59")],
    "timestamp after the calendar": [("lastTimestamp", "9999-12-31T23:59:59-23:59")],
    "bad timestamp beside an id": [
        ("lastTimestamp", "SECRET"),
        ("lastId", "2026-11-23T03:21:30.033333123Z-5f3a9c1e0b7d"),
    ],
    "id a word": [("lastId", "SECRET")],
    "id of 7 KB": [("lastId", "2026-11-23T03:21:30.033333123Z-5f3a9c1e0b7d~" + "2" * 7000)],
    "id with bad ordinal": [("lastId", "2026-11-23T03:21:30.033333123Z-5f3a9c1e0b7d~SECRET")],
}
BAD_FILTERS = {
    "search of 7 KB": [("search", "SECRET" * 1200)],
    "search with NUL": [("search", "SECRET\0")],
    "search with CRLF": [("search", "SECRET\r\nSet-Cookie: a=b")],
    "search with an open quote": [("search", '"SECRET')],
    "severity": [("severity", "SECRET")],
    "service with NUL": [("services", "SECRET\0")],
    "service of 7 KB": [("services", "SECRET" * 1200)],
    "services by the hundred": [("services", ",".join(f"SECRET{n}" for n in range(100)))],
}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        *(pytest.param(query, "parameter_invalid", id=name) for name, query in BAD_PARAMETERS.items()),
        *(pytest.param(query, "filter_invalid", id=name) for name, query in BAD_FILTERS.items()),
    ],
)
async def test_c12_a_bad_parameter_ends_with_4400_without_echo_or_upstream_call(
    relay: Relay, query: Any, code: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "logrelay")
    peer = await relay.connect(query)

    error = await peer.error(code)

    assert await peer.close_code() == 4400
    assert error["retryable"] is False
    assert "SECRET" not in json.dumps(error)
    assert len(error["message"]) < 120
    assert not relay.upstreams
    await relay.empty()
    assert "SECRET" not in "".join(str(vars(record)) for record in caplog.records)


async def test_an_environment_that_nobody_allowed_is_4403_without_an_upstream_call(relay: Relay) -> None:
    peer = await relay.connect(environment="env-other")

    await peer.error("not_allowed")

    assert await peer.close_code() == 4403
    assert not relay.upstreams


async def test_where_all_are_allowed_an_impossible_id_is_4404(make: Make) -> None:
    relay = await make(allowed=("*",))

    peer = await relay.connect(environment="no%20such")

    await peer.error("unknown_environment")
    assert await peer.close_code() == 4404
    assert not relay.upstreams


async def test_before_the_tokens_environment_is_known_it_is_a_fault_of_ours(relay: Relay) -> None:
    relay.environments.allowed = None
    relay.environments.patience = 0.05

    peer = await relay.connect()

    assert (await peer.status("connecting"))["upstream"] == {"state": "connecting"}
    assert (await peer.error("internal"))["retryable"] is True
    assert await peer.close_code() == 1011


async def test_too_many_connections_to_one_environment_are_4429_and_a_place_comes_free(make: Make) -> None:
    relay = await make(places=Places(environment=1))
    first = await relay.joined()

    second = await relay.connect()
    error = await second.error("too_many_connections")
    code = await second.close_code()
    elsewhere = await relay.joined(environment="env-2")
    await first.leave()
    await elsewhere.leave()
    await relay.empty()
    third = await relay.joined()

    assert error["retryAfter"] == 10.0
    assert error["retryable"] is True
    assert code == 4429
    assert relay.upstream.runs == 1
    await third.leave()


async def test_a_fault_of_ours_is_1011_and_is_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    relay = await make(upstreams={})

    def broken(environment: Any) -> Never:
        raise RuntimeError("broken")

    relay.hubs._make_upstream = broken
    peer = await relay.connect()

    assert (await peer.error("internal"))["retryable"] is True
    assert await peer.close_code() == 1011
    assert "connection failed" in caplog.text
    await relay.empty()


async def test_leaving_while_connecting_leaves_nothing(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)}, limits=quick(moment=0.01))
    peer = await relay.connect()
    await peer.status("connecting")

    await peer.leave()
    await relay.empty()

    assert relay.hub.viewers == 0
    assert not relay.hub._listeners


async def test_c18_leaving_while_the_past_is_being_fetched_leaves_nothing(make: Make) -> None:
    fetching, closed = asyncio.Event(), asyncio.Event()

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        try:
            fetching.set()
            await asyncio.Event().wait()
            yield ()
        finally:
            closed.set()

    upstream = Upstream(seed=[line(100)], floor_ns=line(100).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.connect({"lastId": line(1).id})
    await asyncio.wait_for(fetching.wait(), 2)

    peer.ws._response.connection.transport.abort()
    await relay.empty()

    assert closed.is_set()
    assert relay.hub.viewers == 0
    await peer.leave()


async def test_c18_leaving_between_two_pages_closes_the_upstreams_pages(make: Make) -> None:
    closed, second = asyncio.Event(), asyncio.Event()

    async def past(start: Any, end: Any) -> AsyncIterator[Sequence[Entry]]:
        try:
            yield lines(1, 3)
            second.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    upstream = Upstream(seed=[line(100)], floor_ns=line(100).ns, past_of=past)
    relay = await make(upstreams={ENV: upstream})
    peer = await relay.joined({"lastId": line(1).id})
    assert await peer.ids(1) == ids([line(2)])
    await asyncio.wait_for(second.wait(), 2)

    await peer.leave()
    await relay.empty()

    assert closed.is_set()


async def test_drain_says_so_flushes_and_closes_everyone_with_1012(relay: Relay) -> None:
    peers = [await relay.joined() for _ in range(10)]
    relay.sink.publish(lines(0, 50))

    draining = asyncio.create_task(relay.streams.drain())
    await asyncio.sleep(0)
    async with relay.session.get(f"{relay.url}/readyz") as answer:
        assert (answer.status, (await answer.json())["state"]) == (503, "draining")
    for peer in peers:
        seen = [await peer.message() for _ in range(51)]
        assert {message["type"] for message in seen} == {"log", "status"}
        (said,) = [message for message in seen if message["type"] == "status"]
        assert said["message"] == "draining"
        assert 0.1 <= said["data"]["reconnectInSeconds"] <= 1.0
        assert await peer.close_code() == 1012
    await draining

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await relay.connect()
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"] == "1"


async def test_the_comeback_is_spread_over_a_crowd(make: Make) -> None:
    relay = await make(limits=StreamLimits(comeback_rate=2.0))
    peers = [await relay.joined() for _ in range(20)]

    draining = asyncio.create_task(relay.streams.drain())

    waits = [(await peer.status("draining"))["reconnectInSeconds"] for peer in peers]
    assert await asyncio.gather(*(peer.close_code() for peer in peers)) == [1012] * 20
    await draining
    assert max(waits) > 1.0
    assert max(waits) <= 10.0
    assert len(set(waits)) > 10


async def test_p1_stragglers_are_aborted(make: Make) -> None:
    limits = StreamLimits(flush=0.05, socket=SocketLimits(closing=0.05))
    relay = await make(limits=limits)
    peer = await relay.raw(buffer=4096)
    await until(lambda: relay.streams.clients == 1)
    for start in range(0, 60_000, 1000):
        relay.sink.publish(lines(start, start + 1000))
    await until(lambda: relay.client._socket.full)

    await asyncio.wait_for(relay.streams.drain(), 2)

    await relay.empty()
    peer.leave()


async def test_a_client_that_comes_in_while_the_relay_drains_is_told_too(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded = Socket.upgraded

    async def slowly(request: Any, limits: Any, *, deflate: bool) -> Socket:
        socket = await upgraded(request, limits, deflate=deflate)
        relay.streams.draining = True
        return socket

    monkeypatch.setattr(Socket, "upgraded", slowly)
    peer = await relay.connect()

    await peer.status("draining")
    assert await peer.close_code() == 1012
    assert not relay.upstreams


async def test_ending_the_application_drains_by_itself(relay: Relay) -> None:
    peer = await relay.joined()

    ending = asyncio.create_task(relay.runner.cleanup())

    await peer.status("draining")
    assert await peer.close_code() == 1012
    await ending


async def test_a_crowded_process_refuses_before_the_upgrade(make: Make) -> None:
    relay = await make(places=Places(process=1, retry_after=2.5))
    first = await relay.joined()

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await relay.connect()
    await first.leave()
    await relay.empty()
    relay.streams.crowded = True
    with pytest.raises(aiohttp.WSServerHandshakeError) as crowded:
        await relay.connect()

    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "3")
    assert crowded.value.status == 503
    assert "Streams 0 clients" in repr(relay.streams)


async def test_the_log_tells_of_a_stream_without_its_query(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "logrelay")
    peer = await relay.joined({"search": "SECRET"})
    relay.sink.publish([line(1, "a SECRET thing"), line(2, "something else")])
    await peer.ids(1)
    await peer.leave()
    await relay.empty()

    opened, closed = (record for record in caplog.records if record.name == "logrelay.web.audit")
    assert (opened.message, closed.message) == ("stream opened", "stream closed")
    assert (opened.environment, opened.clients) == (ENV, 1)
    assert (closed.code, closed.sent, closed.lost, closed.error) == (1000, 1, 0, None)
    assert closed.bytes > 0
    assert closed.seconds >= 0
    assert "SECRET" not in str(vars(opened)) + str(vars(closed))


async def test_the_whole_house_serves_the_stand_ins_log(session: aiohttp.ClientSession) -> None:
    world = World(seed=1)
    async with StandIn(world, poll_interval=0.02) as railway:
        configured, _ = settings.read(
            {
                "LOGRELAY_RAILWAY_URL": railway.url,
                "RAILWAY_API_TOKEN": world.account_token,
                "LOGRELAY_ENVIRONMENTS": world.environment.id,
                "LOGRELAY_STANDS_SECONDS": "0.05",
            }
        )
        runner, port = await app.start(app.build(configured), "127.0.0.1", 0)
        try:
            url = f"http://127.0.0.1:{port}/api/environments/{world.environment.id}/logs/stream"
            async with session.ws_connect(url) as ws:
                peer = Peer(ws)
                await peer.until("status connected")
                world.environment.write("hello")
                assert (await peer.until("log"))["data"]["message"] == "hello"
                ending = asyncio.create_task(runner.cleanup())
                await peer.until("status draining")
                assert await peer.close_code() == 1012
                await ending
        finally:
            await runner.cleanup()


async def test_c21_viewers_see_records_of_their_own_environment_only(relay: Relay) -> None:
    first, second = await relay.joined(), await relay.joined(environment="env-2")
    other = relay.upstreams["env-2"].sink

    for n in range(0, 20, 2):
        relay.sink.publish([line(n, "first")])
        other.publish([line(n + 1, "second")])

    assert set(await first.texts(10)) == {"first"}
    assert set(await second.texts(10)) == {"second"}
    await first.quiet()
    await second.quiet()
    await first.leave()
    await second.leave()
