"""Crowds: who is up to date with the same view shares one position, joins it and leaves it without losing a line."""

import asyncio
import logging
from typing import Any

import attrs
import pytest
from web_harness import Make, Upstream, ids, lines, until

from logrelay.errors import Disconnect, Scope, UpstreamRefused
from logrelay.relay.filters import Filter
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Hub
from logrelay.web.audience import PAGES_AT_ONCE, Audience, Crowd, Position
from logrelay.web.frames import Form, Page, Pages, View
from logrelay.web.socket import SocketLimits
from logrelay.web.stream import StreamLimits

SLOW = StreamLimits(socket=SocketLimits(send_buffer=4096, write_timeout=30.0))


@attrs.define(eq=False)
class Viewer:
    """A member that writes down what it is given; `full` says when it takes nothing."""

    audience: Audience
    view: View
    position: Position = attrs.Factory(Position)
    crowd: Crowd | None = None
    full: bool = False
    broken: bool = False
    taken: list[Page] = attrs.Factory(list)
    heard: list[bytes] = attrs.Factory(list)
    ended: list[Disconnect] = attrs.Factory(list)

    def join(self) -> bool:
        crowd = self.audience.join(self, self.view, self.position)
        if crowd is not None:
            self.crowd, self.position = crowd, crowd.position
        return crowd is not None

    def take(self, page: Page) -> bool:
        if self.broken:
            raise RuntimeError("broken")
        if not self.full:
            self.taken.append(page)
        return not self.full

    def hear(self, ready: bytes) -> None:
        if self.broken:
            raise RuntimeError("broken")
        self.heard.append(ready)

    def fall_behind(self) -> None:
        assert self.crowd is not None
        self.audience.part(self, self.crowd)
        self.crowd, self.position = None, attrs.evolve(self.position)

    def end(self, end: Disconnect) -> None:
        self.ended.append(end)


