"""One environment's past, as queries give it. Decodes; judges nothing and keeps nothing."""

import logging
from collections import deque

import attrs

from logrelay.railway import rows
from logrelay.railway.answers import QueryFailed
from logrelay.railway.gateway import Gateway
from logrelay.railway.pages import PAGE_SIZE, Fetched
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay import timestamps

logger = logging.getLogger(__name__)

_FEWER = (1000, 200, 40, 8, 1)  # rows to ask for where an answer is larger than the relay takes


class Archive:
    """Asks Railway for rows of the past. Everything raises UpstreamError where the rows can't be had."""

    def __init__(self, gateway: Gateway, environment_id: str) -> None:
        self._gateway = gateway
        self._environment_id = environment_id
        # Closed windows whose answer was too large, the last ones: a search that was interrupted goes on from there.
        self._large: deque[dict[str, object]] = deque(maxlen=200)
        self._beyond: deque[int] = deque(maxlen=100)  # ns at which something was too large, the last ones

    def __repr__(self) -> str:
        return f"<Archive {self._environment_id}>"

    async def newest(self, limit: int) -> Fetched:
        """The newest rows, oldest first: so many, or one more (facts.md section 5).

        Fewer, and `oversize`, where those make an answer that is larger than the relay takes.
        """
        fetched = await self._page({"beforeLimit": limit})
        if not fetched.oversize:
            return fetched
        for fewer in _FEWER:
            fetched = await self._page({"beforeLimit": fewer})
            if not fetched.oversize:
                break
        return attrs.evolve(fetched, oversize=True)

    async def window(self, start_ns: int, end_ns: int) -> Fetched:
        """The rows of a window, in the form of Railway's own CLI (facts.md section 5).

        Whether `beforeDate` itself belongs to the answer is not documented, so the window begins a nanosecond
        earlier: there may be rows of that nanosecond among those of the window. `oversize` where the answer is
        larger than the relay takes; then the rows are none, or, of a single nanosecond, those that could be had.
        """
        # What is known to be too large must not come along with the nanosecond before.
        start = start_ns if start_ns - 1 in self._beyond else start_ns - 1
        fetched = await self._page(_closed(start, end_ns, PAGE_SIZE))
        if fetched.oversize and start_ns == end_ns:
            return await self._instant(start_ns)
        return fetched

    async def _instant(self, ns: int) -> Fetched:
        """The newest rows of one nanosecond, as many as fit; without the one before, which may be what is too large."""
        fetched = Fetched([], oversize=True)
        for limit in _FEWER:
            fetched = await self._page(_closed(ns, ns, limit))
            if not fetched.oversize:
                # Nothing at all proves nothing: `beforeDate` may be left out of its window.
                if 0 < fetched.size < limit:
                    return fetched
                break
        self._beyond.append(ns)
        return attrs.evolve(fetched, oversize=True)

    async def _page(self, window: dict[str, object]) -> Fetched:
        if window in self._large:
            return Fetched([], oversize=True)
        try:
            data = await self._gateway.query(
                "EnvironmentPage", {"environmentId": self._environment_id, **window}
            )
        except QueryFailed as failed:
            if failed.verdict.kind is Kind.OVERSIZE:
                if "anchorDate" in window:
                    self._large.append(window)
                return Fetched([], oversize=True)
            raise
        try:
            read, unreadable = rows.page(data.get("environmentLogs"))
        except ValueError as error:
            raise QueryFailed(Verdict(Kind.TRANSIENT, "Railway's page of logs can't be read")) from error
        mine, foreign = rows.own(read, self._environment_id)
        if foreign:
            about = {"environment": self._environment_id, "count": foreign}
            logger.error("rows of another environment refused", extra=about)
        stamped, unstamped = rows.stamped(mine)
        if unreadable + unstamped:
            logger.warning(
                "rows unreadable",
                extra={"environment": self._environment_id, "count": unreadable + unstamped},
            )
        return Fetched(stamped, unreadable + unstamped, foreign=foreign)


def _closed(start_ns: int, end_ns: int, limit: int) -> dict[str, object]:
    """The arguments of a closed window."""
    end = timestamps.render(end_ns)
    return {
        "beforeDate": timestamps.render(start_ns),
        "anchorDate": end,
        "afterDate": end,
        "afterLimit": 0,
        "beforeLimit": limit,
    }
