"""What /metrics says is what has happened: the whole relay on loopback, scraped as Prometheus would."""

import asyncio
import base64
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Self

import aiohttp
import attrs
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.samples import Sample

sys.path.insert(0, str(pathlib.Path(__file__).parent / "system"))

from conftest_system import DEADLINE, Relay, _nothing_left, railway, relay, relaying, until, world

from logrelay.errors import CloseCode, Disconnect
from logrelay.lag import BOUNDS, Lag
from logrelay.metrics import Metrics, Sources
from logrelay.railway.gateway import Credential, Gateway
from logrelay.relay.hub import Hubs
from logrelay.relay.records import Notice
from logrelay.relay.upstream import STATES, Delivered
from logrelay.standin import StandIn, World
from logrelay.web.counts import StreamCounts

__all__ = ["_nothing_left", "railway", "relay", "world"]  # fixtures

FOREIGN = "https://foreign-origin.example"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@attrs.frozen
class Scrape:
    """One answer of /metrics, as Prometheus' own parser reads it."""

    text: str
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    types: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> Self:
        families = list(parser.text_string_to_metric_families(text))
        found = [(_named(sample), sample.value) for family in families for sample in family.samples]
        assert len(dict(found)) == len(found), "a series stands twice"
        return cls(text, dict(found), {family.name: family.type for family in families})

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def by(self, label: str, name: str) -> dict[str, float]:
        """The values of a metric that aren't 0, by one of its labels."""
        found = ((dict(labels)[label], value) for (of, labels), value in self.samples.items() if of == name)
        return {key: value for key, value in found if value}


def _named(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())


async def scrape(relay: Relay) -> Scrape:
    async with relay.session.get(relay.base + "/metrics") as answer:
        assert answer.status == 200
        return Scrape.of(await answer.text())


async def refused(relay: Relay, environment_id: str, **headers: str) -> int:
    """The status with which a handshake is refused."""
    path = f"{relay.base}/api/environments/{environment_id}/logs/stream"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await relay.session.ws_connect(path, headers=headers)
    return caught.value.status


def metrics(**sources: object) -> Metrics:
    """Metrics of nothing, but for the sources given."""
    nothing = {
        "hubs": Hubs(lambda _: pytest.fail("nobody comes")),
        "gateway": Gateway(Credential("of-nobody")),
        "streams": StreamCounts(),
        "lag": Lag(),
        "dropped_lines": int,
    }
    return Metrics(Sources(**nothing | sources))  # type: ignore[arg-type]


@attrs.define
class Served:
    sent: int = 0
    lost: int = 0
    written: int = 0


# -- the whole relay ---------------------------------------------------------------------------------------------


async def test_the_numbers_are_those_of_what_has_happened(
    world: World, railway: StandIn, relay: Relay
) -> None:
    here = {"environment": relay.environment_id}
    world.environment.write_many(["one", "two", "three"])
    async with relay.viewer(tail=10) as viewer:
        await viewer.until_lines(3)
        await railway.faults.reset()
        await viewer.until_said("live")
        world.environment.write("four")
        await viewer.until_lines(4)
        assert await refused(relay, relay.environment_id, Origin=FOREIGN) == 403
        async with relay.viewer("some-other-environment") as stranger:
            await until(lambda: stranger.socket.closed, "refused")

        now = await scrape(relay)

        assert now.value("logrelay_clients") == 1
        assert now.value("logrelay_streams_opened_total") == 1
        assert now.by("error", "logrelay_streams_refused_total") == {
            "origin_not_allowed": 1,
            "not_allowed": 1,
        }
        assert now.by("code", "logrelay_streams_closed_total") == {}
        assert now.value("logrelay_records_sent_total") == 4
        assert now.value("logrelay_records_lost_total") == 0
        assert now.value("logrelay_viewers", **here) == 1
        assert now.value("logrelay_history_records", **here) == 6  # with what was said of the loss
        assert now.value("logrelay_history_bytes", **here) == next(iter(relay.hubs)).history.bytes
        assert now.value("logrelay_upstream_records_total", **here) == 4
        assert now.value("logrelay_upstream_losses_total", **here) == 1
        assert now.by("kind", "logrelay_upstream_ends_total") == {"transient": 1}
        assert now.by("state", "logrelay_upstream_state") == {"live": 1}
        assert now.by("reason", "logrelay_upstream_gaps_total") == {}
        assert now.value("logrelay_railway_queries_total") == len(railway.journal.queries) > 0
        assert now.value("logrelay_railway_query_budget") == 1000
        assert 1000 - len(railway.journal.queries) <= now.value("logrelay_railway_query_budget_left") < 1000
        last_frame = now.value("logrelay_upstream_last_frame_timestamp_seconds", **here)
        assert time.time() - 60 < last_frame <= time.time()

    await until(lambda: not relay.streams.clients, "nobody is left")
    after = await scrape(relay)
    assert after.value("logrelay_clients") == 0
    assert after.value("logrelay_streams_opened_total") == 1
    assert after.by("code", "logrelay_streams_closed_total") == {"1000": 1}
    assert after.value("logrelay_records_sent_total") == 4
    assert after.value("logrelay_sent_bytes_total") >= now.value("logrelay_sent_bytes_total")


