import asyncio
import contextlib
import socket
from typing import Any

import pytest
from web_harness import DEADLINE, Make, Peer, Raw, Relay, line, until

from logrelay.errors import CloseCode, Disconnect
from logrelay.web import endings
from logrelay.web.socket import MESSAGE_LIMIT, Socket, SocketLimits, _reason
from logrelay.web.stream import StreamLimits

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


async def opened(relay: Relay, **options: Any) -> Raw:
    peer = await relay.raw(**options)
    assert (await peer.message())["message"] == "connected"
    return peer


async def ended(relay: Relay, peer: Peer) -> tuple[list[Any], int | None]:
    messages, code = await peer.end()
    await relay.empty()
    return [message.get("code") for message in messages], code


async def test_exactly_16_kib_are_a_message(relay: Relay) -> None:
    peer = await opened(relay)
    head, tail = b'{"type":"ping","id":"', b'"}'

    peer.send(TEXT, head + b"x" * (MESSAGE_LIMIT - len(head) - len(tail)) + tail)

    assert (await peer.message())["type"] == "pong"
    peer.leave()


async def test_c5_more_than_16_kib_are_1009(relay: Relay) -> None:
    peer = await opened(relay)

    peer.send(TEXT, b"x" * (MESSAGE_LIMIT + 1))

    assert await ended(relay, peer) == ([], 1009)


async def test_c5_a_frame_that_claims_2_to_the_40_bytes_is_1009_before_they_come(relay: Relay) -> None:
    peer = await opened(relay)

    peer.writer.write(b"\x81\xff" + (2**40).to_bytes(8, "big") + b"\0\0\0\0")

    assert await ended(relay, peer) == ([], 1009)


async def test_c6_endless_fragments_are_1009(relay: Relay) -> None:
    peer = await opened(relay)

    peer.send(TEXT, b"x" * 1000, fin=False)
    for _ in range(30):
        peer.send(0, b"x" * 1000, fin=False)

    assert await ended(relay, peer) == ([], 1009)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ((TEXT, b"\xff\xfe"), 1007),
        ((BINARY, b"{}"), 1003),
        ((0, b"{}"), 1002),
        ((3, b"{}"), 1002),
        ((CLOSE, b"\x03"), 1002),
        ((PING, b"x" * 126), 1002),
    ],
)
async def test_c7_broken_frames_end_with_the_code_of_their_fault(
    relay: Relay, payload: Any, code: Any
) -> None:
    peer = await opened(relay)

    peer.send(*payload)

    assert await ended(relay, peer) == ([], code)


async def test_c8_unmasked_frames_are_accepted_by_aiohttp(relay: Relay) -> None:
    # RFC 6455 section 5.1 wants the connection failed; this pins that aiohttp 3.14.5 doesn't.
    peer = await opened(relay)

    peer.send(TEXT, b'{"type":"ping","id":1}', mask=False)

    assert (await peer.message()) == {"type": "pong", "id": 1}
    peer.leave()


async def test_nothing_is_sent_after_a_close_frame(relay: Relay) -> None:
    peer = await opened(relay)

    relay.client.end(endings.flooding())
    assert (await peer.message())["code"] == "flooding"
    assert (await peer.frame())[0] == CLOSE
    relay.sink.publish([line(1)])
    relay.client.drain(1.0)
    peer.send(CLOSE, b"\x03\xe8")

    async with asyncio.timeout(DEADLINE):
        assert await peer.reader.read() == b""
    peer.leave()
    await relay.empty()


async def test_a_close_is_answered_and_frees_everything(relay: Relay) -> None:
    peer = await opened(relay)

    peer.send(CLOSE, b"\x03\xe8bye")

    assert await ended(relay, peer) == ([], 1000)


async def test_c9_compression_is_not_negotiated(relay: Relay) -> None:
    peer = await relay.joined(compress=15)

    assert not peer.ws.compress
    await peer.leave()


async def test_the_subprotocol_is_answered(relay: Relay) -> None:
    peer = await relay.joined(protocols=("logrelay.v1", "bearer.abc"))

    assert peer.ws.protocol == "logrelay.v1"
    await peer.leave()


async def test_a_ping_is_answered_by_a_pong_with_its_payload(relay: Relay) -> None:
    peer = await opened(relay)

    peer.send(PING, b"abc")

    assert await peer.frame() == (PONG, b"abc")
    peer.leave()


@pytest.mark.parametrize("frame", [(TEXT, b'{"type":"ping"}'), (PING, b""), (PONG, b"")])
async def test_c4_a_flood_is_1008_and_the_neighbours_go_on(relay: Relay, frame: Any) -> None:
    neighbour = await relay.joined()
    peer = await opened(relay)

    for _ in range(2000):
        peer.send(*frame)
    messages, code = await peer.end()

    assert code == 1008
    assert messages[-1]["code"] == "flooding"
    relay.sink.publish([line(1)])
    await neighbour.ids(1)
    await neighbour.leave()


