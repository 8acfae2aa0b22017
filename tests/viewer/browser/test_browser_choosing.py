"""Choosing among many: environments, services, tokens; and the browser's own way back."""

from browser_hands import big, each_size, keys, phone, press
from browser_scene import Shop
from playwright.async_api import expect
from test_browser_signin import REFUSED, TOKEN, listed, sign_in

COUNTRIES = (
    "austria",
    "brazil",
    "chile",
    "denmark",
    "ecuador",
    "france",
    "ghana",
    "haiti",
    "iceland",
    "japan",
)


async def many(shop: Shop) -> dict[str, str]:
    """Eleven environments; the ids by their names."""
    ids = {"production": shop.environment.id}
    for name in COUNTRIES:
        made = shop.railway.world.add_environment(name)
        made.write(f"in {name}")
        ids[name] = made.id
    await shop.relay(LOGRELAY_ENVIRONMENTS=",".join(ids.values()))
    return ids


@big
@each_size
async def test_an_environment_is_searched_among_many(stage: Shop, size: str) -> None:
    ids = await many(stage)
    window = await stage.open("/", size=size, wait='[data-testid="environment-search"]')
    search = window.part("environment-search")

    await expect(search).to_be_focused()
    await expect(window.part("environment-option")).to_have_count(len(ids))
    await search.fill("RA")
    await expect(window.part("panel")).to_contain_text("2 of 11")
    await expect(window.part("environment-option")).to_have_count(2)  # brazil and france
    await window.picture(f"picker-search-{size}-dark")
    await search.fill("nowhere")
    await expect(window.part("environment-option")).to_have_count(0)
    await search.fill("ice")
    await expect(window.part("environment-option")).to_have_count(1)
    await keys(window, "Enter")

    await window.line("in iceland").wait_for()
    assert ids["iceland"] in window.page.url


@big
async def test_environments_are_walked_by_arrows(stage: Shop) -> None:
    ids = await many(stage)
    window = await stage.open("/", wait='[data-testid="environment-search"]')

    await keys(window, "ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp")
    await expect(window.part("environment-search")).to_be_focused()
    await window.page.keyboard.type("jap")
    await keys(window, "ArrowDown")
    await expect(window.part("environment-option").first).to_be_focused()
    await keys(window, "Enter")

    await window.line("in japan").wait_for()
    assert ids["japan"] in window.page.url


@big
async def test_who_leaves_without_a_choice_finds_the_way_back(stage: Shop) -> None:
    await many(stage)
    window = await stage.open("/", wait='[data-testid="environment-search"]')

    await keys(window, "Escape")
    await expect(window.part("banner")).to_contain_text("No environment is chosen.")
    await window.picture("unchosen-desktop-dark")
    await press(window, "choose")
    await press(window, window.page.get_by_role("button", name="Open chile"))

    await window.line("in chile").wait_for()
    await expect(window.part("banner")).to_have_count(0)


@big
async def test_the_browsers_way_back_and_forth_leads_through_the_environments(stage: Shop) -> None:
    ids = await many(stage)
    window = await stage.open(f"/environments/{ids['brazil']}")
    await window.line("in brazil").wait_for()
    for name in ("chile", "denmark"):
        await press(window, "environment")
        await press(window, window.page.get_by_role("button", name=f"Open {name}"))
        await window.line(f"in {name}").wait_for()

    for step, name in (("back", "chile"), ("back", "brazil"), ("forward", "chile"), ("forward", "denmark")):
        await (window.page.go_back() if step == "back" else window.page.go_forward())
        await window.line(f"in {name}").wait_for()
        await expect(window.page.locator(".row:visible")).to_have_count(1)
        await expect(window.part("environment")).to_contain_text(name)
        assert ids[name] in window.page.url


@big
@each_size
async def test_a_service_is_searched_among_many(shop: Shop, size: str) -> None:
    for name in COUNTRIES:
        shop.environment.add_service(name)
        shop.environment.write(f"from {name}", service=name)
    window = await shop.open(size=size)
    await window.line("from japan").wait_for()

    await press(window, "services")
    search = window.part("service-search")
    await search.fill("LAND")
    await expect(window.part("service-option")).to_have_count(1)
    await window.picture(f"services-search-{size}-dark")
    await press(window, window.page.get_by_role("button", name="only this service: iceland"))
    await expect(window.page.locator(".row:visible")).to_have_count(1)
    await window.line("from iceland").wait_for()
    await keys(window, "Escape")
    await press(window, "services")

    await expect(search).to_have_value("")  # what was searched for is no filter
    assert await window.part("service-option").count() > len(COUNTRIES)
    assert phone(window) == (size == "phone")


@big
async def test_another_token_or_another_environment_is_offered_where_one_is_refused(stage: Shop) -> None:
    other = stage.railway.world.add_environment("staging")
    both = f"{stage.environment.id},{other.id}"
    tokens = "\n".join(
        (listed(environments=[other.id]), listed("the-other-one-0123456789", environments="*", name="all"))
    )
    await stage.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS=tokens, LOGRELAY_ENVIRONMENTS=both)
    stage.environment.write("in production")
    other.write("in staging")
    window = await stage.open(wait='[data-testid="signin"]', tolerated=REFUSED)
    await sign_in(window, TOKEN)
    await expect(window.part("banner")).to_contain_text("You may not see this environment.")

    await press(window, "choose")
    await press(window, window.page.get_by_role("button", name="Open staging"))
    await window.line("in staging").wait_for()
    await expect(window.part("banner")).to_have_count(0)
    await window.page.go_back()
    await expect(window.part("banner")).to_contain_text("You may not see this environment.")
    await press(window, "other-token")
    await sign_in(window, "the-other-one-0123456789")

    await window.line("in production").wait_for()
    await expect(window.part("banner")).to_have_count(0)


@big
async def test_a_token_that_sees_no_environment_gives_way_to_another(stage: Shop) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    tokens = "\n".join((listed(environments=[nowhere]), listed("the-other-one-0123456789", name="all")))
    await stage.relay(LOGRELAY_AUTH="token", LOGRELAY_TOKENS=tokens)
    stage.environment.write("in production")
    window = await stage.open("/", wait='[data-testid="signin"]', tolerated=REFUSED)
    await sign_in(window, TOKEN)
    await expect(window.part("panel")).to_contain_text("There is no environment that you may see.")
    await window.picture("picker-none-desktop-dark")

    await press(window, "other-token")
    await sign_in(window, "the-other-one-0123456789")

    await window.line("in production").wait_for()
