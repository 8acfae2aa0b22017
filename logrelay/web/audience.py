"""Everyone who watches one hub. Who is up to date with the same view shares one position, which the hub's bell moves.

So a line costs a client one write, and a filter that lets nothing through costs its clients nothing at all.
"""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Iterable, Iterator
from typing import Protocol

import attrs

from logrelay.errors import Disconnect
from logrelay.relay.filters import Filter
from logrelay.relay.hub import Hub
from logrelay.web import frames
from logrelay.web.endings import failed, refused
from logrelay.web.frames import Form, Page, Pages, View
from logrelay.web.greeting import heartbeat

PAGES_AT_ONCE = 4  # of the history, before others get their turn

logger = logging.getLogger(__name__)


@attrs.define
class Position:
    """The number of the entry that is wanted next, and the last record before it, filtered out or not."""

    number: int = 0
    last_id: str | None = None
    last_ns: int | None = None

    def move(self, page: Page) -> None:
        """Go on to the end of a page."""
        self.number = page.end
        if page.last_id is not None:
            self.last_id, self.last_ns = page.last_id, page.last_ns


class Member(Protocol):
    """A client, as far as others deal with it."""

    def take(self, page: Page) -> bool:
        """Send the page that begins at the client's position, unless its socket is full; whether it was sent."""

    def hear(self, ready: bytes) -> None:
        """Send ready-made frames that aren't of the log, unless the client's socket is full."""

    def fall_behind(self) -> None:
        """The crowd goes on without this one, which has to move a position of its own from now on."""

    def end(self, end: Disconnect) -> None:
        """End the connection."""


class Crowd:
    """Clients with one view that are all at one position."""

    __slots__ = ("members", "position", "view")

    def __init__(self, view: View, position: Position) -> None:
        self.view = view
        self.position = position
        self.members: set[Member] = set()

    def __repr__(self) -> str:
        return f"<Crowd of {len(self.members)} at {self.position.number}>"

    def move(self, pages: Pages, end: int) -> None:
        """Move the position towards `end`, a few pages at most. Who can't keep up, falls behind."""
        position = self.position
        for _ in range(PAGES_AT_ONCE):
            if position.number >= end or not self.members:
                return
            try:
                page = pages.read(position.number, self.view)
            except IndexError:
                self.scatter()  # each tells its client what it has lost
                return
            if page.frames:
                self._give(page)
            position.move(page)

    def _give(self, page: Page) -> None:
        left: list[Member] = []
        for member in self.members:
            try:
                if not member.take(page):
                    left.append(member)
            except Exception:
                # No viewer hurts another: the rest get their page all the same.
                logger.exception("connection failed")
                member.end(failed())
        for member in left:
            member.fall_behind()

    def scatter(self) -> None:
        """Let everyone go on alone."""
        for member in tuple(self.members):
            member.fall_behind()


class Audience:
    """The clients of one hub, those in crowds and the others."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.pages = Pages(hub.history)
        self._clients: set[Member] = set()
        self._crowds: dict[View, Crowd] = {}
        self._views: weakref.WeakValueDictionary[tuple[Filter, Form], View] = weakref.WeakValueDictionary()
        self._waiting: set[Member] = set()  # for the upstream, and told so
        self._tries = 0  # of the hub's, those that were told
        self._again = False

    def __repr__(self) -> str:
        return f"<Audience of {len(self._clients)} in {len(self._crowds)} crowds>"

    def view(self, wanted: Filter, form: Form) -> View:
        """The view of this filter and form, the same one for all who want the same."""
        view = self._views.get((wanted, form))
        if view is None:
            view = self._views[wanted, form] = View(wanted, form)
        return view

    def enter(self, client: Member) -> None:
        """A client comes."""
        if not self._clients:
            self.hub.listen(self._heard)
            self._tries = self.hub.tries  # who comes is told of those before
        self._clients.add(client)

    def leave(self, client: Member) -> None:
        """A client goes; it is in no crowd any more."""
        self._clients.discard(client)
        if not self._clients:
            self.hub.unlisten(self._heard)

    @contextlib.contextmanager
    def waiting(self, client: Member) -> Iterator[None]:
        """The client has no place yet, and waits for the upstream while inside."""
        self._waiting.add(client)
        try:
            yield
        finally:
            self._waiting.discard(client)

    def join(self, client: Member, view: View, position: Position) -> Crowd | None:
        """Join those who are up to date, if the client is; None where it isn't, or the crowd isn't yet."""
        end = self.hub.history.end
        crowd = self._crowds.get(view)
        if crowd is None:
            crowd = self._crowds[view] = Crowd(view, attrs.evolve(position))
        else:
            crowd.move(self.pages, end)  # the bell may be still to come
        if not crowd.position.number == position.number == end:
            self._forget(crowd)
            return None
        crowd.members.add(client)
        self._crowds[view] = crowd  # moving may have emptied it, and so have it forgotten
        return crowd

    def part(self, client: Member, crowd: Crowd) -> None:
        """Leave a crowd, which goes on without the client."""
        crowd.members.discard(client)
        self._forget(crowd)

    def _forget(self, crowd: Crowd) -> None:
        if not crowd.members and self._crowds.get(crowd.view) is crowd:
            del self._crowds[crowd.view]

    def _heard(self) -> None:
        """The hub's bell."""
        if self.hub.refusal is not None:
            for client in tuple(self._clients):
                client.end(refused(self.hub.refusal))
            return
        end = self.hub.history.end
        for crowd in tuple(self._crowds.values()):
            try:
                crowd.move(self.pages, end)
            except Exception:
                logger.exception("connection failed")
                for member in tuple(crowd.members):
                    member.end(failed())
                continue
            if crowd.members and crowd.position.number < end:
                self._hear_again()
        if self._tries != self.hub.tries:
            self._tries = self.hub.tries
            self._tell_try()

    def _tell_try(self) -> None:
        """A heartbeat out of turn, made once for all at one place. Who pauses or is behind waits for its own."""
        self._tell(self._waiting, None)
        for crowd in tuple(self._crowds.values()):
            self._tell(crowd.members, crowd.position.last_id)

    def _tell(self, members: Iterable[Member], last_id: str | None) -> None:
        ready = frames.text(heartbeat(self.hub, last_id))
        for member in tuple(members):
            try:
                member.hear(ready)
            except Exception:
                logger.exception("connection failed")
                member.end(failed())

    def _hear_again(self) -> None:
        """Go on in the next turn of the loop, after others had theirs."""
        if not self._again:
            self._again = True
            asyncio.get_running_loop().call_soon(self._heard_again)

    def _heard_again(self) -> None:
        self._again = False
        self._heard()
