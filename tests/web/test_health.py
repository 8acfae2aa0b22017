from web_harness import ENV, Make, Relay, line

from logrelay.errors import UpstreamRefused


async def test_healthz_answers_while_the_loop_does(relay: Relay) -> None:
    async with relay.session.get(f"{relay.url}/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        assert answer.headers["Cache-Control"] == "no-store"


async def test_readyz_tells_of_each_environment(relay: Relay) -> None:
    peer = await relay.joined()
    relay.sink.publish([line(1)])

    async with relay.session.get(f"{relay.url}/readyz") as answer:
        body = await answer.json()

    assert answer.status == 200
    assert body["state"] == "ready"
    environment = body["environments"][ENV]
    assert environment["upstream"]["state"] == "live"
    assert (environment["viewers"], environment["records"]) == (1, 1)
    assert environment["bytes"] > 0
    await peer.leave()


async def test_readyz_stays_200_when_an_upstream_is_away(relay: Relay) -> None:
    peer = await relay.joined()

    relay.sink.retrying(1, 5.0)
    async with relay.session.get(f"{relay.url}/readyz") as away:
        assert (away.status, (await away.json())["state"]) == (200, "degraded")
    relay.sink.refused(UpstreamRefused("no longer valid"), 300.0)
    async with relay.session.get(f"{relay.url}/readyz") as refused:
        assert (refused.status, (await refused.json())["state"]) == (200, "degraded")
    relay.sink.stands()
    async with relay.session.get(f"{relay.url}/readyz") as back:
        assert (await back.json())["state"] == "ready"
    await peer.leave()


async def test_readyz_is_503_before_the_start_is_complete(relay: Relay) -> None:
    relay.health.started = False

    async with relay.session.get(f"{relay.url}/readyz") as answer:
        assert (answer.status, (await answer.json())["state"]) == (503, "starting")
    async with relay.session.get(f"{relay.url}/healthz") as answer:
        assert answer.status == 200


async def test_readyz_is_503_while_draining(relay: Relay) -> None:
    await relay.streams.drain()

    async with relay.session.get(f"{relay.url}/readyz") as answer:
        assert (answer.status, (await answer.json())["state"]) == (503, "draining")


async def test_health_stands_at_the_root_also_under_a_base_path(make: Make) -> None:
    relay = await make(base_path="/logs")

    for path in ("/healthz", "/readyz", "/logs/healthz", "/logs/readyz"):
        async with relay.session.get(relay.url + path) as answer:
            assert answer.status == 200
    peer = await relay.joined()
    await peer.leave()


async def test_metrics_are_not_there_where_none_are_kept(relay: Relay) -> None:
    async with relay.session.get(f"{relay.url}/metrics") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")
    async with relay.session.get(f"{relay.url}/healthz") as answer:
        assert answer.status == 200
