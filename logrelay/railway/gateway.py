"""The way to Railway: sessions, tokens, the request budget, and the translation of foreign errors."""

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
import attrs
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportError

from logrelay import __version__
from logrelay.errors import Scope, UpstreamRefused, UpstreamUnavailable
from logrelay.railway import operations, rows, verdicts
from logrelay.railway.answers import QueryFailed, check_status, of_at_most, of_failed_query
from logrelay.railway.budget import Budget, Gate
from logrelay.railway.network import proxy_for, refuse_redirect
from logrelay.railway.transport import (
    Batch,
    LogTransport,
    SubscriptionEnded,
    Timeouts,
)
from logrelay.railway.verdicts import Kind, Verdict

_USER_AGENT = f"logrelay/{__version__}"  # the edge refuses some default agents (facts.md section 1)

logger = logging.getLogger(__name__)


@attrs.define
class Credential:
    """The token for Railway; re-read from its file, where it has one, after a refusal and on SIGHUP."""

    value: str = attrs.field(repr=False)
    project: bool = False  # a project token: one environment, another header (facts.md section 2)
    path: Path | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that carry it."""
        if self.project:
            return {"Project-Access-Token": self.value}
        return {"Authorization": f"Bearer {self.value}"}

    @property
    def init_payload(self) -> dict[str, str]:
        """What `connection_init` carries: a bearer token again, but never a project token (facts.md section 2)."""
        return {} if self.project else {"Authorization": f"Bearer {self.value}"}

    def reread(self) -> bool:
        """Read the file again; whether the token has changed."""
        if self.path is None:
            return False
        try:
            value = self.path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return False
        if not value or value == self.value:
            return False
        if not (value.isascii() and value.isprintable() and " " not in value):
            logger.warning("the token's file holds no token, the last one stays")
            return False
        self.value = value
        return True


@attrs.frozen
class Addresses:
    """Where Railway's API is."""

    http: str = "https://backboard.railway.com/graphql/v2"
    websocket: str = "wss://backboard.railway.com/graphql/v2"


