from typing import Any

import aiohttp
import pytest
from web_harness import Make

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.access import Environments, Origins, Places, is_loopback

APP = "https://app.example.com"
HOST = "relay.example.com"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("LOCALHOST", True), ("a.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True),
        ("::1", True), ("[::1]", True), ("192.0.2.1", False), ("192.168.1.1", False), ("localhost.evil.com", False),
        ("example.com", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_names_are_known(host: Any, expected: Any) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "origin",
    [
        None,
        APP,
        "https://app.example.com:443",
        "HTTPS://APP.EXAMPLE.COM",
        f"https://{HOST}",
        f"http://{HOST}",
    ],
)
def test_listed_missing_and_same_origins_are_admitted(origin: Any) -> None:
    assert Origins((APP,)).admits(origin, HOST)


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "app.example.com", "https://app.example.com.evil.com", "https://evil-app.example.com",
        "https://app.example.com:444", "http://app.example.com", "https://app.example.com@evil.com",
        "https://evil.com/https://app.example.com", "https://app.example.com/path", "https://app.example.com?x=1",
        "https://app.example.com#x", "file://", "chrome-extension://abc", "https://", "https://app.example.com:99999",
        f"https://{HOST}:8443", "https://user@app.example.com", "https://:pw@app.example.com", "https://[::1",
    ],
)  # fmt: skip
def test_c13_look_alikes_are_refused(origin: Any) -> None:
    assert not Origins((APP,)).admits(origin, HOST)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://relay.example.com", "relay.example.com:80", True),
        ("http://relay.example.com:80", "relay.example.com", True),
        ("https://relay.example.com", "relay.example.com:443", True),
        ("https://relay.example.com", "relay.example.com:80", False),
        ("http://relay.example.com:8080", "relay.example.com:8080", True),
        ("http://relay.example.com:8080", "RELAY.example.com:8080", True),
        ("http://relay.example.com:8080", "relay.example.com", False),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://relay.example.com", None, False),
        ("http://relay.example.com", "", False),
        ("http://relay.example.com", "a b:c", False),
    ],
)
def test_same_origin_is_host_and_port(origin: Any, host: Any, same: Any) -> None:
    assert Origins().admits(origin, host) is same


def test_a_star_admits_everyone() -> None:
    origins = Origins(("*",), guard_host=True)

    assert origins.admits("https://evil.com", "evil.com")
    assert origins.admits("null", None)
    assert repr(origins) == "<Origins *>"
    assert repr(Origins()) == "<Origins same origin>"


@pytest.mark.parametrize(
    ("origin", "host", "admitted"),
    [
        (None, "localhost:8080", True), (None, "127.0.0.1:8080", True), (None, "[::1]:8080", True),
        (None, "app.example.com", True), (None, "evil.com:8080", False), (None, None, False), (None, "", False),
        ("http://evil.com:8080", "evil.com:8080", False), ("http://localhost:8080", "localhost:8080", True),
        (APP, "localhost:8080", True), ("http://evil.com", "localhost:8080", False),
    ],
)  # fmt: skip
def test_on_loopback_the_host_is_guarded_against_rebinding(origin: Any, host: Any, admitted: Any) -> None:
    assert Origins((APP,), guard_host=True).admits(origin, host) is admitted


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("*", True),
        (APP, True),
        ("http://localhost:3000", True),
        (f"{APP}/", False),
        ("app", False),
        ("null", False),
    ],
)
def test_what_a_list_may_name(text: Any, valid: Any) -> None:
    assert Origins.valid(text) is valid


@pytest.mark.parametrize(
    "origin", ["https://evil.com", "null", "https://app.example.com.evil.com", "http://app.example.com"]
)
async def test_c13_a_foreign_origin_is_403_before_the_upgrade(make: Make, origin: Any) -> None:
    relay = await make(origins=Origins((APP,)))

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await relay.connect(headers={"Origin": origin})
    admitted = await relay.joined(headers={"Origin": APP})
    own = await relay.joined(headers={"Origin": relay.url})

    assert refused.value.status == 403
    await admitted.leave()
    await own.leave()


def test_environments_are_those_allowed() -> None:
    environments = Environments(frozenset({"a"}))

    environments.admit("a")
    with pytest.raises(Disconnect) as refused:
        environments.admit("b")

    assert refused.value.code is CloseCode.NOT_ALLOWED


def test_everything_is_any_id_that_can_be_one() -> None:
    environments = Environments(frozenset({"*"}), everything=True)

    environments.admit("0d0f-A_z")
    for impossible in ("", "a b", "a/b", "é", "a" * 65, "a\n"):
        with pytest.raises(Disconnect) as refused:
            environments.admit(impossible)
        assert refused.value.code is CloseCode.UNKNOWN_ENVIRONMENT


def test_places_come_free_again() -> None:
    places = Places(process=2, environment=1, retry_after=3.0)

    with places.of_process(), places.of_environment("a"), places.of_process(), places.of_environment("b"):
        assert not places.free
        with pytest.raises(Disconnect) as refused, places.of_environment("a"):
            pass
        assert repr(places) == "<Places 2 of 2>"

    assert places.free
    assert places.taken == 0
    assert not places._by_environment
    assert (refused.value.code, refused.value.retry_after) == (CloseCode.TOO_MANY, 3.0)
