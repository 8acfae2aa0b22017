from collections.abc import Mapping

import aiohttp
import pytest
from web_harness import ENV, Make

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.places import Handshakes, Places


def test_places_come_free_again() -> None:
    places = Places(process=2, environment=1, retry_after=3.0)

    with places.of_process(), places.of("a"), places.of_process(), places.of("b"):
        assert not places.free
        with pytest.raises(Disconnect) as refused, places.of("a"):
            pass
        assert repr(places) == "<Places 2 of 2>"

    assert places.free
    assert places.taken == 0
    assert not places._by_key
    assert (refused.value.code, refused.value.retry_after) == (CloseCode.TOO_MANY, 3.0)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"environment": 1}, "too many connections to this environment: at most 1; come back in 10 s"),
        ({"environment": 9, "subject": 1}, "too many connections of yours: at most 1; come back in 10 s"),
        (
            {"environment": 9, "address": 1},
            "too many connections from this address: at most 1; come back in 10 s",
        ),
    ],
)
def test_c11_a_refusal_names_the_limit_the_maximum_and_when_to_come_back(
    limits: Mapping[str, int], expected: str
) -> None:
    places = Places(**limits)

    with (
        places.of("a", subject="me", address="192.0.2.1"),
        pytest.raises(Disconnect) as refused,
        places.of("a", subject="me", address="192.0.2.1"),
    ):
        pass

    assert refused.value.message == expected
    assert not places._by_key


def test_who_is_refused_by_one_limit_takes_no_place_of_another() -> None:
    places = Places(environment=5, subject=1)

    with places.of("a", subject="me"):
        for _ in range(9):
            with pytest.raises(Disconnect), places.of("a", subject="me"):
                pass
        with places.of("a", subject="you"):
            assert places._by_key["environment", "a"] == 2


def test_a_subject_or_address_that_is_not_known_has_no_limit() -> None:
    places = Places(environment=5, subject=1, address=1)

    with places.of("a"), places.of("a"):
        assert list(places._by_key) == [("environment", "a")]


def test_c11_a_bucket_of_handshakes_fills_as_time_goes_by() -> None:
    now = [0.0]
    handshakes = Handshakes(per_second=2, burst=3, now=lambda: now[0])

    assert [handshakes.admit("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert handshakes.admit("b") == 0  # its own bucket
    now[0] = 0.25
    assert handshakes.admit("a") == 0.25
    now[0] = 0.5
    assert (handshakes.admit("a"), handshakes.admit("a")) == (0, 0.5)
    now[0] = 1000.0
    assert [handshakes.admit("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_only_so_many_addresses_are_remembered() -> None:
    handshakes = Handshakes(per_second=1, burst=1, now=lambda: 0.0)

    for number in range(12_000):
        assert handshakes.admit(str(number)) == 0

    assert repr(handshakes) == "<Handshakes of 10000 addresses>"
    assert handshakes.admit("11999") == 1


async def test_c11_too_many_handshakes_are_503_with_the_limit_in_words(make: Make) -> None:
    relay = await make(handshakes=Handshakes(per_second=1, burst=2, now=lambda: 0.0))
    first, second = await relay.joined(), await relay.joined()

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await relay.connect(environment="env-2")
    raw = await relay.raw(upgrade=False)
    status, headers, body = await raw.answer(
        f"GET {relay.path()} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"
    )
    raw.leave()

    assert refused.value.status == status == 503
    assert headers["retry-after"] == "1"
    assert b"from this address: at most 2 at once; come back in 1 s" in body
    assert list(relay.upstreams) == [ENV]  # for the refused one nothing was asked upstream
    await first.leave()
    await second.leave()


async def test_c11_a_subjects_limit_counts_over_environments(make: Make) -> None:
    relay = await make(places=Places(environment=5, address=1))
    peer = await relay.joined()

    refused = await relay.connect(environment="env-2")

    error = await refused.error("too_many_connections")
    assert (error["retryAfter"], error["retryable"]) == (10.0, True)
    assert await refused.close_code() == 4429
    assert list(relay.upstreams) == [ENV]
    await peer.leave()
