from __future__ import annotations

import pytest

from logrelay.standin import (
    Canary,
    Clock,
    Line,
    Traffic,
    World,
    timestamps,
)
from logrelay.standin.traffic import SERVICES, Batch, retire

SECOND = timestamps.SECOND


def test_a_world_follows_from_its_seed() -> None:
    def ids(world: World) -> list[str]:
        services = world.environment.services
        return [world.account_token, world.project_token, *(service.newest.id for service in services)]

    assert ids(World(5)) == ids(World(5))
    assert ids(World(5)) != ids(World(6))
    assert repr(World(5)) == "World(seed=5, 1 environments)"


def test_the_clock_never_shows_a_moment_twice() -> None:
    clock = Clock(lambda: 7)

    assert [clock(), clock(), clock()] == [7, 8, 9]


def test_rows_stand_in_order_of_arrival_and_of_stamp() -> None:
    environment = World(1).environment
    late = environment.write("first", at=20)
    early = environment.write("second", at="1970-01-01T00:00:00.000000010Z")
    tie = environment.write_many(
        [{"message": "third", "tied": True}, Line("4", at=SECOND + 5, whole_second=True)]
    )

    assert [late, early, *tie] == environment.rows
    assert [one.ns for one in environment.by_stamp] == [10, 10, 20, SECOND]
    assert tie[1].timestamp == "1970-01-01T00:00:01.000000000Z"


def test_an_environment_forgets_its_oldest_rows() -> None:
    environment = World(1).environment
    environment.keep = 8
    environment.write_many([str(n) for n in range(11)])

    assert [one.message for one in environment.rows] == ["3", "4", "5", "6", "7", "8", "9", "10"]
    assert environment.rows == environment.by_stamp


def test_a_service_that_is_not_there_cannot_write() -> None:
    with pytest.raises(KeyError, match="production has no service 'nobody'"):
        World(1).environment.write("m", service="nobody")


def test_environments_share_the_services_of_the_project() -> None:
    world = World(1)
    staging = world.add_environment("staging")

    ours, theirs = world.environment.service("api"), staging.service("api")
    assert ours.id == theirs.id
    assert ours.newest.id != theirs.newest.id


def test_a_service_forgets_its_oldest_deployments() -> None:
    service = World(1).environment.service("api")
    first = service.newest.id
    service.tags()
    for _ in range(50):
        service.deploy()

    assert len(service.deployments) == 50
    assert first not in [deployment.id for deployment in service.deployments]


def test_traffic_follows_from_its_seed_and_has_everything() -> None:
    world = World(1)

    lines = Traffic(world, seed=3).first(6000)

    assert lines == Traffic(world, seed=3).first(6000)
    assert lines != Traffic(world, seed=4).first(6000)
    assert len(lines) == 6000
    assert {line.service for line in lines} == set(SERVICES)
    assert {line.severity for line in lines} == {"info", "warn", "error", "debug", None}
    assert any(line.message == "" for line in lines)
    assert any("\x1b[" in line.message for line in lines)
    assert any("\n" in line.message for line in lines)
    assert any(line.tied for line in lines)
    assert any(line.attributes for line in lines)
    assert any(line.message.startswith("Railway rate limit of 500 logs/sec") for line in lines)
    assert any(line.message.startswith("Mounting volume on: ") and line.whole_second for line in lines)


def test_a_redeploy_overlaps_and_then_retires_the_old_deployment() -> None:
    environment = World(1).environment
    service = environment.service("api")
    old = service.newest
    traffic = Traffic(environment)

    traffic._write(environment, Batch([Line("Starting Container", "api")], deploys="api"))
    assert [deployment.status for deployment in service.deployments] == ["SUCCESS", "SUCCESS"]

    traffic._write(environment, Batch([], retires="api"))
    assert [deployment.status for deployment in service.deployments] == ["REMOVED", "SUCCESS"]
    assert environment.rows[-1].message == "Stopping Container"
    assert old.id == environment.rows[-1].tags["deploymentId"]
    assert environment.rows[-1].timestamp.endswith(".000000000Z")
    assert retire(environment, service) == []


def test_a_canary_numbers_its_lines_and_ties_delays_and_repeats_some() -> None:
    environment = World(1).environment
    canary = Canary(environment, tied=0.3, late=0.3, max_lateness=5.0, duplicates=0.5)

    rows = [row for _ in range(20) for row in canary.write(10)]

    assert (
        [f"canary {n}" for n in range(1, 201)]
        == [row.message for row in rows]
        == [row.message for row in canary.written]
    )
    assert canary.number == 200
    stamps = [row.ns for row in rows]
    assert len(set(stamps)) < 200
    assert stamps != sorted(stamps)
    assert 0 < len(canary._again) < 10
    assert stamps == [row.ns for row in Canary(environment, "api").environment.rows]
