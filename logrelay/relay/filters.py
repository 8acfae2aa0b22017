"""The filter language: Railway's own (protocol.md section 5), evaluated here. Words, phrases, patterns, `-` so far.

What isn't understood yet is refused, never taken for a substring by accident.
"""

import re
from collections.abc import Iterable

import attrs

from logrelay.errors import FilterInvalid
from logrelay.relay.patterns import Pattern
from logrelay.relay.records import SEVERITIES, LogRecord

SEARCH_LIMIT = 1024  # characters
TERMS_LIMIT = 32
PATTERNS_LIMIT = 2  # of those terms
SERVICES_LIMIT = 50
NAME_LIMIT = 200  # characters of a service's name or id

_LEVELS: dict[str | None, int] = {name: level for level, name in enumerate(SEVERITIES)} | {None: 1}
# Control characters but the tab, and lone surrogates: these could not even be echoed.
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_QUOTE_HINT = "put it in quotes to search for the text"


@attrs.frozen
class Term:
    """One substring that must occur, or must not."""

    needle: str
    absent: bool = False


@attrs.frozen(cache_hash=True)
class Filter:
    """Which records a client wants. Equal filters compare equal, so that clients can share what they read."""

    services: tuple[str, ...] = ()  # names or ids as given; empty means all
    search: str = ""
    severity: str | None = None
    _terms: tuple[Term, ...] = attrs.field(default=(), repr=False)
    _patterns: tuple[Pattern, ...] = attrs.field(default=(), repr=False)
    _wanted: frozenset[str] = attrs.field(default=frozenset(), repr=False, eq=False)
    _level: int = attrs.field(default=0, repr=False, eq=False)
    _exact: bool = attrs.field(default=False, repr=False)  # whether the case of services' names counts
    _scope: "Filter | None" = attrs.field(
        default=None, repr=False
    )  # what it doesn't match, this doesn't either

    @classmethod
    def of_services(cls, services: Iterable[str]) -> "Filter":
        """Only the records of these services, by exact name or id, however many. Raises ValueError for none at all.

        What somebody may see is compared as it is written, because two services may differ by case alone.
        """
        names = tuple(dict.fromkeys(services))
        if not names:
            raise ValueError("no services")
        return cls(services=names, wanted=frozenset(names), exact=True)

    def inside(self, scope: "Filter") -> "Filter":
        """The same filter for somebody who may see no more than a scope; takes the place of an earlier scope."""
        return attrs.evolve(self, scope=None if scope.everything else scope)

    @classmethod
    def parse(cls, services: Iterable[str] = (), search: str = "", severity: str | None = None) -> "Filter":
        """Read a filter as clients give it. Raises FilterInvalid with a sentence that says what would be right."""
        if not services and not search and severity is None:
            return EVERYTHING  # what most clients want, so they share it
        names = tuple(dict.fromkeys(name.strip() for name in services if name.strip()))
        if len(names) > SERVICES_LIMIT:
            raise FilterInvalid(f"services: at most {SERVICES_LIMIT}")
        if any(len(name) > NAME_LIMIT or not name.isprintable() for name in names):
            raise FilterInvalid("services: not a service's name or id")
        if severity is not None and severity not in SEVERITIES:
            raise FilterInvalid(f"severity: one of {', '.join(SEVERITIES)}")
        terms = parse_search(search)
        return cls(
            services=names,
            search=search,
            severity=severity,
            terms=tuple(term for term in terms if isinstance(term, Term)),
            patterns=tuple(term for term in terms if isinstance(term, Pattern)),
            wanted=frozenset(name.casefold() for name in names),
            level=_LEVELS[severity] if severity is not None else 0,
        )

    @property
    def terms(self) -> int:
        """How many words, phrases and patterns it has."""
        return len(self._terms) + len(self._patterns)

    @property
    def everything(self) -> bool:
        """Whether it lets every record through."""
        return not self._wanted and not self.terms and not self._level and self._scope is None

    def matches(self, record: LogRecord) -> bool:
        """Whether the record is wanted. A null severity counts as info."""
        if self._scope is not None and not self._scope.matches(record):
            return False
        if self._level and _LEVELS[record.severity] < self._level:
            return False
        if self._wanted and not self.serves(record.service_id, record.service_name):
            return False
        if self._terms:
            text = record.text
            if not all((term.needle in text) is not term.absent for term in self._terms):
                return False
        if self._patterns:
            said = record.said
            return all(pattern.passes(said) for pattern in self._patterns)
        return True

    def serves(self, service_id: str | None, name: str | None) -> bool:
        """Whether records of this service may be wanted at all.

        The name is looked at too, and at each record, so that a service made later is found by its name.
        """
        if self._scope is not None and not self._scope.serves(service_id, name):
            return False
        if not self._wanted:
            return True
        if self._exact:
            return service_id in self._wanted or name in self._wanted
        return (service_id is not None and service_id.casefold() in self._wanted) or (
            name is not None and name.casefold() in self._wanted
        )

    def unknown(self, services: Iterable[tuple[str, str]]) -> list[str]:
        """Those of the wanted services that are none of the given (id, name) pairs."""
        known = {text.casefold() for pair in services for text in pair}
        return [name for name in self.services if name.casefold() not in known]


