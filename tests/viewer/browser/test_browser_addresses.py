"""Addresses as people paste them, break them and are sent them: there is a log, or a sentence about what is wrong."""

from browser_scene import Shop
from playwright.async_api import expect


async def test_services_that_the_relay_does_not_take_are_said_and_the_log_is_shown_without(
    shop: Shop,
) -> None:
    shop.environment.write("of any service")
    sockets: list[str] = []
    window = await shop.open(wait="")
    window.page.on("websocket", lambda socket: sockets.append(socket.url))

    many = "&".join(f"services=service-{number}" for number in range(60))
    await window.page.goto(f"{shop.windows.base}{shop.path}?{many}")
    await window.line("of any service").wait_for()

    await expect(window.part("fault")).to_contain_text("services: at most")
    assert len(sockets) <= 3
