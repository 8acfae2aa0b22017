"""The hunt for secrets: unique words through every door and every fault of a relay at DEBUG, and none comes out again.

What comes out is the relay's log and stderr, its metrics, health and readiness, and every answer, message and reason of
a close. What a caller is told of its own (a filter, a ping's id, its reconnect token) is no leak to itself; in the log
even that must not stand.
"""

import asyncio
import base64
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from conftest_system import Viewer, until
from process_harness import ROOT, SERVE, Served, environment, running, served
from promises_doors import broken, headers, messages, parameters, ticket_requests
from promises_hunt import DEADLINE, RECONNECT, Hunt, Knock, knock_at_all, upgrade
from promises_modes import (
    MODES,
    Make,
    Scene,
    forwarding,
    jwts_of_an_issuer_that_fails,
    nobody,
    tickets,
    tokens_in_a_file,
    with_tickets,
)

from logrelay import settings
from logrelay.standin import StandIn
from logrelay.web.tokens import digest_of

DOORS = 60  # at least, of each mode


@contextlib.asynccontextmanager
async def hunting(
    make: Make, railway: StandIn, folder: Path, *, least: int = DOORS, **changes: str
) -> AsyncIterator[tuple[Scene, Served, str]]:
    """A relay of a mode at DEBUG while inside; afterwards it has ended, and no word has come out."""
    world, hunt = railway.world, Hunt()
    world.account_token = hunt.at("Railway's token")
    world.tokens = {world.account_token}
    scene = Scene(hunt, world, folder)
    scene.file("railway", world.account_token)
    await make(scene)
    path = f"/api/environments/{world.environment.id}/logs/stream"
    async with scene.servers:
        given = {"LOGRELAY_LOG_LEVEL": "debug"} | scene.settings | changes
        async with served(railway, folder, **given) as relay:
            yield scene, relay, path
            await look_around(scene, relay)
            relay.child.signal(signal.SIGTERM)
            assert await relay.child.ended() == 0
    hunt.hear("the log", relay.child.text)
    sys.stdout.write(f"\n{make.__name__}: {len(hunt.words)} doors, {len(hunt.heard)} answers\n")
    assert relay.child.said(message="stopped")
    assert hunt.leaks() == []
    assert len(hunt.words) >= least


async def look_around(scene: Scene, relay: Served) -> None:
    """What anybody may ask."""
    for asked in ("/readyz", "/metrics", "/healthz"):
        async with relay.relay.session.get(f"{relay.relay.base}{asked}") as answer:
            scene.hunt.hear(asked, f"{answer.headers}{await answer.text()}")


@contextlib.asynccontextmanager
async def watching(scene: Scene, relay: Served, path: str) -> AsyncIterator[Viewer]:
    """Somebody who may look, as soon as there is something to see, and what they are told."""
    named = dict(header.split(": ", 1) for header in scene.good)
    async with contextlib.AsyncExitStack() as trying, asyncio.timeout(None) as patience:
        patience.reschedule(asyncio.get_running_loop().time() + DEADLINE)
        viewer = None
        while viewer is None or not viewer.said("connected"):
            await trying.aclose()
            socket = await relay.relay.session.ws_connect(
                f"{relay.relay.base}{path}", params={"tail": "0"}, headers=named
            )
            viewer = await trying.enter_async_context(Viewer(socket))
            await until(lambda: viewer.said("connected") or viewer.socket.closed, "an answer")  # noqa: B023
        patience.reschedule(None)
        yield viewer
    told = json.dumps([*viewer.notices, *viewer.others, *viewer.records, viewer.socket.close_code])
    scene.hunt.hear("a viewer's stream", told, RECONNECT, "ordinary line", "attribute of a line")


FIRST = (
    tokens_in_a_file,
    forwarding,
    tickets,
)  # one of each way to say who calls; the others are the second tier's
REST = [make for make in (*MODES, jwts_of_an_issuer_that_fails) if make not in FIRST]


@pytest.mark.parametrize(
    "make",
    [*FIRST, *(pytest.param(make, marks=pytest.mark.big) for make in REST)],
    ids=lambda make: make.__name__,
)
async def test_no_word_that_is_shown_at_a_door_comes_out_again(
    make: Make, railway: StandIn, tmp_path: Path
) -> None:
    async with hunting(make, railway, tmp_path) as (scene, relay, path):
        if make is tickets:
            await with_tickets(scene, relay, path)
        hunt, port = scene.hunt, relay.relay.port
        async with watching(scene, relay, path):
            said = await knock_at_all(port, hunt, headers(hunt, path))
            said += await knock_at_all(port, hunt, parameters(hunt, path, scene.good))
            said += await knock_at_all(port, hunt, messages(hunt, path, scene.good))
            said += await knock_at_all(port, hunt, [*broken(hunt, path), *scene.knocks(path)])
            said += await knock_at_all(port, hunt, ticket_requests(hunt, scene.secret, scene.environment))
            if scene.trouble is not None:
                await scene.trouble(relay)
        # They have been heard, and answered: some let in, others not.
        assert all(said)
        assert any(b'"connected"' in answer for answer in said)
        assert any(b'"type":"error","code":"unauthenticated"' in answer for answer in said) == scene.refused
        assert len(relay.child.said(message="request unreadable")) >= 9
        assert len(relay.child.said(message="stream closed")) >= 60


