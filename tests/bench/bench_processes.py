"""Processes of a benchmark: started with a log file, read through /proc, ended by the pid they were started with."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec

ROOT = Path(__file__).resolve().parents[2]
_TICK = os.sysconf("SC_CLK_TCK")
_KERNEL = 2  # the pid of kthreadd, parent of the kernel's threads
_OURS = ("LOGRELAY_", "RAILWAY_", "PORT")


class Failed(Exception):
    """A measurement could not be made; the sentence says why."""


@attrs.frozen
class Usage:
    """One look at the machine: of every process its parent and the CPU seconds that it has used."""

    at: float  # monotonic seconds
    parents: Mapping[int, int]
    seconds: Mapping[int, float]

    @classmethod
    def now(cls) -> "Usage":
        parents: dict[int, int] = {}
        seconds: dict[int, float] = {}
        for entry in os.listdir("/proc"):  # noqa: PTH208 names are all that is wanted, thousands of times
            if entry.isdigit():
                try:
                    text = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
                except OSError:
                    continue  # it has just ended
                fields = text.rpartition(")")[2].split()
                parents[int(entry)] = int(fields[1])
                seconds[int(entry)] = (int(fields[11]) + int(fields[12])) / _TICK
        return cls(time.monotonic(), parents, seconds)

    def tree(self, pid: int) -> set[int]:
        """A process and its descendants."""
        found = {pid}
        while True:
            more = {child for child, parent in self.parents.items() if parent in found} - found
            if not more:
                return found
            found |= more

    def used(self, pid: int) -> float:
        """CPU seconds of a process and its descendants."""
        return sum(self.seconds.get(each, 0.0) for each in self.tree(pid))

    def by_others(self, since: "Usage", ours: Iterable[int]) -> float:
        """What programs that are none of ours have used since, as a share of the whole machine."""
        mine = {os.getpid(), _KERNEL}.union(*(self.tree(pid) for pid in ours))
        others = (pid for pid, parent in self.parents.items() if pid not in mine and parent != _KERNEL)
        spent = sum(max(self.seconds[pid] - since.seconds.get(pid, 0.0), 0.0) for pid in others)
        return spent / max(self.at - since.at, 1e-9) / (os.cpu_count() or 1)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environ(given: Mapping[str, str]) -> dict[str, str]:
    """Our environment without settings that were meant for another relay, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"NO_PROXY": "127.0.0.1"} | dict(given)


class Process:
    """A server; what it says goes to its log."""

    def __init__(self, command: Sequence[str], given: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self._popen = subprocess.Popen(
                command,
                env=environ(given),
                cwd=ROOT,  # `-m logrelay` is the checkout's
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.pid = self._popen.pid
        self._began = time.monotonic()

    def listening(self, port: int, within: float = 20.0) -> float:
        """Wait until it takes connections; returns the seconds since its start. Raises Failed."""
        while time.monotonic() < self._began + within:
            if self._popen.poll() is not None:
                raise Failed(f"ended with status {self._popen.returncode}: {self.last_words()}")
            with socket.socket() as probe:
                probe.settimeout(0.2)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return time.monotonic() - self._began
            time.sleep(0.01)
        raise Failed(f"nothing listens: {self.last_words()}")

    def last_words(self) -> str:
        """The last warning or error in its log; its last line where there is none."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        grave = [line for line in lines if '"warning"' in line or '"error"' in line]
        return (grave or lines or ["without a word"])[-1][:300]

    def kib(self, key: str = "VmRSS") -> int:
        """KiB of memory of it and its descendants; VmHWM for the most that it ever had."""
        total = 0
        for pid in Usage.now().tree(self.pid):
            try:
                lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith(key + ":"))
        return total

    def stop(self) -> None:
        """End it: asked first, then not."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(12)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()


class Load:
    """A load generator: what `look` says is noted when it tells that it is ready, and when it is done."""

    def __init__(self, command: Sequence[str], look: Callable[[], Any]) -> None:
        self._popen = subprocess.Popen(
            command,
            env=environ({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._popen.pid
        self.looks: dict[str, Any] = {}
        self._words: list[str] = []
        self._following = threading.Thread(target=self._follow, args=(look,), daemon=True)
        self._following.start()

    def _follow(self, look: Callable[[], Any]) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            word = line.partition(" ")[0].strip()
            if word in {"READY", "DONE"}:
                self.looks[word] = look()
            else:
                self._words.append(line)

    def result(self, within: float) -> dict[str, Any]:
        """What it has measured. Raises Failed when it doesn't say so within so many seconds."""
        assert self._popen.stdout is not None
        timer = threading.Timer(within, self._popen.kill)
        timer.start()
        text = self._popen.stdout.read()
        self._popen.wait()
        timer.cancel()
        self._following.join(2)
        if not text:
            raise Failed(f"the load generator: {''.join(self._words)[-300:]}")
        answer: dict[str, Any] = msgspec.json.decode(text)
        return answer

    def stop(self) -> None:
        """End it if it still runs."""
        if self._popen.poll() is None:
            self._popen.terminate()
            self._popen.wait()


def python(module: str) -> tuple[str, ...]:
    """The command that runs a program of this folder."""
    return (sys.executable, str(Path(__file__).with_name(module)))
