"""A client that is not ours, `websockets`, against the relay as a process: our reading of the protocol is no guess."""

import json
import socket
from typing import Any

import pytest
from interop_peers import Relayed, View, Viewer
from websockets.exceptions import InvalidStatus

from logrelay.standin import Line, Row, StandIn, World


async def connected(viewer: Viewer) -> dict[str, Any]:
    """Wait until the stream stands; what it says of itself."""
    data: dict[str, Any] = (await viewer.until(type="status", message="connected"))["data"]
    return data


async def write(railway: StandIn, *lines: Line | str) -> list[Row]:
    """Write lines and see that they are on their way to the relay."""
    await railway.subscribed()
    rows = railway.world.environment.write_many(lines)
    await railway.flush()
    return rows


def messages(logs: list[dict[str, Any]]) -> list[str]:
    return [log["message"] for log in logs]


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


async def test_the_first_message_says_what_the_stream_is(relayed: Relayed, view: View, world: World) -> None:
    relay = await relayed(LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT="3")
    viewer = await view(relay, services="api,nobody", search='"a b" -c', severity="warn")

    first = await viewer.receive()

    assert "connected" == first["message"]
    data = first["data"]
    version = data.pop("version")
    assert version
    assert "live" == data.pop("upstream")["state"]
    assert {(service.id, service.name) for service in world.environment.services} == {
        (service["id"], service["name"]) for service in data.pop("services")
    }
    assert data == {
        "environmentId": world.environment.id,
        "environmentName": "production",
        "protocol": 1,
        "filter": {
            "services": ["api", "nobody"],
            "search": '"a b" -c',
            "severity": "warn",
            "unknownServices": ["nobody"],
        },
        "resume": None,
        "limits": {"heartbeatSeconds": 25.0, "maxConnections": 3},
        "viewers": 1,
    }


async def test_a_row_arrives_with_every_field(
    relayed: Relayed, railway: StandIn, view: View, world: World
) -> None:
    viewer = await view(await relayed())
    await connected(viewer)
    attributes = {"status": 200, "path": "/health", "deep": {"list": [1, None, True]}, "text": "200"}
    (row,) = await write(railway, Line("\x1b[32mGET\x1b[0m /health → 200", "api", "info", attributes))

    (log,) = await viewer.logs(1)

    api = world.environment.service("api")
    identity = log.pop("id")
    assert identity.startswith(f"{row.timestamp}-")
    assert log == {
        "timestamp": row.timestamp,
        "severity": "info",
        "message": "\x1b[32mGET\x1b[0m /health → 200",
        "serviceId": api.id,
        "serviceName": "api",
        "deploymentId": api.newest.id,
        "instanceId": api.newest.instances[0].id,
        "attributes": {"level": "info", **attributes},
    }


async def test_odd_rows_arrive_as_the_protocol_says(
    relayed: Relayed, railway: StandIn, view: View, world: World
) -> None:
    viewer = await view(await relayed())
    await connected(viewer)
    first, *_ = await write(
        railway,
        Line("", severity=None),
        Line("no tags", tags=None),
        Line("x" * 70_000 + "é"),
        Line("tied", tied=True),
    )
    await write(railway, Line("late", at=first.ns - 1000))

    empty, bare, huge, tied, late = await viewer.logs(5)

    assert ("", None) == (empty["message"], empty["severity"])
    assert [None] * 4 == [bare[name] for name in ("serviceId", "serviceName", "deploymentId", "instanceId")]
    assert (65_536, True, 70_002) == (len(huge["message"]), huge["truncated"], huge["size"])
    assert tied["timestamp"] == huge["timestamp"]
    assert "late" not in tied
    assert late["late"] is True
    assert first.timestamp > late["timestamp"]


async def test_heartbeats_tell_the_position_and_pings_keep_a_silent_client(
    relayed: Relayed, railway: StandIn, view: View
) -> None:
    """The client says nothing of its own for longer than silence may last; its library answers the pings."""
    relay = await relayed(
        LOGRELAY_HEARTBEAT_SECONDS="0.2", LOGRELAY_PING_SECONDS="0.2", LOGRELAY_SILENCE_SECONDS="0.6"
    )
    viewer = await view(relay, options={"ping_interval": None}, severity="error")
    await connected(viewer)
    await write(railway, Line("seen", severity="error"))
    (log,) = await viewer.logs(1)
    await viewer.until(type="heartbeat")
    (passed_over,) = await write(railway, Line("passed over"))

    beat = await viewer.until(type="heartbeat")
    while beat["data"]["lastId"] == log["id"]:
        beat = await viewer.until(type="heartbeat")
    for _ in range(6):
        await viewer.until(type="heartbeat")

    assert beat["data"]["lastId"].startswith(passed_over.timestamp)
    assert ("live", 1) == (beat["data"]["upstream"]["state"], beat["data"]["viewers"])
    assert [log] == [message["data"] for message in viewer.seen if message["type"] == "log"]


