"""The answer to a query: decoded leniently, and judged where it is a failure."""

from typing import Any

import aiohttp
import msgspec
from gql.transport.exceptions import TransportError

from logrelay.errors import UpstreamError
from logrelay.railway import rows, verdicts
from logrelay.railway.network import of_unreachable
from logrelay.railway.verdicts import Kind, Verdict


class QueryFailed(UpstreamError):
    """A query failed; `verdict` says what that means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Answer(aiohttp.ClientResponse):
    """An answer whose JSON is decoded fast, and leniently where that fails: one bad byte costs a character only."""

    async def json(self, **_: Any) -> Any:
        """The body decoded, whatever its type is said to be; None where it is empty. Raises ValueError."""
        body = await self.read()
        if not body.strip():
            return None
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError):
            return rows.loads(body)


class _StatusRefused(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


async def check_status(response: aiohttp.ClientResponse) -> None:
    """Judge an answer by its status before gql reads it; a 400 with GraphQL errors is left to gql."""
    if response.status < 400:  # noqa: PLR2004 HTTP
        return
    content_type = response.headers.get("Content-Type", "")
    if response.status == 400 and "json" in content_type:  # noqa: PLR2004 HTTP
        return
    wait = verdicts.retry_after(response.headers)
    raise _StatusRefused(verdicts.of_status(response.status, content_type, wait))


def of_failed_query(error: TransportError) -> Verdict:
    """Judge what gql raised."""
    cause = error.__cause__
    if isinstance(cause, _StatusRefused):
        return cause.verdict
    if isinstance(cause, aiohttp.ClientResponseError):
        return verdicts.of_status(cause.status, "", None)
    return of_unreachable(cause) or Verdict(Kind.TRANSIENT, "Railway's answer is no GraphQL")
