from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from logrelay.standin import StandIn, World

GONE = (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def quiet(peer: Any, seconds: float = 0.03) -> bool:
    """Whether the peer hears nothing for a while. Nothing is waited for here: nothing must come."""
    try:
        async with asyncio.timeout(seconds):
            await peer.ws.receive()
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("fault", ["reset", "fin", "cut_mid_frame"])
async def test_a_socket_can_be_broken(
    railway: StandIn, world: World, tail: Any, dial: Any, fault: str
) -> None:
    railway.faults.silent = True
    world.environment.write("pending")
    railway.faults.silent = False
    await getattr(railway.faults, fault)()

    message = await tail.message()
    while message.type is aiohttp.WSMsgType.TEXT:
        message = await tail.message()
    assert message.type in GONE
    assert tail.ws.close_code == 1006
    await railway.until(lambda: railway.journal.open_sockets == 0)
    assert railway.journal.open_subscriptions == 0
    peer = await dial()
    await peer.init()
    await peer.subscribe()
    assert await peer.rows() == ["pending"]


async def test_a_frame_is_cut_in_its_middle(world: World) -> None:
    async with StandIn(world, poll_interval=3600) as railway:
        host, port = railway.url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            (
                f"GET /graphql/v2 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
            ).encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        await railway.until(lambda: railway.journal.open_sockets == 1)
        cutting = asyncio.create_task(railway.faults.cut_mid_frame())

        assert await reader.readexactly(8) == b'\x81\x0f{"type'
        await cutting
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, ""),
        (1001, ""),
        (1011, "deadline_exceeded"),
        (4500, "Internal server error"),
        (4429, "slow down"),
    ],
)
async def test_a_socket_can_be_closed(railway: StandIn, tail: Any, code: int, reason: str) -> None:
    closing = asyncio.ensure_future(railway.faults.close(code, reason))

    assert (code, reason) == await tail.close_code()
    await closing
    await railway.until(lambda: railway.journal.open_sockets == 0)
    assert code == railway.journal.connections[0].close_code


async def test_a_close_of_1006_has_no_close_frame(railway: StandIn, tail: Any) -> None:
    await railway.faults.close(1006)

    assert (await tail.message()).type in GONE
    assert tail.ws.close_code == 1006


async def test_subscriptions_can_be_completed_and_the_id_is_free(railway: StandIn, tail: Any) -> None:
    await railway.faults.complete()

    assert await tail.receive() == {"id": "1", "type": "complete"}
    assert railway.journal.open_subscriptions == 0
    await tail.subscribe()
    assert await tail.rows() == []


async def test_subscriptions_can_end_in_an_error(railway: StandIn, tail: Any) -> None:
    await railway.faults.error("went wrong")

    assert await tail.receive() == {"id": "1", "type": "error", "payload": [{"message": "went wrong"}]}
    assert railway.journal.open_subscriptions == 0


async def test_errors_can_come_in_a_next_with_and_without_rows(
    railway: StandIn, world: World, tail: Any
) -> None:
    row = world.environment.write("beside", hidden_from_poll=True)
    await railway.faults.next_errors("went wrong")
    await railway.faults.next_errors("partly wrong", data=[row])
    world.environment.write("goes on")

    without, beside = await tail.receive(), await tail.receive()
    assert (without["payload"]["errors"][0]["message"], without["payload"]["data"]) == ("went wrong", None)
    assert beside["payload"]["errors"][0]["message"] == "partly wrong"
    assert beside["payload"]["data"]["environmentLogs"][0]["message"] == "beside"
    assert await tail.rows() == ["goes on"]


@pytest.mark.parametrize("raw", ["{", "null", "[]", "42", b"\x00\xff", '{"type":"next","id":"nobody"}'])
async def test_anything_can_be_sent_raw(railway: StandIn, tail: Any, raw: str | bytes) -> None:
    await railway.faults.send_raw(raw)

    message = await tail.message()
    assert raw == message.data


async def test_a_stalled_socket_says_nothing_and_goes_on_afterwards(
    railway: StandIn, world: World, dial: Any
) -> None:
    peer = await dial(autoping=False)
    await peer.init()
    await peer.subscribe()
    assert await peer.rows() == []
    railway.faults.stall = True
    world.environment.write("held back")
    await peer.ws.ping()
    await peer.send({"type": "ping"})
    await railway.flush()

    assert await quiet(peer)
    railway.faults.reset_all()
    assert await peer.rows() == ["held back"]


async def test_a_stalled_socket_does_not_ping(world: World, dial: Any) -> None:
    async with StandIn(world, ping_interval=0.01) as railway:
        peer = await dial(to=railway, autoping=False)
        railway.faults.stall = True
        await asyncio.sleep(0.05)
        assert railway.journal.open_sockets == 1
        railway.faults.stall = False
        assert aiohttp.WSMsgType.PING is (await peer.message()).type


async def test_a_silent_subscription_says_nothing_but_the_socket_lives(railway: StandIn, dial: Any) -> None:
    railway.faults.silent = True
    peer = await dial()
    await peer.init()
    await peer.subscribe()
    await peer.send({"type": "ping"})
    assert await peer.receive() == {"type": "pong"}

    assert await quiet(peer)
    railway.faults.silent = False
    assert await peer.rows() == []


