import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs
import pytest
from aiohttp import web
from web_harness import DEADLINE

from logrelay.errors import CloseCode, Disconnect
from logrelay.relay import timestamps
from logrelay.web import answers
from logrelay.web.grants import Grant
from logrelay.web.tickets import Tickets
from logrelay.web.tickets_api import BODY_LIMIT, Patience, TicketsApi

SECRET = "a service secret for tests, of many characters"
ENV = "env-1"
PAGE = "https://app.example.com"
SECOND = 1_000_000_000


@attrs.define
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> Any:
        return self.body["error"]["code"]

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


@attrs.define
class Service:
    """The API on loopback, and a client of it. `steady` is the clock of the wrong secrets' bucket."""

    tickets: Tickets
    session: aiohttp.ClientSession
    base_path: str = ""
    body_timeout: float = 5.0
    steady: float = 0.0
    port: int = 0
    runner: answers.Runner | None = None

    async def start(self) -> None:
        app = web.Application()
        api = TicketsApi(
            self.tickets,
            may_serve={ENV, "env-2"}.__contains__,
            origin_ok=lambda request: request.headers.get("Origin") in (None, PAGE),
            base_path=self.base_path,
            body_timeout=self.body_timeout,
            patience=Patience(monotonic=lambda: self.steady),
        )
        assert [route.method for route in api.add_routes(app)] == ["POST"]
        app.middlewares.append(answers.plain_errors)
        app.on_response_prepare.append(answers.finish)
        self.runner = answers.Runner(app, access_log=None, shutdown_timeout=0.5)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]

    async def ask(
        self,
        method: str = "POST",
        path: str = "/api/tickets",
        *,
        secret: str | None = SECRET,
        body: Any = None,
        headers: Any = (),
        **options: Any,
    ) -> Answer:
        shown = list(dict(headers).items() if isinstance(headers, dict) else headers)
        if secret is not None:
            shown.append(("Authorization", f"Bearer {secret}"))
        if body is not None:
            options["json"] = body
        url = f"http://127.0.0.1:{self.port}{self.base_path}{path}"
        async with (
            asyncio.timeout(DEADLINE),
            self.session.request(method, url, headers=shown, **options) as answer,
        ):
            text = await answer.text()
            assert not text or answer.content_type == "application/json"
            return Answer(answer.status, dict(answer.headers), json.loads(text) if text else None)

    async def mint(self, **fields: Any) -> Any:
        answer = await self.ask(body={"environment": ENV} | fields)
        assert answer.status == 201, answer
        return answer.body


@pytest.fixture
async def made(session: aiohttp.ClientSession) -> AsyncIterator[list[Service]]:
    made: list[Service] = []
    yield made
    for service in made:
        if service.runner is not None:
            await service.runner.cleanup()


@pytest.fixture
async def service(session: aiohttp.ClientSession, made: list[Service]) -> Service:
    return await started(made, session)


async def started(made: list[Service], session: aiohttp.ClientSession, **options: Any) -> Service:
    tickets = options.pop("tickets", None) or Tickets(SECRET, share_links=True)
    service = Service(tickets, session, **options)
    await service.start()
    made.append(service)
    return service


def refused(tickets: Tickets, text: str, environment_id: str = ENV) -> CloseCode:
    with pytest.raises(Disconnect) as caught:
        tickets.redeem(text, environment_id)
    return caught.value.code


# Making


async def test_a_ticket_is_made_and_opens_its_environment(service: Service) -> None:
    before = time.time()

    answer = await service.ask(
        body={
            "environment": ENV,
            "services": ["api"],
            "search": '"GET /"',
            "redeemSeconds": 60,
            "accessSeconds": 86400,
            "subject": "ada",
        }
    )
    grant = service.tickets.redeem(answer.body["ticket"], ENV)

    assert answer.status == 201
    assert set(answer.body) == {"id", "ticket", "expires", "accessExpires"}
    assert 60 <= timestamps.parse(answer.body["expires"]) / SECOND - before < 65
    assert 86400 <= timestamps.parse(answer.body["accessExpires"]) / SECOND - before < 86405
    assert (grant.subject, grant.ticket, grant.environments) == ("ada", answer.body["id"], {ENV})
    assert grant.scope.search == '"GET /"'
    assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_left_out_or_null_has_its_default(service: Service) -> None:
    before = time.time()

    body = await service.mint(services=None, search=None, subject=None)
    grant = service.tickets.redeem(body["ticket"], ENV)

    assert 30 <= timestamps.parse(body["expires"]) / SECOND - before < 35
    assert 3600 <= timestamps.parse(body["accessExpires"]) / SECOND - before < 3605
    assert (grant.subject, grant.scope.everything) == (None, True)


