"""One environment's logs as an endless stream: gap-free, repeat-free, or a declared gap. Owns every retry."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Self

import attrs

from logrelay.errors import BudgetSpent, Scope, UpstreamError, UpstreamRefused, UpstreamUnavailable
from logrelay.railway import pages, rows
from logrelay.railway.backoff import Backoff
from logrelay.railway.directory import Directory
from logrelay.railway.gateway import Gateway, QueryFailed, patiently
from logrelay.railway.pages import Page, Stamped
from logrelay.railway.transport import Batch, SubscriptionEnded
from logrelay.railway.verdicts import Kind, Verdict, of_errors
from logrelay.relay import records, timestamps
from logrelay.relay.hub import Sink
from logrelay.relay.identities import Identities
from logrelay.relay.records import Entry, LogRecord, Notice

logger = logging.getLogger(__name__)

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND


@attrs.frozen
class FeedLimits:
    """What a feed may take, in seconds and records."""

    overlap: float = 30.0  # seconds that a resubscription reaches back
    seed: int = 5000  # records asked for at a cold start; at most pages.PAGE_SIZE
    remembered: int = 50_000  # identities; as many as the history holds
    fill_records: int = 100_000  # the largest hole that is fetched
    fill_seconds: float = 3600.0
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
        self._limits = limits or FeedLimits()
        self._backoff = backoff or Backoff()
        self._directory = directory or Directory(gateway, environment_id)
        self._identities = Identities(capacity=self._limits.remembered)
        self._begun = False  # discovered and seeded
        self._standing = False
        self._away = False  # clients know that the upstream is lost
        self._refused = 0  # refusals in a row
        self._final = False  # clients know that the upstream refuses
        self._broken = 0  # internal faults of Railway in a row
        self._watermark: int | None = None  # ns; the newest stamp that is not in our future
        self._high = -_DAY * 366 * 1000  # ns; the newest stamp that has arrived
        self._filled = 0  # records fetched to fill the present hole
        self._opening: _Opening | None = None

    def __repr__(self) -> str:
        return f"<Feed {self._environment_id} {'standing' if self._standing else 'away'} {self._backoff!r}>"

    async def run(self, sink: Sink) -> None:
        """Deliver to the sink until cancelled. See hub.Upstream."""
        try:
            while True:
                verdict = await self._try(sink)
                await self._pause(*await self._judge(verdict, sink))
        finally:
            await self._directory.close()

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
        """Discover the names and seed the history with the newest records."""
        names = asyncio.create_task(self._directory.refresh(), name="names")
        try:
            newest = await self._newest()
            await names
        finally:
            names.cancel()
            await asyncio.gather(names, return_exceptions=True)
        sink.describe(self._directory.description)
        seeded = self._new_records(sorted(newest, key=lambda row: row[0]))
        full = len(newest) >= self._limits.seed
        sink.seed(seeded[-self._limits.seed :], min(ns for ns, _ in newest) if full else None)
        self._begun = True

    async def _newest(self) -> list[Stamped]:
        variables: dict[str, object] = {
            "environmentId": self._environment_id,
            "beforeLimit": self._limits.seed,
        }
        return await self._page(variables)

    async def _page(self, variables: dict[str, object]) -> list[Stamped]:
        """The rows of one query. Raises UpstreamError."""
        data = await self._gateway.query("EnvironmentPage", variables)
        try:
            read, unreadable = rows.page(data.get("environmentLogs"))
        except ValueError as error:
            raise QueryFailed(Verdict(Kind.TRANSIENT, "Railway's page of logs can't be read")) from error
        stamped, unstamped = rows.stamped(read)
        if unreadable + unstamped:
            logger.warning("rows unreadable", extra=self._about(count=unreadable + unstamped))
        return stamped

    # -- following ---------------------------------------------------------------------------------------------

    async def _follow(self, sink: Sink) -> None:
        """Subscribe and deliver; always ends by raising SubscriptionEnded."""
        async with _Opening(self._gateway.openings) as opening:
            await patiently(self._gateway.gate)
            logger.info("upstream opening", extra=self._about(attempt=self._backoff.attempt))
            async with self._gateway.subscription(self._variables()) as batches:
                self._filled = 0
                self._opening = opening
                loop = asyncio.get_running_loop()
                quiet = loop.call_later(self._limits.stands_after, self._stand, sink)
                try:
                    async for batch in batches:
                        quiet.cancel()
                        await self._take(batch, sink)
                        self._stand(sink)
                finally:
                    quiet.cancel()

    def _variables(self) -> dict[str, object]:
        # Without any row, a day back by our own clock is far enough: the seed has just found nothing.
        watermark = time.time_ns() - _DAY if self._watermark is None else self._watermark
        return {
            "environmentId": self._environment_id,
            "beforeDate": timestamps.render(watermark - int(self._limits.overlap * _SECOND)),
            "beforeLimit": pages.PAGE_SIZE,
        }

    def _stand(self, sink: Sink) -> None:
        """The subscription has brought a frame, or stayed without an error for long enough."""
        if self._standing:
            return
        self._standing = True
        self._refused = self._broken = 0
        self._final = False
        self._backoff.opened(time.monotonic())
        if self._opening is not None:
            self._opening.release()
        logger.info("upstream live", extra=self._about(backfilled=self._filled))
        sink.stands(degraded=self._directory.failing)
        if self._away:
            self._away = False
            sink.announce("live", {"backfilled": self._filled})

    async def _take(self, batch: Batch, sink: Sink) -> None:
        """Deliver one batch. Raises SubscriptionEnded when it holds nothing but errors."""
        sink.frame()
        if batch.errors:
            if not batch.answered:
                raise SubscriptionEnded(of_errors(batch.errors))
            logger.warning("upstream errors beside data", extra=self._about(count=len(batch.errors)))
        stamped, unstamped = rows.stamped(batch.rows)
        watermark = self._watermark
        new = self._unseen(stamped)
        if len(batch.rows) in (pages.PAGE_SIZE, pages.PAGE_SIZE + 1) and len(new) == len(stamped):
            # Full, and nothing of it known: what lies before it may have been cut off (faults.md U20).
            await self._fill(watermark, min(ns for ns, _, _ in new), sink)
        if await self._directory.resolve(content.service_id for _, content, _ in new):
            sink.describe(self._directory.description)
        made = self._made(new)
        if not self._standing:
            self._filled += len(made)
        sink.publish(made)
        lost = unstamped + batch.unreadable
        if lost:
            self._declare(sink, watermark, self._watermark, "unreadable", lost)
        if made:
            self._backoff.data(time.monotonic())

    # -- records --------------------------------------------------------------------------------------------------

    def _unseen(self, frame: Sequence[Stamped]) -> list[tuple[int, records.Content, str]]:
        """The rows of one frame that are new, with their ids; they count as seen from now on."""
        ids = self._identities.unseen([records.key(content, ns) for ns, content in frame])
        return [
            (ns, content, identity)
            for (ns, content), identity in zip(frame, ids, strict=True)
            if identity is not None
        ]

    def _made(self, new: Iterable[tuple[int, records.Content, str]]) -> list[LogRecord]:
        """Records of new rows, in order; the watermark follows."""
        made: list[LogRecord] = []
        for ns, content, identity in new:
            name = self._directory.name(content.service_id)
            made.append(records.record(content, identity, ns, service_name=name, late=ns < self._high))
            self._high = max(self._high, ns)
        if made:
            # A stamp in our future must not move the watermark past rows that are still to come; should our clock be
            # slow instead, the resubscription only reaches further back.
            self._watermark = max(self._watermark or 0, min(self._high, time.time_ns()))
            self._identities.forget(self._watermark - int(self._limits.overlap * _SECOND))
        return made

    def _new_records(self, frame: Sequence[Stamped]) -> list[LogRecord]:
        return self._made(self._unseen(frame))

    # -- the past ---------------------------------------------------------------------------------------------------

    async def past(self, start_ns: int, end_ns: int) -> AsyncIterator[Sequence[Entry]]:
        """See hub.Upstream. A notice stands where Railway has more rows of one nanosecond than it gives."""
        async for page in pages.forward(self._window, start_ns, end_ns):
            ids = Identities().unseen([records.key(content, ns) for ns, content in page.rows])
            entries: list[Entry] = [
                records.record(content, identity, ns, service_name=self._directory.name(content.service_id))
                for (ns, content), identity in zip(page.rows, ids, strict=True)
                if identity is not None
            ]
            if page.overfull:
                entries.append(Notice("gap", _overfull(page), time.time_ns()))
            yield entries

    async def _window(self, start_ns: int, end_ns: int) -> list[Stamped]:
        """The rows of a closed window (facts.md section 5, the form of Railway's own CLI)."""
        end = timestamps.render(end_ns)
        return await self._page(
            {
                "environmentId": self._environment_id,
                "beforeDate": timestamps.render(start_ns),
                "anchorDate": end,
                "afterDate": end,
                "afterLimit": 0,
                "beforeLimit": pages.PAGE_SIZE,
            }
        )

    async def _fill(self, start_ns: int | None, end_ns: int, sink: Sink) -> None:
        """Fetch a hole, oldest first, and publish it; what can't be had is declared in its place."""
        if start_ns is None or start_ns > end_ns:
            return
        earliest = end_ns - int(self._limits.fill_seconds * _SECOND)
        if start_ns < earliest:
            self._declare(sink, start_ns, earliest, "limit")
            start_ns = earliest
        cursor = start_ns
        room = self._limits.fill_records
        try:
            async for page in pages.forward(self._window, start_ns, end_ns):
                made = self._new_records(page.rows)
                sink.publish(made)
                self._filled += len(made)
                room -= len(made)
                if page.overfull:
                    sink.announce("gap", _overfull(page))
                cursor = page.end_ns + 1
                if room <= 0 and cursor <= end_ns:
                    self._declare(sink, cursor, end_ns, "limit")
                    return
        except UpstreamError as error:
            logger.warning("hole not filled", extra=self._about(reason=str(error)))
            self._declare(sink, cursor, end_ns, "limit" if isinstance(error, BudgetSpent) else "outage")

    def _declare(
        self, sink: Sink, start_ns: int | None, end_ns: int | None, reason: str, count: int | None = None
    ) -> None:
        """Say in its place what is missing."""
        sink.announce(
            "gap",
            {
                "from": None if start_ns is None else timestamps.render(start_ns),
                "to": None if end_ns is None else timestamps.render(end_ns),
                "count": count,
                "reason": reason,
            },
        )

    # -- ends ----------------------------------------------------------------------------------------------------------

    async def _judge(self, verdict: Verdict, sink: Sink) -> tuple[float, bool]:
        """What a try's end means: the delay until the next in seconds, and whether a new token cuts it short."""
        self._opening = None
        if self._standing:
            self._standing = False
            self._away = True
            logger.warning("upstream lost", extra=self._about(reason=verdict.reason))
            sink.announce("reconnecting", {"reason": verdict.reason})
        delay = self._backoff.lost(time.monotonic())
        if await self._is_final(verdict):
            await self._refuse(verdict, sink)
            return self._limits.refused_delay, True
        if verdict.kind is Kind.BLOCKED:
            delay = self._backoff.longest
        delay = max(delay, verdict.retry_after or 0.0)
        if self._gateway.gate.wait:
            # All environments wait for the same moment: spread the first wave after it.
            delay = max(delay, self._gateway.gate.wait + self._backoff.spread(0.5))
        logger.info("upstream retry", extra=self._about(reason=verdict.reason, delay=round(delay, 3)))
        if not self._final:
            sink.retrying(self._backoff.attempt, delay)
        return delay, False

    async def _is_final(self, verdict: Verdict) -> bool:
        """Whether asking again is useless for now."""
        if verdict.kind is Kind.REFUSED:
            if self._gateway.reread_credential():
                self._refused = 0
                return False
            self._refused += 1
            return self._refused >= self._limits.refused_tries
        self._refused = 0
        self._broken = self._broken + 1 if verdict.kind is Kind.BROKEN else 0
        return verdict.kind is Kind.MISFIT or self._broken >= self._limits.broken_tries

    async def _refuse(self, verdict: Verdict, sink: Sink) -> None:
        """Tell everyone that the upstream refuses; the next try comes much later."""
        scope = Scope.CONFIGURATION
        if verdict.kind is Kind.REFUSED:
            scope = Scope.ENVIRONMENT if verdict.environment else await self._gateway.scope_of_refusal()
        # One more refusal is enough from here on; a success starts the count again.
        self._refused = self._limits.refused_tries - 1
        self._broken = self._limits.broken_tries - 1
        self._final = True
        logger.error("upstream refused", extra=self._about(reason=verdict.reason, scope=scope.value))
        sink.refused(UpstreamRefused(verdict.reason, scope), self._limits.refused_delay)

    async def _pause(self, delay: float, for_token: bool) -> None:  # noqa: FBT001 the pair comes from _judge
        """Wait; where a new token would help, not longer than until there is one."""
        if not for_token:
            await asyncio.sleep(delay)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._gateway.changed.wait()

    def _about(self, **extra: object) -> dict[str, object]:
        return {"environment": self._environment_id, **extra}


class _Opening:
    """A place among the subscriptions that may open at once; given back when it stands, or at its end."""

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


def _overfull(page: Page) -> dict[str, object]:
    """The gap of a nanosecond that has more rows than Railway gives."""
    return {
        "from": timestamps.render(page.start_ns),
        "to": timestamps.render(page.end_ns),
        "count": None,
        "reason": "upstream_truncated",
    }
