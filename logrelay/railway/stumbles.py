"""Whether the stream ends again and again at one place, by a message that is too large to be taken. No I/O."""

import attrs

from logrelay.railway.verdicts import Kind, Verdict


@attrs.define
class Stumbles:
    """Counts such ends; a place is the watermark at which the stream ended (faults.md U15)."""

    limit: int = 3
    _place: int | None = attrs.field(default=None, init=False)
    _count: int = attrs.field(default=0, init=False)

    @property
    def due(self) -> bool:
        """Whether the place has to be stepped over, because another try would end there as well."""
        return self._count >= self.limit

    def ended(self, verdict: Verdict, place: int | None) -> None:
        """A try has ended. Ends of other kinds don't count, and don't make the place a better one."""
        if place != self._place:
            self._place, self._count = place, 0
        if verdict.kind is Kind.OVERSIZE:
            self._count += 1

    def over(self) -> None:
        """The place was stepped over."""
        self._count = 0
