"""Railway, the wire or the relay is away for a while: the page says so, and shows each line once and in order."""

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from browser_flood import CUT, eventually, held
from browser_hands import big
from browser_scene import DEADLINE, Shop, Window
from promises_counting import PERFECT, report

from logrelay.standin import Canary

SHORT = 1.5  # seconds that something is away
LONG = 20.0
AGAIN = 45.0  # seconds after which who was away is back, however long the last pause of a client was
RATE = 40  # lines a second that are written meanwhile
# As in production, where tests are quicker; the header learns of the attempts by heartbeats.
PATIENT = {
    "LOGRELAY_BACKOFF_FIRST_SECONDS": "1",
    "LOGRELAY_BACKOFF_LONGEST_SECONDS": "10",
    "LOGRELAY_HEARTBEAT_SECONDS": "1",
}
# Whether there are rows wherever the list is looked at, from its top to its bottom.
DRAWN = """() => {
  const box = document.getElementById("lines").getBoundingClientRect();
  return [box.top + 4, box.bottom - 4].every((y) => document.elementFromPoint(60, y)?.closest(".row"));
}"""
LENGTHS = [SHORT, pytest.param(LONG, marks=[pytest.mark.big, pytest.mark.timeout(180)])]


@contextlib.asynccontextmanager
async def writing(canary: Canary) -> AsyncIterator[None]:
    """Lines are written while inside."""
    task = asyncio.create_task(canary.run(RATE))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def header(window: Window) -> AsyncIterator[list[str]]:
    """What the header says while inside, each thing once as long as it stays."""
    said: list[str] = []

    async def look() -> None:
        label = window.page.locator("#state-label")
        while True:
            text = await label.text_content() or ""
            if said[-1:] != [text]:
                said.append(text)
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield said
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def gone(window: Window) -> None:
    """Wait until the header says that something is not well."""
    await window.page.locator("#state:not([data-tone=good])").wait_for()


async def live(said: list[str], *, within: float = AGAIN) -> None:
    """Wait until the header says that all is well again."""

    async def so() -> bool:
        return said[-1:] == ["live"]

    await eventually(so, within=within)


async def whole(window: Window, canary: Canary, *, within: float = AGAIN) -> list[dict[str, Any]]:
    """Wait for the last line, hold the page against what was written, and give what it holds."""
    canary.write()
    last = f"canary {canary.number}"
    await window.page.locator(".row:visible .message", has_text=re.compile(f"^{last}$")).wait_for(
        timeout=within * 1000
    )
    records = await held(window)
    assert report(canary.written, records) == PERFECT
    return records


async def rulers(window: Window) -> list[tuple[str, int]]:
    """The rulers of the page from the oldest, and how many lines stand before each; the page is scrolled through."""
    found: dict[int, tuple[str, bool]] = {}
    await window.page.keyboard.press("Home")
    read = (
        """rows => rows.map(row => [Number(row.dataset.n), row.className.match(/ruler-(\\w+)/)?.[1] ?? ""])"""
    )
    bottom = False
    while not bottom:
        await window.page.wait_for_function(DRAWN)
        for number, kind in await window.page.locator(".row:not([hidden])").evaluate_all(read):
            found[number] = (kind, True)
        bottom = await window.page.evaluate(
            """() => { const lines = document.getElementById("lines"), before = lines.scrollTop;
                lines.scrollBy(0, lines.clientHeight - 60); return lines.scrollTop === before; }"""
        )
    assert sorted(found) == list(range(min(found), max(found) + 1))
    lines = 0
    stand = []
    for number in sorted(found):
        kind, _ = found[number]
        if kind:
            stand.append((kind, lines))
        else:
            lines += 1
    return stand


@big
@pytest.mark.parametrize("away", LENGTHS)
async def test_railway_is_away_for_a_while(shop: Shop, away: float) -> None:
    canary = Canary(shop.environment)
    canary.write(30)
    _, port = await shop.scene.relay(**PATIENT)
    window = await shop.open(base=f"http://127.0.0.1:{port}")
    await shop.railway.subscribed()
    async with header(window) as said:
        async with writing(canary):
            before = canary.number
            shop.railway.faults.refuse_upgrade = shop.railway.faults.http = (503, {}, "away")
            await shop.railway.faults.reset()
            await gone(window)
            await asyncio.sleep(away)  # an outage lasts
            await window.picture(f"railway-away-{away:g}s")
            shop.railway.faults.reset_all()
            await live(said)
        records = await whole(window, canary)
        await window.picture(f"railway-back-{away:g}s")
        stand = dict(await rulers(window))

    assert any(text.startswith("Railway is away") for text in said)
    if away == LONG:
        assert any(re.fullmatch(r"Railway is away, try \d+ in \d+ s", text) for text in said)
    assert list(stand) == ["reconnecting", "live"]
    assert before - 2 <= stand["reconnecting"] <= stand["live"] <= len(records)
    assert said[-1] == "live"


@pytest.mark.parametrize("away", LENGTHS)
async def test_the_wire_is_cut_for_a_while(shop: Shop, away: float) -> None:
    canary = Canary(shop.environment)
    canary.write(30)
    wire = await shop.scene.wire(int(shop.windows.base.rpartition(":")[2]))
    target = wire.target
    window = await shop.open(base=f"http://127.0.0.1:{wire.port}", tolerated=CUT)
    await shop.railway.subscribed()
    async with header(window) as said:
        async with writing(canary):
            wire.target = await refusing()
            wire.cut()
            await gone(window)
            await asyncio.sleep(away)  # an outage lasts
            await window.picture(f"wire-cut-{away:g}s")
            wire.target = target
            await live(said)
        await whole(window, canary)
        stand = await rulers(window)

    tries = [
        match for text in said if (match := re.fullmatch(r"reconnecting, try (\d+)(?: in \d+ s)?", text))
    ]
    assert int(tries[-1][1]) >= (4 if away == LONG else 1)
    assert [kind for kind, _ in stand] == ["disconnected", "connected"]
    assert stand[0][1] == stand[1][1] >= 30


async def refusing() -> int:
    """A port at which nobody listens."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@big
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("away", "how"), [(SHORT, signal.SIGTERM), (SHORT, signal.SIGKILL), (LONG, signal.SIGKILL)]
)
async def test_the_relay_ends_and_another_begins_at_its_place(
    shop: Shop, away: float, how: signal.Signals
) -> None:
    canary = Canary(shop.environment)
    canary.write(30)
    relay, port = await shop.scene.relay()
    window = await shop.open(base=f"http://127.0.0.1:{port}", tolerated=CUT)
    await shop.railway.subscribed()
    async with header(window) as said:
        async with writing(canary):
            relay.signal(how)
            await relay.ended(DEADLINE / 1000)
            await gone(window)
            await asyncio.sleep(away)  # an outage lasts
            await window.picture(f"relay-{how.name.lower()}-{away:g}s")
            await shop.scene.relay(PORT=str(port))
            await live(said)
        await whole(window, canary)
        stand = await rulers(window)

    assert any(text.startswith("reconnecting, try") for text in said)
    kinds = [kind for kind, _ in stand]
    assert kinds == [*["draining"] * (how == signal.SIGTERM), "disconnected", "connected"]
    places = [lines for _, lines in stand]
    assert places == sorted(places)  # while it drains, lines may come
    assert places[-1] == places[-2] >= 30
