"""JSON Schemas of every message, written from protocol.md sections 2 and 3, and not from the code."""

from typing import Any

import jsonschema

STAMP = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$",
}
ID = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z-[0-9a-f]{12}(~\d+)?$"}


def orNull(schema: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 reads as the schema does
    return {"anyOf": [schema, {"type": "null"}]}


def thing(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
SEVERITY = {"enum": ["debug", "info", "warn", "error", None]}
UPSTREAM = thing(
    {"state": {"enum": ["connecting", "live", "reconnecting", "degraded", "refused"]}},
    attempt={"type": "integer", "minimum": 1},
    retryAt=STAMP,
    lastFrameAt=STAMP,
    backfill=thing({"fetched": COUNT, "from": STAMP, "to": STAMP}),
)
FILTER = thing(
    {"services": {"type": "array", "items": TEXT}, "search": TEXT, "severity": SEVERITY},
    unknownServices={"type": "array", "items": TEXT, "minItems": 1},
)
RESUME = {
    "oneOf": [
        {"type": "null"},
        thing({"outcome": {"enum": ["exact", "backfilled", "none"]}}),
        thing(
            {
                "outcome": {"const": "partial"},
                "from": STAMP,
                "to": STAMP,
                "reason": {"enum": ["retention", "limit", "unknown_id"]},
            }
        ),
    ]
}
RECORD = thing(
    {
        "id": ID,
        "timestamp": STAMP,
        "severity": SEVERITY,
        "message": TEXT,
        "serviceId": orNull(TEXT),
        "serviceName": orNull(TEXT),
        "deploymentId": orNull(TEXT),
        "instanceId": orNull(TEXT),
        "attributes": {"type": "object"},
    },
    late={"const": True},
    truncated={"const": True},
    size=COUNT,
    redacted=COUNT,
    kind=TEXT,
)
GAP = thing(
    {
        "from": orNull(STAMP),
        "to": orNull(STAMP),
        "count": orNull(COUNT),
        "reason": {
            "enum": [
                "retention",
                "limit",
                "upstream_truncated",
                "upstream_dropped",
                "outage",
                "too_large",
                "unknown_id",
            ]
        },
    }
)
STATUS_DATA = {
    "connected": thing(
        {
            "environmentId": TEXT,
            "environmentName": orNull(TEXT),
            "protocol": {"const": 1},
            "services": {"type": "array", "items": thing({"id": TEXT, "name": TEXT})},
            "filter": FILTER,
            "resume": RESUME,
            "limits": thing({"heartbeatSeconds": {"type": "number"}, "maxConnections": COUNT}),
            "upstream": UPSTREAM,
            "viewers": {"type": "integer", "minimum": 1},
            "version": TEXT,
        },
        expiresInSeconds={"type": "number", "minimum": 0},
        reconnectToken=TEXT,
    ),
    "authenticated": thing({}, expiresInSeconds={"type": "number", "minimum": 0}, reconnectToken=TEXT),
    "connecting": thing({}, environmentId=TEXT, upstream=UPSTREAM),
    "reconnecting": thing({"reason": TEXT}),
    "live": thing({"backfilled": COUNT}),
    "gap": GAP,
    "lost": thing({"count": COUNT, "from": orNull(STAMP), "to": orNull(STAMP)}),
    "filter": thing({"filter": FILTER}),
    "paused": thing({"lastId": orNull(ID)}),
    "resumed": thing({"lastId": orNull(ID)}),
    "draining": thing({"reconnectInSeconds": {"type": "number", "exclusiveMinimum": 0}}),
}
MESSAGES = {
    "log": thing({"type": {"const": "log"}, "data": RECORD}),
    "logs": thing({"type": {"const": "logs"}, "data": {"type": "array", "minItems": 1, "items": RECORD}}),
    "heartbeat": thing(
        {
            "type": {"const": "heartbeat"},
            "timestamp": STAMP,
            "data": thing(
                {
                    "lastId": orNull(ID),
                    "upstream": UPSTREAM,
                    "lastLogAt": orNull(STAMP),
                    "viewers": {"type": "integer", "minimum": 1},
                }
            ),
        }
    ),
    "error": thing(
        {
            "type": {"const": "error"},
            "code": {"type": "string", "pattern": "^[a-z_]+$"},
            "message": TEXT,
            "retryable": {"type": "boolean"},
        },
        retryAfter={"type": "number"},
        request={},
    ),
    "history": thing(
        {
            "type": {"const": "history"},
            "request": {},
            "data": {"type": "array", "items": RECORD},
            "scannedTo": orNull(STAMP),
            "done": {"type": "boolean"},
        },
        gaps={"type": "array", "minItems": 1, "items": GAP},
        reason={"enum": ["limit", "retention", "outage", "cancelled"]},
        next=TEXT,
    ),
    "pong": thing({"type": {"const": "pong"}, "id": {}}),
}

_validators: dict[str, jsonschema.Draft202012Validator] = {
    **{kind: jsonschema.Draft202012Validator(schema) for kind, schema in MESSAGES.items()},
    **{
        f"status {name}": jsonschema.Draft202012Validator(
            thing(
                {
                    "type": {"const": "status"},
                    "message": {"const": name},
                    "timestamp": STAMP,
                    "data": data,
                }
            )
        )
        for name, data in STATUS_DATA.items()
    },
}


def check(message: Any) -> str:
    """Validate a message of the relay; gives its kind, such as `log` or `status connected`."""
    kind = message["type"]
    if kind == "status":
        kind = f"status {message['message']}"
    _validators[kind].validate(message)
    return str(kind)
