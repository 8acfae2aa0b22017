"""Hubs: first in starts, last out stops, and nobody hangs."""

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import Callable

import pytest
from relay_making import BASE, DEADLINE, SECOND, ScriptedUpstream, heard_by, held, log, logs

from logrelay.errors import Scope, UpstreamRefused
from logrelay.relay.history import Bounds
from logrelay.relay.hub import Description, Hub, Hubs
from logrelay.relay.records import Notice
from logrelay.relay.upstream import Sink


class Made:
    """Makes upstreams and remembers them."""

    def __init__(self) -> None:
        self.upstreams: list[ScriptedUpstream] = []
        self.environments: list[str] = []

    def __call__(self, environment_id: str) -> ScriptedUpstream:
        self.environments.append(environment_id)
        self.upstreams.append(ScriptedUpstream())
        return self.upstreams[-1]

    async def sink(self, place: int = -1) -> Sink:
        async with asyncio.timeout(DEADLINE):
            return await self.upstreams[place].sink


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not what():
            await asyncio.sleep(0)


async def left(made: Made, place: int = 0) -> None:
    """Wait until an upstream has been left."""
    async with asyncio.timeout(DEADLINE):
        await made.upstreams[place].cancelled.wait()


# -- life ----------------------------------------------------------------------------------------------------


async def test_the_first_client_starts_the_upstream_and_all_others_share_it() -> None:
    made = Made()
    async with Hubs(made) as hubs:
        assert repr(hubs) == "<Hubs 0>"
        assert hubs.get("e1") is None
        async with hubs.joined("e1") as first, hubs.joined("e1") as second, hubs.joined("e2") as other:
            assert first is second
            assert first is not other
            assert hubs.get("e1") is first
            assert set(hubs) == {first, other}
            assert (first.viewers, other.viewers) == (2, 1)
            assert made.environments == ["e1", "e2"]
            await made.sink(0)
            assert repr(first) == "<Hub e1 connecting <History 0..0 0 bytes> 2 viewers>"
        assert first.viewers == 0
        assert made.upstreams[0].running
    assert not made.upstreams[0].running
    assert list(hubs) == []


async def test_a_thousand_clients_cost_one_upstream() -> None:
    made = Made()
    async with Hubs(made, linger=0.0) as hubs:
        for _ in range(1000):
            async with hubs.joined("e1"):
                pass
        assert made.environments == ["e1"]


async def test_after_the_last_client_and_the_linger_nothing_is_left_behind() -> None:
    made = Made()
    tasks = asyncio.all_tasks()
    async with Hubs(made, linger=0.001) as hubs:
        async with hubs.joined("e1") as hub:
            sink = await made.sink()
            sink.publish(logs(1, 2, 3))
        forgotten = weakref.ref(hub)
        history = weakref.ref(hub.history)
        del hub, sink

        await left(made)
        await until(lambda: asyncio.all_tasks() == tasks)
        made.upstreams.clear()

        assert hubs.get("e1") is None
        gc.collect()
        assert forgotten() is None
        assert history() is None


@pytest.mark.looptime
async def test_who_comes_back_within_the_linger_finds_the_same_hub() -> None:
    made = Made()
    async with Hubs(made, linger=30.0) as hubs:
        async with hubs.joined("e1") as first:
            (await made.sink()).publish(logs(1))

        for _ in range(3):
            await asyncio.sleep(29.9)
            async with hubs.joined("e1") as again:
                assert again is first
                assert len(again.history) == 1
        await asyncio.sleep(29.9)
        assert hubs.get("e1") is first
        await asyncio.sleep(0.2)
        assert hubs.get("e1") is None
        async with hubs.joined("e1") as anew:
            assert anew is not first
            assert len(anew.history) == 0
    assert made.environments == ["e1", "e1"]


@pytest.mark.looptime
async def test_a_client_that_stays_keeps_the_hub_whoever_else_leaves() -> None:
    made = Made()
    async with Hubs(made, linger=1.0) as hubs, hubs.joined("e1") as hub:
        async with hubs.joined("e1"):
            pass
        await asyncio.sleep(100.0)
        assert hubs.get("e1") is hub
        assert made.upstreams[0].running


async def fail_inside(hubs: Hubs, made: Made) -> None:
    async with hubs.joined("e1"):
        await made.sink()
        raise ZeroDivisionError


