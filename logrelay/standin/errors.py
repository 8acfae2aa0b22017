"""Railway's refusals: what they say, and how they look on the wire (facts.md section 8)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import GraphQLError

NOT_AUTHORIZED = "Not Authorized"
PROJECT_TOKEN_NOT_FOUND = "Project Token not found"  # noqa: S105 - a sentence, not a secret
PROBLEM = "Problem processing request"

INTERNAL = "INTERNAL_SERVER_ERROR"
BAD_INPUT = "BAD_USER_INPUT"
MALFORMED = "GRAPHQL_VALIDATION_FAILED"

_traces = random.Random(8)


class RefusedError(Exception):
    """A resolver's refusal, with the message and the code that Railway gives it."""

    def __init__(self, message: str, code: str = INTERNAL) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ViolationError(Exception):
    """The client broke the protocol: the socket is closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def invalid(argument: str) -> RefusedError:
    """Refuse the value of one argument."""
    return RefusedError(f"Error in {argument} - Invalid input", BAD_INPUT)


def wire(
    message: str,
    code: str = INTERNAL,
    *,
    path: Sequence[str | int] | None = None,
    locations: Sequence[Any] = (),
) -> dict[str, Any]:
    """Write one error: a string of digits as `traceId` stands beside `extensions`, not in it."""
    error: dict[str, Any] = {
        "message": message,
        "locations": [{"line": place.line, "column": place.column} for place in locations],
    }
    if path is not None:
        error["path"] = list(path)
    error["extensions"] = {"code": code}
    error["traceId"] = str(_traces.randrange(10**18, 10**19))
    return error


def from_execution(error: GraphQLError) -> dict[str, Any]:
    """Write an error of the executor; whatever isn't a refusal is masked as Railway masks it."""
    cause = error.original_error
    if cause is None:
        return wire(error.message, BAD_INPUT, path=error.path, locations=error.locations or ())
    if isinstance(cause, RefusedError):
        return wire(cause.message, cause.code, path=error.path, locations=error.locations or ())
    return wire(PROBLEM, BAD_INPUT, path=error.path, locations=error.locations or ())


def as_node(message: str) -> str:
    """Quote names as Railway's GraphQL library does, which is JavaScript's and not Python's."""
    return message.replace("'", '"')


def from_document(error: GraphQLError) -> dict[str, Any]:
    """Write an error of parsing or validation, which has no path."""
    return wire(as_node(error.message), MALFORMED, locations=error.locations or ())
