"""Moments as Railway writes and reads them, in integer nanoseconds since 1970. No clock of its own."""

from __future__ import annotations

import datetime as dt
import functools
import re

SECOND = 1_000_000_000  # nanoseconds

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


@functools.lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    moment = _EPOCH + dt.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def stamp(ns: int) -> str:
    """Write a moment in UTC with all nine digits of the fraction, so that equal lengths sort as text."""
    seconds, fraction = divmod(ns, SECOND)
    return f"{_second(seconds)}.{fraction:09d}Z"


def parse(text: str) -> int:
    """Read an RFC 3339 moment with up to nine digits of fraction and any offset; ValueError otherwise."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 moment: {text!r}")
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    moment = dt.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=dt.UTC)
    seconds = int((moment - _EPOCH).total_seconds())
    if sign is not None:
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * SECOND + int((fraction or "").ljust(9, "0"))