async def test_under_a_base_path_the_api_and_the_pages_lie_under_it(
    made: list[Service], session: aiohttp.ClientSession
) -> None:
    service = await started(made, session, base_path="/logs")

    body = await service.mint(share=True)

    assert body["path"] == f"/logs/environments/{ENV}#share={body['share']}"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"environment": 5}, "environment"),
        ({"environment": ""}, "environment"),
        ({"environment": "x" * 65}, "environment"),
        ({"environment": "env-1\n"}, "environment"),
        ({"environment": "../SECRET"}, "environment"),
        ({"environment": None}, "environment"),
        ({"services": "api"}, "services"),
        ({"services": []}, "services"),
        ({"services": [1]}, "services"),
        ({"services": [""]}, "services"),
        ({"services": [" SECRET"]}, "services"),
        ({"services": ["SECRET\n"]}, "services"),
        ({"services": ["x" * 201]}, "services"),
        ({"services": ["x"] * 51}, "services"),
        ({"services": {"SECRET": 1}}, "services"),
        ({"services": [str(n) * 190 for n in range(20)]}, "services"),
        ({"search": 1}, "search"),
        ({"search": "x" * 1025}, "search"),
        ({"redeemSeconds": 0}, "redeemSeconds"),
        ({"redeemSeconds": 61}, "redeemSeconds"),
        ({"redeemSeconds": -1}, "redeemSeconds"),
        ({"redeemSeconds": 1.5}, "redeemSeconds"),
        ({"redeemSeconds": "30"}, "redeemSeconds"),
        ({"redeemSeconds": True}, "redeemSeconds"),
        ({"redeemSeconds": None}, "redeemSeconds"),
        ({"accessSeconds": 0}, "accessSeconds"),
        ({"accessSeconds": 86401}, "accessSeconds"),
        ({"accessSeconds": 1e300}, "accessSeconds"),
        ({"accessSeconds": [3600]}, "accessSeconds"),
        ({"subject": ""}, "subject"),
        ({"subject": 7}, "subject"),
        ({"subject": "SECRET\n"}, "subject"),
        ({"subject": "\u202eSECRET"}, "subject"),
        ({"subject": "x" * 257}, "subject"),
        ({"share": 1}, "share"),
        ({"share": "true"}, "share"),
        ({"SECRET": 1}, "a field"),
        ({"redeem_seconds": 30}, "a field"),
    ],
)
async def test_a_field_that_is_wrong_is_named_and_its_value_is_not_repeated(
    service: Service, fields: Any, field: str
) -> None:
    answer = await service.ask(body={"environment": ENV} | fields)

    assert (answer.status, answer.error) == (400, "parameter_invalid")
    assert answer.message.startswith(field)
    assert "SECRET" not in str(answer.body)
    assert repr(service.tickets).startswith("<Tickets 0 waiting")


async def test_a_search_that_is_not_understood_is_said_where(service: Service) -> None:
    answer = await service.ask(body={"environment": ENV, "search": 'SECRET "'})

    assert (answer.status, answer.error) == (400, "filter_invalid")
    assert answer.message == "search: unbalanced quote at 8"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SECRET",
        b"[]",
        b"null",
        b'"SECRET"',
        b"{",
        b'{"environment":"env-1"}x',
        b"[" * 10_000,
        b'{"a":' * 3000,
        b"\xff\xfe",
        b"{}",
        b'{"environment":NaN}',
        b'{"environment":"\\ud800"}',
    ],
)
async def test_a_body_that_is_no_wish_is_refused(service: Service, data: bytes) -> None:
    answer = await service.ask(data=data, headers={"Content-Type": "application/json"})

    assert (answer.status, answer.error) == (400, "parameter_invalid")
    assert "SECRET" not in str(answer.body)


async def test_an_environment_that_the_relay_does_not_serve_is_refused(service: Service) -> None:
    answer = await service.ask(body={"environment": "env-3"})

    assert (answer.status, answer.error) == (403, "not_allowed")


