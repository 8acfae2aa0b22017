"""Grants of live connections, over real sockets, by a guard that says what the test wants."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
import attrs
import pytest
from web_harness import ENV, SERVICES, Make, Peer, Relay, line, quick, until

from logrelay.errors import Disconnect
from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.web import endings
from logrelay.web.access import Access
from logrelay.web.environments import Environments
from logrelay.web.grants import Credential, Grant
from logrelay.web.leases import Leases
from logrelay.web.places import Places
from logrelay.web.stream import StreamLimits

OPEN = Grant("fake", subject="me")


@attrs.define
class FakeGuard:
    """Grants what `answers` has for a token, and counts the questions."""

    answers: dict[str, Grant | Disconnect]
    recheck: float | None = None
    mode: str = "fake"
    asked: int = 0
    hold: asyncio.Event | None = None

    async def grant(self, credential: Credential, environment_id: str) -> Grant:  # noqa: ARG002 answers by token alone
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers.get(credential.token) or endings.unauthenticated()
        if isinstance(answer, Disconnect):
            raise attrs.evolve(answer)
        return answer

    def describe(self) -> Mapping[str, object]:
        return {"state": "ok"}

    def reload(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


def bearer(token: str = "t") -> dict[str, str]:  # noqa: S107 a made-up one
    return {"Authorization": f"Bearer {token}"}


def lasting(seconds: float, **more: Any) -> Grant:
    return attrs.evolve(OPEN, until=time.monotonic() + seconds, **more)


async def ended(peer: Peer, error: str, code: int) -> None:
    await peer.error(error)
    assert await peer.close_code() == code


async def test_c20_a_stream_ends_when_its_credential_does_and_nothing_comes_after(make: Make) -> None:
    relay = await make(guard=FakeGuard({"t": lasting(0.2)}))
    peer = await relay.connect(headers=bearer())
    said = await peer.status("connected")
    assert 0 < said["expiresInSeconds"] <= 0.2

    await ended(peer, "expired", 4401)

    await relay.empty()
    relay.sink.publish([line(1)])
    assert (await peer.frame()).type.name == "CLOSED"


async def test_c20_a_credential_that_is_over_when_it_comes_lets_nobody_in(make: Make) -> None:
    relay = await make(guard=FakeGuard({"t": lasting(-1)}))

    await ended(await relay.connect(headers=bearer()), "expired", 4401)

    assert relay.upstreams == {}


async def test_an_auth_message_renews_in_place(make: Make) -> None:
    guard = FakeGuard({"short": lasting(0.3), "long": lasting(60)})
    relay = await make(guard=guard)
    peer = await relay.joined(headers=bearer("short"))

    await peer.say(type="auth", token="long")
    said = await peer.status("authenticated")
    assert 50 < said["expiresInSeconds"] <= 60
    await asyncio.wait_for(_past(guard.answers["short"]), 2)

    relay.sink.publish([line(1)])
    assert len(await peer.ids(1)) == 1
    await peer.leave()


async def _past(grant: Any) -> None:
    while time.monotonic() < grant.until + 0.05:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (endings.unauthenticated(), "unauthenticated", 4401),
        (endings.not_allowed(), "not_allowed", 4403),
        (endings.undecided(), "internal", 1011),
        (lasting(-1), "expired", 4401),
        (Grant("fake", subject="me", environments=frozenset({"env-2"})), "not_allowed", 4403),
        (Grant("fake", subject="somebody else"), "unauthenticated", 4401),
    ],
)
async def test_a_renewal_that_is_no_good_ends_the_stream(
    make: Make, answer: Any, error: str, code: int
) -> None:
    relay = await make(guard=FakeGuard({"t": OPEN, "new": answer}))
    peer = await relay.joined(headers=bearer())

    await peer.say(type="auth", token="new")

    await ended(peer, error, code)
    await relay.empty()


async def test_a_renewal_may_narrow_or_widen_what_is_seen(make: Make) -> None:
    narrow = attrs.evolve(OPEN, scope=Filter.of_services(["api"]))
    relay = await make(guard=FakeGuard({"all": OPEN, "api": narrow}))
    peer = await relay.joined(headers=bearer("all"))
    relay.sink.publish([line(1, service="web"), line(2)])
    await peer.ids(2)

    await peer.say(type="auth", token="api")
    await peer.status("authenticated")
    relay.sink.publish([line(3, "hidden", service="web"), line(4, "shown")])
    assert await peer.texts(1) == ["shown"]
    await peer.say(type="auth", token="all")
    await peer.status("authenticated")
    relay.sink.publish([line(5, "back", service="web")])

    assert await peer.texts(1) == ["back"]
    await peer.leave()


async def test_where_everyone_may_look_an_auth_message_changes_nothing(relay: Relay) -> None:
    peer = await relay.joined()

    await peer.say(type="auth", token="whatever it is")

    assert await peer.status("authenticated") == {}
    await peer.leave()


async def test_a_connection_is_looked_at_again_and_ends_when_that_says_no(make: Make) -> None:
    guard = FakeGuard({"t": OPEN}, recheck=0.02)
    relay = await make(guard=guard)
    peer = await relay.joined(headers=bearer())
    await until(lambda: guard.asked >= 4)

    guard.answers["t"] = endings.unauthenticated()

    await ended(peer, "expired", 4401)


async def test_a_look_that_nobody_answers_ends_a_connection_only_after_a_while(
    make: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr("logrelay.web.leases._AGAIN", 0.01)
    guard = FakeGuard({"t": OPEN}, recheck=0.01)
    relay = await make(guard=guard)
    relay.leases.doubt = 0.3
    peer = await relay.joined(headers=bearer())

    guard.answers["t"] = endings.undecided()
    asked = guard.asked
    await until(lambda: guard.asked > asked + 3)
    await peer.quiet()
    guard.answers["t"] = OPEN
    asked = guard.asked
    await until(lambda: guard.asked > asked + 3)
    guard.answers["t"] = endings.undecided()

    await ended(peer, "internal", 1011)


async def test_a_look_that_narrows_takes_effect(make: Make) -> None:
    guard = FakeGuard({"t": OPEN}, recheck=0.01)
    relay = await make(guard=guard)
    peer = await relay.joined(headers=bearer())

    guard.answers["t"] = attrs.evolve(OPEN, scope=Filter.of_services(["svc-web"]))
    (lease,) = relay.leases._leases
    await until(lambda: not lease.scope.everything)
    relay.sink.publish([line(1, "hidden"), line(2, "shown", service="web")])

    assert await peer.texts(1) == ["shown"]
    await peer.leave()


async def test_the_credentials_end_counts_also_while_it_is_being_looked_at(make: Make) -> None:
    guard = FakeGuard({"t": lasting(0.4)}, recheck=0.05)
    relay = await make(guard=guard)
    peer = await relay.joined(headers=bearer())

    guard.hold = asyncio.Event()

    await ended(peer, "expired", 4401)
    await relay.empty()


async def test_a_reload_judges_everyone_anew(make: Make) -> None:
    guard = FakeGuard({"a": OPEN, "b": OPEN})
    relay = await make(guard=guard)
    staying, leaving = await relay.joined(headers=bearer("a")), await relay.joined(headers=bearer("b"))

    guard.answers["b"] = endings.not_allowed()
    relay.leases.reload()

    await ended(leaving, "not_allowed", 4403)
    await staying.quiet()
    await staying.leave()


async def test_a_look_at_the_credential_before_counts_no_more_after_a_renewal(make: Make) -> None:
    guard = FakeGuard({"old": OPEN, "new": OPEN})
    relay = await make(guard=guard)
    peer = await relay.joined(headers=bearer("old"))
    guard.hold = asyncio.Event()
    guard.answers["old"] = endings.unauthenticated()
    relay.leases.look_again()
    await until(lambda: guard.asked == 2)
    hold, guard.hold = guard.hold, None

    await peer.say(type="auth", token="new")
    await peer.status("authenticated")
    hold.set()

    await peer.quiet()
    await peer.leave()


async def test_a_reload_does_not_count_an_answer_that_was_on_its_way(make: Make) -> None:
    guard = FakeGuard({"t": OPEN})
    relay = await make(guard=guard)
    peer = await relay.joined(headers=bearer())
    guard.hold = asyncio.Event()
    relay.leases.look_again()
    await until(lambda: guard.asked == 2)

    guard.hold = None
    guard.answers["t"] = endings.unauthenticated()
    relay.leases.reload()

    await ended(peer, "expired", 4401)


async def test_a_credential_taken_back_while_the_environment_was_not_known_lets_nobody_in(make: Make) -> None:
    guard = FakeGuard({"t": OPEN})
    relay = await make(guard=guard)
    relay.environments.allowed = None
    peer = await relay.connect(headers=bearer())
    await peer.status("connecting")

    guard.answers["t"] = endings.unauthenticated()
    relay.environments.learn(ENV)

    await ended(peer, "unauthenticated", 4401)


async def test_c11_those_who_show_nothing_leave_half_of_the_places_to_the_others(make: Make) -> None:
    relay = await make(guard=FakeGuard({"t": OPEN}), places=Places(process=4, environment=100))
    strangers = [await relay.connect() for _ in range(2)]
    await until(lambda: not relay.places.free_for_stranger)

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await relay.connect()
    peers = [await relay.joined(headers=bearer()) for _ in range(2)]

    assert refused.value.status == 503
    for peer in (*strangers, *peers):
        await peer.leave()
    await relay.empty()
    assert relay.places.free_for_stranger


async def test_a_scope_hides_services_from_every_way_to_see_them(make: Make) -> None:
    scope = Filter.of_services(["svc-api"])
    relay = await make(guard=FakeGuard({"t": attrs.evolve(OPEN, scope=scope), "all": OPEN}))
    keeper = await relay.joined(headers=bearer("all"))
    relay.sink.publish([line(1, "past web", service="web"), line(2, "past api")])
    first = await keeper.record()
    await keeper.record()

    peer = await relay.connect({"tail": 10}, headers=bearer())
    said = await peer.status("connected")
    assert said["services"] == [{"id": "svc-api", "name": "api"}]
    assert await peer.texts(1) == ["past api"]
    await peer.say(type="filter", services=["web"], replay=10)
    assert (await peer.status("filter"))["filter"]["unknownServices"] == ["web"]
    await peer.quiet()
    await peer.say(type="filter", replay=10)
    await peer.status("filter")
    assert await peer.texts(1) == ["past api"]
    resumed = await relay.connect({"lastId": first["id"], "overlap": 60}, headers=bearer())
    await resumed.status("connected")
    relay.sink.publish([line(3, "live web", service="web"), line(4, "live api")])

    assert await peer.texts(1) == ["live api"]
    assert await resumed.texts(2) == ["past api", "live api"]
    assert len(SERVICES) == 2
    for each in (keeper, peer, resumed):
        await each.ws.close()


async def test_a_message_shows_who_is_calling_where_the_request_does_not(make: Make) -> None:
    relay = await make(guard=FakeGuard({"t": OPEN}))
    peer = await relay.connect()

    await peer.say(type="auth", token="t")

    await peer.status("connected")
    await peer.leave()


@pytest.mark.parametrize(
    "message", [{"type": "ping", "id": 1}, {"type": "auth"}, {"type": "auth", "token": ""}, {}]
)
async def test_any_other_first_message_is_refused(make: Make, message: Any) -> None:
    relay = await make(guard=FakeGuard({"t": OPEN}))
    peer = await relay.connect()

    await peer.say(**message)

    await ended(peer, "unauthenticated", 4401)
    assert relay.upstreams == {}


async def test_who_shows_nothing_in_time_is_refused(make: Make) -> None:
    relay = await make(guard=FakeGuard({"t": OPEN}), limits=StreamLimits(auth=0.05))

    await ended(await relay.connect(), "unauthenticated", 4401)

    await relay.empty()


async def test_c18_who_leaves_instead_of_showing_anything_leaves_nothing(make: Make) -> None:
    relay = await make(guard=FakeGuard({"t": OPEN}))
    polite, rude = await relay.connect(), await relay.raw()

    await polite.leave()
    rude.leave()

    await relay.empty()
    assert relay.upstreams == {}


async def test_c18_who_leaves_while_it_is_being_decided_leaves_nothing(make: Make) -> None:
    guard = FakeGuard({"t": OPEN}, hold=asyncio.Event())
    relay = await make(guard=guard)
    peer = await relay.raw(query="", upgrade=True)
    peer.send(1, b'{"type":"auth","token":"t"}')
    await until(lambda: guard.asked == 1)

    peer.leave()
    assert guard.hold is not None
    guard.hold.set()

    await relay.empty()


async def test_the_audit_line_says_who_has_seen_what_and_how_much(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "logrelay")
    relay = await make(guard=FakeGuard({"t": OPEN}))
    peer = await relay.joined(
        {"search": "SECRET thing", "services": "api,SECRET", "severity": "info"}, headers=bearer()
    )
    relay.sink.publish([line(1, "a SECRET thing")])
    await peer.ids(1)
    await peer.leave()
    await relay.empty()

    closed = next(record for record in caplog.records if record.message == "stream closed")

    told = vars(closed)
    assert (told["environment"], told["auth"], told["subject"]) == (ENV, "fake", "me")
    assert told["address"] == "127.0.0.1"
    assert (told["services"], told["unknownServices"], told["severity"], told["search"]) == (
        ["api"],
        1,
        "info",
        2,
    )
    assert (told["sent"], told["lost"], told["filters"], told["code"]) == (1, 0, 1, 1000)
    assert "SECRET" not in caplog.text + str([vars(record) for record in caplog.records])


async def test_the_audit_line_quotes_a_search_where_that_is_wanted(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "logrelay")
    relay = await make(audit_search=True)
    peer = await relay.joined({"search": '"some thing"'})
    await peer.leave()
    await relay.empty()

    closed = next(record for record in caplog.records if record.message == "stream closed")

    assert vars(closed)["search"] == '"some thing"'


async def test_an_id_that_was_not_admitted_is_in_no_log_line(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    relay = await make()

    await ended(await relay.connect(environment="hunter2"), "not_allowed", 4403)
    await relay.empty()

    assert "stream closed" in caplog.text
    assert "hunter2" not in caplog.text + str([vars(record) for record in caplog.records])


async def test_a_fault_while_looking_again_ends_the_connection(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    guard = FakeGuard({"t": OPEN})
    relay = await make(guard=guard, limits=quick(heartbeat=25.0))
    peer = await relay.joined(headers=bearer())

    guard.answers = None  # type: ignore[assignment] # a fault of ours
    relay.leases.look_again()

    await ended(peer, "expired", 4401)
    assert "could not be looked at again" in caplog.text


def test_leases_and_scopes_say_what_they_are() -> None:
    leases = Leases(Access(Environments()))

    assert repr(leases) == "<Leases 0>"
    assert repr(leases.lease(OPEN, None, ENV)) == "<Lease of a fake grant>"
    assert EVERYTHING.inside(Filter.of_services(["a"])).inside(EVERYTHING) == EVERYTHING
