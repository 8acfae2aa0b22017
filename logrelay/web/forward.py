"""`forward` mode: the main API says who may look (protocol.md section 6).

Owns the questions and, for seconds, the answers. Keeps no credential: what it remembers goes by a keyed hash.
"""

import asyncio
import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Self

import aiohttp
import attrs
import msgspec
from yarl import URL

import logrelay
from logrelay.relay.filters import EVERYTHING, Filter
from logrelay.web import endings
from logrelay.web.grants import Credential, Grant
from logrelay.web.narrowing import Narrowing, NoAnswer, Refusal, read

REFUSAL_SECONDS = 1.0  # for which a refusal is remembered at most: who signs in comes back at once

_LABEL_LIMIT = 63  # characters between two dots of a host's name (RFC 1035 section 2.3.4)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# What would end a header's line, and the halves of characters that aiohttp makes of bytes that are no UTF-8.
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

_log = logging.getLogger(__name__)

Verdict = Grant | Refusal  # what a caller gets, or how its connection ends


@attrs.define(eq=False)
class _Question:
    """One request to the main API, for everybody who wants to know the same just now."""

    task: asyncio.Task[Verdict]
    waiting: int = 0


@attrs.define
class _Failing:
    """Since when, why and how often in a row the main API has decided nothing."""

    since: float
    reason: str
    failures: int = 0


