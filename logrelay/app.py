"""The composition root: Settings in, a `web.Application` out, and the life of the process around it."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Self

from aiohttp import web

from logrelay import __version__
from logrelay.errors import UpstreamError
from logrelay.railway.answers import QueryFailed
from logrelay.railway.backoff import Backoff
from logrelay.railway.budget import Budget
from logrelay.railway.directory import Directory
from logrelay.railway.ends import Ends
from logrelay.railway.feed import Feed
from logrelay.railway.gateway import Addresses, Credential, Gateway
from logrelay.railway.limits import FeedLimits
from logrelay.railway.transport import Timeouts
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Hubs
from logrelay.settings import Settings
from logrelay.web import routes
from logrelay.web.access import Environments, Origins, Places, is_loopback
from logrelay.web.answers import Runner
from logrelay.web.greeting import Greeting
from logrelay.web.health import Health
from logrelay.web.limits import ClientLimits
from logrelay.web.placing import ResumeLimits
from logrelay.web.socket import SocketLimits
from logrelay.web.stream import StreamLimits, Streams

logger = logging.getLogger(__name__)

_MIB = 1024 * 1024
_BASE_BYTES = 64 * _MIB  # the process at rest, roughly
_CLIENT_BYTES = 24 * 1024  # an idle client, roughly
_KEEPALIVE = 10.0  # seconds (faults.md C10)
_BACKLOG = 1024

GATEWAY = web.AppKey("gateway", Gateway)
HUBS = web.AppKey("hubs", Hubs)
STREAMS = web.AppKey("streams", Streams)
HEALTH = web.AppKey("health", Health)


def build(settings: Settings) -> web.Application:
    """The application, ready to be run; it opens nothing before it is started."""
    app = web.Application()
    gateway = make_gateway(settings)
    hubs = _hubs(settings, gateway)
    environments = _environments(settings)
    streams = Streams(
        hubs,
        origins=Origins(settings.allowed_origins, guard_host=is_loopback(settings.host)),
        environments=environments,
        places=Places(process=settings.max_connections, environment=settings.max_connections_per_environment),
        greeting=Greeting(
            version=__version__,
            heartbeat=settings.heartbeat_seconds,
            max_connections=settings.max_connections_per_environment,
        ),
        limits=_stream_limits(settings),
    )
    health = Health(
        hubs, streams, lambda: {"left": gateway.budget.left, "perHour": settings.queries_per_hour}
    )
    app[GATEWAY], app[HUBS], app[STREAMS], app[HEALTH] = gateway, hubs, streams, health
    routes.add_routes(app, streams, health, base_path=settings.base_path, origins=settings.allowed_origins)

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        async with gateway, hubs, _Background() as background:
            if environments.allowed is None and not environments.everything:
                background.start(_learn_environment(gateway, environments, settings))
            ceiling = _ceiling(settings)
            if ceiling is not None:
                background.start(_guard_memory(hubs, streams, ceiling))
            health.started = True
            yield

    app.cleanup_ctx.append(lifetime)
    return app


def make_gateway(settings: Settings) -> Gateway:
    """The way to Railway, as configured."""
    project = settings.api_token is None
    return Gateway(
        Credential(
            settings.token,
            project=project,
            path=settings.project_token_file if project else settings.api_token_file,
        ),
        Addresses(settings.railway_url, settings.websocket_url),
        budget=Budget(per_hour=settings.queries_per_hour, per_second=settings.queries_per_second),
        timeouts=Timeouts(
            opening=settings.open_seconds,
            ping=settings.upstream_ping_seconds,
            message=settings.message_seconds,
        ),
        query_timeout=settings.query_timeout_seconds,
        openings=settings.openings,
        max_message_bytes=settings.max_upstream_mb * _MIB,
        ca_file=settings.ca_file,
    )


def _hubs(settings: Settings, gateway: Gateway) -> Hubs:
    limits = FeedLimits(
        overlap=settings.overlap_seconds,
        remembered=settings.history_records,
        fill_records=settings.fill_records,
        fill_seconds=settings.fill_seconds,
        fill_patience=settings.fill_patience_seconds,
        names_patience=settings.names_patience_seconds,
        reread=settings.reread_seconds,
        reread_window=settings.reread_window_seconds,
        stands_after=settings.stands_seconds,
        refused_delay=settings.refused_seconds,
    )

    def make(environment_id: str) -> Feed:
        return Feed(
            gateway,
            environment_id,
            limits=limits,
            backoff=_backoff(settings),
            directory=Directory(gateway, environment_id, refresh_after=settings.names_seconds),
        )

    return Hubs(
        make,
        bounds=Bounds(
            records=settings.history_records,
            bytes=settings.history_mb * _MIB,
            seconds=settings.history_seconds,
        ),
        linger=settings.linger_seconds,
        coalesce=settings.coalesce_seconds,
        refusal_linger=settings.refused_seconds,
    )


def _backoff(settings: Settings) -> Backoff:
    return Backoff(
        first=settings.backoff_first_seconds,
        longest=settings.backoff_longest_seconds,
        flapping_window=settings.flapping_seconds,
    )


def _environments(settings: Settings) -> Environments:
    if settings.environments is None:
        return Environments()
    return Environments(frozenset(settings.environments), everything="*" in settings.environments)


def _stream_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        client=ClientLimits(
            heartbeat=settings.heartbeat_seconds, ping=settings.ping_seconds, silence=settings.silence_seconds
        ),
        socket=SocketLimits(
            write_timeout=settings.write_timeout_seconds, messages_per_second=settings.messages_per_second
        ),
        resume=ResumeLimits(
            seconds=settings.resume_seconds,
            records=settings.resume_records,
            retention=settings.retention_days * 86_400,
        ),
        flush=settings.flush_seconds,
    )


class _Background:
    """Tasks that live as long as the application."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _learn_environment(gateway: Gateway, environments: Environments, settings: Settings) -> None:
    """Ask which environment the project token is for, until Railway says so; refusals are final as a feed's are."""
    ends = Ends(_backoff(settings), refused_tries=3, broken_tries=5, refused_delay=settings.refused_seconds)
    while True:
        renewals = gateway.renewals
        try:
            own = await gateway.own_environment()
        except UpstreamError as error:
            reason = str(error)
            verdict = error.verdict if isinstance(error, QueryFailed) else Verdict(Kind.TRANSIENT, reason)
        else:
            environments.learn(own)
            return
        retry = ends.judge(verdict, time.monotonic(), gate=gateway.gate.wait)
        about = {"reason": reason, "delay": round(retry.delay, 3)}
        logger.warning("the token's environment is not known yet", extra=about)
        if retry.final:
            environments.refuse(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(retry.delay):
                await gateway.renewed(renewals)
                ends.renewed()


def _ceiling(settings: Settings) -> int | None:
    """Bytes that the process may take: as set, or the container's limit (cgroup 2), or none."""
    if settings.memory_mb is not None:
        return settings.memory_mb * _MIB
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


async def _guard_memory(hubs: Hubs, streams: Streams, ceiling: int) -> None:
    """Halve the histories at 80 % of the ceiling, refuse new clients at 90 % (faults.md P4)."""
    while True:
        taken = _BASE_BYTES + streams.clients * _CLIENT_BYTES + sum(hub.bytes for hub in hubs)
        streams.crowded = taken > 0.9 * ceiling
        if taken > 0.8 * ceiling:
            dropped = sum(hub.shrink(hub.bytes // 2) for hub in hubs)
            logger.warning("memory is short", extra={"bytes": taken, "ceiling": ceiling, "dropped": dropped})
        await asyncio.sleep(1.0)


class PortTaken(Exception):
    """The address can't be listened on."""


async def start(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Run the application on an address; returns its runner and the real port. Raises PortTaken."""
    runner = Runner(app, access_log=None, keepalive_timeout=_KEEPALIVE, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(f"can't listen on {host} port {port}: {os.strerror(error.errno or 0)}") from error
    return runner, int(runner.addresses[0][1])


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then end gracefully within ten seconds; a second signal ends at once."""
    app = build(settings)
    runner, port = await start(app, settings.host, settings.port)
    logger.info("serving", extra={"host": settings.host, "port": port, "version": __version__})
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    loop.add_signal_handler(signal.SIGHUP, app[GATEWAY].reread_credential)
    try:
        await stop.wait()
        logger.info("stopping", extra={"clients": app[STREAMS].clients})
        await app[STREAMS].drain()
    finally:
        await runner.cleanup()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
    logger.info("stopped")
    return 0
