import random

import pytest

from logrelay.railway.backoff import Backoff


class _Middle(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def steady() -> Backoff:
    return Backoff(rng=_Middle())


def test_delays_double_up_to_the_longest() -> None:
    backoff = steady()

    assert [backoff.lost(n) for n in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_delays_are_spread_by_half_in_both_directions() -> None:
    backoff = Backoff(rng=random.Random(1))

    delays = [backoff.spread(10) for _ in range(1000)]

    assert 5 <= min(delays) < 5.1
    assert 14.9 < max(delays) <= 15
    assert 15 <= backoff.longest <= 45


def test_the_first_retry_comes_within_a_second() -> None:
    assert all(Backoff(rng=random.Random(n)).lost(0) <= 1 for n in range(100))


def test_data_resets_and_a_mere_connect_never_does() -> None:
    backoff = steady()
    backoff.lost(0)
    backoff.lost(1)

    backoff.opened(2)
    assert backoff.lost(3) == 2
    backoff.opened(4)
    backoff.data()

    assert backoff.lost(6) == 0.5


def test_health_resets() -> None:
    backoff = steady()
    for n in range(5):
        backoff.lost(n)

    backoff.opened(10)

    assert backoff.lost(70) == 0.5


def test_after_three_losses_in_five_minutes_only_health_resets() -> None:
    backoff = steady()
    for now in (0, 10, 20):
        backoff.opened(now)
        backoff.data()
        backoff.lost(now)

    backoff.opened(30)
    backoff.data()
    assert backoff.lost(31) == 1 * 1.25  # the middle of the longer half of the spread
    backoff.opened(40)
    assert backoff.lost(100) == 0.5


def test_losses_that_lie_far_apart_are_no_flapping() -> None:
    backoff = steady()
    for now in (0, 200, 400, 600):
        backoff.opened(now)
        backoff.data()
        assert backoff.lost(now) == 0.5


def test_u19_flapping_stays_so_when_the_delays_have_grown() -> None:
    backoff = steady()
    for now in (0, 10, 20, 400, 800):
        backoff.opened(now)
        backoff.data()
        backoff.lost(now)

    assert backoff.attempt == 3
    backoff.opened(900)
    backoff.lost(960)
    backoff.opened(970)
    backoff.data()
    assert backoff.lost(971) == 0.5


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_u19_flapping_opens_at_most_thirty_times_in_ten_minutes(seed: int, *, data: bool) -> None:
    backoff = Backoff(rng=random.Random(seed))
    now, opens = 0.0, 0

    while now < 600:
        opens += 1
        backoff.opened(now)
        if data:
            backoff.data()
        now += 1.0  # up for a second
        delay = backoff.lost(now)
        down_until = now + 1.0
        now += delay
        while now < down_until:
            now += backoff.lost(now)

    assert opens <= 30


def test_it_says_how_often_it_was_tried() -> None:
    backoff = steady()
    backoff.lost(0)

    assert repr(backoff) == "<Backoff attempt 1>"


def test_it_goes_on_for_ever() -> None:
    backoff = steady()

    assert [backoff.lost(n) for n in range(2000)][-1] == 30
