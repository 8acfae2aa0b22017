"""The example as Compose runs it: the real relay asks the example's API who may look. In one process, on loopback."""

import asyncio
import importlib.util
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import attrs
import pytest
import yaml
from aiohttp import WSMsgType, web
from yarl import URL

from logrelay import app as relay_app
from logrelay import settings
from logrelay.standin import StandIn, World

pytestmark = pytest.mark.timeout(30)

NAME, PASSWORD = "viewer", "made up"
DEADLINE = 10.0  # seconds for anything that should happen soon
QUICK = {"LOGRELAY_PORT": "0", "LOGRELAY_STANDS_SECONDS": "0.1", "LOGRELAY_LINGER_SECONDS": "0.1"}


@attrs.define
class Example:
    """Both containers, and the browser's way to the published one."""

    url: URL
    relay: URL
    environment: str
    world: World
    api: ModuleType
    asked: list[str]  # cookies with which the API was asked

    @property
    def path(self) -> str:
        return f"/api/environments/{self.environment}/logs/stream"

    @asynccontextmanager
    async def browser(self, *, signed_in: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
        jar = aiohttp.CookieJar(unsafe=True)  # hosts that are addresses count too, as they do for browsers
        async with aiohttp.ClientSession(self.url, cookie_jar=jar) as browser:
            if signed_in:
                form = {"name": NAME, "password": PASSWORD}
                async with browser.post("/", data=form, allow_redirects=False) as answer:
                    assert answer.status == 303
            yield browser


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_api", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def composed(deploy: Path, world: World, **changes: str) -> settings.Settings:
    """The relay's settings as compose.yaml has them, but for addresses and secrets, which are this test's."""
    compose = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    told: Mapping[str, str] = compose["services"]["logrelay"]["environment"]
    kept = {name: value for name, value in told.items() if "${" not in value and "secrets" not in value}
    forward = URL(told["LOGRELAY_FORWARD_URL"]).with_host("127.0.0.1").with_port(int(changes.pop("api_port")))
    # The address that the image listens on: what is asked before is what makes such a container start at all.
    own = {"LOGRELAY_HOST": "0.0.0.0", "LOGRELAY_FORWARD_URL": str(forward)}  # noqa: S104 it isn't bound here
    token = {"RAILWAY_API_TOKEN": world.account_token, "LOGRELAY_ENVIRONMENTS": world.environment.id}
    read, warnings = settings.read(QUICK | kept | own | token | changes)
    assert warnings == []
    return read


@asynccontextmanager
async def running(deploy: Path, **changes: str) -> AsyncIterator[Example]:
    world, api = World(seed=7), load(deploy / "example" / "api.py")
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    asked: list[str] = []

    async def note(request: web.Request, _response: web.StreamResponse) -> None:
        if request.path == "/may-look":
            asked.append(request.headers.get("Cookie", ""))

    async with StandIn(world, poll_interval=0.01) as railway:
        read = composed(deploy, world, api_port=str(port), LOGRELAY_RAILWAY_URL=railway.url, **changes)
        application = relay_app.build(read)
        relay_runner, relay_port = await relay_app.start(application, "127.0.0.1", 0)
        main_api = api.create_app(f"http://127.0.0.1:{relay_port}", world.environment.id, (NAME, PASSWORD))
        main_api.on_response_prepare.append(note)
        runner = web.AppRunner(main_api, shutdown_timeout=2.0)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        try:
            url, relay = URL(f"http://127.0.0.1:{port}"), URL(f"http://127.0.0.1:{relay_port}")
            yield Example(url, relay, world.environment.id, world, api, asked)
        finally:
            await application[relay_app.STREAMS].drain()
            await relay_runner.cleanup()
            await runner.cleanup()


@pytest.fixture
async def example(deploy: Path) -> AsyncIterator[Example]:
    async with running(deploy) as example:
        yield example


async def until_said(stream: aiohttp.ClientWebSocketResponse, kind: str, message: str = "") -> Any:
    """The next message of a kind; others before it are passed over."""
    async with asyncio.timeout(DEADLINE):
        while True:
            said = json.loads(await stream.receive_str())
            if said["type"] == kind and message in ("", said.get("message")):
                return said


async def ending(stream: aiohttp.ClientWebSocketResponse) -> tuple[list[str], int | None]:
    """All that still comes, by its types, and the close code."""
    kinds = []
    async with asyncio.timeout(DEADLINE):
        async for message in stream:
            assert message.type is WSMsgType.TEXT
            kinds.append(json.loads(message.data).get("code") or json.loads(message.data)["type"])
    return kinds, stream.close_code


async def test_who_has_signed_in_sees_the_log(example: Example) -> None:
    headers = {"Origin": str(example.url.origin())}
    async with (
        example.browser() as browser,
        browser.ws_connect(example.path, headers=headers) as stream,
    ):
        await until_said(stream, "status", "connected")
        example.world.environment.write("a line for the one who has signed in", service="api")
        line = {"data": {"message": ""}}
        while line["data"]["message"] != "a line for the one who has signed in":
            line = await until_said(stream, "log")

    assert line["data"]["serviceName"] == "api"
    assert len(example.asked) == 1  # not twice, although the stream passes through the API
    assert example.asked[0].startswith("session=")


async def test_a_stranger_is_told_to_sign_in_and_sees_nothing(example: Example) -> None:
    headers = {"Origin": str(example.url.origin()), "Cookie": "session=made-up"}
    async with (
        example.browser(signed_in=False) as browser,
        browser.ws_connect(example.path, headers=headers) as stream,
    ):
        assert await ending(stream) == (["unauthenticated"], 4401)


async def test_an_environment_that_the_api_does_not_offer_is_not_shown(example: Example) -> None:
    headers = {"Origin": str(example.url.origin())}
    path = example.path.replace(example.environment, "another")
    async with example.browser() as browser, browser.ws_connect(path, headers=headers) as stream:
        assert await ending(stream) == (["not_allowed"], 4403)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", None])
async def test_another_sites_page_gets_nowhere_with_the_users_cookie(
    example: Example, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    async with example.browser() as browser:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(example.path, headers=headers)

    assert refused.value.status == 403
    assert example.asked == []


async def test_who_signs_out_is_out_when_the_api_is_asked_again(deploy: Path) -> None:
    often = {"LOGRELAY_FORWARD_RECHECK_SECONDS": "0.1", "LOGRELAY_FORWARD_CACHE_SECONDS": "0"}
    async with running(deploy, **often) as example, example.browser() as browser:
        headers = {"Origin": str(example.url.origin())}
        async with browser.ws_connect(example.path, headers=headers) as stream:
            await until_said(stream, "status", "connected")
            async with browser.post("/sign-out", allow_redirects=False) as answer:
                assert answer.status == 303

            kinds, code = await ending(stream)

    assert (kinds[-1], code) == ("expired", 4401)


async def test_the_relay_says_in_its_readiness_that_the_api_does_not_answer(example: Example) -> None:
    def broken(_request: web.Request) -> float:
        raise web.HTTPServiceUnavailable

    async with example.browser() as browser:
        headers = {"Origin": str(example.url.origin())}
        async with browser.get(example.relay / "readyz") as answer:
            assert (await answer.json())["access"] == {"mode": "forward", "state": "ok"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(example.api, "seconds_left", broken)
            async with browser.ws_connect(example.path, headers=headers) as stream:
                assert await ending(stream) == (["internal"], 1011)
        async with browser.get(example.relay / "readyz") as answer:
            ready = await answer.json()

    assert answer.status == 200
    assert ready["state"] == "degraded"
    assert (ready["access"]["state"], ready["access"]["reason"]) == ("failing", "status 503")
