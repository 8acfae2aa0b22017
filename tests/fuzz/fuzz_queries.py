"""What protocol.md section 1 says of a query string: a model of its own, which doesn't look at the relay's code."""

import datetime as dt
import re
from urllib.parse import parse_qsl

from fuzz_frames import filter_is_right

PARAMETER, FILTER = "parameter_invalid", "filter_invalid"
LINE_LIMIT = 8190  # bytes of a request's target that aiohttp takes
NUMBERS = {"tail": 10_000, "overlap": 60, "batch": 1}
ONCE = ("search", "severity", "lastTimestamp", "lastId", *NUMBERS)
_STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
_NEARLY = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[ +-][0-9]{2}:[0-9]{2})"
)
_ID = r"(?P<stamp>.+)-[0-9a-f]{12}(~[0-9]+)?"
_LONGEST_ID = 100  # characters


def outcomes(query: str) -> set[str]:
    """How a stream with this query string may begin: `connected`, or refused by an error of one of these codes."""
    given = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    verdicts: dict[str, bool | None] = {
        name: _parameter(name, given) for name in ONCE if name not in ("search", "severity")
    }
    repeated = any(len(_values(name, given)) > 1 for name in ("search", "severity"))
    verdicts["repeated"] = not repeated
    right = _filter(given)
    allowed = {PARAMETER for verdict in verdicts.values() if verdict is not True}
    if right is not True:
        allowed.add(FILTER)
    if right is not False and False not in verdicts.values():
        allowed.add("connected")
    return allowed


def _values(name: str, given: list[tuple[str, str]]) -> list[str]:
    return [value for key, value in given if key == name]


def _parameter(name: str, given: list[tuple[str, str]]) -> bool | None:
    """Whether a parameter that may be given once is right; None where this model doesn't know."""
    values = _values(name, given)
    if len(values) > 1:
        return False
    if not values or not values[0]:
        return True
    value = values[0]
    if not _is_clean(value):
        return None if name in ("lastTimestamp", "lastId") and not value.isascii() else False
    if name in NUMBERS:
        return _number(value, NUMBERS[name])
    return _stamp(value) if name == "lastTimestamp" else _identity(value)


def _is_clean(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _number(value: str, most: int) -> bool | None:
    if not re.fullmatch("[0-9]+", value) or int(value[-9:]) > most or value[:-9].strip("0"):
        return False
    return True if value == str(int(value)) else None  # zeros before it


def _stamp(value: str) -> bool | None:
    if not re.fullmatch(_NEARLY, value):
        return False
    if not re.fullmatch(_STAMP, value):
        return None
    try:
        year = dt.datetime.fromisoformat(value[:19]).year
    except ValueError:
        return False
    if value[-1] != "Z" and not (value[-5:-3] <= "23" and value[-2:] <= "59"):
        return False
    return True if 1 < year < 9999 else None


def _identity(value: str) -> bool | None:
    match = re.fullmatch(_ID, value)
    if match is None or len(value) > _LONGEST_ID:
        return False
    right = _stamp(match["stamp"])
    return (
        True
        if right and re.fullmatch(r".{19}\.[0-9]{9}Z", match["stamp"])
        else None
        if right is not False
        else False
    )


def _filter(given: list[tuple[str, str]]) -> bool | None:
    """Whether services, search and severity are right; of a repeated one nothing is known."""
    searches, severities = _values("search", given), _values("severity", given)
    if len(searches) > 1 or len(severities) > 1:
        return None
    services = [name for value in _values("services", given) for name in value.split(",")]
    search, severity = (searches or [""])[0], (severities or [""])[0] or None
    if re.search("[\udc80-\udcff]", "".join([*services, search])):
        # Bytes that are no UTF-8: yarl leaves their percent signs as they are, which may make a name or a word.
        return None if filter_is_right([], "", severity) else False
    return filter_is_right(services, search, severity)
