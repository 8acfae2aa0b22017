"""One environment's past, as queries give it. Decodes; judges nothing and keeps nothing."""

import logging

from logrelay.railway import rows
from logrelay.railway.answers import QueryFailed
from logrelay.railway.gateway import Gateway
from logrelay.railway.pages import PAGE_SIZE, Fetched
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay import timestamps

logger = logging.getLogger(__name__)


class Archive:
    """Asks Railway for rows of the past. Everything raises UpstreamError where the rows can't be had."""

    def __init__(self, gateway: Gateway, environment_id: str) -> None:
        self._gateway = gateway
        self._environment_id = environment_id

    def __repr__(self) -> str:
        return f"<Archive {self._environment_id}>"

    async def newest(self, limit: int) -> Fetched:
        """The newest rows, oldest first: so many, or one more (facts.md section 5)."""
        return await self._page({"beforeLimit": limit})

    async def window(self, start_ns: int, end_ns: int) -> Fetched:
        """The rows of a window, in the form of Railway's own CLI (facts.md section 5).

        Whether `beforeDate` itself belongs to the answer is not documented, so the window begins a nanosecond
        earlier: there may be rows of that nanosecond among those of the window.
        """
        end = timestamps.render(end_ns)
        return await self._page(
            {
                "beforeDate": timestamps.render(start_ns - 1),
                "anchorDate": end,
                "afterDate": end,
                "afterLimit": 0,
                "beforeLimit": PAGE_SIZE,
            }
        )

    async def _page(self, window: dict[str, object]) -> Fetched:
        data = await self._gateway.query("EnvironmentPage", {"environmentId": self._environment_id, **window})
        try:
            read, unreadable = rows.page(data.get("environmentLogs"))
        except ValueError as error:
            raise QueryFailed(Verdict(Kind.TRANSIENT, "Railway's page of logs can't be read")) from error
        stamped, unstamped = rows.stamped(read)
        if unreadable + unstamped:
            logger.warning(
                "rows unreadable",
                extra={"environment": self._environment_id, "count": unreadable + unstamped},
            )
        return Fetched(stamped, unreadable + unstamped)
