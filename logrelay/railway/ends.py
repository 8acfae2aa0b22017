"""What the end of a try means for the next one: counts refusals and faults in a row. No I/O, no clock of its own."""

import attrs

from logrelay.railway.backoff import Backoff
from logrelay.railway.verdicts import Kind, Verdict


@attrs.frozen
class Retry:
    """When the next try comes, in seconds; `final`: asking again earlier is useless, but for another token."""

    delay: float
    final: bool = False


@attrs.define
class Ends:
    """Judges the ends of one environment's tries (faults.md, *How a subscription's end is judged*)."""

    backoff: Backoff
    refused_tries: int = 3
    broken_tries: int = 5
    refused_delay: float = 300.0  # seconds
    final: bool = attrs.field(default=False, init=False)
    _refused: int = attrs.field(default=0, init=False)  # in a row
    _broken: int = attrs.field(default=0, init=False)  # in a row

    def stood(self, now: float) -> None:
        """The upstream stands: nothing before counts any more."""
        self._refused = self._broken = 0
        self.final = False
        self.backoff.opened(now)

    def renewed(self) -> None:
        """There is another token: refusals of the old one don't count."""
        self._refused = 0

    def judge(self, verdict: Verdict, now: float, *, gate: float = 0.0, rejected: bool = False) -> Retry:
        """What to do after a try has ended.

        `gate` is how many seconds all environments have to wait; `rejected` says that the credential is known to be
        no good, so that no more tries have to find that out.
        """
        delay = self.backoff.lost(now)
        if self._is_final(verdict, 1 if rejected else self.refused_tries):
            self.final = True
            return Retry(self.refused_delay, final=True)
        if verdict.kind is Kind.BLOCKED:
            delay = self.backoff.longest
        delay = max(delay, verdict.retry_after or 0.0)
        if gate:
            # All environments wait for the same moment: spread the first wave after it.
            delay = max(delay, gate + self.backoff.spread(0.5))
        return Retry(delay)

    def _is_final(self, verdict: Verdict, tries: int) -> bool:
        # A final verdict that comes again stays final at once: the counts go on until something stands.
        self._refused = self._refused + 1 if verdict.kind is Kind.REFUSED else 0
        self._broken = self._broken + 1 if verdict.kind is Kind.BROKEN else 0
        return verdict.kind is Kind.MISFIT or self._refused >= tries or self._broken >= self.broken_tries
