"""How many connections there may be at once, and how fast new ones may come. Decides; answers nothing itself."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

from logrelay.errors import CloseCode, Disconnect

_STRANGER = ("stranger", "")
_REMEMBERED = 10_000  # addresses whose new connections are counted
# What a limit is called where it refuses somebody.
_NAMES = {
    "stranger": "that have shown no credential",
    "environment": "to this environment",
    "subject": "of yours",
    "address": "from this address",
}


class Places:
    """How many connections there may be: in the process, to one environment, of one subject, from one address."""

    def __init__(
        self,
        *,
        process: int = 10_000,
        environment: int = 10,
        subject: int | None = None,
        address: int | None = None,
        retry_after: float = 10.0,
    ) -> None:
        self._process = process
        strangers = max(1, process // 2)  # the rest is for those who show a credential at once
        self._most = {
            "stranger": strangers,
            "environment": environment,
            "subject": subject,
            "address": address,
        }
        self.retry_after = retry_after  # seconds
        self._taken = 0
        self._by_key: Counter[tuple[str, str]] = Counter()

    def __repr__(self) -> str:
        return f"<Places {self._taken} of {self._process}>"

    @property
    def taken(self) -> int:
        """Connections of this process."""
        return self._taken

    @property
    def most(self) -> int:
        """Connections that this process takes."""
        return self._process

    @property
    def free(self) -> bool:
        """Whether the process takes one more."""
        return self._taken < self._process

    def of_process(self) -> "_OfProcess":
        """One of the process's places while inside."""
        return _OfProcess(self)

    @property
    def free_for_stranger(self) -> bool:
        """Whether one more may be waited for to say who is calling."""
        return self._by_key[_STRANGER] < (self._most["stranger"] or 0)

    def of_stranger(self) -> "_Place":
        """One place of those whose `auth` message is waited for. Entering raises Disconnect."""
        return _Place(self, (_STRANGER,))

    def of(self, environment_id: str, *, subject: str | None = None, address: str | None = None) -> "_Place":
        """One place of each of these while inside. Entering raises Disconnect when one of them has none left."""
        asked: Mapping[str, str | None] = {
            "environment": environment_id,
            "subject": subject,
            "address": address,
        }
        return _Place(
            self,
            tuple(
                (kind, key) for kind, key in asked.items() if key is not None and self._most[kind] is not None
            ),
        )

    def take(self, keys: tuple[tuple[str, str], ...]) -> None:
        """Take a place of each, or of none. Raises Disconnect, which names the limit and the maximum."""
        for key in keys:
            most = self._most[key[0]]
            if most is not None and self._by_key[key] >= most:
                message = (
                    f"too many connections {_NAMES[key[0]]}: at most {most}; "
                    f"come back in {math.ceil(self.retry_after)} s"
                )
                raise Disconnect(
                    CloseCode.TOO_MANY,
                    "too_many_connections",
                    message,
                    retryable=True,
                    retry_after=self.retry_after,
                )
        self._by_key.update(keys)

    def give_back(self, keys: tuple[tuple[str, str], ...]) -> None:
        """Give the places back."""
        for key in keys:
            self._by_key[key] -= 1
            if not self._by_key[key]:
                del self._by_key[key]

    def count(self, number: int) -> None:
        """So many connections of the process more, or less."""
        self._taken += number


class _OfProcess:
    """A context in which a place of the process is taken. As small as can be: there is one for each client."""

    __slots__ = ("_places",)

    def __init__(self, places: Places) -> None:
        self._places = places

    def __enter__(self) -> None:
        self._places.count(1)

    def __exit__(self, *exc: object) -> None:
        self._places.count(-1)


class _Place:
    """A context in which the other places are taken."""

    __slots__ = ("_keys", "_places")

    def __init__(self, places: Places, keys: tuple[tuple[str, str], ...]) -> None:
        self._places = places
        self._keys = keys

    def __enter__(self) -> None:
        self._places.take(self._keys)

    def __exit__(self, *exc: object) -> None:
        self._places.give_back(self._keys)


class Handshakes:
    """How fast one address may open connections: a bucket of tokens for each, which fills as time goes by.

    What is remembered is bounded: the address that has been quiet for longest is forgotten, which fills its bucket.
    """

    def __init__(self, *, per_second: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self.burst = burst
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = (
            OrderedDict()
        )  # tokens, and when they were counted

    def __repr__(self) -> str:
        return f"<Handshakes of {len(self._buckets)} addresses>"

    def admit(self, address: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = self._now()
        tokens, counted = self._buckets.pop(address, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - counted) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[address] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return wait
