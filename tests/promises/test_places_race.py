"""Places at a limit (faults.md C11, C18) and storms of reconnects (C14): exactly as many as may be, and none is leaked.

The relay is a process of its own, so that what it decides in one turn of its loop isn't ordered by the clients' loop.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest_system import until
from promises_clients import Client, dial, request
from promises_counting import PERFECT
from promises_load import Served, Writer, flowing, serving

from logrelay.standin import StandIn

LIMIT = 50
TRIES = 200
ROUNDS = 20
ALL_BACK = 30.0  # seconds in which everyone has to be back (faults.md C14)


async def tried(served: Served, count: int) -> list[Client]:
    """So many clients who connect at the same time, once each is served or refused."""
    clients = await asyncio.gather(*(served.client(number) for number in range(count)))
    await until(lambda: all(client.settled for client in clients), "all are served or refused", within=30)
    return list(clients)


async def leave_in_their_ways(clients: Sequence[Client], chance: random.Random) -> None:
    """Some politely, some not."""
    await asyncio.gather(*(client.leave() if chance.random() < 0.5 else client.cut() for client in clients))


async def handshakes_broken_off(served: Served, count: int, chance: random.Random) -> None:
    """Whole handshakes or parts of one, whose peers are gone before an answer can have reached them."""
    whole = request(served.port, served.path())
    for number in range(count):
        part = whole if chance.random() < 0.5 else whole[: chance.randrange(1, len(whole))]
        client = Client(part)
        await dial(served.port, client, number)
        await client.cut()


async def until_empty(served: Served, fds: int) -> None:
    """Wait until all have gone: their sockets first, then their places."""
    await until(lambda: served.fds() <= fds, f"no more than {fds} descriptors")
    await served.until_viewers(0)


def check_refused(client: Client) -> None:
    """It was told why and when to come back, and closed with 4429."""
    (error,) = client.messages
    assert ("error", "too_many_connections") == (error["type"], error["code"])
    assert error["retryable"] is True
    assert error["retryAfter"] > 0
    assert 4429 == client.code


@pytest.mark.big
@pytest.mark.timeout(120)
async def test_c11_of_two_hundred_at_once_exactly_fifty_are_served_and_no_place_is_leaked(
    railway: StandIn, tmp_path: Path
) -> None:
    chance = random.Random(11)
    changes = {"LOGRELAY_MAX_CONNECTIONS_PER_ENVIRONMENT": str(LIMIT), "LOGRELAY_LINGER_SECONDS": "60"}
    async with serving(railway, tmp_path, changes) as served:
        await (await served.clients(1))[0].leave()  # from now on the upstream stands
        fds = served.fds()
        for _ in range(ROUNDS):
            clients = await tried(served, TRIES)

            here = [client for client in clients if client.connected]
            assert LIMIT == len(here)
            assert LIMIT == await served.viewers()
            for client in clients:
                if not client.connected:
                    check_refused(client)
            await leave_in_their_ways(here, chance)
            await handshakes_broken_off(served, 30, chance)
            await until_empty(served, fds)

        assert LIMIT == len([client for client in await tried(served, LIMIT) if client.connected])
        assert 1 == len(railway.journal.subscribes)


async def test_c11_beyond_the_limit_of_the_process_it_is_503_before_the_upgrade(
    railway: StandIn, tmp_path: Path
) -> None:
    async with serving(railway, tmp_path, {"LOGRELAY_MAX_CONNECTIONS": "20"}) as served:
        for _ in range(5):
            clients = await tried(served, 60)

            assert {101: 20, 503: 40} == Counter(client.status for client in clients)
            for client in clients:
                if client.status == 503:
                    assert b"\r\nretry-after: " in client.head.lower()
                    await until(lambda client=client: client.body.endswith(b"}}"), "its body")
                    assert "too_many_connections" == json.loads(client.body)["error"]["code"]
            await asyncio.gather(*(client.cut() for client in clients))
            await served.until_viewers(0)


async def storm(railway: StandIn, folder: Path, count: int) -> None:
    """All clients lose their connections in one moment, and come back at once, while lines go on."""
    writer = Writer(railway)
    # As in production: the crowd is away for longer than the other tests let a subscription linger.
    lingering = {"LOGRELAY_LINGER_SECONDS": "30"}
    async with serving(railway, folder, lingering) as served, flowing(writer, 20):
        clients = await served.clients(count)
        await until(lambda: all(client.life.last_id for client in clients), "everyone has a line")
        subscribes, queries = len(railway.journal.subscribes), len(railway.journal.queries)

        await asyncio.gather(*(client.cut() for client in clients))
        began = time.monotonic()
        back = await asyncio.gather(
            *(
                served.client(number, client.life, lastId=client.life.last_id)
                for number, client in enumerate(clients)
            )
        )
        set_out = time.monotonic() - began
        await until(lambda: all(client.settled for client in back), "all are back", within=ALL_BACK - set_out)
        took = time.monotonic() - began
        assert [] == [client.status for client in back if not client.connected]
        assert count == await served.viewers()
        last = writer.number + 20
        await until(lambda: all(client.life.last >= last for client in back), "lines go on", within=30)

        sys.stdout.write(f"{count} set out in {set_out:.1f} s and were back after {took:.1f} s\n")
        for client in back:
            assert PERFECT == client.life.report()
            assert ["connected"] == client.said
            assert "exact" == client.messages[0]["data"]["resume"]["outcome"]
        assert (subscribes, queries) == (len(railway.journal.subscribes), len(railway.journal.queries))


@pytest.mark.big
async def test_c14_two_hundred_at_once_come_back_to_the_history_without_a_word_upstream(
    railway: StandIn, tmp_path: Path
) -> None:
    await storm(railway, tmp_path, 200)


@pytest.mark.big
@pytest.mark.timeout(240)
async def test_c14_two_thousand_at_once_come_back_to_the_history_without_a_word_upstream(
    railway: StandIn, tmp_path: Path
) -> None:
    await storm(railway, tmp_path, 2000)
