"""Log rows: what is asked to be written (Line) and what Railway then keeps and sends (Row)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from logrelay.standin import timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG_NAMES = (
    "projectId",
    "environmentId",
    "serviceId",
    "deploymentId",
    "deploymentInstanceId",
    "snapshotId",
    "pluginId",
)


@attrs.frozen
class _Own:
    """Marks a line whose tags are those of the service that writes it."""


OWN_TAGS = _Own()


@attrs.frozen
class Line:
    """A line to be written. Its stamp is `at` (ns or RFC 3339 text), else the world's next moment.

    `whole_second` cuts the stamp to a full second, as Railway's own lifecycle lines have it; `tied` gives
    the line the stamp of the row before it. `tags=None` writes a row without tags.
    """

    message: str
    service: str = "api"
    severity: str | None = "info"
    attributes: Mapping[str, Any] | None = None
    at: int | str | None = None
    whole_second: bool = False
    tied: bool = False
    hidden_from_poll: bool = False
    tags: Mapping[str, str | None] | _Own | None = OWN_TAGS


@attrs.frozen(eq=False)
class Row:
    """One row of the log. Two rows may say the very same; they are equal only when they are one."""

    ns: int
    message: str
    severity: str | None
    tags: Mapping[str, str | None] | None
    attributes: list[tuple[str, str]]  # sorted by key; each value is JSON text
    hidden: bool = False

    @property
    def timestamp(self) -> str:
        """The moment with nine digits of fraction and `Z`."""
        return timestamps.stamp(self.ns)

    def wire(self) -> dict[str, Any]:
        """Return the row with all fields, as Railway sends it."""
        return {
            "timestamp": self.timestamp,
            "message": self.message,
            "severity": self.severity,
            "tags": None if self.tags is None else {name: self.tags.get(name) for name in TAG_NAMES},
            "attributes": [{"key": key, "value": value} for key, value in self.attributes],
        }


def attribute_list(severity: str | None, given: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Write attribute values as JSON text, sorted by key; `level` is always among them."""
    values = {"level": severity, **(given or {})}
    return [(key, json.dumps(value, separators=(",", ":"))) for key, value in sorted(values.items())]