class Gateway:
    """All that goes to Railway goes through here. Use it as an async context manager.

    One `aiohttp.ClientSession` carries every subscription; queries go over gql's HTTP transport, which makes a
    session of its own on the same connector.
    """

    def __init__(
        self,
        credential: Credential,
        addresses: Addresses | None = None,
        *,
        budget: Budget | None = None,
        timeouts: Timeouts | None = None,
        query_timeout: float = 30.0,  # seconds
        openings: int = 3,  # subscriptions opening at once (facts.md section 3)
        max_message_bytes: int = 256 * 1024 * 1024,  # of one frame, and of one answer
        max_waiting_bytes: int = 64 * 1024 * 1024,  # of frames that a feed has no time for yet
        ca_file: Path | None = None,
    ) -> None:
        self.credential = credential
        self.addresses = addresses or Addresses()
        self.budget = budget or Budget()
        self.gate = Gate()
        self.openings = asyncio.Semaphore(openings)
        self.renewals = 0  # how often the token has changed
        self.rejected = False  # whether the credential is known to be good for nothing
        self.ends: Counter[str] = Counter()  # of the feeds' tries, by Kind's value; for metrics
        self._renewed = asyncio.Event()  # set, and replaced, when the token has changed
        self._timeouts = timeouts or Timeouts()
        self._query_timeout = query_timeout
        self._max_message_bytes = max_message_bytes
        self._max_waiting_bytes = max_waiting_bytes
        self._ca_file = ca_file
        self._resources = contextlib.AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None
        self._queries: AIOHTTPTransport | None = None
        self.authorised = False  # whether the credential has ever been good for something

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        # aiohttp rounds timers above the threshold up to whole seconds; the ping's must find a dead socket in time.
        connector = aiohttp.TCPConnector(ssl=context, limit=0, timeout_ceil_threshold=3600.0)
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(refuse_redirect)
        shared: dict[str, Any] = {
            "connector": connector,
            "headers": {"User-Agent": _USER_AGENT},
            "trace_configs": [trace],
            "trust_env": False,  # proxies are looked up in network.py
            "cookie_jar": aiohttp.DummyCookieJar(),
        }
        self._session = await self._resources.enter_async_context(
            aiohttp.ClientSession(**shared, timeout=aiohttp.ClientTimeout(total=None))
        )
        self._queries = AIOHTTPTransport(
            url=self.addresses.http,
            ssl=context,
            client_session_args=shared
            | {
                "connector_owner": False,
                "proxy": proxy_for(self.addresses.http),
                "response_class": of_at_most(self._max_message_bytes),
                "timeout": aiohttp.ClientTimeout(total=self._query_timeout),
                # gql hides the status and the headers of an answer with a JSON body; this sees them first
                "raise_for_status": check_status,
            },
        )
        await self._queries.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._queries is not None and self._queries.session is not None:
            # With a shared connector, gql drops its session without closing it.
            await self._queries.session.close()
        await self._resources.aclose()

    def reread_credential(self) -> bool:
        """Read the token's file again; if it has changed, wake whoever waits for that. Whether it has."""
        if not self.credential.reread():
            return False
        self.authorised = self.rejected = False
        self.renewals += 1
        self._renewed.set()
        self._renewed = asyncio.Event()
        return True

    async def renewed(self, since: int, *, look_every: float = 2.0) -> None:
        """Wait until the token has changed, and look at its file from time to time (seconds).

        `since` is what `renewals` was when the caller last looked.
        """
        while self.renewals == since:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(look_every):
                    await self._renewed.wait()
            self.reread_credential()

    async def query(self, name: str, variables: dict[str, object]) -> dict[str, Any]:
        """The data of a query by its document's name.

        Raises QueryFailed, BudgetSpent when our own budget is gone, and UpstreamUnavailable while Railway has asked
        for patience.
        """
        if self.gate.wait:
            raise UpstreamUnavailable("Railway limits the rate", self.gate.wait)
        await self.budget.take()
        if self._queries is None:
            raise RuntimeError("enter the gateway first")
        try:
            result = await self._queries.execute(
                operations.request(name, variables), extra_args={"headers": self.credential.headers}
            )
        except TransportError as error:
            verdict = of_failed_query(error)
            self._heed(verdict)
            raise QueryFailed(verdict) from error
        if result.errors:
            verdict = verdicts.of_errors(rows.messages(result.errors))
            self._heed(verdict)
            raise QueryFailed(verdict)
        if not isinstance(result.data, dict):
            raise QueryFailed(Verdict(Kind.TRANSIENT, "Railway's answer has no data"))
        self.authorised = True
        self.rejected = False
        return result.data

    def _heed(self, verdict: Verdict) -> None:
        """Where Railway asks for patience, all environments have it together."""
        if verdict.kind is Kind.LIMITED:
            delay = verdict.retry_after
            self.gate.shut(verdicts.LIMITED_DELAY if delay is None else delay)

    @contextlib.asynccontextmanager
    async def subscription(self, variables: dict[str, object]) -> AsyncIterator[AsyncIterator[Batch]]:
        """The batches of an environment's tail while inside; they end by raising SubscriptionEnded.

        Raises SubscriptionEnded too when it can't be opened.
        """
        if self._session is None:
            raise RuntimeError("enter the gateway first")
        transport = LogTransport(
            self.addresses.websocket,
            session=self._session,
            proxy=proxy_for(self.addresses.websocket),
            headers=self.credential.headers,
            init_payload=self.credential.init_payload,
            timeouts=self._timeouts,
            max_message_bytes=self._max_message_bytes,
            max_waiting_bytes=self._max_waiting_bytes,
        )
        try:
            async with (
                transport.opened(),
                contextlib.aclosing(
                    transport.batches(operations.request("EnvironmentTail", variables))  # type: ignore[type-var]
                ) as batches,
            ):
                yield batches
        except SubscriptionEnded as ended:
            self._heed(ended.verdict)
            raise

    async def scope_of_refusal(self) -> Scope:
        """Whether a refusal is about one environment or about the credential: asked of Railway with one query."""
        name = "ProjectTokenScope" if self.credential.project else "BearerScope"
        try:
            await self.query(name, {})
        except QueryFailed as failure:
            if failure.verdict.kind is Kind.REFUSED:
                self.rejected = True
                return Scope.CREDENTIAL
        except UpstreamUnavailable:
            pass
        return Scope.ENVIRONMENT if self.authorised else Scope.CREDENTIAL

    async def own_environment(self) -> str:
        """The environment that the project token is for. Raises UpstreamError."""
        data = await self.query("ProjectTokenScope", {})
        try:
            return str(data["projectToken"]["environmentId"])
        except (KeyError, TypeError) as error:
            raise UpstreamRefused("Railway does not say which environment the token is for") from error


async def patiently(gate: Gate, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
    """Wait until Railway's patience is not needed any more."""
    while gate.wait:
        await sleep(max(gate.wait, 0.001))  # a rest made of rounding errors moves no clock
