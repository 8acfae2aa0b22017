"""How the end of a subscription or a failed query is judged: faults.md's table as plain functions."""

import email.utils
import enum
import time
from collections.abc import Mapping

import attrs


class Kind(enum.Enum):
    """What an end means for the next try."""

    TRANSIENT = "transient"  # try again with the usual delays
    NORMAL = "normal"  # the server ended its streaming window: try again, nothing is wrong
    REFUSED = "refused"  # the credential or the environment: final after three tries
    LIMITED = "limited"  # not before `retry_after`, for all environments together
    BLOCKED = "blocked"  # the edge blocks us: the longest delay
    MISFIT = "misfit"  # our fault or a changed API: final at once
    BROKEN = "broken"  # an internal fault of Railway: transient, final after five in a row
    OVERSIZE = "oversize"  # larger than we take: transient, but asking for the same again brings the same


@attrs.frozen
class Verdict:
    """A judged end. `reason` is a short sentence of ours that clients and logs may see."""

    kind: Kind
    reason: str
    retry_after: float | None = None  # seconds
    environment: bool = False  # a refusal that is known to be about the environment only
    credential: bool = False  # a refusal that names no environment, so it is about the token


LIMITED_DELAY = 60.0  # seconds, where a 429 names no time
_REFUSING_CODES = {4401, 4403}
_MISFIT_CODES = {4400, 4406, 4409, 4004, 4005}
_LIMITED_CODE = 4429
_BROKEN_CODE = 4500
_NORMAL_CODE = 1000
_OVERSIZE_CODE = 1009
_LONGEST_RETRY_AFTER = 86_400.0  # seconds; a larger one is no wish but a mistake


def of_close(code: int | None) -> Verdict:
    """Judge a socket that was closed with a code, or that was lost without one (None or 1006)."""
    if code in _REFUSING_CODES:
        unauthenticated = code == 4401  # noqa: PLR2004 graphql-ws
        return Verdict(Kind.REFUSED, f"Railway closed the subscription ({code})", credential=unauthenticated)
    if code in _MISFIT_CODES:
        return Verdict(Kind.MISFIT, f"Railway does not accept the subscription ({code})")
    if code == _LIMITED_CODE:
        return Verdict(Kind.LIMITED, "Railway limits the rate (4429)", LIMITED_DELAY)
    if code == _BROKEN_CODE:
        return Verdict(Kind.BROKEN, "Railway had an internal error (4500)")
    if code == _NORMAL_CODE:
        return Verdict(Kind.NORMAL, "Railway ended the streaming window (1000)")
    if code == _OVERSIZE_CODE:
        return Verdict(Kind.OVERSIZE, "Railway sent more in one message than the relay takes (1009)")
    if code is None or code == 1006:  # noqa: PLR2004 RFC 6455 section 7.4.1
        return Verdict(Kind.TRANSIENT, "the connection to Railway was lost")
    return Verdict(Kind.TRANSIENT, f"Railway closed the connection ({code})")


def of_errors(messages: list[str]) -> Verdict:
    """Judge GraphQL errors by their messages; their codes say nothing (facts.md section 8)."""
    text = " ".join(messages).casefold()
    if "not authorized" in text:
        return Verdict(Kind.REFUSED, "Railway says: not authorized")
    if "project token not found" in text:
        return Verdict(Kind.REFUSED, "Railway does not know the project token")
    if "two factor authentication required" in text:
        return Verdict(Kind.REFUSED, "Railway wants two-factor authentication for this workspace")
    if "environment not found" in text or "project not found" in text:
        return Verdict(Kind.REFUSED, "Railway does not know the environment", environment=True)
    if "problem processing request" in text or "internal server error" in text:
        return Verdict(Kind.BROKEN, "Railway had a problem processing the request")
    if "graphql_validation_failed" in text or any(one.startswith("Error in ") for one in messages):
        return Verdict(Kind.MISFIT, "Railway does not understand the request")
    if "rate limit" in text or "too many requests" in text:
        return Verdict(Kind.LIMITED, "Railway limits the rate", LIMITED_DELAY)
    return Verdict(Kind.TRANSIENT, "Railway answered with an error")


def of_status(status: int, content_type: str, retry_after: float | None) -> Verdict:
    """Judge an HTTP status that isn't a success, of a query or of an upgrade."""
    html = "html" in content_type.casefold()
    if status == 429 or (status == 403 and html):  # noqa: PLR2004 HTTP
        if html and retry_after is None:
            return Verdict(Kind.BLOCKED, f"Railway's edge blocks the relay (HTTP {status})")
        delay = LIMITED_DELAY if retry_after is None else retry_after
        return Verdict(Kind.LIMITED, f"Railway limits the rate (HTTP {status})", delay)
    if status in {401, 403}:
        return Verdict(Kind.REFUSED, f"Railway refuses the token (HTTP {status})", credential=True)
    if status == 408 or status >= 500:  # noqa: PLR2004 HTTP
        return Verdict(Kind.TRANSIENT, f"Railway is not available (HTTP {status})", retry_after)
    return Verdict(Kind.MISFIT, f"Railway does not accept the request (HTTP {status})")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The seconds of `Retry-After`, which may be a number or a date (RFC 9110 section 10.2.3); None without one.

    A date is compared with the answer's own `Date`, so that our clock plays no part; `now` (seconds since 1970, our
    clock's by default) stands in where there is none.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER)
    until = _seconds_of(text)
    if until is None:
        return None
    since = _seconds_of(headers.get("Date", ""))
    if since is None:
        since = time.time() if now is None else now
    return min(max(until - since, 0.0), _LONGEST_RETRY_AFTER)


def _seconds_of(date: str) -> float | None:
    """Seconds since 1970 of an HTTP date."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