EVERYTHING = Filter()


def parse_search(search: str) -> tuple[Term | Pattern, ...]:
    """The terms of a search expression. Raises FilterInvalid; places in its sentence count from 1."""
    if len(search) > SEARCH_LIMIT:
        raise FilterInvalid(f"search: at most {SEARCH_LIMIT} characters")
    if _FORBIDDEN.search(search):
        raise FilterInvalid("search: control characters and halves of characters are not allowed")
    terms: list[Term | Pattern] = []
    place = 0
    while place < len(search):
        if search[place].isspace():
            place += 1
            continue
        term, place = _term(search, place)
        if term not in terms and (isinstance(term, Pattern) or term.needle):
            terms.append(term)
    if len(terms) > TERMS_LIMIT:
        raise FilterInvalid(f"search: at most {TERMS_LIMIT} words and phrases")
    if sum(1 for term in terms if isinstance(term, Pattern)) > PATTERNS_LIMIT:
        raise FilterInvalid(f"search: at most {PATTERNS_LIMIT} patterns")
    return tuple(terms)


def _term(search: str, start: int) -> tuple[Term | Pattern, int]:
    """One word, phrase or pattern, with its `-` if it has one, and where the next may begin."""
    absent = search[start] == "-"
    place = start + absent
    if place == len(search) or search[place].isspace():
        raise FilterInvalid(f"search: a word or phrase must follow the - at {start + 1}")
    if search[place] == "/" and "/" in search[place + 1 :]:
        source, end = _pattern(search, place)
        return Pattern.of(source, place + 1, absent=absent), end
    if search[place] == '"':
        needle, place = _phrase(search, place)
    else:
        needle, place = _word(search, place)
    return Term(needle.casefold(), absent), place


def _phrase(search: str, start: int) -> tuple[str, int]:
    """A quoted phrase; a backslash keeps a quote or a backslash as it is."""
    characters: list[str] = []
    place = start + 1
    while place < len(search):
        character = search[place]
        if character == "\\" and search[place + 1 : place + 2] in ('"', "\\"):
            place += 1
            character = search[place]
        elif character == '"':
            return "".join(characters), place + 1
        characters.append(character)
        place += 1
    raise FilterInvalid(f"search: unbalanced quote at {start + 1}")


def _pattern(search: str, start: int) -> tuple[str, int]:
    """What stands between slashes; a backslash keeps a slash, or whatever it means to RE2."""
    place = start + 1
    while place < len(search) and search[place] != "/":
        place += 2 if search[place] == "\\" else 1
    after = search[place + 1 : place + 2]
    if place == start + 1 or place >= len(search) or (after and not after.isspace()):
        # Such as a path: /api/users. It isn't taken for a substring by accident.
        raise FilterInvalid(f"search: the pattern at {start + 1} must end with a /; {_QUOTE_HINT}")
    return search[start + 1 : place], place + 1


def _word(search: str, start: int) -> tuple[str, int]:
    """A bare word: up to a space or a quote."""
    place = start
    while place < len(search) and not search[place].isspace() and search[place] != '"':
        if search[place] in "()":
            raise FilterInvalid(f"search: parentheses are not supported yet, at {place + 1}; {_QUOTE_HINT}")
        place += 1
    word = search[start:place]
    if word in {"AND", "OR"}:
        raise FilterInvalid(f"search: {word} is not supported yet, at {start + 1}; {_QUOTE_HINT}")
    if word.startswith("-"):
        raise FilterInvalid(f"search: a second - at {start + 1}; {_QUOTE_HINT}")
    if word.startswith("@"):
        raise FilterInvalid(f"search: @attributes are not supported yet, at {start + 1}; {_QUOTE_HINT}")
    if word.casefold().startswith("replica:"):
        raise FilterInvalid(f"search: replica: is not supported yet, at {start + 1}; {_QUOTE_HINT}")
    return word, place
