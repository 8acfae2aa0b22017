"""Many WebSocket clients in one process, which check every line and measure how long lines were under way.

With `-ctl` it drives the upstream's generator too: it starts it once all clients are connected, waits for its end
and for what is still under way, and knows what each client should have got. An address may say in its fragment which
lines its clients should get: `#every=100&residue=7`. `READY` and `DONE` go to stderr, the result to stdout as JSON.
"""

import argparse
import collections
import gc
import http.client
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import Any

import attrs
from bench_client import Address, Client
from bench_stream import Follower, Latencies, Tracker

_READ = 65_536  # bytes
_TINY = 4096  # bytes of a receive buffer that soon is full
_NOTHING_MORE = 50  # looks without a new line, after which what is missing won't come


@attrs.define
class Crowd:
    """All clients, and the loop that reads for them."""

    addresses: list[Address]
    size: int
    ramp: float  # connections a second
    compress: bool
    latencies: Latencies
    deaf: int = 0  # clients who never read
    clients: list[Client] = attrs.Factory(list)
    stop: bool = False
    refused: collections.Counter[str] = attrs.Factory(collections.Counter)

    def run(self) -> None:
        """Connect, and read until told to stop."""
        poll = select.epoll()
        by_number: dict[int, Client] = {}
        began = time.monotonic()
        while not self.stop:
            due = min(int((time.monotonic() - began) * self.ramp) + 1, self.size) if self.waiting else 0
            for _ in range(due - len(self.clients) - self.refused.total()):
                self._dial(poll, by_number)
            came: list[tuple[Client, bytes, int]] = []
            for number, _ in poll.poll(0.002 if self.waiting else 0.05):
                client = by_number[number]
                try:
                    chunk = client.socket.recv(_READ)
                except BlockingIOError:
                    continue
                except OSError:
                    chunk = b""
                came.append((client, chunk, time.time_ns()))
            # Only after everybody's bytes have their time: looking at them takes longer than reading them.
            for client, chunk, now in came:
                number = client.socket.fileno()
                client.take(chunk, now)
                if client.socket.fileno() < 0:
                    del by_number[number]
                elif client.deaf and client.connected is not None:
                    poll.unregister(number)
                    client.follower.at = None  # or what the others get would be kept for it
        for client in self.clients:
            client.socket.close()

    @property
    def waiting(self) -> bool:
        """Whether some are still to be connected."""
        return len(self.clients) + self.refused.total() < self.size

    @property
    def settled(self) -> bool:
        """Whether every client is connected or has failed."""
        return not self.waiting and all(client.connected or client.failed for client in self.clients)

    @property
    def readers(self) -> list[Client]:
        """Those who were connected and read."""
        return [client for client in self.clients if client.connected is not None and not client.deaf]

    def _dial(self, poll: select.epoll, by_number: dict[int, Client]) -> None:
        number = len(self.clients)
        address = self.addresses[number % len(self.addresses)]
        deaf = (number + 1) * self.deaf // self.size > number * self.deaf // self.size
        began = time.monotonic()
        connection = socket.socket()
        try:
            if deaf:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TINY)
            connection.settimeout(5)
            connection.connect((address.host, address.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(address.request)
        except OSError as error:
            connection.close()
            self.refused[os.strerror(error.errno or 0)] += 1
            return
        connection.settimeout(0)
        tracker = Tracker(every=address.every, residue=address.residue)
        client = Client(
            Follower(address.stream, tracker, self.latencies), connection, began, self.compress, deaf
        )
        self.clients.append(client)
        by_number[connection.fileno()] = client
        poll.register(connection.fileno(), select.EPOLLIN)


@attrs.define
class Course:
    """Takes a run through its phases, in a thread beside the reading."""

    crowd: Crowd
    control: str  # host and port of the generator's control, or empty
    settle: float  # seconds between the last connection and the start
    reading: float  # seconds to read, without a control
    drain: float  # seconds for what is still under way at the end
    deadline: float  # monotonic seconds
    stats: dict[str, Any] = attrs.Factory(dict)
    note: str = ""

    def run(self) -> None:
        """All phases; then the crowd stops."""
        try:
            self._phases()
        except (OSError, http.client.HTTPException) as error:
            self.note = f"control: {error}"
        _tell("DONE")
        time.sleep(0.05)  # for whoever reads the server's CPU clock now
        self.crowd.stop = True

    def _phases(self) -> None:
        while not self.crowd.settled:
            if not self._wait(0.01):
                return
        _tell("READY")
        if not self.control:
            self._wait(self.reading)
            return
        if not self._alive() or not self._wait(self.settle):
            self.note = self.note or "no connection opened"
            return
        self._ask("POST", "/_start")
        while not self.stats.get("done"):
            if not self._alive() or not self._wait(0.05):
                return
            self.stats = self._ask("GET", "/_stats")
        self._drain()

    def _drain(self) -> None:
        first, last = self.stats["first_seq"], self.stats["last_seq"]
        trackers = [client.follower.tracker for client in self.crowd.readers if client.alive]
        expected = sum(tracker.wanted(first, last) for tracker in trackers)
        end = time.monotonic() + self.drain
        came, quiet = -1, 0
        while time.monotonic() < end and quiet < _NOTHING_MORE * max(self.drain / 5, 1):
            now = sum(tracker.unique for tracker in trackers)
            if now >= expected or not self._wait(0.02):
                break
            quiet = quiet + 1 if now == came else 0
            came = now
        self._wait(0.05)  # for what should not come, such as repeats

    def _alive(self) -> bool:
        return any(client.alive for client in self.crowd.clients)

    def _wait(self, seconds: float) -> bool:
        """Whether the run goes on after so many seconds."""
        until = min(time.monotonic() + seconds, self.deadline)
        while not self.crowd.stop and time.monotonic() < until:
            time.sleep(min(0.1, max(until - time.monotonic(), 0)))
        if time.monotonic() >= self.deadline:
            self.note = "ended by -timeout"
        return not self.crowd.stop and not self.note

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.control, timeout=5)
        try:
            connection.request(method, path)
            body = connection.getresponse().read()
        finally:
            connection.close()
        answer: dict[str, Any] = json.loads(body or b"{}")
        return answer


def _tell(word: str) -> None:
    sys.stderr.write(word + "\n")
    sys.stderr.flush()


def report(crowd: Crowd, course: Course) -> dict[str, Any]:
    """The result, in the words of wsload."""
    clients = crowd.clients
    connected = crowd.readers
    trackers = [client.follower.tracker for client in connected]
    first, last = course.stats.get("first_seq", 1), course.stats.get("last_seq", 0)
    began = min((client.first_at for client in connected if client.first_at), default=0)
    ended = max((client.last_at for client in connected), default=0)
    errors = crowd.refused + collections.Counter(client.failed for client in clients if client.failed)
    codes = collections.Counter(str(client.closed) for client in connected if client.closed is not None)
    lines = sum(tracker.lines for tracker in trackers)
    seconds = (ended - began) / 1e9
    samples = {sample for client in connected for sample in client.follower.others}
    return {
        "clients": crowd.size,
        "connected": len(connected),
        "deaf": sum(client.deaf and client.connected is not None for client in clients),
        "failed": errors.total(),
        "errors": dict(errors),
        "closed_by_server": codes.total(),
        "close_codes": dict(codes),
        "compressed": sum(client.compressed for client in connected),
        "messages": sum(client.follower.messages for client in connected),
        "lines": lines,
        "bytes": sum(client.received for client in connected),
        "expected_lines": sum(tracker.wanted(first, last) for tracker in trackers),
        "missing_lines": sum(max(tracker.wanted(first, last) - tracker.unique, 0) for tracker in trackers),
        "duplicates": sum(tracker.duplicates for tracker in trackers),
        "reordered": sum(tracker.reordered for tracker in trackers),
        "strange": sum(tracker.strange for tracker in trackers),
        "gap_lines": sum(tracker.gaps for tracker in trackers),
        "latency_ms": crowd.latencies.over_all(),
        "last_ms": crowd.latencies.of_the_last(),
        "seconds": seconds,
        "lines_per_s": lines / seconds if seconds > 0 else 0.0,
        "other_samples": [sample.decode(errors="replace") for sample in sorted(samples)[:4]],
        "generator": course.stats,
        "note": course.note,
        "self_cpu_s": time.process_time(),
    }


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def main() -> None:
    """Run as told by the arguments."""
    parser = argparse.ArgumentParser(description="Connect many WebSocket clients and check what they get.")
    parser.add_argument(
        "urls", nargs="+", help="ws://host:port/path?query#every=..&residue=..; clients take turns"
    )
    parser.add_argument("-n", type=int, default=100, help="clients")
    parser.add_argument("-ramp", type=float, default=400, help="connections a second")
    parser.add_argument("-ctl", default="", help="http://host:port of the generator's control")
    parser.add_argument("-settle", type=_seconds, default=1.0, help="seconds before the generator's start")
    parser.add_argument("-duration", type=_seconds, default=10.0, help="seconds to read, without -ctl")
    parser.add_argument("-drain", type=_seconds, default=5.0, help="seconds for what is under way at the end")
    parser.add_argument("-timeout", type=_seconds, default=120.0, help="seconds for everything")
    parser.add_argument("-sample", type=int, default=8, help="measure the latency of one line in so many")
    parser.add_argument("-compress", action="store_true", help="negotiate permessage-deflate")
    parser.add_argument("-deaf", type=int, default=0, help="so many of the clients never read")
    given = parser.parse_args()
    addresses = [Address.of(url, compress=given.compress) for url in given.urls]
    crowd = Crowd(addresses, given.n, given.ramp, given.compress, Latencies(given.sample), given.deaf)
    course = Course(
        crowd,
        control=given.ctl.removeprefix("http://"),
        settle=given.settle,
        reading=given.duration,
        drain=given.drain,
        deadline=time.monotonic() + given.timeout,
    )
    signal.signal(signal.SIGTERM, lambda *_: setattr(crowd, "stop", True))
    gc.disable()  # nothing here is circular, and a collection would look like latency
    running = threading.Thread(target=course.run, daemon=True)
    running.start()
    crowd.run()
    running.join(1)
    sys.stdout.write(json.dumps(report(crowd, course), indent=1) + "\n")


if __name__ == "__main__":
    main()
