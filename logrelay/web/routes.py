"""The table of routes, and which origins may read the HTTP ones."""

import aiohttp_cors
from aiohttp import web

from logrelay.web import answers
from logrelay.web.environments_api import EnvironmentsApi
from logrelay.web.health import Health
from logrelay.web.page import Page
from logrelay.web.stream import Streams
from logrelay.web.tickets_api import TicketsApi


def add_routes(
    app: web.Application,
    streams: Streams,
    health: Health,
    *,
    base_path: str,
    origins: tuple[str, ...],
    tickets: TicketsApi | None = None,
    environments: EnvironmentsApi | None = None,
    page: Page | None = None,
) -> None:
    """Put every route into the application.

    The stream checks its origin itself, because CORS does not apply to WebSockets (libraries.md 4.4). The health routes
    stand at the root also where the API lives under a base path, for orchestrators that know no such thing.
    """
    app.router.add_get(
        f"{base_path}/api/environments/{{environment_id}}/logs/stream", streams.handle, allow_head=False
    )
    paths = dict.fromkeys(("", base_path))
    readable = [
        app.router.add_route(method, f"{path}/{name}", handler)
        for path in paths
        for name, handler in (("healthz", health.live), ("readyz", health.ready))
        for method in ("GET", "HEAD")  # some probes want no body
    ]
    for path in paths:
        for method in ("GET", "HEAD"):  # no other origin's page has any business with these
            app.router.add_route(method, f"{path}/metrics", health.metrics)
    if tickets is not None:
        readable += tickets.add_routes(app)
    if environments is not None:
        readable += environments.add_routes(app, base_path)
    options = aiohttp_cors.ResourceOptions(allow_headers="*")  # type: ignore[no-untyped-call] # it has no types
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(origins, options))
    for route in readable:
        cors.add(route)
    app.middlewares.append(answers.plain_errors)
    app.on_response_prepare.append(answers.finish)
    if page is not None:  # after what is said of every answer, because files may be kept
        for route in page.add_routes(app, base_path):
            cors.add(route)

    async def end(_: web.Application) -> None:
        await streams.drain()

    # Whoever runs the application may end it without a word before: streams are told all the same.
    app.on_shutdown.append(end)
