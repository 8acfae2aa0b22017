import random

import pytest

from logrelay.railway.backoff import Backoff
from logrelay.railway.ends import Ends, Retry
from logrelay.railway.verdicts import Kind, Verdict

REFUSED = Verdict(Kind.REFUSED, "no")
BROKEN = Verdict(Kind.BROKEN, "ill")
LOST = Verdict(Kind.TRANSIENT, "gone")


def ends() -> Ends:
    return Ends(Backoff(rng=random.Random(1)))


def finals(judged: Ends, *verdicts: Verdict) -> list[bool]:
    return [judged.judge(verdict, 0.0).final for verdict in verdicts]


def test_three_refusals_in_a_row_are_final_and_so_is_the_next() -> None:
    assert finals(ends(), REFUSED, REFUSED, REFUSED, REFUSED) == [False, False, True, True]


def test_something_else_between_refusals_starts_the_count_again() -> None:
    assert finals(ends(), REFUSED, REFUSED, LOST, REFUSED, REFUSED) == [False] * 5


def test_another_token_has_three_tries_of_its_own() -> None:
    judged = ends()
    finals(judged, REFUSED, REFUSED, REFUSED)

    judged.renewed()

    assert finals(judged, REFUSED, REFUSED, REFUSED) == [False, False, True]
    assert judged.final


def test_a_credential_that_is_known_to_be_bad_has_one_try() -> None:
    assert ends().judge(REFUSED, 0.0, rejected=True) == Retry(300.0, final=True)


def test_five_internal_faults_in_a_row_are_final() -> None:
    assert finals(ends(), BROKEN, BROKEN, BROKEN, BROKEN, BROKEN) == [False] * 4 + [True]
    assert finals(ends(), BROKEN, BROKEN, BROKEN, BROKEN, LOST, BROKEN) == [False] * 6


def test_what_stands_has_nothing_against_it() -> None:
    judged = ends()
    finals(judged, REFUSED, REFUSED, REFUSED)

    judged.stood(1.0)

    assert not judged.final
    assert finals(judged, REFUSED, REFUSED) == [False, False]


def test_a_misfit_is_final_at_once() -> None:
    assert finals(ends(), Verdict(Kind.MISFIT, "odd")) == [True]


def test_the_edge_blocks_with_the_longest_delay() -> None:
    assert 15 <= ends().judge(Verdict(Kind.BLOCKED, "edge"), 0.0).delay <= 45


@pytest.mark.parametrize("kind", [Kind.LIMITED, Kind.TRANSIENT])
def test_a_named_time_is_never_undercut(kind: Kind) -> None:
    assert ends().judge(Verdict(kind, "later", 17.0), 0.0).delay >= 17


def test_those_who_wait_for_the_gate_do_not_all_start_at_once() -> None:
    delays = {Ends(Backoff()).judge(LOST, 0.0, gate=10.0).delay for _ in range(20)}

    assert len(delays) == 20
    assert all(10.25 <= delay <= 10.75 for delay in delays)
