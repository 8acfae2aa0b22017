"""The composition root: a project token's own environment, memory, and the end of the process."""

from pathlib import Path

from conftest_system import Relay, relaying, until

from logrelay import app
from logrelay.standin import StandIn, World


async def test_a_project_token_streams_its_own_environment_only(world: World, railway: StandIn) -> None:
    other = world.add_environment("staging")
    changes = {"RAILWAY_API_TOKEN": "", "RAILWAY_TOKEN": world.project_token, "LOGRELAY_ENVIRONMENTS": ""}
    async with relaying(railway, changes) as relay:
        world.environment.write("mine")
        async with relay.viewer(
            tail=1
        ) as viewer:  # waits while the relay asks which environment its token is for
            await viewer.until_lines(1)

        async with relay.viewer(other.id) as viewer:
            await until(lambda: viewer.socket.closed, "refused")
            assert viewer.socket.close_code == 4403
            assert viewer.others[0]["code"] == "not_allowed"

    assert all("authorization" not in connection.headers for connection in railway.journal.connections)
    assert {asked.token_kind for asked in railway.journal.subscribes} == {"project"}


async def test_the_environment_is_learned_as_soon_as_railway_says_it(world: World, railway: StandIn) -> None:
    railway.faults.http = (503, {}, "")
    changes = {"RAILWAY_API_TOKEN": "", "RAILWAY_TOKEN": world.project_token, "LOGRELAY_ENVIRONMENTS": ""}
    async with relaying(railway, changes) as relay:
        async with relay.viewer() as viewer:
            await until(lambda: viewer.socket.closed, "told to come back")
            assert viewer.socket.close_code == 1011
            assert viewer.others[0]["retryable"] is True
            assert viewer.said("connecting")

        railway.faults.http = None
        async with relay.viewer() as viewer:
            await viewer.until_said("connected")


async def test_a_project_token_that_railway_refuses_is_said_to_viewers(
    world: World, railway: StandIn
) -> None:
    changes = {"RAILWAY_API_TOKEN": "", "RAILWAY_TOKEN": "of-nobody", "LOGRELAY_ENVIRONMENTS": ""}
    async with relaying(railway, changes) as relay:
        for _ in range(3):
            async with relay.viewer() as viewer:
                await until(lambda: viewer.socket.closed, "refused")
                assert viewer.socket.close_code == 4502
                assert viewer.others[0]["code"] == "upstream_refused"

    assert len(railway.journal.queries) == 3


async def test_tokens_are_read_again_on_sighup(world: World, railway: StandIn, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    changes = {
        "RAILWAY_API_TOKEN": "",
        "RAILWAY_API_TOKEN_FILE": str(token),
        "LOGRELAY_REFUSED_SECONDS": "300",
    }
    async with relaying(railway, changes) as relay:
        async with relay.viewer() as viewer:
            await until(lambda: viewer.socket.closed, "refused")
            assert viewer.socket.close_code == 4502

        token.write_text(world.account_token)
        assert relay.application[app.GATEWAY].reread_credential()

        hub = relay.hubs.get(relay.environment_id)
        assert hub is not None
        await until(lambda: hub.refusal is None, "Railway is asked again")
        async with relay.viewer() as viewer:
            await viewer.until_said("connected")


async def test_the_health_routes_answer_at_the_root_and_under_the_base_path(railway: StandIn) -> None:
    async with relaying(railway, {"LOGRELAY_BASE_PATH": "/logs"}) as relay:
        for path in ("/healthz", "/logs/healthz", "/readyz", "/logs/readyz"):
            async with relay.session.get(relay.base + path) as answer:
                assert answer.status == 200, path
        path = f"/logs/api/environments/{relay.environment_id}/logs/stream"
        async with relay.session.ws_connect(relay.base + path) as socket:
            assert (await socket.receive_json())["type"] == "status"


async def test_a_drained_relay_sends_what_has_arrived_and_says_when_to_come_back(
    world: World, railway: StandIn, relay: Relay
) -> None:
    async with relay.viewer() as viewer:
        await viewer.until_said("connected")
        world.environment.write_many([f"line {number}" for number in range(500)])
        await railway.flush()
        await until(lambda: len(next(iter(relay.hubs)).history) == 500, "all of it has arrived")
        await relay.streams.drain()

        await until(lambda: viewer.socket.closed, "closed")
        assert viewer.socket.close_code == 1012
        assert len(viewer.lines) == 500
        assert viewer.said("draining")[0]["data"]["reconnectInSeconds"] > 0
