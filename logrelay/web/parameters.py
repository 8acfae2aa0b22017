"""The stream's query parameters, read and checked (protocol.md section 1). Sentences never repeat what was sent."""

import re

from multidict import MultiMapping

from logrelay.errors import ParameterInvalid
from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.resume import Request
from logrelay.web.placing import Placing, ResumeLimits

OVERLAP_LIMIT = 60  # seconds
TAIL_LIMIT = 10_000  # records
TAIL_DEFAULT = 100
_ID_LIMIT = 100  # characters
_STAMP_LIMIT = 64  # characters


def read(query: MultiMapping[str], limits: ResumeLimits) -> Placing:
    """Where and with which filter to begin. Raises ParameterInvalid and FilterInvalid."""
    services = [name for value in query.getall("services", ()) for name in value.split(",")]
    wanted = Filter.parse(services, _one(query, "search") or "", _one(query, "severity"))
    tail = _number(query, "tail", TAIL_LIMIT)
    _number(query, "batch", 1)  # see `batched`
    return Placing(wanted, _resume(query), tail=TAIL_DEFAULT if tail is None else tail, limits=limits)


def batched(query: MultiMapping[str]) -> bool:
    """Whether records are wanted in batches; looked at before the rest, because what is compressed is settled first."""
    return query.getall("batch", ()) == ["1"]


def _one(query: MultiMapping[str], name: str) -> str | None:
    """The value of a parameter that may be given once; None where it is missing or empty."""
    values = query.getall(name, ())
    if len(values) > 1:
        raise ParameterInvalid(f"{name}: given more than once")
    return values[0] or None if values else None


def _number(query: MultiMapping[str], name: str, most: int) -> int | None:
    text = _one(query, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most):
        raise ParameterInvalid(f"{name}: a whole number from 0 to {most}")
    return int(text)


def _precise(stamp: str) -> None:
    """Raises ValueError for more digits than a nanosecond has: cut, they would name another moment."""
    if re.search(r"\.\d{10}", stamp):
        raise ValueError("more than nine fraction digits")


def _resume(query: MultiMapping[str]) -> Request | None:
    """What to resume from; an id wins over a stamp, but a malformed stamp is an error all the same."""
    identity, stamp = _one(query, "lastId"), _one(query, "lastTimestamp")
    overlap = _number(query, "overlap", OVERLAP_LIMIT) or 0
    request: Request | None = None
    if stamp is not None:
        try:
            _precise(stamp)
            request = _within_time(
                Request(None, timestamps.parse(stamp[: _STAMP_LIMIT + 1])), stamp, _STAMP_LIMIT
            )
        except ValueError:
            raise ParameterInvalid(
                "lastTimestamp: an RFC 3339 timestamp such as 2026-11-23T03:21:30.033333123Z"
            ) from None
    if identity is not None:
        try:
            request = _within_time(Request.from_id(identity[: _ID_LIMIT + 1], overlap), identity, _ID_LIMIT)
        except ValueError:
            raise ParameterInvalid("lastId: the id of a record as it was received") from None
    return request


def _within_time(request: Request, text: str, most: int) -> Request:
    """The same request. Raises ValueError for one that is too long, or whose stamp can't be written again.

    An offset can move the first and last days that there are out of the calendar.
    """
    if len(text) > most:
        raise ValueError("too long")
    timestamps.render(request.ns)
    return request
