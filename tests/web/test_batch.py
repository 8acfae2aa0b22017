"""`batch=1`: records in arrays, compressed where the client takes that, each batch once for all."""

import asyncio
import json
import struct
import zlib

import pytest
from web_harness import BASE, ENV, Make, Peer, Relay, Upstream, ids, line, lines, until

from logrelay.relay.filters import EVERYTHING
from logrelay.relay.history import Bounds, History
from logrelay.relay.records import Notice
from logrelay.web import frames
from logrelay.web.frames import Form, Pages, View

DEFLATE = 15  # window bits, as aiohttp wants them


async def batch(peer: Peer) -> list[str]:
    """The ids of the next message, which has to be a batch."""
    message = await peer.message()
    assert message["type"] == "logs", message
    return [record["id"] for record in message["data"]]


def inflated(frame: bytes) -> bytes:
    """The payload of one compressed frame of more than 125 bytes."""
    assert frame[:2] == b"\xc1\x7e"
    (size,) = struct.unpack("!H", frame[2:4])
    assert len(frame) == 4 + size
    return zlib.decompressobj(-15).decompress(frame[4:] + b"\x00\x00\xff\xff")


@pytest.mark.parametrize("compress", [0, DEFLATE])
async def test_records_that_come_at_once_are_one_message(relay: Relay, compress: int) -> None:
    peer = await relay.joined({"batch": 1, "tail": 0}, compress=compress)
    relay.sink.publish(lines(0, 5))
    relay.sink.publish(lines(5, 7))

    assert await batch(peer) == ids(lines(0, 7))

    relay.sink.publish(lines(7, 8))
    assert await batch(peer) == ids(lines(7, 8))
    await peer.leave()


@pytest.mark.parametrize("compress", [0, DEFLATE])
async def test_notices_stand_between_the_batches(relay: Relay, compress: int) -> None:
    peer = await relay.joined({"batch": 1, "tail": 0}, compress=compress)
    relay.sink.publish(lines(0, 2))
    relay.sink.announce("reconnecting", {"reason": "the connection was lost"})
    relay.sink.announce("live", {"backfilled": 0})
    relay.sink.publish(lines(2, 4))

    assert await batch(peer) == ids(lines(0, 2))
    await peer.status("reconnecting")
    await peer.status("live")
    assert await batch(peer) == ids(lines(2, 4))
    await peer.leave()


async def test_the_past_comes_in_batches_too(make: Make) -> None:
    relay = await make(upstreams={ENV: Upstream(seed=lines(0, 1200))})
    tail = await relay.joined({"batch": 1, "tail": 3})
    resumed = await relay.joined({"batch": 1, "lastId": line(99).id}, compress=DEFLATE)
    replayed = await relay.joined({"batch": 1, "tail": 0})
    await replayed.say(type="filter", replay=2)

    assert await batch(tail) == ids(lines(1197, 1200))
    got: list[str] = []
    while len(got) < 1100:
        got += await batch(resumed)
    assert got == ids(lines(100, 1200))
    await replayed.status("filter")
    assert await batch(replayed) == ids(lines(1198, 1200))
    for peer in (tail, resumed, replayed):
        await peer.leave()


async def test_a_filter_that_leaves_nothing_makes_no_message(relay: Relay) -> None:
    peer = await relay.joined({"batch": 1, "tail": 0, "search": "odd"})
    relay.sink.publish([line(0, "even"), line(1, "odd"), line(2, "even")])
    relay.sink.publish([line(3, "even")])

    assert await batch(peer) == [line(1, "odd").id]
    await peer.quiet()
    await peer.leave()


async def test_what_is_compressed_is_far_smaller_and_the_same_for_all(relay: Relay) -> None:
    plain = await relay.joined({"batch": 1, "tail": 0})
    peers = [await relay.joined({"batch": 1, "tail": 0}, compress=DEFLATE) for _ in range(3)]
    before = [client._socket.written for client in relay.streams._clients]
    relay.sink.publish(lines(0, 100))

    assert [await batch(peer) for peer in (plain, *peers)] == [ids(lines(0, 100))] * 4

    after = [client._socket.written for client in relay.streams._clients]
    sizes = sorted(new - old for old, new in zip(before, after, strict=True))
    assert sizes[0] == sizes[2] < sizes[3] / 5
    for peer in (plain, *peers):
        await peer.leave()


