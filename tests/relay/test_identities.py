"""Which rows have been seen already."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from logrelay.relay import timestamps
from logrelay.relay.identities import Identities

frames = st.lists(st.lists(st.sampled_from("abcd"), max_size=8), max_size=8)


def key(ns: int) -> str:
    return f"{timestamps.render(ns)}-0123456789ab"


def test_a_row_that_stands_twice_in_one_frame_is_two_records() -> None:
    assert Identities().unseen(["a", "a", "b", "a"]) == ["a", "a~2", "b", "a~3"]


def test_the_same_row_in_a_later_frame_is_a_redelivery() -> None:
    seen = Identities()
    seen.unseen(["a", "a"])

    assert seen.unseen(["a"]) == [None]
    assert seen.unseen(["a", "a"]) == [None, None]


def test_a_later_frame_that_holds_a_row_more_often_brings_the_surplus() -> None:
    seen = Identities()
    seen.unseen(["a", "a"])

    assert seen.unseen(["a", "a", "a"]) == [None, None, "a~3"]
    assert seen.unseen(["a", "a", "a"]) == [None, None, None]


@given(frames)
def test_each_row_comes_as_often_as_in_the_frame_that_held_it_most_often(
    given_frames: list[list[str]],
) -> None:
    seen = Identities()
    most: Counter[str] = Counter()
    for frame in given_frames:
        most |= Counter(frame)

    ids = [identity for frame in given_frames for identity in seen.unseen(frame) if identity is not None]

    assert Counter(identity.partition("~")[0] for identity in ids) == most
    assert len(set(ids)) == len(ids)
    assert len(seen) == len(most)


@given(frames)
def test_a_frame_delivered_again_brings_nothing(given_frames: list[list[str]]) -> None:
    seen = Identities()
    for frame in given_frames:
        seen.unseen(frame)

    for frame in given_frames:
        assert set(seen.unseen(frame)) <= {None}


def test_the_oldest_arrivals_beyond_the_capacity_are_forgotten() -> None:
    seen = Identities(capacity=3)
    keys = [key(second) for second in range(5)]
    seen.unseen(keys)

    seen.forget(100)

    assert len(seen) == 3
    assert seen.unseen(keys[2:]) == [None, None, None]
    assert seen.unseen(keys[:2]) == keys[:2]


def test_nothing_is_forgotten_within_the_capacity() -> None:
    seen = Identities(capacity=3)
    seen.unseen([key(1), key(2), key(3)])

    seen.forget(100)

    assert len(seen) == 3


def test_what_is_stamped_within_the_overlap_is_spared_although_it_came_first() -> None:
    seen = Identities(capacity=2)
    keys = [key(20), key(5), key(10), key(6), key(7)]
    seen.unseen(keys)

    seen.forget(10)

    assert seen.unseen(keys) == [None, key(5), None, key(6), key(7)]


def test_the_ceiling_spares_nothing() -> None:
    seen = Identities(capacity=2, ceiling=4)
    keys = [key(stamp) for stamp in range(10, 20)]
    seen.unseen(keys)

    seen.forget(0)

    assert len(seen) == 4
    assert seen.unseen(keys[-4:]) == [None] * 4


def test_a_ceiling_below_the_capacity_counts_as_the_capacity() -> None:
    seen = Identities(capacity=3, ceiling=1)
    seen.unseen([key(1), key(2), key(3)])

    seen.forget(0)

    assert len(seen) == 3


@given(st.lists(st.integers(0, 300), max_size=400), st.integers(1, 200), st.integers(0, 100))
def test_memory_stays_within_what_is_promised(stamps: list[int], capacity: int, overlap: int) -> None:
    seen = Identities(capacity=capacity, ceiling=capacity * 2)

    for place, ns in enumerate(stamps):
        seen.unseen([f"{key(ns)}{place}"])
        border = max(stamps[: place + 1]) - overlap
        seen.forget(border)

        assert len(seen) <= capacity * 2 * 9 / 8
    assert len(seen) >= min(len(stamps), capacity)


def test_a_look_at_the_oldest_is_rare_where_the_overlap_holds_too_many() -> None:
    seen = Identities(capacity=64)
    keys = [key(1000 + place) for place in range(1000)]
    sizes: set[int] = set()

    for place, text in enumerate(keys):
        seen.unseen([text])
        seen.forget(1000 + place - 400)
        sizes.add(len(seen))

    assert max(sizes) <= 401 * 9 / 8
    assert set(seen.unseen(keys[-400:])) == {None}


def test_what_the_repr_shows_are_counts() -> None:
    seen = Identities(capacity=7)
    seen.unseen(["secret"])

    assert repr(seen) == "<Identities 1 of 7>"
