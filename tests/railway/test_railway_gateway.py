import asyncio
import contextlib
import json
import logging
import shutil
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from railway_peers import Seen, answering, listening, piping, proxying

from logrelay import __version__, logs
from logrelay.errors import BudgetSpent, Scope, UpstreamRefused, UpstreamUnavailable
from logrelay.railway import network, rows
from logrelay.railway.answers import QueryFailed
from logrelay.railway.archive import Archive
from logrelay.railway.budget import Budget
from logrelay.railway.gateway import Addresses, Credential, Gateway
from logrelay.railway.transport import Batch, SubscriptionEnded
from logrelay.railway.verdicts import Kind
from logrelay.standin import Environment, StandIn, World

JSON = {"Content-Type": "application/json"}
MALFORMED = '{"errors":[{"message":"Cannot query","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}'
PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def dead() -> AsyncIterator[Seen]:
    async with listening() as seen:
        yield seen


def addresses(port: int, scheme: str = "") -> Addresses:
    return Addresses(
        f"http{scheme}://127.0.0.1:{port}/graphql/v2", f"ws{scheme}://127.0.0.1:{port}/graphql/v2"
    )


async def failure(gateway: Gateway) -> Any:
    with pytest.raises(QueryFailed) as failed:
        await gateway.query("BearerScope", {})
    return failed.value.verdict


async def first(gateway: Gateway, environment: Environment) -> Batch:
    variables: dict[str, object] = {"environmentId": environment.id, "beforeLimit": 10}
    async with gateway.subscription(variables) as batches, asyncio.timeout(3):
        return await anext(batches)


# -- what is sent --------------------------------------------------------------------------------------------


async def test_a_bearer_token_goes_into_the_header_and_the_init_payload(
    railway: StandIn, world: World, environment: Environment, gateway: Gateway
) -> None:
    await gateway.query("BearerScope", {})
    await first(gateway, environment)

    (asked,) = railway.journal.queries
    (connection,) = railway.journal.connections
    bearer = f"Bearer {world.account_token}"
    assert asked.headers["Authorization"] == connection.headers["Authorization"] == bearer
    assert connection.init_payload == {"Authorization": bearer}
    assert "Project-Access-Token" not in connection.headers
    assert connection.headers["User-Agent"] == asked.headers["User-Agent"] == f"logrelay/{__version__}"
    assert connection.headers["Sec-WebSocket-Protocol"] == "graphql-transport-ws"


async def test_a_project_token_goes_into_its_header_only(
    railway: StandIn, world: World, environment: Environment, open_gateway: Any
) -> None:
    gateway = await open_gateway(Credential(world.project_token, project=True))

    assert await gateway.own_environment() == environment.id
    await first(gateway, environment)

    (connection,) = railway.journal.connections
    for headers in (railway.journal.queries[0].headers, connection.headers):
        assert headers["Project-Access-Token"] == world.project_token
        assert "Authorization" not in headers
    assert world.project_token not in json.dumps(connection.frames)


