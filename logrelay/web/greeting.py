"""What `connected` and the heartbeats say of a hub, and how a filter is echoed: as far as a client may see the hub."""

from logrelay.relay import timestamps
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.web import protocol
from logrelay.web.leases import Lease
from logrelay.web.placing import Placing


class Greeting:
    """Describes a hub to its clients."""

    def __init__(self, *, version: str, heartbeat: float, max_connections: int) -> None:
        self._version = version
        self._limits = {"heartbeatSeconds": heartbeat, "maxConnections": max_connections}

    def filter(self, wanted: Filter, hub: Hub, lease: Lease) -> dict[str, object]:
        """The filter as understood; service names that nobody knows, or that aren't for this client, are named."""
        echoed: dict[str, object] = {
            "services": list(wanted.services),
            "search": wanted.search,
            "severity": wanted.severity,
        }
        unknown = wanted.unknown(_seen(hub, lease))
        return echoed | {"unknownServices": unknown} if unknown else echoed

    def connected(self, hub: Hub, placing: Placing, wanted: Filter, lease: Lease) -> dict[str, object]:
        """`data` of the `connected` message. The filter may have been changed since the placing was asked for."""
        return {
            "environmentId": hub.environment_id,
            "environmentName": hub.description.name,
            "protocol": protocol.VERSION,
            "services": [{"id": identity, "name": name} for identity, name in _seen(hub, lease)],
            "filter": self.filter(wanted, hub, lease),
            "resume": placing.outcome,
            "limits": self._limits,
            "upstream": hub.upstream.describe(),
            "viewers": hub.viewers,
            "version": self._version,
            **standing(lease),
        }


def heartbeat(hub: Hub, last_id: str | None) -> bytes:
    """A heartbeat; `last_id` is the position up to which its clients have been served."""
    return protocol.heartbeat(
        {
            "lastId": last_id,
            "upstream": hub.upstream.describe(),
            "lastLogAt": None if hub.last_log_ns is None else timestamps.render(hub.last_log_ns),
            "viewers": hub.viewers,
        }
    )


def standing(lease: Lease) -> dict[str, object]:
    """How long the client's credential lasts, in seconds from now, and what to come back with; where there is that."""
    seconds, token = lease.grant.seconds, lease.reconnect_token()
    lasts: dict[str, object] = {} if seconds is None else {"expiresInSeconds": max(0, round(seconds, 3))}
    return lasts if token is None else {**lasts, "reconnectToken": token}


def _seen(hub: Hub, lease: Lease) -> list[tuple[str, str]]:
    """The services that a client may know of, as pairs of id and name."""
    return [
        (identity, name) for identity, name in hub.description.services if lease.scope.serves(identity, name)
    ]
