"""logrelay's own commands as processes, and every byte that they write."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs

import logrelay

ROOT = Path(logrelay.__file__).resolve().parents[1]
DEADLINE = 30.0  # seconds


@attrs.define
class Child:
    """A process, and what it has written so far."""

    process: Process
    out: bytearray = attrs.Factory(bytearray)
    err: bytearray = attrs.Factory(bytearray)
    _changed: asyncio.Condition = attrs.Factory(asyncio.Condition)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with asyncio.TaskGroup() as readers:
            readers.create_task(self._read(self.process.stdout, self.out))
            readers.create_task(self._read(self.process.stderr, self.err))

    async def _read(self, stream: asyncio.StreamReader, written: bytearray) -> None:
        while chunk := await stream.read(1 << 16):
            async with self._changed:
                written += chunk
                self._changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what has been written."""
        try:
            async with asyncio.timeout(DEADLINE), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise AssertionError(
                f"waited in vain:\n{bytes(self.out[-1000:])!r}\n{bytes(self.err[-1000:])!r}"
            ) from None

    async def end(self, number: signal.Signals) -> int:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()

    @property
    def shown(self) -> str:
        """What it has written to stdout, which has to be UTF-8."""
        return self.out.decode()

    @property
    def noted(self) -> str:
        """What it has written to stderr, which has to be UTF-8."""
        return self.err.decode()


@contextlib.asynccontextmanager
async def running(*arguments: str, **settings: str) -> AsyncIterator[Child]:
    """Run `logrelay …` while inside; afterwards it is gone, and has been heard out."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOGRELAY_", "RAILWAY_"))
        and not name.lower().endswith("_proxy")
        and name != "PORT"
    }
    variables = kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "logrelay", *arguments, stdout=PIPE, stderr=PIPE, env=variables
    )
    child = Child(process)
    listening = asyncio.create_task(child.listen())
    try:
        yield child
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        await listening
