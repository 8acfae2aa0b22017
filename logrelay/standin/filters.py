"""A part of Railway's filter language (facts.md section 11): text in, a test of one row out.

Understood are words and quoted phrases (parts of the message, whatever their case), `@name:value`,
`replica:<id>`, `-`, AND (also by standing side by side), OR and parentheses. Comparisons of numbers are
not: such a filter is refused, so that nobody believes it was applied.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

import attrs

from logrelay.standin.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrelay.standin.rows import Row

    Test: TypeAlias = Callable[[Row], bool]

_TOKEN = re.compile(r"""\s*(?:([()])|(-(?=\S))|(@?[^\s"():@]+:)?("(?:[^"\\]|\\.)*"|[^\s"()]+))""")
_TAGS = {
    "service": "serviceId",
    "deployment": "deploymentId",
    "replica": "deploymentInstanceId",
    "snapshot": "snapshotId",
}


def compile_filter(text: str | None) -> Test:
    """Turn a filter into a test; none, an empty one and an empty group let everything through."""
    parser = _Parser(_tokens(text or ""))
    test = parser.alternatives()
    if parser.rest:
        raise invalid("filter")
    return test


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise invalid("filter")
        bracket, minus, name, value = match.groups()
        if bracket or minus:
            tokens.append((bracket or minus, ""))
        elif name is None and value in ("AND", "OR"):
            tokens.append((value, ""))
        else:
            tokens.append(((name or "").rstrip(":") or "text", value))
        at = match.end()
    return tokens


def _everything(_row: Row) -> bool:
    return True


@attrs.define
class _Parser:
    """Recursive descent over the tokens that are left."""

    rest: list[tuple[str, str]]

    def _taken(self, kind: str) -> bool:
        if self.rest and self.rest[0][0] == kind:
            del self.rest[0]
            return True
        return False

    def alternatives(self) -> Test:
        tests = [self.conjunction()]
        while self._taken("OR"):
            tests.append(self.conjunction())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def conjunction(self) -> Test:
        tests: list[Test] = []
        while self.rest and self.rest[0][0] not in ("OR", ")"):
            self._taken("AND")
            tests.append(self.item())
        if not tests:
            return _everything
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def item(self) -> Test:
        if self._taken("-"):
            test = self.item()
            return lambda row: not test(row)
        if self._taken("("):
            group = self.alternatives()
            if not self._taken(")"):
                raise invalid("filter")
            return group
        if not self.rest or self.rest[0][0] in ("AND", "OR", ")"):
            raise invalid("filter")
        return _term(*self.rest.pop(0))


def _term(name: str, raw: str) -> Test:
    value = str(json.loads(raw)) if raw.startswith('"') else raw
    if name == "text":
        wanted = value.casefold()
        return lambda row: wanted in row.message.casefold()
    if name != "replica" and not name.startswith("@"):
        return _term("text", f"{name}:{value}")
    if value.startswith((">", "<")) or ".." in value:
        raise invalid("filter")
    return _attribute(name.removeprefix("@"), value)


def _attribute(name: str, value: str) -> Test:
    if name in _TAGS:
        tag = _TAGS[name]
        return lambda row: row.tags is not None and row.tags.get(tag) == value
    if name == "level":
        return lambda row: row.severity == value
    written = {value, json.dumps(value)}
    return lambda row: any(key == name and text in written for key, text in row.attributes)
