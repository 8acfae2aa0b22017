import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from logrelay.errors import UpstreamError
from logrelay.railway.answers import QueryFailed
from logrelay.railway.directory import Directory
from logrelay.railway.gateway import Gateway
from logrelay.railway.verdicts import Kind, Verdict
from logrelay.standin import Environment, StandIn


def service(number: int, **more: Any) -> dict[str, Any]:
    return {"node": {"serviceId": f"s{number}", "serviceName": f"name {number}", **more}}


def page(*edges: Any, after: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": after is not None, "endCursor": after}
    return {"environment": {"name": "production", "serviceInstances": {"edges": edges, "pageInfo": info}}}


class Answers:
    """A gateway that gives prepared answers, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.held: asyncio.Event | None = None

    async def query(self, _name: str, variables: dict[str, Any]) -> Any:
        self.asked.append(variables)
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


FAILURE = QueryFailed(Verdict(Kind.TRANSIENT, "not today"))


def directory(answers: Answers, now: Callable[[], float] = lambda: 1000.0, **more: Any) -> Directory:
    return Directory(answers, "env", clock=now, **more)  # type: ignore[arg-type] a stand-in for the gateway


async def test_names_are_learnt_from_railway(
    gateway: Gateway, environment: Environment, railway: StandIn
) -> None:
    names = Directory(gateway, environment.id)

    await names.refresh()

    api = environment.service("api")
    assert names.name(api.id) == "api"
    assert names.name(None) is None
    assert names.name("nobody") is None
    assert names.description.name == "production"
    assert sorted(name for _, name in names.description.services) == ["api", "web", "worker"]
    assert [deployment.status for deployment in names.deployments[api.id]] == ["SUCCESS"]
    assert len(railway.journal.queries) == 1


async def test_all_pages_are_asked_for() -> None:
    answers = Answers(page(service(1), after="x"), page(service(2), after="y"), page(service(3)))
    names = directory(answers)

    await names.refresh()

    assert [asked["after"] for asked in answers.asked] == [None, "x", "y"]
    assert names.description.services == (("s1", "name 1"), ("s2", "name 2"), ("s3", "name 3"))


async def test_pages_without_end_are_given_up() -> None:
    answers = Answers(page(service(1), after="x"))

    await directory(answers).refresh()

    assert len(answers.asked) == 20


async def test_a_service_that_is_not_listed_for_a_moment_keeps_its_name() -> None:
    names = directory(Answers(page(service(1)), page()))

    await names.refresh()
    await names.refresh()

    assert names.name("s1") == "name 1"
    assert names.description.services == ()


async def test_deployments_are_those_that_run_or_else_the_latest() -> None:
    one = {"id": "d1", "status": "SUCCESS", "createdAt": "then"}
    two = one | {"id": "d2"}
    names = directory(
        Answers(
            page(
                service(1, latestDeployment=two, activeDeployments=[one]),
                service(2, latestDeployment=two),
                service(3),
            )
        )
    )

    await names.refresh()

    assert {key: [found.id for found in value] for key, value in names.deployments.items()} == {
        "s1": ["d1"],
        "s2": ["d2"],
        "s3": [],
    }


@pytest.mark.parametrize(
    "data", [{}, {"environment": None}, {"environment": {"name": "x"}}, page({"node": None})]
)
async def test_an_answer_that_cannot_be_read_is_transient(data: Any) -> None:
    names = directory(Answers(data))

    with pytest.raises(QueryFailed) as failed:
        await names.refresh()

    assert failed.value.verdict.kind is Kind.TRANSIENT
    assert names.failing


async def test_an_unknown_id_is_asked_for_once_and_again_later() -> None:
    now = [1000.0]
    answers = Answers(page(service(1)))
    names = directory(answers, lambda: now[0], retry_after=60.0)
    await names.refresh()

    assert await names.resolve(["s1"])
    await names.resolve(["unknown", None])
    await names.resolve(["unknown"])
    assert len(answers.asked) == 2
    now[0] += 60
    assert not await names.resolve(["unknown"])

    assert len(answers.asked) == 3


async def test_unknown_ids_do_not_grow_for_ever() -> None:
    names = directory(Answers(page()))
    await names.refresh()

    await names.resolve(f"u{n}" for n in range(1500))

    assert len(names._unknown) == 1000


async def test_a_failure_is_tried_again_while_records_wait() -> None:
    answers = Answers(FAILURE, FAILURE, FAILURE, page(service(1)))
    names = directory(answers)
    with pytest.raises(UpstreamError):
        await names.refresh()

    assert await names.resolve(["s1"])

    assert names.name("s1") == "name 1"
    assert not names.failing
    assert len(answers.asked) == 4


async def test_names_that_can_not_be_had_are_asked_for_after_longer_and_longer_rests() -> None:
    now = [1000.0]
    answers = Answers(*[FAILURE] * 8, page(service(1)))
    names = directory(answers, lambda: now[0], retry_after=4.0, patience=0.0)
    asked: list[float] = []

    for _ in range(40):
        before = len(answers.asked)
        await names.resolve(["s1"])
        await asyncio.sleep(0)
        if len(answers.asked) > before:
            asked.append(now[0] - 1000.0)
        now[0] += 0.5

    assert asked[:5] == [0.0, 1.0, 3.0, 7.0, 11.0]


async def test_a_refusal_of_names_is_not_tried_again_at_once() -> None:
    refusal = QueryFailed(Verdict(Kind.REFUSED, "Not Authorized"))
    answers = Answers(refusal, page(service(1)))
    names = directory(answers)

    await names.resolve(["s1"])

    assert len(answers.asked) == 1
    assert names.failing


async def test_a_refresh_in_the_background_may_fail() -> None:
    now = [1000.0]
    answers = Answers(page(service(1)), FAILURE)
    names = directory(answers, lambda: now[0], refresh_after=600.0)
    await names.refresh()
    now[0] += 600

    await names.resolve(["s1"])
    await names.close()
    await names.resolve(["new"])

    assert names.name("s1") == "name 1"
    await names.close()


async def test_records_wait_for_a_name_but_not_for_ever() -> None:
    answers = Answers(page(service(1)))
    answers.held = asyncio.Event()
    names = directory(answers, patience=0.01)

    assert not await names.resolve(["s1"])
    answers.held.set()
    await asyncio.wait([names._refreshing])  # type: ignore[list-item]
    assert await names.resolve(["s1"])

    assert len(answers.asked) == 1
    await names.close()


async def test_two_who_wait_share_one_refresh() -> None:
    answers = Answers(page(service(1)))
    names = directory(answers)

    await asyncio.gather(names.resolve(["s1"]), names.resolve(["s1"]))

    assert len(answers.asked) == 1
    await names.close()
