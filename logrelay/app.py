"""The composition root: Settings in, a `web.Application` out, and the life of the process around it."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Self

from aiohttp import web

from logrelay import __version__, descriptors, logs, memory
from logrelay.admission import learn_environment, make_door, make_leases, make_tickets_api
from logrelay.lag import Lag
from logrelay.metrics import Metrics, Sources
from logrelay.railway.backoff import Backoff
from logrelay.railway.budget import Budget
from logrelay.railway.catalogue import Catalogue
from logrelay.railway.directory import Directory
from logrelay.railway.ends import Ends
from logrelay.railway.feed import Feed
from logrelay.railway.gateway import Addresses, Credential, Gateway
from logrelay.railway.limits import FeedLimits
from logrelay.railway.transport import Timeouts
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Hubs
from logrelay.relay.redaction import Redactor
from logrelay.settings import Settings
from logrelay.web import routes
from logrelay.web.answers import Runner
from logrelay.web.environments_api import EnvironmentsApi
from logrelay.web.greeting import Greeting
from logrelay.web.health import Health
from logrelay.web.leases import Leases
from logrelay.web.limits import ClientLimits
from logrelay.web.page import Page
from logrelay.web.placing import ResumeLimits
from logrelay.web.socket import SocketLimits
from logrelay.web.stream import StreamLimits, Streams

logger = logging.getLogger(__name__)

_MIB = 1024 * 1024
_KEEPALIVE = 10.0  # seconds (faults.md C10)
_LINGERING = 1.0  # seconds for a request's body that nobody reads
_BACKLOG = 1024  # connections that may wait in the kernel
_ACCEPTED = 8  # of them in a turn of the event loop

GATEWAY = web.AppKey("gateway", Gateway)
HUBS = web.AppKey("hubs", Hubs)
STREAMS = web.AppKey("streams", Streams)
HEALTH = web.AppKey("health", Health)
LEASES = web.AppKey("leases", Leases)


def build(settings: Settings) -> web.Application:
    """The application, ready to be run; it opens nothing before it is started."""
    app = web.Application()
    gateway = make_gateway(settings)
    redactor = _redactor(settings)
    hubs = _hubs(settings, gateway, redactor)
    door = make_door(settings)
    leases = make_leases(door.access)
    streams = Streams(
        hubs,
        door,
        leases,
        greeting=Greeting(
            version=__version__,
            heartbeat=settings.heartbeat_seconds,
            max_connections=settings.max_connections_per_environment,
        ),
        limits=_stream_limits(settings, gateway.budget),
        audit_search=settings.access.audit_search,
    )
    lag = Lag()
    health = Health(
        hubs,
        streams,
        lambda: {"left": gateway.budget.left, "perHour": settings.queries_per_hour},
        door.access.describe,
        metrics=Metrics(
            Sources(hubs, gateway, streams.counts, lag, logs.dropped, lambda: redactor.counts)
        ).exposed,
    )
    app[GATEWAY], app[HUBS], app[STREAMS], app[HEALTH], app[LEASES] = gateway, hubs, streams, health, leases
    routes.add_routes(
        app,
        streams,
        health,
        base_path=settings.base_path,
        origins=settings.allowed_origins,
        tickets=make_tickets_api(door, settings.base_path),
        environments=EnvironmentsApi(door, Catalogue(gateway)),
        page=Page(proxies=door.proxies) if settings.page else None,
    )

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        async with gateway, hubs, door.access, _Background() as background:
            background.start(lag.watch())
            background.start(memory.tidy())
            if not door.access.environments.known:
                background.start(learn_environment(gateway, door.access.environments, _ends(settings)))
            ceiling = memory.ceiling(settings.memory_mb)
            if ceiling is not None:
                background.start(memory.Guard(hubs, streams, ceiling).run())
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


def _redactor(settings: Settings) -> Redactor:
    if not settings.redact:
        return Redactor(shapes=False)
    return Redactor(pairs=settings.redact_pairs, rules=settings.redact_rules)


def _hubs(settings: Settings, gateway: Gateway, redactor: Redactor) -> Hubs:
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
            redactor=redactor,
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


def _ends(settings: Settings) -> Ends:
    return Ends(_backoff(settings), refused_tries=3, broken_tries=5, refused_delay=settings.refused_seconds)


def _stream_limits(settings: Settings, budget: Budget) -> StreamLimits:
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
            plenty=lambda: budget.plenty,
        ),
        auth=settings.access.auth_seconds,
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


class PortTaken(Exception):
    """The address can't be listened on."""


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens on the address. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::")


async def start(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Run the application on an address; returns its runner and the real port. Raises PortTaken."""
    runner = Runner(
        app,
        access_log=None,
        keepalive_timeout=_KEEPALIVE,
        lingering_time=_LINGERING,
        shutdown_timeout=1.0,
        auto_decompress=False,  # nobody has to send us anything compressed, and a bomb would be inflated
    )
    await runner.setup()
    try:
        listening = _listening(host, port)
        # asyncio accepts as many in a turn as the backlog is long. Where no descriptor is free it fails as often, each
        # time with a line and a timer that does the same again (CPython 3.11): so few in a turn, which are enough for
        # a crowd that comes back at once; and the kernel's queue is made long again afterwards.
        await web.SockSite(runner, listening, backlog=_ACCEPTED).start()
        listening.listen(_BACKLOG)
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(f"can't listen on {host} port {port}: {os.strerror(error.errno or 0)}") from error
    return runner, int(runner.addresses[0][1])


def _reread(app: web.Application) -> None:
    """Read again what stands in files: Railway's token, and who may connect."""
    app[GATEWAY].reread_credential()
    app[LEASES].reload()


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then end gracefully within ten seconds; a second signal ends at once."""
    descriptors.raise_limit()
    if descriptors.room() < settings.max_connections:
        about = {"connections": descriptors.room()}
        logger.warning("file descriptors are enough for fewer connections than may be", extra=about)
    app = build(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    # Before anything listens: whoever is told that the relay serves may send a signal at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    loop.add_signal_handler(signal.SIGHUP, _reread, app)
    try:
        await _serve(app, settings, stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
    logger.info("stopped")
    return 0


async def _serve(app: web.Application, settings: Settings, stop: asyncio.Event) -> None:
    runner, port = await start(app, settings.host, settings.port)
    logger.info("serving", extra={"host": settings.host, "port": port, "version": __version__})
    try:
        await stop.wait()
        logger.info("stopping", extra={"clients": app[STREAMS].clients})
        await app[STREAMS].drain()
    finally:
        await runner.cleanup()
