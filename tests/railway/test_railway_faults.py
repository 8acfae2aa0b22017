"""The upstream rows of faults.md, each provoked at the stand-in and looked at from a feed's sink."""

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from railway_peers import listening
from railway_recorder import Recorder

from logrelay.errors import Scope
from logrelay.railway.answers import QueryFailed
from logrelay.railway.backoff import Backoff
from logrelay.railway.budget import Budget
from logrelay.railway.gateway import Addresses, Credential, Gateway
from logrelay.railway.transport import Timeouts
from logrelay.standin import Environment, StandIn, World

FAST = Timeouts(opening=1.0, ping=0.1, message=1.0, closing=0.05)


async def lose(railway: StandIn, sink: Recorder) -> None:
    """Break the connection in the plainest way, and wait until the feed has it back."""
    times = sink.notices.count("live")
    await railway.faults.reset()
    await sink.until(lambda: sink.notices.count("live") > times)


async def go_away(railway: StandIn, gateway: Gateway) -> None:
    """Refuse connections; idle ones of the pool are closed too, as they would serve an upgrade."""
    connector = gateway._session.connector if gateway._session else None
    assert connector is not None
    for idle in connector._conns.values():
        for protocol, _ in idle:
            protocol.close()
    await railway.stop_listening(cut=True)


def connections_of(railway: StandIn, environment: Environment) -> list[Any]:
    """The open sockets that follow an environment."""
    return [
        socket
        for socket in railway.faults.sockets
        if any(
            asked.variables.get("environmentId") == environment.id
            for asked in socket.record.subscribes  # type: ignore[attr-defined]
        )
    ]


# -- U1 ------------------------------------------------------------------------------------------------------


async def test_u1_a_refused_connection_is_tried_again_until_it_works(railway: StandIn, follow: Any) -> None:
    await railway.stop_listening()

    sink = follow()
    await sink.state("retrying", 3)
    await railway.listen_again()
    await sink.state("live")

    assert [attempt for attempt, _ in sink.delays[:3]] == [1, 2, 3]
    assert sink.notices == []


