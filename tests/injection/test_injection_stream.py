"""Hostile lines and names through the relay: what a viewer gets is valid and says the same."""

import json
import sys

from conftest_system import relaying, until
from injection_corpus import LINES, NAMES, sendable

from logrelay.standin import Line, StandIn, World

AT_LEAST = 200


def attributes(text: str) -> dict[str, object]:
    """The text's beginning as an attribute's value, alone and nested, and as another's name."""
    short = text[:1000]
    return {"value": short, f"name {short}": 1, "nested": {"list": [short]}}


def same(value: object) -> object:
    """The value as a viewer gets it: with halves of characters, whose JSON not everyone could read, as JSON text."""
    written = json.dumps(value, separators=(",", ":"))
    value = json.loads(written)  # in which two halves that belong together are one character
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return written
    return value


async def test_every_hostile_line_is_valid_json_that_says_the_same(world: World, railway: StandIn) -> None:
    sys.stdout.write(f"{len(LINES)} hostile lines\n")
    assert len(LINES) >= AT_LEAST
    async with relaying(railway) as relay, relay.viewer() as viewer:
        await viewer.until_said("connected")
        world.environment.write_many([Line(text, attributes=attributes(text)) for text in LINES])
        await railway.flush()
        await viewer.until_lines(len(LINES))

        for text, record in zip(LINES, viewer.records, strict=True):
            assert record["message"] == sendable(text)
            wanted = {sendable(name): same(value) for name, value in attributes(text).items()}
            assert wanted.items() <= record["attributes"].items()
        assert viewer.others == []


async def test_every_hostile_line_is_the_same_by_a_replay_and_by_a_batch(
    world: World, railway: StandIn
) -> None:
    world.environment.write_many(LINES)
    async with relaying(railway) as relay:
        for batch in (0, 1):
            url = f"{relay.base}/api/environments/{relay.environment_id}/logs/stream?tail=1000&batch={batch}"
            async with relay.session.ws_connect(url) as socket:
                got: list[str] = []
                while len(got) < len(LINES):
                    message = json.loads(await socket.receive_str(timeout=10))
                    if message["type"] in ("log", "logs"):
                        records = message["data"] if batch else [message["data"]]
                        got += [record["message"] for record in records]
            assert got == [sendable(text) for text in LINES]


async def test_hostile_names_are_valid_json_and_services_are_found_by_them(
    world: World, railway: StandIn
) -> None:
    names = NAMES[:40] + NAMES[-40:]
    hostile = world.add_environment(f"production {NAMES[0]} \x1b]0;x\x07\u202e", services=names)
    async with (
        relaying(railway, {"LOGRELAY_ENVIRONMENTS": hostile.id}) as relay,
        relay.viewer(hostile.id) as viewer,
    ):
        await viewer.until_said("connected")
        hostile.write_many([Line("by name", service=name) for name in names])
        await railway.flush()
        await viewer.until_lines(len(names))

        assert [record["serviceName"] for record in viewer.records] == [sendable(name) for name in names]
        (connected,) = viewer.said("connected")
        assert connected["data"]["environmentName"] == hostile.name
        assert {service["name"] for service in connected["data"]["services"]} == set(map(sendable, names))
        await until(lambda: not viewer.others, "no error has come")