async def test_the_bytes_are_those_that_came_out_of_the_socket(world: World, relay: Relay) -> None:
    world.environment.write_many([f"line {number}" for number in range(200)])
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    key = base64.b64encode(os.urandom(16)).decode()
    path = f"/api/environments/{relay.environment_id}/logs/stream?tail=1000"
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(DEADLINE):
            await reader.readuntil(b"\r\n\r\n")
            got = b""
            while b'"line 199"' not in got:
                got += await reader.read(1 << 16)
            said = (await scrape(relay)).value("logrelay_sent_bytes_total")
            got += await reader.readexactly(max(0, int(said) - len(got)))

        assert said == len(got)
    finally:
        writer.transport.abort()


async def test_an_outage_shows_as_the_one_state_and_counts_once(railway: StandIn, relay: Relay) -> None:
    here = {"environment": relay.environment_id}
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        railway.faults.refuse_upgrade = (503, {}, "")
        await railway.faults.reset()

        async with asyncio.timeout(DEADLINE):
            # Each look is a request, in which the loop goes on.
            while (away := await scrape(relay)).value("logrelay_upstream_ends_total", kind="transient") < 3:
                pass

        states = {state: away.value("logrelay_upstream_state", state=state, **here) for state in STATES}
        assert states == dict.fromkeys(STATES, 0.0) | {"reconnecting": 1.0}
        assert away.value("logrelay_upstream_losses_total", **here) == 1
        railway.faults.refuse_upgrade = None
        await viewer.until_said("live")
        assert (await scrape(relay)).by("state", "logrelay_upstream_state") == {"live": 1}


async def test_what_railway_has_dropped_is_counted_as_missing(world: World, relay: Relay) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        world.environment.write(
            "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the "
            "logging rate. Messages dropped: 7"
        )
        await viewer.until_said("gap")

        now = await scrape(relay)

    assert now.by("reason", "logrelay_upstream_gaps_total") == {"upstream_dropped": 1}
    assert now.value("logrelay_upstream_missing_records_total", environment=relay.environment_id) == 7


async def test_a_secret_struck_out_of_a_record_counts_for_its_rule(world: World, relay: Relay) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        world.environment.write("GET https://user:made-up-password-1234@db.example/ failed")
        await viewer.until_lines(1)

        now = await scrape(relay)

    assert "made-up-password" not in viewer.lines[0]
    assert sum(now.by("rule", "logrelay_redactions_total").values()) == viewer.records[0]["redacted"] == 1
    assert "made-up-password" not in now.text


async def test_an_environment_without_a_hub_has_no_series(relay: Relay) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        assert relay.environment_id in (await scrape(relay)).text

    await until(lambda: not list(relay.hubs), "the hub ends a while after its last viewer")
    assert relay.environment_id not in (await scrape(relay)).text


