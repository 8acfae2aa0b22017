from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from gql import Client, gql
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport

from logrelay.standin import StandIn, World


@pytest.mark.parametrize("protocols", [(), ("graphql-ws",)])
async def test_a_socket_without_the_subprotocol_is_accepted_and_closed(dial: Any, protocols: Any) -> None:
    peer = await dial(protocols=protocols)

    assert await peer.close_code() == (4406, "Subprotocol not acceptable")


async def test_without_init_the_socket_is_closed(world: World, dial: Any) -> None:
    async with StandIn(world, init_timeout=0.02) as hasty:
        peer = await dial(to=hasty)

        assert await peer.close_code() == (4408, "Connection initialisation timeout")
        await hasty.until(lambda: hasty.journal.open_sockets == 0)
        assert hasty.journal.connections[0].close_code == 4408


async def test_an_init_in_time_keeps_the_socket(world: World, dial: Any) -> None:
    async with StandIn(world, init_timeout=0.02) as hasty:
        peer = await dial(to=hasty)
        await peer.init()
        await asyncio.sleep(0.05)
        await peer.send({"type": "ping"})

        assert await peer.receive() == {"type": "pong"}
        await peer.ws.close()


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "42", '{"type": "start"}', '{"type": "subscribe"}', '{"no": "type"}']
)
async def test_a_message_that_is_none_closes_the_socket(dial: Any, text: str) -> None:
    peer = await dial()
    await peer.init()
    await peer.ws.send_str(text)

    assert await peer.close_code() == (4400, "Invalid message received")


async def test_a_binary_message_closes_the_socket(dial: Any) -> None:
    peer = await dial()
    await peer.ws.send_bytes(b"{}")

    assert await peer.close_code() == (4400, "Invalid message received")


async def test_a_subscribe_before_the_ack_closes_the_socket(dial: Any) -> None:
    peer = await dial()
    await peer.subscribe()

    assert await peer.close_code() == (4401, "Unauthorized")


async def test_a_second_subscription_of_an_id_closes_the_socket(tail: Any) -> None:
    await tail.subscribe()

    assert await tail.close_code() == (4409, "Subscriber for 1 already exists")


async def test_a_second_init_closes_the_socket(dial: Any) -> None:
    peer = await dial()
    await peer.init()
    await peer.send({"type": "connection_init"})

    assert await peer.close_code() == (4429, "Too many initialisation requests")


async def test_json_pings_are_echoed_and_pongs_are_welcome(dial: Any) -> None:
    peer = await dial()
    await peer.send({"type": "pong"})
    await peer.send({"type": "ping", "payload": {"n": 1}})

    assert await peer.receive() == {"type": "pong", "payload": {"n": 1}}


async def test_websocket_pings_are_answered(railway: StandIn, dial: Any) -> None:
    peer = await dial(autoping=False)
    await peer.ws.ping(b"are you there")

    message = await peer.message()
    assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"are you there")
    assert railway.journal.connections[0].pings == 1


