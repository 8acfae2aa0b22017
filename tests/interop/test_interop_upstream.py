"""The reference implementations, graphql-js and graphql-ws, as upstream: our reading of their protocol is no guess."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from interop_peers import Reference, Relay, Relayed, Serve, View, Viewer
from interop_processes import DEADLINE

import logrelay.railway

pytestmark = pytest.mark.timeout(120)  # the first of these tests installs the server

FOLDER = Path(__file__).with_name("reference")
OPERATIONS = Path(logrelay.railway.__file__).with_name("operations")


def lines(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


async def test_two_thousand_lines_come_once_and_in_order_through_five_reconnects(
    reference: Reference, referred: Relayed, view: View
) -> None:
    child = reference.child
    relay = await referred()
    viewer = await view(relay)
    connected = await viewer.until(message="connected")
    await child.until_said(1, event="live")

    cuts = [
        {"do": "terminate"},
        {"do": "close", "code": 1000},
        {"do": "close", "code": 4500},
        {"do": "complete"},
        {"do": "terminate"},
    ]
    found: list[dict[str, Any]] = []
    for number, cut in enumerate(cuts):
        await child.tell(do="write", count=150)
        found += await viewer.up_to(f"line {number * 370 + 150}")
        await child.tell(do="write", count=50)
        await child.tell(**cut)
        await child.tell(do="write", count=170)
        await child.until_said(number + 2, event="live")
    await child.tell(do="write", count=150)
    found += await viewer.up_to("line 2000")

    assert lines(1, 2000) == [log["message"] for log in found]
    assert 2000 == len({log["id"] for log in found})
    assert not any("late" in log for log in found)
    statuses = [message for message in viewer.seen if message["type"] == "status"]
    assert ["connected", *["reconnecting", "live"] * 5] == [status["message"] for status in statuses]
    assert all(status["data"]["backfilled"] <= 220 for status in statuses[2::2])
    assert "reference" == connected["data"]["environmentName"]
    assert ["api", "worker"] == sorted(service["name"] for service in connected["data"]["services"])
    # Exactly one subscription at a time, and no close with a code of the protocol's but the one that was asked for.
    begun = child.said(event="begun")
    assert [1] * 6 == [line["streams"] for line in begun]
    assert [0] * 5 == [line["streams"] for line in child.said(event="ended")]
    assert [4500] == [line["code"] for line in child.said(event="closing") if line["code"] >= 4000]
    assert not [line for line in child.said(event="queried") if line["errors"]]


@pytest.mark.big
async def test_ten_thousand_lines_come_once_and_in_order_through_ten_reconnects_between_keep_alives(
    reference: Reference, referred: Relayed, view: View
) -> None:
    """Each connection lives long enough for graphql-ws' keep-alive, which ends a socket that doesn't answer it."""
    child = reference.child
    viewer = await view(await referred())
    await viewer.until(message="connected")
    await child.until_said(1, event="live")

    transient = [1001, 1011, 4500]
    cuts = [
        {"do": "terminate"},
        {"do": "complete"},
        *({"do": "close", "code": code} for code in transient),
    ] * 2
    found: list[dict[str, Any]] = []
    for number, cut in enumerate(cuts):
        await child.tell(do="write", count=500)
        found += await viewer.up_to(f"line {number * 1000 + 500}")
        await child.until_said(len(child.said(event="pong")) + 1, event="pong")
        await child.tell(do="write", count=250)
        await child.tell(**cut)
        await child.tell(do="write", count=250)
        await child.until_said(number + 2, event="live")
    found += await viewer.up_to("line 10000")
    while len([message for message in viewer.seen if message.get("message") == "live"]) < len(cuts):
        await viewer.receive()  # what filled the hole comes before the word that it is filled

    missing, repeated, out_of_order = three_numbers(10_000, found)
    assert (0, 0, 0) == (missing, repeated, out_of_order)
    assert 10_000 == len({log["id"] for log in found})
    statuses = [message["message"] for message in viewer.seen if message["type"] == "status"]
    assert ["connected", *["reconnecting", "live"] * 10] == statuses
    assert [1] * 11 == [line["streams"] for line in child.said(event="begun")]
    codes = [line["code"] for line in child.said(event="closing")]
    assert not [code for code in codes if 4400 <= code < 4500]
    assert [4500] * 2 == [code for code in codes if code >= 4000]
    assert not [line for line in child.said(event="queried") if line["errors"]]


def three_numbers(written: int, found: list[dict[str, Any]]) -> tuple[int, int, int]:
    """How many of the lines 1 to `written` are missing, repeated, and out of order."""
    numbers = [int(log["message"].removeprefix("line ")) for log in found]
    missing = len({*range(1, written + 1)} - {*numbers})
    repeated = len(numbers) - len({*numbers})
    return missing, repeated, sum(1 for before, after in itertools.pairwise(numbers) if after < before)


async def test_every_field_of_a_row_arrives(reference: Reference, referred: Relayed, view: View) -> None:
    viewer = await view(await referred())
    await viewer.until(message="connected")
    await reference.child.tell(do="write", count=4)

    first, *_, last = await viewer.logs(4)

    del first["id"]
    assert first.pop("timestamp").endswith("000000Z")
    assert first == {
        "severity": "info",
        "message": "line 1",
        "serviceId": "id-of-worker",
        "serviceName": "worker",
        "deploymentId": "d",
        "instanceId": "i",
        "attributes": {"number": 1},
    }
    assert last["severity"] is None


async def test_connections_are_opened_and_kept_alive_as_the_protocol_wants(
    reference: Reference, referred: Relayed, view: View
) -> None:
    child = reference.child
    viewer = await view(await referred(LOGRELAY_UPSTREAM_PING_SECONDS="0.2"))
    await viewer.until(message="connected")

    await child.tell(do="ping")
    await child.until_said(1, event="message pong")
    await child.until_said(3, event="ping")
    await child.until_said(1, event="pong")  # graphql-ws ends a socket that has not answered in time

    (opened,) = child.said(event="opened")
    assert "graphql-transport-ws" == opened["protocol"]
    assert opened["agent"].startswith("logrelay/")
    assert "account" == opened["header"]
    assert ["account"] == [line["caller"] for line in child.said(event="init")]
    assert [] == child.said(event="ended") + child.said(event="closing")


async def test_a_project_token_goes_by_header_only_and_names_its_environment(
    reference: Reference, serve: Serve, view: View
) -> None:
    relay = await serve(reference.url, environment_id="", token="", RAILWAY_TOKEN=reference.project_token)
    viewer = await first_let_in(relay, view, environment=reference.environment_id)
    await reference.child.tell(do="write", count=3)

    found = await viewer.logs(3)

    assert lines(1, 3) == [log["message"] for log in found]
    assert ["project"] == [line["header"] for line in reference.child.said(event="opened")]
    assert [None] == [line["caller"] for line in reference.child.said(event="init")]
    stranger = await view(relay, environment="another")
    assert 4403 == await stranger.closed()


async def first_let_in(relay: Relay, view: View, **query: str) -> Viewer:
    """Connect until the relay knows which environment its token is for: up to then it closes with 1011."""
    async with asyncio.timeout(DEADLINE):
        while True:
            viewer = await view(relay, **query)
            if (await viewer.receive())["type"] == "status":
                return viewer
            assert 1011 == await viewer.closed()


async def test_the_past_is_fetched_by_queries_when_the_history_is_too_short(
    reference: Reference, referred: Relayed, view: View
) -> None:
    await reference.child.tell(do="write", count=12_000)
    (written,) = await reference.child.until_said(event="written")
    relay = await referred(LOGRELAY_HISTORY_RECORDS="100")
    everything = await view(relay, lastTimestamp=written["oldest"])

    connected = await everything.until(message="connected")
    found = await everything.up_to("line 12000")

    assert {"outcome": "backfilled"} == connected["data"]["resume"]
    assert lines(1, 12_000) == [log["message"] for log in found]
    resumed = await view(relay, lastId=found[4000]["id"])
    assert "backfilled" == (await resumed.until(message="connected"))["data"]["resume"]["outcome"]
    assert lines(4002, 12_000) == [log["message"] for log in await resumed.up_to("line 12000")]


@pytest.mark.parametrize("environment", ["known", "unknown"])
async def test_a_token_that_is_refused_ends_streams(
    reference: Reference, serve: Serve, view: View, environment: str
) -> None:
    unknown = environment == "unknown"
    environment_id = "99999999-2222-4333-8444-555555555555" if unknown else reference.environment_id
    token = reference.token if unknown else "bbbbbbbb-0000-4000-8000-000000000001"
    viewer = await view(await serve(reference.url, environment_id, token))

    code = await viewer.closed()

    expected = (4404, "unknown_environment") if unknown else (4502, "upstream_refused")
    assert expected == (code, viewer.seen[-1]["code"])
    assert len(reference.child.said(event="queried")) < 12


@pytest.mark.parametrize("how", ["revoke", "forbid"])
async def test_a_token_that_becomes_bad_ends_streams(
    reference: Reference, referred: Relayed, view: View, how: str
) -> None:
    """Revoked: errors inside `next`, and all queries refused. Forbidden: the socket is closed with 4403."""
    viewer = await view(await referred())
    await viewer.until(message="connected")
    await reference.child.until_said(event="live")

    await reference.child.tell(do=how)
    await reference.child.tell(do="terminate")
    code = await viewer.closed()

    expected = (4502, "upstream_refused") if how == "revoke" else (4404, "unknown_environment")
    assert expected == (code, viewer.seen[-1]["code"])
    forbidden = [4403] * 3 if how == "forbid" else []
    assert forbidden == [
        line["code"] for line in reference.child.said(event="closing") if line["code"] >= 4000
    ]


async def test_graphql_js_finds_every_document_valid(reference: Reference) -> None:
    documents = sorted(OPERATIONS.glob("*.graphql"))
    assert documents
    texts = [path.read_text(encoding="utf-8") for path in documents]

    await reference.child.tell(do="validate", documents=[*texts, "{ environment(id: 1) { nme } }"])
    (answer,) = await reference.child.until_said(event="validated")

    *ours, broken = answer["errors"]
    assert [[]] * len(documents) == ours
    assert broken


def test_the_lock_file_pins_packages_by_content_and_names_no_host() -> None:
    text = (FOLDER / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]

    assert {"", "node_modules/graphql", "node_modules/graphql-ws", "node_modules/ws"} == set(packages)
    assert all("integrity" in package for name, package in packages.items() if name)
    assert "resolved" not in text
    assert "//" not in text


def test_nothing_is_installed_in_the_tree() -> None:
    assert not Path(FOLDER, "node_modules").exists()
