"""What a caller may look at, as Railway tells it: the whole relay against the stand-in."""

import importlib.resources
from typing import Any

import jsonschema
import yaml
from conftest_system import DEADLINE, Relay, relaying

from logrelay.standin import StandIn, World

_DOCUMENT: dict[str, Any] = yaml.safe_load(
    importlib.resources.files("logrelay.web").joinpath("asyncapi.yaml").read_text(encoding="utf-8")
)
_PAGE = jsonschema.Draft202012Validator(_DOCUMENT | {"$ref": "#/components/messages/historyPage/payload"})


async def get(relay: Relay, path: str = "") -> tuple[int, Any]:
    async with relay.session.get(f"{relay.base}/api/environments{path}") as answer:
        return answer.status, await answer.json()


async def test_a_relay_of_everything_lists_the_projects_of_its_token(world: World, railway: StandIn) -> None:
    staging = world.add_environment("staging")
    async with relaying(railway, {"LOGRELAY_ENVIRONMENTS": "*"}) as relay:
        status, body = await get(relay)
        for _ in range(5):
            assert await get(relay) == (status, body)

    assert status == 200
    assert body["environments"] == [
        {
            "id": environment.id,
            "name": environment.name,
            "projectId": world.project_id,
            "projectName": world.project_name,
        }
        for environment in sorted((world.environment, staging), key=lambda each: each.name)
    ]
    assert len(railway.journal.queries) == 1


async def test_an_environments_services_come_with_their_deployments(world: World, railway: StandIn) -> None:
    async with relaying(railway) as relay:
        status, body = await get(relay, f"/{world.environment.id}")
        assert await get(relay, f"/{world.environment.id}") == (status, body)
        others = await get(relay, "/of-nobody")

    assert status == 200
    services = {service["name"]: service for service in body["services"]}
    assert set(services) == {service.name for service in world.environment.services}
    for service in world.environment.services:
        newest = services[service.name]["deployments"][0]
        assert (newest["id"], newest["status"]) == (service.newest.id, service.newest.status)
        assert newest["createdAt"].endswith("Z")
    assert others[0] == 403
    assert len(railway.journal.queries) == 1


async def test_a_project_token_lists_its_own_environment(world: World, railway: StandIn) -> None:
    world.add_environment("staging")
    changes = {"RAILWAY_API_TOKEN": "", "RAILWAY_TOKEN": world.project_token, "LOGRELAY_ENVIRONMENTS": ""}
    async with relaying(railway, changes) as relay:
        status, body = await get(relay)

    assert status == 200
    assert [(each["id"], each["name"]) for each in body["environments"]] == [
        (world.environment.id, world.environment.name)
    ]


async def test_railways_failures_are_asked_about_once_and_not_by_each_caller(
    world: World, railway: StandIn
) -> None:
    railway.faults.http = (503, {}, "")
    async with relaying(railway) as relay:
        statuses = [(await get(relay, f"/{world.environment.id}"))[0] for _ in range(5)]
        listed = await get(relay)

    assert statuses == [503] * 5
    assert listed[0] == 200
    assert listed[1]["environments"][0]["name"] is None
    assert len(railway.journal.queries) <= 2


async def test_older_records_come_from_railways_past_with_the_same_ids(
    world: World, railway: StandIn
) -> None:
    for number in range(300):
        world.environment.write(f"line {number}")
    async with relaying(railway, {"LOGRELAY_HISTORY_RECORDS": "50"}) as relay:
        path = f"/api/environments/{world.environment.id}/logs/stream?tail=50"
        async with relay.session.ws_connect(relay.base + path) as socket:
            live: list[Any] = []
            while len(live) < 50:
                message = await socket.receive_json(timeout=DEADLINE)
                live += [message["data"]] if message["type"] == "log" else []
            await socket.send_json({"type": "history", "before": live[10]["id"], "limit": 5000})
            older: list[Any] = []
            page: Any = {"done": False}
            while not page["done"]:
                page = await socket.receive_json(timeout=DEADLINE)
                assert page["type"] == "history", page
                _PAGE.validate(page)
                older += page["data"]
            await socket.send_json({"type": "history", "before": live[0]["id"], "limit": 5})
            again = await socket.receive_json(timeout=DEADLINE)

    assert live[0]["message"].startswith("line ")
    first = int(live[0]["message"].split()[1])
    assert older[:10] == live[:10][::-1]
    written = [record["message"] for record in older if record["message"].startswith("line ")]
    assert written == [f"line {number}" for number in range(first + 10)][::-1]
    assert len({record["id"] for record in older}) == len(older)
    assert again["data"] == older[10:15]
