"""Made-up log traffic for the demo: what five services of a small shop might say. Follows from the seed.

The lines are decided by a generator that knows no clock (`batches`); `run` writes them, at a pace.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import attrs

from logrelay.standin.rows import Line
from logrelay.standin.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logrelay.standin.services import Deployment, Service
    from logrelay.standin.world import Environment

SERVICES = ("api", "web", "worker", "postgres", "redis")
REDEPLOYED = ("api", "web", "worker")
VOLUME = "/var/lib/containers/railwayapp/bind-mounts/{}/vol"
DROPPED = (
    "Railway rate limit of 500 logs/sec reached for replica, update your application to reduce the logging "
    "rate. Messages dropped: {}"
)
SHORTEST_SLEEP = 0.01  # seconds
SHUTDOWN_AFTER = 12  # batches that an old deployment overlaps the new one

_PATHS = ("/", "/cart", "/checkout", "/api/orders", "/api/orders/{}", "/api/products?page={}", "/healthz")
_JOBS = ("send_receipt", "resize_image", "sync_stock", "rebuild_index")
_TRACE = """Traceback (most recent call last):
  File "/app/worker/jobs.py", line {line}, in perform
    self.handler(job)
  File "/app/worker/handlers/{job}.py", line 41, in handle
    response = client.post(url, timeout=5)
TimeoutError: no answer from mail gateway after 5.0 s (job {number})"""
_NODE_TRACE = """TypeError: Cannot read properties of undefined (reading 'price')
    at total (/app/dist/cart.js:{line}:27)
    at Array.reduce (<anonymous>)
    at Cart.checkout (/app/dist/cart.js:118:14)"""


@attrs.frozen
class Batch:
    """Lines written in one go, and what happens to a service just before."""

    lines: list[Line]
    deploys: str | None = None  # a service that gets a new deployment
    retires: str | None = None  # a service whose older deployments are removed


@attrs.define(eq=False)
class Traffic:
    """A writer of made-up lines. `rate` is in lines per second and may be changed while it runs."""

    place: World | Environment
    seed: int = 1
    rate: float = 20.0

    @property
    def environment(self) -> Environment:
        """Where the lines go: a world's default environment, if it was given a world."""
        return self.place.environment if isinstance(self.place, World) else self.place

    def first(self, n: int) -> list[Line]:
        """Return the first n lines; nothing is written."""
        lines: list[Line] = []
        for batch in self.batches():
            lines.extend(batch.lines)
            if len(lines) >= n:
                break
        return lines[:n]

    def batches(self) -> Iterator[Batch]:
        """Go through all that will ever be written, from the start."""
        voice = _Voice(random.Random(self.seed))
        yield from (Batch(voice.start(service)) for service in SERVICES)
        number = 0
        leaving: dict[str, int] = {}
        while True:
            number += 1
            for service in [name for name, due in leaving.items() if due <= number]:
                del leaving[service]
                yield Batch([], retires=service)
            if voice.chance(0.004) and len(leaving) < len(REDEPLOYED):
                service = voice.pick([name for name in REDEPLOYED if name not in leaving])
                leaving[service] = number + SHUTDOWN_AFTER
                yield Batch(voice.start(service), deploys=service)
            yield Batch(voice.burst() if voice.chance(0.01) else voice.some())

    async def run(self) -> None:
        """Write for ever, at the rate; cancel it to stop."""
        environment = self.environment
        names = {service.name for service in environment.services}
        for name in SERVICES:
            if name not in names:
                environment.add_service(name)
        ahead = 0.0  # seconds; a timer can't do much less than a few milliseconds
        for batch in self.batches():
            self._write(environment, batch)
            ahead += len(batch.lines) / self.rate
            if ahead >= SHORTEST_SLEEP:
                await asyncio.sleep(ahead)
                ahead = 0.0

    def _write(self, environment: Environment, batch: Batch) -> None:
        if batch.deploys is not None:
            environment.service(batch.deploys).deploy()
        if batch.retires is not None:
            retire(environment, environment.service(batch.retires))
        environment.write_many(batch.lines)


def retire(environment: Environment, service: Service) -> list[Deployment]:
    """Stop and remove all deployments of a service but the newest, as a rollover does."""
    old = [deployment for deployment in service.deployments[:-1] if deployment.status == "SUCCESS"]
    for deployment in old:
        deployment.set_status("REMOVING")
        stopping = Line("Stopping Container", service.name, whole_second=True, tags=service.tags(deployment))
        environment.write_many([stopping])
        deployment.stopped = True
        deployment.set_status("REMOVED")
    return old


