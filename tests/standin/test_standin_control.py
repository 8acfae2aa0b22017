from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from logrelay.standin import Canary, StandIn, Traffic, World
from logrelay.standin.control import _Control

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def post(railway: StandIn, http: Any) -> Callable[..., Any]:
    async def post(fault: str, status: int = 200, **options: Any) -> Any:
        async with http.post(railway.url.replace("/graphql/v2", f"/control/{fault}"), **options) as answer:
            text = await answer.text()
            assert status == answer.status, text
            return await answer.json() if status == 200 else text

    return post


async def test_the_state_is_shown(railway: StandIn, world: World, tail: Any, http: Any) -> None:
    world.environment.write("one")

    async with http.get(railway.url.replace("/graphql/v2", "/control")) as answer:
        state = await answer.json()

    assert (state["openSockets"], state["openSubscriptions"], state["totalConnections"]) == (1, 1, 1)
    assert [(one["name"], one["rows"]) for one in state["environments"]] == [("production", 1)]
    assert state["faults"]["stall"] is False
    assert "cut_mid_frame" in state["actions"]


@pytest.mark.parametrize(
    ("fault", "params", "value"),
    [
        ("stall", {}, True),
        ("silent", {"value": "true"}, True),
        ("slow_ack", {"value": "0.5"}, 0.5),
        ("query_error", {"value": "went wrong"}, "went wrong"),
        ("complete_after", {"value": "3"}, 3),
        ("complete_after", {"value": "null"}, None),
        ("refuse_upgrade", {"status": "403", "body": "<html>"}, (403, {}, "<html>")),
        (
            "http",
            {"status": "429", "headers": '{"Retry-After": 30}', "body": "{}", "count": "2"},
            (429, {"Retry-After": "30"}, "{}", 2),
        ),
        ("http", {}, (503, {}, "")),
        ("split_bytes", {"n": "2", "seconds": "0.5"}, (2, 0.5)),
        ("redirect", {"value": "null"}, None),
    ],
)
async def test_a_setting_is_changed(
    railway: StandIn, post: Any, fault: str, params: dict[str, str], value: Any
) -> None:
    await post(fault, params=params)

    assert value == getattr(railway.faults, fault)
    await post("reset_all")
    assert {name: value for name, value in railway.faults.settings.items() if value} == {}


async def test_a_fault_is_provoked(world: World, tail: Any, post: Any) -> None:
    await post("error", json={"message": "went wrong"})
    assert (await tail.receive())["payload"][0]["message"] == "went wrong"
    await post("send_raw", params={"message": "null"})
    assert (await tail.message()).data == "null"
    closing = asyncio.ensure_future(post("close", params={"code": "4500", "reason": "Internal server error"}))
    assert await tail.close_code() == (4500, "Internal server error")
    await closing


@pytest.mark.parametrize(
    ("fault", "options", "message"),
    [
        ("nothing", {}, "no such fault; there are: close, complete, complete_after"),
        ("stall", {"params": {"value": "5"}}, "stall: value has to be true or false"),
        ("stall", {"params": {"what": "5"}}, "stall: it takes one parameter"),
        ("slow_ack", {}, "slow_ack: it takes one parameter"),
        ("slow_ack", {"params": {"value": "soon"}}, "slow_ack: could not convert"),
        ("http", {"params": {"headers": "5"}}, "http: headers has to be an object"),
        ("error", {}, "error: missing a required argument"),
        ("close", {"params": {"code": "soon"}}, "close: invalid literal"),
        ("reset", {"params": {"what": "5"}}, "reset: it takes no parameters but"),
        ("reset", {"json": [1]}, "the body has to be a JSON object"),
        ("reset", {"data": b"{"}, "the body has to be a JSON object"),
    ],
)
async def test_what_is_not_understood_is_refused(
    post: Any, fault: str, options: dict[str, Any], message: str
) -> None:
    assert message in await post(fault, 400, **options)


async def test_other_pages_are_refused(post: Any) -> None:
    await post("reset", 403, headers={"Origin": "https://elsewhere.example"})


async def test_there_is_no_control_unless_it_is_wanted(world: World, http: Any) -> None:
    async with StandIn(world) as railway, http.get(railway.url.replace("/graphql/v2", "/control")) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("writer", ["traffic", "canary"])
async def test_writers_write_until_cancelled(world: World, railway: StandIn, tail: Any, writer: str) -> None:
    run = Traffic(world, rate=500).run() if writer == "traffic" else Canary(world.environment).run(500)
    task = asyncio.create_task(run)
    rows: list[str] = []
    while len(rows) < 8:
        rows += await tail.rows()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    expected = "Starting Container" if writer == "traffic" else "canary 1"
    assert expected == rows[0]


async def test_an_address_that_cannot_be_told_is_not_this_machine() -> None:
    request = make_mocked_request("GET", "/control")

    with pytest.raises(web.HTTPForbidden):
        await _Control(None).show(request)
