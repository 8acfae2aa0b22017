"""A place among the subscriptions that may open at once (facts.md section 3)."""

import asyncio
from typing import Self


class Opening:
    """Waits for a place; it is given back with the first frame, or at the end."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._held = False

    async def __aenter__(self) -> Self:
        await self._places.acquire()
        self._held = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the place back; once is enough."""
        if self._held:
            self._held = False
            self._places.release()