async def test_a_client_that_fails_leaves_like_any_other() -> None:
    made = Made()
    async with Hubs(made, linger=0.001) as hubs:
        with pytest.raises(ZeroDivisionError):
            await fail_inside(hubs, made)
        await left(made)
        assert hubs.get("e1") is None


async def test_closing_stops_every_hub_also_those_with_viewers_and_those_that_linger() -> None:
    made = Made()
    hubs = Hubs(made, linger=1000.0)
    async with hubs.joined("e1"):
        await made.sink()
    async with hubs.joined("e2") as hub:
        await made.sink()

        await hubs.close()

        assert [upstream.running for upstream in made.upstreams] == [False, False]
        assert hub.viewers == 1
    assert hub.viewers == 0
    await hubs.close()


async def test_an_upstream_that_cannot_be_made_leaves_nothing_behind() -> None:
    def broken(environment_id: str) -> ScriptedUpstream:
        raise ZeroDivisionError(environment_id)

    async with Hubs(broken) as hubs:
        with pytest.raises(ZeroDivisionError):
            async with hubs.joined("e1"):
                pass

        assert list(hubs) == []


@pytest.mark.looptime
async def test_a_failed_hub_that_cannot_be_made_anew_is_forgotten_all_the_same() -> None:
    made = Made()

    def once(environment_id: str) -> ScriptedUpstream:
        if made.upstreams:
            raise ZeroDivisionError
        return made(environment_id)

    async with Hubs(once, linger=10.0, failure_delay=1.0) as hubs:
        async with hubs.joined("e1"):
            made.upstreams[0].end.set_result(None)
            await asyncio.sleep(2.0)
        with pytest.raises(ZeroDivisionError):
            async with hubs.joined("e1"):
                pass

        await asyncio.sleep(10.0)

        assert hubs.get("e1") is None


@pytest.mark.looptime
async def test_an_upstream_that_does_not_end_cannot_hold_up_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    over = asyncio.Event()

    class Stubborn(ScriptedUpstream):
        async def run(self, sink: Sink) -> None:
            self.sink.set_result(sink)
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

    hub = Hub("e1", Bounds(), Stubborn())
    hub.start()
    await asyncio.sleep(0)

    async with asyncio.timeout(10.0):
        await hub.stop()

    assert "upstream does not end" in caplog.text
    over.set()
    await until(lambda: hub.failed)


async def test_a_hub_that_never_started_can_be_stopped() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())

    await hub.stop()

    assert not hub.failed


async def test_an_upstream_that_fails_while_it_is_left_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(ScriptedUpstream):
        async def run(self, sink: Sink) -> None:
            try:
                await super().run(sink)
            finally:
                raise ZeroDivisionError

    hub = Hub("e1", Bounds(), Clumsy())
    hub.start()
    await asyncio.sleep(0)

    await hub.stop()

    assert hub.refusal is None
    assert caplog.text == ""


# -- what the upstream delivers ------------------------------------------------------------------------------


async def test_what_is_delivered_stands_in_the_history_in_order() -> None:
    made = Made()
    async with Hubs(made, bounds=Bounds(records=4)) as hubs, hubs.joined("e1") as hub:
        sink = await made.sink()
        seed, live = logs(1, 2), [log("live", BASE + 3)]

        sink.seed(seed, BASE)
        assert hub.last_log_ns == BASE + 2
        sink.publish(live)
        sink.announce("reconnecting", {"reason": "lost"})
        sink.publish([])

        assert held(hub.history)[:3] == [*seed, *live]
        said = held(hub.history)[3]
        assert isinstance(said, Notice)
        assert (said.message, said.data) == ("reconnecting", {"reason": "lost"})
        assert hub.history.floor_ns == BASE
        assert hub.history.seeded == 2
        assert hub.last_log_ns is not None


async def test_a_seed_of_nothing_is_one_too() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())

    hub.seed([], None)

    assert len(hub.history) == 0
    assert hub.history.reaches(0)


async def test_names_and_frames_are_noted() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    assert hub.description == Description(None, ())

    hub.describe(Description("production", (("s1", "api"),)))
    hub.frame()

    assert hub.description.name == "production"
    assert "lastFrameAt" in hub.upstream.describe()


