"""Signing in, by each way that the relay has; no token ends where its owner has not put it."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from browser_hands import AWAY, big, each_size, keys, press
from browser_scene import Shop, Window
from playwright.async_api import expect

TOKEN = "a-token-of-the-tests-0123456789"
SECRET = "a service secret that is long enough for the relay to take"
REFUSED = (*AWAY, "401", "403")


def listed(token: str = TOKEN, **scope: Any) -> str:
    """A line of LOGRELAY_TOKENS."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return json.dumps({"name": "reader", "sha256": digest, "environments": "*", **scope})


async def with_tokens(shop: Shop, **scope: Any) -> None:
    await shop.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS=listed(**scope))
    shop.environment.write("for those who may")


async def sign_in(window: Window, token: str) -> None:
    await window.part("signin-token").fill(token)
    await press(window, "signin-submit")


async def kept(window: Window) -> str:
    """All that the browser keeps for the page."""
    text: str = await window.page.evaluate(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])"
    )
    return text


async def test_a_token_is_asked_for_and_a_bad_one_is_refused_with_the_reason(stage: Shop) -> None:
    await with_tokens(stage)
    window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)

    await expect(window.part("signin-reason")).to_have_text("You need a token for these logs.")
    await expect(window.part("signin-token")).to_be_focused()
    await window.picture("signin-desktop-dark")
    await sign_in(window, "not-the-token")
    await expect(window.part("signin-reason")).to_have_text("The relay does not take this token.")
    await expect(window.line("for those who may")).to_have_count(0)
    await sign_in(window, TOKEN)
    await window.line("for those who may").wait_for()

    assert TOKEN not in await kept(window)
    await window.page.reload()
    await window.part("signin").wait_for()  # it was not to be remembered


@big
@each_size
async def test_a_token_is_remembered_when_that_was_asked_for_and_forgotten_on_demand(
    stage: Shop, size: str
) -> None:
    await with_tokens(stage)
    addresses: list[str] = []
    window = await stage.open(size=size, wait='[data-testid="signin"]', tolerated=REFUSED)
    window.page.on("request", lambda request: addresses.append(request.url))
    window.page.on("websocket", lambda socket: addresses.append(socket.url))

    await window.part("signin-remember").check()
    await sign_in(window, TOKEN)
    await window.line("for those who may").wait_for()
    assert await window.page.evaluate("localStorage.getItem('logrelay.token')") == TOKEN
    assert await window.page.evaluate("JSON.stringify({ ...sessionStorage })") == "{}"
    await window.page.reload()
    await window.line("for those who may").wait_for()
    await press(window, "settings")
    await press(window, "sign-out")

    await window.part("signin").wait_for()
    assert TOKEN not in await kept(window)
    assert addresses
    assert [address for address in addresses if TOKEN in address] == []


@big
async def test_escape_does_not_close_the_sign_in_and_it_can_be_tried_without(stage: Shop) -> None:
    await with_tokens(stage)
    window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)

    await keys(window, "Escape", "Escape")
    await expect(window.part("signin")).to_be_visible()
    await press(window, "signin-retry")

    await expect(window.part("signin-reason")).to_have_text("You need a token for these logs.")


@big
async def test_a_caller_of_one_service_sees_that_one_only(stage: Shop) -> None:
    await with_tokens(stage, services=["api"])
    stage.environment.write("of the web", service="web")
    stage.environment.write("of the api")
    window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)

    await sign_in(window, TOKEN)
    await window.line("of the api").wait_for()
    await press(window, "services")

    await expect(window.part("service-option")).to_have_count(1)
    await expect(window.line("of the web")).to_have_count(0)


@big
async def test_a_caller_of_another_environment_is_told_so(stage: Shop) -> None:
    other = stage.railway.world.add_environment("staging")
    both = f"{stage.environment.id},{other.id}"
    scope = listed(environments=[other.id])
    await stage.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS=scope, LOGRELAY_ENVIRONMENTS=both)
    window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)

    await sign_in(window, TOKEN)

    await expect(window.part("banner")).to_contain_text("You may not see this environment.")
    await window.picture("forbidden-desktop-dark")


