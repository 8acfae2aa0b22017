"""The world behind the stand-in: tokens, a project, its environments and their logs. No I/O."""

from __future__ import annotations

import bisect
import random
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from logrelay.standin import timestamps
from logrelay.standin.rows import OWN_TAGS, Line, Row, _Own, attribute_list
from logrelay.standin.services import Inbox, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_SERVICES = ("api", "web", "worker")


@attrs.define
class Clock:
    """A clock in nanoseconds which never shows the same moment twice."""

    source: Callable[[], int] = time.time_ns
    _last: int = attrs.field(default=0, init=False)

    def __call__(self) -> int:
        """Return the present moment, or the next one if it was shown already."""
        self._last = max(self._last + 1, self.source())
        return self._last


def _ns(row: Row) -> int:
    return row.ns


@attrs.define(eq=False)
class Environment:
    """One environment: its services and one log for all of them.

    `rows` stand in order of arrival and `by_stamp` in order of their stamps; of both, the oldest are
    forgotten when there are more than `keep`.
    """

    id: str
    name: str
    project_id: str
    project_name: str
    created_ns: int
    clock: Clock = attrs.field(repr=False)
    new_id: Callable[[], str] = attrs.field(repr=False)
    service_ids: dict[str, str] = attrs.field(repr=False)  # the project's: shared by its environments
    keep: int = 200_000
    services: list[Service] = attrs.field(factory=list, repr=False)
    rows: list[Row] = attrs.field(factory=list, init=False, repr=False)
    by_stamp: list[Row] = attrs.field(factory=list, init=False, repr=False)
    inboxes: set[Inbox[Row]] = attrs.field(factory=set, init=False, repr=False)

    def add_service(self, name: str) -> Service:
        """Add a service with one running deployment."""
        service_id = self.service_ids.setdefault(name, self.new_id())
        service = Service(
            id=service_id,
            name=name,
            instance_id=self.new_id(),
            created_ns=self.clock(),
            places={"projectId": self.project_id, "environmentId": self.id, "serviceId": service_id},
            clock=self.clock,
            new_id=self.new_id,
        )
        service.deploy()
        self.services.append(service)
        return service

    def service(self, name: str) -> Service:
        """Return a service by its name, or raise KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(f"{self.name} has no service {name!r}")

    def write(
        self,
        message: str,
        service: str = "api",
        severity: str | None = "info",
        attributes: Mapping[str, Any] | None = None,
        at: int | str | None = None,
        *,
        hidden_from_poll: bool = False,
        tags: Mapping[str, str | None] | _Own | None = OWN_TAGS,
    ) -> Row:
        """Write one line; see Line for what the arguments mean."""
        line = Line(message, service, severity, attributes, at, hidden_from_poll=hidden_from_poll, tags=tags)
        return self.write_many([line])[0]

    def write_many(self, lines: Iterable[Line | Mapping[str, Any] | str]) -> list[Row]:
        """Write lines in one go, so that the same poll sees them. A line may be a mapping or bare text."""
        return [self._append(_line(line)) for line in lines]

    def redeliver(self, rows: Iterable[Row]) -> None:
        """Have rows that were written already sent again, with the next poll of each live subscription."""
        for row in rows:
            for inbox in self.inboxes:
                inbox.put(row)

    def _append(self, line: Line) -> Row:
        row = Row(
            self._stamp(line),
            line.message,
            line.severity,
            self.service(line.service).tags() if isinstance(line.tags, _Own) else line.tags,
            attribute_list(line.severity, line.attributes),
            hidden=line.hidden_from_poll,
        )
        self.rows.append(row)
        bisect.insort_right(self.by_stamp, row, key=_ns)
        if not row.hidden:
            self.redeliver([row])
        if len(self.rows) > self.keep + self.keep // 4:
            self._forget()
        return row

    def _stamp(self, line: Line) -> int:
        if line.tied and self.rows:
            return self.rows[-1].ns
        ns = timestamps.parse(line.at) if isinstance(line.at, str) else line.at
        ns = self.clock() if ns is None else ns
        return ns - ns % timestamps.SECOND if line.whole_second else ns

    def _forget(self) -> None:
        del self.rows[: len(self.rows) - self.keep]
        kept = set(map(id, self.rows))
        self.by_stamp = [row for row in self.by_stamp if id(row) in kept]


def _line(line: Line | Mapping[str, Any] | str) -> Line:
    if isinstance(line, str):
        return Line(line)
    return Line(**line) if isinstance(line, Mapping) else line


class World:
    """Everything that the stand-in knows. Ids and tokens follow from the seed.

    `tokens` holds the account tokens that are good and `project_tokens` maps the good project tokens to
    the id of their environment. Both may be changed at any time.
    """

    def __init__(self, seed: int = 1, *, source: Callable[[], int] = time.time_ns) -> None:
        self._random = random.Random(seed)
        self.seed = seed
        self.clock = Clock(source)
        self.created_ns = self.clock()
        self.project_id = self.new_id()
        self.project_name = self._random.choice(("harbour", "lantern", "meadow", "orchard"))
        self.workspace_id = self.new_id()
        self.user_id = self.new_id()
        self.account_token = self.new_id()
        self.project_token = self.new_id()
        self._service_ids: dict[str, str] = {}
        self.environments: list[Environment] = []
        self.environment = self.add_environment("production")
        self.tokens = {self.account_token}
        self.project_tokens = {self.project_token: self.environment.id}

    def __repr__(self) -> str:
        return f"World(seed={self.seed}, {len(self.environments)} environments)"

    def new_id(self) -> str:
        """Return the seed's next UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def add_environment(self, name: str, services: Iterable[str] = DEFAULT_SERVICES) -> Environment:
        """Add an environment of the same project, with services that run."""
        environment = Environment(
            id=self.new_id(),
            name=name,
            project_id=self.project_id,
            project_name=self.project_name,
            created_ns=self.clock(),
            clock=self.clock,
            new_id=self.new_id,
            service_ids=self._service_ids,
        )
        for service in services:
            environment.add_service(service)
        self.environments.append(environment)
        return environment

    def find_environment(self, environment_id: str) -> Environment | None:
        """Look an environment up by its id."""
        return next((found for found in self.environments if found.id == environment_id), None)