async def test_a_silent_subscription_can_be_completed(railway: StandIn, dial: Any) -> None:
    railway.faults.silent = True
    peer = await dial()
    await peer.init()
    await peer.subscribe()
    await railway.until(lambda: railway.journal.open_subscriptions == 1)
    await railway.faults.complete()

    assert await peer.receive() == {"id": "1", "type": "complete"}
    railway.faults.silent = False
    assert await quiet(peer)


async def test_an_ack_can_be_slow_or_never_come(railway: StandIn, dial: Any) -> None:
    railway.faults.slow_ack = 0.05
    peer, began = await dial(), time.monotonic()
    await peer.init()
    assert time.monotonic() - began >= 0.05

    railway.faults.reset_all()
    railway.faults.never_ack = True
    peer = await dial()
    await peer.send({"type": "connection_init"})
    assert await quiet(peer)


async def test_upgrades_can_be_refused_a_number_of_times(railway: StandIn, dial: Any) -> None:
    railway.faults.refuse_upgrade = (429, {"Retry-After": "30"}, "slow down", 2)

    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await dial()
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "30")
    await dial()
    assert railway.journal.refused_upgrades == 2


async def test_queries_can_be_refused_until_reset(railway: StandIn, http: Any) -> None:
    railway.faults.http = (403, {"Content-Type": "text/html"}, "<title>Access denied</title>")

    for _ in range(2):
        async with http.post(railway.url, json={}) as answer:
            assert (answer.status, await answer.text()) == (403, "<title>Access denied</title>")
    railway.faults.reset_all()
    async with http.post(railway.url, json={}) as answer:
        assert answer.status == 400


async def test_queries_can_be_slow_and_fail(railway: StandIn, ask: Any) -> None:
    railway.faults.query_delay = 0.03
    railway.faults.query_error = "Problem processing request"
    began = time.monotonic()

    status, answer = await ask("{ __typename }")

    assert time.monotonic() - began >= 0.03
    assert (
        status,
        answer["errors"][0]["message"],
        answer["data"],
    ) == (200, "Problem processing request", None)


async def test_both_ways_in_can_redirect(railway: StandIn, http: Any, dial: Any) -> None:
    railway.faults.redirect = "http://127.0.0.1:9/elsewhere"

    async with http.post(railway.url, json={}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")
    async with http.get(railway.url, allow_redirects=False) as answer:
        assert answer.status == 307


async def test_subscriptions_can_complete_at_once(railway: StandIn, dial: Any) -> None:
    railway.faults.complete_at_once = True
    peer = await dial()
    await peer.init()
    await peer.subscribe()

    assert await peer.receive() == {"id": "1", "type": "complete"}


async def test_subscriptions_can_complete_after_some_frames(
    railway: StandIn, world: World, dial: Any
) -> None:
    railway.faults.complete_after = 2
    peer = await dial()
    await peer.init()
    await peer.subscribe()
    assert await peer.rows() == []
    world.environment.write("last")

    assert await peer.rows() == ["last"]
    assert await peer.receive() == {"id": "1", "type": "complete"}


async def test_the_answer_can_lack_the_subprotocol(railway: StandIn, dial: Any) -> None:
    railway.faults.no_subprotocol = True
    peer = await dial()

    assert peer.ws.protocol is None
    await peer.init()


async def test_a_backlog_can_be_truncated(railway: StandIn, world: World, dial: Any) -> None:
    world.environment.write_many(list("abcd"))
    railway.faults.truncate_backlog = 1
    peer = await dial()
    await peer.init()
    await peer.subscribe()

    assert await peer.rows() == ["d"]


async def test_rows_can_be_delivered_twice_in_later_polls(railway: StandIn, world: World, tail: Any) -> None:
    railway.faults.duplicate = 1.0
    world.environment.write_many(["a", "b"])

    assert await tail.rows() == ["a", "b"]
    assert await tail.rows() == ["a", "b"]
    world.environment.write("c")
    assert await tail.rows() == ["c"]


async def test_frames_can_trickle_and_stay_whole(railway: StandIn, world: World, tail: Any) -> None:
    railway.faults.split_bytes = (40, 0.0005)
    world.environment.write("slow")
    await tail.send({"type": "ping"})

    messages = [await tail.receive(), await tail.receive()]
    assert sorted(message["type"] for message in messages) == ["next", "pong"]


async def test_a_trickled_frame_survives_the_end_of_its_subscription(
    railway: StandIn, world: World, tail: Any
) -> None:
    railway.faults.split_bytes = (5, 0.05)
    world.environment.write("slow")
    await asyncio.sleep(0.03)
    await tail.send({"type": "complete", "id": "1"})
    await railway.until(lambda: railway.journal.open_subscriptions == 0)
    railway.faults.split_bytes = None

    assert await tail.rows() == ["slow"]
    await tail.send({"type": "ping"})
    assert await tail.receive() == {"type": "pong"}


async def test_connections_can_be_refused_and_accepted_again(
    railway: StandIn, world: World, tail: Any, dial: Any
) -> None:
    url = railway.url
    await railway.stop_listening()
    await railway.stop_listening()
    with pytest.raises(aiohttp.ClientConnectorError):
        await dial()
    world.environment.write("the open socket stays")
    assert await tail.rows() == ["the open socket stays"]
    await railway.stop_listening(cut=True)
    assert (await tail.message()).type in GONE
    await railway.listen_again()
    await railway.listen_again()

    assert url == railway.url
    peer = await dial()
    await peer.init()
