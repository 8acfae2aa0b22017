import asyncio
import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from web_harness import line

from logrelay.errors import CloseCode, Disconnect, FilterInvalid, ParameterInvalid, SettingsInvalid
from logrelay.web.grants import Credential, Grant, Source
from logrelay.web.seals import Claims, Kind, Seals
from logrelay.web.tickets import ACCESS_LIMIT, Minted, Tickets
from logrelay.web.waiting import TicketsFull

SECRET = "a service secret for tests, of many characters"
ENV = "env-1"
OTHER = "env-2"
START = 1_764_000_000.0


@attrs.define
class Clock:
    """Wall and monotonic time; `pass_` moves both, `jump` the wall's only."""

    wall: float = START
    steady: float = 100.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def jump(self, seconds: float) -> None:
        self.wall += seconds

    def tickets(self, secret: str = SECRET, **options: Any) -> Tickets:
        return Tickets(secret, now=lambda: self.wall, monotonic=lambda: self.steady, **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Tickets:
    return clock.tickets(share_links=True)


def refused(act: Callable[[], object]) -> Disconnect:
    with pytest.raises(Disconnect) as caught:
        act()
    return caught.value


def assert_unauthenticated(act: Callable[[], object]) -> None:
    end = refused(act)

    assert (end.code, end.error) == (CloseCode.UNAUTHENTICATED, "unauthenticated")
    assert end.message == "the credential is not valid"


def coming_back(tickets: Tickets, **options: Any) -> str:
    """A reconnect token, as a redeemed ticket gives it."""
    token = tickets.reconnect_token(tickets.redeem(tickets.mint(ENV, **options).text, ENV))
    assert token is not None
    return token


def exchanged(tickets: Tickets, secret: str) -> Minted:
    """A ticket for a share link's secret."""
    return tickets.exchange(tickets.link(secret))


# What a ticket allows


def test_a_ticket_grants_its_environment_for_its_time(clock: Clock, tickets: Tickets) -> None:
    minted = tickets.mint(ENV, redeem_seconds=30, access_seconds=600, subject="ada")
    clock.pass_(10)

    grant = tickets.redeem(minted.text, ENV)

    assert (grant.kind, grant.subject, grant.ticket, grant.issued) == ("ticket", "ada", minted.id, START)
    assert grant.environments == {ENV}
    assert grant.until == pytest.approx(100 + 600)
    assert (minted.expires, minted.until) == (START + 30, START + 600)
    assert grant.scope.everything


def test_a_ticket_grants_only_the_records_of_its_services_and_search(tickets: Tickets) -> None:
    minted = tickets.mint(ENV, services=["svc-api", "web"], search="GET")

    scope = tickets.redeem(minted.text, ENV).scope

    assert scope.matches(line(1, "get /", service="api"))
    assert scope.matches(line(1, "GET /", service="web"))
    assert not scope.matches(line(1, "GET /", service="db"))
    assert not scope.matches(line(1, "GET /", service="API"))  # another service
    assert not scope.matches(line(1, "POST /", service="api"))


def test_a_reconnect_token_has_the_same_scope_subject_and_end(clock: Clock, tickets: Tickets) -> None:
    first = tickets.redeem(tickets.mint(ENV, services=["api"], search="x", subject="ada").text, ENV)
    clock.pass_(1000)

    for _ in range(3):
        again = tickets.come_back(tickets.reconnect_token(first) or "", ENV)

        assert (again.scope, again.subject, again.ticket) == (first.scope, first.subject, first.ticket)
        assert again.until == pytest.approx(first.until)
        assert again.issued == first.issued


def test_a_grant_of_another_mode_has_no_reconnect_token(tickets: Tickets) -> None:
    assert tickets.reconnect_token(Grant("jwt")) is None


# Once


def test_a_ticket_is_redeemed_once(tickets: Tickets) -> None:
    text = tickets.mint(ENV).text
    tickets.redeem(text, ENV)

    assert_unauthenticated(lambda: tickets.redeem(text, ENV))


async def test_of_many_who_try_at_once_one_gets_in(tickets: Tickets) -> None:
    text = tickets.mint(ENV).text

    async def attempt() -> bool:
        await asyncio.sleep(0)
        try:
            tickets.redeem(text, ENV)
        except Disconnect:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(200)))) == 1


