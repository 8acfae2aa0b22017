"""Answers to operations: log rows by plan, everything else by graphql-core's executor. No I/O."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from graphql import GraphQLError, execute_sync

from logrelay.standin import errors, views, windows
from logrelay.standin.cuts import cut
from logrelay.standin.filters import compile_filter
from logrelay.standin.schema import railway_schema, read_document, read_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrelay.standin.access import Caller
    from logrelay.standin.rows import Row
    from logrelay.standin.schema import Call, Operation
    from logrelay.standin.world import Environment, World

    Arguments = Mapping[str, Any]


def encode(payload: Any) -> bytes:
    """Write JSON; half of a surrogate pair, which a log line may well contain, stays as an escape."""
    try:
        return msgspec.json.encode(payload)
    except UnicodeEncodeError:
        return json.dumps(payload, separators=(",", ":")).encode()


def read_request(body: Any) -> Operation | dict[str, Any]:
    """Read a GraphQL request: an operation, or the answer to a document which isn't one (status 400)."""
    text = body.get("query") if isinstance(body, dict) else None
    if not isinstance(text, str):
        return {"errors": [errors.wire("Must provide query string.", errors.BAD_INPUT)]}
    document = read_document(text)
    if document.node is None or document.errors:
        return {"errors": [errors.from_document(error) for error in document.errors]}
    variables = body.get("variables") or {}
    name = body.get("operationName")
    if not isinstance(variables, dict):
        return {"errors": [errors.wire("Variables are invalid JSON.", errors.BAD_INPUT)]}
    try:
        return read_operation(document.node, name, variables)
    except GraphQLError as error:
        return {
            "errors": [
                errors.wire(errors.as_node(error.message), errors.BAD_INPUT, locations=error.locations or ())
            ]
        }


def answer(world: World, caller: Caller, operation: Operation) -> dict[str, Any]:
    """Execute a query."""
    if operation.only_logs:
        return _answer_logs(world, caller, operation)
    result = execute_sync(
        railway_schema(),
        operation.document,
        root_value=_resolvers(world, caller),
        variable_values=operation.variables,
        operation_name=operation.name,
    )
    if not result.errors:
        return {"data": result.data}
    return {"errors": [errors.from_execution(error) for error in result.errors], "data": result.data}


def refusal(call: Call, refused: errors.RefusedError) -> dict[str, Any]:
    """Answer an operation whose only field was refused."""
    place = call.node.loc
    locations = [] if place is None else [place.start_token]
    error = errors.wire(refused.message, refused.code, path=[call.key], locations=locations)
    return {"errors": [error], "data": None}


def _answer_logs(world: World, caller: Caller, operation: Operation) -> dict[str, Any]:
    data = {}
    for call in operation.calls:
        try:
            rows = log_rows(world, caller, call.name, call.arguments)
        except errors.RefusedError as refused:
            return refusal(call, refused)
        data[call.key] = cut(rows, call.plan or {})
    return {"data": data}


def log_rows(world: World, caller: Caller, name: str, arguments: Arguments) -> list[Row]:
    """Select the rows that one log query asks for."""
    if name == "environmentLogs":
        environment = caller.environment(world, arguments["environmentId"])
        window = windows.read_window(arguments)
        test = compile_filter(arguments.get("filter"))
        return windows.query(environment.by_stamp, window, world.clock(), test)
    environment, deployment = caller.deployment(world, arguments["deploymentId"])
    number = windows.limit(arguments, "limit")
    start, end = windows.moment(arguments, "startDate"), windows.moment(arguments, "endDate")
    test = compile_filter(arguments.get("filter"))
    if name == "buildLogs":
        rows = windows.between(deployment.build_rows, start, end)
    else:
        rows = [
            row
            for row in windows.between(environment.by_stamp, start, end)
            if row.tags is not None and row.tags.get("deploymentId") == deployment.id
        ]
    return windows.newest(rows, windows.one_more(windows.DEFAULT_LIMIT if number is None else number), test)


