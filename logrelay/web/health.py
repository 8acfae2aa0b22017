"""/healthz, /readyz and /metrics. No secrets, and nothing that depends on Railway decides whether the process lives."""

from collections.abc import Callable, Mapping

from aiohttp import hdrs, web

from logrelay.relay.hub import Hubs
from logrelay.web import protocol
from logrelay.web.stream import Streams

Exposed = Callable[[str], tuple[str, bytes]]  # from an Accept header to content type and body


class Health:
    """Answers orchestrators (protocol.md section 6)."""

    def __init__(
        self,
        hubs: Hubs,
        streams: Streams,
        budget: Callable[[], Mapping[str, object]] | None = None,
        access: Callable[[], Mapping[str, object]] | None = None,
        metrics: Exposed | None = None,
    ) -> None:
        self._hubs = hubs
        self._streams = streams
        self._budget = budget
        self._access = access
        self._metrics = metrics
        self.started = False

    async def live(self, request: web.Request) -> web.Response:  # noqa: ARG002 every caller gets the same answer
        """`GET /healthz`: 200 while the event loop answers."""
        return _json(200, {"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:  # noqa: ARG002 as above
        """`GET /readyz`: 200, also when an upstream is away; 503 before the start is complete and while draining."""
        environments = {
            hub.environment_id: {
                "upstream": hub.upstream.describe(),
                "viewers": hub.viewers,
                "records": len(hub.history),
                "bytes": hub.history.bytes,
            }
            for hub in self._hubs
        }
        body: dict[str, object] = {"environments": environments}
        if self._budget is not None:
            body["budget"] = self._budget()
        access = {"state": "ok"} if self._access is None else self._access()
        if self._access is not None:
            body["access"] = access
        if self._streams.draining or not self.started:
            state = "draining" if self._streams.draining else "starting"
            return _json(503, {"state": state} | body)
        away = any(hub.upstream.state not in {"live", "connecting"} for hub in self._hubs)
        away = away or access["state"] != "ok"
        return _json(200, {"state": "degraded" if away else "ready"} | body)

    async def metrics(self, request: web.Request) -> web.Response:
        """`GET /metrics`: numbers for Prometheus, in the format that it asks for. 404 where none are kept."""
        if self._metrics is None:
            raise web.HTTPNotFound
        kind, body = self._metrics(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: kind})


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=protocol.encode(body), content_type="application/json")