def test_of_many_threads_one_gets_in(tickets: Tickets) -> None:
    def attempt(text: str) -> bool:
        try:
            tickets.redeem(text, ENV)
        except Disconnect:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            assert sum(threads.map(attempt, [tickets.mint(ENV).text] * 16)) == 1


def test_the_wrong_environment_is_refused_and_uses_the_ticket_up(tickets: Tickets) -> None:
    text = tickets.mint(ENV).text

    end = refused(lambda: tickets.redeem(text, OTHER))

    assert (end.code, end.error) == (CloseCode.NOT_ALLOWED, "not_allowed")
    assert_unauthenticated(lambda: tickets.redeem(text, ENV))


def test_a_reconnect_token_is_refused_for_another_environment(tickets: Tickets) -> None:
    token = coming_back(tickets)

    assert refused(lambda: tickets.come_back(token, OTHER)).code is CloseCode.NOT_ALLOWED
    assert tickets.come_back(token, ENV).ticket


def test_a_ticket_from_before_a_restart_is_refused(clock: Clock, tickets: Tickets) -> None:
    text = tickets.mint(ENV).text

    assert_unauthenticated(lambda: clock.tickets().redeem(text, ENV))


def test_a_reconnect_token_is_good_at_every_process_with_the_secret_and_at_no_other(
    clock: Clock, tickets: Tickets
) -> None:
    token = coming_back(tickets, subject="ada")

    assert clock.tickets().come_back(token, ENV).subject == "ada"
    assert_unauthenticated(lambda: clock.tickets(SECRET + "!").come_back(token, ENV))


# Time


def test_a_ticket_is_good_until_its_time_to_redeem_is_over(clock: Clock, tickets: Tickets) -> None:
    early, late = tickets.mint(ENV, redeem_seconds=5).text, tickets.mint(ENV, redeem_seconds=5).text

    clock.pass_(4.999)
    assert tickets.redeem(early, ENV).ticket
    clock.pass_(0.001)
    assert_unauthenticated(lambda: tickets.redeem(late, ENV))


def test_a_ticket_is_not_good_for_longer_than_its_access(clock: Clock, tickets: Tickets) -> None:
    minted = tickets.mint(ENV, redeem_seconds=60, access_seconds=5)

    assert minted.expires == START + 5
    clock.pass_(5)
    assert_unauthenticated(lambda: tickets.redeem(minted.text, ENV))


def test_a_reconnect_token_is_good_until_access_is_over(clock: Clock, tickets: Tickets) -> None:
    token = coming_back(tickets, access_seconds=600)

    clock.pass_(599.9)
    assert tickets.come_back(token, ENV).until == pytest.approx(clock.steady + 0.1)
    clock.pass_(0.1)
    assert_unauthenticated(lambda: tickets.come_back(token, ENV))


def test_p9_a_clock_that_goes_back_gives_a_ticket_no_more_time(clock: Clock, tickets: Tickets) -> None:
    text = tickets.mint(ENV, redeem_seconds=5).text

    clock.jump(-3600)
    clock.pass_(5)

    assert_unauthenticated(lambda: tickets.redeem(text, ENV))


def test_p9_a_clock_that_jumped_ahead_and_back_gives_a_reconnect_token_no_more_time(
    clock: Clock, tickets: Tickets
) -> None:
    token = tickets.reconnect_token(tickets.redeem(tickets.mint(ENV, access_seconds=60).text, ENV)) or ""

    clock.jump(30)
    tickets.mint(ENV)
    clock.jump(-30)
    clock.pass_(31)

    assert_unauthenticated(lambda: tickets.come_back(token, ENV))


