"""Regular expressions that strangers bring: RE2 only, whose time is linear in the text and whose memory is bounded."""

from typing import Any

import attrs
import re2  # type: ignore[import-untyped]

from logrelay.errors import FilterInvalid

MEMORY = 128 * 1024  # bytes that one pattern may take, compiled and while it is run
SIZE = (
    200  # instructions of its program: the worst of that size takes some 0.1 ms for a line of 200 characters
)


@attrs.frozen
class Pattern:
    """A pattern that must be found in a message, or must not. Equal ones compare equal."""

    source: str
    absent: bool = False
    _compiled: Any = attrs.field(default=None, repr=False, eq=False)

    @classmethod
    def of(cls, source: str, place: int, *, absent: bool) -> "Pattern":
        """Compile it. `place` is where it stands, for the sentence of the FilterInvalid that this may raise."""
        options = re2.Options()
        options.log_errors = False  # RE2 would print the pattern
        options.max_mem = MEMORY
        try:
            compiled = re2.compile(source, options)
        except re2.error:
            raise FilterInvalid(
                f"search: the pattern at {place} is not in RE2's syntax, or too large"
            ) from None
        if compiled.programsize > SIZE:
            raise FilterInvalid(
                f"search: the pattern at {place} is too large; repeat less, or name fewer characters"
            )
        return cls(source, absent, compiled)

    def passes(self, text: str) -> bool:
        """Whether a text is wanted."""
        return (self._compiled.search(text) is not None) is not self.absent
