"""Hardening: what callers and Railway know as secrets stands in no line of a relay's log at DEBUG, and in no answer."""

import asyncio
import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
from process_harness import Served, served

from logrelay.standin import StandIn, World

DEBUG = {"LOGRELAY_LOG_LEVEL": "debug"}


class Secrets:
    """A unique word for each door that it is shown at."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}

    def at(self, door: str) -> str:
        return self.shown.setdefault(door, f"s3cr3t-{len(self.shown):03}-zq")

    def found_in(self, text: str) -> list[str]:
        """The doors whose word stands in a text."""
        return [door for door, word in self.shown.items() if word in text]


async def raw(relay: Served, *head: str) -> str:
    """The answer to a request that no library would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.relay.port)
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    async with asyncio.timeout(10):
        answer = (await reader.readuntil(b"\r\n\r\n")) + await reader.read(300)
    writer.transport.abort()
    return answer.decode()


BROKEN = (
    "GET {path}?ticket={query} HTTP/1.1|Authorization: Bearer {header}\0",
    "GET {path}?ticket={query} HTTP/1.1|Authorization : Bearer {header}",
    "GET {path}?ticket={query} HTTP/7.7|Authorization: Bearer {header}",
    "GE\x01T {path}?ticket={query} HTTP/1.1|Authorization: Bearer {header}",
    "GET http://[{query} HTTP/1.1|Authorization: Bearer {header}",
    "GET {path}?ticket={query}{long} HTTP/1.1|Authorization: Bearer {header}",
    "GET {path}?ticket={query} HTTP/1.1|Authorization: Bearer {header}{long}",
    "POST {path}?ticket={query} HTTP/1.1|Authorization: Bearer {header}|Content-Length: {header}",
    "POST {path}?ticket={query} HTTP/1.1|Content-Length: 3|Transfer-Encoding: chunked|X-Api-Key: {header}",
)


async def test_what_cannot_be_parsed_is_told_to_nobody(railway: StandIn, tmp_path: Path) -> None:
    secrets = Secrets()
    path = f"/api/environments/{railway.world.environment.id}/logs/stream"
    async with served(railway, tmp_path, **DEBUG) as relay:
        for count, broken in enumerate(BROKEN, start=1):
            shown = {"query": secrets.at(f"query {count}"), "header": secrets.at(f"header {count}")}
            first, *headers = broken.format(path=path, long="x" * 9000, **shown).split("|")

            answer = await raw(relay, first, "Host: 127.0.0.1", "Connection: close", *headers)

            assert answer.startswith(("HTTP/1.1 400", "HTTP/1.0 400")), broken
            assert json.loads(answer.partition("\r\n\r\n")[2])["error"]["code"] == "bad_request"
            assert secrets.found_in(answer) == []
            await relay.child.until_said(count, message="request unreadable")
    assert secrets.found_in(relay.child.text) == []


async def test_what_callers_show_and_say_is_in_no_line_of_the_log(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    secrets = Secrets()
    token = base64.urlsafe_b64encode(secrets.at("subprotocol, decoded").encode()).decode().rstrip("=")
    secrets.shown["subprotocol"] = token
    path = f"/api/environments/{world.environment.id}/logs/stream"
    async with served(railway, tmp_path, **DEBUG) as relay, relay.relay.viewer() as viewer:
        await viewer.until_said("connected")
        base, session = relay.relay.base, relay.relay.session
        answers: list[str] = []
        for protocols in (("logrelay.v1", f"bearer.{token}"), (f"bearer.{token}",)):
            async with session.ws_connect(
                base + path,
                protocols=protocols,
                params={"tail": "0", "search": secrets.at("search"), "services": secrets.at("services")},
                headers={
                    "Authorization": f"Bearer {secrets.at('authorization')}",
                    "User-Agent": secrets.at("user agent"),
                    "Referer": f"https://x.example/?token={secrets.at('referer')}",
                    "X-Forwarded-For": secrets.at("address"),
                },
            ) as socket:
                answers += await conversation(socket, secrets)
        for name in ("ticket", "token", "access_token", "lastId", "lastTimestamp", "severity"):
            async with session.ws_connect(base + path, params={name: secrets.at(name)}) as socket:
                answers += await conversation(socket, secrets)
        for what in (
            {"Cookie": f"session={secrets.at('cookie')}"},
            {"Origin": f"https://{secrets.at('origin')}"},
        ):
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                async with session.ws_connect(base + path, headers=what) as socket:
                    answers += await conversation(socket, secrets)
        for asked in (f"/{secrets.at('path')}", f"/api/environments/{secrets.at('environment')[:64]}/logs"):
            async with session.get(f"{base}{asked}", params={"token": secrets.at("plain query")}) as answer:
                answers.append(str(answer.headers) + await answer.text())
        for asked in ("/readyz", "/metrics"):
            async with session.get(f"{base}{asked}") as answer:
                answers.append(await answer.text())
        await railway.faults.error(f"no such thing: {secrets.at('what Railway says')}")
        await viewer.until_said("live")
        await railway.faults.send_raw(json.dumps({"type": "?", "payload": secrets.at("what Railway sends")}))
        await viewer.until_said("live", 2)
        world.environment.write(f"a line with {secrets.at('record')}")
        await viewer.until_lines(1)

        answers.append(json.dumps([*viewer.notices, *viewer.others]))
        echoed = {"search", "services"}  # a filter is told to the one whose it is, as it was understood
        assert {*secrets.found_in("".join(answers))} <= echoed
        # It would be found: the relay says a lot of all this.
        assert len(relay.child.said(message="stream closed")) >= 8
    assert secrets.found_in(relay.child.text) == []


async def conversation(socket: aiohttp.ClientWebSocketResponse, secrets: Secrets) -> list[str]:
    """Say this and that, and take what comes for an answer."""
    said: list[str] = []
    sayings: list[dict[str, Any]] = [
        {"type": "auth", "token": secrets.at("auth message")},
        {"type": "filter", "search": f'"{secrets.at("open quote")}'},
        {"type": secrets.at("type")},
    ]
    with contextlib.suppress(ConnectionError):
        for saying in sayings:
            await socket.send_json(saying)
        await socket.send_str(f"{{{secrets.at('no JSON')}")
        await socket.send_json({"type": "ping", "id": "the last"})
    async with asyncio.timeout(10):
        async for message in socket:  # until the last is answered, or the connection is ended
            said.append(str(message.data))
            if '"pong"' in message.data:
                break
    await socket.close(message=secrets.at("close reason").encode())
    return said