async def test_the_filter_changes_on_the_live_connection(
    relayed: Relayed, railway: StandIn, view: View
) -> None:
    viewer = await view(await relayed())
    await connected(viewer)
    await write(railway, "all of it")
    assert ["all of it"] == messages(await viewer.logs(1))

    await viewer.send(type="filter", services=["worker"], search='disk "is full" -test', severity="warn")
    changed = await viewer.until(message="filter")
    await write(
        railway,
        Line("Disk is full", "worker", "error"),
        Line("disk is full", "api", "error"),
        Line("disk is full", "worker", "info"),
        Line("disk is full: a test", "worker", "error"),
        Line("is the disk full", "worker", "error"),
        Line("DISK \x1b[1mis\x1b[0m full", "worker", "warn"),
    )

    assert {"services": ["worker"], "search": 'disk "is full" -test', "severity": "warn"} == changed["data"][
        "filter"
    ]
    assert ["Disk is full", "DISK \x1b[1mis\x1b[0m full"] == messages(await viewer.logs(2))

    await viewer.send(type="filter", search='"unbalanced')
    refused = await viewer.until(type="error")
    await write(railway, "not for the old filter", Line("disk is full again", "worker", "warn"))

    assert ("filter_invalid", False) == (refused["code"], refused["retryable"])
    assert ["disk is full again"] == messages(await viewer.logs(1))

    await viewer.send(type="filter", services=["api"], replay=2)

    assert ["disk is full", "not for the old filter"] == messages(await viewer.logs(2))


async def test_a_pause_holds_the_position(relayed: Relayed, railway: StandIn, view: View) -> None:
    relay = await relayed()
    viewer, other = await view(relay), await view(relay)
    await connected(viewer)
    await connected(other)
    await write(railway, *numbered(1, 3))
    *_, last = await viewer.logs(3)

    await viewer.send(type="pause")
    paused = await viewer.until(message="paused")
    await write(railway, *numbered(4, 6))
    assert numbered(1, 6) == messages(await other.logs(6))
    await viewer.send(type="ping", id="still here")
    await viewer.until(type="pong")
    await viewer.send(type="resume")
    resumed = await viewer.until(message="resumed")

    assert last["id"] == paused["data"]["lastId"] == resumed["data"]["lastId"]
    assert "log" not in [message["type"] for message in viewer.seen[viewer.seen.index(paused) :]]
    assert numbered(4, 6) == messages(await viewer.logs(3))


async def test_pings_of_both_kinds_are_answered(relayed: Relayed, view: View) -> None:
    viewer = await view(await relayed())
    await connected(viewer)

    for identity in (1, "two", None, {"three": [3.5]}):
        await viewer.send(type="ping", id=identity)
        assert {"type": "pong", "id": identity} == await viewer.until(type="pong")
    pong = await viewer.connection.ping(b"by the WebSocket")

    await viewer.send(type="ping", id="after")
    await viewer.until(id="after")
    assert pong.done()


async def test_a_close_by_the_client_is_answered_and_clean(relayed: Relayed, view: View) -> None:
    relay = await relayed()
    viewer = await view(relay)
    await connected(viewer)

    await viewer.connection.close(1000)

    assert 1000 == viewer.connection.close_code
    (line,) = await relay.child.until_said(message="stream closed")
    assert (1000, None) == (line["code"], line["error"])


async def test_messages_that_make_no_sense_are_answered_until_there_are_ten(
    relayed: Relayed, view: View
) -> None:
    viewer = await view(await relayed())
    await connected(viewer)

    for text in ("{", "[]", '{"type":"sing"}', '{"type":"filter","replay":"all"}', "null") * 2:
        await viewer.connection.send(text)
    code = await viewer.closed()

    errors = [message["code"] for message in viewer.seen if message["type"] == "error"]
    assert (["message_invalid"] * 10 + ["flooding"], 1008) == (errors, code)


async def test_frames_that_may_not_be_end_the_connection(relayed: Relayed, view: View) -> None:
    relay = await relayed()
    too_big = json.dumps({"type": "ping", "id": "x" * 16_384})
    for sent, code in ((b"binary", 1003), (too_big, 1009)):
        viewer = await view(relay)
        await connected(viewer)

        await viewer.connection.send(sent)

        assert code == await viewer.closed()


async def test_refusals_come_as_an_error_and_a_close_code(relayed: Relayed, view: View, world: World) -> None:
    relay = await relayed(LOGRELAY_ENVIRONMENTS=f"{world.environment.id},unknown")
    refused: list[tuple[dict[str, str], int, str]] = [
        ({"lastTimestamp": "yesterday"}, 4400, "parameter_invalid"),
        ({"lastId": "17"}, 4400, "parameter_invalid"),
        ({"severity": "loud"}, 4400, "filter_invalid"),
        ({"search": '"'}, 4400, "filter_invalid"),
        ({"environment": "another"}, 4403, "not_allowed"),
        ({"environment": "unknown"}, 4404, "unknown_environment"),
    ]
    for query, code, error in refused:
        viewer = await view(relay, **query)

        assert code == await viewer.closed()

        assert error == viewer.seen[-1]["code"]
        assert "log" not in [message["type"] for message in viewer.seen]


