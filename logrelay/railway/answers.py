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


class _TooLarge(Exception):
    """An answer is larger than the relay takes."""


class Answer(aiohttp.ClientResponse):
    """An answer of bounded size, its JSON decoded fast, and leniently where that fails.

    One bad byte costs a character only.
    """

    max_bytes = 256 * 1024 * 1024
    _refused = False

    async def read(self) -> bytes:
        """The whole body. An answer of more than `max_bytes`, inflated, is read no further and fails the query."""
        if self._body is None:
            self._body = await self._read_bounded()
        return await super().read()

    async def _read_bounded(self) -> bytes:
        parts: list[bytes] = []
        left = self.max_bytes
        # gql asks once more for the text of what failed: that must fail in the same way.
        self._refused = self._refused or (self.content_length or 0) > left
        try:
            while not self._refused and (part := await self.content.readany()):
                left -= len(part)
                self._refused = left < 0
                parts.append(part)
        except BaseException:
            self.close()
            raise
        if self._refused:
            self.close()
            raise _TooLarge("the answer is larger than the relay takes")
        return b"".join(parts)

    async def json(self, **_: Any) -> Any:
        """The body decoded, whatever its type is said to be; None where it is empty. Raises ValueError."""
        body = await self.read()
        if not body.strip():
            return None
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError):
            return rows.loads(body)


def of_at_most(max_bytes: int) -> type[Answer]:
    """The class of answers up to so many bytes; aiohttp makes them itself and hands nothing in."""
    return type("BoundedAnswer", (Answer,), {"max_bytes": max_bytes})


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
    if isinstance(cause, _TooLarge):
        return Verdict(Kind.OVERSIZE, "Railway's answer is larger than the relay takes")
    if isinstance(cause, aiohttp.ClientResponseError):
        return verdicts.of_status(cause.status, "", None)
    return of_unreachable(cause) or Verdict(Kind.TRANSIENT, "Railway's answer is no GraphQL")