async def test_twenty_messages_in_a_second_are_fine(relay: Relay) -> None:
    peer = await opened(relay)

    for _ in range(20):
        peer.send(TEXT, b'{"type":"ping"}')

    for _ in range(20):
        assert (await peer.message())["type"] == "pong"
    peer.leave()


async def test_the_count_begins_anew_after_a_second(make: Make) -> None:
    relay = await make(limits=StreamLimits(socket=SocketLimits(messages_per_second=2)))
    peer = await opened(relay)

    for _ in range(4):
        peer.send(TEXT, b'{"type":"ping"}')
        await peer.message()
        recent = relay.client._socket._recent
        assert recent is not None
        for place, seen in enumerate(recent):
            recent[place] = seen - 0.6

    peer.leave()


async def test_answers_that_nobody_reads_are_not_piled_up(make: Make) -> None:
    relay = await make(
        limits=StreamLimits(socket=SocketLimits(send_buffer=4096, messages_per_second=100_000, closing=0.05))
    )
    peer = await opened(relay, buffer=4096)
    client = relay.client
    peer.stall()
    identity = b'{"type":"ping","id":"' + b"x" * 16_000 + b'"}'

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.7):
            while True:
                peer.send(TEXT, identity)
                peer.send(PING, b"x" * 125)
                await peer.writer.drain()

    assert client._socket.full
    assert client._socket.pending < 200_000
    peer.leave()
    await relay.empty()


async def test_closing_a_peer_that_takes_nothing_frees_the_socket(make: Make) -> None:
    relay = await make(limits=StreamLimits(socket=SocketLimits(send_buffer=4096, closing=0.05)))
    peer = await opened(relay, buffer=4096)
    peer.stall()
    socket = relay.client._socket
    while not socket.pending:
        socket.write(b"\x81\x7e\x27\x10" + b"x" * 10_000)

    relay.client.end(endings.flooding())

    await relay.empty()
    assert socket.pending == 0
    assert "0 bytes pending" in repr(socket)
    peer.leave()


async def test_waiting_for_a_peer_that_leaves_ends(make: Make) -> None:
    relay = await make(limits=StreamLimits(socket=SocketLimits(send_buffer=4096)))
    peer = await opened(relay, buffer=4096)
    peer.stall()
    socket = relay.client._socket
    while not socket.full:
        socket.write(b"\x81\x7e\x27\x10" + b"x" * 10_000)

    waiting = [asyncio.create_task(socket.writable()) for _ in range(2)]
    await asyncio.sleep(0)
    peer.leave()

    async with asyncio.timeout(DEADLINE):
        for ended in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(ended, Disconnect)
            assert ended.code is CloseCode.NORMAL
    await relay.empty()


async def test_who_leaves_during_the_handshake_is_no_fault(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "logrelay")
    made = Socket.__init__

    def left(self: Any, request: Any, *rest: Any) -> None:
        request.transport.abort()
        request._protocol.transport = None
        made(self, request, *rest)

    monkeypatch.setattr(Socket, "__init__", left)
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        (await relay.raw()).leave()

    await until(lambda: not relay.places.taken)
    assert "failed" not in caplog.text
    assert "unreadable" not in caplog.text


@pytest.mark.parametrize("message", ["", "short", "x" * 200, "é" * 100, "x" * 122 + "é"])
def test_a_reason_fits_into_a_close_frame(message: Any) -> None:
    reason = _reason(message)

    assert len(reason) <= 123
    assert message.startswith(reason.decode())


@pytest.mark.big
@pytest.mark.timeout(90)
async def test_c1_a_reader_of_ten_kilobytes_a_second_lags_and_is_kept(make: Make) -> None:
    relay = await make()
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)  # noqa: FBT003 the library's own signature
        await loop.sock_connect(sock, ("127.0.0.1", relay.port))
        head = (
            f"GET {relay.path()}?tail=0 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await loop.sock_sendall(sock, head.encode())
        await until(lambda: relay.streams.clients == 1)
        relay.sink.publish([line(number, "x" * 2000) for number in range(2000)])

        read = 0
        began = loop.time()
        while loop.time() - began < 25:  # beyond the write deadline and beyond what a kernel's own would be
            read += len(await loop.sock_recv(sock, 1000))
            await asyncio.sleep(0.1)  # the pace of this reader, which is what is tested

        assert read > 150_000
        assert relay.streams.clients == 1
