"""Looking again at what the subscription has brought: Railway's poll passes rows over without a word.

Beside the stream and never in its way: nothing waits for it, and it asks only where queries are plenty.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import attrs

from logrelay.errors import BudgetSpent, UpstreamError
from logrelay.railway import pages
from logrelay.railway.budget import Budget
from logrelay.railway.pages import Fetch, Fetched, Page

logger = logging.getLogger(__name__)


class Delivery(Protocol):
    """Where rows go, as far as a second look is concerned."""

    turn: asyncio.Lock  # held while rows are being delivered

    def span(self) -> tuple[int, int] | None:
        """What to read again, both ends included; None where no rows have come since the last whole look."""

    def looked(self, end_ns: int | None) -> None:
        """All of the span up to `end_ns` has been read again; None: the look was cut."""

    async def name(self, page: Page) -> None:
        """See that the services of a page have names."""

    def add(self, page: Page) -> int:
        """Deliver what is new of a page; how many records that are."""


@attrs.define
class Reread:
    """Every so many seconds, give or take half, what came last is read again by query."""

    delivery: Delivery
    fetch: Fetch
    budget: Budget
    every: float  # seconds
    spread: Callable[[float], float]
    _due: float | None = attrs.field(default=None, init=False)  # of the loop's clock

    @contextlib.asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Look again from time to time while inside; a loss of the subscription doesn't put off what is due."""
        if not self.every:
            yield
            return
        task = asyncio.create_task(self._run(), name="reread")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._due is None:
                self._due = loop.time() + self.spread(self.every)
            await asyncio.sleep(self._due - loop.time())
            try:
                await self._look()
            except UpstreamError as error:
                logger.info("not read again", extra={"reason": str(error)})
            except Exception:
                # The stream goes on without a second look; it must not end because of one.
                logger.exception("reading again failed")
            self._due = None  # a look that a loss has cut is due at once when the subscription stands again

    async def _look(self) -> None:
        span = self.delivery.span() if self.budget.plenty else None
        if span is None:
            return
        found, end = 0, None
        try:
            async for page in pages.forward(self._asked, *span):
                # Names first: what counts as seen has to be delivered in the same breath, or a cut would lose it.
                await self.delivery.name(page)
                async with self.delivery.turn:  # a frame whose hole is being filled comes first
                    found += self.delivery.add(page)
            end = span[1]
        finally:
            self.delivery.looked(end)
        if found:
            logger.info("rows found that the subscription had passed over", extra={"count": found})

    async def _asked(self, start_ns: int, end_ns: int) -> Fetched:
        if not self.budget.plenty:
            raise BudgetSpent("what is left of the budget is for holes and viewers")
        return await self.fetch(start_ns, end_ns)
