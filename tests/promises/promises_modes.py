"""The modes of authentication before the hunt for secrets: their settings, who may look, what is special at them."""

import base64
import contextlib
import json
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt as jose
from joserfc.jwk import ECKey, OctKey
from process_harness import Served
from promises_hunt import DEADLINE, RECONNECT, Hunt, Knock, frame, knock_at_all, request, upgrade

from logrelay.standin import World
from logrelay.web.tokens import digest_of


@attrs.define
class Scene:
    """A mode of authentication: its settings, who may look, and what is special at its doors."""

    hunt: Hunt
    world: World
    folder: Path
    settings: dict[str, str] = attrs.Factory(dict)
    good: tuple[str, ...] = ()  # headers that let in
    secret: str = "nobody's"  # of the tickets' routes
    knocks: Callable[[str], list[Knock]] = lambda _: []  # by the stream's path
    trouble: Callable[[Served], Awaitable[Any]] | None = None
    refused: bool = True  # whether somebody who shows nothing is
    servers: contextlib.AsyncExitStack = attrs.Factory(contextlib.AsyncExitStack)

    @property
    def environment(self) -> str:
        return self.world.environment.id

    def file(self, name: str, text: str) -> str:
        """A file with a text, which may be another one later."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    async def serve(self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        """Somebody else's server on loopback."""
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        return str((await self.servers.enter_async_context(TestServer(app))).make_url("/asked"))


def bearer(token: str) -> tuple[str, ...]:
    return (f"Authorization: Bearer {token}",)


def showing(path: str, token: str) -> list[Knock]:
    """One credential in each way to show it, and where it must not stand."""
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    said = frame(json.dumps({"type": "auth", "token": token}))
    return [
        Knock(upgrade(f"{path}?tail=0", *bearer(token))),
        Knock(upgrade(f"{path}?tail=0", *bearer(token)), (said,)),
        Knock(upgrade(f"{path}?tail=0", f"Sec-WebSocket-Protocol: logrelay.v1, bearer.{encoded}")),
        Knock(upgrade(f"{path}?tail=0"), (said,)),
        Knock(upgrade(f"{path}?tail=0", f"Cookie: session={token}", "Origin: http://127.0.0.1")),
        Knock(upgrade(f"{path}?ticket={token}")),
        Knock(upgrade(f"{path}?token={token}")),
    ]


def shown(*tokens: str) -> Callable[[str], list[Knock]]:
    """Credentials at the doors that are for them."""

    def knocks(path: str) -> list[Knock]:
        return [knock for token in tokens for knock in showing(path, token)]

    return knocks


async def nobody(scene: Scene) -> None:
    scene.settings = {"LOGRELAY_AUTH": "none"}
    scene.refused = False


def token_lines(scene: Scene) -> str:
    """Lines for three tokens: one that is good, one whose time is over, one for elsewhere."""
    at = scene.hunt.at
    rows: list[dict[str, Any]] = [
        {"name": "good", "sha256": digest_of(at("good token")), "environments": [scene.environment]},
        {
            "name": "over",
            "sha256": digest_of(at("old token")),
            "environments": "*",
            "expires": "2026-01-01T00:00:00Z",
        },
        {"name": "foreign", "sha256": digest_of(at("foreign token")), "environments": ["elsewhere"]},
    ]
    scene.good = bearer(at("good token"))
    scene.knocks = shown(at("good token"), at("old token"), at("foreign token"))
    return "\n".join(json.dumps(row) for row in rows)


async def tokens(scene: Scene) -> None:
    scene.settings = {"LOGRELAY_AUTH": "token", "LOGRELAY_TOKENS": token_lines(scene)}


async def tokens_in_a_file(scene: Scene) -> None:
    lines = token_lines(scene)
    scene.settings = {"LOGRELAY_AUTH": "token", "LOGRELAY_TOKENS_FILE": scene.file("tokens", lines)}

    async def trouble(relay: Served) -> None:
        """The file is broken in one way after the other, and read again."""
        at = scene.hunt.at
        for count, text in enumerate(
            (
                f"{lines}\n{at('token file, no JSON')}",
                json.dumps(
                    {"name": at("token file, name"), "sha256": at("token file, digest"), "environments": []}
                ),
                json.dumps({at("token file, field"): at("token file, value")}),
                lines.replace("2026-01-01T00:00:00Z", at("token file, expiry")),
            ),
            start=1,
        ):
            scene.file("tokens", text)
            relay.child.signal(signal.SIGHUP)
            await relay.child.until_said(
                count, message="the list of tokens can't be used, the last one stays"
            )

    scene.trouble = trouble