@big
@each_size
async def test_one_of_two_environments_is_picked(stage: Shop, size: str) -> None:
    other = stage.railway.world.add_environment("staging")
    await stage.relay(LOGRELAY_ENVIRONMENTS=f"{stage.environment.id},{other.id}")
    stage.environment.write("in production")
    other.write("in staging")
    window = await stage.open("/", size=size, wait='[data-testid="environment-option"]')

    await expect(window.part("environment-option")).to_have_count(2)
    await window.picture(f"picker-{size}-dark")
    await press(window, window.page.get_by_role("button", name="Open staging"))
    await window.line("in staging").wait_for()
    assert other.id in window.page.url
    await press(window, "environment")
    await press(window, window.page.get_by_role("button", name="Open production"))
    await window.line("in production").wait_for()
    await expect(window.line("in staging")).to_have_count(0)
    assert stage.environment.id in window.page.url

    await window.page.go_back()
    await window.line("in staging").wait_for()


@asynccontextmanager
async def main_api() -> AsyncIterator[str]:
    """An API that lets in who has its session's cookie; where it is asked."""

    async def decide(request: web.Request) -> web.Response:
        good = request.cookies.get("session") == "alice"
        return web.json_response({"subject": "alice"}) if good else web.Response(status=401)

    app = web.Application()
    app.router.add_get("/may", decide)
    async with TestServer(app) as server:
        yield str(server.make_url("/may"))


@big
async def test_who_has_signed_in_at_the_app_is_let_in_by_its_cookie(stage: Shop) -> None:
    async with main_api() as url:
        await stage.relay(
            LOGRELAY_AUTH="forward", LOGRELAY_FORWARD_URL=url, LOGRELAY_FORWARD_CACHE_SECONDS="0"
        )
        stage.environment.write("for those who may")
        window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)

        await expect(window.part("signin-reason")).to_have_text("Sign in at your app, then try again.")
        await expect(window.part("signin-token")).to_have_count(0)
        await window.picture("signin-app-desktop-dark")
        await window.context.add_cookies(
            [{"name": "session", "value": "alice", "url": stage.windows.base, "httpOnly": True}]
        )
        await press(window, "signin-retry")

        await window.line("for those who may").wait_for()


async def ticket(shop: Shop, **options: Any) -> dict[str, Any]:
    """What POST /api/tickets gives for the environment."""
    body = {"environment": shop.environment.id, "redeemSeconds": 30, "accessSeconds": 600, **options}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{shop.windows.base}/api/tickets", json=body, headers={"Authorization": f"Bearer {SECRET}"}
        ) as response,
    ):
        answer: dict[str, Any] = await response.json()
        assert response.status < 300, answer
        return answer


@big
async def test_a_link_with_a_ticket_opens_the_log_once_and_the_ticket_leaves_the_address(stage: Shop) -> None:
    await stage.relay(LOGRELAY_AUTH="ticket", LOGRELAY_SERVICE_SECRET=SECRET)
    stage.environment.write("for those who may")
    made = (await ticket(stage))["ticket"]

    window = await stage.open(f"{stage.path}#ticket={made}", tolerated=REFUSED)
    await window.line("for those who may").wait_for()
    assert "#" not in window.page.url
    assert made not in await kept(window)
    other = await stage.open(f"{stage.path}#ticket={made}", wait='[data-testid="signin"]', tolerated=REFUSED)

    await expect(other.part("signin-reason")).to_contain_text("This link is used up")
    await expect(other.line("for those who may")).to_have_count(0)


@big
async def test_a_share_link_opens_the_log_again_and_again(stage: Shop) -> None:
    await stage.relay(LOGRELAY_AUTH="ticket", LOGRELAY_SERVICE_SECRET=SECRET, LOGRELAY_SHARE_LINKS="true")
    stage.environment.write("for those who may")
    made = await ticket(stage, share=True)
    secret = next(value for key, value in made.items() if key in ("share", "secret", "ticket"))

    for _ in range(2):
        window = await stage.open(f"{stage.path}#share={secret}", tolerated=REFUSED)
        await window.line("for those who may").wait_for()
        assert "#" not in window.page.url
        assert secret not in await kept(window)


@big
async def test_a_token_with_letters_that_no_token_has_is_refused_and_not_the_relay_blamed(
    stage: Shop,
) -> None:
    await with_tokens(stage)
    window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)

    await sign_in(window, "a€token")
    await expect(window.part("signin-reason")).to_have_text("The relay does not take this token.")
    await sign_in(window, TOKEN)
    await window.line("for those who may").wait_for()
    await window.page.evaluate("localStorage.setItem('logrelay.token', 'a€token')")
    await window.page.reload()

    await expect(window.part("signin-reason")).to_have_text("You need a token for these logs.")
