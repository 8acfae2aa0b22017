"""Static tokens: who holds one of them may see what its line says (protocol.md section 6, `token` mode)."""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import attrs
import msgspec

from logrelay.relay import timestamps
from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.web.endings import expired, not_allowed, unauthenticated
from logrelay.web.grants import Credential, Grant

logger = logging.getLogger(__name__)

_LOOK = 5.0  # seconds between two looks at the file
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[\x20-\x7e]{1,64}", re.ASCII)


class TokensInvalid(ValueError):
    """The list of tokens can't be used; the text says which line and what would be right, never what stands there."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    sha256: str
    environments: list[str] | str
    services: list[str] | None = None
    expires: str | None = None


@attrs.frozen
class Token:
    """One token's line."""

    name: str
    digest: bytes = attrs.field(repr=False)
    environments: frozenset[str] | None  # None: all
    services: tuple[str, ...] | None  # None: all
    expires: float | None  # seconds since 1970


def digest_of(token: str) -> str:
    """What stands for a token in the list."""
    return hashlib.sha256(token.encode()).hexdigest()


def parse(text: str) -> tuple[Token, ...]:
    """Read the list: a JSON object a line; an empty one lets nobody in. Raises TokensInvalid."""
    tokens: list[Token] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            tokens.append(_parse_line(line, number))
    names = {token.name for token in tokens}
    if len(names) < len(tokens) or len({token.digest for token in tokens}) < len(tokens):
        raise TokensInvalid("a name or a token stands there twice")
    return tuple(tokens)


def _parse_line(line: str, number: int) -> Token:
    try:
        read = msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        right = 'an object such as {"name":"dashboard","sha256":"…","environments":["…"]}'
        raise TokensInvalid(f"line {number}: {right} is expected") from None
    if not _NAME.fullmatch(read.name):
        raise TokensInvalid(f"line {number}: name must have 1 to 64 printable characters")
    if not _DIGEST.fullmatch(read.sha256):
        raise TokensInvalid(f"line {number}: sha256 must be the token's SHA-256 in 64 hexadecimal digits")
    if isinstance(read.environments, str) and read.environments != "*":
        raise TokensInvalid(f'line {number}: environments must be a list of ids, or "*"')
    if read.environments == [] or read.services == []:
        raise TokensInvalid(f"line {number}: an empty list of environments or services allows nothing")
    return Token(
        read.name,
        bytes.fromhex(read.sha256),
        None if "*" in read.environments else frozenset(read.environments),
        None if read.services is None else tuple(read.services),
        None if read.expires is None else _moment(read.expires, number),
    )


def _moment(text: str, number: int) -> float:
    try:
        return timestamps.parse(text) / 1e9
    except ValueError:
        raise TokensInvalid(
            f"line {number}: expires must be an RFC 3339 timestamp such as 2027-01-31T00:00:00Z"
        ) from None


class TokenGuard:
    """Knows callers by static tokens, from a text or a file that is read again when it changes."""

    mode = "token"
    recheck: float | None = None  # `reload` says when

    def __init__(
        self,
        tokens: Sequence[Token],
        path: Path | None = None,
    ) -> None:
        self._tokens = tuple(tokens)
        self._path = path
        self._stamp = self._stamped()
        self._fault: str | None = None
        self._watching: asyncio.Task[None] | None = None
        self.changed: Callable[[], None] = lambda: None  # live connections are to be looked at again

    def __repr__(self) -> str:
        return f"<TokenGuard {len(self._tokens)} tokens>"

    async def grant(self, credential: Credential, environment_id: str) -> Grant:
        """See Guard. Every token is compared, in constant time each, so that the time tells nothing."""
        shown = hashlib.sha256(credential.token.encode()).digest()
        found: Token | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, shown):
                found = token
        if found is None or not credential.token:
            raise unauthenticated()
        left = None if found.expires is None else found.expires - time.time()
        if left is not None and left <= 0:
            raise expired()
        if found.environments is not None and environment_id not in found.environments:
            raise not_allowed()
        return Grant(
            self.mode,
            subject=found.name,
            environments=found.environments,
            scope=EVERYTHING if found.services is None else Filter.of_services(found.services),
            until=None if left is None else time.monotonic() + left,
        )

    def describe(self) -> Mapping[str, object]:
        """See Guard."""
        return {"state": "ok"} if self._fault is None else {"state": "failing", "reason": self._fault}

    def reload(self) -> bool:
        """Read the file again; what can't be read leaves everything as it was, and is said in the log."""
        if self._path is None:
            return False
        self._stamp = self._stamped()
        try:
            tokens = parse(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            self._fault = str(error) if isinstance(error, TokensInvalid) else "the file can't be read"
            logger.warning(
                "the list of tokens can't be used, the last one stays", extra={"reason": self._fault}
            )
            return False
        self._fault = None
        if tokens == self._tokens:
            return False
        self._tokens = tokens
        logger.info("the list of tokens was read again", extra={"tokens": len(tokens)})
        return True

    def _stamped(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            if self._stamped() != self._stamp and self.reload():
                self.changed()

    async def __aenter__(self) -> Self:
        """Watch the file."""
        if self._path is not None:
            self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Watch it no more."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
