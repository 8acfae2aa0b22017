"""The protocol's document: well formed, in step with the code, and true of every message that crosses the wire."""

import importlib.resources
import typing
from typing import Any

import jsonschema
import pytest
import yaml

from logrelay.relay import filters
from logrelay.relay.filters import Filter
from logrelay.relay.records import SEVERITIES
from logrelay.web import parameters, protocol

DOCUMENT: dict[str, Any] = yaml.safe_load(
    importlib.resources.files("logrelay.web").joinpath("asyncapi.yaml").read_text(encoding="utf-8")
)


def validator(name: str) -> jsonschema.Draft202012Validator:
    """What checks one message; its references point into the document."""
    reference = {"$ref": f"#/components/messages/{name}/payload"}
    return jsonschema.Draft202012Validator(DOCUMENT | reference)


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_the_limits_are_those_of_the_code() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    query = DOCUMENT["channels"]["stream"]["bindings"]["ws"]["query"]["properties"]

    assert query["tail"]["maximum"] == parameters.TAIL_LIMIT
    assert query["tail"]["default"] == parameters.TAIL_DEFAULT
    assert query["overlap"]["maximum"] == parameters.OVERLAP_LIMIT
    assert query["search"]["maxLength"] == filters.SEARCH_LIMIT
    assert schemas["FilterCommand"]["properties"]["services"]["maxItems"] == filters.SERVICES_LIMIT
    assert schemas["FilterCommand"]["properties"]["replay"]["maximum"] == protocol.REPLAY_LIMIT
    assert schemas["HistoryCommand"]["properties"]["limit"]["maximum"] == protocol.HISTORY_LIMIT
    assert schemas["HistoryCommand"]["properties"]["limit"]["default"] == protocol.HistoryCommand().limit
    assert schemas["SeverityName"]["enum"] == list(SEVERITIES)
    assert schemas["Connected"]["properties"]["protocol"]["const"] == protocol.VERSION


def test_the_commands_are_those_that_are_understood() -> None:
    received = DOCUMENT["operations"]["fromViewer"]["messages"]
    names = {reference["$ref"].rpartition("/")[2] for reference in received}

    assert names == {"auth", "filter", "pause", "resume", "ping", "history", "cancel"}
    assert len(typing.get_args(protocol.Command)) == len(names)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "log", "data": {}},
        {"type": "status", "message": "gap", "timestamp": "2026-11-23T03:21:30.033333123Z", "data": {}},
        {
            "type": "status",
            "message": "unheard of",
            "timestamp": "2026-11-23T03:21:30.033333123Z",
            "data": {},
        },
        {"type": "error", "code": "odd", "message": "", "retryable": True},
        {"type": "heartbeat", "timestamp": "now", "data": {}},
    ],
)
def test_what_is_not_in_the_protocol_is_noticed(body: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator(body["type"]).validate(body)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "filter", "services": ["api"], "search": '-"x y"', "severity": "warn", "replay": 10},
        {"type": "filter"},
        {"type": "auth", "token": "a.b.c"},
        {"type": "ping", "id": [1]},
        {
            "type": "history",
            "before": "2026-11-23T03:21:30.033333123Z-5f3a9c1e0b7d~2",
            "limit": 10,
            "search": "-x",
        },
        {"type": "history", "services": None, "severity": "warn", "request": {"number": 1}},
        {"type": "cancel", "request": {"number": 1}},
    ],
)
def test_examples_of_commands_are_valid_and_understood(body: dict[str, Any]) -> None:
    validator(body["type"]).validate(body)
    understood = protocol.command(protocol.encode(body).decode())

    if isinstance(understood, protocol.FilterCommand):
        Filter.parse(understood.services, understood.search, understood.severity)