async def test_a_peer_that_answers_pings_stays_and_one_that_does_not_goes(world: World, dial: Any) -> None:
    async with StandIn(world, ping_interval=0.02) as railway:
        good = await dial(to=railway)
        await good.init()
        reading = asyncio.ensure_future(good.ws.receive())
        bad = await dial(to=railway, autoping=False)
        assert aiohttp.WSMsgType.PING is (await bad.message()).type
        assert (await bad.message()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert not reading.done()
        await railway.until(lambda: railway.journal.open_sockets == 1)
        assert [connection.open for connection in railway.journal.connections] == [True, False]
        reading.cancel()


async def test_several_subscriptions_share_a_socket_and_end_one_by_one(
    railway: StandIn, world: World, tail: Any
) -> None:
    await tail.subscribe(key="2")
    assert await tail.rows() == []
    assert railway.journal.open_subscriptions == 2
    await tail.send({"type": "complete", "id": "1"})
    await tail.send({"type": "complete", "id": "nobody"})
    await railway.until(lambda: railway.journal.open_subscriptions == 1)
    world.environment.write("for 2")

    message = await tail.receive()
    assert message["id"] == "2"
    await tail.subscribe(key="1")
    assert await tail.rows() == ["for 2"]
    assert railway.journal.open_subscriptions == 2


async def test_a_query_may_come_over_the_socket(world: World, dial: Any, documents: Any) -> None:
    world.environment.write("hello")
    peer = await dial()
    await peer.init()
    await peer.subscribe({"environmentId": world.environment.id}, documents["page"])

    assert await peer.rows() == ["hello"]
    assert await peer.receive() == {"id": "1", "type": "complete"}


async def test_a_malformed_document_is_an_error_frame(dial: Any) -> None:
    peer = await dial()
    await peer.init()
    await peer.subscribe(query="subscription { nothing }")

    message = await peer.receive()
    assert (message["type"], message["id"]) == ("error", "1")
    assert message["payload"][0]["message"].startswith('Cannot query field "nothing"')


async def refused(peer: Any, subscribe: dict[str, Any] | None = None) -> str:
    await peer.subscribe(**(subscribe or {}))
    message = await peer.receive()
    assert message["type"] == "next"
    assert message["payload"]["data"] is None
    assert await peer.receive() == {"id": "1", "type": "complete"}
    (error,) = message["payload"]["errors"]
    assert error["traceId"].isdigit()
    assert error["locations"][0]["line"] > 0
    return error["message"]


@pytest.mark.parametrize(
    ("headers", "payload", "message"),
    [
        ({}, {}, "Not Authorized"),
        ({}, {"Authorization": "Bearer garbage"}, "Not Authorized"),
        ({}, {"Authorization": 5}, "Not Authorized"),
        ({"Authorization": "Bearer garbage"}, {}, "Not Authorized"),
        ({"Authorization": "Basic garbage"}, {}, "Not Authorized"),
        ({}, {"Project-Access-Token": "PROJECT"}, "Problem processing request"),
        ({}, {"Authorization": "Bearer PROJECT"}, "Problem processing request"),
        ({"Authorization": "Bearer PROJECT"}, {}, "Project Token not found"),
    ],
)
async def test_any_init_is_acked_and_the_subscribe_refused(
    world: World, dial: Any, headers: dict[str, str], payload: dict[str, Any], message: str
) -> None:
    def real(values: dict[str, Any]) -> dict[str, Any]:
        return {
            k: v.replace("PROJECT", world.project_token) if isinstance(v, str) else v
            for k, v in values.items()
        }

    peer = await dial(headers=real(headers))
    await peer.init(**real(payload))

    assert message == await refused(peer)


@pytest.mark.parametrize(
    ("headers", "payload", "kind"),
    [
        ({"Authorization": "Bearer ACCOUNT"}, {}, "account"),
        ({}, {"Authorization": "Bearer ACCOUNT"}, "account"),
        ({"Authorization": "Bearer garbage"}, {"Authorization": "Bearer ACCOUNT"}, "account"),
        ({"Project-Access-Token": "PROJECT"}, {}, "project"),
    ],
)
async def test_a_token_in_the_upgrade_or_in_the_init_is_good(
    railway: StandIn, dial: Any, headers: dict[str, str], payload: dict[str, str], kind: str
) -> None:
    world = railway.world

    def real(values: dict[str, str]) -> dict[str, str]:
        tokens = {"ACCOUNT": world.account_token, "PROJECT": world.project_token}
        return {
            key: value.replace(name, tokens[name])
            for key, value in values.items()
            for name in tokens
            if name in value or "garbage" in value
        }

    peer = await dial(headers=real(headers))
    await peer.init(**real(payload))
    await peer.subscribe(name="Tail")

    assert await peer.rows() == []
    (asked,) = railway.journal.subscribes
    assert (kind, "Tail", "1") == (asked.token_kind, asked.operation_name, asked.id)
    assert asked.connection is railway.journal.connections[0]
    assert (real(payload) or None) == asked.connection.init_payload
    assert [frame["type"] for frame in asked.connection.frames] == ["connection_init", "subscribe"]
    assert world.account_token not in repr(railway.journal)


async def test_the_journal_counts_what_is_opening(railway: StandIn, dial: Any) -> None:
    railway.faults.slow_ack = 0.01
    peers = await asyncio.gather(*(dial() for _ in range(3)))
    await asyncio.gather(*(peer.init() for peer in peers))
    for peer in peers:
        await peer.subscribe()
        await peer.rows()

    journal = railway.journal
    assert (
        journal.peak_opening,
        journal.total_connections,
        journal.open_sockets,
        journal.open_subscriptions,
    ) == (3, 3, 3, 3)
    await peers[0].ws.close()
    await railway.until(lambda: journal.open_sockets == 2 and journal.open_subscriptions == 2)
    assert journal.connections[0].close_code == 1000


async def test_gql_understands_it(railway: StandIn, world: World, documents: Any) -> None:
    transport = AIOHTTPWebsocketsTransport(
        url=railway.ws_url,
        headers={"Authorization": f"Bearer {world.account_token}"},
        subprotocols=["graphql-transport-ws"],
    )
    document = gql(documents["tail"])
    document.variable_values = {"environmentId": world.environment.id}
    async with Client(transport=transport) as session:
        frames = session.subscribe(document)
        assert (await anext(frames))["environmentLogs"] == []
        world.environment.write("hello")
        assert (await anext(frames))["environmentLogs"][0]["message"] == "hello"
        await frames.aclose()
