"""What `connected` and the heartbeats say of a hub, and how a filter is echoed. The same for all clients."""

from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.web import protocol
from logrelay.web.placing import Placing


class Greeting:
    """Describes a hub to its clients."""

    def __init__(self, *, version: str, heartbeat: float, max_connections: int) -> None:
        self._version = version
        self._limits = {"heartbeatSeconds": heartbeat, "maxConnections": max_connections}

    def filter(self, wanted: Filter, hub: Hub) -> dict[str, object]:
        """The filter as understood; service names that nobody knows are named."""
        echoed: dict[str, object] = {
            "services": list(wanted.services),
            "search": wanted.search,
            "severity": wanted.severity,
        }
        unknown = wanted.unknown(hub.description.services)
        return echoed | {"unknownServices": unknown} if unknown else echoed

    def connected(self, hub: Hub, placing: Placing, wanted: Filter) -> dict[str, object]:
        """`data` of the `connected` message. The filter may have been changed since the placing was asked for."""
        return {
            "environmentId": hub.environment_id,
            "environmentName": hub.description.name,
            "protocol": protocol.VERSION,
            "services": [{"id": identity, "name": name} for identity, name in hub.description.services],
            "filter": self.filter(wanted, hub),
            "resume": placing.outcome,
            "limits": self._limits,
            "upstream": hub.upstream.describe(),
            "viewers": hub.viewers,
            "version": self._version,
        }

    def heartbeat(self, hub: Hub, last_id: str | None) -> dict[str, object]:
        """`data` of a heartbeat; `last_id` is the position up to which the client has been served."""
        return {
            "lastId": last_id,
            "upstream": hub.upstream.describe(),
            "lastLogAt": None if hub.last_log_ns is None else timestamps.render(hub.last_log_ns),
            "viewers": hub.viewers,
        }
