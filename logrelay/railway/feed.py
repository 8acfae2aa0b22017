"""One environment's logs as an endless stream: gap-free, repeat-free, or a declared gap. Owns every retry."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Self

import attrs

from logrelay.errors import Scope, UpstreamError, UpstreamRefused, UpstreamUnavailable
from logrelay.railway import holes, intake, pages, rows
from logrelay.railway.answers import QueryFailed
from logrelay.railway.archive import Archive
from logrelay.railway.backoff import Backoff
from logrelay.railway.directory import Directory
from logrelay.railway.ends import Ends
from logrelay.railway.gateway import Gateway, patiently
from logrelay.railway.intake import Intake, gap
from logrelay.railway.transport import Batch, SubscriptionEnded
from logrelay.railway.verdicts import Kind, Verdict, of_errors
from logrelay.relay import timestamps
from logrelay.relay.records import Entry, Notice
from logrelay.relay.upstream import Sink

logger = logging.getLogger(__name__)


@attrs.frozen
class FeedLimits:
    """What a feed may take, in seconds and records."""

    overlap: float = 30.0  # seconds that a resubscription reaches back
    seed: int = 5000  # records asked for at a cold start; at most pages.PAGE_SIZE
    remembered: int = 50_000  # identities; as many as the history holds
    fill_records: int = 100_000  # the largest hole that is fetched
    fill_seconds: float = 3600.0
    names_patience: float = 5.0  # seconds that the first records wait for names
    stands_after: float = 2.0  # without a frame and without an error
    refused_tries: int = 3
    broken_tries: int = 5
    refused_delay: float = 300.0


class Feed:
    """Follows one environment and delivers to a sink; the core's `Upstream`."""

    def __init__(
        self,
        gateway: Gateway,
        environment_id: str,
        *,
        limits: FeedLimits | None = None,
        backoff: Backoff | None = None,
        directory: Directory | None = None,
    ) -> None:
        self._gateway = gateway
        self._environment_id = environment_id
        self._limits = limits = limits or FeedLimits()
        self._directory = directory or Directory(gateway, environment_id)
        self._archive = Archive(gateway, environment_id)
        self._intake = Intake(self._directory.name, overlap=limits.overlap, remembered=limits.remembered)
        self._ends = Ends(
            backoff or Backoff(),
            refused_tries=limits.refused_tries,
            broken_tries=limits.broken_tries,
            refused_delay=limits.refused_delay,
        )
        self._begun = False  # discovered and seeded
        self._standing = False
        self._degraded = False
        self._away = False  # clients know that the upstream is lost
        self._renewals = gateway.renewals  # of the credential that have been taken note of
        self._filled = 0  # records that came between the last loss and the next `live`

    def __repr__(self) -> str:
        state = "standing" if self._standing else "away"
        return f"<Feed {self._environment_id} {state} {self._ends.backoff!r}>"

    async def run(self, sink: Sink) -> None:
        """Deliver to the sink until cancelled. See hub.Upstream."""
        try:
            while True:
                self._look_at_token()
                await self._settle(await self._try(sink), sink)
        finally:
            await self._directory.close()

    async def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """See hub.Upstream. A notice stands where rows can't be had or read."""
        async for page in pages.forward(self._archive.window, start_ns, end_ns):
            yield [*self._intake.past(page.rows), *holes.losses(page)]

    async def _try(self, sink: Sink) -> Verdict:
        """One try, from its beginning to its end."""
        try:
            await patiently(self._gateway.gate)
            if not self._begun:
                await self._begin(sink)
            await self._follow(sink)
        except (QueryFailed, SubscriptionEnded) as ended:
            return ended.verdict
        except UpstreamUnavailable as error:
            return Verdict(Kind.TRANSIENT, error.reason, error.retry_after)
        raise AssertionError("a subscription ends by an exception")  # pragma: no cover

    # -- beginning --------------------------------------------------------------------------------------------

    async def _begin(self, sink: Sink) -> None:
        """Discover the names and seed the history with the newest records. Names may come later, records not."""
        names = asyncio.create_task(self._directory.refresh(), name="names")
        try:
            newest = await self._archive.newest(self._limits.seed)
            await asyncio.wait([names], timeout=self._limits.names_patience)
        finally:
            names.cancel()
            (failure,) = await asyncio.gather(names, return_exceptions=True)
        if isinstance(failure, UpstreamError | asyncio.CancelledError):
            logger.warning("names not known yet", extra=self._about(reason=str(failure)))
        elif failure is not None:
            raise failure
        sink.describe(self._directory.description)
        seeded = self._intake.entries(self._intake.unseen(sorted(newest.rows, key=lambda row: row[0])))
        records = [entry for entry in seeded if not isinstance(entry, Notice)]
        full = newest.size >= self._limits.seed and bool(newest.rows)
        sink.seed(records[-self._limits.seed :], min(ns for ns, _ in newest.rows) if full else None)
        self._begun = True

    # -- following ---------------------------------------------------------------------------------------------

    async def _follow(self, sink: Sink) -> None:
        """Subscribe and deliver; always ends by raising SubscriptionEnded."""
        async with _Opening(self._gateway.openings) as opening:
            await patiently(self._gateway.gate)
            logger.info("upstream opening", extra=self._about(attempt=self._ends.backoff.attempt))
            since = self._intake.since
            async with self._gateway.subscription(self._variables(since)) as batches:
                self._filled = 0
                try:
                    await self._listen(batches, since, sink, opening)
                except SubscriptionEnded as ended:
                    # Told at once: taking leave of a dead socket takes a while.
                    self._lost(ended.verdict, sink)
                    raise

    async def _listen(
        self, batches: AsyncIterator[Batch], since: int, sink: Sink, opening: "_Opening"
    ) -> None:
        def stand() -> None:
            opening.release()
            self._stand(sink)

        quiet = asyncio.get_running_loop().call_later(self._limits.stands_after, stand)
        known = since  # up to there nothing is missing; the first frame reaches back by the overlap, later ones don't
        try:
            async for batch in batches:
                quiet.cancel()
                opening.release()
                await self._take(batch, known, sink)
                self._stand(sink)
                known = since if self._intake.watermark is None else self._intake.watermark
        finally:
            quiet.cancel()

    def _variables(self, since: int) -> dict[str, object]:
        return {
            "environmentId": self._environment_id,
            "beforeDate": timestamps.render(since),
            "beforeLimit": pages.PAGE_SIZE,
        }

    def _stand(self, sink: Sink) -> None:
        """The subscription has brought a frame, or stayed without an error for long enough."""
        if self._standing and self._degraded == self._directory.failing:
            return
        self._degraded = self._directory.failing
        sink.stands(degraded=self._degraded)
        if self._standing:
            return
        self._standing = True
        self._ends.stood(time.monotonic())
        self._gateway.rejected = False
        logger.info("upstream live", extra=self._about(backfilled=self._filled))
        if self._away:
            self._away = False
            sink.announce("live", {"backfilled": self._filled})

    def _lost(self, verdict: Verdict, sink: Sink) -> None:
        """Say once that what stood is lost."""
        if self._standing:
            self._standing = False
            self._away = True
            logger.warning("upstream lost", extra=self._about(reason=verdict.reason))
            sink.announce("reconnecting", {"reason": verdict.reason})

    async def _take(self, batch: Batch, known: int, sink: Sink) -> None:
        """Deliver one batch. Raises SubscriptionEnded when the log field isn't answered."""
        sink.frame()
        if not batch.answered:
            raise SubscriptionEnded(of_errors(batch.errors))
        if batch.errors:
            logger.warning("upstream errors beside data", extra=self._about(count=len(batch.errors)))
        stamped, unstamped = rows.stamped(batch.rows)
        unreadable = batch.unreadable + unstamped
        before = self._intake.watermark
        new = self._intake.unseen(stamped)
        if intake.truncated(len(stamped) + unreadable, unreadable, len(new)):
            await self._fill(known, min(row.ns for row in new), sink)
        if await self._directory.resolve(row.content.service_id for row in new):
            sink.describe(self._directory.description)
        self._deliver(self._intake.entries(new), sink)
        if unreadable:
            sink.announce("gap", gap("unreadable", before, self._intake.watermark, unreadable).data)
        if new:
            self._ends.backoff.data(time.monotonic())

    async def _fill(self, start_ns: int, end_ns: int, sink: Sink) -> None:
        """Fetch what a full frame left out, and deliver it before the frame's own rows."""
        room = holes.Room(self._limits.fill_records, self._limits.fill_seconds)

        def make(rows: Sequence[pages.Stamped]) -> list[Entry]:
            return self._intake.entries(self._intake.unseen(rows))

        async for entries in holes.fetched(self._archive.window, make, start_ns, end_ns, room):
            self._deliver(entries, sink)

    def _deliver(self, entries: Iterable[Entry], sink: Sink) -> None:
        for run in intake.runs(entries):
            if isinstance(run, Notice):
                sink.announce(run.message, run.data)
                continue
            if not self._standing:
                self._filled += len(run)
            sink.publish(run)

    # -- ends ----------------------------------------------------------------------------------------------------------

    async def _settle(self, verdict: Verdict, sink: Sink) -> None:
        """Draw the consequences of a try's end, and wait until the next one is due."""
        self._lost(verdict, sink)
        gateway = self._gateway
        if verdict.kind is Kind.REFUSED:
            gateway.reread_credential()
        self._look_at_token()
        retry = self._ends.judge(verdict, time.monotonic(), gate=gateway.gate.wait, rejected=gateway.rejected)
        if retry.final:
            await self._refuse(verdict, retry.delay, sink)
            return
        logger.info("upstream retry", extra=self._about(reason=verdict.reason, delay=round(retry.delay, 3)))
        if not self._ends.final:
            sink.retrying(self._ends.backoff.attempt, retry.delay)
        await asyncio.sleep(retry.delay)

    def _look_at_token(self) -> None:
        if self._gateway.renewals != self._renewals:
            self._renewals = self._gateway.renewals
            self._ends.renewed()

    async def _refuse(self, verdict: Verdict, delay: float, sink: Sink) -> None:
        """Tell everyone that the upstream refuses; the next try comes much later, or with another token."""
        scope = Scope.CONFIGURATION
        if verdict.kind is Kind.REFUSED:
            scope = Scope.ENVIRONMENT if verdict.environment else await self._gateway.scope_of_refusal()
        logger.error("upstream refused", extra=self._about(reason=verdict.reason, scope=scope.value))
        sink.refused(UpstreamRefused(verdict.reason, scope), delay)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._gateway.renewed(self._renewals)
        self._gateway.reread_credential()

    def _about(self, **extra: object) -> dict[str, object]:
        return {"environment": self._environment_id, **extra}


class _Opening:
    """A place among the subscriptions that may open at once; given back with the first frame, or at the end."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = False

    async def __aenter__(self) -> Self:
        await self._places.acquire()
        self._held = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the place back; once is enough."""
        if self._held:
            self._held = False
            self._places.release()