def _environments(world: World, caller: Caller) -> list[Environment]:
    if caller.environment_id is None:
        return world.environments
    return [caller.environment(world, caller.environment_id)]


def _deployments(world: World, caller: Caller, arguments: Arguments) -> views.View:
    caller.admitted()
    wanted = arguments["input"]
    status = wanted.get("status") or {}
    listed = [
        view
        for environment in _environments(world, caller)
        for view in views.newest_first(environment, environment.services)
        if all(wanted.get(name) in (None, view[name]) for name in ("projectId", "environmentId", "serviceId"))
        and (status.get("in") is None or view["status"] in status["in"])
        and view["status"] not in (status.get("notIn") or ())
    ]
    return views.connection(sorted(listed, key=lambda view: view["createdAt"], reverse=True), arguments)


def _project(world: World, caller: Caller, project_id: str) -> views.View:
    caller.admitted()
    if project_id != world.project_id:
        raise errors.RefusedError("Project not found")
    return views.project_view(world, _environments(world, caller))


def _projects(world: World, caller: Caller, arguments: Arguments) -> views.View:
    caller.account()
    return views.connection([views.project_view(world, _environments(world, caller))], arguments)


def _project_token(world: World, caller: Caller) -> views.View:
    environment = caller.environment(world, caller.project())
    return {
        "id": f"{environment.id}-token",
        "name": "log relay",
        "displayToken": "********",
        "createdAt": views.moment(environment.created_ns),
        "environmentId": environment.id,
        "projectId": environment.project_id,
        "environment": views.environment_view(environment),
        "project": views.project_view(world, [environment]),
    }


def _service(world: World, caller: Caller, service_id: str, environment_id: str | None) -> views.View:
    caller.admitted()
    for environment in _environments(world, caller):
        for service in environment.services:
            if service.id == service_id and environment_id in (None, environment.id):
                if environment_id is None:
                    return views.service_view(environment, service)
                return views.instance_view(environment, service)
    raise errors.RefusedError(errors.NOT_AUTHORIZED)


def _me(world: World, caller: Caller) -> views.View:
    caller.account()
    return views.user_view(world)


def _api_token(world: World, caller: Caller) -> views.View:
    caller.account()
    return {"workspaces": [{"id": world.workspace_id, "name": "Ada's workspace"}]}


def _environment(world: World, caller: Caller, arguments: Arguments) -> views.View:
    environment = caller.environment(world, arguments["id"])
    if arguments.get("projectId") not in (None, environment.project_id):
        raise errors.RefusedError(errors.NOT_AUTHORIZED)
    return views.environment_view(environment)


def _all_environments(world: World, caller: Caller, arguments: Arguments) -> views.View:
    project = _project(world, caller, arguments["projectId"])
    page: views.View = project["environments"](None, **arguments)
    return page


def _resolvers(world: World, caller: Caller) -> dict[str, Callable[..., Any]]:
    def logs(name: str) -> Callable[..., Any]:
        return lambda _info, **given: [row.wire() for row in log_rows(world, caller, name, given)]

    return {
        "me": lambda _info: _me(world, caller),
        "apiToken": lambda _info: _api_token(world, caller),
        "projectToken": lambda _info: _project_token(world, caller),
        "project": lambda _info, **given: _project(world, caller, given["id"]),
        "projects": lambda _info, **given: _projects(world, caller, given),
        "environment": lambda _info, **given: _environment(world, caller, given),
        "environments": lambda _info, **given: _all_environments(world, caller, given),
        "deployment": lambda _info, **given: views.deployment_view(*caller.deployment(world, given["id"])),
        "deployments": lambda _info, **given: _deployments(world, caller, given),
        "service": lambda _info, **given: _service(world, caller, given["id"], None),
        "serviceInstance": lambda _info, **given: _service(
            world, caller, given["serviceId"], given["environmentId"]
        ),
        "environmentLogs": logs("environmentLogs"),
        "deploymentLogs": logs("deploymentLogs"),
        "buildLogs": logs("buildLogs"),
    }
