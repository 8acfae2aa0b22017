from typing import Any
from unittest import mock

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from web_harness import Make

from logrelay.web.origins import Origins, Proxies, is_loopback

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


# With the one listed origin and the relay's own host: nothing else may come in, whoever looks how much alike.
STRANGERS = (
    "null",
    "",
    " ",
    "https://",
    "file://",
    "about:blank",
    "data:text/html,x",
    "chrome-extension://abcdefgh",
    "moz-extension://a",
    "app.example.com",
    "//app.example.com",
    "https:app.example.com",
    "https:/app.example.com",
    "https:///app.example.com",
    "https://app.example.com.",
    "https://app.example.com.evil.com",
    "https://evil-app.example.com",
    "https://example.com",
    "https://app.example.com:444",
    "https://app.example.com:0443",
    "https://app.example.com:",
    "https://app.example.com:0",
    "https://app.example.com:65979",
    "http://app.example.com",
    "wss://app.example.com",
    "ws://app.example.com",
    "ftp://app.example.com",
    "https://app.example.com@evil.com",
    "https://evil.com@app.example.com",
    "https://:@app.example.com",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://app.example.com?x",
    "https://app.example.com#x",
    "https://app.example.com\\@evil.com",
    "https://app.example.com%00.evil.com",
    "https://app.example.com%2eevil.com",
    "https://app.example.com,https://evil.com",
    "https://evil.com https://app.example.com",
    "https://\u0430pp.example.com",
    "https://app\u3002example.com",
    "https://\uff41pp.example.com",
    "https://xn--pp-oja.example.com",
    "https://app.example.com\t",
    "https://[app.example.com]",
    "https://app_example.com",
    f"https://{HOST}:8443",
    f"http://{HOST}:8080",
    f"https://{HOST}.evil.com",
    f"https://evil.{HOST}",
    "https://127.0.0.1",
    "http://localhost",
    "https://2130706433",
    "https://0x7f.1",
    "*",
    "https://*",
    "https://*.example.com",
)


@pytest.mark.parametrize("cookie", [False, True])
@pytest.mark.parametrize("origin", STRANGERS)
def test_c13_of_many_strangers_none_is_admitted(origin: str, cookie: Any) -> None:
    assert len(STRANGERS) >= 30

    assert not Origins((APP,)).admits(origin, HOST, cookie=cookie)


def test_c13_a_cookie_needs_an_origin_and_no_star_counts() -> None:
    listed, everyone = Origins((APP,)), Origins(("*",))

    assert listed.admits(None, HOST)
    assert not listed.admits(None, HOST, cookie=True)
    assert listed.admits(APP, HOST, cookie=True)
    assert listed.admits(f"https://{HOST}", HOST, cookie=True)
    assert not everyone.admits(None, HOST, cookie=True)
    assert not everyone.admits(APP, HOST, cookie=True)
    assert everyone.admits(f"https://{HOST}", HOST, cookie=True)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        (0, ["203.0.113.9"], "192.0.2.1"),
        (1, ["203.0.113.9"], "203.0.113.9"),
        (1, ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # the first one is what the caller has made up
        (2, ["198.51.100.1, 203.0.113.9"], "198.51.100.1"),
        (2, ["198.51.100.1", "203.0.113.9"], "198.51.100.1"),
        (2, ["203.0.113.9"], "192.0.2.1"),  # did not come by both proxies
        (1, [], "192.0.2.1"),
        (1, ["evil"], "unknown"),
        (1, ["203.0.113.9:51234"], "203.0.113.9"),
        (1, ["[2001:db8:1:2::9]:443"], "2001:db8:1:2::/64"),
        (1, ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (1, ["[2001:db8:1:2::9]"], "2001:db8:1:2::/64"),
        (1, ["::ffff:203.0.113.9"], "203.0.113.9"),
        (1, ["fe80::1%eth0"], "fe80::/64"),
    ],
)
def test_the_callers_address_is_what_trusted_proxies_say(
    trusted: int, forwarded: list[str], expected: str
) -> None:
    headers = CIMultiDict(("X-Forwarded-For", value) for value in forwarded)
    request = make_mocked_request("GET", "/", headers=headers, transport=from_address("192.0.2.1"))

    assert Proxies(trusted).address(request) == expected


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        (0, "app.example.com", HOST),
        (1, "app.example.com", "app.example.com"),
        (1, "evil.com, app.example.com", "app.example.com"),
        (2, "app.example.com", "app.example.com"),  # the outer one has set it, the inner one left it alone
        (1, None, HOST),
    ],
)
def test_the_host_is_what_trusted_proxies_say(trusted: int, forwarded: str | None, expected: str) -> None:
    told = {} if forwarded is None else {"X-Forwarded-Host": forwarded}
    request = make_mocked_request("GET", "/", headers={"Host": HOST} | told)

    assert Proxies(trusted).host(request) == expected


def from_address(address: str) -> Any:
    return mock.Mock(get_extra_info=lambda name: (address, 1234) if name == "peername" else None)


async def test_c13_behind_a_trusted_proxy_the_pages_own_host_is_the_same_origin(make: Make) -> None:
    trusting, wary = await make(proxies=1), await make()
    headers = {"Origin": "https://logs.example.com", "X-Forwarded-Host": "logs.example.com"}

    peer = await trusting.joined(headers=headers)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await wary.connect(headers=headers)

    assert refused.value.status == 403
    await peer.leave()


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
