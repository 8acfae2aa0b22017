"""The exception tree and the close codes. Every error that crosses a folder's border is defined here."""

import enum

import attrs


class CloseCode(enum.IntEnum):
    """WebSocket close codes as protocol.md section 4 gives them."""

    NORMAL = 1000
    UNSUPPORTED = 1003
    FLOODING = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    PARAMETERS = 4400
    UNAUTHENTICATED = 4401
    NOT_ALLOWED = 4403
    UNKNOWN_ENVIRONMENT = 4404
    TOO_SLOW = 4408
    TOO_MANY = 4429
    UPSTREAM_REFUSED = 4502


class LogrelayError(Exception):
    """Whatever logrelay raises on purpose."""


@attrs.define
class SettingsInvalid(LogrelayError):
    """The environment variables can't be used; `faults` has one sentence for each thing that is wrong."""

    faults: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.faults)


@attrs.define
class FilterInvalid(LogrelayError):
    """A filter can't be understood. The sentence never repeats what the client sent."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.define
class ParameterInvalid(LogrelayError):
    """A query parameter of the stream can't be used. The sentence never repeats what the client sent."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.define
class MessageInvalid(LogrelayError):
    """A client's message can't be understood; the connection goes on."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.define
class Disconnect(LogrelayError):
    """The end of a connection as a value: raised anywhere below, turned into a close frame in one place.

    `error` is the code of the `error` message that goes before the close frame; none where it is None.
    `retry_after` is in seconds.
    """

    code: CloseCode
    error: str | None = None
    message: str = ""
    retryable: bool = False
    retry_after: float | None = None
    abort: bool = False  # the socket takes nothing any more: no goodbye, free it at once

    def __str__(self) -> str:
        return f"{self.code.value} {self.error or self.code.name.lower()}"


class Scope(enum.Enum):
    """How much of the upstream a refusal is about."""

    ENVIRONMENT = "environment"  # this environment is unknown to the token
    CREDENTIAL = "credential"  # the token is no good for anything
    CONFIGURATION = "configuration"  # our request, or Railway's API, is not what it should be


@attrs.define
class UpstreamError(LogrelayError):
    """Railway didn't give what was asked for. `reason` is a short sentence of ours, never Railway's text."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.define
class UpstreamRefused(UpstreamError):
    """Asking again with the same credential won't help (faults.md, *How a subscription's end is judged*)."""

    scope: Scope = Scope.CREDENTIAL


@attrs.define
class UpstreamUnavailable(UpstreamError):
    """Asking again later may help; not before `retry_after` seconds where that is given."""

    retry_after: float | None = None


@attrs.define
class BudgetSpent(UpstreamUnavailable):
    """Our own budget of HTTP queries has nothing left for now; no request was made."""
