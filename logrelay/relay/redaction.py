"""Takes secrets out of records before anything keeps them. By shapes, pairs, and rules of one's own; no I/O, no clock.

What is seen through: terminal codes around or inside a secret, and JSON's escapes, four levels deep. What is not: a
secret that is spread over several records, percent-encoded or encoded in base64 as a whole, or interspersed with
characters of no width.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import attrs
import re2  # type: ignore[import-untyped]

from logrelay.relay.disguises import disguised, layers
from logrelay.relay.shapes import PAIRS, SHAPES, TELLING_NAME

RULES_LIMIT = 100  # rules of one's own
_RULE_MEMORY = 256 * 1024  # bytes that one such rule may take when compiled
_SET_MEMORY = 32 * 1024 * 1024  # bytes that all patterns together may take, their shared cache included
_LEVELS = 4  # of escapes that are taken off
_ROUNDS = 8  # a redaction may lay bare what looks like another secret
_MATCHES = 1000  # of one pattern in one text; where there are more, the rest of the text goes

_begin = itemgetter(0)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_MARK = re.compile(rb"\[redacted:[a-z][a-z0-9-]{0,39}\]")
# What stands in a secret's place where somebody has taken it out already, or there never was one.
_HOLLOW = re.compile(
    rb"(?:\[redacted:[a-z][a-z0-9-]{0,39}\])+|[*.xX\xe2\x80\xa2-]+|\$\{?\w+\}?|\$?\{\{.*\}\}|%\w+%|%[a-z]|"
    rb"\[?(?i:redacted|filtered|masked|hidden|null|none|nil|undefined|true|false)\]?"
)


class RulesInvalid(ValueError):
    """A file of rules that can't be used. `faults` names lines and rules, and never shows a pattern."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@attrs.frozen
class Rule:
    """What has to vanish: a pattern in RE2's syntax; of a match its group `secret`, or all of it without one."""

    name: str
    pattern: str = attrs.field(repr=False)  # it may quote what it is to hide


@attrs.frozen
class _Search:
    """A rule, ready to be run."""

    name: str
    pattern: Any = attrs.field(repr=False)
    group: int
    own: bool

    @classmethod
    def of(cls, name: str, pattern: str, *, own: bool) -> "_Search":
        compiled = re2.compile(pattern, _options(_RULE_MEMORY if own else _SET_MEMORY))
        return cls(name, compiled, compiled.groupindex.get("secret", 0), own)

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where its secrets are."""
        for count, match in enumerate(islice(self.pattern.finditer(text), _MATCHES), start=1):
            start, end = match.span(self.group)
            if start < 0:  # the group stands in another branch of the pattern
                start, end = match.span()
            yield start, len(text) if count == _MATCHES else end


@attrs.frozen
class _Span:
    start: int
    end: int
    search: int


class Redactor:
    """Replaces secrets by `[redacted:<rule>]`, and counts by rule in `counts`. Without any rules it does nothing."""

    def __init__(self, *, shapes: bool = True, pairs: bool = False, rules: Iterable[Rule] = ()) -> None:
        own = [(rule.name, rule.pattern) for rule in rules]
        table = [*(SHAPES if shapes else ()), *(PAIRS if pairs else ())]
        self._searches = [
            *(_Search.of(name, pattern, own=False) for name, pattern in table),
            *(_Search.of(name, pattern, own=True) for name, pattern in own),
        ]
        self._own = bool(own)
        # Names of attributes are looked at by themselves, so a name alone is reason enough to look closer.
        hint = [TELLING_NAME] if pairs else []
        self._set = _set([*(pattern for _, pattern in [*table, *own]), *hint])
        self._names = re2.compile(rf"{TELLING_NAME}\z", _options(_SET_MEMORY)) if pairs else None
        self.counts: dict[str, int] = dict.fromkeys([search.name for search in self._searches], 0)

    def __repr__(self) -> str:
        return f"<Redactor {len(self.counts)} rules, {sum(self.counts.values())} redactions>"

    def suspects(self, message: str, attributes: Sequence[tuple[str, str]]) -> bool:
        """Whether there may be something in a message and attributes (names and JSON text); quick where there isn't.

        It may be wrong in saying yes, never in saying no.
        """
        if not self._searches:
            return False
        if self._own:
            return True  # what begins or ends a text can't be told once texts are joined
        text = _encoded("\n".join((message, *chain.from_iterable(attributes))) if attributes else message)
        if self._set.Match(text):
            return True
        if not disguised(text):
            return False
        # One level more, because attributes are JSON text here and values later.
        return any(self._set.Match(layer.text) for layer in layers(text, _LEVELS + 1))

    def text(self, text: str) -> tuple[str, int]:
        """The text without secrets, and how many there were; the very same text where there were none."""
        if not self._searches:
            return text, 0
        raw = _encoded(text)
        if not self._set.Match(raw) and not disguised(raw):
            return text, 0
        total = 0
        for _ in range(_ROUNDS):
            spans = _merged(self._found(raw))
            if not spans:
                break
            raw = self._replaced(raw, spans)
            total += len(spans)
        return (raw.decode("utf-8", "replace"), total) if total else (text, 0)

    def value(self, value: Any) -> tuple[Any, int]:
        """A JSON value without secrets, in names as well, and how many there were."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            pairs = [self.value(item) for item in value]
            return [item for item, _ in pairs], sum(count for _, count in pairs)
        if not isinstance(value, dict):
            return value, 0
        total = 0
        clean: dict[str, Any] = {}
        for name, item in value.items():
            key, count = self.text(name)
            clean[key], more = self._named(name, item)
            total += count + more
        return clean, total

    def _named(self, name: str, value: Any) -> tuple[Any, int]:
        """The value of an attribute, or of a member of an object."""
        if self._names is None or not self._names.search(_encoded(name)):
            return self.value(value)
        if value is None or isinstance(value, bool):
            return value, 0
        if isinstance(value, str) and (not value or _HOLLOW.fullmatch(_encoded(value))):
            return value, 0
        self.counts["pair"] += 1
        return "[redacted:pair]", 1

    def _found(self, raw: bytes) -> Iterator[_Span]:
        """Secrets in a text, and in what shows when levels of disguise are taken off it."""
        yield from self._matches(raw)
        for layer in layers(raw, _LEVELS):
            for span in self._matches(layer.text):
                yield _Span(*layer.origin(span.start, span.end), span.search)

    def _matches(self, text: bytes) -> Iterator[_Span]:
        found = self._set.Match(text)
        if not found:
            return
        marks = [mark.span() for mark in _MARK.finditer(text)]
        for number in found:
            if number == len(self._searches):
                continue  # the hint
            search = self._searches[number]
            for start, end in search.spans(text):
                if start == end or (not search.own and _HOLLOW.fullmatch(text, start, end)):
                    continue
                place = bisect_right(marks, start, key=_begin) - 1  # they don't overlap
                if place < 0 or end > marks[place][1]:
                    yield _Span(start, end, number)

    def _replaced(self, raw: bytes, spans: Iterable[_Span]) -> bytes:
        pieces: list[bytes] = []
        place = 0
        for span in spans:
            name = self._searches[span.search].name
            self.counts[name] += 1
            pieces += [raw[place : span.start], b"[redacted:%b]" % name.encode()]
            place = span.end
        return b"".join([*pieces, raw[place:]])


