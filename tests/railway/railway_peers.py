"""Other parties on the way to Railway: pipes with and without TLS, and a proxy. Each writes down what it saw."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import attrs


@attrs.define
class Seen:
    port: int = 0
    connections: int = 0
    heads: list[str] = attrs.field(factory=list)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, first: bytes = b""
) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    far_writer.write(first)
    try:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()


@contextlib.asynccontextmanager
async def _served(handle: Any, **options: Any) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def run() -> None:
            try:
                await handle(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        tasks.add(asyncio.create_task(run()))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Seen]:
    """A server that answers nothing, and notes whoever comes."""
    seen = Seen()

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        seen.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await reader.read()

    async with _served(handle) as seen.port:
        yield seen


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Seen]:
    """A server that answers each request with the same bytes."""
    seen = Seen()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        seen.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        await writer.drain()

    async with _served(handle) as seen.port:
        yield seen


@contextlib.asynccontextmanager
async def piping(port: int, context: ssl.SSLContext) -> AsyncIterator[Seen]:
    """A server with TLS before a port without."""
    seen = Seen()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        await _join(reader, writer, port)

    async with _served(handle, ssl=context) as seen.port:
        yield seen


@contextlib.asynccontextmanager
async def proxying() -> AsyncIterator[Seen]:
    """An HTTP proxy: CONNECT, and requests with a whole address."""
    seen = Seen()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        seen.heads.append(head.decode())
        method, target, _ = head.split(b" ", 2)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(reader, writer, int(target.rsplit(b":", 1)[1]))
        else:
            origin = b"/".join(target.split(b"/", 3)[:3])
            first = head.replace(origin, b"", 1)
            await _join(reader, writer, int(origin.rsplit(b":", 1)[1]), first)

    async with _served(handle) as seen.port:
        yield seen