async def bad_upstream(scene: Scene, railway: StandIn, viewer: Viewer) -> None:
    """Railway's side of it, one fault after the other; each is over when a line comes through again."""
    at, faults, lines = scene.hunt.at, railway.faults, 0
    refusals = {
        "401": (401, {"WWW-Authenticate": at("challenge")}, json.dumps({"message": at("401 of Railway")}), 1),
        "403": (403, {"Content-Type": "text/html"}, f"<html>{at('403 of Railway')}</html>", 1),
        "429": (429, {"Retry-After": "0", "X-A": at("header of a 429")}, at("429 of Railway"), 1),
        "500": (500, {}, at("500 of Railway"), 1),
    }

    def blows() -> list[Callable[[], Awaitable[Any]]]:
        quoted = f"invalid token {scene.world.account_token}: {at('error of Railway')}"
        return [
            lambda: faults.error(quoted),
            lambda: faults.next_errors(at("errors beside rows"), []),
            lambda: faults.next_errors(at("errors without rows")),
            lambda: faults.send_raw(json.dumps({"type": at("type of a frame"), "payload": at("payload")})),
            lambda: faults.send_raw(at("frame that is no JSON")),
            lambda: faults.send_raw(at("binary frame").encode()),
            lambda: faults.send_raw(json.dumps([at("frame that is an array")])),
            lambda: faults.send_raw(json.dumps({"type": "error", "id": at("id of a frame"), "payload": []})),
            lambda: faults.close(4500, at("reason of a 4500")),
            lambda: faults.close(1011, at("reason of a 1011")),
            faults.cut_mid_frame,
        ]

    async def come_through() -> None:
        nonlocal lines
        lines += 1
        scene.world.environment.write(f"line {lines}")
        await until(lambda: f"line {lines}" in viewer.lines, f"line {lines}", within=20)

    await come_through()
    for blow in blows():
        await blow()
        await come_through()
    for refusal in refusals.values():
        for where in ("refuse_upgrade", "http"):
            setattr(faults, where, refusal)
            await faults.reset()
            await come_through()
            setattr(faults, where, None)
    faults.query_error = at("error of a query")
    await faults.reset()
    await come_through()
    faults.reset_all()
    await come_through()