@attrs.define
class _Voice:
    """Puts lines into words."""

    _random: random.Random

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def pick(self, choices: list[str] | tuple[str, ...]) -> str:
        return self._random.choice(choices)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def start(self, service: str) -> list[Line]:
        """Say what a starting container says; the first two lines are Railway's own."""
        volume = VOLUME.format(f"{self.number(0, 16**8):08x}")
        lines = [Line("Starting Container", service, whole_second=True)]
        if service in ("postgres", "redis"):
            lines.insert(0, Line(f"Mounting volume on: {volume}", service, whole_second=True))
        return [*lines, Line(f"{service} is ready to accept connections", service)]

    def some(self) -> list[Line]:
        """Say a thing or two; now and then several on one stamp, as one flush writes them."""
        lines = [self.line()]
        while self.chance(0.2):
            lines.append(attrs.evolve(self.line(), tied=True, whole_second=False))
        return lines

    def burst(self) -> list[Line]:
        """Say much at once, at times more than Railway takes."""
        service = self.pick(REDEPLOYED)
        lines = [self.request(service) for _ in range(self.number(20, 120))]
        if self.chance(0.25):
            message = DROPPED.format(self.number(1, 900))
            lines.append(Line(message, service, severity="warn", whole_second=True))
        return lines

    def line(self) -> Line:
        speakers: tuple[tuple[Callable[[], Line], int], ...] = (
            (self.request, 30),
            (self.structured, 25),
            (self.job, 14),
            (self.database, 10),
            (self.cache, 8),
            (self.coloured, 5),
            (self.debug, 4),
            (self.trace, 2),
            (self.odd, 2),
        )
        (speak,) = self._random.choices([who for who, _ in speakers], [often for _, often in speakers])
        return speak()

    def request(self, service: str | None = None) -> Line:
        path = self.pick(_PATHS).format(self.number(1, 9999))
        status = self._random.choices((200, 201, 304, 404, 500), (80, 6, 6, 6, 2))[0]
        method = "POST" if status == 201 else "GET"  # noqa: PLR2004 - Created answers a POST
        took = round(self._random.lognormvariate(2.5, 0.8), 1)
        address = f"100.64.0.{self.number(2, 12)}"
        message = f'{address} - "{method} {path} HTTP/1.1" {status} {took}ms'
        return Line(message, service or self.pick(("api", "web")), "error" if status >= 500 else "info")  # noqa: PLR2004 - the servers' errors

    def structured(self) -> Line:
        order = self.number(10_000, 99_999)
        took = round(self._random.lognormvariate(3, 0.7), 2)
        attributes: dict[str, Any] = {
            "durationMs": took,
            "orderId": order,
            "requestId": f"{self._random.getrandbits(64):016x}",
            "user": {"id": self.number(1, 500), "plan": self.pick(("free", "pro"))},
        }
        if self.chance(0.1):
            attributes |= {"attempt": self.number(2, 4), "tags": ["retry", self.pick(_JOBS)]}
            return Line(f"payment for order {order} delayed", "api", "warn", attributes)
        return Line(f"order {order} accepted", "api", "info", attributes)

    def job(self) -> Line:
        name, number = self.pick(_JOBS), self.number(1, 99_999)
        attributes = {"job": name, "queue": "default"} if self.chance(0.5) else None
        return Line(f"[{name}] #{number} done in {self.number(3, 900)} ms", "worker", "info", attributes)

    def database(self) -> Line:
        if self.chance(0.3):
            statement = f"VACUUM (ANALYZE) orders_{self.number(1, 12)}"
            return Line(f"LOG:  duration: {self.number(200, 2000)}.118 ms  {statement}", "postgres", "warn")
        return Line(f"LOG:  checkpoint complete: wrote {self.number(1, 400)} buffers", "postgres", "error")

    def cache(self) -> Line:
        return Line(f"{self.number(50, 900)} changes in 60 seconds. Saving...", "redis")

    def coloured(self) -> Line:
        message = f"\x1b[32m✓\x1b[0m compiled \x1b[1m{self.pick(_PATHS)}\x1b[0m in {self.number(20, 900)}ms"
        return Line(message, "web")

    def debug(self) -> Line:
        return Line(f"cache miss key=product:{self.number(1, 9999)}", "api", "debug")

    def trace(self) -> Line:
        line, number = self.number(20, 300), self.number(1, 99_999)
        if self.chance(0.5):
            return Line(_TRACE.format(line=line, job=self.pick(_JOBS), number=number), "worker", "error")
        return Line(_NODE_TRACE.format(line=line), "web", "error")

    def odd(self) -> Line:
        if self.chance(0.5):
            return Line("", self.pick(REDEPLOYED))
        return Line("npm notice new minor version of npm available", "web", None)