async def test_one_connection_too_many_is_told_when_to_come_back(relayed: Relayed, view: View) -> None:
    relay = await relayed(LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT="1")
    viewer = await view(relay)
    await connected(viewer)
    late = await view(relay)

    assert 4429 == await late.closed()

    assert ("too_many_connections", True) == (late.seen[-1]["code"], late.seen[-1]["retryable"])
    assert 0 < late.seen[-1]["retryAfter"]
    await viewer.connection.close()
    await relay.child.until_said(2, message="stream closed")
    await connected(await view(relay))


async def test_foreign_origins_are_refused_before_the_upgrade(relayed: Relayed, view: View) -> None:
    relay = await relayed(LOGRELAY_ALLOWED_ORIGINS="https://app.example")
    for origin in ("https://elsewhere.example", "null", "http://127.0.0.1.elsewhere.example"):
        with pytest.raises(InvalidStatus) as refused:
            await view(relay, options={"origin": origin})

        assert 403 == refused.value.response.status_code
        assert "origin_not_allowed" == json.loads(refused.value.response.body)["error"]["code"]
    await connected(await view(relay, options={"origin": "https://app.example"}))


async def test_a_stream_resumes_by_id_and_by_timestamp(
    relayed: Relayed, railway: StandIn, view: View
) -> None:
    relay = await relayed()
    viewer = await view(relay)
    await connected(viewer)
    await write(railway, *numbered(1, 10), Line("line 11", tied=True), "line 12")
    found = await viewer.logs(12)
    tenth, last = found[9], found[11]
    await viewer.connection.close()
    await write(railway, *numbered(13, 20))
    await write(railway, Line("line 21", at=tenth["timestamp"]))

    by_id = await view(relay, lastId=last["id"])
    assert {"outcome": "exact"} == (await connected(by_id))["resume"]
    assert numbered(13, 21) == messages(await by_id.logs(9))

    by_stamp = await view(relay, lastTimestamp=last["timestamp"])
    assert {"outcome": "exact"} == (await connected(by_stamp))["resume"]
    assert numbered(13, 21) == messages(await by_stamp.logs(9))

    by_tie = await view(relay, lastTimestamp=tenth["timestamp"])
    assert {"outcome": "exact"} == (await connected(by_tie))["resume"]
    assert numbered(10, 21) == messages(await by_tie.logs(12))

    by_future = await view(relay, lastTimestamp="2999-01-01T00:00:00Z")
    assert {"outcome": "none"} == (await connected(by_future))["resume"]
    await write(railway, "line 22")
    assert ["line 22"] == messages(await by_future.logs(1))


async def test_batches_are_compressed_for_a_client_that_takes_it(
    relayed: Relayed, railway: StandIn, view: View
) -> None:
    relay = await relayed()
    viewer, plain = await view(relay, batch=1), await view(relay, batch=1, options={"compression": None})
    for each in (viewer, plain):
        await connected(each)
    agreed = [each.connection.response.headers.get("Sec-WebSocket-Extensions") for each in (viewer, plain)]
    assert agreed == ["permessage-deflate; server_no_context_takeover; client_no_context_takeover", None]

    for start in range(1, 2000, 100):
        await write(railway, *numbered(start, start + 99))
        for each in (viewer, plain):
            got: list[str] = []
            while len(got) < 100:
                got += [record["message"] for record in (await each.until(type="logs"))["data"]]
            assert got == numbered(start, start + 99)


async def test_an_upstream_that_is_lost_comes_back_under_a_live_client(
    relayed: Relayed, railway: StandIn, view: View, world: World
) -> None:
    viewer = await view(await relayed())
    await connected(viewer)
    await write(railway, *numbered(1, 5))

    await railway.faults.reset()
    world.environment.write_many(numbered(6, 10))
    await viewer.until(message="live")
    await write(railway, *numbered(11, 15))
    await viewer.up_to("line 15")

    logs = [message["data"] for message in viewer.seen if message["type"] == "log"]
    notices = [message["message"] for message in viewer.seen if message["type"] == "status"]
    assert numbered(1, 15) == messages(logs)
    assert ["connected", "reconnecting", "live"] == notices


async def test_a_client_that_reads_nothing_holds_nobody_up(
    relayed: Relayed, railway: StandIn, view: View
) -> None:
    """The first reads nothing: it is cut off by and by, with the second served meanwhile."""
    relay = await relayed(LOGRELAY_WRITE_TIMEOUT_SECONDS="0.5")
    stuck = await view(relay, options=small_buffers(relay.port))
    other = await view(relay)
    await connected(other)
    await write(railway, *(f"{number} " + "x" * 8000 for number in range(400)))

    await other.logs(400)
    (line,) = await relay.child.until_said(message="stream closed")

    assert (4408, "too_slow") == (line["code"], line["error"])
    assert 1006 == await stuck.closed()


def small_buffers(port: int) -> dict[str, Any]:
    """How `websockets` opens a connection that takes little which nobody has asked it for."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port))
    raw.setblocking(False)  # noqa: FBT003 the signature is the standard library's
    return {"sock": raw, "max_queue": 1, "ping_interval": None}