class Watched:
    """A hub with its audience."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.hub = Hub("e1", bounds or Bounds(), Upstream())
        self.audience = Audience(self.hub)

    def viewer(self, search: str = "", form: Form = Form.SINGLE, **options: Any) -> Viewer:
        viewer = Viewer(self.audience, self.audience.view(Filter.parse(search=search), form), **options)
        self.audience.enter(viewer)
        viewer.position.number = self.hub.history.end
        return viewer

    async def publish(self, start: int, end: int) -> None:
        """Publish and let the bell ring."""
        self.hub.publish(lines(start, end))
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_equal_views_are_one_and_their_crowd_reads_once() -> None:
    watched = Watched()
    viewers = [watched.viewer("line") for _ in range(5)]
    other = watched.viewer("line", Form.BATCH)
    assert all(viewer.join() for viewer in [*viewers, other])

    await watched.publish(0, 3)

    assert len({viewer.view for viewer in viewers}) == 1
    assert len({id(viewer.position) for viewer in viewers}) == 1
    (page,) = viewers[0].taken
    assert all(viewer.taken == [page] and viewer.taken[0] is page for viewer in viewers)
    assert other.taken[0].frames != page.frames
    assert viewers[0].position == Position(3, page.last_id, page.last_ns)
    assert repr(watched.audience) == "<Audience of 6 in 2 crowds>"


async def test_a_filter_that_lets_nothing_through_moves_its_crowd_all_the_same() -> None:
    watched = Watched()
    viewer = watched.viewer("needle")
    assert viewer.join()

    await watched.publish(0, 3)

    assert viewer.taken == []
    assert viewer.position.number == 3
    assert viewer.position.last_id == ids(lines(2, 3))[0]


async def test_a_try_is_told_once_for_all_at_one_place_and_not_to_who_is_behind() -> None:
    watched = Watched()
    viewers = [watched.viewer() for _ in range(3)]
    quiet, slow, alone = watched.viewer("needle"), watched.viewer(full=True), watched.viewer()
    assert all(viewer.join() for viewer in [*viewers, quiet, slow])
    await watched.publish(0, 3)
    assert slow.crowd is None

    watched.hub.retrying(1, 5.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    (beat,) = viewers[0].heard
    assert all(viewer.heard == [beat] and viewer.heard[0] is beat for viewer in viewers)
    assert ids(lines(2, 3))[0].encode() in beat
    assert len(quiet.heard) == 1
    assert slow.heard == alone.heard == []


async def test_a_viewer_that_fails_to_hear_of_a_try_keeps_it_from_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = Watched()
    broken, sound = watched.viewer(broken=True), watched.viewer()
    assert broken.join()
    assert sound.join()

    with caplog.at_level(logging.CRITICAL, "logrelay.web.audience"):
        watched.hub.retrying(1, 5.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert len(sound.heard) == 1
    assert [end.error for end in broken.ended] == ["internal"]


async def test_who_takes_nothing_falls_behind_with_the_place_where_it_stopped() -> None:
    watched = Watched()
    slow, quick = watched.viewer(full=True), watched.viewer()
    assert slow.join()
    assert quick.join()

    await watched.publish(0, 3)

    assert slow.crowd is None
    assert (slow.position.number, quick.position.number) == (0, 3)
    assert not slow.join()  # not before it has caught up
    slow.position.number = 3
    assert slow.join()
    assert slow.crowd is quick.crowd


async def test_who_joins_while_the_last_ones_fall_behind_is_in_the_crowd_that_the_bell_moves() -> None:
    watched = Watched()
    slow, late = watched.viewer(full=True), watched.viewer()
    assert slow.join()
    watched.hub.publish(lines(0, 3))
    late.position.number = 3  # it has read ahead of the bell

    assert late.join()
    assert slow.crowd is None
    await watched.publish(3, 5)

    assert [page.sent for page in late.taken] == [2]
    assert repr(watched.audience) == "<Audience of 2 in 1 crowds>"


async def test_a_fault_of_one_member_ends_it_and_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    broken, sound = watched.viewer(broken=True), watched.viewer()
    assert broken.join()
    assert sound.join()

    await watched.publish(0, 3)

    assert [end.error for end in broken.ended] == ["internal"]
    assert sound.ended == []
    assert len(sound.taken) == 1
    assert "connection failed" in caplog.text


async def test_a_view_that_can_not_be_read_ends_its_members_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched()
    first, second = watched.viewer("first"), watched.viewer()
    assert first.join()
    assert second.join()
    read = Pages.read

    def broken(self: Pages, start: int, view: View) -> Page:
        if view is first.view:
            raise RuntimeError("broken")
        return read(self, start, view)

    monkeypatch.setattr(Pages, "read", broken)
    await watched.publish(0, 3)
    await asyncio.sleep(0)

    assert [end.error for end in first.ended] == ["internal"]
    assert len(second.taken) == 1
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


async def test_a_crowd_that_the_history_has_overrun_is_scattered() -> None:
    watched = Watched(Bounds(records=10, keep=1))
    viewers = [watched.viewer() for _ in range(2)]
    assert all(viewer.join() for viewer in viewers)

    await watched.publish(0, 100)

    assert all(viewer.crowd is None and viewer.position.number == 0 for viewer in viewers)
    assert repr(watched.audience) == "<Audience of 2 in 0 crowds>"


async def test_a_crowd_moves_a_few_pages_and_lets_others_have_their_turn() -> None:
    watched = Watched()
    viewer = watched.viewer("needle")
    assert viewer.join()
    watched.hub.publish(lines(0, 10_000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    moved = viewer.position.number
    assert 0 < moved <= PAGES_AT_ONCE * 1000
    assert not watched.viewer("needle").join()  # the crowd itself isn't up to date
    await until(lambda: viewer.position.number == 10_000)


async def test_a_refusal_ends_all_whether_in_a_crowd_or_not() -> None:
    watched = Watched()
    joined, alone = watched.viewer(), watched.viewer()
    assert joined.join()

    watched.hub.refused(UpstreamRefused("Not Authorized", Scope.ENVIRONMENT), 300.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [end.code for viewer in (joined, alone) for end in viewer.ended] == [4404, 4404]


async def test_the_last_one_to_leave_hears_no_bell_any_more() -> None:
    watched = Watched()
    viewer = watched.viewer()
    assert viewer.join()
    assert len(watched.hub._listeners) == 1

    viewer.fall_behind()
    watched.audience.leave(viewer)

    assert not watched.hub._listeners
    assert repr(watched.audience) == "<Audience of 0 in 0 crowds>"


@pytest.mark.parametrize("coalesce", [0.0, 0.2])
async def test_a_viewer_that_resumes_while_its_crowd_falls_behind_gets_every_line(
    make: Make, coalesce: float
) -> None:
    relay = await make(limits=SLOW)
    slow = await relay.raw(buffer=4096, query="?tail=0")
    assert (await slow.message())["message"] == "connected"
    await until(lambda: relay.client._crowd is not None)
    stuck = relay.client
    good = await relay.joined({"tail": 0})
    await good.say(type="pause")
    await good.status("paused")
    slow.stall()
    while not stuck._socket.full:
        stuck._socket.send(b'{"small":1}' * 1000)
    relay.hub._coalesce, relay.hub._rang = coalesce, asyncio.get_running_loop().time()
    relay.sink.publish(lines(0, 2))
    await good.say(type="resume")
    await good.status("resumed")

    assert await good.ids(2) == ids(lines(0, 2))
    relay.sink.publish(lines(2, 5))
    assert await good.ids(3) == ids(lines(2, 5))
    slow.leave()
    await good.leave()
