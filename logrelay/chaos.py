"""`logrelay demo --chaos`: a fault every few seconds, and a canary that counts what it costs. Demo only."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable

import attrs
from yarl import URL

from logrelay.standin import Canary, StandIn
from logrelay.tail import Tail

SETTINGS = {
    "LOGRELAY_FLAPPING_SECONDS": "0",  # a fault every few seconds is what this is for
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "2",
    "LOGRELAY_UPSTREAM_PING_SECONDS": "1",
}
_SERVICE = "canary"
_RATE = 5.0  # lines a second


class CanaryReader(io.StringIO):
    """Reads records as JSON lines and counts the canary's numbers: missing, repeated, out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.repeated = 0
        self.disordered = 0
        self._seen: set[int] = set()
        self._last = 0

    def write(self, text: str) -> int:
        """Take lines of one JSON record each, as `logrelay tail --json` prints them."""
        for line in text.splitlines():
            word, _, number = json.loads(line)["message"].partition(" ")
            if word == _SERVICE and number.isdigit():
                self._count(int(number))
        return len(text)

    def _count(self, number: int) -> None:
        if number in self._seen:
            self.repeated += 1
            return
        if number < self._last:
            self.disordered += 1
        self._seen.add(number)
        self._last = number

    @property
    def counted(self) -> int:
        """Different numbers that came."""
        return len(self._seen)

    @property
    def missing(self) -> int:
        """Numbers below the highest that came which did not come."""
        return max(self._seen, default=0) - len(self._seen)

    def __str__(self) -> str:
        return f"{self.missing} missing, {self.repeated} repeated, {self.disordered} out of order"


@attrs.frozen
class Fault:
    """One way to break the stand-in."""

    name: str
    strike: Callable[[StandIn], Awaitable[None]]


async def _stall(railway: StandIn) -> None:
    railway.faults.stall = True
    await asyncio.sleep(3)
    railway.faults.stall = False


async def _refuse(railway: StandIn) -> None:
    await railway.stop_listening(cut=True)
    await asyncio.sleep(2)
    await railway.listen_again()


async def _limit(railway: StandIn) -> None:
    railway.faults.refuse_upgrade = (429, {"Retry-After": "2"}, "", 1)
    await railway.faults.fin()


FAULTS = (
    Fault("connection reset", lambda railway: railway.faults.reset()),
    Fault("connection closed without a word", lambda railway: railway.faults.fin()),
    Fault("reset in the middle of a frame", lambda railway: railway.faults.cut_mid_frame()),
    Fault("subscription completed", lambda railway: railway.faults.complete()),
    Fault("closed with 1000", lambda railway: railway.faults.close(1000)),
    Fault("closed with 4500", lambda railway: railway.faults.close(4500, "Internal server error")),
    Fault("a frame that is null", lambda railway: railway.faults.send_raw("null")),
    Fault("silent for three seconds", _stall),
    Fault("not listening for two seconds", _refuse),
    Fault("429, come back in two seconds", _limit),
)


async def run(railway: StandIn, url: URL, say: Callable[[str], None], *, every: float = 4.0) -> None:
    """Strike with one fault after the other, for ever, and say what the canary counted. `every` is in seconds."""
    # No re-deliveries: between two polls a line and its repeat could share a frame, and count as two by design.
    canary = Canary(railway.world.environment, _SERVICE, tied=0.2)
    reader = CanaryReader()
    viewer = Tail(
        url=url.with_query(services=_SERVICE, tail=1000),
        out=reader,
        err=io.StringIO(),
        as_json=True,
        first_delay=0.2,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(viewer.run())
        tasks.create_task(canary.run(_RATE))
        while True:
            for fault in FAULTS:
                await asyncio.sleep(every)
                say(f"chaos: {fault.name}")
                await fault.strike(railway)
                await asyncio.sleep(every)
                say(f"canary: {canary.number} written, {reader.counted} read: {reader}")
