"""Timestamps as integers of nanoseconds since 1970, read from and written as RFC 3339.

A `datetime` cuts to microseconds and would make different stamps equal, so none is used for comparing.
"""

import datetime as dt
import functools
import re

_SECOND = 1_000_000_000
_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+ -]\d\d:\d\d)", re.ASCII
)
_PREFIX = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_FIXED_LENGTH = 30  # Railway's form, 2026-11-23T03:21:30.033333123Z (facts.md section 4)
_EPOCH = dt.date(1970, 1, 1).toordinal()
_LEAP_SECOND = 60
# What `render` can write, and so what `parse` takes: the years 1 to 9999.
_FIRST = (1 - _EPOCH) * 86_400 * _SECOND
_LAST = (dt.date.max.toordinal() + 1 - _EPOCH) * 86_400 * _SECOND - 1


@functools.lru_cache(maxsize=1024)
def _seconds(prefix: str) -> int:
    """Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`; a leap second counts as the second after it."""
    # int() alone would take signs, spaces, underscores and the digits of every script.
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError("not an RFC 3339 timestamp")
    days = dt.date(int(prefix[0:4]), int(prefix[5:7]), int(prefix[8:10])).toordinal() - _EPOCH
    hours, minutes, seconds = int(prefix[11:13]), int(prefix[14:16]), int(prefix[17:19])
    if hours > 23 or minutes > 59 or seconds > _LEAP_SECOND:  # noqa: PLR2004 a clock's numbers
        raise ValueError("not a time of day")
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 timestamp with up to nine fraction digits (further ones are cut).

    A space in the offset's place of `+` is what a `+` becomes in a query string, and is read as one.
    Raises ValueError for anything else, and for a time that lies, in UTC, outside of the years 1 to 9999.
    """
    if len(text) == _FIXED_LENGTH and text[10] == "T" and text[19] == "." and text[29] == "Z":
        fraction = text[20:29]
        if fraction.isascii() and fraction.isdigit():
            return _seconds(text[:19]) * _SECOND + int(fraction)
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp")
    year, month, day, hour, minute, second, digits, offset = match.groups()
    total = _seconds(f"{year}-{month}-{day}T{hour}:{minute}:{second}")
    if offset not in "Zz":
        hours, minutes = int(offset[1:3]), int(offset[4:6])
        if hours > 23 or minutes > 59:  # noqa: PLR2004 a clock's numbers
            raise ValueError("not an offset")
        shift = (hours * 60 + minutes) * 60
        total -= -shift if offset[0] == "-" else shift
    ns = total * _SECOND + int((digits or "0").ljust(9, "0"))
    if not _FIRST <= ns <= _LAST:
        raise ValueError("not a time of the years 1 to 9999")
    return ns


@functools.lru_cache(maxsize=1024)
def _prefix(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    date = dt.date.fromordinal(days + _EPOCH).isoformat()
    return f"{date}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def render(ns: int) -> str:
    """The RFC 3339 form with nine digits and `Z`: of equal length, so that its order as text is that of time.

    Raises ValueError outside of the years 1 to 9999; whatever `parse` gave is inside.
    """
    if not _FIRST <= ns <= _LAST:
        raise ValueError("not a time of the years 1 to 9999")
    seconds, fraction = divmod(ns, _SECOND)
    return f"{_prefix(seconds)}.{fraction:09d}Z"
