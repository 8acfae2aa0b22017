from __future__ import annotations

import re
from typing import Any

import pytest

from logrelay.standin import StandIn, World, timestamps

SECOND = timestamps.SECOND
NOBODY = {"Authorization": "Bearer nobody"}


def numbered(world: World, n: int, *, start: int = 1000) -> None:
    world.environment.write_many([{"message": str(i), "at": (start + i) * SECOND} for i in range(n)])


def at(i: int) -> str:
    return timestamps.stamp((1000 + i) * SECOND)


async def test_a_row_looks_as_railway_sends_it(world: World, ask: Any, documents: Any) -> None:
    row = world.environment.write(
        "hello", attributes={"z": {"a": [1, "two"]}, "a": 1.5, "level": "warn"}, severity="warn"
    )

    _, answer = await ask(documents["page"], {"beforeLimit": 1})

    (sent,) = answer["data"]["environmentLogs"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", sent["timestamp"])
    assert row.timestamp == sent["timestamp"]
    assert sent["attributes"] == [
        {"key": "a", "value": "1.5"},
        {"key": "level", "value": '"warn"'},
        {"key": "z", "value": '{"a":[1,"two"]}'},
    ]
    assert world.environment.service("api").id == sent["tags"]["serviceId"]
    assert sent["tags"]["snapshotId"] is None
    assert {**row.wire(), "tags": None} == {**sent, "tags": None}


async def test_a_log_query_gives_one_row_more_than_asked(world: World, page: Any) -> None:
    numbered(world, 300)

    assert [str(i) for i in range(199, 300)] == await page()
    assert await page(beforeLimit=2) == ["297", "298", "299"]


async def test_an_anchored_query_includes_its_anchor(world: World, page: Any) -> None:
    numbered(world, 10)

    assert await page(anchorDate=at(5), beforeLimit=2, afterLimit=0) == ["3", "4", "5"]
    assert await page(anchorDate="2999-01-01T00:00:00Z", beforeLimit=2, afterLimit=0) == ["7", "8", "9"]


async def test_a_closed_range_includes_both_ends(world: World, page: Any) -> None:
    numbered(world, 10)

    closed = {"beforeDate": at(3), "anchorDate": at(6), "afterDate": at(6), "afterLimit": 0}
    assert await page(**closed, beforeLimit=100) == ["3", "4", "5", "6"]
    assert await page(**closed, beforeLimit=1) == ["5", "6"]


async def test_a_before_date_without_anchor_gives_nothing(world: World, page: Any) -> None:
    numbered(world, 3)

    assert await page(beforeDate=at(0), beforeLimit=10) == []


async def test_a_filter_is_applied_by_the_server(world: World, page: Any) -> None:
    api, worker = world.environment.service("api"), world.environment.service("worker")
    world.environment.write("from api", severity="error")
    world.environment.write("from worker", service="worker")

    assert await page(filter=f"@service:{api.id}") == ["from api"]
    assert await page(filter=f"@service:{worker.id} OR nothing") == ["from worker"]
    assert await page(filter="@level:error") == ["from api"]
    assert await page(filter="") == ["from api", "from worker"]


@pytest.mark.parametrize(
    ("variables", "argument"),
    [
        ({"beforeLimit": 5001}, "beforeLimit"),
        ({"afterLimit": 5001, "anchorDate": "2025-01-01T00:00:00Z"}, "afterLimit"),
        ({"beforeLimit": -1}, "beforeLimit"),
        ({"beforeDate": "yesterday"}, "beforeDate"),
        ({"anchorDate": "2025-13-01T00:00:00Z"}, "anchorDate"),
        ({"afterDate": ""}, "afterDate"),
        ({"filter": "((("}, "filter"),
    ],
)
async def test_a_bad_argument_is_refused_by_its_name(
    ask: Any, documents: Any, variables: Any, argument: str
) -> None:
    status, answer = await ask(documents["page"], variables)

    (error,) = answer["errors"]
    assert (status, answer["data"]) == (200, None)
    assert f"Error in {argument} - Invalid input" == error["message"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert error["traceId"].isdigit()
    assert error["path"] == ["environmentLogs"]


async def test_a_page_of_five_thousand_and_one_rows(world: World, page: Any) -> None:
    numbered(world, 5100)

    assert len(await page(beforeLimit=5000)) == 5001


async def test_deployment_logs_are_one_deployments_and_have_a_range(
    world: World, ask: Any, documents: Any
) -> None:
    environment = world.environment
    numbered(world, 4)
    environment.write("other", service="web")
    old = environment.service("api").newest
    environment.service("api").deploy()
    environment.write("new")
    query = "query Q($id: String!, $start: DateTime, $end: DateTime, $limit: Int) { deploymentLogs("
    query += "deploymentId: $id, startDate: $start, endDate: $end, limit: $limit) { message } }"

    async def messages(**variables: Any) -> list[str]:
        _, answer = await ask(query, {"id": old.id, **variables})
        return [row["message"] for row in answer["data"]["deploymentLogs"]]

    assert await messages() == ["0", "1", "2", "3"]
    assert await messages(limit=1) == ["2", "3"]
    assert await messages(start=at(1), end=at(2)) == ["1", "2"]
    for variables, argument in (
        ({"limit": 5001}, "limit"),
        ({"start": "x"}, "startDate"),
        ({"end": 5}, "endDate"),
    ):
        _, answer = await ask(query, {"id": old.id, **variables})
        assert f"Error in {argument} - Invalid input" == answer["errors"][0]["message"]


async def test_build_logs_are_the_deployments_own(world: World, ask: Any) -> None:
    deployment = world.environment.service("web").newest

    _, answer = await ask(
        f'{{ buildLogs(deploymentId: "{deployment.id}") {{ message tags {{ snapshotId }} }} }}'
    )

    assert len(answer["data"]["buildLogs"]) == 3
    assert {"snapshotId": deployment.snapshot_id} == answer["data"]["buildLogs"][0]["tags"]


async def refusal(ask: Any, query: str, **more: Any) -> str:
    status, answer = await ask(query, **more)
    assert (status, answer["data"]) == (200, None)
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    return answer["errors"][0]["message"]


async def test_tokens_open_what_is_theirs(world: World, ask: Any, documents: Any) -> None:
    project = {"Project-Access-Token": world.project_token}
    staging = world.add_environment("staging")
    page = documents["page"]

    assert await refusal(ask, page, headers={}) == "Not Authorized"
    assert await refusal(ask, page, headers=NOBODY) == "Not Authorized"
    assert await refusal(ask, page, headers={"Project-Access-Token": "nobody"}) == "Not Authorized"
    assert (
        await refusal(ask, page, headers={"Authorization": f"Bearer {world.project_token}"})
        == "Project Token not found"
    )
    assert (
        await refusal(ask, page, headers=project, variables={"environmentId": staging.id}) == "Not Authorized"
    )
    assert await refusal(ask, page, variables={"environmentId": "nowhere"}) == "Not Authorized"
    assert await refusal(ask, "{ me { id } }", headers=project) == "Not Authorized"
    assert await refusal(ask, "{ apiToken { workspaces { id } } }", headers=project) == "Not Authorized"
    assert await refusal(ask, "{ projectToken { projectId } }") == "Project Token not found"

    _, answer = await ask(page, headers=project)
    assert answer == {"data": {"environmentLogs": []}}
    _, answer = await ask(
        "{ projectToken { projectId environmentId environment { name } project { id } } }", headers=project
    )
    assert world.environment.id == answer["data"]["projectToken"]["environmentId"]
    _, answer = await ask("{ me { id } apiToken { workspaces { id name } } }")
    assert world.user_id == answer["data"]["me"]["id"]
    assert world.workspace_id == answer["data"]["apiToken"]["workspaces"][0]["id"]

    world.tokens.clear()
    assert await refusal(ask, page) == "Not Authorized"


async def test_introspection_is_open(ask: Any) -> None:
    _, answer = await ask("{ __schema { queryType { name } } }", headers={})

    assert answer == {"data": {"__schema": {"queryType": {"name": "Query"}}}}


async def test_discovery_finds_services_and_deployments(world: World, ask: Any) -> None:
    api = world.environment.service("api")
    old, new = api.newest, api.deploy()
    building = api.deploy("BUILDING")
    query = """query E($id: String!, $first: Int, $after: String, $project: String) {
      environment(id: $id, projectId: $project) {
        name deletedAt deployments(first: 2) { edges { node { id service { name } environment { id } } } }
        serviceInstances(first: $first, after: $after) {
          edges { node { serviceName
            service { deployments { edges { cursor } } serviceInstances { edges { cursor } } }
            latestDeployment { id status instances { id status } }
            activeDeployments { id } domains { serviceDomains { domain } } } }
          pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""

    _, answer = await ask(query, {"id": world.environment.id, "first": 2})
    found = answer["data"]["environment"]["serviceInstances"]
    assert [edge["node"]["serviceName"] for edge in found["edges"]] == ["api", "web"]
    assert {
        "id": building.id,
        "status": "BUILDING",
        "instances": [{"id": building.instances[0].id, "status": "RUNNING"}],
    } == found["edges"][0]["node"]["latestDeployment"]
    assert [{"id": old.id}, {"id": new.id}] == found["edges"][0]["node"]["activeDeployments"]
    assert found["pageInfo"]["hasNextPage"]

    _, answer = await ask(query, {"id": world.environment.id, "after": found["pageInfo"]["endCursor"]})
    found = answer["data"]["environment"]["serviceInstances"]
    assert [edge["node"]["serviceName"] for edge in found["edges"]] == ["worker"]
    assert not found["pageInfo"]["hasNextPage"]

    _, answer = await ask(query, {"id": world.environment.id, "after": "nowhere"})
    assert answer["errors"][0]["message"] == "Error in after - Invalid input"
    _, answer = await ask(query, {"id": world.environment.id, "project": "nowhere"})
    assert answer["errors"][0]["message"] == "Not Authorized"

    api.deployments.clear()
    _, answer = await ask(query, {"id": world.environment.id, "project": world.project_id})
    assert answer["data"]["environment"]["serviceInstances"]["edges"][0]["node"]["latestDeployment"] is None


async def test_discovery_finds_the_project_and_its_parts(world: World, ask: Any) -> None:
    world.add_environment("staging")
    project = {"Project-Access-Token": world.project_token}
    query = """query P($id: String!) {
      project(id: $id) {
        name services { edges { node { id name } } } environments { edges { node { name } } } }
      environments(projectId: $id) { edges { node { name } } } }"""

    _, answer = await ask(query, {"id": world.project_id})
    data = answer["data"]
    assert [edge["node"]["name"] for edge in data["project"]["services"]["edges"]] == ["api", "web", "worker"]
    assert [edge["node"]["name"] for edge in data["environments"]["edges"]] == ["production", "staging"]
    _, answer = await ask(query, {"id": world.project_id}, headers=project)
    assert [edge["node"]["name"] for edge in answer["data"]["environments"]["edges"]] == ["production"]
    _, answer = await ask(query, {"id": "nowhere"})
    assert answer["errors"][0]["message"] == "Project not found"


async def test_deployments_are_listed_newest_first(world: World, ask: Any) -> None:
    api = world.environment.service("api")
    old, new = api.newest, api.deploy("CRASHED")
    query = """query D($input: DeploymentListInput!, $first: Int) {
      deployments(input: $input, first: $first) { edges { node { id } } } }"""

    async def listed(first: int | None = None, **wanted: Any) -> list[str]:
        _, answer = await ask(query, {"input": wanted, "first": first})
        return [edge["node"]["id"] for edge in answer["data"]["deployments"]["edges"]]

    assert len(await listed(projectId=world.project_id)) == 4
    assert [new.id, old.id] == sorted(await listed(serviceId=api.id), key=[new.id, old.id].index)
    assert [old.id] == await listed(serviceId=api.id, status={"in": ["SUCCESS"]})
    assert [new.id] == await listed(serviceId=api.id, status={"notIn": ["SUCCESS"]})
    assert len(await listed(first=1)) == 1
    assert await listed(environmentId="nowhere") == []


async def test_single_things_are_found_by_id(world: World, ask: Any) -> None:
    environment = world.environment
    api = environment.service("api")

    _, answer = await ask(
        """query S($s: String!, $e: String!, $d: String!) {
          service(id: $s) { name } serviceInstance(serviceId: $s, environmentId: $e) { serviceName }
          deployment(id: $d) { status } }""",
        {"s": api.id, "e": environment.id, "d": api.newest.id},
    )
    assert answer["data"] == {
        "service": {"name": "api"},
        "serviceInstance": {"serviceName": "api"},
        "deployment": {"status": "SUCCESS"},
    }
    _, answer = await ask('{ service(id: "nowhere") { name } }')
    assert answer["errors"][0]["message"] == "Not Authorized"
    _, answer = await ask('{ deployment(id: "nowhere") { id } }')
    assert answer["errors"][0]["message"] == "Deployment not found"


async def test_what_is_not_stood_in_for_is_a_masked_error(world: World, ask: Any) -> None:
    _, answer = await ask('{ workspace(workspaceId: "w") { id } }')
    assert answer["data"] is None
    assert answer["errors"][0]["message"]

    world.environment.services[0].new_id = None
    world.environment.services[0].deployments = None
    _, answer = await ask(
        f'{{ environment(id: "{world.environment.id}") {{ deployments {{ edges {{ cursor }} }} }} }}'
    )
    assert answer["errors"][0]["message"] == "Problem processing request"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ nothing }", 'Cannot query field "nothing" on type "Query".'),
        ("{", "Syntax Error: Expected Name, found <EOF>."),
        ("query A { __typename } query B { __typename }", "Must provide operation name."),
        ('subscription { deployment(id: "1") { id } }', "Subscriptions are not served over HTTP."),
        ("query Q($id: String!) { deployment(id: $id) { id } }", 'Variable "$id" has invalid value'),
    ],
)
async def test_a_malformed_document_is_a_400_without_data(ask: Any, query: str, message: str) -> None:
    status, answer = await ask(query)

    assert status == 400
    assert message in answer["errors"][0]["message"]
    assert "data" not in answer
    if query.startswith("{"):
        assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"query": 5}', b'{"query": "{ __typename }", "variables": [1]}']
)
async def test_a_body_that_is_no_request_is_a_400(railway: StandIn, http: Any, body: bytes) -> None:
    async with http.post(railway.url, data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["errors"]


async def test_other_paths_are_not_found_and_all_answers_name_the_policy(railway: StandIn, http: Any) -> None:
    async with http.get(railway.url.replace("/graphql/v2", "/nothing")) as answer:
        assert answer.status == 404
        assert (await answer.json())["message"] == "Not Found"
        assert answer.headers["RateLimit-Policy"] == '"default";q=1000;w=3600'
    async with http.get(railway.url) as answer:
        assert answer.status == 400


async def test_the_journal_keeps_queries(railway: StandIn, world: World, ask: Any, documents: Any) -> None:
    await ask(
        documents["page"],
        {"beforeLimit": 7},
        name="Page",
        headers={"Project-Access-Token": world.project_token},
    )

    (asked,) = railway.journal.queries
    assert (asked.operation_name, asked.token_kind) == ("Page", "project")
    assert asked.variables["beforeLimit"] == 7
    assert world.project_token == asked.headers["project-access-token"]
    assert world.project_token not in repr(asked)
