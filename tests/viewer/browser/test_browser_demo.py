"""`logrelay demo` as a newcomer meets it: an address is printed, opened, and clicked through."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

from browser_hands import keys, press
from browser_scene import ROOT, Windows
from playwright.async_api import Browser, expect


async def test_the_demo_is_opened_and_clicked_through(browser: Browser) -> None:
    variables = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "logrelay", "demo", "--port", "0", "--rate", "200", "--quiet")
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL, env=variables)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            words = [b""]
            while words[0] != b"page":
                words = (await process.stdout.readline()).split() or [b""]
        base, slash, path = words[1].decode().partition("/environments/")
        windows = Windows(browser, base)
        window = await windows.open(slash + path)

        for level in ("debug", "info", "warn", "error"):
            await window.page.locator(f".row.sev-{level}:visible").first.wait_for(timeout=30_000)
            if level == "debug":
                await window.part("level").select_option("info")
            elif level != "error":
                await window.part("level").select_option({"info": "warn", "warn": "error"}[level])
        await press(window, "clear-filter")
        await press(window, window.page.locator(".row:visible .message").first)
        await expect(window.part("drawer")).to_be_visible()
        await press(window, "drawer-close")
        for dialog, opener in (("sheet", "help"), ("panel", "settings"), ("panel", "download")):
            await press(window, opener)
            await expect(window.part(dialog)).to_be_visible()
            await keys(window, "Escape")
        await expect(window.part("state")).to_contain_text(
            re.compile("live|missing")
        )  # the made-up services drop lines
        await window.picture("demo-desktop-dark")
        await windows.close()
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
