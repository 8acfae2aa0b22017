"""Child processes that write JSON lines to stdout, and how a test waits for what they say."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

DEADLINE = 10.0  # seconds for anything that should happen soon
_LINE_LIMIT = 1 << 22  # bytes


def environment(**settings: str) -> dict[str, str]:
    """The variables of a child: this process's without logrelay's own and without proxies, and those given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGRELAY_", "RAILWAY_"))
        and name != "PORT"
        and not name.lower().endswith("_proxy")
    }
    return kept | settings


class Child:
    """A process that was started here, and the JSON lines that it has written so far."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._written = asyncio.Condition()
        self._silent = False  # whether it will write no more
        self.lines: list[dict[str, Any]] = []
        self.complaints = ""  # stderr

    @property
    def text(self) -> str:
        """All that it has written."""
        return "\n".join(json.dumps(line) for line in self.lines) + self.complaints

    async def listen(self) -> None:
        """Take what it writes until it writes no more."""
        async with asyncio.TaskGroup() as readers:
            readers.create_task(self._read_lines())
            readers.create_task(self._read_complaints())
        async with self._written:
            self._silent = True
            self._written.notify_all()

    async def _read_lines(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._written:
                self.lines.append(json.loads(line))
                self._written.notify_all()

    async def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.complaints += line.decode()

    def said(self, **fields: Any) -> list[dict[str, Any]]:
        """The lines so far that have these fields."""
        return [line for line in self.lines if fields.items() <= line.items()]

    async def until_said(self, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """Wait until so many lines have these fields. AssertionError when they don't come."""
        try:
            async with asyncio.timeout(DEADLINE), self._written:
                await self._written.wait_for(lambda: self._silent or len(self.said(**fields)) >= count)
        except TimeoutError:
            pass
        found = self.said(**fields)
        assert len(found) >= count, f"{count} of {fields} not in:\n{self.text}"
        return found

    async def complained(self) -> list[str]:
        """The lines of its stderr, all of them, once it has written the last."""
        async with asyncio.timeout(DEADLINE), self._written:
            await self._written.wait_for(lambda: self._silent)
        return self.complaints.splitlines()

    async def tell(self, **command: Any) -> None:
        """Write a JSON line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ended(self, within: float = DEADLINE) -> int:
        """Wait for its end; the exit code. TimeoutError when it goes on for longer."""
        async with asyncio.timeout(within):
            return await self._process.wait()


@contextlib.asynccontextmanager
async def running(*command: str, variables: Mapping[str, str], folder: Path) -> AsyncIterator[Child]:
    """Run a program while inside; afterwards it is gone, whatever has happened."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=dict(variables), cwd=folder, limit=_LINE_LIMIT
    )
    child = Child(process)
    listening = asyncio.create_task(child.listen())
    try:
        yield child
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening
        sys.stdout.write(child.text)  # shown with a test that fails
