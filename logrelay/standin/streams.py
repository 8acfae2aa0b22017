"""What a live subscription sends next, decided at each poll. No sockets, no clock, no asyncio.

A stream answers `first()` once and then `poll()`, each with the payloads of the `next` frames to send,
until it has `ended`. It registers an inbox where it listens, and `close()` takes that away again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs
from graphql import execute_sync

from logrelay.standin import views, windows
from logrelay.standin.cuts import cut
from logrelay.standin.errors import BAD_INPUT, PROBLEM, RefusedError
from logrelay.standin.filters import compile_filter
from logrelay.standin.schema import railway_schema
from logrelay.standin.services import NOT_BUILT_YET, Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrelay.standin.access import Caller
    from logrelay.standin.rows import Row
    from logrelay.standin.schema import Call, Operation
    from logrelay.standin.services import Deployment
    from logrelay.standin.world import Environment, World

    Payload = dict[str, Any]


class Tampering(Protocol):
    """How a stream's rows may be tampered with."""

    truncate_backlog: int | None

    def again(self, rows: Sequence[Row]) -> list[Row]:
        """Choose rows that a later poll shall send once more."""


class Stream(Protocol):
    """What a live subscription sends, frame by frame."""

    ended: bool

    @property
    def pending(self) -> bool:
        """Whether the next poll has more, even if nothing new comes in."""

    def first(self) -> list[Payload]:
        """Return what to send at once."""

    def poll(self) -> list[Payload]:
        """Return what to send now."""

    def wrap(self, rows: Sequence[Row]) -> Payload:
        """Return the payload for rows of somebody else's choice."""

    def close(self) -> None:
        """Stop listening."""


@attrs.define(eq=False, kw_only=True)
class LogStream:
    """The rows of an environment: a backlog, then what came in since the last poll.

    Of one poll's rows only the newest `keep` are sent and the older rest is dropped without a word, as
    Railway does it; only the anchored form keeps the rest for the polls after.
    """

    environment: Environment
    call: Call
    backlog: list[Row]
    keep: int
    tampering: Tampering
    inbox: Inbox[Row]
    now: Callable[[], int]
    anchor: int | None = None
    until: int | None = None
    ended: bool = attrs.field(default=False, init=False)
    repeats: list[Row] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        """Listen from the moment of the backlog on, so that nothing falls between the two."""
        self.environment.inboxes.add(self.inbox)

    @property
    def pending(self) -> bool:
        """Whether the anchored form still holds rows that exceeded its limit."""
        return self.anchor is not None and bool(self.inbox.items) and self.keep > 0

    def first(self) -> list[Payload]:
        """Return the backlog, which may be empty."""
        rows = self.backlog
        if self.anchor is not None:
            number = sum(row.ns <= self.anchor for row in rows) + self.keep
            rows, self.inbox.items[:0] = rows[:number], rows[number:]
        if self.tampering.truncate_backlog is not None:
            rows = rows[max(0, len(rows) - self.tampering.truncate_backlog) :]
        self.repeats = self.tampering.again(rows)
        self.backlog = []
        return [self.wrap(rows)]

    def poll(self) -> list[Payload]:
        """Return the rows that came in, in order of their stamps."""
        rows = sorted(self.inbox.take(), key=lambda row: row.ns)
        if self.anchor is not None:
            self.inbox.items, rows = rows[self.keep :], rows[: self.keep]
        else:
            rows = rows[max(0, len(rows) - self.keep) :]
        again, self.repeats = self.repeats, self.tampering.again(rows)
        self.ended = self.until is not None and self.now() > self.until and not self.pending
        rows = sorted([*again, *rows], key=lambda row: row.ns)
        return [self.wrap(rows)] if rows else []

    def wrap(self, rows: Sequence[Row]) -> Payload:
        """Cut rows to what was selected."""
        return {"data": {self.call.key: cut(rows, self.call.plan or {})}}

    def close(self) -> None:
        """Stop listening."""
        self.environment.inboxes.discard(self.inbox)