async def test_compression_is_agreed_on_for_batches_only(relay: Relay) -> None:
    batched = await relay.joined({"batch": 1}, compress=DEFLATE)
    single = await relay.joined({"batch": 0}, compress=DEFLATE)

    assert batched.ws.compress
    assert not single.ws.compress
    await batched.leave()
    await single.leave()


async def test_a_client_with_a_smaller_window_is_sent_nothing_compressed(relay: Relay) -> None:
    peer = await relay.connect(
        {"batch": 1, "tail": 0},
        headers={"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=9"},
    )
    await peer.status("connected")
    relay.sink.publish(lines(0, 50))

    # aiohttp's client has not asked for compression, and so would fail on a compressed frame.
    assert await batch(peer) == ids(lines(0, 50))
    await peer.leave()


async def test_the_largest_window_is_confirmed_where_it_is_asked_for(relay: Relay) -> None:
    raw = await relay.raw(upgrade=False)
    head = await raw.request(
        f"GET {relay.path()}?batch=1 HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15",
    )

    (agreed,) = (row for row in head.split("\r\n") if row.startswith("Sec-WebSocket-Extensions"))
    assert sorted(part.strip() for part in agreed.split(":")[1].split(";")) == [
        "client_no_context_takeover",
        "permessage-deflate",
        "server_max_window_bits=15",
        "server_no_context_takeover",
    ]
    raw.leave()


async def test_other_messages_and_compressed_ones_mix(relay: Relay) -> None:
    peer = await relay.joined({"batch": 1, "tail": 0}, compress=DEFLATE)
    for n in range(20):
        relay.sink.publish(lines(n * 50, n * 50 + 50))
        assert await batch(peer) == ids(lines(n * 50, n * 50 + 50))
        await peer.say(type="ping", id=n)
        assert await peer.message() == {"type": "pong", "id": n}
    await peer.leave()


async def test_c9_a_compressed_bomb_ends_its_own_connection(relay: Relay) -> None:
    bomb = await relay.joined({"batch": 1, "tail": 0}, compress=DEFLATE)
    other = await relay.joined({"batch": 1, "tail": 0})
    await bomb.ws.send_str(json.dumps({"type": "ping", "id": "x" * 50_000_000}), compress=DEFLATE)
    assert await bomb.close_code() == 1009
    await until(lambda: relay.streams.clients == 1)
    relay.sink.publish(lines(0, 1))

    assert await batch(other) == ids(lines(0, 1))
    await bomb.leave()
    await other.leave()


async def test_a_compressed_message_of_a_client_is_read(relay: Relay) -> None:
    peer = await relay.joined({"batch": 1, "tail": 0}, compress=DEFLATE)

    await peer.ws.send_str(json.dumps({"type": "ping", "id": "y" * 1000}), compress=DEFLATE)

    assert await peer.message() == {"type": "pong", "id": "y" * 1000}
    await peer.leave()


async def test_a_lost_place_is_told_in_batches_too(make: Make) -> None:
    relay = await make(bounds=Bounds(records=10, keep=1))
    peer = await relay.joined({"batch": 1, "tail": 0}, compress=DEFLATE)
    await peer.say(type="pause")
    await peer.status("paused")
    relay.sink.publish(lines(0, 100))
    await peer.say(type="resume")
    await peer.status("resumed")

    assert (await peer.status("lost"))["count"] == 90
    assert await batch(peer) == ids(lines(90, 100))
    await asyncio.sleep(0)
    await peer.leave()


def test_a_compressed_frame_begins_with_an_empty_window() -> None:
    for n in range(1, 4):
        payload = json.dumps([f"{n} {m} {m * n}" for m in range(200)]).encode()
        assert inflated(frames.deflated(payload)) == payload  # by an inflater of its own each


def test_a_page_is_made_once_for_each_form() -> None:
    history = History()
    history.append([*lines(0, 3), Notice("live", {"backfilled": 0}, BASE), *lines(3, 4)], 0.0)
    pages = Pages(history)

    views = {form: View(EVERYTHING, form) for form in Form}

    read = {form: pages.read(0, view) for form, view in views.items()}

    assert {form: page.sent for form, page in read.items()} == dict.fromkeys(Form, 4)
    assert len({page.frames for page in read.values()}) == 3
    assert all(pages.read(0, views[form]) is page for form, page in read.items())
    assert [Form.wanted(batch=b, deflate=d) for b in (False, True) for d in (False, True)] == [
        Form.SINGLE,
        Form.SINGLE,
        Form.BATCH,
        Form.DEFLATED,
    ]
