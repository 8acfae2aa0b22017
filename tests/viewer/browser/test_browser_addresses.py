"""Addresses as people paste them, break them and are sent them: there is a log, or a sentence about what is wrong."""

from browser_hands import big, press
from browser_scene import Shop
from playwright.async_api import expect
from test_browser_signin import REFUSED, SECRET, kept, ticket


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


@big
async def test_a_path_that_is_no_text_opens_a_page_that_says_so(shop: Shop) -> None:
    window = await shop.open("/environments/%FF", wait='[data-testid="banner"]', tolerated=REFUSED)

    await expect(window.part("banner")).not_to_be_empty()


async def test_a_new_link_that_is_pasted_into_a_tab_of_the_old_one_opens_the_log(stage: Shop) -> None:
    await stage.relay(LOGRELAY_AUTH="ticket", LOGRELAY_SERVICE_SECRET=SECRET)
    stage.environment.write("for those who may")
    window = await stage.open(
        f"{stage.path}#ticket=used-up", wait='[data-testid="signin"]', tolerated=REFUSED
    )
    made = (await ticket(stage))["ticket"]

    await window.page.evaluate(f"location.hash = 'ticket={made}'")
    await window.line("for those who may").wait_for()

    assert "#" not in window.page.url
    assert made not in await kept(window)


@big
async def test_a_filter_before_an_environment_is_chosen_asks_nobody(stage: Shop) -> None:
    other = stage.railway.world.add_environment("staging")
    await stage.relay(LOGRELAY_ENVIRONMENTS=f"{stage.environment.id},{other.id}")
    stage.environment.write("line seven")
    stage.environment.write("line eight")
    sockets: list[str] = []
    window = await stage.open("/", wait='[data-testid="environment-option"]')
    window.page.on("websocket", lambda socket: sockets.append(socket.url))

    await window.page.keyboard.press("Escape")
    await window.part("query").fill("seven")
    await window.part("query").press("Enter")
    assert sockets == []
    await press(window, "choose")
    await press(window, window.page.get_by_role("button", name="Open production"))
    await window.line("line seven").wait_for()

    assert len(sockets) == 1


@big
async def test_a_filter_that_is_refused_hides_nothing(shop: Shop) -> None:
    shop.environment.write("before")
    window = await shop.open()

    await window.part("query").fill('@user:alice "torn')
    await window.part("query").press("Enter")
    await window.part("fault").wait_for()
    shop.environment.write("after")

    await window.line("after").wait_for()
    await expect(window.line("before")).to_have_count(1)


@big
async def test_a_reload_with_a_rare_filter_shows_new_lines_while_the_past_is_still_looked_at(
    stage: Shop,
) -> None:
    await stage.relay(
        LOGRELAY_HISTORY_RECORDS="50", LOGRELAY_HISTORY_SECONDS="1", LOGRELAY_HEARTBEAT_SECONDS="0.2"
    )
    stage.environment.write_many([f"hay {number:04}" for number in range(2600)])
    stage.environment.write("needle before")
    window = await stage.open(f"{stage.path}?q=needle")
    await window.line("needle before").wait_for()
    stage.environment.write("hay afterwards")  # which is where the heartbeats say that the page is
    stage.railway.faults.query_delay = 3.0

    await window.page.reload()
    await expect(window.part("state")).to_contain_text("live")
    stage.environment.write("needle after")

    await window.line("needle after").wait_for()
    stage.railway.faults.query_delay = 0.0
    await window.line("needle before").wait_for()
    await expect(window.line("needle after")).to_have_count(1)


@big
async def test_what_was_wrong_with_a_filter_goes_with_it(shop: Shop) -> None:
    shop.environment.write("a line")
    window = await shop.open()
    await window.part("query").fill('"torn')
    await window.part("query").press("Enter")
    await window.part("fault").wait_for()

    await window.line("a line").locator(".message").click()
    await press(window, "show-around")
    await window.part("back-to-live").wait_for()

    await expect(window.part("fault")).to_have_count(0)
    await expect(window.part("query")).to_have_attribute("aria-invalid", "false")
