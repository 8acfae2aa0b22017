"""Where a client begins in the history, and what it is told about it (protocol.md, *Resuming*). Plain functions."""

import enum
from collections.abc import Sequence
from typing import Any

import attrs

from logrelay.relay import timestamps
from logrelay.relay.history import History

_SECOND = 1_000_000_000


class Outcome(enum.Enum):
    """What `resume.outcome` says."""

    EXACT = "exact"
    BACKFILLED = "backfilled"
    PARTIAL = "partial"
    NONE = "none"


@attrs.frozen
class Request:
    """What a client asks to resume from: a record's id, or a stamp. `overlap` is in seconds."""

    last_id: str | None
    ns: int
    overlap: int = 0

    @property
    def begin(self) -> int:
        """The stamp from which records are wanted, overlap included, in nanoseconds."""
        return self.ns - self.overlap * _SECOND

    @classmethod
    def from_id(cls, identity: str, overlap: int = 0) -> "Request":
        """Read a record's id. Raises ValueError when it can't be one."""
        stamp, dash, rest = identity.rpartition("-")
        digest, tilde, ordinal = rest.partition("~")
        if not dash or len(digest) != 12 or any(c not in "0123456789abcdef" for c in digest):  # noqa: PLR2004 see records.key
            raise ValueError("not a record's id")
        if tilde and not (ordinal.isascii() and ordinal.isdigit()):
            raise ValueError("not a record's id")
        return cls(identity, timestamps.parse(stamp), overlap)


@attrs.frozen
class Plan:
    """How a client gets what it has missed.

    Where `fetch_from` is None, all of it lies in the history from `position` on. Otherwise records stamped
    `fetch_from` or later come from upstream first, up to where the history begins.
    """

    outcome: Outcome
    position: int
    fetch_from: int | None = None
    missing_from: int | None = None
    missing_to: int | None = None
    reason: str | None = None

    def describe(self) -> dict[str, Any]:
        """`resume` of the `connected` message."""
        described: dict[str, Any] = {"outcome": self.outcome.value}
        if self.outcome is Outcome.PARTIAL:
            described |= {
                "from": None if self.missing_from is None else timestamps.render(self.missing_from),
                "to": None if self.missing_to is None else timestamps.render(self.missing_to),
                "reason": self.reason,
            }
        return described

    def short_of(self, start_ns: int, end_ns: int, reason: str) -> "Plan":
        """The same plan where a part can't be had; the first reason known stays."""
        if self.outcome is Outcome.PARTIAL:
            return self
        return attrs.evolve(
            self, outcome=Outcome.PARTIAL, missing_from=start_ns, missing_to=end_ns, reason=reason
        )

    def unfetched(self, start_ns: int, end_ns: int) -> "Plan":
        """The same plan where nothing can be fetched: what was known to be missing is so up to the history now."""
        if self.outcome is Outcome.PARTIAL:
            return attrs.evolve(self, missing_from=start_ns, missing_to=end_ns)
        return self.short_of(start_ns, end_ns, "limit")


def plan(request: Request, history: History, *, reach: float, retention: float) -> Plan:
    """Decide where to resume.

    `reach` is how many seconds before the newest record a fetch may begin, `retention` how many seconds Railway
    can be trusted to keep. Both count from the newest record known, so that no clock of ours plays a part.
    """
    newest = history.newest_ns
    number = None if request.last_id is None else history.find(request.last_id)
    # In a history that was rebuilt in order of stamps, late rows may lie before the id: that is what `overlap` is for.
    if number is not None and (number >= history.seeded or not request.overlap):
        return Plan(Outcome.EXACT, number + 1)
    if newest is None or (number is None and request.ns > newest):
        return Plan(Outcome.NONE, history.end)
    if history.reaches(request.begin):
        found = _within(request, history, newest - int(retention * _SECOND))
    else:
        found = _before(request, history, newest, reach, retention)
    if request.last_id is not None and number is None and history.reaches(request.ns):
        # It ought to be here and isn't: nobody knows it.
        return found.short_of(request.ns, request.ns, "unknown_id")
    return found


def _within(request: Request, history: History, kept_from: int) -> Plan:
    """All that is stamped from the request on is in the history."""
    same = history.stamped(request.ns)
    if request.overlap:
        position = history.since(request.begin)
    elif request.last_id is not None and same:
        position = same[0]
    else:
        position = history.after(request.ns)
    exact = Plan(Outcome.EXACT, position)
    if request.ns < kept_from and history.floor_ns is None and not same and history.before(position) is None:
        # Railway had nothing older than the history holds, but it may have had when the client last looked.
        return exact.short_of(request.ns, kept_from, "retention")
    return exact


def _before(request: Request, history: History, newest: int, reach: float, retention: float) -> Plan:
    """The history doesn't reach back: the rest is fetched, as far as that may go."""
    floor = request.ns if history.floor_ns is None else history.floor_ns
    earliest = newest - int(min(reach, retention) * _SECOND)
    start = max(request.begin, earliest)
    if start <= floor:
        result = Plan(Outcome.BACKFILLED, history.first, fetch_from=start)
    else:
        result = Plan(Outcome.EXACT, history.first)
    missing_to = min(earliest, floor)
    if request.ns < missing_to:
        result = result.short_of(request.ns, missing_to, "retention" if retention <= reach else "limit")
    return result


def unseen(
    request: Request, ids: Sequence[str], stamps: Sequence[int], end_ns: int
) -> tuple[int, bool | None]:
    """Where in what was fetched first the client's unseen records begin, and whether its last one was found.

    `end_ns` is up to where that is complete; None where the last one may still come after it, which only an overlap
    makes possible. Ties with the last id are taken to come in the order in which Railway gave them before. For a
    stamp: the first record stamped so is left out if it is the only one.
    """
    if request.last_id is None:
        same = sum(1 for ns in stamps if ns == request.ns)
        if same == 1:
            return stamps.index(request.ns) + 1, True
        return next((place for place, ns in enumerate(stamps) if ns >= request.ns), len(stamps)), True
    found = True if request.last_id in ids else None if end_ns < request.ns else False
    if found and not request.overlap:
        return ids.index(request.last_id) + 1, True
    return 0, found