def _merged(found: Iterable[_Span]) -> list[_Span]:
    """The same places in order, those that overlap as one."""
    spans: list[_Span] = []
    for span in sorted(found, key=lambda span: span.start):
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
            continue
        last = spans[-1]
        spans[-1] = _Span(last.start, max(last.end, span.end), min(last.search, span.search))
    return spans


def _encoded(text: str) -> bytes:
    """UTF-8, with halves of characters replaced."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()


def _options(memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would print the pattern
    options.max_mem = memory
    return options


def _set(patterns: Sequence[str]) -> Any:
    """All patterns as one automaton. Raises re2.error where they are too large together."""
    probe = "\x00probe\x00"
    made = re2.Set.SearchSet(_options(_SET_MEMORY))
    for pattern in [*patterns, probe]:
        made.Add(pattern)
    made.Compile()
    # A set that has too little memory to run finds nothing and says nothing; it would at once.
    if not made.Match(probe.encode()):
        raise re2.error("the set can't run")
    return made


def read_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a file: a name and a pattern a line; empty lines, and those that begin with #, don't count.

    Raises RulesInvalid with every fault.
    """
    rules: list[Rule] = []
    faults: list[str] = []
    taken = {name for name, _ in (*SHAPES, *PAIRS)}
    for number, line in enumerate(text.splitlines(), start=1):
        name, pattern = [*line.split(maxsplit=1), "", ""][:2]
        if not name or name.startswith("#"):
            continue
        if not _NAME.fullmatch(name):
            faults.append(
                f"line {number}: a rule's name is of small letters, digits and -, and begins with a letter"
            )
            continue
        fault = "there is a rule of that name already" if name in taken else _fault(pattern.rstrip())
        taken.add(name)
        if fault:
            # A word alone may be a secret out of another file, named by mistake.
            faults.append(f"line {number} ({name}): {fault}" if pattern else f"line {number}: {fault}")
        rules.append(Rule(name, pattern.rstrip()))
    if len(rules) > RULES_LIMIT:
        faults.append(f"there may be at most {RULES_LIMIT} rules")
    if not rules and not faults:
        faults.append("there is no rule in it")
    if not faults:
        try:
            Redactor(pairs=True, rules=rules)
        except re2.error:
            faults.append("the rules are too large together")
    if faults:
        raise RulesInvalid(faults)
    return tuple(rules)


def _fault(pattern: str) -> str | None:
    """What is wrong with a pattern, in words that don't show it."""
    if not pattern:
        return "the pattern is missing"
    try:
        compiled = re2.compile(pattern, _options(_RULE_MEMORY))
    except re2.error:
        return "the pattern is not in RE2's syntax, or too large"
    return "the pattern matches the empty text" if compiled.search(b"") else None
