import base64
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict, MultiDict

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.credentials import Doors
from logrelay.web.grants import Source

TOKEN = "a-long-lived-token"
SUBPROTOCOL = "bearer." + base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
COOKIE = "session=abc; other=1"
APP = "https://app.example.com"

OFF = Doors(required=False)
ON = Doors()
TICKETS = Doors(tickets=True)
FORWARD = Doors(forwards=True, tickets=True)

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


def request(headers: Headers = (), query: str = "") -> Any:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return make_mocked_request("GET", f"/stream{query}", headers=CIMultiDict(pairs))


@pytest.mark.parametrize(
    ("headers", "query", "source"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, "", Source.HEADER),
        ({"Authorization": f"bearer   {TOKEN}"}, "", Source.HEADER),
        ({"Sec-WebSocket-Protocol": f"logrelay.v1, {SUBPROTOCOL}"}, "", Source.SUBPROTOCOL),
        ({"Sec-WebSocket-Protocol": f"{SUBPROTOCOL}==,logrelay.v1"}, "", Source.SUBPROTOCOL),
        (
            [("Sec-WebSocket-Protocol", "logrelay.v1"), ("Sec-WebSocket-Protocol", SUBPROTOCOL)],
            "",
            Source.SUBPROTOCOL,
        ),
        ({}, f"?ticket={TOKEN}", Source.TICKET),
        # The first of protocol.md's order counts.
        (
            {"Authorization": f"Bearer {TOKEN}", "Sec-WebSocket-Protocol": "bearer.eA"},
            "?ticket=x",
            Source.HEADER,
        ),
        ({"Sec-WebSocket-Protocol": SUBPROTOCOL, "Cookie": COOKIE}, "?ticket=x", Source.SUBPROTOCOL),
        ({"Cookie": COOKIE}, f"?ticket={TOKEN}", Source.TICKET),
    ],
)
def test_a_token_is_found_where_the_protocol_says(headers: Headers, query: str, source: Source) -> None:
    found = TICKETS.find(request(headers, query))

    assert found is not None
    assert (found.source, found.token) == (source, TOKEN)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": TOKEN}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": f"Bearer {TOKEN} {TOKEN}"}, ""),
        ({"Authorization": "Basic dXNlcjpwdw=="}, ""),
        ({"Authorization": "Bearer tök"}, ""),
        ({"Authorization": "Bearer " + "x" * 20_000}, ""),
        ([("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")], ""),
        ({"Sec-WebSocket-Protocol": "logrelay.v1, bearer."}, ""),
        ({"Sec-WebSocket-Protocol": "logrelay.v1, bearer.?"}, ""),
        ({"Sec-WebSocket-Protocol": "logrelay.v1, bearer.a"}, ""),
        ({"Sec-WebSocket-Protocol": "logrelay.v1, bearer.w6Q"}, ""),  # ä
        ({"Sec-WebSocket-Protocol": "logrelay.v1, bearer.YSBi"}, ""),  # with a space
        ({"Sec-WebSocket-Protocol": f"{SUBPROTOCOL}, {SUBPROTOCOL}"}, ""),
        ({}, "?ticket="),
        ({}, "?ticket=a&ticket=b"),
        ({}, "?ticket=%00"),
        ({}, "?ticket=%F0%9F"),
        # What is first and bad refuses, however good the next one is.
        ({"Authorization": "Basic x", "Sec-WebSocket-Protocol": SUBPROTOCOL}, "?ticket=good"),
    ],
)
def test_what_is_there_and_bad_refuses(headers: Headers, query: str) -> None:
    with pytest.raises(Disconnect) as refused:
        TICKETS.find(request(headers, query))

    assert (refused.value.code, refused.value.error) == (CloseCode.UNAUTHENTICATED, "unauthenticated")
    assert TOKEN not in refused.value.message


@pytest.mark.parametrize(
    "name", ["token", "access_token", "Authorization", "jwt", "api_key", "reconnectToken"]
)
def test_a_token_in_the_url_is_refused_and_the_right_way_is_said(name: str) -> None:
    shown = request({"Authorization": f"Bearer {TOKEN}"}, f"?{name}={TOKEN}")

    with pytest.raises(Disconnect) as refused:
        ON.find(shown)

    assert refused.value.code is CloseCode.UNAUTHENTICATED
    assert "does not belong in a URL" in refused.value.message
    assert "Authorization: Bearer" in refused.value.message
    assert TOKEN not in refused.value.message
    assert OFF.find(shown) is None