@attrs.define(eq=False)
class BuildStream:
    """The output of a build: the newest rows, then what is added, until the build is over."""

    deployment: Deployment
    call: Call
    limit: int
    test: Callable[[Row], bool]
    ended: bool = attrs.field(default=False, init=False)
    pending: bool = attrs.field(default=False, init=False)
    _seen: int = attrs.field(default=0, init=False)

    def first(self) -> list[Payload]:
        """Return the newest rows."""
        return [self.wrap(self._more())]

    def poll(self) -> list[Payload]:
        """Return the rows that were added."""
        rows = self._more()
        return [self.wrap(rows)] if rows else []

    def wrap(self, rows: Sequence[Row]) -> Payload:
        """Cut rows to what was selected."""
        return {"data": {self.call.key: cut(rows, self.call.plan or {})}}

    def close(self) -> None:
        """Do nothing: a build is read by position."""

    def _more(self) -> list[Row]:
        rows = self.deployment.build_rows[self._seen :]
        self._seen += len(rows)
        self.ended = not self.deployment.building
        return windows.newest(rows, self.limit, self.test)


@attrs.define(eq=False)
class DeploymentStream:
    """A deployment's state: the present one, then each change of its status."""

    environment: Environment
    deployment: Deployment
    operation: Operation
    inbox: Inbox[str] = attrs.field(factory=Inbox)
    ended: bool = attrs.field(default=False, init=False)
    pending: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """Listen from the first state on."""
        self.deployment.inboxes.add(self.inbox)

    def first(self) -> list[Payload]:
        """Return the present state."""
        return [self._state(self.deployment.status)]

    def poll(self) -> list[Payload]:
        """Return a state for each change."""
        return [self._state(status) for status in self.inbox.take()]

    def wrap(self, rows: Sequence[Row]) -> Payload:
        """Return the present state; a deployment has no rows."""
        del rows
        return self._state(self.deployment.status)

    def close(self) -> None:
        """Stop listening."""
        self.deployment.inboxes.discard(self.inbox)

    def _state(self, status: str) -> Payload:
        view = {**views.deployment_view(self.environment, self.deployment), "status": status}
        result = execute_sync(
            railway_schema(),
            self.operation.document,
            root_value={"deployment": view},
            variable_values=self.operation.variables,
            operation_name=self.operation.name,
        )
        return {"data": result.data}


def open_stream(world: World, caller: Caller, operation: Operation, tampering: Tampering) -> Stream:
    """Open the stream that a subscription asks for, or raise RefusedError."""
    call = operation.calls[0]
    caller.admitted()
    if call.name == "environmentLogs":
        return _environment_logs(world, caller, call, tampering)
    if call.name == "deploymentLogs":
        return _deployment_logs(world, caller, call, tampering)
    if call.name == "buildLogs":
        return _build_logs(world, caller, call)
    if call.name == "deployment":
        return DeploymentStream(*caller.deployment(world, call.arguments["id"]), operation)
    raise RefusedError(PROBLEM, BAD_INPUT)


def _environment_logs(world: World, caller: Caller, call: Call, tampering: Tampering) -> LogStream:
    environment = caller.environment(world, call.arguments["environmentId"])
    window = windows.read_window(call.arguments)
    test = compile_filter(call.arguments.get("filter"))
    anchor, until = window.anchor_date, window.after_date
    anchored = anchor is not None

    def wanted(row: Row) -> bool:
        in_time = anchor is None or (anchor < row.ns and (until is None or row.ns <= until))
        return in_time and test(row)

    return LogStream(
        environment=environment,
        call=call,
        backlog=windows.backlog(environment.by_stamp, window, test),
        keep=window.rows_after if anchored else window.rows_before,
        tampering=tampering,
        inbox=Inbox(wanted),
        now=world.clock,
        anchor=anchor,
        until=until if anchored else None,
    )


def _deployment_logs(world: World, caller: Caller, call: Call, tampering: Tampering) -> LogStream:
    environment, deployment = caller.deployment(world, call.arguments["deploymentId"])
    number = windows.limit(call.arguments, "limit")
    number = windows.DEFAULT_LIMIT if number is None else number
    test = compile_filter(call.arguments.get("filter"))

    def wanted(row: Row) -> bool:
        return row.tags is not None and row.tags.get("deploymentId") == deployment.id and test(row)

    return LogStream(
        environment=environment,
        call=call,
        backlog=windows.newest(environment.by_stamp, number, wanted),
        keep=number,
        tampering=tampering,
        inbox=Inbox(wanted),
        now=world.clock,
    )


def _build_logs(world: World, caller: Caller, call: Call) -> BuildStream:
    _, deployment = caller.deployment(world, call.arguments["deploymentId"])
    if deployment.status in NOT_BUILT_YET:
        raise RefusedError(PROBLEM, BAD_INPUT)
    number = windows.limit(call.arguments, "limit")
    test = compile_filter(call.arguments.get("filter"))
    return BuildStream(deployment, call, windows.DEFAULT_LIMIT if number is None else number, test)
