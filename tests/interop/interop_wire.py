"""What protocol.md says of messages to a client, as JSON Schemas that allow nothing besides."""

from typing import Any

from jsonschema import Draft202012Validator

STAMP = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"}
ID = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z-[0-9a-f]{12}(~\d+)?$"}
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
SEVERITY = {"enum": ["debug", "info", "warn", "error", None]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


UPSTREAM = _object(
    {"state": {"enum": ["connecting", "live", "reconnecting", "degraded", "refused"]}},
    lastFrameAt=_or_null(STAMP),
    attempt=COUNT,
    retryAt=STAMP,
    backfill=_object({"fetched": COUNT, "from": STAMP, "to": STAMP}),
)
FILTER = _object({"services": _list(TEXT), "search": TEXT, "severity": SEVERITY}, unknownServices=_list(TEXT))
RESUME = _object(
    {"outcome": {"enum": ["exact", "backfilled", "partial", "none"]}},
    **{"from": STAMP, "to": STAMP, "reason": {"enum": ["retention", "limit", "unknown_id"]}},
)
LOG = _object(
    {
        "id": ID,
        "timestamp": STAMP,
        "severity": SEVERITY,
        "message": TEXT,
        "serviceId": _or_null(TEXT),
        "serviceName": _or_null(TEXT),
        "deploymentId": _or_null(TEXT),
        "instanceId": _or_null(TEXT),
        "attributes": {"type": "object"},
    },
    late={"const": True},
    truncated={"const": True},
    size=COUNT,
    redacted={"type": "integer", "minimum": 1},
)
CONNECTED = _object(
    {
        "environmentId": TEXT,
        "environmentName": TEXT,
        "protocol": {"const": 1},
        "services": _list(_object({"id": TEXT, "name": TEXT})),
        "filter": FILTER,
        "resume": _or_null(RESUME),
        "limits": _object({"heartbeatSeconds": {"type": "number"}, "maxConnections": COUNT}),
        "upstream": UPSTREAM,
        "viewers": COUNT,
        "version": TEXT,
    },
    expiresInSeconds={"type": "number", "minimum": 0},
    reconnectToken=TEXT,
)
REASON = ["retention", "limit", "upstream_truncated", "upstream_dropped", "outage", "too_large"]
SPAN = {"from": _or_null(STAMP), "to": _or_null(STAMP)}
STATUSES = {
    "connected": CONNECTED,
    "connecting": _object({"environmentId": TEXT, "upstream": UPSTREAM}),
    "reconnecting": _object({"reason": TEXT}),
    "live": _object({"backfilled": COUNT}),
    "gap": _object(SPAN | {"count": _or_null(COUNT), "reason": {"enum": REASON}}),
    "lost": _object(SPAN | {"count": COUNT}),
    "filter": _object({"filter": FILTER}),
    "paused": _object({"lastId": _or_null(ID)}),
    "resumed": _object({"lastId": _or_null(ID)}),
    "authenticated": _object({}, expiresInSeconds={"type": "number", "minimum": 0}, reconnectToken=TEXT),
    "draining": _object({"reconnectInSeconds": {"type": "number", "minimum": 0}}),
}
HEARTBEAT = _object(
    {"lastId": _or_null(ID), "upstream": UPSTREAM, "lastLogAt": _or_null(STAMP), "viewers": COUNT}
)
MESSAGES = {
    "log": _object({"type": TEXT, "data": LOG}),
    "logs": _object({"type": TEXT, "data": {"type": "array", "minItems": 1, "items": LOG}}),
    "heartbeat": _object({"type": TEXT, "timestamp": STAMP, "data": HEARTBEAT}),
    "error": _object(
        {"type": TEXT, "code": TEXT, "message": TEXT, "retryable": {"type": "boolean"}},
        retryAfter={"type": "number"},
    ),
    "pong": _object({"type": TEXT, "id": True}),
} | {
    name: _object({"type": TEXT, "message": {"const": name}, "timestamp": STAMP, "data": data})
    for name, data in STATUSES.items()
}
_VALIDATORS = {name: Draft202012Validator(schema) for name, schema in MESSAGES.items()}


def check(message: Any) -> None:
    """Raise jsonschema's ValidationError, or KeyError for a message that protocol.md does not know."""
    kind = message["message"] if message["type"] == "status" else message["type"]
    _VALIDATORS[kind].validate(message)
