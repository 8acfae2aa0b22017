"""Five environments, five callers of one each, every mode, every way to show a credential: nothing crosses."""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt as jose
from joserfc.jwk import OctKey
from web_harness import Make, Peer, Relay, line, until

from logrelay.errors import Disconnect
from logrelay.web.access import TicketOffice
from logrelay.web.forward import ForwardGuard
from logrelay.web.grants import Credential, Guard, Source
from logrelay.web.jwt import JwtGuard, JwtRules, Secret
from logrelay.web.origins import Origins
from logrelay.web.tickets import Tickets
from logrelay.web.tokens import TokenGuard, digest_of, parse

TENANTS = tuple(f"env-{name}" for name in "abcde")
JWT_SECRET = secrets.token_hex(32)
SERVICE_SECRET = secrets.token_hex(32)
EXPLICIT = ("header", "subprotocol", "message")


@attrs.frozen
class Mode:
    """A mode of authentication: how one environment's caller gets a credential, and how it may show it."""

    name: str
    credential: Callable[[str], str]  # environment → a token, a ticket, or a cookie's value
    ways: tuple[str, ...] = EXPLICIT
    guard: Guard | None = None
    tickets: TicketOffice | None = None


def tokens() -> Mode:
    made = {tenant: secrets.token_urlsafe(24) for tenant in TENANTS}
    rows = [
        f'{{"name":"{tenant}","sha256":"{digest_of(token)}","environments":["{tenant}"]}}'
        for tenant, token in made.items()
    ]
    return Mode("token", made.__getitem__, guard=TokenGuard(parse("\n".join(rows))))


def jwts() -> Mode:
    key = OctKey.import_key(JWT_SECRET)

    def signed(tenant: str) -> str:
        claims = {"exp": int(time.time()) + 600, "sub": tenant, "logrelay:environments": [tenant]}
        return jose.encode({"alg": "HS256"}, claims, key)

    return Mode("jwt", signed, guard=JwtGuard(JwtRules(("HS256",)), Secret(JWT_SECRET.encode())))


def tickets() -> Mode:
    office = Tickets(SERVICE_SECRET)
    return Mode(
        "ticket",
        lambda tenant: office.mint(tenant).text,
        ("query", "header", "subprotocol", "message"),
        None,
        office,
    )


