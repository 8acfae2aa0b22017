"""Hostile lines, names and relays in a real terminal's viewer: only colours reach its output."""

import json
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from conftest_system import relaying
from injection_children import running
from injection_corpus import LINES, NAMES, harm, sendable

from logrelay.standin import Line, StandIn, World

AT_LEAST = 200  # lines
LAST = "the very last line"
STAMP = "2026-11-23T03:21:30.033333123Z"


def numbered() -> list[Line]:
    """The corpus, each line between two marks that have to be seen: alone, and with hostile attributes behind it."""
    lines = []
    for number, text in enumerate(LINES):
        marked = f"<{number}>{text}</{number}>"
        lines += [Line(marked), Line(marked, attributes={f"a{text[:30]}": text[:200]})]
    return [*lines, Line(LAST)]


@pytest.mark.parametrize("colour", ["always", "never"])
async def test_only_colours_of_hostile_lines_reach_the_terminal(
    world: World, railway: StandIn, colour: str
) -> None:
    hostile = world.add_environment("prod \x1b]0;x\x07\u202e", services=("api", *NAMES[:100]))
    hostile.write_many([Line("by name", service=name) for name in NAMES[:100]])
    hostile.write_many(numbered())
    async with relaying(railway, {"LOGRELAY_ENVIRONMENTS": hostile.id}) as relay:
        command = ("tail", hostile.id, "--url", relay.base, "--color", colour, "-n", "1000")
        async with running(*command) as child:
            await child.until(lambda: LAST.encode() in child.out)
            await child.end(signal.SIGINT)

    sys.stdout.write(f"{len(LINES)} hostile lines and 100 hostile names on a terminal\n")
    assert harm(child.shown, colour=colour == "always") == []
    assert harm(child.noted, colour=colour == "always") == []
    for number in range(len(LINES)):
        assert child.shown.count(f"<{number}>") == 2
        assert child.shown.count(f"</{number}>") == 2
    assert ("\x1b[31mred" in child.shown) is (colour == "always")


async def test_as_json_each_hostile_line_is_one_harmless_line(world: World, railway: StandIn) -> None:
    world.environment.write_many([*LINES, LAST])
    async with relaying(railway) as relay:
        command = ("tail", relay.environment_id, "--url", relay.base, "--json", "-n", "1000")
        async with running(*command) as child:
            await child.until(lambda: LAST.encode() in child.out)
            await child.end(signal.SIGINT)

    assert harm(child.shown, colour=False) == []
    records = [json.loads(line) for line in child.shown.split("\n") if line]
    assert [record["message"] for record in records] == [sendable(text) for text in [*LINES, LAST]]


# -- relays that are hostile themselves --------------------------------------------------------------------


def hostile_messages(text: str) -> list[object]:
    """Messages with hostile text wherever a text can be."""
    record = dict.fromkeys(
        (
            "id",
            "timestamp",
            "severity",
            "message",
            "serviceId",
            "serviceName",
            "deploymentId",
            "kind",
            "late",
            "size",
        ),
        text,
    )
    return [
        {"type": "status", "message": "connected", "data": {
            "environmentName": text, "environmentId": text, "services": [{"id": text, "name": text}],
            "upstream": {"state": text},
            "filter": {"unknownServices": [text]},
            "resume": {"outcome": text, "reason": text, "from": text, "to": text},
        }},
        {"type": "log", "data": record | {"attributes": {text: text, "list": [text, {text: text}]}, "truncated": True}},
        {"type": "log", "data": {"message": {text: text}, "attributes": text, "serviceName": [text]}},
        {"type": "logs", "data": [text, record]},
        {"type": "status", "message": text, "data": {text: text}},
        {"type": "status", "message": "gap", "data": {"from": text, "to": text, "count": text, "reason": text}},
        {"type": "status", "message": "reconnecting", "data": {"reason": text}},
        {"type": "status", "message": "lost", "data": {"count": text, "from": text, "to": text}},
        {"type": "heartbeat", "timestamp": text, "data": {"lastId": text}},
        {"type": "error", "code": text, "message": text, "retryable": text},
        {"type": text, "message": text}, text, [text], {text: text},
    ]  # fmt: skip


class Hostile:
    """A relay that sends what it is told to, and then ends for good."""

    def __init__(self) -> None:
        self.answer: web.Response | None = None
        self.messages: list[object] = []
        self.error: object = None
        self.reason = b""
        self.base = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.answer is not None:
            return self.answer
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in self.messages:
            await socket.send_str(json.dumps(message))
        await socket.send_str(json.dumps({"type": "error", "code": self.error, "message": self.error}))
        await socket.close(code=4400, message=self.reason)
        return socket


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    relay = Hostile()
    application = web.Application()
    application.router.add_get("/{tail:.*}", relay.handle)
    async with TestServer(application) as server:
        relay.base = str(server.make_url("/")).rstrip("/")
        yield relay


async def watched(hostile: Hostile, *options: str) -> tuple[str, str]:
    """What the viewer writes to stdout and stderr until the relay ends it."""
    command = ("tail", "env-1", "--url", hostile.base, "--no-reconnect", "--color", "always", *options)
    async with running(*command) as child:
        assert await child.ended() == 1
    return child.shown, child.noted


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
async def test_a_hostile_relay_gets_only_colours_to_the_terminal(
    hostile: Hostile, options: tuple[str, ...]
) -> None:
    hostile.messages = [message for text in LINES if len(text) < 1000 for message in hostile_messages(text)]
    hostile.error = "".join(NAMES)
    hostile.reason = "\x1b]0;x\x07\u202e".encode()

    shown, noted = await watched(hostile, *options)

    assert harm(shown, colour=not options) == []
    assert harm(noted, colour=True) == []
    assert len(shown.split("\n")) > AT_LEAST


ATTACK = "\x1b]0;x\x07\x9b2J\u202e\u200b\r\nforged"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403, "text": json.dumps({"error": {"code": ATTACK, "message": ATTACK}})},
        {"status": 403, "text": ATTACK},
        {"status": 403, "text": json.dumps({"error": ATTACK})},
        {"status": 200, "text": ATTACK, "reason": "fine"},
        {"status": 302, "headers": {"Location": "http://127.0.0.1/%1b]0;x%07/\x9b2J"}},
        {"status": 302, "headers": {"Location": "http://\u202ex.example/\u202e"}},
    ],
    ids=["json", "text", "odd json", "success", "redirect", "redirect to a turned name"],
)
async def test_a_hostile_refusal_gets_nothing_to_the_terminal(
    hostile: Hostile, answer: dict[str, object]
) -> None:
    hostile.answer = web.Response(**answer)  # type: ignore[arg-type] # as the cases have it

    shown, noted = await watched(hostile)

    assert shown == ""
    assert noted.startswith("logrelay tail: ")
    assert harm(noted, colour=False) == []
    assert "\nforged" not in noted


async def test_hostile_arguments_are_not_obeyed_either() -> None:
    async with running("tail", ATTACK, "--url", "http://127.0.0.1:1") as child:
        await child.ended()

    assert harm(child.shown + child.noted, colour=False) == []
