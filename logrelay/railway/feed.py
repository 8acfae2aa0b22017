"""One environment's logs as an endless stream: gap-free, repeat-free, or a declared gap. Owns every retry."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

from logrelay.errors import Scope, UpstreamError, UpstreamRefused, UpstreamUnavailable
from logrelay.railway import holes, pages
from logrelay.railway.answers import QueryFailed
from logrelay.railway.archive import Archive
from logrelay.railway.backoff import Backoff
from logrelay.railway.delivery import Delivery
from logrelay.railway.directory import Directory
from logrelay.railway.ends import Ends
from logrelay.railway.gateway import Gateway, patiently
from logrelay.railway.intake import Intake
from logrelay.railway.limits import FeedLimits
from logrelay.railway.opening import Opening
from logrelay.railway.reread import Reread
from logrelay.railway.stumbles import Stumbles
from logrelay.railway.transport import TURN, Batch, SubscriptionEnded
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay import timestamps
from logrelay.relay.records import Entry
from logrelay.relay.redaction import Redactor
from logrelay.relay.upstream import Sink

logger = logging.getLogger(__name__)


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
        wall: Callable[[], int] = time.time_ns,
        redactor: Redactor | None = None,
    ) -> None:
        self._gateway = gateway
        self._environment_id = environment_id
        self._limits = limits = limits or FeedLimits()
        self._directory = directory or Directory(gateway, environment_id)
        self._archive = Archive(gateway, environment_id)
        self._intake = Intake(
            self._directory.name,
            overlap=limits.overlap,
            remembered=limits.remembered,
            window=limits.reread_window if limits.reread else 0.0,
            clock=wall,
            redactor=redactor,
        )
        self._ends = Ends(
            backoff or Backoff(),
            refused_tries=limits.refused_tries,
            broken_tries=limits.broken_tries,
            refused_delay=limits.refused_delay,
        )
        self._stumbles = Stumbles(limits.stumbles)
        self._delivery: Delivery | None = None  # to whom it runs
        self._begun = False  # discovered and seeded
        self._renewals = gateway.renewals  # of the credential that have been taken note of

    def __repr__(self) -> str:
        state = "standing" if self._delivery is not None and self._delivery.standing else "away"
        return f"<Feed {self._environment_id} {state} {self._ends.backoff!r}>"

    async def run(self, sink: Sink) -> None:
        """Deliver to the sink until cancelled. See hub.Upstream."""
        self._delivery = delivery = Delivery(
            sink,
            self._archive.window,
            self._intake,
            self._directory,
            self._limits,
            environment_id=self._environment_id,
            spread=self._ends.backoff.spread,
        )
        reread = Reread(
            delivery,
            self._archive.window,
            self._gateway.budget,
            every=self._limits.reread,
            spread=self._ends.backoff.spread,
        )
        try:
            while True:
                self._look_at_token()
                await self._settle(await self._try(delivery, reread), delivery)
        finally:
            await self._directory.close()

    async def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """See hub.Upstream. A notice stands where rows can't be had or read."""
        async for page in pages.forward(self._archive.window, start_ns, end_ns):
            yield [*self._intake.past(page.rows), *holes.losses(page)]

    async def _try(self, delivery: Delivery, reread: Reread) -> Verdict:
        """One try, from its beginning to its end."""
        try:
            await patiently(self._gateway.gate)
            if not self._begun:
                await self._begin(delivery)
            if self._stumbles.due:
                await delivery.step_over()
                self._stumbles.over()
            await self._follow(delivery, reread)
        except (QueryFailed, SubscriptionEnded) as ended:
            return ended.verdict
        except UpstreamUnavailable as error:
            return Verdict(Kind.TRANSIENT, error.reason, error.retry_after)
        raise AssertionError("a subscription ends by an exception")  # pragma: no cover

    # -- beginning --------------------------------------------------------------------------------------------

    async def _begin(self, delivery: Delivery) -> None:
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
        delivery.sink.describe(self._directory.description)
        delivery.seed(newest)
        self._begun = True

    # -- following ---------------------------------------------------------------------------------------------

    async def _follow(self, delivery: Delivery, reread: Reread) -> None:
        """Subscribe and deliver; always ends by raising SubscriptionEnded."""
        async with Opening(self._gateway.openings) as opening:
            await patiently(self._gateway.gate)
            logger.info("upstream opening", extra=self._about(attempt=self._ends.backoff.attempt))
            since = self._intake.since
            async with self._gateway.subscription(self._variables(since)) as batches:
                try:
                    async with reread.beside():
                        await self._listen(batches, since, delivery, opening)
                except SubscriptionEnded as ended:
                    # Told at once: taking leave of a dead socket takes a while.
                    delivery.lost(ended.verdict.reason)
                    raise

    async def _listen(
        self, batches: AsyncIterator[Batch], since: int, delivery: Delivery, opening: Opening
    ) -> None:
        def stand() -> None:
            opening.release()
            self._stand(delivery)

        loop = asyncio.get_running_loop()
        quiet = loop.call_later(self._limits.stands_after, stand)
        known = since  # up to there nothing is missing; late rows may lie an overlap before the newest one
        try:
            turn = loop.time()
            async for batch in batches:
                quiet.cancel()
                opening.release()
                if await delivery.take(batch, known):
                    self._ends.backoff.data()
                self._stand(delivery)
                known = self._intake.since
                if loop.time() - turn > TURN:  # taking what waits already gives nobody else a turn
                    await asyncio.sleep(0)
                    turn = loop.time()
        finally:
            quiet.cancel()

    def _stand(self, delivery: Delivery) -> None:
        if delivery.stand():
            self._ends.stood(asyncio.get_running_loop().time())
            self._gateway.rejected = False
            logger.info("upstream live", extra=self._about(backfilled=delivery.filled))

    def _variables(self, since: int) -> dict[str, object]:
        return {
            "environmentId": self._environment_id,
            "beforeDate": timestamps.render(since),
            "beforeLimit": pages.PAGE_SIZE,
        }

    # -- ends ----------------------------------------------------------------------------------------------------------

    async def _settle(self, verdict: Verdict, delivery: Delivery) -> None:
        """Draw the consequences of a try's end, and wait until the next one is due."""
        delivery.lost(verdict.reason)
        self._stumbles.ended(verdict, self._intake.watermark)
        gateway = self._gateway
        gateway.ends[verdict.kind.value] += 1
        if verdict.kind is Kind.REFUSED:
            gateway.reread_credential()
        self._look_at_token()
        now = asyncio.get_running_loop().time()
        retry = self._ends.judge(verdict, now, gate=gateway.gate.wait, rejected=gateway.rejected)
        if retry.final:
            await self._refuse(verdict, retry.delay, delivery.sink)
            return
        logger.info("upstream retry", extra=self._about(reason=verdict.reason, delay=round(retry.delay, 3)))
        if not self._ends.final:
            delivery.sink.retrying(self._ends.backoff.attempt, retry.delay)
        await asyncio.sleep(retry.delay)

    def _look_at_token(self) -> None:
        if self._gateway.renewals != self._renewals:
            self._renewals = self._gateway.renewals
            self._ends.renewed()

    async def _refuse(self, verdict: Verdict, delay: float, sink: Sink) -> None:
        """Tell everyone that the upstream refuses; the next try comes much later, or with another token."""
        scope = Scope.CONFIGURATION
        if verdict.kind is Kind.REFUSED:
            scope = await self._scope(verdict)
        logger.error("upstream refused", extra=self._about(reason=verdict.reason, scope=scope.value))
        sink.refused(UpstreamRefused(verdict.reason, scope), delay)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._gateway.renewed(self._renewals)
        self._gateway.reread_credential()

    async def _scope(self, verdict: Verdict) -> Scope:
        if verdict.environment:
            return Scope.ENVIRONMENT
        if verdict.credential:
            return Scope.CREDENTIAL
        return await self._gateway.scope_of_refusal()

    def _about(self, **extra: object) -> dict[str, object]:
        return {"environment": self._environment_id, **extra}