async def test_two_applications_in_one_process_count_apart(railway: StandIn) -> None:
    async with relaying(railway) as one, relaying(railway) as other, one.viewer() as viewer:
        await viewer.until_said("connected")

        assert (await scrape(one)).value("logrelay_streams_opened_total") == 1
        assert (await scrape(other)).value("logrelay_streams_opened_total") == 0


async def test_nothing_that_a_caller_says_and_no_secret_is_in_them(world: World, relay: Relay) -> None:
    world.environment.write("message-of-a-record")
    async with relay.viewer(tail=1, services="service-of-a-filter", search="word-of-a-filter") as viewer:
        await viewer.until_said("connected")
        await viewer.socket.send_json({"type": "unknown-type-of-a-message"})
        async with relay.viewer("id-of-no-environment") as stranger:
            await until(lambda: stranger.socket.closed, "refused")
        assert await refused(relay, relay.environment_id, Origin=FOREIGN) == 403
        await until(lambda: viewer.others, "the message was answered")

        text = (await scrape(relay)).text

    for said in ("message-of", "-of-a-", "id-of-no", "foreign-origin", "127.0.0.1", world.account_token):
        assert said not in text


async def test_p5_a_stall_of_the_event_loop_shows_in_its_lag(relay: Relay) -> None:
    async def late(by: str) -> float:
        now = await scrape(relay)
        name = "logrelay_event_loop_lag_seconds"
        return now.value(f"{name}_count") - now.value(f"{name}_bucket", le=by)

    async def watched() -> bool:
        return (await scrape(relay)).value("logrelay_event_loop_lag_seconds_count") > 0

    async with asyncio.timeout(DEADLINE):
        while not await watched():
            pass  # each look is a request, in which the loop goes on
        assert await late("0.5") == 0

        time.sleep(1.0)  # noqa: ASYNC251 the stall

        while not await late("0.5"):
            pass
    assert await late("2.5") == 0


# -- the format --------------------------------------------------------------------------------------------------


async def test_they_stand_at_the_root_and_under_the_base_path_also_for_head(railway: StandIn) -> None:
    async with relaying(railway, {"LOGRELAY_BASE_PATH": "/logs"}) as relay:
        for path in ("/metrics", "/logs/metrics"):
            async with relay.session.get(relay.base + path) as answer:
                assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "logrelay_build_info{version=" in await answer.text()
            async with relay.session.head(relay.base + path) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
            async with relay.session.post(relay.base + path) as answer:
                assert answer.status == 405


async def test_no_page_of_another_origin_reads_them(railway: StandIn) -> None:
    page = "https://app.example"
    async with relaying(railway, {"LOGRELAY_ALLOWED_ORIGINS": page}) as relay:
        async with relay.session.get(relay.base + "/healthz", headers={"Origin": page}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == page
        async with relay.session.get(relay.base + "/metrics", headers={"Origin": page}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_openmetrics_is_what_one_who_asks_for_it_gets(relay: Relay) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        async with relay.session.get(relay.base + "/metrics", headers={"Accept": OPENMETRICS}) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")
            families = list(openmetrics_parser.text_string_to_metric_families(await answer.text()))

    plain = await scrape(relay)
    assert {family.name for family in families} <= {name.removesuffix("_info") for name in plain.types}
    assert {family.type for family in families} == {"info", "gauge", "counter", "histogram"}


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        "text/plain;version=x",
        f"{OPENMETRICS}x",
        "text/plain;version=1.0.0;escaping=\udcff",
    ],
)
def test_whatever_is_accepted_something_that_can_be_read_is_given(accept: str) -> None:
    kind, body = metrics().exposed(accept)

    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert Scrape.of(body.decode()).value("logrelay_streams_opened_total") == 0


async def test_names_and_texts_are_as_prometheus_wants_them(relay: Relay) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        now = await scrape(relay)

    assert all(name.startswith(("logrelay_", "process_")) for name in now.types)
    counters = {name for name, kind in now.types.items() if kind == "counter"}
    assert {name for name, _ in now.samples if name.endswith("_total")} <= {
        f"{name}_total" for name in counters
    }
    assert not {name for name, kind in now.types.items() if kind == "gauge" and name.endswith("_total")}


