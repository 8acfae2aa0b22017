"""P10: a process whose output nobody takes goes on, says afterwards what it couldn't say, and ends when told to."""

import asyncio
import contextlib
import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import attrs
import pytest
from conftest_system import until
from process_harness import Served, served

from logrelay import logs
from logrelay.standin import Canary, StandIn, World


@attrs.define
class Output:
    """A pipe that a process writes its lines to, and that is read when a test wants it to be."""

    path: Path
    _reader: int = -1
    _rest: bytes = b""

    def __enter__(self) -> Self:
        os.mkfifo(self.path)
        # Opened for writing too, so that opening waits for nobody.
        self._reader = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._reader)

    def lines(self) -> list[dict[str, object]]:
        """What has been written and not been read yet."""
        read = [self._rest]
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._reader, 1 << 16):
                read.append(piece)
        *whole, self._rest = b"".join(read).split(b"\n")
        return [json.loads(line) for line in whole]

    async def until_said(self, message: str) -> dict[str, object]:
        """Read until a line has this message."""
        found: list[dict[str, object]] = []

        def said() -> bool:
            found.extend(line for line in self.lines() if line["message"] == message)
            return bool(found)

        await until(said, message)
        return found[0]


async def refusals(port: int, count: int) -> None:
    """Let the relay refuse so many requests, each of which is a line of its log."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = b"GET /api/environments/x/logs/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answered = 0
    async with asyncio.timeout(40):
        while answered < count:
            some = min(200, count - answered)
            writer.write(request * some)
            for _ in range(some):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 426")
                size = next(row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length"))
                await reader.readexactly(int(size.split(b":")[1]))
            answered += some
    writer.transport.abort()


@pytest.mark.big
async def test_p10_with_stdout_blocked_streams_go_on_and_what_is_dropped_is_said(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    canary = Canary(world.environment)
    with Output(tmp_path / "stdout") as output:
        async with piped(railway, output) as relay, relay.relay.viewer() as viewer:
            await viewer.until_said("connected")
            # More than the kernel's pipe and our queue hold.
            await refusals(relay.relay.port, logs.QUEUE_LENGTH + 2000)
            canary.write(100)
            await viewer.until_lines(100)

            dropped = await output.until_said("lines of this log were dropped")
            assert 0 < int(str(dropped["count"])) <= 2000
            canary.write(100)
            await viewer.until_lines(200)
    assert viewer.lines == [f"canary {number}" for number in range(1, 201)]


@pytest.mark.big
async def test_p10_with_stdout_blocked_a_sigterm_ends_with_success(
    world: World, railway: StandIn, tmp_path: Path
) -> None:
    with Output(tmp_path / "stdout") as output:
        async with piped(railway, output) as relay, relay.relay.viewer() as viewer:
            await viewer.until_said("connected")
            await refusals(relay.relay.port, 2000)  # more than the kernel's pipe holds

            relay.child.signal(signal.SIGTERM)

            await until(lambda: viewer.socket.closed, "the viewer is told")
            assert viewer.socket.close_code == 1012
            assert await relay.child.ended(within=10) == 0
            assert relay.child.complaints == ""


@contextlib.asynccontextmanager
async def piped(railway: StandIn, output: Output) -> AsyncIterator[Served]:
    """A relay that writes to a pipe of ours, which is read up to the line that it serves."""
    async with served(railway, output.path.parent, before=f"exec >{output.path}", log=output) as relay:
        yield relay


def test_lines_go_past_pythons_own_buffer_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.written("info"):
        logging.getLogger("logrelay.x").info("half a pair: \ud83d")

    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "half a pair: \ud83d"


def test_p10_what_was_dropped_is_said_once_there_is_room() -> None:
    blocked = threading.Event()

    class Blocked(io.StringIO):
        def write(self, text: str) -> int:
            blocked.wait(10)
            return super().write(text)

    stream = Blocked()
    with logs.written("info", stream, length=10):
        for _ in range(100):
            logging.getLogger("logrelay.x").info("line")
        blocked.set()

    *lines, said = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {line["message"] for line in lines} == {"line"}
    assert (said["level"], said["message"]) == ("warning", "lines of this log were dropped")
    assert said["count"] == 100 - len(lines)


def test_p10_what_cannot_be_written_is_counted_and_ends_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            if "line" in text:
                raise BrokenPipeError
            return super().write(text)

    stream = Gone()
    before = logs.dropped()
    with logs.written("info", stream):
        for _ in range(3):
            logging.getLogger("logrelay.x").info("line")
        logging.getLogger("logrelay.x").info("after")

    assert logs.dropped() - before >= 3
    assert '"after"' in stream.getvalue()


def test_a_fault_of_ours_in_a_line_is_shown_on_stderr_and_ends_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Faulty(io.StringIO):
        def write(self, text: str) -> int:
            if "line" in text:
                raise ValueError("it can't be made")
            return super().write(text)

    stream = Faulty()
    with logs.written("info", stream):
        logging.getLogger("logrelay.x").info("line")
        logging.getLogger("logrelay.x").info("after")

    assert '"after"' in stream.getvalue()
    assert "it can't be made" in capsys.readouterr().err


def test_p8_that_no_descriptor_is_free_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with logs.written("info", stream):
        for number in range(250):  # half a second apart
            monkeypatch.setattr(time, "time", lambda number=number: 1_764_000_000 + number / 2)
            logging.getLogger("asyncio").error("socket.accept() out of system resource\nsocket: <fd=6>")
        logging.getLogger("asyncio").error("something else")

    *said, other = (json.loads(line) for line in stream.getvalue().splitlines())
    assert [(line["level"], line["message"], line["tries"]) for line in said] == [
        ("warning", "accepting pauses, no descriptor is free", tries) for tries in (1, 120, 120)
    ]
    assert other["message"] == "something else"