async def test_when_too_many_tickets_wait_it_says_when_to_come_back(
    made: list[Service], session: aiohttp.ClientSession
) -> None:
    service = await started(made, session, tickets=Tickets(SECRET, waiting_limit=1))
    await service.mint()

    answer = await service.ask(body={"environment": ENV})

    assert (answer.status, answer.error, answer.headers["Retry-After"]) == (503, "full", "1")


# Bodies


async def test_the_largest_body_is_read_and_a_larger_one_is_refused(service: Service) -> None:
    wish = json.dumps({"environment": ENV}).encode()
    json_type = {"Content-Type": "application/json"}

    async def chunked(size: int) -> AsyncIterator[bytes]:
        yield wish
        yield b" " * (size - len(wish))

    for size, status in ((BODY_LIMIT, 201), (BODY_LIMIT + 1, 413)):
        whole = await service.ask(data=wish.ljust(size), headers=json_type)
        parts = await service.ask(data=chunked(size), headers=json_type)

        assert (whole.status, parts.status) == (status, status)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "compress"},
    ],
)
async def test_only_plain_json_is_read(service: Service, headers: dict[str, str]) -> None:
    answer = await service.ask(data=b'{"environment":"env-1"}', headers=headers)

    assert (answer.status, answer.error) == (415, "unsupported_media_type")


async def test_a_packed_body_is_refused_before_it_is_unpacked(service: Service) -> None:
    bomb = gzip.compress(b" " * 10_000_000)

    answer = await service.ask(
        data=bomb, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}
    )

    assert (answer.status, answer.error) == (415, "unsupported_media_type")