def from_a_file(folder: Path) -> dict[str, str]:
    """Railway's token from a file, which holds it from the start."""
    return {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": str(folder / "railway")}


@pytest.mark.big
async def test_no_word_of_railways_comes_out_again(railway: StandIn, tmp_path: Path) -> None:
    async with hunting(nobody, railway, tmp_path, least=25, **from_a_file(tmp_path)) as (scene, relay, path):
        at, write = scene.hunt.at, scene.world.environment.write
        async with watching(scene, relay, path) as viewer:
            await bad_upstream(scene, railway, viewer)
            await look_around(scene, relay)
            write(at("ordinary line"), attributes={"path": at("attribute of a line")})
            write(
                f"Authorization: Bearer {at('bearer in a line')}",
                attributes={"url": f"https://u:{at('URL')}@h/"},
            )
            write("the last")
            await until(lambda: "the last" in viewer.lines, "the last line")
            # Refused for good, and everybody told so.
            railway.faults.redirect = f"{railway.url}?token={at('redirect of Railway')}"
            await railway.faults.reset()
            await until(lambda: viewer.socket.closed, "the refusal")
            await look_around(scene, relay)
        railway.faults.reset_all()
        # The file can't be read, is empty, or holds what no token is; then another token, as an operator changes it.
        for odd in ("", f"{at('no token')} x\n", f"{at('token on two lines')}\n{at('second line')}\n"):
            (tmp_path / "railway").write_text(odd)
            relay.child.signal(signal.SIGHUP)
            await look_around(scene, relay)
            await knock_at_all(relay.relay.port, scene.hunt, [Knock(upgrade(path))])
        (tmp_path / "railway").unlink()
        relay.child.signal(signal.SIGHUP)
        await look_around(scene, relay)
        scene.world.tokens = {at("new token of Railway")}
        (tmp_path / "railway").write_text(at("new token of Railway"))
        relay.child.signal(signal.SIGHUP)
        async with watching(scene, relay, path) as viewer:
            scene.world.tokens = set()
            await railway.faults.next_errors(f"Not Authorized: {at('refusal of Railway')}")
            await until(lambda: viewer.socket.closed, "the refusal")
            await look_around(scene, relay)
        assert len(relay.child.said(logger="logrelay.railway.feed")) > 10


async def failed_start(hunt: Hunt, folder: Path, variables: dict[str, str]) -> None:
    """A start that fails, with a line for each fault."""
    always = {"PYTHONPATH": str(ROOT), "LOGRELAY_LOG_LEVEL": "debug"}
    async with running(*SERVE, variables=environment(**always | variables), folder=folder) as child:
        code = await child.ended()
        said = await child.complained()
    hunt.hear(f"stderr of a start with {', '.join(sorted(variables))[:80]}", child.text)
    assert code == 2, child.text
    assert said
    assert all(line.startswith("logrelay: ") for line in said)


@pytest.mark.big
async def test_no_word_of_a_bad_setting_comes_out(tmp_path: Path) -> None:
    hunt = Hunt()
    at = hunt.at
    wrong = tmp_path / "wrong"
    wrong.write_text(f"{at('line of a file')}\n")
    every = {field.metadata["name"]: f"{at(field.metadata['name'])} \u00e9" for field in settings.fields()}
    fine = {"RAILWAY_API_TOKEN": at("token"), "LOGRELAY_ENVIRONMENTS": "*", "LOGRELAY_PORT": "0"}
    service = {"LOGRELAY_SERVICE_SECRET": at("service secret") + at("its rest")}
    starts = [
        every,
        fine | {"LOGRELAY_AUTH": "token", "LOGRELAY_TOKENS": f'{{"name":"{at("tokens")}"}}'},
        fine | {"LOGRELAY_AUTH": "token", "LOGRELAY_TOKENS_FILE": str(wrong)},
        fine | {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_SECRET": at("JWT secret")[:20]},
        fine | {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_JWKS_URL": f"http://x.example/{at('JWKS')}"},
        fine | {"LOGRELAY_AUTH": "ticket", "LOGRELAY_SERVICE_SECRET": at("short")[:20]},
        fine | service | {"LOGRELAY_REVOCATIONS_FILE": str(wrong)},
        fine | {"LOGRELAY_CA_FILE": str(wrong)},
    ]

    for (
        variables
    ) in starts:  # one by one: each has a deadline, which so many at once wouldn't keep on a busy machine
        await failed_start(hunt, tmp_path, variables)

    sys.stdout.write(f"\nfailed starts: {len(hunt.words)} doors, {len(hunt.heard)} answers\n")
    assert hunt.leaks() == []
    assert len(hunt.words) >= DOORS


async def test_no_word_of_a_file_that_holds_no_rules_comes_out(tmp_path: Path) -> None:
    """It may be a file of secrets, named by mistake."""
    hunt = Hunt()
    wrong = tmp_path / "wrong"
    words = [hunt.at("word"), f"{hunt.at('first of two')} {hunt.at('second')}", f"x {hunt.at('pattern')}("]
    wrong.write_text("\n".join(words))
    fine = {"RAILWAY_API_TOKEN": hunt.at("token"), "LOGRELAY_ENVIRONMENTS": "*", "LOGRELAY_PORT": "0"}

    await failed_start(hunt, tmp_path, fine | {"LOGRELAY_REDACT_RULES_FILE": str(wrong)})

    assert hunt.leaks() == []


async def test_a_leak_would_be_found(railway: StandIn, tmp_path: Path) -> None:
    """Names of services are no secrets: they come out where they should, and the hunt says so."""
    hunt = Hunt()
    railway.world.environment.add_service(hunt.at("service"))
    async with served(railway, tmp_path, LOGRELAY_LOG_LEVEL="debug") as relay:
        path = f"/api/environments/{railway.world.environment.id}/logs/stream"
        async with watching(
            Scene(hunt, railway.world, tmp_path), relay, f"{path}?services={hunt.at('service')}&"
        ):
            pass
        await relay.child.until_said(message="stream closed")
    hunt.hear("the log", relay.child.text)

    places = {leak.partition(":")[0] for leak in hunt.leaks()}

    assert places == {"service in a viewer's stream", "service in the log"}


def test_a_leak_is_found_however_it_is_written() -> None:
    word = Hunt().at("door")
    encoded = [base64.b64encode(before + word.encode() + b"after").decode() for before in (b"", b"u:", b"x")]
    written = [word, word[:14], word[-13:], word.upper(), word.encode().hex(), digest_of(word), *encoded]

    for text in written:
        hunt = Hunt({"door": word})
        hunt.hear("place", f'{{"x": "{text}"}}')
        assert hunt.leaks(), text
        assert hunt.leaks()[0].startswith("door in place: "), text
    hunt = Hunt({"door": word})
    hunt.hear("place", word, "door")
    hunt.hear("elsewhere", "nothing")
    assert hunt.leaks() == []
