"""A peer that speaks raw graphql-transport-ws, so that no client library is in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import attrs
import pytest

from logrelay.standin import Environment, StandIn, World

DEADLINE = 5.0

ROW = "timestamp message severity tags { serviceId deploymentId snapshotId } attributes { key value }"
WINDOW = "$filter: String, $beforeDate: String, $anchorDate: String, $afterDate: String, "
WINDOW += "$beforeLimit: Int, $afterLimit: Int"
GIVEN = "filter: $filter, beforeDate: $beforeDate, anchorDate: $anchorDate, afterDate: $afterDate, "
GIVEN += "beforeLimit: $beforeLimit, afterLimit: $afterLimit"
TAIL = f"""subscription Tail($environmentId: String!, {WINDOW}) {{
  environmentLogs(environmentId: $environmentId, {GIVEN}) {{ {ROW} }}
}}"""
PAGE = TAIL.replace("subscription Tail", "query Page")
DEPLOYMENT_LOGS = f"""subscription DeploymentTail($id: String!, $limit: Int, $filter: String) {{
  deploymentLogs(deploymentId: $id, limit: $limit, filter: $filter) {{ {ROW} }}
}}"""
BUILD_LOGS = DEPLOYMENT_LOGS.replace("deploymentLogs", "buildLogs")
WATCH = "subscription Watch($id: String!) { deployment(id: $id) { id status deploymentStopped } }"


@attrs.define
class Peer:
    ws: aiohttp.ClientWebSocketResponse
    environment: Environment

    async def send(self, message: Any) -> None:
        await self.ws.send_json(message)

    async def message(self) -> aiohttp.WSMessage:
        async with asyncio.timeout(DEADLINE):
            return await self.ws.receive()

    async def receive(self) -> Any:
        async with asyncio.timeout(DEADLINE):
            return await self.ws.receive_json()

    async def init(self, **payload: Any) -> None:
        await self.send({"type": "connection_init", **({"payload": payload} if payload else {})})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(
        self, variables: Any = None, query: str = TAIL, *, key: str = "1", name: str | None = None
    ) -> None:
        if query == TAIL:
            variables = {"environmentId": self.environment.id, **(variables or {})}
        payload = {"query": query, "variables": variables or {}, "operationName": name}
        await self.send({"type": "subscribe", "id": key, "payload": payload})

    async def rows(self) -> list[str]:
        message = await self.receive()
        assert message["type"] == "next", message
        assert message["payload"].get("errors") is None, message
        (rows,) = message["payload"]["data"].values()
        return [row["message"] for row in rows]

    async def close_code(self) -> tuple[int, str]:
        message = await self.message()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return message.data, message.extra or ""


Dial = Callable[..., Awaitable[Peer]]
Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def world() -> World:
    return World(seed=1)


@pytest.fixture
async def railway(world: World) -> AsyncIterator[StandIn]:
    async with StandIn(world, control=True) as railway:
        yield railway


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def dial(railway: StandIn, http: aiohttp.ClientSession) -> AsyncIterator[Dial]:
    opened: list[Peer] = []

    async def dial(
        headers: dict[str, str] | None = None,
        protocols: tuple[str, ...] = ("graphql-transport-ws",),
        to: StandIn = railway,
        **options: Any,
    ) -> Peer:
        if headers is None:
            headers = {"Authorization": f"Bearer {to.world.account_token}"}
        ws = await http.ws_connect(
            to.ws_url, protocols=protocols, headers=headers, max_msg_size=0, timeout=CLOSE, **options
        )
        opened.append(Peer(ws, to.world.environment))
        return opened[-1]

    yield dial
    for peer in opened:
        await peer.ws.close()


CLOSE = aiohttp.ClientWSTimeout(ws_close=0.2)


@pytest.fixture
async def tail(dial: Dial, railway: StandIn) -> Peer:
    peer = await dial()
    await peer.init()
    await peer.subscribe({"beforeLimit": 100})
    assert await peer.rows() == []
    return peer


@pytest.fixture
async def ask(railway: StandIn, http: aiohttp.ClientSession) -> Ask:
    async def ask(
        query: str,
        variables: Any = None,
        *,
        headers: dict[str, str] | None = None,
        name: str | None = None,
        **more: Any,
    ) -> tuple[int, Any]:
        if headers is None:
            headers = {"Authorization": f"Bearer {railway.world.account_token}"}
        if query == PAGE:
            variables = {"environmentId": railway.world.environment.id, **(variables or {})}
        body = {"query": query, "variables": variables, "operationName": name}
        async with http.post(railway.url, json=body, headers=headers, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    return ask


@pytest.fixture
async def page(ask: Ask) -> Callable[..., Awaitable[list[str]]]:
    async def page(**variables: Any) -> list[str]:
        status, answer = await ask(PAGE, variables)
        assert status == 200
        return [row["message"] for row in answer["data"]["environmentLogs"]]

    return page


@pytest.fixture
def documents() -> dict[str, str]:
    return {
        "tail": TAIL,
        "page": PAGE,
        "deployment": DEPLOYMENT_LOGS,
        "build": BUILD_LOGS,
        "watch": WATCH,
    }
