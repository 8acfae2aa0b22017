"""What is looked at before anything is done for a caller: where it comes from, and whether there is room."""

import math

import attrs
from aiohttp import hdrs, web

from logrelay.web.access import Access
from logrelay.web.origins import Origins, Proxies
from logrelay.web.places import Handshakes, Places


@attrs.frozen
class Full:
    """There is no room: why, in a sentence that names the limit, and in how many seconds to come back."""

    message: str
    seconds: float


@attrs.frozen
class Door:
    """Everything that decides about a caller, and in the order of what it costs."""

    access: Access
    origins: Origins
    places: Places
    handshakes: Handshakes = attrs.Factory(lambda: Handshakes(per_second=500, burst=5000))
    proxies: Proxies = attrs.Factory(Proxies)

    def admits(self, request: web.Request, *, cookie: bool = False) -> bool:
        """Whether the page that asks may; `cookie` where a cookie is all that says who is calling."""
        origins = request.headers.getall(hdrs.ORIGIN, ())
        origin = origins[0] if origins else None
        return len(origins) <= 1 and self.origins.admits(origin, self.proxies.host(request), cookie=cookie)

    def full(self, request: web.Request, *, crowded: bool) -> Full | None:
        """Why there is no room for one more; `crowded` when memory is short."""
        full = crowded or not self.places.free
        if not full and self.access.required and not self.places.free_for_stranger:
            # Half of the places is for those who show something at once.
            full = self.access.find(request) is None
        if full:
            seconds = self.places.retry_after
            why = "memory is short" if crowded else f"at most {self.places.most}"
            return Full(
                f"too many connections to this relay: {why}; come back in {math.ceil(seconds)} s", seconds
            )
        wait = self.handshakes.admit(self.proxies.address(request))
        if not wait:
            return None
        most = self.handshakes.burst
        return Full(
            f"too many new connections from this address: at most {most} at once; come back in {math.ceil(wait)} s",
            wait,
        )