def test_p9_a_clock_that_jumps_does_not_bring_a_used_ticket_back(clock: Clock, tickets: Tickets) -> None:
    text = tickets.mint(ENV).text
    tickets.redeem(text, ENV)

    for jump in (3600, -3600, -3600):
        clock.jump(jump)
        assert_unauthenticated(lambda: tickets.redeem(text, ENV))


def test_p9_what_was_signed_while_a_clock_was_a_year_ahead_is_refused(clock: Clock) -> None:
    ahead = Clock(wall=START + 365 * 86_400)

    token = coming_back(ahead.tickets())

    assert_unauthenticated(lambda: clock.tickets().come_back(token, ENV))


def test_the_longest_access_is_good_at_a_replica_whose_clock_is_a_little_behind(clock: Clock) -> None:
    ahead = Clock(wall=START + 30)

    token = coming_back(ahead.tickets(), access_seconds=ACCESS_LIMIT)

    assert clock.tickets().come_back(token, ENV).ticket


def test_tickets_that_nobody_uses_take_a_bounded_place_and_make_room(clock: Clock) -> None:
    tickets = clock.tickets(waiting_limit=3)
    for _ in range(3):
        tickets.mint(ENV, redeem_seconds=10)

    with pytest.raises(TicketsFull):
        tickets.mint(ENV)
    clock.pass_(10)

    assert tickets.redeem(tickets.mint(ENV).text, ENV).ticket


def test_tickets_that_nobody_uses_are_forgotten(clock: Clock, tickets: Tickets) -> None:
    for _ in range(50):
        tickets.mint(ENV, redeem_seconds=10)
    clock.pass_(61)

    tickets.mint(ENV)

    assert repr(tickets).startswith("<Tickets 1 waiting")


# Forgery


def forgeries(text: str) -> list[str]:
    """Every character replaced, left out, and doubled; and cuts."""
    made = [text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in ("A", "b", "_", ".")]
    made += [text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :] for at in range(len(text))]
    made += [text[:at] + text[at + 1 :] for at in range(len(text))]
    made += [text[:at] + text[at] + text[at:] for at in range(len(text))]
    made += [text + "=", text + "A", text + ".", " " + text, text + " ", text.upper(), text.swapcase(), ""]
    return [forgery for forgery in dict.fromkeys(made) if forgery != text]


def test_no_forged_ticket_is_taken_and_none_uses_the_true_one_up(tickets: Tickets) -> None:
    text = tickets.mint(ENV, services=["api"], subject="ada").text

    for forgery in forgeries(text):
        assert_unauthenticated(lambda forgery=forgery: tickets.redeem(forgery, ENV))  # type: ignore[misc]
    assert tickets.redeem(text, ENV).subject == "ada"


def test_no_forged_reconnect_token_or_share_link_is_taken(tickets: Tickets) -> None:
    token, share = coming_back(tickets), tickets.mint_share(ENV).text

    for forgery in forgeries(token):
        assert_unauthenticated(lambda forgery=forgery: tickets.come_back(forgery, ENV))  # type: ignore[misc]
    for forgery in forgeries(share):
        assert_unauthenticated(lambda forgery=forgery: exchanged(tickets, forgery))  # type: ignore[misc]


@pytest.mark.parametrize("text", ["", ".", "lrt1.", "lrr1..", "lrs1.é.é", "lrt1.\ud800", "x" * 100_000])
def test_what_is_no_credential_is_refused_quietly(tickets: Tickets, text: str) -> None:
    for act in (tickets.redeem, tickets.come_back):
        assert_unauthenticated(lambda act=act: act(text, ENV))  # type: ignore[misc]
    assert_unauthenticated(lambda: exchanged(tickets, text))
    assert not tickets.is_service(text)


