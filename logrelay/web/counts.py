"""What streams have come to, as plain numbers. Counts; knows no client, no address and no format of metrics.

The keys of its counters are the closed sets below: what is counted under any other word is told as `other`, so that
no text of a caller's ever becomes a label.
"""

from collections import Counter
from collections.abc import Collection
from typing import Protocol

import attrs

from logrelay.errors import CloseCode, Disconnect

# The `error.code` of what is refused before a client is served (protocol.md sections 1 and 4).
REFUSALS = (
    "bad_request",
    "draining",
    "expired",
    "filter_invalid",
    "flooding",
    "internal",
    "not_allowed",
    "origin_not_allowed",
    "parameter_invalid",
    "too_many_connections",
    "unauthenticated",
    "unknown_environment",
    "upgrade_required",
    "upstream_refused",
)
CODES = tuple(int(code) for code in CloseCode)
MODES = ("none", "token", "jwt", "forward", "ticket")
OUTCOMES = ("granted", "refused", "undecided")  # the last where nobody could be asked


class Served(Protocol):
    """A stream that is being served, as far as it is counted. The numbers only grow."""

    @property
    def sent(self) -> int:
        """Records that were written to it."""

    @property
    def lost(self) -> int:
        """Records passed over because it was too slow."""

    @property
    def written(self) -> int:
        """Bytes that were written to it."""


@attrs.define
class StreamCounts:
    """Counts of one application.

    A stream counts for itself while it lives, at no cost here: whoever asks for a sum pays for it. `live` is looked at
    only; it belongs to whoever serves.
    """

    live: Collection[Served] = attrs.field(default=(), repr=lambda live: f"{len(live)} streams")
    opened: int = 0
    refused: Counter[str] = attrs.Factory(Counter)  # by the error's code; see REFUSALS
    closed: Counter[int] = attrs.Factory(Counter)  # by close code; of what was opened only
    auth: Counter[tuple[str, str]] = attrs.Factory(Counter)  # by (mode, outcome); see MODES and OUTCOMES
    _sent: int = attrs.field(default=0, init=False)
    _lost: int = attrs.field(default=0, init=False)
    _written: int = attrs.field(default=0, init=False)

    @property
    def records_sent(self) -> int:
        """Records that were sent to streams, of the past and live."""
        return self._sent + sum(stream.sent for stream in self.live)

    @property
    def records_lost(self) -> int:
        """Records that were passed over because a stream was too slow."""
        return self._lost + sum(stream.lost for stream in self.live)

    @property
    def bytes_sent(self) -> int:
        """Bytes of WebSocket frames, compressed ones as they are."""
        return self._written + sum(stream.written for stream in self.live)

    def ended(self, stream: Served, end: Disconnect) -> None:
        """Keep what a stream has come to.

        To be called in the very turn in which it leaves `live`: a sum that goes back looks like a restart.
        """
        self.closed[int(end.code)] += 1
        self._sent += stream.sent
        self._lost += stream.lost
        self._written += stream.written
