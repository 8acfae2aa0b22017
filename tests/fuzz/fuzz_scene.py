"""A relay on loopback with a healthy neighbour in it, and what has to hold after each hostile peer."""

import asyncio
import contextlib
import gc
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import aiohttp
import attrs
import hypothesis
import web_harness
from aiohttp import web
from hypothesis import HealthCheck, Phase
from web_harness import ENV, Raw, Relay, line, until

from logrelay.web.answers import Runner

MARK = "zxfuzzxz"  # stands in what is sent, and nowhere in what is logged or answered
PATIENCE = 10.0  # seconds for what should be at once
WAITS = 60.0  # seconds for what a peer hasn't sent yet
CALM = dict.fromkeys(
    ("heartbeat", "ping", "silence"), 100_000.0
)  # seconds: nothing comes by itself but lines
_LOGGERS = ("logrelay", "aiohttp", "asyncio")
_TOO_LOUD = logging.WARNING
_QUICK = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


def examples(count: int, *, random: bool) -> hypothesis.settings:
    """Settings for so many examples: of chance, or always the same."""
    return hypothesis.settings(
        max_examples=count,
        derandomize=not random,
        deadline=None,
        database=None,
        print_blob=True,
        phases=_QUICK,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.function_scoped_fixture,
        ],
    )


class Listening(logging.Handler):
    """Keeps what was logged since it was last asked."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    @classmethod
    @contextlib.contextmanager
    def everywhere(cls) -> Iterator["Listening"]:
        """Listen to all that may speak of a connection; nobody else hears it, for it is a lot."""
        listening = cls()
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [(logger.level, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.addHandler(listening)
            logger.setLevel(logging.INFO)
            logger.propagate = False
        # It warns with the subprotocols that were sent, so the relay keeps it quiet (logrelay/logs.py).
        logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
        try:
            yield listening
        finally:
            for logger, (level, propagate) in zip(loggers, before, strict=True):
                logger.removeHandler(listening)
                logger.setLevel(level)
                logger.propagate = propagate

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def check(self) -> None:
        """Assert that nothing was a fault of the relay's, and that nothing repeats what was sent."""
        records, self.records = self.records, []
        for record in records:
            assert record.levelno < _TOO_LOUD, vars(record)
            assert record.exc_info is None, vars(record)
            assert MARK not in f"{record.getMessage()}{vars(record)}"


async def _start(relay: Relay, waits: float) -> None:
    """Listen, as the harness does, and wait so many seconds for what hostile peers never send."""
    # aiohttp waits for a body that was announced (lingering) even after its sender has left.
    limits = {"keepalive_timeout": waits, "lingering_time": waits}
    relay.runner = Runner(relay.app, access_log=None, shutdown_timeout=0.5, **limits)
    await relay.runner.setup()
    await web.TCPSite(relay.runner, "127.0.0.1", 0, backlog=1024).start()
    relay.port = relay.runner.addresses[0][1]


@attrs.define(eq=False)
class Scene:
    """The relay, its event loop, and the neighbour."""

    runner: asyncio.Runner
    relay: Relay
    neighbour: Raw
    listening: Listening
    numbers: Iterator[int] = attrs.Factory(itertools.count)
    written: list[str] = attrs.Factory(list)
    read: list[str] = attrs.Factory(list)
    tasks: int = 0  # when only the neighbour is there

    @classmethod
    @contextlib.contextmanager
    def opened(cls, waits: float = WAITS) -> Iterator["Scene"]:
        with Listening.everywhere() as listening, asyncio.Runner() as runner:
            scene = runner.run(cls._open(runner, listening, waits))
            try:
                yield scene
            finally:
                runner.run(scene._close())

    @classmethod
    async def _open(cls, runner: asyncio.Runner, listening: Listening, waits: float) -> "Scene":
        session = aiohttp.ClientSession()
        relay = web_harness.build(session, limits=web_harness.quick(**CALM))
        await _start(relay, waits)
        neighbour = await relay.raw(query="?tail=0")
        assert (await neighbour.message())["message"] == "connected"
        relay.sink.publish([line(number) for number in range(50)])
        for _ in range(50):
            await neighbour.frame()
        scene = cls(runner, relay, neighbour, listening)
        scene.tasks = len(asyncio.all_tasks()) - 1  # without this one
        return scene

    async def _close(self) -> None:
        self.neighbour.leave()
        await web_harness.stop(self.relay)
        await self.relay.session.close()

    def run(self, hostile: Coroutine[Any, Any, None]) -> None:
        """One hostile peer's visit; while it lasts the log goes on, and after it nothing may be left."""
        # Thousands of examples are a heap that takes 0.2 s to go through: long enough to look like a silent peer.
        gc.disable()
        try:
            self.runner.run(self._run(hostile))
        finally:
            gc.enable()

    async def _run(self, hostile: Coroutine[Any, Any, None]) -> None:
        self.write()
        async with asyncio.timeout(PATIENCE):
            await hostile
        self.write()
        await self._check_nothing_left()
        self.listening.check()
        await self.check_neighbour()

    def write(self) -> None:
        """One more line for everybody."""
        number = next(self.numbers)
        text = f"canary {number}"
        self.written.append(text)
        self.relay.sink.publish([line(1000 + number, text)])

    async def check_neighbour(self) -> None:
        """Assert that the neighbour has got every line so far, once and in order."""
        while len(self.read) < len(self.written):
            message = await self.neighbour.message()
            assert message["type"] == "log", message
            self.read.append(message["data"]["message"])
        assert self.read == self.written
        self.read.clear()
        self.written.clear()

    async def _check_nothing_left(self) -> None:
        relay = self.relay
        for what, left in self._left().items():
            with contextlib.suppress(TimeoutError):
                await until(lambda left=left: not left(), PATIENCE)
            assert not left(), f"left over: {left()} {what}"
        assert set(relay.upstreams) == {ENV}
        assert relay.upstream.runs == 1

    def _left(self) -> dict[str, Callable[[], int]]:
        """What there is beyond the neighbour, each as a count."""
        relay = self.relay
        assert relay.runner is not None
        server = relay.runner.server
        assert server is not None
        return {
            "clients": lambda: relay.streams.clients - 1,
            "places": lambda: relay.places.taken - 1,
            "viewers": lambda: relay.hub.viewers - 1,
            "connections": lambda: len(server.connections) - 1,
            "tasks": lambda: len(asyncio.all_tasks()) - 1 - self.tasks,
        }