def test_the_kinds_are_not_interchangeable_whatever_prefix_is_put_before_them(tickets: Tickets) -> None:
    made = {
        Kind.TICKET: tickets.mint(ENV).text,
        Kind.RECONNECT: coming_back(tickets),
        Kind.SHARE: tickets.mint_share(ENV).text,
    }
    doors = {
        Kind.TICKET: lambda text: tickets.redeem(text, ENV),
        Kind.RECONNECT: lambda text: tickets.come_back(text, ENV),
        Kind.SHARE: lambda text: exchanged(tickets, text),
    }
    for own, text in made.items():
        for kind, door in doors.items():
            if kind is not own:
                assert_unauthenticated(lambda door=door, text=text: door(text))  # type: ignore[misc]
                dressed = kind.value + text.removeprefix(own.value)
                assert_unauthenticated(lambda door=door, text=dressed: door(text))  # type: ignore[misc]
    for own, text in made.items():
        assert doors[own](text)


def test_claims_that_this_version_does_not_know_are_refused(tickets: Tickets) -> None:
    seals = Seals(SECRET)

    class Later(msgspec.Struct):
        id: str = "x"
        environment: str = ENV
        issued: float = START
        until: float = START + 60
        except_services: tuple[str, ...] = ("db",)

    assert_unauthenticated(
        lambda: tickets.come_back(seals.seal(Kind.RECONNECT, Later()), ENV)  # type: ignore[arg-type]
    )


def test_a_search_that_this_version_does_not_understand_is_refused(tickets: Tickets) -> None:
    claims = json.loads(base64.urlsafe_b64decode(coming_back(tickets).split(".")[1] + "=="))
    text = Seals(SECRET).seal(Kind.RECONNECT, msgspec.convert(claims | {"search": '"'}, Claims))

    assert_unauthenticated(lambda: tickets.come_back(text, ENV))


def test_credentials_are_recognised_by_their_beginning(tickets: Tickets) -> None:
    share = tickets.mint_share(ENV).text

    assert all(map(tickets.recognises, [tickets.mint(ENV).text, coming_back(tickets), share]))
    assert not any(map(tickets.recognises, ["", "lrt1", "eyJhbGciOiJIUzI1NiJ9.e30.x", SECRET]))


# By which way


def test_a_ticket_is_admitted_from_anywhere_and_a_reconnect_token_from_anywhere_but_the_url(
    tickets: Tickets,
) -> None:
    for source in Source:
        ticket, token = Credential(source, tickets.mint(ENV).text), Credential(source, coming_back(tickets))

        assert tickets.admit(ticket, ENV).environments == {ENV}
        if source is Source.TICKET:
            assert_unauthenticated(lambda token=token: tickets.admit(token, ENV))  # type: ignore[misc]
        else:
            assert tickets.admit(token, ENV).environments == {ENV}


def test_a_share_links_secret_opens_no_stream(tickets: Tickets) -> None:
    share = Credential(Source.HEADER, tickets.mint_share(ENV).text)

    assert_unauthenticated(lambda: tickets.admit(share, ENV))


# Share links


def test_a_share_link_makes_many_tickets_of_its_scope_that_end_with_it(
    clock: Clock, tickets: Tickets
) -> None:
    share = tickets.mint_share(ENV, services=["api"], search="x", access_seconds=600, subject="ada")
    clock.pass_(590)

    first, second = exchanged(tickets, share.text), exchanged(tickets, share.text)
    grant = tickets.redeem(first.text, ENV)

    assert share.expires == share.until == START + 600
    assert len({share.id, first.id, second.id}) == 3
    assert first.expires == first.until == START + 600  # 10 s are left of what would be 30
    assert grant.until == pytest.approx(clock.steady + 10)
    assert (grant.subject, grant.ticket, grant.issued) == ("ada", first.id, START + 590)
    assert (grant.scope.search, grant.environments) == ("x", {ENV})
    assert not grant.scope.matches(line(1, "x", service="web"))
    assert tickets.redeem(second.text, ENV).ticket == second.id
    clock.pass_(10)
    assert_unauthenticated(lambda: exchanged(tickets, share.text))