async def test_the_past_is_the_upstreams() -> None:
    upstream = ScriptedUpstream()
    hub = Hub("e1", Bounds(), upstream)

    pages = [page async for page in hub.past(BASE, BASE + SECOND)]

    assert pages == [[log("old", BASE)]]
    assert upstream.asked == [(BASE, BASE + SECOND)]


async def test_the_state_of_the_upstream_is_told_as_it_changes() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    assert hub.upstream.describe() == {"state": "connecting"}

    hub.retrying(1, 0.5)
    assert hub.upstream.describe().keys() == {"state", "attempt", "retryAt"}
    assert hub.upstream.state == "connecting"
    hub.stands()
    assert hub.upstream.describe() == {"state": "live"}
    hub.retrying(2, 1.0)
    assert (hub.upstream.state, hub.upstream.describe()["attempt"]) == ("reconnecting", 2)
    hub.stands(degraded=True)
    assert hub.upstream.describe() == {"state": "degraded"}
    hub.refused(UpstreamRefused("no"), 300.0)
    assert hub.upstream.describe().keys() == {"state", "retryAt"}
    assert hub.upstream.state == "refused"
    hub.retrying(1, 1.0)
    assert hub.upstream.state == "connecting"


# -- bells ---------------------------------------------------------------------------------------------------


