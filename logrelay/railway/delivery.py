"""One environment's rows on their way to the sink: each once, holes filled or declared, changes told once."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from logrelay.railway import holes, intake, pages, rows
from logrelay.railway.directory import Directory
from logrelay.railway.holes import Persistent, losses
from logrelay.railway.intake import SECOND, Intake, gap
from logrelay.railway.limits import FeedLimits
from logrelay.railway.pages import Fetch, Page
from logrelay.railway.transport import Batch, SubscriptionEnded
from logrelay.railway.verdicts import of_errors
from logrelay.relay.records import Entry, Notice
from logrelay.relay.upstream import Sink

logger = logging.getLogger(__name__)

_AHEAD = (
    400 * 86_400 * SECOND
)  # as far as rows are looked for beyond the last one; no clock is trusted for that
_PORTION = 1000  # rows
_STEP = 30 * SECOND  # the first window of such a search


def _portions(given: Sequence[rows.Row]) -> Iterable[Sequence[rows.Row]]:
    """A frame larger than Railway sends them, in parts that don't keep the loop from its other work."""
    return (given[start : start + _PORTION] for start in range(0, len(given), _PORTION))


class Delivery:
    """What the sink is told, and whether the upstream stands. Knows nothing of connections and retries."""

    def __init__(
        self,
        sink: Sink,
        fetch: Fetch,
        taken: Intake,
        directory: Directory,
        limits: FeedLimits,
        *,
        environment_id: str,
        spread: Callable[[float], float],
    ) -> None:
        self.sink = sink
        self._fetch = fetch
        self._intake = taken
        self._directory = directory
        self._limits = limits
        self._environment_id = environment_id
        self._spread = spread
        self.turn = asyncio.Lock()  # whose rows may be delivered now; held while a hole is being filled
        self.standing = False
        self.filled = 0  # records that came between the last loss and the next `live`
        self._degraded = False
        self._away = False  # clients know that the upstream is lost
        self._arrived: int | None = (
            None  # ns; the newest stamp that came in a frame since the last second look
        )

    def __repr__(self) -> str:
        return f"<Delivery {self._environment_id} {'standing' if self.standing else 'away'}>"

    # -- changes --------------------------------------------------------------------------------------------

    def stand(self) -> bool:
        """The subscription has brought a frame, or stayed without an error for long enough; whether that is news."""
        if self.standing and self._degraded == self._directory.failing:
            return False
        self._degraded = self._directory.failing
        self.sink.stands(degraded=self._degraded)
        if self.standing:
            return False
        self.standing = True
        if self._away:
            self._away = False
            self.sink.announce("live", {"backfilled": self.filled})
        return True

    def lost(self, reason: str) -> None:
        """Say once that what stood is lost."""
        if self.standing:
            self.standing = False
            self._away = True
            self.filled = 0
            logger.warning("upstream lost", extra=self._about(reason=reason))
            self.sink.announce("reconnecting", {"reason": reason})

    # -- rows -----------------------------------------------------------------------------------------------

    def seed(self, newest: pages.Fetched) -> None:
        """Begin with the newest rows of the past."""
        asked = self._limits.seed
        entries = self._intake.entries(self._intake.unseen(sorted(newest.rows, key=lambda row: row[0])))
        places = [place for place, entry in enumerate(entries) if not isinstance(entry, Notice)]
        full = newest.oversize or newest.size >= asked
        floor = min(ns for ns, _ in newest.rows) if full and newest.rows else None
        if newest.oversize and floor is None:
            # Not even one row fits, so the newest row of all is what is too large: begin after it.
            floor = self._intake.now
            self._intake.skipped(floor)
        self._intake.seeded(floor)
        self.sink.seed(entries if len(places) <= asked else entries[places[-asked] :], floor)
        if newest.oversize and not newest.rows:
            self.sink.announce("gap", gap("too_large", None, floor).data)

    async def take(self, batch: Batch, known: int) -> bool:
        """Deliver one batch; whether anything of it is new. Up to `known` nothing is missing.

        Raises SubscriptionEnded when the log field isn't answered.
        """
        self.sink.frame()
        if not batch.answered:
            raise SubscriptionEnded(of_errors(batch.errors))
        if batch.errors:
            logger.warning("upstream errors beside data", extra=self._about(count=len(batch.errors)))
        async with self.turn:
            return await self._take(batch, known)

    async def _take(self, batch: Batch, known: int) -> bool:
        before = self._intake.watermark
        unreadable = batch.unreadable
        whole = len(batch.rows) <= pages.PAGE_SIZE + 1
        news = False
        here: dict[str, int] = {}
        for part in [batch.rows] if whole else _portions(batch.rows):
            mine, foreign = rows.own(part, self._environment_id)
            if foreign:
                logger.error("rows of another environment refused", extra=self._about(count=foreign))
            stamped, unstamped = rows.stamped(mine)
            unreadable += unstamped
            new = self._intake.unseen(stamped, here)
            if whole and intake.truncated(len(stamped) + unreadable + foreign, len(new)):
                oldest = min(ns for ns, _ in stamped)
                if oldest > known:
                    await self._fill(known, oldest)
            if await self._directory.resolve(row.content.service_id for row in new):
                self.sink.describe(self._directory.description)
            self._deliver(self._intake.entries(new))
            if new:
                news = True
                self._arrived = max(self._arrived or 0, *(row.ns for row in new))
            if not whole:
                await asyncio.sleep(0)
        if unreadable:
            self.sink.announce("gap", gap("unreadable", before, self._intake.watermark, unreadable).data)
        return news

    async def _fill(self, start_ns: int, end_ns: int) -> None:
        """Fetch what a full frame left out, and deliver it before the frame's own rows."""
        room = holes.Room(self._limits.fill_records, self._limits.fill_seconds)
        count = 0
        self.sink.progress(count, (start_ns, end_ns))
        try:
            async for entries, left_ns in holes.fetched(
                self._persistent(), self._made, start_ns, end_ns, room
            ):
                count += self._deliver(entries)
                self.sink.progress(count, (min(left_ns, end_ns), end_ns))
        finally:
            self.sink.progress(count, None)

    async def step_over(self) -> None:
        """Fetch by query what no subscription can bring, because one message of it would be too large (faults.md U15).

        What is too large for a query as well becomes a gap. Raises UpstreamError.
        """
        start = self._intake.since + 1
        # Nothing waits behind this, and a search that is given up for want of budget would begin anew for ever.
        fetch = self._persistent(unhurried=True)
        count = 0
        try:
            self.sink.progress(count, (start, max(start, self._intake.now)))
            async for page in pages.forward(fetch, start, start + _AHEAD, width_ns=_STEP):
                count += self._deliver(self._made(page))
                self.sink.progress(count, (page.end_ns, max(page.end_ns, self._intake.now)))
                if count >= self._limits.fill_records:
                    break
        finally:
            self.sink.progress(count, None)
        logger.warning("stepped over what is too large", extra=self._about(count=count))
        if self._intake.watermark is not None:
            self._intake.settled(self._intake.watermark)

    def _persistent(self, *, unhurried: bool = False) -> Persistent:
        return Persistent(self._fetch, self._limits.fill_patience, self._spread, unhurried=unhurried)

    def _made(self, page: Page) -> Sequence[Entry]:
        if page.too_large:
            self._intake.skipped(page.end_ns)
        return [*self._intake.entries(self._intake.unseen(page.rows)), *losses(page)]

    # -- a second look, see reread.Delivery ---------------------------------------------------------------------

    def span(self) -> tuple[int, int] | None:
        """The last window before the newest row that came; none where nothing has come since the last look."""
        if not self.standing or self._arrived is None:
            return None
        start = self._intake.again_from(self._arrived)
        self._intake.reading(start)
        return start, self._arrived

    def looked(self, end_ns: int | None) -> None:
        """The window up to there has been read again; None: not to its end."""
        self._intake.reading(None)
        if end_ns is not None and self._arrived == end_ns:
            self._arrived = None

    async def name(self, page: Page) -> None:
        """See that the services of a page have names."""
        if await self._directory.resolve(content.service_id for _, content in page.rows):
            self.sink.describe(self._directory.description)

    def add(self, page: Page) -> int:
        """Deliver what was passed over. What can't be read was declared with its frame, or will be."""
        entries = self._intake.entries(self._intake.unseen(self._intake.told(page.rows)))
        if page.too_large:
            self._intake.skipped(page.end_ns)
            entries += losses(page)
        return self._deliver(entries)

    # -- out --------------------------------------------------------------------------------------------------

    def _deliver(self, entries: Iterable[Entry]) -> int:
        """Hand entries to the sink; how many records they are."""
        count = 0
        for run in intake.runs(entries):
            if isinstance(run, Notice):
                self.sink.announce(run.message, run.data)
                continue
            count += len(run)
            self.sink.publish(run)
        if not self.standing:
            self.filled += count
        return count

    def _about(self, **extra: object) -> dict[str, object]:
        return {"environment": self._environment_id, **extra}
