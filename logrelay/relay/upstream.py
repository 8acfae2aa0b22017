"""What a hub and its upstream say to each other: the two sides of the core's inlet, and its state."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from logrelay.errors import UpstreamRefused
from logrelay.relay import timestamps
from logrelay.relay.records import Entry, LogRecord, Notice

STATES = ("connecting", "live", "reconnecting", "degraded", "refused")  # protocol.md section 2


@attrs.frozen
class Description:
    """What an environment is called, and its services as (id, name) pairs."""

    name: str | None = None
    services: tuple[tuple[str, str], ...] = ()


@attrs.define
class UpstreamState:
    """How the upstream is; what clients see as `upstream` (protocol.md section 2). Times are nanoseconds since 1970."""

    state: str = "connecting"
    attempt: int = 0
    retry_ns: int | None = None
    last_frame_ns: int | None = None
    fetched: int = 0  # records of the hole that is being fetched
    missing: tuple[int, int] | None = None  # what is left of it, both ends included

    def describe(self) -> dict[str, Any]:
        """The JSON object of protocol.md."""
        described: dict[str, Any] = {"state": self.state}
        if self.attempt and self.state in {"reconnecting", "connecting"}:
            described["attempt"] = self.attempt
        if self.retry_ns is not None:
            described["retryAt"] = timestamps.render(self.retry_ns)
        if self.last_frame_ns is not None:
            described["lastFrameAt"] = timestamps.render(self.last_frame_ns)
        if self.missing is not None:
            start, end = map(timestamps.render, self.missing)
            described["backfill"] = {"fetched": self.fetched, "from": start, "to": end}
        return described


@attrs.define
class Delivered:
    """What an upstream has delivered so far, as plain numbers for whoever wants to know."""

    records: int = 0
    losses: int = 0  # how often it was lost after it had stood
    missing: int = 0  # records that gaps say are missing; a gap that can't tell how many adds none
    gaps: Counter[str] = attrs.Factory(Counter)  # by reason (protocol.md section 2)

    def add(self, entries: Iterable[Entry]) -> None:
        """Count entries of both kinds."""
        for entry in entries:
            if isinstance(entry, Notice):
                self.note(entry.message, entry.data)
            else:
                self.records += 1

    def note(self, message: str, data: Mapping[str, Any]) -> None:
        """Count one notice."""
        if message == "reconnecting":
            self.losses += 1
        elif message == "gap":
            self.gaps[data["reason"]] += 1
            self.missing += data["count"] or 0


class Sink(Protocol):
    """Where an upstream delivers. Nothing here waits."""

    def seed(self, entries: Sequence[Entry], floor_ns: int | None) -> None:
        """The newest records of the past, and notices where some are missing.

        Older ones than `floor_ns` may exist upstream only.
        """

    def publish(self, records: Sequence[LogRecord]) -> None:
        """New records, in order of arrival."""

    def announce(self, message: str, data: Mapping[str, Any]) -> None:
        """A notice at this place of the log."""

    def describe(self, description: Description) -> None:
        """The environment's names, first or changed."""

    def frame(self) -> None:
        """A frame has come from upstream, with records or without."""

    def progress(self, fetched: int, missing: tuple[int, int] | None) -> None:
        """A hole is being fetched: so many records so far, and what is left of it; None when that is over."""

    def stands(self, *, degraded: bool = False) -> None:
        """The upstream stands: authorised, and the subscription goes without an error."""

    def retrying(self, attempt: int, delay: float) -> None:
        """The upstream is away; the next try comes in `delay` seconds."""

    def refused(self, refusal: UpstreamRefused, delay: float) -> None:
        """The upstream refuses for good; the next try comes in `delay` seconds."""


class Upstream(Protocol):
    """One environment's logs, as a hub needs them."""

    async def run(self, sink: Sink) -> None:
        """Deliver to the sink, for ever; retries are its own business."""

    def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """Records stamped from `start_ns` to `end_ns`, both included, oldest first, in pages with notices.

        Raises UpstreamError when a page can't be had.
        """
