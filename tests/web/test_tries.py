"""Viewers learn which try the upstream is at when that changes, not with the heartbeat that happens to come next."""

from web_harness import DEADLINE, ENV, Make, Relay, Upstream, ids, lines, quick, until


async def test_a_try_is_told_at_once_after_the_loss_and_with_the_viewers_place(relay: Relay) -> None:
    peers = [await relay.joined({"batch": batch}) for batch in ("0", "1", "1")]
    relay.sink.publish(lines(0, 3))
    for peer in peers:
        await peer.message()
    newest = ids(lines(0, 3))[-1]

    relay.sink.announce("reconnecting", {"reason": "lost"})
    relay.sink.retrying(2, 7.5)

    for peer in peers:
        while (message := await peer.message())["type"] in {"log", "logs"}:
            continue
        beat = await peer.message()
        assert message["message"] == "reconnecting"
        assert beat["type"] == "heartbeat"
        assert (beat["data"]["lastId"], beat["data"]["viewers"]) == (newest, 3)
        upstream = beat["data"]["upstream"]
        assert (upstream["state"], upstream["attempt"]) == ("reconnecting", 2)
        assert upstream["retryAt"] > beat["timestamp"]
        await peer.quiet()
        await peer.leave()


async def test_a_try_that_comes_within_a_second_is_not_told(relay: Relay) -> None:
    peer = await relay.joined()

    for attempt in range(1, 4):
        relay.sink.retrying(attempt, 0.99)
        await peer.quiet()
    relay.sink.retrying(4, 1.0)
    beat = await peer.message()
    relay.sink.stands()
    relay.sink.publish(lines(0, 1))

    assert beat["data"]["upstream"]["attempt"] == 4
    assert await peer.ids(1) == ids(lines(0, 1))  # and that it is told once
    await peer.leave()


async def test_who_waits_for_the_first_connection_is_told_after_connecting(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)}, limits=quick(moment=0.01))
    peer = await relay.connect()
    await peer.status("connecting")

    relay.sink.retrying(3, 9.0)
    beat = await peer.message()
    relay.sink.stands()
    await peer.status("connected")

    assert beat["data"]["lastId"] is None
    assert beat["data"]["upstream"]["state"] == "connecting"
    assert beat["data"]["upstream"]["attempt"] == 3
    relay.sink.retrying(4, 9.0)
    assert (await peer.until("heartbeat"))["data"]["upstream"]["attempt"] == 4  # once, as one of the crowd
    await peer.quiet()
    await peer.leave()


async def test_the_first_message_is_a_status_also_where_a_try_is_planned_before(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(waits=True)}, limits=quick(moment=DEADLINE))
    peer = await relay.connect()
    await until(lambda: relay.hubs.get(ENV) is not None and relay.streams.clients == 1)
    await relay.upstream.running.wait()

    relay.sink.retrying(1, 9.0)
    await peer.quiet()
    relay.sink.stands()

    await peer.status("connected")
    await peer.leave()


async def test_who_pauses_hears_of_it_with_its_own_heartbeats_only(relay: Relay) -> None:
    peer, other = await relay.joined(), await relay.joined()
    await peer.say(type="pause")
    await peer.status("paused")

    relay.sink.retrying(1, 5.0)
    await other.until("heartbeat")

    await peer.quiet()
    await peer.leave()
    await other.leave()


async def test_a_try_from_before_anyone_came_is_told_to_nobody_again(relay: Relay) -> None:
    first = await relay.joined()
    await first.leave()
    await relay.empty()
    relay.sink.retrying(3, 9.0)

    peer = await relay.connect()
    connected = await peer.status("connected")
    relay.sink.publish(lines(0, 1))

    assert connected["upstream"]["attempt"] == 3
    assert await peer.ids(1) == ids(lines(0, 1))
    await peer.leave()
