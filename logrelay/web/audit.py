"""The audit line of a stream: who has seen what, for how long, and how much. Never a credential, never a log's text."""

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from logrelay.errors import Disconnect
from logrelay.relay.filters import Filter
from logrelay.web.grants import Grant

logger = logging.getLogger(__name__)


class Watched(Protocol):
    """A client, as far as it is told of."""

    @property
    def filter(self) -> Filter:
        """Its filter at the end."""

    @property
    def services(self) -> Sequence[tuple[str, str]]:
        """Ids and names of the environment's services."""

    filters: int  # that it has had
    sent: int  # records
    lost: int  # records


class Audit:
    """Gathers what is told of one connection.

    What a caller sends is told only once it has been admitted: before, an environment's id may be anything, a secret in
    the wrong place too. For the same reason services that nobody knows are only counted, and a search is told as the
    number of its terms, unless `with_search`.
    """

    __slots__ = ("_began", "_with_search", "address", "known", "opened")

    def __init__(self, number: int, address: str, *, with_search: bool = False) -> None:
        self._began = time.monotonic()
        self._with_search = with_search
        self.address = address  # the caller's, as the proxies tell it
        self.known: dict[str, Any] = {"connection": number, "address": address}
        self.opened = False

    def admitted(self, environment_id: str, grant: Grant) -> None:
        """The caller may see this environment."""
        self.known |= {"environment": environment_id, "auth": grant.kind, "subject": grant.subject}
        if grant.ticket is not None:
            self.known["ticket"] = grant.ticket

    def open(self, clients: int) -> None:
        """The stream begins."""
        self.opened = True
        logger.info("stream opened", extra=self.known | {"clients": clients})

    def served(self, client: Watched) -> None:
        """The stream has been served, as this client."""
        wanted = client.filter
        unknown = wanted.unknown(client.services)
        self.known |= {
            "services": [name for name in wanted.services if name not in unknown],
            "unknownServices": len(unknown),
            "severity": wanted.severity,
            "search": wanted.search if self._with_search else wanted.terms,
            "filters": client.filters,
            "sent": client.sent,
            "lost": client.lost,
        }

    def closed(self, end: Disconnect, written: int) -> None:
        """The connection is over."""
        seconds = round(time.monotonic() - self._began, 3)
        about = {"code": int(end.code), "error": end.error, "bytes": written, "seconds": seconds}
        logger.info("stream closed", extra=self.known | about)
