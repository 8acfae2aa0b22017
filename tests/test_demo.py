"""`logrelay demo`: what a newcomer sees first."""

import asyncio
import os
import signal
import sys

import aiohttp
import pytest

DEADLINE = 20.0


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "logrelay",
        "demo",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        async for raw in process.stdout:
            if text in raw.decode():
                return raw.decode()
    raise AssertionError(f"no line with {text}")


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def test_the_demo_shows_a_stream_and_ends_on_ctrl_c() -> None:
    process = await started("--port", "0", "--rate", "50")
    try:
        await line_with(process, "logrelay serves the stand-in")
        await line_with(process, "logrelay tail ")
        await line_with(process, "GET /")
        code, errors = await ended(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert code == 0
    assert "Traceback" not in errors
    assert "connected to production" in errors


@pytest.mark.big
async def test_chaos_strikes_and_the_canary_counts_what_it_costs() -> None:
    process = await started("--port", "0", "--rate", "20", "--chaos", "--every", "0.7")
    try:
        counts = []
        for _ in range(3):
            assert "chaos: " in await line_with(process, "── chaos: ")
            counts.append(await line_with(process, "── canary: "))
        code, errors = await ended(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert code == 0
    assert all(line.endswith(": 0 missing, 0 repeated, 0 out of order ──\n") for line in counts)
    assert "is reconnecting" in errors
    assert "upstream lost" not in errors  # the log's own line is for operators
    assert "Traceback" not in errors


async def test_the_quiet_demo_serves_whoever_connects() -> None:
    process = await started("--port", "0", "--rate", "50", "--quiet")
    try:
        line = await line_with(process, "  stream ")
        url = line.split()[1]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url) as socket,
            asyncio.timeout(DEADLINE),
        ):
            assert (await socket.receive_json())["type"] == "status"
            while (await socket.receive_json())["type"] != "log":
                pass
        assert (await ended(process))[0] == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_without_a_port_a_free_one_is_taken_where_the_usual_one_is_not_free() -> None:
    first, second = await started("--quiet"), await started("--quiet")
    try:
        lines = [await line_with(process, "  stream ") for process in (first, second)]
        assert lines[0] != lines[1]
        assert [(await ended(process))[0] for process in (first, second)] == [0, 0]
    finally:
        for process in (first, second):
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_port_that_is_taken_is_said() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        process = await started("--port", str(server.sockets[0].getsockname()[1]))
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert "choose another with --port" in errors.decode()
