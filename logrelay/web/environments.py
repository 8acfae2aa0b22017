"""Which environments this relay streams at all, whoever asks."""

import asyncio
import contextlib
import re

import attrs

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.endings import not_allowed

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@attrs.define
class Environments:
    """Which environments may be streamed. None: not known yet (a project token's own one)."""

    allowed: frozenset[str] | None = None
    everything: bool = False
    patience: float = 5.0  # seconds that a client waits where nothing is known yet
    refusal: str | None = None  # why Railway doesn't say which
    _told: asyncio.Event = attrs.Factory(asyncio.Event)

    def learn(self, environment_id: str) -> None:
        """This one may be streamed, and no other."""
        self.allowed = frozenset({environment_id})
        self.refusal = None
        self._told.set()

    def refuse(self, reason: str) -> None:
        """Railway refuses to say which: waiting won't help for now."""
        self.refusal = reason
        self._told.set()

    @property
    def known(self) -> bool:
        """Whether it is known which may be streamed, or that it won't be for now."""
        return self.allowed is not None or self.everything or self.refusal is not None

    async def learned(self) -> None:
        """Wait until it is known which may be streamed, for as long as a client's patience lasts."""
        if not self.known:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience):
                    await self._told.wait()

    def serves(self, environment_id: str) -> bool:
        """Whether this environment may be streamed, as far as is known; Railway isn't asked."""
        if self.everything:
            return _ID.fullmatch(environment_id) is not None
        return self.allowed is not None and environment_id in self.allowed

    def admit(self, environment_id: str) -> None:
        """Raises Disconnect when this environment may not be streamed; Railway isn't asked for that."""
        if self.refusal is not None:
            raise Disconnect(CloseCode.UPSTREAM_REFUSED, "upstream_refused", self.refusal, retryable=True)
        if self.allowed is None and not self.everything:
            message = "the relay does not know yet which environment its token is for"
            raise Disconnect(CloseCode.INTERNAL, "internal", message, retryable=True)
        if self.serves(environment_id):
            return
        if self.everything:
            message = "Railway knows no such environment, or the relay's token can't see it"
            raise Disconnect(CloseCode.UNKNOWN_ENVIRONMENT, "unknown_environment", message)
        raise not_allowed()