async def test_a_bell_rings_once_for_all_that_came_in_one_turn_of_the_loop() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    heard: list[int] = []

    with heard_by(hub, lambda: heard.append(hub.history.end)):
        hub.publish(logs(1, 2))
        hub.announce("live", {})
        hub.publish([log("more", BASE + 9)])
        assert heard == []
        await until(lambda: bool(heard))
        assert heard == [4]

        hub.publish([log("again", BASE + 10)])
        await until(lambda: len(heard) == 2)
        assert heard == [4, 5]
    hub.publish([log("unheard", BASE + 11)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard == [4, 5]


async def test_what_brings_nothing_rings_no_bell() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    heard: list[int] = []

    with heard_by(hub, lambda: heard.append(1)):
        hub.publish([])
        hub.seed([], None)
        hub.frame()
        hub.describe(Description("x"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert heard == []


async def test_a_listener_that_fails_takes_the_bell_from_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    heard: list[int] = []

    def broken() -> None:
        raise ZeroDivisionError

    with (
        heard_by(hub, lambda: heard.append(1)),
        heard_by(hub, broken),
        heard_by(hub, lambda: heard.append(2)),
    ):
        hub.publish(logs(1))
        await until(lambda: len(heard) == 2)

    assert sorted(heard) == [1, 2]
    assert "listener failed" in caplog.text


async def test_who_leaves_in_the_turn_of_the_bell_is_not_called_any_more() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    heard: list[str] = []
    doors = {"a": contextlib.ExitStack(), "b": contextlib.ExitStack()}

    def listener(name: str, other: str) -> Callable[[], None]:
        def called() -> None:
            heard.append(name)
            doors[other].close()

        return called

    doors["a"].enter_context(heard_by(hub, listener("a", "b")))
    doors["b"].enter_context(heard_by(hub, listener("b", "a")))
    hub.publish(logs(1))
    await until(lambda: bool(heard))

    assert len(heard) == 1


@pytest.mark.looptime
async def test_bells_may_be_kept_apart_but_the_first_after_a_pause_rings_at_once() -> None:
    loop = asyncio.get_running_loop()
    hub = Hub("e1", Bounds(), ScriptedUpstream(), coalesce=0.25)
    heard: list[tuple[float, int]] = []
    began = loop.time()

    with heard_by(hub, lambda: heard.append((loop.time() - began, hub.history.end))):
        for n in range(10):
            hub.publish([log("line", BASE + n)])
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)
        hub.publish([log("line", BASE + 99)])
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    times = [round(at, 3) for at, _ in heard]
    assert times == [0.0, 0.25, 0.5, 0.75, 1.0, 2.0]
    assert [end for _, end in heard] == [1, 3, 5, 8, 10, 11]


# -- settling and refusals -----------------------------------------------------------------------------------


async def test_clients_wait_until_the_upstream_stands_or_their_patience_ends() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())

    assert not await hub.settled(0.001)
    waiting = asyncio.create_task(hub.settled())
    await asyncio.sleep(0)
    assert not waiting.done()
    hub.stands()

    async with asyncio.timeout(DEADLINE):
        assert await waiting
        assert await hub.settled(0.0)
    assert hub.refusal is None


async def test_a_refusal_is_heard_by_all_and_forgotten_when_the_upstream_stands() -> None:
    hub = Hub("e1", Bounds(), ScriptedUpstream())
    refusal = UpstreamRefused("Not Authorized", Scope.ENVIRONMENT)
    heard: list[UpstreamRefused | None] = []

    with heard_by(hub, lambda: heard.append(hub.refusal)):
        hub.refused(refusal, 300.0)
        async with asyncio.timeout(DEADLINE):
            assert await hub.settled()
        await until(lambda: bool(heard))

    assert heard == [refusal]
    assert 299.0 < hub.wait <= 300.0
    hub.stands()
    assert hub.refusal is None
    assert hub.wait == 0.0


@pytest.mark.looptime
async def test_a_refused_upstream_is_kept_until_its_next_try_so_that_nobody_hurries_it() -> None:
    made = Made()
    async with Hubs(made, linger=1.0, refusal_linger=300.0) as hubs:
        async with hubs.joined("e1") as hub:
            (await made.sink()).refused(UpstreamRefused("no"), 200.0)
        await asyncio.sleep(199.0)
        async with hubs.joined("e1") as again:
            assert again is hub
            assert again.refusal is not None
        await asyncio.sleep(1.5)
        assert hubs.get("e1") is None
    assert made.environments == ["e1"]


@pytest.mark.looptime
async def test_a_refused_upstream_is_kept_no_longer_than_the_limit() -> None:
    made = Made()
    async with Hubs(made, linger=1.0, refusal_linger=10.0) as hubs:
        async with hubs.joined("e1"):
            (await made.sink()).refused(UpstreamRefused("no"), 1e6)
        await asyncio.sleep(10.1)
        assert hubs.get("e1") is None


class Failure:
    """Ways in which an upstream ends although it never should."""

    @staticmethod
    def raises(end: asyncio.Future[None]) -> None:
        end.set_exception(ZeroDivisionError("a fault"))

    @staticmethod
    def returns(end: asyncio.Future[None]) -> None:
        end.set_result(None)

    @staticmethod
    def is_cancelled(end: asyncio.Future[None]) -> None:
        end.cancel()


@pytest.mark.looptime
@pytest.mark.parametrize("failure", [Failure.raises, Failure.returns, Failure.is_cancelled])
async def test_an_upstream_that_ends_hangs_nobody_and_is_made_anew_after_a_while(
    failure: Callable[[asyncio.Future[None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    made = Made()
    caplog.set_level(logging.ERROR)
    async with Hubs(made, linger=1.0, failure_delay=30.0) as hubs:
        async with hubs.joined("e1") as hub:
            await made.sink()
            heard: list[bool] = []
            with heard_by(hub, lambda: heard.append(hub.failed)):
                failure(made.upstreams[0].end)

                assert await hub.settled(DEADLINE)
                await until(lambda: bool(heard))
            assert hub.refusal is not None
            assert hub.refusal.scope is Scope.CONFIGURATION
            assert "fault" not in str(hub.refusal)
            assert hub.upstream.state == "refused"
            assert caplog.text.count("upstream failed") == 1
            # Whoever comes at once is refused at once, and Railway isn't asked again for each of them.
            for _ in range(10):
                async with hubs.joined("e1") as again:
                    assert again is hub
            await asyncio.sleep(30.1)
            async with hubs.joined("e1") as anew:
                assert anew is not hub
                assert anew.refusal is None
                assert hub.viewers == 1
        assert hubs.get("e1") is anew
    assert made.environments == ["e1", "e1"]
    assert not made.upstreams[1].running


@pytest.mark.looptime
async def test_a_failed_hub_that_all_have_left_is_forgotten() -> None:
    made = Made()
    async with Hubs(made, linger=1.0, failure_delay=5.0) as hubs:
        async with hubs.joined("e1") as hub:
            await made.sink()
            made.upstreams[0].end.set_exception(ZeroDivisionError())
            await hub.settled()
        await asyncio.sleep(4.0)
        assert hubs.get("e1") is hub
        await asyncio.sleep(2.0)
        assert hubs.get("e1") is None