async def test_a_netrc_changes_nothing(
    railway: StandIn,
    open_gateway: Any,
    environment: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    gateway = await open_gateway()

    await gateway.query("BearerScope", {})
    await first(gateway, environment)

    assert railway.journal.queries[0].headers["Authorization"].startswith("Bearer ")


async def test_one_session_serves_all_subscriptions(
    railway: StandIn, environment: Environment, gateway: Gateway
) -> None:
    session = gateway._session
    for _ in range(3):
        await first(gateway, environment)

    assert gateway._session is session
    assert railway.journal.total_connections == 3
    assert [connection.close_code for connection in railway.journal.connections] == [1000] * 3


async def test_a_gateway_has_to_be_entered(world: World) -> None:
    gateway = Gateway(Credential(world.account_token))

    with pytest.raises(RuntimeError):
        await gateway.query("BearerScope", {})
    with pytest.raises(RuntimeError):
        await first(gateway, world.environment)
    await gateway.__aexit__()


# -- what comes back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, JSON, '{"errors":[{"message":"Not Authorized"}],"data":null}'), Kind.REFUSED),
        ((400, JSON, MALFORMED), Kind.MISFIT),
        ((400, {"Content-Type": "application/json"}, '{"message":"no"}'), Kind.MISFIT),
        ((400, {"Content-Type": "text/plain"}, "no"), Kind.MISFIT),
        ((401, {"Content-Type": "application/json"}, "{}"), Kind.REFUSED),
        ((403, {"Content-Type": "text/html"}, "<title>Access denied</title>"), Kind.BLOCKED),
        ((502, {"Content-Type": "text/html"}, "<h1>bad</h1>"), Kind.TRANSIENT),
        ((200, {"Content-Type": "text/html"}, "<h1>hello</h1>"), Kind.TRANSIENT),
        ((200, {}, ""), Kind.TRANSIENT),
        ((200, {}, "7"), Kind.TRANSIENT),
        ((200, {}, '"data"'), Kind.TRANSIENT),
        ((200, {}, "[]"), Kind.TRANSIENT),
        ((200, {}, '{"data":null}'), Kind.TRANSIENT),
        ((200, {}, "[" * 100_000), Kind.TRANSIENT),
    ],
)  # fmt: skip
async def test_an_answer_is_judged(railway: StandIn, gateway: Gateway, answer: Any, kind: Kind) -> None:
    railway.faults.http = answer

    assert (await failure(gateway)).kind is kind
    assert not gateway.authorised


async def test_bad_bytes_cost_a_character_and_not_the_page(open_gateway: Any) -> None:
    body = b'{"data":{"apiToken":{"workspaces":[{"name":"caf\xff \\ud83d"}]}}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with answering(head.encode() + body) as other:
        gateway = await open_gateway(addresses=addresses(other.port))

        data = await gateway.query("BearerScope", {})

    assert data["apiToken"]["workspaces"][0]["name"].startswith("caf\ufffd ")


@pytest.mark.parametrize("how", ["status", "message"])
async def test_u3_a_limit_shuts_the_gate_for_everybody(railway: StandIn, gateway: Gateway, how: str) -> None:
    if how == "status":
        railway.faults.http = (429, {"Retry-After": "30", "Content-Type": "application/json"}, "{}")
    else:
        railway.faults.query_error = "Too many requests"

    assert (await failure(gateway)).kind is Kind.LIMITED
    with pytest.raises(UpstreamUnavailable) as unavailable:
        await gateway.query("BearerScope", {})

    assert unavailable.value.retry_after == pytest.approx(30 if how == "status" else 60, abs=1)
    assert len(railway.journal.queries) == 1


async def test_a_spent_budget_asks_nothing(railway: StandIn, open_gateway: Any) -> None:
    gateway = await open_gateway(budget=Budget(per_hour=1, per_second=10))
    await gateway.query("BearerScope", {})

    with pytest.raises(BudgetSpent):
        await gateway.query("BearerScope", {})

    assert len(railway.journal.queries) == 1


async def test_a_query_that_takes_too_long_is_transient(railway: StandIn, open_gateway: Any) -> None:
    railway.faults.query_delay = 5.0

    verdict = await failure(await open_gateway(query_timeout=0.05))

    assert (verdict.kind, verdict.reason) == (Kind.TRANSIENT, "Railway did not answer in time")


async def test_u1_a_refused_query_is_transient(railway: StandIn, gateway: Gateway) -> None:
    await railway.stop_listening()

    assert (await failure(gateway)).reason == "Railway can't be reached"


async def test_the_scope_of_a_refusal_is_asked_for(railway: StandIn, world: World, gateway: Gateway) -> None:
    assert await gateway.scope_of_refusal() is Scope.ENVIRONMENT
    world.tokens.clear()
    assert await gateway.scope_of_refusal() is Scope.CREDENTIAL
    assert gateway.rejected
    railway.faults.query_error = "Problem processing request"
    assert (
        await gateway.scope_of_refusal() is Scope.ENVIRONMENT
    )  # it was good once, and nobody says otherwise
    gateway.gate.shut(5)
    gateway.authorised = False

    assert await gateway.scope_of_refusal() is Scope.CREDENTIAL