def test_share_links_made_before_they_were_switched_off_are_refused(clock: Clock, tickets: Tickets) -> None:
    share = tickets.mint_share(ENV).text

    assert_unauthenticated(lambda: exchanged(clock.tickets(), share))


# Revocation


async def test_a_revoked_ticket_is_refused(tickets: Tickets) -> None:
    minted, other = tickets.mint(ENV), tickets.mint(ENV)

    await tickets.revoke_ticket(minted.id)

    assert_unauthenticated(lambda: tickets.redeem(minted.text, ENV))
    assert tickets.redeem(other.text, ENV).ticket == other.id


async def test_a_tickets_id_revokes_its_grants_and_reconnect_tokens(tickets: Tickets) -> None:
    minted, other = tickets.mint(ENV), tickets.mint(ENV)
    grant, spared = tickets.redeem(minted.text, ENV), tickets.redeem(other.text, ENV)
    token = tickets.reconnect_token(grant) or ""
    again = tickets.come_back(token, ENV)

    await tickets.revoke_ticket(minted.id)

    assert tickets.revoked(grant)
    assert tickets.revoked(again)
    assert not tickets.revoked(spared)
    assert_unauthenticated(lambda: tickets.come_back(token, ENV))


async def test_a_share_links_id_revokes_all_that_was_made_from_it(tickets: Tickets) -> None:
    share = tickets.mint_share(ENV)
    unused = exchanged(tickets, share.text)
    grant = tickets.redeem(exchanged(tickets, share.text).text, ENV)
    token = tickets.reconnect_token(grant) or ""

    await tickets.revoke_ticket(share.id)

    assert tickets.revoked(grant)
    assert_unauthenticated(lambda: exchanged(tickets, share.text))
    assert_unauthenticated(lambda: tickets.redeem(unused.text, ENV))
    assert_unauthenticated(lambda: tickets.come_back(token, ENV))


async def test_a_ticket_from_a_share_link_can_be_revoked_alone(tickets: Tickets) -> None:
    share = tickets.mint_share(ENV)
    first, second = exchanged(tickets, share.text), exchanged(tickets, share.text)

    await tickets.revoke_ticket(first.id)

    assert_unauthenticated(lambda: tickets.redeem(first.text, ENV))
    assert tickets.redeem(second.text, ENV).ticket == second.id


async def test_a_subject_revokes_what_was_issued_until_then_and_nothing_later(
    clock: Clock, tickets: Tickets
) -> None:
    grant = tickets.redeem(tickets.mint(ENV, subject="ada").text, ENV)
    unused, other = tickets.mint(ENV, subject="ada"), tickets.mint(ENV, subject="bob")
    share, token = tickets.mint_share(ENV, subject="ada"), tickets.reconnect_token(grant) or ""

    await tickets.revoke_subject("ada")
    clock.pass_(0.001)
    later = tickets.redeem(tickets.mint(ENV, subject="ada").text, ENV)

    assert tickets.revoked(grant)
    assert_unauthenticated(lambda: tickets.redeem(unused.text, ENV))
    assert_unauthenticated(lambda: tickets.come_back(token, ENV))
    assert_unauthenticated(lambda: exchanged(tickets, share.text))
    assert not tickets.revoked(later)
    assert not tickets.revoked(tickets.redeem(other.text, ENV))


async def test_a_subject_is_revoked_although_the_clock_has_gone_back(clock: Clock, tickets: Tickets) -> None:
    grant = tickets.redeem(tickets.mint(ENV, subject="ada").text, ENV)
    clock.jump(-3600)

    await tickets.revoke_subject("ada")

    assert tickets.revoked(grant)


