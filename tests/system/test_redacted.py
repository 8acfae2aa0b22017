"""A secret that a service writes into its log never reaches a viewer, by whatever way the line comes."""

import json
from pathlib import Path

from conftest_system import Relay, Viewer, relaying

from logrelay.standin import StandIn, World

# Made up, and put together here so that no scanner takes this file for a leak.
GITHUB = "gh" + "p_" + "A1b2" * 9
PASSWORD = "hun" + "ter2" + "hun" + "ter3"
BEARER = "s3cr" + "et0123" * 4
SECRETS = (GITHUB, PASSWORD, BEARER)


def write_secrets(world: World) -> None:
    world.environment.write(
        f"clone failed for {GITHUB} on shelf nine",
        attributes={
            "dsn": f"postgres://app:{PASSWORD}@db/shop",
            "request": {"headers": [{"name": "x", "value": f"Bearer {BEARER}"}], "path": "/v1"},
            "text": json.dumps({"inner": f"redis://:{PASSWORD}@cache"}),
        },
    )


def heard(viewer: Viewer) -> str:
    """All that a viewer was sent."""
    return json.dumps([viewer.records, viewer.notices, viewer.others], ensure_ascii=False)


def check_without_secrets(viewer: Viewer) -> None:
    (record,) = [record for record in viewer.records if "shelf nine" in record["message"]]
    assert record["message"] == "clone failed for [redacted:github] on shelf nine"
    assert record["redacted"] == 4
    assert record["attributes"]["dsn"] == "postgres://app:[redacted:url-password]@db/shop"
    assert record["attributes"]["request"] == {
        "headers": [{"name": "x", "value": "Bearer [redacted:bearer]"}],
        "path": "/v1",
    }
    assert json.loads(record["attributes"]["text"]) == {"inner": "redis://:[redacted:url-password]@cache"}
    for secret in SECRETS:
        assert secret not in heard(viewer)


async def test_a_secret_reaches_no_viewer_live_from_the_history_or_from_the_past(
    world: World, railway: StandIn
) -> None:
    async with relaying(railway, {"LOGRELAY_HISTORY_RECORDS": "50"}) as relay:
        async with relay.viewer() as live:
            await live.until_said("connected")
            world.environment.write("before")
            write_secrets(world)
            await live.until_lines(2)
            async with relay.viewer(tail=10) as replayed:
                await replayed.until_lines(2)
            for count in range(22, 203, 20):  # so few at a time that the small history loses nobody
                world.environment.write_many([f"filler {number}" for number in range(20)])
                await live.until_lines(count)
        async with relay.viewer(lastId=live.ids[0]) as resumed:
            await resumed.until_lines(201)

        assert resumed.said("connected")[0]["data"]["resume"] == {"outcome": "backfilled"}
        for viewer in (live, replayed, resumed):
            check_without_secrets(viewer)
        # What was taken out doesn't change who the record is.
        assert resumed.ids == live.ids[1:]


async def test_a_search_for_a_secret_finds_nothing_and_the_rest_of_the_line_stays_searchable(
    world: World, railway: StandIn, relay: Relay
) -> None:
    write_secrets(world)
    async with (
        relay.viewer(tail=10) as everything,
        relay.viewer(tail=10, search=f'"{GITHUB}"') as secret,
        relay.viewer(tail=10, search='"shelf nine"') as rest,
    ):
        await everything.until_lines(1)
        write_secrets(world)
        await everything.until_lines(2)
        await rest.until_lines(2)
        # What comes after shows that the search has seen all of it.
        world.environment.write("the end")
        await secret.socket.send_json({"type": "filter", "search": "end", "replay": 10})
        await secret.until_lines(1)

        assert secret.lines == ["the end"]


async def test_pairs_and_own_rules_are_redacted_where_they_are_switched_on(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("# ours\ncustomer  cus_(?P<secret>[0-9]+)\n", encoding="utf-8")
    changes = {"LOGRELAY_REDACT_PAIRS": "true", "LOGRELAY_REDACT_RULES_FILE": str(rules)}
    async with relaying(railway, changes) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        world.environment.write(
            f"password={PASSWORD} for cus_4711", attributes={"apiKey": PASSWORD, "customer": "cus_4712"}
        )
        await viewer.until_lines(1)

        assert viewer.lines == ["password=[redacted:pair] for cus_[redacted:customer]"]
        attributes = viewer.records[0]["attributes"]
        assert (attributes["apiKey"], attributes["customer"]) == (
            "[redacted:pair]",
            "cus_[redacted:customer]",
        )
        assert viewer.records[0]["redacted"] == 4


async def test_nothing_is_redacted_where_that_is_switched_off(world: World, railway: StandIn) -> None:
    changes = {"LOGRELAY_REDACT": "false", "LOGRELAY_REDACT_PAIRS": "true"}
    async with relaying(railway, changes) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        write_secrets(world)
        await viewer.until_lines(1)

        assert all(secret in heard(viewer) for secret in SECRETS)
        assert "redacted" not in viewer.records[0]


async def test_redactions_are_counted_by_rule_in_the_metrics(
    world: World, railway: StandIn, relay: Relay
) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        write_secrets(world)
        await viewer.until_lines(1)

        async with relay.session.get(f"{relay.base}/metrics") as answer:
            told = await answer.text()
        async with relay.session.get(f"{relay.base}/readyz") as answer:
            told += await answer.text()

    assert 'logrelay_redactions_total{rule="github"} 1.0' in told
    assert 'logrelay_redactions_total{rule="url-password"} 2.0' in told
    assert not [secret for secret in SECRETS if secret in told]
