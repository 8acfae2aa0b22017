"""How the text of a setting is read: what it may be, and the sentence that says what would be right.

A parser raises ValueError, and its sentence never repeats the text, which may be a secret in the wrong place.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from yarl import URL

from logrelay.relay.redaction import Rule, read_rules


@attrs.frozen
class Reader:
    """How one variable is read: its parser, and the sentence that says what would be right."""

    parse: Callable[[str], Any]
    right: str


def setting(name: str, reader: Reader, default: Any, meaning: str, **options: Any) -> Any:
    """A field of a settings class: the variable that it is read from, how, and what it means."""
    return attrs.field(
        default=default, metadata={"name": name, "reader": reader, "meaning": meaning}, **options
    )


def number(low: int, high: int) -> Reader:
    """A whole number between two, both included."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Reader(parse, f"a whole number from {low} to {high}")


def seconds(low: float, high: float) -> Reader:
    """A number of seconds between two, both included."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Reader(parse, f"a number of seconds from {low:g} to {high:g}")


def one_of(*names: str) -> Reader:
    """One of some words, in any case; they are kept in lower case."""

    def parse(text: str) -> str:
        if text.casefold() not in names:
            raise ValueError
        return text.casefold()

    return Reader(parse, names[0] if len(names) == 1 else f"one of {', '.join(names)}")


def some_of(*names: str) -> Reader:
    """Some of these words, comma-separated and written as they are here."""

    def parse(text: str) -> tuple[str, ...]:
        given = _list(text)
        if not given or not set(given) <= set(names):
            raise ValueError
        return given

    return Reader(parse, f"some of {', '.join(names)}, comma-separated")


def flag() -> Reader:
    """Yes or no."""
    known = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
        ("0", "false", "no", "off"), False
    )

    def parse(text: str) -> bool:
        if text.casefold() not in known:
            raise ValueError
        return known[text.casefold()]

    return Reader(parse, "true or false")


def url(*schemes: str) -> Reader:
    """A URL with one of these schemes, and without a user name."""

    def parse(text: str) -> str:
        given = URL(text)
        if (
            given.scheme not in schemes
            or not given.host
            or given.user is not None
            or given.password is not None
        ):
            raise ValueError
        return text

    return Reader(parse, f"a URL with {' or '.join(schemes)} and without a user name")


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def origins() -> Reader:
    """Web origins, or `*`."""

    def parse(text: str) -> tuple[str, ...]:
        given = _list(text)
        for origin in given:
            parsed = URL(origin)
            if origin != "*" and (
                parsed.scheme not in {"http", "https"} or not parsed.host or str(parsed.origin()) != origin
            ):
                raise ValueError
        return given

    return Reader(parse, "origins such as https://app.example.com, comma-separated and without a path, or *")


def environments() -> Reader:
    """Ids of environments, or `*`."""

    def parse(text: str) -> tuple[str, ...]:
        names = _list(text)
        if not names or any(
            name != "*" and not name.replace("-", "").replace("_", "").isalnum() for name in names
        ):
            raise ValueError
        return names

    return Reader(parse, "environment ids, comma-separated, or *")


def base_path() -> Reader:
    """A path without a slash at its end."""

    def parse(text: str) -> str:
        path = text.rstrip("/")
        if path and (not path.startswith("/") or any(character in path for character in "{}?# ")):
            raise ValueError
        return path

    return Reader(parse, "a path such as /logs")


def _is(question: Callable[[], bool]) -> bool:
    """The answer to a question about a path, which has none where the name is as long as a token in the wrong place."""
    try:
        return question()
    except OSError as error:
        raise ValueError from error


def file() -> Reader:
    """A file that is there."""

    def parse(text: str) -> Path:
        path = Path(text)
        if not _is(path.is_file):
            raise ValueError
        return path

    return Reader(parse, "the path of a file that can be read")


def new_file() -> Reader:
    """A file that is there, or can be made."""

    def parse(text: str) -> Path:
        path = Path(text)
        if not _is(path.is_file) and (path.exists() or not path.parent.is_dir()):
            raise ValueError
        return path

    return Reader(parse, "the path of a file, in a folder that is there")


def certificates() -> Reader:
    """A PEM file with certificates."""

    def parse(text: str) -> Path:
        try:
            ssl.create_default_context(cafile=text)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError from error
        return Path(text)

    return Reader(parse, "the path of a PEM file with certificates")


def rules() -> Reader:
    """Rules of redaction, from a file. What is wrong with a rule is told by RulesInvalid, which is a ValueError."""

    def parse(text: str) -> tuple[Rule, ...]:
        path = Path(text)
        if not _is(path.is_file):
            raise ValueError
        try:
            return read_rules(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError from error

    return Reader(parse, "the path of a file with the name and the pattern of a rule in each line")


TEXT = Reader(str, "a text")
