"""Made-up log rows as JSON text, put together from pieces that are made in advance. No I/O and no clock.

A row's message is `seq=<number> t=<nanoseconds when it was sent> <filler>`, which is what the clients look for.
"""

import random
import time

PROJECT = "a0000000-0000-4000-8000-000000000001"
ENVIRONMENT = "e0000000-0000-4000-8000-000000000001"
SERVICES = 5
_SECOND = 1_000_000_000
_CYCLE = 300  # rows after which services and severities repeat
_WORDS = (
    *("GET", "/api/v1/items", "status", "200", "user", "cache", "miss", "queue", "took", "ms", "retry"),
    *("worker", "handler", "request", "upstream", "connected", "payload", "bytes"),
)


def service_id(number: int) -> str:
    """The id of a service, counted from 0."""
    return f"5e000000-0000-4000-8000-{number + 1:012d}"


def _severity(seq: int) -> str:
    """Two rows in a hundred are errors, about eight are warnings."""
    if seq % 50 == 0:
        return "error"
    return "warn" if seq % 12 == 0 else "info"


class Rows:
    """Makes JSON arrays of rows. `message_bytes` is the length of each row's message."""

    def __init__(self, message_bytes: int = 200) -> None:
        self._message_bytes = message_bytes
        self._tails: dict[int, list[bytes]] = {}  # by the length of the message's head
        words = random.Random(7)
        filler = ""
        while len(filler) < message_bytes + 4096:
            filler += words.choice(_WORDS) + " "
        self._filler = filler

    def array(self, seq: int, count: int, sent_ns: int, stamp_ns: int) -> bytes:
        """Rows from number `seq` on, sent at `sent_ns`; each is stamped a nanosecond after the one before."""
        rows: list[bytes] = []
        known, prefix = -1, b""
        for number in range(seq, seq + count):
            second, rest = divmod(stamp_ns, _SECOND)
            if second != known:
                known, prefix = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
            head = b"seq=%d t=%d " % (number, sent_ns)
            tails = self._tails.get(len(head)) or self._cycle(len(head))
            rows.append(
                b'{"timestamp":"%b.%09dZ","message":"%b%b' % (prefix, rest, head, tails[number % _CYCLE])
            )
            stamp_ns += 1
        return b"[" + b",".join(rows) + b"]"

    def _cycle(self, head: int) -> list[bytes]:
        """What follows a message's head of that length, for each row of a cycle."""
        room = max(self._message_bytes - head, 0)
        tails = [self._tail(number, room).encode() for number in range(_CYCLE)]
        self._tails[head] = tails
        return tails

    def _tail(self, number: int, room: int) -> str:
        start = number * 31 % 4096
        service = number % SERVICES
        severity = _severity(number)
        return (
            f'{self._filler[start : start + room]}","severity":"{severity}",'
            f'"tags":{{"projectId":"{PROJECT}","environmentId":"{ENVIRONMENT}","serviceId":"{service_id(service)}",'
            f'"deploymentId":"de000000-0000-4000-8000-{service + 1:012d}",'
            f'"deploymentInstanceId":"1c000000-0000-4000-8000-{service + 1:012d}"}},'
            f'"attributes":[{{"key":"level","value":"\\"{severity}\\""}}]}}'
        )
