"""The page, live: lines come, and whoever scrolls up is left in peace."""

from browser_scene import Shop


async def test_a_line_that_is_written_appears(shop: Shop) -> None:
    shop.environment.write("the first line")
    window = await shop.open()
    await window.line("the first line").wait_for()
    shop.environment.write("the second line")
    await window.line("the second line").wait_for()

    assert (await window.messages())[-2:] == ["the first line", "the second line"]
    await window.picture("one-line")