@pytest.mark.parametrize(
    ("grant", "revoked"),
    [
        (Grant("jwt", subject="ada", issued=START - 1), True),
        (Grant("jwt", subject="ada", issued=START), True),
        (Grant("jwt", subject="ada", issued=START + 1), False),
        (Grant("jwt", subject="ada"), True),
        (Grant("jwt", subject="bob"), False),
        (Grant("none"), False),
    ],
)
async def test_the_grants_of_other_modes_are_revoked_by_subject(
    tickets: Tickets, grant: Grant, *, revoked: bool
) -> None:
    await tickets.revoke_subject("ada")

    assert tickets.revoked(grant) is revoked


async def test_live_connections_are_looked_at_when_it_is_revoked_already(tickets: Tickets) -> None:
    grant = tickets.redeem(tickets.mint(ENV, subject="ada").text, ENV)
    seen: list[bool] = []
    tickets.on_revoked = lambda: seen.append(tickets.revoked(grant))

    await tickets.revoke_ticket("another")
    await tickets.revoke_subject("ada")

    assert seen == [False, True]


# Limits and secrecy


def test_a_search_that_is_not_understood_makes_no_ticket(tickets: Tickets) -> None:
    with pytest.raises(FilterInvalid):
        tickets.mint(ENV, search='"')


def test_a_ticket_that_would_not_fit_into_a_url_is_not_made(tickets: Tickets) -> None:
    with pytest.raises(ParameterInvalid):
        tickets.mint(ENV, services=[f"{number:0200}" for number in range(20)])


def test_from_the_longest_share_link_tickets_and_reconnect_tokens_are_made(tickets: Tickets) -> None:
    share, longest = "", 0
    for length in range(2500, 3200):
        try:
            share = tickets.mint_share(ENV, services=["x" * length]).text
            longest = length
        except ParameterInvalid:
            break

    assert longest > 2500
    grant = tickets.redeem(exchanged(tickets, share).text, ENV)
    token = tickets.reconnect_token(grant) or ""
    assert len(token) <= 4096
    assert tickets.come_back(token, ENV).scope == grant.scope


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_p11_a_service_secret_that_is_too_short_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        Tickets(secret)

    assert "LOGRELAY_SERVICE_SECRET" in str(caught.value)
    assert not secret or secret not in str(caught.value)


def test_the_service_secret_is_known_whole_only(tickets: Tickets) -> None:
    assert tickets.is_service(SECRET)
    assert not any(
        map(tickets.is_service, ["", SECRET[:-1], SECRET + "x", SECRET.upper(), "é" * 40, "\udc80"])
    )


async def test_no_credential_stands_in_a_log_line_a_repr_or_an_error(
    clock: Clock, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    tickets = clock.tickets(share_links=True, revocations_file=tmp_path / "revoked")
    share, minted = tickets.mint_share(ENV, subject="ada\x1b[31m" + "x" * 300), tickets.mint(ENV)
    grant = tickets.redeem(minted.text, ENV)
    token = tickets.reconnect_token(grant) or ""
    made = [exchanged(tickets, share.text).text, share.text, minted.text, token, SECRET]
    seen = [repr(tickets), repr(minted), repr(share), repr(grant), repr(Credential(Source.HEADER, token))]

    for text in [*made, *(text[:-1] for text in made)]:
        seen += [str(refused(lambda text=text: tickets.redeem(text, OTHER)))]  # type: ignore[misc]
        seen += [str(refused(lambda text=text: tickets.come_back(text, OTHER)))]  # type: ignore[misc]
    await tickets.revoke_ticket(minted.id)
    await tickets.revoke_subject("ada")

    logged = [f"{vars(record)} {record.getMessage()} {record.exc_text}" for record in caplog.records]
    assert any("'subject': 'ada?[31mxxx" in row for row in logged)
    assert not any("x" * 65 in row or "\x1b" in row for row in logged)
    for text in made:
        signature = text.rpartition(".")[2]
        assert not any(signature in row for row in [*logged, *seen, (tmp_path / "revoked").read_text()])
    assert {record.reason for record in caplog.records if hasattr(record, "reason")} <= {
        "signature", "not_waiting", "environment", "expired", "revoked", "kind", "search",
    }  # fmt: skip