@pytest.fixture
async def main_api() -> AsyncIterator[TestServer]:
    """Lets each caller see the environment that is named in its cookie or its token."""

    async def decide(request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.cookies.get(
            "session", ""
        )
        if not shown.startswith("good-"):
            return web.Response(status=401)
        own = shown.removeprefix("good-") == request.query["environment"]
        return web.json_response({"subject": shown}) if own else web.Response(status=403)

    app = web.Application()
    app.router.add_get("/may", decide)
    async with TestServer(app) as server:
        yield server


def forward(main_api: TestServer) -> Mode:
    guard = ForwardGuard(str(main_api.make_url("/may")))
    return Mode("forward", lambda tenant: f"good-{tenant}", (*EXPLICIT, "cookie"), guard)


async def show(relay: Relay, environment: str, way: str, credential: str) -> Peer:
    """Connect to an environment and show the credential in this way."""
    options: dict[str, Any] = {}
    query: Mapping[str, str] = {"tail": "10"}
    if way == "header":
        options["headers"] = {"Authorization": f"Bearer {credential}"}
    elif way == "subprotocol":
        encoded = base64.urlsafe_b64encode(credential.encode()).decode().rstrip("=")
        options["protocols"] = ("logrelay.v1", f"bearer.{encoded}")
    elif way == "query":
        query = {"ticket": credential, **query}
    elif way == "cookie":
        options["headers"] = {"Cookie": f"session={credential}", "Origin": relay.url}
    peer = await relay.connect(query, environment=environment, **options)
    if way == "message":
        await peer.say(type="auth", token=credential)
    if way == "subprotocol":
        assert peer.ws.protocol == "logrelay.v1"
    return peer


async def refused(peer: Peer) -> tuple[str, str, int | None]:
    message = await peer.message()
    assert message["type"] == "error", message
    return message["code"], message["message"], await peer.close_code()


async def try_out(make: Make, mode: Mode) -> tuple[int, int]:
    """All refusals first, which must not touch the upstream; then those who may look see their own lines only."""
    relay = await make(
        allowed=TENANTS, guard=mode.guard, tickets=mode.tickets, ticket_only=mode.guard is None
    )
    async with relay.leases.access:
        turned_away = [
            await refused(await show(relay, environment, way, mode.credential(caller)))
            for way in mode.ways
            for caller in TENANTS
            for environment in (*TENANTS, "env-unknown")
            if caller != environment
        ]
        # Not yours, and not there: word for word the same.
        assert set(turned_away) == {("not_allowed", "this environment may not be streamed", 4403)}
        assert relay.upstreams == {}

        peers = [
            (tenant, await show(relay, tenant, way, mode.credential(tenant)))
            for way in mode.ways
            for tenant in TENANTS
        ]
        for _, peer in peers:
            await peer.status("connected")
        for tenant in TENANTS:
            relay.upstreams[tenant].sink.publish(
                [line(1, f"a line of {tenant}"), line(2, "the same everywhere")]
            )
        for tenant, peer in peers:
            assert await peer.texts(2) == [f"a line of {tenant}", "the same everywhere"]
            await peer.quiet()
            await peer.leave()
        await until(lambda: not relay.streams.clients)
    return len(turned_away), len(peers)


@pytest.mark.parametrize("mode", [tokens, jwts, tickets])
async def test_c21_no_line_crosses_from_one_tenant_to_another(make: Make, mode: Callable[[], Mode]) -> None:
    made = mode()

    turned_away, let_in = await try_out(make, made)

    assert (turned_away, let_in) == (len(made.ways) * 5 * 5, len(made.ways) * 5)


async def test_c21_no_line_crosses_where_the_main_api_decides(make: Make, main_api: TestServer) -> None:
    assert await try_out(make, forward(main_api)) == (4 * 5 * 5, 4 * 5)


@pytest.mark.parametrize("mode", [tokens, jwts, tickets])
async def test_what_is_no_credential_of_the_mode_is_refused_alike(
    make: Make, mode: Callable[[], Mode]
) -> None:
    made = mode()
    relay = await make(
        allowed=TENANTS, guard=made.guard, tickets=made.tickets, ticket_only=made.guard is None
    )
    others = [other().credential(TENANTS[0]) for other in (tokens, jwts, tickets) if other is not mode]
    broken = [made.credential(TENANTS[0])[:-2] + "xx", "x", "null", "a.b.c", *others]

    for way in made.ways:
        for credential in broken:
            code, _, close = await refused(await show(relay, TENANTS[0], way, credential))
            assert (code, close) == ("unauthenticated", 4401), (way, credential[:4])
    code, message, close = await refused(await relay.connect({"token": "x"}, environment=TENANTS[0]))

    assert (code, close) == ("unauthenticated", 4401)
    assert "does not belong in a URL" in message
    assert relay.upstreams == {}


async def test_c13_a_cookie_opens_nothing_from_a_foreign_page_or_from_none(
    make: Make, main_api: TestServer
) -> None:
    mode = forward(main_api)
    relay = await make(allowed=TENANTS, guard=mode.guard)
    cookie = {"Cookie": f"session={mode.credential(TENANTS[0])}"}

    async with relay.leases.access:
        for origin in (
            {},
            {"Origin": "https://evil.com"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
        ):
            raw = await relay.raw(upgrade=False)
            status, _, body = await raw.answer(
                f"GET {relay.path(TENANTS[0])} HTTP/1.1", f"Host: 127.0.0.1:{relay.port}", "Connection: Upgrade",
                "Upgrade: websocket", *(f"{name}: {value}" for name, value in {**cookie, **origin}.items()),
            )  # fmt: skip
            raw.leave()
            assert (status, b"origin_not_allowed" in body) == (403, True)

    assert relay.upstreams == {}


async def test_c13_a_remembered_password_brings_no_cookie_past_a_star(
    make: Make, main_api: TestServer
) -> None:
    mode = forward(main_api)
    relay = await make(allowed=TENANTS, guard=mode.guard, origins=Origins(("*",)))
    headers = {"Cookie": f"session={mode.credential(TENANTS[0])}", "Origin": "https://evil.com"}

    async with relay.leases.access:
        for added in ({}, {"Authorization": "Basic eDp5"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as turned_away:
                await relay.connect(environment=TENANTS[0], headers={**headers, **added})
            assert turned_away.value.status == 403

    assert relay.upstreams == {}


@pytest.mark.parametrize("search", ["", "GET"])
async def test_a_ticket_shows_no_names_of_services_that_it_is_not_for(make: Make, search: str) -> None:
    office = Tickets(SERVICE_SECRET)
    relay = await make(allowed=TENANTS, tickets=office, ticket_only=True)
    ticket = office.mint(TENANTS[0], services=["api"], search=search).text

    peer = await relay.connect({"ticket": ticket, "services": "web,none"}, environment=TENANTS[0])
    said = await peer.status("connected")

    assert said["services"] == [{"id": "svc-api", "name": "api"}]
    assert said["filter"]["unknownServices"] == ["web", "none"]
    await peer.leave()


async def test_a_flood_of_made_up_credentials_ends_no_stream_that_was_let_in() -> None:
    """The API answers nobody; who was let in before doesn't wait behind those who never were."""
    asked = asyncio.Semaphore(0)
    answer = asyncio.Event()

    async def decide(request: web.Request) -> web.Response:
        asked.release()
        if "good" not in request.headers["Authorization"]:
            await answer.wait()
            return web.Response(status=401)
        return web.Response()

    app = web.Application()
    app.router.add_get("/may", decide)
    async with (
        TestServer(app) as server,
        ForwardGuard(str(server.make_url("/may")), in_flight=2, cache=0) as guard,
    ):

        def shown(token: str) -> Credential:
            return Credential(Source.HEADER, token, {"Authorization": f"Bearer {token}"})

        await guard.grant(shown("good"), TENANTS[0])
        flood = [asyncio.create_task(guard.grant(shown(f"bad-{number}"), TENANTS[0])) for number in range(20)]
        for _ in range(3):
            await asked.acquire()

        again = await guard.grant(shown("good"), TENANTS[0])

        assert again.covers(TENANTS[0])
        answer.set()
        ends = await asyncio.gather(*flood, return_exceptions=True)
        assert all(isinstance(end, Disconnect) for end in ends)


async def test_a_ticket_opens_one_stream_and_its_reconnect_token_brings_its_holder_back(make: Make) -> None:
    mode = tickets()
    relay = await make(allowed=TENANTS, tickets=mode.tickets, ticket_only=True)
    ticket = mode.credential(TENANTS[0])

    first = await show(relay, TENANTS[0], "query", ticket)
    token = (await first.status("connected"))["reconnectToken"]
    assert (await refused(await show(relay, TENANTS[0], "query", ticket)))[0] == "unauthenticated"
    assert (await refused(await show(relay, TENANTS[0], "query", token)))[
        0
    ] == "unauthenticated"  # not in a URL
    await first.leave()
    for way in EXPLICIT:
        again = await show(relay, TENANTS[0], way, token)
        assert (await again.status("connected"))["reconnectToken"]
        await again.leave()

    assert (await refused(await show(relay, TENANTS[1], "header", token)))[0] == "not_allowed"


async def test_c20_what_is_revoked_before_the_stream_stands_is_not_served(make: Make) -> None:
    office = Tickets(SERVICE_SECRET)
    relay = await make(allowed=TENANTS, tickets=office, ticket_only=True)
    relay.environments.allowed = None  # as long as Railway hasn't said which one its token is for
    minted = office.mint(TENANTS[0])
    peer = await show(relay, TENANTS[0], "query", minted.text)
    await peer.status("connecting")

    await office.revoke_ticket(minted.id)
    relay.environments.learn(TENANTS[0])

    assert (await refused(peer))[::2] == ("expired", 4401)


async def test_a_renewal_by_ticket_brings_the_token_for_coming_back(make: Make) -> None:
    office = Tickets(SERVICE_SECRET)
    relay = await make(allowed=TENANTS, tickets=office, ticket_only=True)
    peer = await show(relay, TENANTS[0], "query", office.mint(TENANTS[0], access_seconds=60).text)
    before = await peer.status("connected")

    await peer.say(type="auth", token=office.mint(TENANTS[0], access_seconds=600).text)
    after = await peer.status("authenticated")

    assert after["expiresInSeconds"] > before["expiresInSeconds"] + 500
    assert after["reconnectToken"] != before["reconnectToken"]
    await peer.leave()


async def test_c20_what_is_revoked_ends_at_once_and_does_not_come_back(make: Make) -> None:
    office = Tickets(SERVICE_SECRET)
    relay = await make(allowed=TENANTS, tickets=office, ticket_only=True)
    office.on_revoked = relay.leases.end_revoked
    minted = office.mint(TENANTS[0], subject="mallory")
    revoked = await show(relay, TENANTS[0], "query", minted.text)
    token = (await revoked.status("connected"))["reconnectToken"]
    other = await show(relay, TENANTS[0], "query", office.mint(TENANTS[0], subject="alice").text)
    await other.status("connected")

    await office.revoke_ticket(minted.id)

    assert (await refused(revoked))[::2] == ("expired", 4401)
    assert (await refused(await show(relay, TENANTS[0], "header", token)))[2] == 4401
    await other.quiet()
    await office.revoke_subject("alice")
    assert (await refused(other))[::2] == ("expired", 4401)
