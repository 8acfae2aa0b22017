"""Services, their deployments and the deployments' builds. What they log is the environment's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from logrelay.standin.rows import Row, attribute_list

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

NOT_BUILT_YET = frozenset({"INITIALIZING", "NEEDS_APPROVAL", "QUEUED", "WAITING"})
KEPT_DEPLOYMENTS = 50
RUNNING = frozenset({"SUCCESS", "REMOVING"})


def _anything(_item: object) -> bool:
    return True


@attrs.define(eq=False)
class Inbox(Generic[Item]):
    """What has come in for one live subscription since it was last looked at."""

    test: Callable[[Item], bool] = _anything
    items: list[Item] = attrs.field(factory=list)

    def put(self, item: Item) -> None:
        """Keep the item, if the subscription wants it."""
        if self.test(item):
            self.items.append(item)

    def take(self) -> list[Item]:
        """Hand over what came in, in order of arrival."""
        taken, self.items = self.items, []
        return taken


@attrs.frozen
class Instance:
    """One replica of a deployment."""

    id: str


@attrs.define(eq=False)
class Deployment:
    """One deployment of a service: its state, its replicas and the output of its build."""

    id: str
    service: Service = attrs.field(repr=False)
    status: str
    snapshot_id: str
    instances: list[Instance]
    created_ns: int
    status_ns: int
    stopped: bool = False
    build_rows: list[Row] = attrs.field(factory=list, repr=False)
    inboxes: set[Inbox[str]] = attrs.field(factory=set, repr=False)

    @property
    def building(self) -> bool:
        """Whether more output of the build is to be expected."""
        return self.status == "BUILDING" or self.status in NOT_BUILT_YET

    def set_status(self, status: str) -> None:
        """Change the status, which Railway pushes to those who subscribed to the deployment."""
        self.status = status
        self.status_ns = self.service.clock()
        for inbox in self.inboxes:
            inbox.put(status)

    def write_build(self, message: str) -> Row:
        """Write a line of the build's output."""
        tags = {**self.service.places, "deploymentId": self.id, "snapshotId": self.snapshot_id}
        row = Row(self.service.clock(), message, "info", tags, attribute_list("info", None))
        self.build_rows.append(row)
        return row


@attrs.define(eq=False)
class Service:
    """A service in one environment. Its deployments stand in order, the newest last."""

    id: str
    name: str
    instance_id: str
    created_ns: int
    places: dict[str, str]  # the tags which all its rows share
    clock: Callable[[], int] = attrs.field(repr=False)
    new_id: Callable[[], str] = attrs.field(repr=False)
    deployments: list[Deployment] = attrs.field(factory=list, repr=False)
    _tags: dict[str, dict[str, str | None]] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def newest(self) -> Deployment:
        """The deployment which writes the service's lines."""
        return self.deployments[-1]

    def deploy(self, status: str = "SUCCESS", *, replicas: int = 1) -> Deployment:
        """Start a new deployment. Older ones stay as they are, so that two may overlap."""
        now = self.clock()
        deployment = Deployment(
            id=self.new_id(),
            service=self,
            status=status,
            snapshot_id=self.new_id(),
            instances=[Instance(self.new_id()) for _ in range(replicas)],
            created_ns=now,
            status_ns=now,
        )
        self.deployments.append(deployment)
        for forgotten in self.deployments[:-KEPT_DEPLOYMENTS]:
            self.deployments.remove(forgotten)
            self._tags.pop(forgotten.id, None)
        if not deployment.building:
            for message in ("Using Detected Dockerfile", "load build definition", "Build time: 9.81 seconds"):
                deployment.write_build(message)
        return deployment

    def tags(self, deployment: Deployment | None = None) -> dict[str, str | None]:
        """Return the tags of a deployment's lines, one dict for all of them; the newest one's by default."""
        deployment = deployment or self.newest
        if deployment.id not in self._tags:
            self._tags[deployment.id] = {
                **self.places,
                "deploymentId": deployment.id,
                "deploymentInstanceId": deployment.instances[0].id,
                "snapshotId": None,
                "pluginId": None,
            }
        return self._tags[deployment.id]