async def raw(service: Service, *rows: str, body: bytes = b"", rest: bytes = b"") -> bytes:
    """The answer, as it comes; the connection's end, after the rest of the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = ("POST /api/tickets HTTP/1.1", "Host: x", "Content-Type: application/json", *rows)
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    try:
        async with asyncio.timeout(DEADLINE):
            answer = await reader.readuntil(b"\r\n\r\n")
            answer += await reader.readuntil(b"}}")
            writer.write(rest)
            assert not await reader.read()
            return answer
    finally:
        writer.transport.abort()


async def test_c10_a_body_that_does_not_come_is_waited_for_so_long(
    made: list[Service], session: aiohttp.ClientSession
) -> None:
    service = await started(made, session, body_timeout=0.05)

    answer = await raw(
        service, f"Authorization: Bearer {SECRET}", "Content-Length: 100", body=b"{", rest=b" " * 99
    )

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"timeout"' in answer


async def test_whoever_has_no_secret_is_refused_without_a_look_at_the_body(service: Service) -> None:
    answer = await raw(
        service, "Authorization: Bearer wrong", "Content-Length: 100", body=b"{", rest=b" " * 99
    )

    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_body_in_broken_chunks_is_a_bad_request(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await raw(
        service,
        f"Authorization: Bearer {SECRET}",
        "Transfer-Encoding: chunked",
        body=b"2\r\n{}\r\nSECRET\r\n",
    )

    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"SECRET" not in answer
    assert not any("SECRET" in f"{vars(record)}{record.exc_text}" for record in caplog.records)
    assert not any(record.levelname == "ERROR" for record in caplog.records)


# Who may


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", SECRET)],
        [("Authorization", f"Basic {SECRET}")],
        [("Authorization", f"Bearer {SECRET}x")],
        [("Authorization", f"Bearer {SECRET[:-1]}")],
        [("Authorization", f"Bearer {SECRET.upper()}")],
        [("Authorization", f"Bearer {SECRET}"), ("Authorization", f"Bearer {SECRET}")],
        [("Authorization", "Bearer é")],
        [("Cookie", f"secret={SECRET}")],
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/tickets"), ("DELETE", "/api/tickets/x"), ("DELETE", "/api/subjects/ada")],
)
async def test_without_the_service_secret_nothing_is_done(
    service: Service, headers: Any, method: str, path: str
) -> None:
    grant = Grant("jwt", subject="ada")

    answer = await service.ask(method, path, secret=None, headers=headers, json={"environment": ENV})

    assert (answer.status, answer.error) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not service.tickets.revoked(grant)
    assert repr(service.tickets) == repr(Tickets(SECRET))


async def test_tickets_and_reconnect_tokens_make_and_revoke_nothing(service: Service) -> None:
    minted = service.tickets.mint(ENV)
    token = service.tickets.reconnect_token(service.tickets.redeem(service.tickets.mint(ENV).text, ENV)) or ""
    share = service.tickets.mint_share(ENV).text

    for text in (minted.text, token):
        assert (await service.ask(secret=text)).status == 401
    for text in (minted.text, token, share):
        assert (await service.ask("DELETE", f"/api/tickets/{minted.id}", secret=text)).status == 401
        assert (await service.ask("DELETE", "/api/subjects/ada", secret=text)).status == 401

    assert service.tickets.redeem(minted.text, ENV).ticket == minted.id


async def test_the_name_of_the_scheme_is_read_in_any_case(service: Service) -> None:
    answer = await service.ask(
        secret=None, headers={"Authorization": f"bEaReR  {SECRET}"}, body={"environment": ENV}
    )

    assert answer.status == 201


async def test_too_many_wrong_secrets_are_told_to_wait_and_the_right_one_is_not_kept_out(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    first = [(await service.ask(secret=f"wrong {number}")).status for number in range(10)]
    wrong = await service.ask("DELETE", "/api/tickets/x", secret="wrong")
    right = await service.ask(body={"environment": ENV})
    service.steady += 0.11
    again = [(await service.ask(secret="wrong")).status for _ in range(2)]

    assert first == [401] * 10
    assert (wrong.status, wrong.error, wrong.headers["Retry-After"]) == (429, "too_many_requests", "1")
    assert right.status == 201
    assert again == [401, 429]
    refusals = [record for record in caplog.records if record.message == "ticket request refused"]
    assert len(refusals) == 11


@pytest.mark.parametrize(("origin", "status"), [(None, 201), (PAGE, 201), ("https://evil.example", 403)])
async def test_a_page_of_a_foreign_origin_may_not_ask(
    service: Service, origin: str | None, status: int
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    share = service.tickets.mint_share(ENV).text

    by_service = await service.ask(headers=headers, body={"environment": ENV})
    by_page = await service.ask(headers=headers, secret=share)

    assert (by_service.status, by_page.status) == (status, status)
    if status == 403:
        assert by_page.error == "origin_not_allowed"


# Share links


@pytest.mark.parametrize("body", [b"", b"{}", b" { } \n"])
async def test_a_share_link_is_made_and_exchanged_for_a_ticket(service: Service, body: bytes) -> None:
    shared = await service.mint(share=True, services=["api"], accessSeconds=20, subject="ada")

    answer = await service.ask(secret=shared["share"], data=body)
    grant = service.tickets.redeem(answer.body["ticket"], ENV)

    assert set(shared) == {"id", "share", "path", "expires"}
    assert shared["path"] == f"/environments/{ENV}#share={shared['share']}"
    assert answer.status == 201
    assert set(answer.body) == {"id", "ticket", "expires"}
    assert answer.body["expires"] == shared["expires"]
    assert answer.body["id"] != shared["id"]
    assert (grant.subject, grant.ticket) == ("ada", answer.body["id"])
    assert not grant.scope.everything


async def test_a_share_links_ticket_cannot_be_wished_otherwise(service: Service) -> None:
    share = service.tickets.mint_share(ENV, services=["api"]).text

    answer = await service.ask(secret=share, body={"environment": "env-2", "services": ["db"]})

    assert (answer.status, answer.error) == (400, "parameter_invalid")
    assert repr(service.tickets).startswith("<Tickets 0 waiting")


async def test_a_share_link_of_an_environment_that_is_not_served_any_more_is_refused(
    service: Service,
) -> None:
    share = service.tickets.mint_share("env-3").text

    answer = await service.ask(secret=share)

    assert (answer.status, answer.error) == (403, "not_allowed")


async def test_share_links_are_off_unless_switched_on(
    made: list[Service], session: aiohttp.ClientSession, service: Service
) -> None:
    off = await started(made, session, tickets=Tickets(SECRET))
    share = service.tickets.mint_share(ENV).text

    making = await off.ask(body={"environment": ENV, "share": True})
    exchange = await off.ask(secret=share)

    assert (making.status, making.error) == (403, "not_allowed")
    assert (exchange.status, exchange.error) == (401, "unauthenticated")


# Revoking


async def test_a_ticket_and_a_share_link_are_revoked_by_their_ids(service: Service) -> None:
    minted, shared = await service.mint(), await service.mint(share=True)
    seen: list[str] = []
    service.tickets.on_revoked = lambda: seen.append("again")

    for made in (minted, shared, minted):  # a second time is fine
        answer = await service.ask("DELETE", f"/api/tickets/{made['id']}")
        assert (answer.status, answer.body) == (204, None)

    assert refused(service.tickets, minted["ticket"]) is CloseCode.UNAUTHENTICATED
    assert (await service.ask(secret=shared["share"])).status == 401
    assert len(seen) == 3


async def test_an_unknown_ticket_or_subject_is_revoked_all_the_same(service: Service) -> None:
    assert (await service.ask("DELETE", "/api/tickets/nobody_knows-it")).status == 204
    assert (await service.ask("DELETE", "/api/subjects/nobody")).status == 204


@pytest.mark.parametrize(
    "subject", ["ada", "auth0|a/b", "ada@example.com", "é ü", "100%", "%2F", "..", "a?b#c", "{guid}"]
)
async def test_a_subject_is_revoked_whatever_its_name(service: Service, subject: str) -> None:
    minted = await service.mint(subject=subject)
    path = "/api/subjects/" + quote(subject, safe="").replace(".", "%2E")
    url = aiohttp.client.URL(f"http://127.0.0.1:{service.port}{path}", encoded=True)

    async with service.session.delete(url, headers={"Authorization": f"Bearer {SECRET}"}) as answer:
        assert answer.status == 204

    assert refused(service.tickets, minted["ticket"]) is CloseCode.UNAUTHENTICATED
    assert service.tickets.redeem((await service.mint(subject=subject))["ticket"], ENV).subject == subject


async def test_what_can_be_no_id_or_subject_is_said_to_be_none(service: Service) -> None:
    ticket = (await service.mint())["ticket"]

    for path in (f"/api/tickets/{ticket}", f"/api/subjects/{'x' * 257}", "/api/subjects/%00"):
        answer = await service.ask("DELETE", path)

        assert (answer.status, answer.error) == (400, "parameter_invalid")
        assert ticket not in str(answer.body)


async def test_revocations_that_find_no_place_are_503(
    made: list[Service], session: aiohttp.ClientSession
) -> None:
    service = await started(made, session, tickets=Tickets(SECRET, revocations_limit=1))
    await service.ask("DELETE", "/api/tickets/one")

    answer = await service.ask("DELETE", "/api/tickets/two")

    assert (answer.status, answer.error) == (503, "full")
    assert 86_000 < int(answer.headers["Retry-After"]) <= 86_400


async def test_a_revocation_that_cannot_be_written_is_in_force_and_503(
    made: list[Service], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "revoked"
    file.parent.mkdir()
    service = await started(made, session, tickets=Tickets(SECRET, revocations_file=file))
    minted = await service.mint()
    file.unlink()
    file.parent.rmdir()

    answer = await service.ask("DELETE", f"/api/tickets/{minted['id']}")

    assert (answer.status, answer.error, answer.headers["Retry-After"]) == (503, "not_kept", "1")
    assert refused(service.tickets, minted["ticket"]) is CloseCode.UNAUTHENTICATED
    file.parent.mkdir()
    assert (await service.ask("DELETE", f"/api/tickets/{minted['id']}")).status == 204
    assert minted["id"] in await asyncio.to_thread(file.read_text)


# The rest


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/tickets", 405),
        ("PUT", "/api/tickets", 405),
        ("GET", "/api/tickets/x", 405),
        ("POST", "/api/subjects/x", 405),
        ("DELETE", "/api/tickets/", 404),
        ("DELETE", "/api/subjects", 404),
        ("DELETE", "/api/tickets/x/y", 404),
    ],
)
async def test_there_is_nothing_else(service: Service, method: str, path: str, status: int) -> None:
    assert (await service.ask(method, path)).status == status


async def test_no_secret_is_logged_or_told(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    share = await service.mint(share=True, subject="ada")
    ticket = await service.mint()
    told: list[Answer] = []
    for secret in (SECRET[:-1], share["share"] + "x", ticket["ticket"]):
        told.append(await service.ask(secret=secret))
        told.append(await service.ask("DELETE", "/api/tickets/x", secret=secret))
    told.append(await service.ask("DELETE", f"/api/tickets/{ticket['ticket']}"))
    told.append(await service.ask(body={"environment": ticket["ticket"], SECRET: share["share"]}))

    logged = [f"{vars(record)} {record.getMessage()} {record.exc_text}" for record in caplog.records]
    assert any("ticket minted" in row for row in logged)
    for secret in (SECRET[:-1], share["share"], ticket["ticket"]):
        assert not any(secret in row for row in logged)
        assert not any(secret in f"{answer.headers}{answer.body}" for answer in told)
