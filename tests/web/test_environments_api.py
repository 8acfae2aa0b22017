"""`GET /api/environments`: what a caller may look at, by name, and nothing else."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import attrs
import pytest
import web_harness
from aiohttp import web
from aiohttp.test_utils import TestServer
from web_harness import Relay

from logrelay.errors import BudgetSpent, Scope, UpstreamError, UpstreamRefused
from logrelay.relay.names import Deployment, Environment, Service
from logrelay.web import routes
from logrelay.web.environments_api import EnvironmentsApi
from logrelay.web.forward import ForwardGuard
from logrelay.web.origins import Origins
from logrelay.web.places import Handshakes
from logrelay.web.tickets import Tickets
from logrelay.web.tokens import TokenGuard, digest_of, parse

SECRET = "of-the-service-and-long-enough-for-it"
TOKENS = {
    "all": {"environments": "*"},
    "one": {"environments": ["env-1"]},
    "part": {"environments": ["env-1"], "services": ["web"]},
}
NAMED = [
    Environment("env-1", "production", "project-1", "shop"),
    Environment("env-2", "staging", "project-1", "shop"),
    Environment("env-3", "others", "project-2", "elsewhere"),
]
SERVICES = [
    Service("svc-api", "api", (Deployment("dep-1", "SUCCESS", "2026-11-23T03:21:30.000Z"),)),
    Service("svc-web", "web"),
]


@attrs.define
class Names:
    """A catalogue that says what the test says, and counts."""

    error: UpstreamError | None = None
    asked: list[str] = attrs.Factory(list)

    async def environments(self) -> Sequence[Environment]:
        self.asked.append("*")
        if self.error is not None:
            raise self.error
        return NAMED

    async def services(self, environment_id: str) -> tuple[Environment, Sequence[Service]]:
        self.asked.append(environment_id)
        if self.error is not None:
            raise self.error
        return next(each for each in NAMED if each.id == environment_id), SERVICES


@attrs.define
class Asking:
    relay: Relay
    names: Names
    base_path: str

    async def get(self, path: str = "", token: str | None = None, **headers: str) -> tuple[int, Any]:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.relay.url}{self.base_path}/api/environments{path}"
        async with self.relay.session.get(url, headers=headers) as answer:
            assert answer.content_type == "application/json"
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, json.loads(await answer.read())

    async def ids(self, token: str | None = None) -> list[str]:
        status, body = await self.get(token=token)
        assert status == 200, body
        return [each["id"] for each in body["environments"]]


Ask = Callable[..., Awaitable[Asking]]


@pytest.fixture
async def ask(session: aiohttp.ClientSession) -> AsyncIterator[Ask]:
    made: list[Relay] = []

    async def ask(*, tokens: bool = False, base_path: str = "", **options: Any) -> Asking:
        if tokens:
            rows = [
                json.dumps({"name": name, "sha256": digest_of(name), **about})
                for name, about in TOKENS.items()
            ]
            options["guard"] = TokenGuard(parse("\n".join(rows)))
        relay = web_harness.build(session, base_path=base_path, **options)
        names = Names()
        relay.app = web.Application()
        routes.add_routes(
            relay.app,
            relay.streams,
            relay.health,
            base_path=base_path,
            origins=("https://shop.example",),
            environments=EnvironmentsApi(relay.streams._door, names),
        )
        await web_harness.start(relay)
        made.append(relay)
        return Asking(relay, names, base_path)

    yield ask
    for relay in made:
        await web_harness.stop(relay)


async def test_the_list_has_what_the_relay_serves_with_its_names(ask: Ask) -> None:
    asking = await ask(base_path="/logs")

    status, body = await asking.get()

    assert status == 200
    assert body == {
        "environments": [
            {"id": "env-1", "name": "production", "projectId": "project-1", "projectName": "shop"},
            {"id": "env-2", "name": "staging", "projectId": "project-1", "projectName": "shop"},
        ]
    }


async def test_a_relay_of_everything_lists_what_its_token_sees(ask: Ask) -> None:
    asking = await ask(allowed=("*",))

    assert await asking.ids() == ["env-3", "env-1", "env-2"]


async def test_names_that_railway_does_not_tell_are_null_and_the_list_stands(ask: Ask) -> None:
    asking = await ask()
    asking.names.error = BudgetSpent("spent", 7.0)

    status, body = await asking.get()

    assert status == 200
    assert body["environments"][0] == {"id": "env-1", "name": None, "projectId": None, "projectName": None}


async def test_where_the_list_itself_is_railways_its_failure_is_a_503(ask: Ask) -> None:
    asking = await ask(allowed=("*",))
    asking.names.error = BudgetSpent("the budget is spent", 7.0)

    status, body = await asking.get()

    assert (status, body["error"]["code"]) == (503, "upstream_unavailable")


@pytest.mark.parametrize(
    ("token", "listed"),
    [("all", ["env-1", "env-2"]), ("one", ["env-1"]), ("part", ["env-1"])],
)
async def test_a_token_lists_what_it_may_see(ask: Ask, token: str, listed: list[str]) -> None:
    asking = await ask(tokens=True)

    assert await asking.ids(token) == listed


@pytest.mark.parametrize("path", ["", "/env-1", "/nobody-knows"])
@pytest.mark.parametrize("token", [None, "of-nobody"])
async def test_who_must_sign_in_is_told_how(ask: Ask, path: str, token: str | None) -> None:
    asking = await ask(tokens=True)

    status, body = await asking.get(path, token)

    assert status == 401
    assert body["auth"] == "token"
    assert body["error"]["code"] == "unauthenticated"
    assert asking.names.asked in ([], ["*"])


async def test_a_token_in_the_url_is_refused(ask: Ask) -> None:
    asking = await ask(tokens=True)

    status, body = await asking.get("?token=all")

    assert status == 401
    assert "does not belong in a URL" in body["error"]["message"]


async def test_an_environment_has_its_services_and_their_deployments(ask: Ask) -> None:
    asking = await ask(tokens=True)

    status, body = await asking.get("/env-1", "one")

    assert status == 200
    assert body == {
        "id": "env-1",
        "name": "production",
        "projectId": "project-1",
        "projectName": "shop",
        "services": [
            {
                "id": "svc-api",
                "name": "api",
                "deployments": [
                    {"id": "dep-1", "status": "SUCCESS", "createdAt": "2026-11-23T03:21:30.000Z"}
                ],
            },
            {"id": "svc-web", "name": "web", "deployments": []},
        ],
    }


async def test_services_outside_the_callers_scope_are_not_named(ask: Ask) -> None:
    asking = await ask(tokens=True)

    _, body = await asking.get("/env-1", "part")

    assert [service["name"] for service in body["services"]] == ["web"]
    assert "api" not in json.dumps(body)


async def test_not_yours_and_not_there_look_alike_and_railway_is_not_asked(ask: Ask) -> None:
    asking = await ask(tokens=True)
    everything = await ask(allowed=("*",))

    others = [await asking.get(f"/{each}", "one") for each in ("env-2", "env-9", "%00", "..%2Fenv-1")]
    made_up = await everything.get("/env-9")

    assert {status for status, _ in [*others, made_up]} == {403}
    assert {json.dumps(body) for _, body in [*others, made_up]} == {
        '{"error": {"code": "not_allowed", "message": "this environment may not be streamed"}}'
    }
    assert asking.names.asked == []
    assert everything.names.asked == ["*"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UpstreamRefused("no", Scope.ENVIRONMENT), (404, "unknown_environment")),
        (UpstreamRefused("no", Scope.CREDENTIAL), (503, "upstream_refused")),
        (BudgetSpent("spent", 7.0), (503, "upstream_unavailable")),
    ],
)
async def test_what_railway_does_not_tell_has_a_status(ask: Ask, error: Any, expected: Any) -> None:
    asking = await ask()
    asking.names.error = error

    status, body = await asking.get("/env-1")

    assert (status, body["error"]["code"]) == expected


async def test_a_foreign_page_is_refused_and_an_allowed_one_may_read(ask: Ask) -> None:
    asking = await ask(origins=Origins(("https://shop.example",)))

    foreign = await asking.get(Origin="https://evil.example")
    url = f"{asking.relay.url}/api/environments"
    async with asking.relay.session.get(url, headers={"Origin": "https://shop.example"}) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"

    assert foreign[0] == 403
    assert foreign[1]["error"]["code"] == "origin_not_allowed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (
            {"Sec-Fetch-Site": "same-origin"},
            200,
        ),  # browsers send no Origin with a GET of the page's own origin
        ({}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
async def test_a_cookie_lists_environments_for_the_relays_own_page_only(
    ask: Ask, headers: dict[str, str], status: int
) -> None:
    async def lets_in(_: web.Request) -> web.Response:
        return web.Response()

    main_api = web.Application()
    main_api.router.add_get("/may", lets_in)
    async with TestServer(main_api) as server, ForwardGuard(str(server.make_url("/may"))) as guard:
        asking = await ask(guard=guard)

        answered, _ = await asking.get(**headers, Cookie="session=alice")

    assert answered == status


async def test_one_address_asks_only_so_often(ask: Ask) -> None:
    asking = await ask(handshakes=Handshakes(per_second=0.1, burst=3))

    statuses = [(await asking.get())[0] for _ in range(5)]

    assert statuses == [200, 200, 200, 429, 429]


async def test_a_ticket_lists_nothing_and_is_not_used_up_by_that(ask: Ask) -> None:
    tickets = Tickets(SECRET)
    asking = await ask(tickets=tickets, ticket_only=True)
    text = tickets.mint("env-1").text

    in_the_url = await asking.get(f"/env-1?ticket={text}")
    in_the_header = await asking.get("/env-1", text)
    peer = await asking.relay.connect({"ticket": text})
    token = (await peer.status("connected"))["reconnectToken"]
    await peer.leave()

    assert (in_the_url[0], in_the_header[0]) == (401, 401)
    assert in_the_url[1]["auth"] == "ticket"
    assert (await asking.get("/env-1", token))[0] == 200
    assert (await asking.get("/env-2", token))[0] in {401, 403}
    assert await asking.ids(token) == ["env-1"]


async def test_what_is_not_known_yet_is_a_503(ask: Ask) -> None:
    asking = await ask()
    asking.relay.environments.allowed = None
    asking.relay.environments.patience = 0.01

    assert [(await asking.get(path))[0] for path in ("", "/env-1")] == [503, 503]