class ForwardGuard:
    """Asks the main API, with the headers that the caller came with.

    Nothing but that API may see those headers: redirects aren't followed, cookies of its answers aren't kept, and no
    proxy of the environment is used. HTTP_PROXY and its kin name the way out to Railway, while the main API stands
    beside the relay, often spoken to in plain; and aiohttp's `trust_env` would add what stands in ~/.netrc, with which
    the relay would vouch for every caller.
    """

    mode = "forward"

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 2.0,  # seconds for one answer, with the wait for a free place
        cache: float = 5.0,  # seconds for which an answer holds; 0: every question is asked
        recheck: float = 30.0,  # seconds
        in_flight: int = 100,  # requests at a time: made-up credentials must not flood the main API
        remembered: int = 10_000,  # answers
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError for an address that `valid` doesn't like."""
        if not self.valid(url):
            raise ValueError("not an address to ask")  # and not repeated: its query may hold a secret
        self.recheck: float | None = recheck
        self._url = URL(url)
        self._timeout = timeout
        self._cache = cache
        self._remembered = remembered
        self._clock = clock
        self._places = asyncio.Semaphore(in_flight)
        # Who was let in before has places of its own, so that a flood of made-up credentials ends no stream.
        self._kept = asyncio.Semaphore(in_flight)
        self._let_in: dict[bytes, None] = {}  # their hashes, the latest last
        # A key of this process alone, so that what is kept and shown of a credential says nothing about it.
        self._key = secrets.token_bytes(32)
        # By hash of the credential and environment, oldest first; each with the time from which it is too old.
        self._answers: dict[bytes, tuple[Verdict, float]] = {}
        self._asking: dict[bytes, _Question] = {}
        self._tasks: set[asyncio.Task[Verdict]] = set()
        self._generation = 0  # counts reloads
        self._failing: _Failing | None = None
        self._session: aiohttp.ClientSession  # from entering it to leaving it

    def __repr__(self) -> str:
        return f"<ForwardGuard {self._url.host}: {len(self._answers)} answers, {len(self._asking)} questions>"

    @staticmethod
    def valid(url: str) -> bool:
        """Whether this can be asked: http or https, a host, no fragment, and no credentials of the relay's own.

        With a user and password in the address the relay would vouch for every caller.
        """
        try:
            parts = URL(url)
            labels = (parts.raw_host or "").rstrip(".").split(".")
            return (
                url.isprintable()
                and " " not in url
                and parts.scheme in ("http", "https")
                and all(0 < len(label) <= _LABEL_LIMIT for label in labels)
                and parts.user is None
                and parts.password is None
                and not parts.raw_fragment
            )
        except ValueError:
            return False

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the places are the limit
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # none is asked for; a bomb stays as small as it came
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),  # the deadline is around it all
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"logrelay/{logrelay.__version__}",
            },
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._session.close()

    async def grant(self, credential: Credential, environment_id: str) -> Grant:
        """Ask whether this credential may see this environment, or take the answer of a moment ago.

        Raises Disconnect: `not_allowed` for a 403, for no service at all and for what can't be an environment's id;
        `unauthenticated` for a 401 and for a credential that can't be sent; `expired` for no time at all; `undecided`
        for everything else.
        """
        if not _ID.fullmatch(environment_id):
            _refused("environment_id")
            raise endings.not_allowed()
        headers = credential.headers
        if not headers or any(_UNSENDABLE.search(text) for pair in headers.items() for text in pair):
            _refused("unsendable")
            raise endings.unauthenticated()
        key = self._hash("answer", environment_id, *_parts(headers))
        answer, stale = self._answers.get(key, (None, 0.0))
        if answer is None or self._clock() >= stale:
            answer = await self._shared(key, headers, environment_id)
        if isinstance(answer, Grant):
            return answer
        raise answer()

    def describe(self) -> Mapping[str, object]:
        """`{"state": "ok"}`, or since how many seconds, why and how often in a row nothing was decided."""
        if self._failing is None:
            return {"state": "ok"}
        return {
            "state": "failing",
            "seconds": round(self._clock() - self._failing.since, 1),
            "reason": self._failing.reason,
            "failures": self._failing.failures,
        }

    def reload(self) -> bool:
        """Forget what the main API has said; who asks from now on gets an answer made after now."""
        self._generation += 1
        self._answers.clear()
        self._asking.clear()  # those who wait get their answer, but nobody joins them
        return True

    async def _shared(self, key: bytes, headers: Mapping[str, str], environment_id: str) -> Verdict:
        """Wait for the answer to a question that is asked once for all who have it."""
        question = self._asking.get(key)
        if question is None:
            task = asyncio.create_task(self._decide(key, headers, environment_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            question = self._asking[key] = _Question(task)
        question.waiting += 1
        try:
            await asyncio.wait((question.task,))  # unlike awaiting the task, who leaves here leaves it alone
        finally:
            question.waiting -= 1
            if question.task.done() or not question.waiting:
                if self._asking.get(key) is question:
                    del self._asking[key]
                question.task.cancel()  # nobody wants to know any more
        return endings.undecided if question.task.cancelled() else question.task.result()

    async def _decide(self, key: bytes, headers: Mapping[str, str], environment_id: str) -> Verdict:
        """Ask, and remember the answer unless what was remembered has been given up meanwhile."""
        generation = self._generation
        try:
            narrowing = await self._ask(key, headers, environment_id)
        except NoAnswer as none:
            self._note_failure(str(none))
            return endings.undecided
        self._note_answer()
        verdict = narrowing if callable(narrowing) else self._judge(narrowing, headers, environment_id)
        life = min(self._cache, REFUSAL_SECONDS)
        self._let_in.pop(key, None)
        if not isinstance(verdict, Grant):
            _refused(verdict.__name__)
        else:
            self._let_in[key] = None
            if len(self._let_in) > self._remembered:
                del self._let_in[next(iter(self._let_in))]
            life = self._cache if verdict.until is None else min(self._cache, verdict.until - self._clock())
        if life > 0 and generation == self._generation:
            self._remember(key, verdict, life)
        return verdict

    async def _ask(self, key: bytes, headers: Mapping[str, str], environment_id: str) -> Narrowing | Refusal:
        """One request. Raises NoAnswer, and never a foreign error, whose text could name a header or the query."""
        url = self._url.update_query(environment=environment_id)
        why = "busy"
        places = self._kept if key in self._let_in else self._places
        try:
            async with asyncio.timeout(self._timeout), places:
                why = "timeout"
                async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                    return await read(response)
        except TimeoutError:
            reason = why
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            reason = "tls"
        except aiohttp.ClientConnectorError:
            reason = "unreachable"
        except (aiohttp.ClientError, OSError):
            reason = "broken off"
        raise NoAnswer(reason)

    def _judge(self, narrowing: Narrowing, headers: Mapping[str, str], environment_id: str) -> Verdict:
        """What a 2xx means."""
        if narrowing.seconds == 0:
            return endings.expired
        if narrowing.services == []:
            return endings.not_allowed
        scope, subject, until, named = EVERYTHING, narrowing.subject, None, True
        if not isinstance(narrowing.services, msgspec.UnsetType):
            scope = Filter.of_services(narrowing.services)
        if isinstance(subject, msgspec.UnsetType):
            subject, named = self._hash("subject", *_parts(headers)).hex()[:16], False
        if not isinstance(narrowing.seconds, msgspec.UnsetType):
            until = self._clock() + narrowing.seconds
        environments = frozenset({environment_id})
        return Grant(
            self.mode,
            subject=subject,
            named=named,
            environments=environments,
            scope=scope,
            until=until,
            issued=time.time(),  # whoever was revoked before is let in again by this yes
        )

    def _remember(self, key: bytes, verdict: Verdict, life: float) -> None:
        now = self._clock()
        self._answers.pop(key, None)
        while self._answers:
            oldest = next(iter(self._answers))
            if len(self._answers) < self._remembered and self._answers[oldest][1] > now:
                break
            del self._answers[oldest]
        self._answers[key] = (verdict, now + life)

    def _hash(self, *parts: str) -> bytes:
        """A keyed hash of texts; different texts, or the same cut elsewhere, give another one."""
        sized = b"".join(b"%d:%b" % (len(text), text) for text in (part.encode() for part in parts))
        return hashlib.blake2b(sized, key=self._key, digest_size=32).digest()

    def _note_failure(self, reason: str) -> None:
        if self._failing is None:
            _log.warning("the main API doesn't say who may look", extra={"reason": reason})
            self._failing = _Failing(self._clock(), reason)
        self._failing.reason = reason
        self._failing.failures += 1

    def _note_answer(self) -> None:
        if self._failing is not None:
            self._failing = None
            _log.info("the main API says again who may look")


def _parts(headers: Mapping[str, str]) -> list[str]:
    """Names and values in an order that doesn't depend on how they were written."""
    return [text for name in sorted(headers) for text in (name.casefold(), headers[name])]


def _refused(reason: str) -> None:
    """One line for the operator, who is told more than the caller."""
    _log.info("a caller was refused", extra={"reason": reason})