async def test_a_project_token_without_an_environment_is_refused(railway: StandIn, gateway: Gateway) -> None:
    railway.faults.http = (200, {"Content-Type": "application/json"}, '{"data":{"projectToken":null}}')

    with pytest.raises(UpstreamRefused):
        await gateway.own_environment()


@pytest.mark.parametrize("page", ["null", '"x"', "{}"])
async def test_a_page_that_is_no_list_is_transient(
    railway: StandIn, environment: Environment, gateway: Gateway, page: str
) -> None:
    archive = Archive(gateway, environment.id)
    railway.faults.http = (200, JSON, '{"data":{"environmentLogs":' + page + "}}")

    with pytest.raises(QueryFailed) as failed:
        await archive.newest(5)

    assert failed.value.verdict.kind is Kind.TRANSIENT
    assert repr(archive) == f"<Archive {environment.id}>"


async def test_rows_of_a_page_that_cannot_be_read_are_counted(
    railway: StandIn, environment: Environment, gateway: Gateway
) -> None:
    railway.faults.http = (200, JSON, '{"data":{"environmentLogs":[{},{"timestamp":"x","message":""}]}}')

    fetched = await Archive(gateway, environment.id).window(1, 2)

    assert (fetched.rows, fetched.unreadable, fetched.size) == ([], 2, 2)


# -- the credential ------------------------------------------------------------------------------------------


def test_a_credential_is_read_again_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    credential = Credential("old", path=path)
    assert not credential.reread()
    for unchanged in (b"", b" \n", b"old\n", b"\xff\xfe"):
        path.write_bytes(unchanged)
        assert not credential.reread()
    path.write_bytes(b" new\n")

    assert credential.reread()
    assert credential.value == "new"
    assert not Credential("old").reread()