def test_a_ticket_where_there_are_none_is_refused() -> None:
    with pytest.raises(Disconnect) as refused:
        ON.find(request(query="?ticket=x"))

    assert "not a ticket of this relay" in refused.value.message


@pytest.mark.parametrize("doors", [OFF, ON, TICKETS])
def test_a_cookie_is_a_credential_in_forward_mode_only(doors: Doors) -> None:
    assert doors.find(request({"Cookie": COOKIE})) is None
    assert not doors.brings_cookie(request({"Cookie": COOKIE}))


@pytest.mark.parametrize(
    ("headers", "query", "alone"),
    [
        ({"Cookie": COOKIE}, "", True),
        ({"Cookie": COOKIE, "Origin": APP}, "", True),
        ({"Cookie": COOKIE, "Sec-WebSocket-Protocol": "logrelay.v1"}, "", True),
        ({"Cookie": COOKIE, "Authorization": "Bearer x"}, "", False),
        # A browser adds a password that it remembers by itself, and the cookie goes along where an Origin is said.
        ({"Authorization": "Basic eDp5", "Origin": APP}, "", True),
        ({"Cookie": COOKIE, "Authorization": "Basic eDp5", "Origin": APP}, "", True),
        ({"Cookie": COOKIE, "Authorization": "Bearer x", "Origin": APP}, "", True),
        ({"Authorization": "Bearer x", "Origin": APP}, "", False),
        ({"Cookie": COOKIE, "Sec-WebSocket-Protocol": SUBPROTOCOL}, "", False),
        ({"Cookie": COOKIE}, "?ticket=x", False),
        ({}, "", False),
    ],
)
def test_it_is_known_whether_a_browser_has_added_the_credential_by_itself(
    headers: Headers, query: str, alone: Any
) -> None:
    assert FORWARD.brings_cookie(request(headers, query)) is alone


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Cookie": COOKIE}, {"Cookie": COOKIE}),
        ({"Authorization": "Basic abc"}, {"Authorization": "Basic abc"}),
        ({"Sec-WebSocket-Protocol": SUBPROTOCOL}, {"Authorization": f"Bearer {TOKEN}"}),
        # Any page may choose a subprotocol, and so say that its credential is an explicit one.
        (
            {"Sec-WebSocket-Protocol": SUBPROTOCOL, "Cookie": COOKIE, "Origin": APP},
            {"Authorization": f"Bearer {TOKEN}"},
        ),
        # A browser sends the cookie by itself: it goes along only where the origin was looked at.
        ({"Authorization": "Bearer x", "Cookie": COOKIE}, {"Authorization": "Bearer x"}),
        (
            {"Authorization": "Bearer x", "Cookie": COOKIE, "Origin": APP},
            {"Authorization": "Bearer x", "Cookie": COOKIE},
        ),
    ],
)
def test_the_main_api_is_asked_with_what_the_caller_has_shown(
    headers: Headers, expected: Mapping[str, str]
) -> None:
    found = FORWARD.find(request(headers))

    assert found is not None
    assert dict(found.headers) == expected
    assert "abc" not in repr(found)


def test_a_message_is_asked_about_as_a_bearer_token() -> None:
    assert dict(FORWARD.of_message(TOKEN).headers) == {"Authorization": f"Bearer {TOKEN}"}
    assert dict(ON.of_message(TOKEN).headers) == {}


@pytest.mark.parametrize("token", ["", "a b", "tök", "a\n", "x" * 20_000])
def test_a_message_without_a_usable_token_refuses(token: str) -> None:
    with pytest.raises(Disconnect):
        ON.of_message(token)


def test_a_cookie_that_is_no_text_refuses() -> None:
    # A byte that is no UTF-8 comes out of the parser like this; the library's made-up request can't be given it.
    undecodable = SimpleNamespace(headers=CIMultiDict({"Cookie": "session=\udcff"}), query=MultiDict[str]())

    with pytest.raises(Disconnect):
        FORWARD.find(cast("Any", undecodable))