async def test_u1_a_loss_is_told_once_and_nothing_is_missed(
    railway: StandIn, environment: Environment, gateway: Gateway, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")
    environment.write("before")
    await sink.message("before")
    await go_away(railway, gateway)
    await sink.state("retrying", 3)
    environment.write("meanwhile")
    await railway.listen_again()
    await sink.state("live", 2)
    environment.write("after")
    await sink.message("after")

    assert [entry if isinstance(entry, str) else entry[0] for entry in sink.log] == [
        "before",
        "reconnecting",
        "meanwhile",
        "live",
        "after",
    ]
    assert sink.data("live") == [{"backfilled": 1}]
    assert sink.data("reconnecting") == [{"reason": "the connection to Railway was lost"}]


async def test_u1_a_name_that_resolves_to_nothing_is_tried_again(
    open_gateway: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    nowhere = Addresses("http://nowhere.invalid/graphql/v2", "ws://nowhere.invalid/graphql/v2")
    gateway: Gateway = await open_gateway(addresses=nowhere)

    sink = follow(gateway)
    await sink.state("retrying", 2)
    with pytest.raises(QueryFailed, match="host name can't be resolved"):
        await gateway.query("BearerScope", {})

    assert sink.refusals == []


# -- U2 ------------------------------------------------------------------------------------------------------


async def test_u2_a_bad_token_is_final_after_three_tries(railway: StandIn, world: World, follow: Any) -> None:
    world.tokens.clear()

    sink = follow()
    await sink.state("refused")

    pages = [asked for asked in railway.journal.queries if asked.operation_name == "EnvironmentPage"]
    assert len(pages) == 3
    assert sink.states == ["retrying", "retrying", "refused"]
    refusal, delay = sink.refusals[0]
    assert (refusal.scope, delay) == (Scope.CREDENTIAL, 30.0)


async def test_u2_an_environment_that_the_token_cannot_see_is_refused_as_that(
    world: World, railway: StandIn, follow: Any
) -> None:
    sink = follow(environment_id=world.new_id())
    await sink.state("refused")

    assert sink.refusals[0][0].scope is Scope.ENVIRONMENT
    assert railway.journal.total_connections == 0


async def test_u2_not_authorized_inside_next_is_final_after_three_tries(
    railway: StandIn, world: World, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")

    world.tokens.clear()
    await railway.faults.reset()
    await sink.state("refused")

    assert len(railway.journal.subscribes) == 1 + 3
    assert sink.notices == ["reconnecting"]
    assert sink.refusals[0][0].scope is Scope.CREDENTIAL


async def test_u2_a_credential_that_is_known_to_be_bad_is_not_tried_thrice_by_everybody(
    railway: StandIn, world: World, follow: Any
) -> None:
    world.tokens.clear()
    await follow().state("refused")
    asked = len(railway.journal.queries)

    sink = follow(environment_id=world.new_id())
    await sink.state("refused")

    assert sink.states == ["refused"]
    assert len(railway.journal.queries) - asked <= 3  # names, logs, and whose fault it is


@pytest.mark.parametrize("code", [4401, 4403])
async def test_u2_a_refusing_close_code_is_a_refusal(railway: StandIn, follow: Any, code: int) -> None:
    sink = follow(refused_tries=1)
    await sink.state("live")

    await railway.faults.close(code, "Forbidden")
    await sink.state("refused")

    # 4401 names no environment; with 4403 the token is still good for something, so it is about this one.
    assert sink.refusals[0][0].scope is (Scope.CREDENTIAL if code == 4401 else Scope.ENVIRONMENT)
    assert sink.notices == ["reconnecting"]


@pytest.mark.parametrize("status", [401, 403])
async def test_u2_a_refusing_status_on_the_upgrade_is_a_refusal(
    railway: StandIn, follow: Any, status: int
) -> None:
    railway.faults.refuse_upgrade = (status, {"Content-Type": "application/json"}, '{"message":"no"}')

    sink = follow()
    await sink.state("refused")

    assert railway.journal.refused_upgrades == 3
    assert sink.refusals[0][0].scope is Scope.CREDENTIAL


async def test_u2_a_new_token_in_the_file_is_found_at_the_next_try(
    railway: StandIn, world: World, open_gateway: Any, follow: Any, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("the-old-one\n")
    sink = follow(await open_gateway(Credential("the-old-one", path=path)), refused_delay=0.1)
    await sink.state("refused")
    assert sink.refusals[0][0].scope is Scope.CREDENTIAL

    path.write_text(f"{world.account_token}\n")
    await sink.state("live")

    assert sink.states.count("live") == 1
    (connection,) = railway.journal.connections
    assert connection.headers["Authorization"] == f"Bearer {world.account_token}"


async def test_u2_a_new_token_ends_the_pause_at_once(
    world: World, open_gateway: Any, follow: Any, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("the-old-one")
    gateway: Gateway = await open_gateway(Credential("the-old-one", path=path))
    sink = follow(gateway, refused_delay=3600.0)
    await sink.state("refused")

    assert not gateway.reread_credential()
    path.write_text(world.account_token)
    assert gateway.reread_credential()

    await sink.state("live")


async def test_u2_a_refused_environment_is_tried_once_per_pause(
    railway: StandIn, world: World, follow: Any
) -> None:
    world.tokens.clear()
    sink = follow(refused_delay=0.05)
    await sink.state("refused", 3)

    assert sink.states[:5] == ["retrying", "retrying", "refused", "refused", "refused"]

    world.tokens.add(world.account_token)
    await sink.state("live")


# -- U3 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["http", "refuse_upgrade"])
async def test_u3_nothing_is_asked_before_the_time_that_railway_names(
    railway: StandIn, world: World, gateway: Gateway, follow: Any, fault: str
) -> None:
    other = world.add_environment("staging")
    setattr(railway.faults, fault, (429, {"Retry-After": "1"}, "slow down", 1))
    first = follow()
    await first.state("retrying")
    limited = time.monotonic()
    asked = len(railway.journal.queries) + railway.journal.total_connections

    second = follow(environment_id=other.id)
    await railway.until(
        lambda: len(railway.journal.queries) + railway.journal.total_connections > asked, within=2.0
    )

    assert time.monotonic() - limited >= 0.9
    assert first.delays[0][1] >= 1.0
    assert "refused" not in first.states + second.states


async def test_u3_at_most_three_open_at_once_when_all_come_back(
    railway: StandIn, world: World, gateway: Gateway, follow: Any
) -> None:
    railway.faults.slow_ack = 0.03
    environments = [world.add_environment(f"pr-{n}") for n in range(9)]
    gateway.gate.shut(0.1)

    sinks = [follow(environment_id=environment.id) for environment in environments]
    for sink in sinks:
        await sink.state("live")

    assert railway.journal.peak_opening <= 3
    assert railway.journal.total_connections == 9


async def test_u3_a_place_is_given_back_when_an_opening_fails(
    railway: StandIn, world: World, open_gateway: Any, follow: Any
) -> None:
    railway.faults.refuse_upgrade = (503, {}, "down", 4)
    gateway = await open_gateway(openings=1)

    sinks = [follow(gateway, environment_id=environment.id) for environment in world.environments * 2]
    for sink in sinks:
        await sink.state("live")

    assert gateway.openings._value == 1


async def test_u3_too_many_initialisations_are_a_limit_for_all(
    railway: StandIn, gateway: Gateway, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")

    await railway.faults.close(4429, "Too many initialisation requests")
    await sink.state("retrying")

    assert 59 < gateway.gate.wait <= 60
    assert sink.delays[-1][1] >= 59


# -- U4, U5, U6, U7 ------------------------------------------------------------------------------------------


async def test_u4_a_server_error_on_the_upgrade_is_tried_again(railway: StandIn, follow: Any) -> None:
    railway.faults.refuse_upgrade = (503, {"Content-Type": "text/html"}, "<h1>down</h1>", 3)

    sink = follow()
    await sink.state("live")

    assert sink.states == ["retrying", "retrying", "retrying", "live"]
    assert railway.journal.refused_upgrades == 3


@pytest.mark.parametrize("project", [False, True])
async def test_u5_a_redirect_is_not_followed_and_no_token_leaks(
    railway: StandIn, world: World, open_gateway: Any, follow: Any, *, project: bool
) -> None:
    token = world.project_token if project else world.account_token
    sink = follow(await open_gateway(Credential(token, project=project)), refused_delay=0.05)
    await sink.state("live")
    async with listening() as other:
        railway.faults.redirect = f"http://127.0.0.1:{other.port}/graphql/v2"
        await railway.faults.reset()
        await sink.state("refused", 2)
        fresh = follow(await open_gateway(Credential(token, project=project)))
        await fresh.state("refused")

        assert other.connections == 0
    assert sink.refusals[0][0].scope is Scope.CONFIGURATION
    assert "redirect" in sink.refusals[0][0].reason
    assert "redirect" in fresh.refusals[0][0].reason


async def test_u6_an_answer_without_the_subprotocol_is_our_misconfiguration(
    railway: StandIn, follow: Any
) -> None:
    railway.faults.no_subprotocol = True

    sink = follow()
    await sink.state("refused")

    assert sink.refusals[0][0].scope is Scope.CONFIGURATION
    assert "subprotocol" in sink.refusals[0][0].reason
    assert railway.journal.total_connections == 1
    await railway.until(lambda: not railway.journal.open_sockets)
    assert railway.journal.subscribes == []


async def test_u7_an_ack_that_never_comes_is_given_up(
    railway: StandIn, open_gateway: Any, follow: Any
) -> None:
    railway.faults.never_ack = True

    sink = follow(await open_gateway(timeouts=attrs.evolve(FAST, opening=0.1)))
    await sink.state("retrying", 2)
    railway.faults.never_ack = False
    await sink.state("live")

    assert railway.journal.total_connections >= 3


# -- U8 ------------------------------------------------------------------------------------------------------


async def test_u8_a_half_open_socket_is_found(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(timeouts=FAST))
    await sink.state("live")

    railway.faults.stall = True
    began = time.monotonic()
    await sink.until(lambda: "reconnecting" in sink.notices)
    found = time.monotonic() - began
    railway.faults.stall = False
    environment.write("after")
    await sink.message("after")

    assert found <= 0.1 * 1.5 + 0.3  # the ping's time and a half, and some for a busy machine


async def test_u8_silence_is_no_fault_while_pongs_come(
    railway: StandIn, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(timeouts=attrs.evolve(FAST, ping=0.02, message=0.2)))
    await sink.state("live")

    (connection,) = railway.journal.connections
    await sink.state("live")
    async with asyncio.timeout(3):
        while connection.pings < 15:  # longer than the deadline of a message; a ping rings no bell
            await asyncio.sleep(0.01)

    assert sink.notices == []
    assert railway.journal.total_connections == 1


async def test_u8_the_pings_of_the_server_are_answered(world: World, open_gateway: Any, follow: Any) -> None:
    async with StandIn(world, ping_interval=0.03) as railway:
        sink = follow(await open_gateway(addresses=Addresses(railway.url, railway.ws_url)))
        await sink.state("live")
        for n in range(5):
            world.environment.write(f"line {n}")
            await sink.message(f"line {n}")
            await railway.faults.send_raw(json.dumps({"type": "ping"}))
        (connection,) = railway.journal.connections
        await railway.until(
            lambda: sum(frame.get("type") == "pong" for frame in connection.frames) == 5, within=2.0
        )

        assert sink.notices == []
        assert railway.journal.total_connections == 1


# -- U9, U10, U11, U12 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset", "fin", "cut_mid_frame"])
async def test_u9_a_broken_connection_loses_and_repeats_nothing(
    railway: StandIn, environment: Environment, follow: Any, fault: str
) -> None:
    sink = follow()
    await sink.state("live")

    for n in range(5):
        environment.write(f"{n} before")
        await sink.message(f"{n} before")
        environment.write_many([f"{n} during", {"message": f"{n} tied", "tied": True}])
        await getattr(railway.faults, fault)()
        environment.write(f"{n} after")
        await sink.message(f"{n} after")
        await sink.until(lambda: sink.notices.count("live") == n + 1)  # noqa: B023 awaited here

    expected = [f"{n} {when}" for n in range(5) for when in ("before", "during", "tied", "after")]
    assert sink.messages == expected
    assert not any("late" in wire for wire in sink.wires)


async def test_u9_a_reconnect_takes_less_than_a_second_and_a_half(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    sink = follow(backoff=Backoff())
    await sink.state("live")
    environment.write("something, so that the delays are the first ones")

    began = time.monotonic()
    await lose(railway, sink)

    assert time.monotonic() - began <= 1.5


@pytest.mark.parametrize("end", ["complete", "close"])
async def test_u10_a_normal_end_is_followed_by_another_subscription(
    railway: StandIn, environment: Environment, follow: Any, end: str
) -> None:
    sink = follow()
    await sink.state("live")
    environment.write("before")
    await sink.message("before")

    await (railway.faults.complete() if end == "complete" else railway.faults.close(1000))
    environment.write("after")
    await sink.message("after")

    assert sink.messages == ["before", "after"]
    assert sink.delays[-1][1] > 0


async def test_u10_completing_at_once_makes_no_storm(railway: StandIn, follow: Any) -> None:
    railway.faults.complete_at_once = True

    sink = follow(backoff=Backoff(first=0.01, longest=1.0))
    await sink.state("retrying", 5)

    assert [attempt for attempt, _ in sink.delays] == [1, 2, 3, 4, 5]
    assert sink.delays[4][1] >= 0.08


async def test_u11_an_error_is_judged_by_its_message(railway: StandIn, follow: Any) -> None:
    sink = follow(refused_tries=1)
    await sink.state("live")

    await railway.faults.error("Problem processing request")
    await sink.state("live", 2)
    await railway.faults.error("Not Authorized")
    await sink.state("refused")

    assert sink.data("reconnecting")[0] == {"reason": "Railway had a problem processing the request"}
    assert sink.notices == ["reconnecting", "live", "reconnecting"]


async def test_u11_errors_without_data_end_the_subscription(railway: StandIn, follow: Any) -> None:
    sink = follow()
    await sink.state("live")

    await railway.faults.next_errors("Problem processing request")
    await sink.until(lambda: sink.notices == ["reconnecting", "live"])

    assert railway.journal.total_connections == 2


async def test_u11_an_internal_fault_five_times_in_a_row_is_final(railway: StandIn, follow: Any) -> None:
    railway.faults.query_error = "Problem processing request"

    sink = follow()
    await sink.state("refused")
    assert sink.states == ["retrying"] * 4 + ["refused"]
    assert sink.refusals[0][0].scope is Scope.CONFIGURATION


async def test_u12_data_beside_errors_is_delivered_and_the_stream_goes_on(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")
    railway.faults.silent = True
    row = environment.write("partial")

    await railway.faults.next_errors("one of your fields is ill", [row])
    await sink.message("partial")
    railway.faults.silent = False
    environment.write("more")
    await sink.message("more")

    assert sink.messages == ["partial", "more"]
    assert sink.notices == []
    assert railway.journal.total_connections == 1


# -- U13, U14, U15 -------------------------------------------------------------------------------------------

UNREADABLE = {
    "U13 not json": "{",
    "U13 binary": b"\x00\x01",
    "U13 unknown type": '{"type":"surprise"}',
    "U13 no type": "{}",
    "U13 unknown id": '{"id":"99","type":"next","payload":{"data":{"environmentLogs":[]}}}',
    "U13 id zero": '{"id":"0","type":"complete"}',
    "U13 huge id": '{"id":"' + "9" * 5000 + '","type":"complete"}',
    "U13 numeric id": '{"id":1,"type":"complete"}',
    "U13 no payload": '{"id":"1","type":"next"}',
    "U13 odd data": '{"id":"1","type":"next","payload":{"data":{"environmentLogs":{}}}}',
    "U13 odd error": '{"id":"1","type":"error","payload":"no"}',
    "U13 deep": "[" * 100_000,
    "U14 null": "null",
    "U14 array": "[]",
    "U14 number": "7",
    "U14 string": '"next"',
    "U14 empty": "",
}


@pytest.mark.parametrize("message", UNREADABLE.values(), ids=UNREADABLE)
async def test_u13_u14_an_unreadable_message_costs_one_reconnect_of_one_environment(
    railway: StandIn, world: World, environment: Environment, follow: Any, message: str | bytes
) -> None:
    other = world.add_environment("staging")
    sink, neighbour = follow(), follow(environment_id=other.id)
    await sink.state("live")
    await neighbour.state("live")

    (socket,) = connections_of(railway, environment)
    await socket.send_raw(message)
    await sink.state("live", 2)
    environment.write("after")
    await sink.message("after")
    other.write("untouched")
    await neighbour.message("untouched")

    assert sink.data("reconnecting") == [{"reason": "Railway sent a message that can't be read"}]
    assert neighbour.notices == []


async def test_u13_a_row_that_cannot_be_read_costs_one_row(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")
    stamp = "2026-11-23T03:21:30.033333123Z"
    rows: list[Any] = [
        {"timestamp": stamp, "message": "good", "attributes": []},
        {"timestamp": "yesterday", "message": "bad stamp", "attributes": []},
        {"timestamp": "9999-11-23T03:21:30.033333123Z", "message": "beyond 64 bits", "attributes": []},
        {"timestamp": stamp, "message": 7, "attributes": []},
        None,
        {"timestamp": stamp, "message": "half \ud83d", "tags": {"serviceId": "\udc00"}, "attributes": []},
    ]
    frame = {"id": "1", "type": "next", "payload": {"data": {"environmentLogs": rows}}}

    await railway.faults.send_raw(json.dumps(frame))
    await sink.until(lambda: sink.data("gap"))

    assert sink.messages == ["good", "half \ufffd"]
    (gap,) = sink.data("gap")
    assert (gap["reason"], gap["count"]) == ("unreadable", 4)
    assert railway.journal.total_connections == 1


async def test_c21_a_row_that_is_another_environments_goes_to_nobody(
    environment: Environment, follow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    other = {**environment.service("api").tags(), "environmentId": "4cd56aaf-0000-4000-8000-000000000002"}
    environment.write("foreign, before", tags=other)
    environment.write("own, before", tags={"environmentId": environment.id.upper()})
    sink = follow()
    await sink.state("live")

    environment.write("foreign, live", tags=other)
    environment.write("without tags", tags=None)
    environment.write("own, live")
    await sink.message("own, live")

    assert sink.messages[-3:] == ["own, before", "without tags", "own, live"]
    assert not [message for message in sink.messages if message.startswith("foreign")]
    refused = [record for record in caplog.records if record.message == "rows of another environment refused"]
    assert len(refused) >= 2  # what was fetched, and what came live
    assert {record.levelname for record in refused} == {"ERROR"}
    assert sink.notices == []


async def test_u15_a_line_of_five_megabytes_arrives_cut(environment: Environment, follow: Any) -> None:
    sink = follow()
    await sink.state("live")

    environment.write("x" * (5 * 1024 * 1024))
    await sink.until(lambda: sink.records)

    wire = sink.wires[0]
    assert (wire["truncated"], wire["size"], len(wire["message"])) == (True, 5 * 1024 * 1024, 65536)
    assert sink.notices == []


# -- U17, U18, U19, U20, U21 ---------------------------------------------------------------------------------


async def test_u17_equal_repeated_and_late_rows_come_once_each(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    railway.faults.duplicate = 1.0
    sink = follow()
    await sink.state("live")

    first = environment.write("first")
    environment.write_many([{"message": "tied", "at": first.ns}, {"message": "first", "at": first.ns}])
    await sink.until(lambda: len(sink.records) >= 3)
    environment.write("late", at=first.ns - 5_000_000_000)
    await sink.message("late")
    environment.write("last")
    await sink.message("last")
    await lose(railway, sink)
    environment.write("end")
    await sink.message("end")

    assert sorted(sink.messages) == ["end", "first", "first", "last", "late", "tied"]
    assert len({record.id for record in sink.records}) == 6
    assert [wire["message"] for wire in sink.wires if wire.get("late")] == ["late"]


async def test_u17_a_stamp_hours_ahead_neither_hides_rows_nor_ends_the_stream(
    railway: StandIn, environment: Environment, gateway: Gateway, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")
    environment.write("from the future", at=time.time_ns() + 7200 * 1_000_000_000)
    await sink.message("from the future")
    environment.write("today")
    await sink.message("today")

    await go_away(railway, gateway)
    environment.write("meanwhile")
    await railway.listen_again()
    await sink.message("meanwhile")

    assert sink.messages == ["from the future", "today", "meanwhile"]


async def test_u18_a_slow_message_is_no_false_alarm(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(timeouts=attrs.evolve(FAST, ping=0.05, message=3.0)))
    await sink.state("live")

    railway.faults.split_bytes = (4, 0.002)
    environment.write("drop by drop")
    await sink.message("drop by drop")

    assert sink.notices == []


async def test_u18_a_message_that_never_ends_is_given_up(
    railway: StandIn, environment: Environment, open_gateway: Any, follow: Any
) -> None:
    sink = follow(await open_gateway(timeouts=attrs.evolve(FAST, ping=0.05, message=0.2)))
    await sink.state("live")

    railway.faults.split_bytes = (1, 0.01)
    environment.write("x" * 1000)
    await sink.until(lambda: "reconnecting" in sink.notices)
    railway.faults.split_bytes = None
    await sink.state("live", 2)

    assert sink.data("reconnecting") == [{"reason": "Railway sent no whole message for too long"}]


async def test_u19_flapping_tells_each_change_once_and_slows_down(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    railway.faults.complete_after = 2  # the backlog and a batch
    sink = follow(backoff=Backoff(first=0.01, longest=0.4))
    await sink.state("live")

    while len(sink.delays) < 7:
        length = len(sink.delays)
        environment.write(f"line {length}")
        await sink.until(lambda: len(sink.delays) > length)  # noqa: B023 awaited here
        await sink.state("live", length + 2)

    changes = ["reconnecting", "live"] * 7
    assert sink.notices == changes
    assert sink.messages == [f"line {n}" for n in range(7)]
    assert [attempt for attempt, _ in sink.delays] == [1, 1, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("reconnect", [False, True])
async def test_u20_the_hole_before_a_full_batch_is_fetched(
    railway: StandIn, environment: Environment, gateway: Gateway, follow: Any, *, reconnect: bool
) -> None:
    environment.write("first")
    sink = follow(stands_after=5.0)  # `live` comes with the frame, however long that takes
    await sink.state("live")

    if reconnect:
        await go_away(railway, gateway)
    environment.write_many(f"{n}" for n in range(7000))
    await railway.listen_again()
    await sink.message("6999")

    assert sink.messages == ["first", *(f"{n}" for n in range(7000))]
    assert "gap" not in sink.notices
    if reconnect:
        await sink.until(lambda: "live" in sink.notices)
        assert sink.data("live") == [{"backfilled": 7000}]


async def test_u20_the_hole_before_the_very_first_batch_is_fetched_too(
    environment: Environment, follow: Any
) -> None:
    sink = follow()
    await sink.state("live")

    environment.write_many(f"{n}" for n in range(6000))
    await sink.message("5999")

    assert sink.messages == [f"{n}" for n in range(6000)]


async def test_u20_a_hole_that_cannot_be_had_is_declared_in_its_place(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    first = environment.write("first")
    sink = follow()
    await sink.state("live")

    railway.faults.query_error = "Problem processing request"
    rows = environment.write_many(f"{n}" for n in range(5001))
    await sink.message("5000")

    assert sink.messages[:2] == ["first", "1"]
    assert sink.log[1][0] == "gap"
    (gap,) = sink.data("gap")
    assert (gap["to"], gap["reason"]) == (rows[1].timestamp, "outage")
    assert gap["from"] <= first.timestamp  # late rows of an overlap before the newest one may be missing too


async def test_u20_a_hole_beyond_the_budget_is_a_limit(
    environment: Environment, open_gateway: Any, follow: Any
) -> None:
    environment.write("first")
    sink = follow(await open_gateway(budget=Budget(per_hour=2, per_second=1000)))
    await sink.state("live")

    environment.write_many(f"{n}" for n in range(5001))
    await sink.message("5000")

    assert [gap["reason"] for gap in sink.data("gap")] == ["limit"]


async def test_u20_a_failure_that_passes_leaves_no_gap(
    railway: StandIn, environment: Environment, follow: Any
) -> None:
    environment.write("first")
    sink = follow()
    await sink.state("live")

    railway.faults.http = (503, {}, "down", 2)
    environment.write_many(f"{n}" for n in range(6000))
    await sink.message("5999")

    assert sink.messages == ["first", *(f"{n}" for n in range(6000))]
    assert sink.notices == []


async def test_u20_a_hole_is_seen_to_be_fetched(environment: Environment, follow: Any) -> None:
    first = environment.write("first")
    sink = follow()
    await sink.state("live")

    rows = environment.write_many(f"{n}" for n in range(8000))
    await sink.message("7999")

    end = rows[3000].ns  # the oldest row of the frame
    beginning, *steps, over = sink.progressed
    assert beginning[0] == 0
    assert beginning[1][0] <= first.ns  # late rows may lie an overlap before the newest one
    assert beginning[1][1] == end
    assert over == (3000, None)
    counts = [fetched for fetched, _ in steps]
    starts = [missing[0] for _, missing in steps if missing]
    assert steps
    assert counts == sorted(counts)
    assert starts == sorted(starts)
    assert starts[-1] == end


async def test_u21_a_replay_is_recognised(railway: StandIn, environment: Environment, follow: Any) -> None:
    environment.write_many(f"{n}" for n in range(50))
    sink = follow()
    await sink.state("live")

    for _ in range(3):
        await lose(railway, sink)
    environment.write("new")
    await sink.message("new")

    assert sink.messages == [*(f"{n}" for n in range(50)), "new"]
    assert [data["backfilled"] for data in sink.data("live")] == [0, 0, 0]
    overlapped = [asked.variables["beforeDate"] for asked in railway.journal.subscribes]
    assert all(stamp < environment.rows[0].timestamp for stamp in overlapped)
