"""What the stand-in was asked, by whom and when: a record for tests to read. It changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self


@attrs.define(eq=False)
class Bell:
    """Wakes everybody who waits for something to change."""

    _waiters: set[asyncio.Future[None]] = attrs.field(factory=set, init=False, repr=False)

    def ring(self) -> None:
        """Wake all who wait."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, holds: Callable[[], bool], *, within: float | None = None) -> None:
        """Wait until something holds, looked at again at each ring; TimeoutError after `within` seconds."""
        async with asyncio.timeout(within):
            while not holds():
                with self._waiter() as waiter:
                    await waiter

    @contextlib.contextmanager
    def _waiter(self) -> Iterator[asyncio.Future[None]]:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)


@attrs.define(eq=False)
class Connection:
    """One socket: how it was opened, what was received on it and how it ended."""

    headers: Mapping[str, str] = attrs.field(repr=False)  # of the upgrade; may hold a token
    at: float = attrs.field(factory=time.monotonic)
    subprotocol: str | None = None
    init_payload: Any = attrs.field(default=None, repr=False)  # as headers
    frames: list[Any] = attrs.field(factory=list, repr=False)  # received messages, in order
    pings: int = 0  # WebSocket pings received
    subscribes: list[Asked] = attrs.field(factory=list, repr=False)
    open: bool = True
    close_code: int | None = None  # the client's, or the one that was sent


@attrs.frozen(eq=False)
class Asked:
    """One operation that somebody asked for, by query or by subscribe."""

    operation_name: str | None
    document: str = attrs.field(repr=False)
    variables: Mapping[str, Any]
    token_kind: str | None  # account, project or nothing
    headers: Mapping[str, str] = attrs.field(repr=False)
    connection: Connection | None = None
    id: str | None = None  # the subscription's, on its socket
    at: float = attrs.field(factory=time.monotonic)

    @classmethod
    def of(
        cls, body: Mapping[str, Any], token_kind: str | None, headers: Mapping[str, str], **where: Any
    ) -> Self:
        """Note a request as it came in, whatever is wrong with it."""
        return cls(
            operation_name=body.get("operationName"),
            document=str(body.get("query")),
            variables=body.get("variables") or {},
            token_kind=token_kind,
            headers=headers,
            **where,
        )


@attrs.define(eq=False)
class Journal:
    """All connections, subscribes and queries since the start, and how many are open now.

    A socket is *opening* from its upgrade to the first frame of its first subscription, a later
    subscription of the socket from its subscribe to its first frame.
    """

    bell: Bell
    connections: list[Connection] = attrs.field(factory=list, init=False)
    subscribes: list[Asked] = attrs.field(factory=list, init=False)
    queries: list[Asked] = attrs.field(factory=list, init=False)
    refused_upgrades: int = attrs.field(default=0, init=False)
    open_subscriptions: int = attrs.field(default=0, init=False)
    peak_opening: int = attrs.field(default=0, init=False)
    _opening: set[object] = attrs.field(factory=set, init=False, repr=False)

    @property
    def total_connections(self) -> int:
        """How many sockets were ever opened."""
        return len(self.connections)

    @property
    def open_sockets(self) -> int:
        """How many sockets are open now."""
        return sum(connection.open for connection in self.connections)

    def begin(self, opening: object) -> None:
        """Count something as opening, until `settle` or `replace`."""
        self._opening.add(opening)
        self.peak_opening = max(self.peak_opening, len(self._opening))
        self.bell.ring()

    def replace(self, opening: object, by: object) -> None:
        """Go on counting one thing as another: a socket as its first subscription."""
        self._opening.discard(opening)
        self.begin(by)

    def settle(self, opening: object) -> None:
        """Count it as opening no longer."""
        self._opening.discard(opening)
        self.bell.ring()