def claims(scene: Scene, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    environments = {"logrelay:environments": [scene.environment]}
    return {"exp": now + 600, "nbf": now - 5, "aud": "logs", **environments, **more}


def jwts(scene: Scene, header: dict[str, Any], key: Any) -> None:
    """Tokens as they should be and not; each is known by its signature, and by a word among its claims."""
    at = scene.hunt.at
    made = {
        "good": claims(scene, jti=at("claim of a good JWT")),
        "expired": claims(scene, exp=1_700_000_000, jti=at("claim of an expired JWT")),
        "audience": claims(scene, aud=at("audience of a JWT")),
        "foreign": claims(scene, **{"logrelay:environments": [at("environment of a JWT")]}),
        "odd": claims(scene, **{"logrelay:environments": {at("name in a claim"): 1}}),
        "no time": {"sub": at("subject of a JWT without a time")},
    }
    signed = {
        name: scene.hunt.known(f"JWT: {name}", jose.encode(header, body, key)) for name, body in made.items()
    }
    head, body, signature = signed["good"].split(".")
    signed["tampered"] = f"{head}.{body[:-3]}AAA.{signature}"
    unknown = base64.urlsafe_b64encode(json.dumps(header | {"kid": at("kid of a JWT")}).encode()).decode()
    signed["unknown key"] = f"{unknown.rstrip('=')}.{body}.{signature}"
    scene.good = bearer(signed["good"])
    scene.knocks = shown(*signed.values())
    scene.settings |= {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_AUDIENCE": "logs"}


async def jwts_with_a_secret(scene: Scene) -> None:
    secret = scene.hunt.at("JWT secret") + scene.hunt.at("rest of the JWT secret")
    jwts(scene, {"alg": "HS256"}, OctKey.import_key(secret))
    scene.settings |= {"LOGRELAY_JWT_SECRET_FILE": scene.file("jwt-secret", secret)}


async def jwts_with_a_key_set(scene: Scene, failures: int = 1) -> None:
    """Keys from their issuer, whose first answers are no good; each costs some seconds of waiting."""
    at = scene.hunt.at
    key = ECKey.generate_key("P-256", {"kid": "one"})
    keys: list[Any] = [key.as_dict(private=False), {"kty": at("kind of a key"), "kid": at("foreign kid")}]
    bad: list[Callable[[], web.Response]] = [
        lambda: web.Response(text=f'{{"keys": {at("JWKS, cut off")}'),
        lambda: web.Response(status=500, text=at("JWKS, a fault")),
        lambda: web.Response(
            status=302, headers={"Location": f"http://127.0.0.1:1/?{at('JWKS, a redirect')}"}
        ),
    ]
    del bad[failures:]

    async def answer(_: web.Request) -> web.Response:
        if bad:
            return bad.pop()()
        return web.json_response({"keys": keys}, headers={"X-Key": at("JWKS, a header")})

    url = await scene.serve(answer)
    jwts(scene, {"alg": "ES256", "kid": "one"}, key)
    scene.settings |= {"LOGRELAY_JWT_JWKS_URL": f"{url}?key={at('query of the JWKS address')}"}


async def jwts_of_an_issuer_that_fails(scene: Scene) -> None:
    await jwts_with_a_key_set(scene, failures=3)


async def forwarding(scene: Scene) -> None:
    at = scene.hunt.at
    good = at("good session")
    says: dict[str, Callable[[], web.Response]] = {
        at("session, a refusal"): lambda: web.Response(status=401, text=at("main API, a refusal")),
        at("session, not allowed"): lambda: web.json_response({"why": at("main API, why")}, status=403),
        at("session, a fault"): lambda: web.Response(status=500, text=at("main API, a fault")),
        at("session, no JSON"): lambda: web.Response(text=f'{{"subject": "{at("main API, cut off")}'),
        at("session, no subject"): lambda: web.json_response({"subject": {at("main API, a name"): 1}}),
        at("session, a redirect"): lambda: web.Response(
            status=302, headers={"Location": f"http://127.0.0.1:1/?token={at('main API, a redirect')}"}
        ),
        at("session, a cookie"): lambda: web.Response(
            status=401,
            headers={"Set-Cookie": f"a={at('main API, a cookie')}", "X-A": at("main API, a header")},
        ),
    }

    async def answer(asked: web.Request) -> web.Response:
        session = asked.cookies.get("session") or asked.headers.get("Authorization", "").rpartition(" ")[2]
        if session == good:
            return web.json_response({"subject": "alice", at("main API, a field"): at("main API, a value")})
        return says.get(session, lambda: web.Response(status=401))()

    scene.settings = {
        "LOGRELAY_AUTH": "forward",
        "LOGRELAY_FORWARD_URL": f"{await scene.serve(answer)}?key={at('query of the main API')}",
        "LOGRELAY_FORWARD_TIMEOUT_SECONDS": "1",
    }
    scene.good = bearer(good)
    scene.knocks = shown(good, *says)

    async def trouble(relay: Served) -> None:
        """The main API is away."""
        await scene.servers.aclose()
        path = f"/api/environments/{scene.environment}/logs/stream"
        await knock_at_all(
            relay.relay.port, scene.hunt, [Knock(upgrade(path, *bearer(at("session of nobody"))))]
        )
        await relay.child.until_said(message="the main API doesn't say who may look")

    scene.trouble = trouble


async def tickets(scene: Scene) -> None:
    hunt = scene.hunt
    scene.secret = hunt.at("service secret") + hunt.at("rest of the service secret")
    scene.settings = {
        "LOGRELAY_AUTH": "ticket",
        "LOGRELAY_SERVICE_SECRET_FILE": scene.file("service-secret", scene.secret),
        "LOGRELAY_SHARE_LINKS": "true",
        "LOGRELAY_REVOCATIONS_FILE": str(scene.folder / "revocations"),
    }

    async def trouble(relay: Served) -> None:
        """Everybody's access is taken back."""
        line = "DELETE /api/subjects/alice HTTP/1.1"
        await knock_at_all(relay.relay.port, hunt, [Knock(request(line, *bearer(scene.secret)))])
        await relay.child.until_said(message="subject revoked")

    scene.trouble = trouble


async def asked_for(scene: Scene, port: int, name: str, secret: str, **wish: Any) -> str:
    """A ticket or a share link's secret, as the main API asks for one. Its answer may hold it, and nothing else may."""
    body = json.dumps({"environment": scene.environment, **wish}) if wish else ""
    kind = "share" if wish.get("share") else "ticket"
    door = f"{kind}: {name}"
    plain = ("Content-Type: application/json", "Connection: close")
    unheard = Hunt(scene.hunt.words)
    asked = Knock(request("POST /api/tickets HTTP/1.1", *bearer(secret), *plain, body=body or "{}"))
    (answer,) = await knock_at_all(port, unheard, [asked])
    text = scene.hunt.known(door, str(json.loads(answer.partition(b"\r\n\r\n")[2])[kind]))
    scene.hunt.hear("an answer with a ticket", answer, door)
    return text


async def with_tickets(scene: Scene, relay: Served, path: str) -> None:
    """All that tickets are for: let in, come back, be shared, be revoked."""
    hunt, port = scene.hunt, relay.relay.port
    wish = {"subject": "alice", "accessSeconds": 600}
    ticket = await asked_for(scene, port, "first", scene.secret, **wish)
    own = ("ticket: first", RECONNECT)
    said, token = "", ""
    async with relay.relay.session.ws_connect(f"{relay.relay.base}{path}?tail=0&ticket={ticket}") as socket:
        while not token:
            message = await socket.receive_str(timeout=DEADLINE)
            said, token = said + message, json.loads(message)["data"].get("reconnectToken", "")
    scene.good = bearer(hunt.known(RECONNECT, token))
    hunt.hear("a stream by a ticket", said, *own)
    link = await asked_for(scene, port, "link", scene.secret, share=True, **wish)
    shared = await asked_for(scene, port, "of a link", link)
    used = shown(ticket, link, shared, token)(path)
    for knock in used:
        await knock_at_all(port, hunt, [attrs.evolve(knock, own=own)])


Make = Callable[[Scene], Awaitable[None]]
MODES: list[Make] = [
    nobody,
    tokens,
    tokens_in_a_file,
    jwts_with_a_secret,
    jwts_with_a_key_set,
    forwarding,
    tickets,
]