async def test_every_metric_stands_in_the_readme(relay: Relay) -> None:
    readme = (pathlib.Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    section = readme.partition("### Metrics")[2].partition("\n#")[0]
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        now = await scrape(relay)

    counted = {f"{name}_total" if kind == "counter" else name for name, kind in now.types.items()}
    ours = {name.removeprefix("logrelay_") for name in counted if name.startswith("logrelay_")}

    assert ours
    assert not {name for name in ours if f"`{name}`" not in section}


async def test_promtool_finds_nothing_to_say(world: World, railway: StandIn, relay: Relay) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, which Debian's package prometheus brings, is not here")
    world.environment.write("hello")
    async with relay.viewer(tail=1) as viewer:
        await viewer.until_lines(1)
        text = (await scrape(relay)).text

    process = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(text.encode())

    assert (process.returncode, said.decode()) == (0, "")


# -- what is counted ---------------------------------------------------------------------------------------------


def test_a_sum_of_streams_never_goes_back_when_one_ends() -> None:
    live = [Served(sent=5, lost=2, written=100), Served(sent=1, lost=0, written=10)]
    counts = StreamCounts(live)
    assert (counts.records_sent, counts.records_lost, counts.bytes_sent) == (6, 2, 110)

    counts.ended(live.pop(0), Disconnect(CloseCode.TOO_SLOW))

    assert (counts.records_sent, counts.records_lost, counts.bytes_sent) == (6, 2, 110)
    assert counts.closed == {4408: 1}


def test_words_that_are_in_no_closed_set_become_other() -> None:
    counts = StreamCounts()
    counts.refused["<script>"] += 2
    counts.refused["expired"] += 1
    counts.closed[4999] += 1
    counts.auth["jwt", "granted"] += 3
    counts.auth["a subject's name", "granted"] += 1
    counts.auth["token", "because of x"] += 1

    now = Scrape.of(metrics(streams=counts).exposed()[1].decode())

    assert now.by("error", "logrelay_streams_refused_total") == {"other": 2, "expired": 1}
    assert now.by("code", "logrelay_streams_closed_total") == {"other": 1}
    judged = {key: value for key, value in now.samples.items() if key[0] == "logrelay_authentications_total"}
    assert {tuple(sorted(labels)): value for (_, labels), value in judged.items()} == {
        (("mode", "jwt"), ("outcome", "granted")): 3,
        (("mode", "other"), ("outcome", "granted")): 1,
        (("mode", "token"), ("outcome", "other")): 1,
    }


def test_redactions_are_told_by_rule_and_dropped_lines_in_all() -> None:
    body = metrics(redactions=lambda: {"jwt": 2, "bearer": 1}, dropped_lines=lambda: 9).exposed()[1]

    now = Scrape.of(body.decode())

    assert now.by("rule", "logrelay_redactions_total") == {"bearer": 1, "jwt": 2}
    assert now.value("logrelay_log_lines_dropped_total") == 9


def test_every_known_word_stands_at_zero_before_it_is_counted() -> None:
    now = Scrape.of(metrics().exposed()[1].decode())

    assert now.value("logrelay_streams_refused_total", error="origin_not_allowed") == 0
    assert now.value("logrelay_streams_closed_total", code="4408") == 0
    assert now.value("logrelay_upstream_ends_total", kind="refused") == 0


def test_a_seeds_records_and_gaps_are_counted_as_well() -> None:
    delivered = Delivered()

    delivered.add(
        [
            Notice("gap", {"reason": "unreadable", "count": 3}, 0),
            Notice("gap", {"reason": "limit", "count": None}, 0),
        ]
    )

    assert (delivered.gaps, delivered.missing) == ({"unreadable": 1, "limit": 1}, 3)


def test_a_look_counts_in_the_first_bound_that_it_does_not_pass() -> None:
    lag = Lag()
    for late in (-0.001, 0.005, 0.006, 99.0):
        lag.note(late)

    counted = dict(lag.cumulated())

    assert (counted[0.005], counted[0.01], counted[BOUNDS[-1]], lag.looks) == (2, 3, 3, 4)
    assert lag.last == 99.0
    assert lag.total == pytest.approx(99.011)