async def test_a_new_token_in_the_file_is_found_without_a_signal(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    gateway = Gateway(Credential("old", path=path))
    waiting = asyncio.create_task(gateway.renewed(0, look_every=0.01))

    path.write_text("new")

    async with asyncio.timeout(5):
        await waiting
    assert gateway.credential.value == "new"


async def test_whoever_waits_for_a_new_token_hears_of_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    gateway = Gateway(Credential("old", path=path))
    gateway.rejected = True
    waiting = asyncio.create_task(gateway.renewed(0))
    await asyncio.sleep(0)
    path.write_text("new")

    assert gateway.reread_credential()
    await waiting
    await gateway.renewed(0)

    assert (gateway.renewals, gateway.rejected) == (1, False)


async def test_no_secret_shows_in_logs_exceptions_or_reprs(
    railway: StandIn, world: World, open_gateway: Any, follow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logs.quieten()
    caplog.set_level(logging.DEBUG)
    for name in ("asyncio", "aiohttp", "aiohttp.client", "logrelay"):
        caplog.set_level(logging.DEBUG, logger=name)
    shown: list[str] = []
    for credential in (Credential(world.account_token), Credential(world.project_token, project=True)):
        gateway = await open_gateway(credential)
        sink = follow(gateway, refused_delay=0.02)
        await sink.state("live")
        world.environment.write("a line")
        await sink.message("a line")
        for blow in ("{", b"\x00", "null"):
            await railway.faults.send_raw(blow)
            await sink.state("live", sink.states.count("live") + 1)
        railway.faults.no_subprotocol = True
        await railway.faults.reset()
        await sink.state("refused")
        railway.faults.reset_all()
        for status in (401, 403, 429, 500):
            railway.faults.http = railway.faults.refuse_upgrade = (status, {"Retry-After": "0"}, "no", 1)
            try:
                await gateway.query("BearerScope", {})
            except QueryFailed as failed:
                shown += [str(failed), repr(failed), *traceback.format_exception(failed)]
            with contextlib.suppress(SubscriptionEnded):
                await first(gateway, world.environment)
        shown += [
            repr(gateway),
            repr(credential),
            repr(gateway.addresses),
            repr(sink.refusals),
            str(sink.log),
        ]
        railway.faults.reset_all()

    shown += [str(vars(record)) for record in caplog.records]
    text = "\n".join([*shown, caplog.text])
    assert "upstream live" in text
    assert world.account_token not in text
    assert world.project_token not in text
    assert "a line" not in caplog.text


# -- proxies and certificates --------------------------------------------------------------------------------


def test_a_proxy_is_looked_up_by_scheme_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://plain:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://secure:2")
    monkeypatch.setenv("NO_PROXY", "inside.example,127.0.0.1")

    assert network.proxy_for("http://railway.example/x") == "http://plain:1"
    assert network.proxy_for("ws://railway.example/x") == "http://plain:1"
    assert network.proxy_for("wss://railway.example:8443/x") == "http://secure:2"
    assert network.proxy_for("wss://inside.example/x") is None
    assert network.proxy_for("ws://127.0.0.1:5/x") is None


def test_without_variables_there_is_no_proxy() -> None:
    assert network.proxy_for("wss://railway.example/x") is None


async def test_a_plain_proxy_carries_queries_and_sockets(
    railway: StandIn, environment: Environment, open_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxying() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        gateway = await open_gateway()

        await first(gateway, environment)
        await gateway.query("BearerScope", {})

        assert [head.split()[0] for head in proxy.heads] == ["GET", "POST"]
        assert all(head.split()[1] == railway.url for head in proxy.heads)
    assert railway.journal.total_connections == 1


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for loopback that is its own authority, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
async def secure(railway: StandIn, certificate: tuple[Path, Path]) -> AsyncIterator[Seen]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with piping(int(railway.url.split(":")[2].split("/")[0]), context) as seen:
        yield seen


@pytest.fixture
async def secured(
    secure: Seen, certificate: tuple[Path, Path], open_gateway: Any
) -> Callable[[], Awaitable[Gateway]]:
    async def secured() -> Gateway:
        gateway: Gateway = await open_gateway(addresses=addresses(secure.port, "s"), ca_file=certificate[0])
        return gateway

    return secured


async def test_an_own_authority_is_trusted(secured: Any, environment: Environment) -> None:
    gateway = await secured()

    await gateway.query("BearerScope", {})

    assert (await first(gateway, environment)).answered


async def test_u1_a_certificate_of_nobody_knows_whom_is_never_accepted(
    railway: StandIn, secure: Seen, environment: Environment, open_gateway: Any
) -> None:
    gateway = await open_gateway(addresses=addresses(secure.port, "s"))

    assert "certificate" in (await failure(gateway)).reason
    with pytest.raises(SubscriptionEnded) as ended:
        await first(gateway, environment)

    assert "certificate" in ended.value.verdict.reason
    assert railway.journal.queries == []


async def test_a_proxy_tunnels_what_is_encrypted(
    secured: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        gateway = await secured()

        await gateway.query("BearerScope", {})
        await first(gateway, environment)

        assert {head.split()[0] for head in proxy.heads} == {"CONNECT"}
        assert not any("Bearer" in head for head in proxy.heads)


# -- one subscription ----------------------------------------------------------------------------------------


async def ending(gateway: Gateway, environment: Environment) -> Any:
    try:
        async with gateway.subscription({"environmentId": environment.id}) as batches, asyncio.timeout(3):
            async for _ in batches:
                pass
    except SubscriptionEnded as ended:
        return ended.verdict
    raise AssertionError("a subscription ends by an exception")


async def test_a_completed_subscription_ends_normally(
    railway: StandIn, environment: Environment, gateway: Gateway
) -> None:
    railway.faults.complete_at_once = True

    assert (await ending(gateway, environment)).kind is Kind.NORMAL


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_upgrade_is_a_misfit(
    environment: Environment, open_gateway: Any, head: bytes
) -> None:
    async with answering(head) as other:
        gateway = await open_gateway(addresses=addresses(other.port))

        assert (await ending(gateway, environment)).kind is Kind.MISFIT


async def test_an_answer_that_is_no_http_is_transient(environment: Environment, open_gateway: Any) -> None:
    async with answering(b"SSH-2.0-OpenSSH\r\n") as other:
        gateway = await open_gateway(addresses=addresses(other.port))

        assert (await ending(gateway, environment)).kind in {Kind.TRANSIENT, Kind.MISFIT}


async def test_u7_a_server_that_never_answers_the_upgrade_is_given_up(
    dead: Seen, environment: Environment, open_gateway: Any, gateway: Gateway
) -> None:
    timeouts = attrs.evolve(gateway._timeouts, opening=0.1)
    quick = await open_gateway(addresses=addresses(dead.port), timeouts=timeouts)

    assert (await ending(quick, environment)).reason == "Railway did not acknowledge in time"


@pytest.mark.parametrize("greeting", ['{"type":"ping"}', '{"type":"pong"}'])
async def test_a_ping_before_the_ack_is_answered(
    railway: StandIn, environment: Environment, gateway: Gateway, greeting: str
) -> None:
    railway.faults.slow_ack = 0.05
    opening = asyncio.create_task(first(gateway, environment))
    await railway.until(lambda: bool(railway.journal.connections and railway.journal.connections[0].frames))

    await railway.faults.send_raw(greeting)

    assert (await opening).answered
    kinds = [frame["type"] for frame in railway.journal.connections[0].frames]
    assert ("pong" in kinds) is ("ping" in greeting)


@pytest.mark.parametrize("message", ['{"type":"complete","id":"1"}', "nonsense", b"\x00"])
async def test_anything_else_before_the_ack_is_an_error(
    railway: StandIn, environment: Environment, gateway: Gateway, message: Any
) -> None:
    railway.faults.never_ack = True
    opening = asyncio.create_task(ending(gateway, environment))
    await railway.until(lambda: bool(railway.journal.connections and railway.journal.connections[0].frames))

    await railway.faults.send_raw(message)

    assert (await opening).reason == "Railway sent a message that can't be read"


async def test_a_close_before_the_ack_is_judged_by_its_code(
    railway: StandIn, environment: Environment, gateway: Gateway
) -> None:
    railway.faults.never_ack = True
    opening = asyncio.create_task(ending(gateway, environment))
    await railway.until(lambda: bool(railway.journal.connections and railway.journal.connections[0].frames))

    await railway.faults.close(4403, "Forbidden")

    assert (await opening).kind is Kind.REFUSED


async def test_leaving_in_the_middle_of_a_stalled_goodbye_leaves_nothing_behind(
    railway: StandIn, environment: Environment, gateway: Gateway
) -> None:
    entered = asyncio.Event()

    async def use() -> None:
        async with gateway.subscription({"environmentId": environment.id}) as batches:
            await anext(batches)
            entered.set()
            await anext(batches)

    using = asyncio.create_task(use())
    await entered.wait()
    railway.faults.stall = True
    using.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    using.cancel()
    await asyncio.wait([using])

    assert using.cancelled()
    railway.faults.stall = False


async def test_frames_that_nobody_takes_stop_the_reading(
    railway: StandIn, environment: Environment, open_gateway: Any
) -> None:
    gateway = await open_gateway(max_waiting_bytes=2000)
    async with gateway.subscription({"environmentId": environment.id}) as batches, asyncio.timeout(5):
        await anext(batches)
        for n in range(50):
            environment.write(f"{n} " + "x" * 500)
            await railway.flush()

        got = 0
        while got < 50:
            got += len((await anext(batches)).rows)

    assert got == 50


async def test_u14_a_fault_of_our_own_in_reading_ends_the_subscription_and_not_in_silence(
    environment: Environment, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(_frame: bytes) -> Any:
        raise KeyError("never thought of")

    async with gateway.subscription({"environmentId": environment.id}) as batches, asyncio.timeout(3):
        await anext(batches)
        monkeypatch.setattr(rows, "decode", decode)
        environment.write("odd")
        with pytest.raises(SubscriptionEnded) as ended:
            await anext(batches)

    assert ended.value.verdict.reason == "Railway sent a message that can't be read"
