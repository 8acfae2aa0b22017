from typing import Any

import pytest
from multidict import MultiDict
from web_harness import line

from logrelay.errors import FilterInvalid, ParameterInvalid
from logrelay.relay import timestamps
from logrelay.web import parameters
from logrelay.web.placing import Placing, ResumeLimits


def read(*query: tuple[str, str]) -> Placing:
    return parameters.read(MultiDict(query), ResumeLimits())


def test_nothing_given_means_everything_and_a_hundred_records_of_the_past() -> None:
    placing = read()

    assert placing.filter.everything
    assert placing.tail == 100
    assert placing._request is None


@pytest.mark.parametrize(
    "query",
    [
        [("services", "api,web")],
        [("services", "api"), ("services", "web")],
        [("services", " api , ,web"), ("services", "api")],
    ],
)
def test_services_are_separated_by_commas_or_repeated(query: Any) -> None:
    assert read(*query).filter.services == ("api", "web")


def test_empty_values_are_as_good_as_missing_ones() -> None:
    placing = read(
        ("services", ""),
        ("search", ""),
        ("severity", ""),
        ("tail", ""),
        ("lastId", ""),
        ("lastTimestamp", ""),
    )

    assert placing.filter.everything
    assert placing.tail == 100
    assert placing._request is None


def test_unknown_parameters_are_left_alone() -> None:
    assert read(("something", "else")).tail == 100


@pytest.mark.parametrize(("text", "tail"), [("0", 0), ("1", 1), ("10000", 10_000)])
def test_tail_is_a_number(text: Any, tail: Any) -> None:
    assert read(("tail", text)).tail == tail


@pytest.mark.parametrize("text", ["10001", "-1", "1.0", "1e3", " 1", "٣", "²", "0x1", "00000000001"])
def test_tail_is_nothing_else(text: Any) -> None:
    with pytest.raises(ParameterInvalid, match="tail: a whole number from 0 to 10000"):
        read(("tail", text))


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2026-11-23T03:21:30Z", 0),
        ("2026-11-23T03:21:30.033Z", 33_000_000),
        ("2026-11-23T03:21:30.033333Z", 33_333_000),
        ("2026-11-23T03:21:30.033333123Z", 33_333_123),
        ("2026-11-23T04:21:30.033333123+01:00", 33_333_123),
        ("2026-11-23T04:21:30.033333123 01:00", 33_333_123),
    ],
)
def test_c15_a_timestamp_is_read_to_the_nanosecond(text: Any, fraction: Any) -> None:
    placing = read(("lastTimestamp", text), ("tail", "5"))

    assert placing._request.ns == timestamps.parse("2026-11-23T03:21:30Z") + fraction
    assert placing._request.last_id is None
    assert placing.tail == 0


def test_an_id_wins_over_a_timestamp_and_may_have_an_overlap() -> None:
    identity = line(3).id
    placing = read(("lastTimestamp", "2026-11-23T03:21:30Z"), ("lastId", identity), ("overlap", "60"))

    assert placing._request.last_id == identity
    assert placing._request.ns == line(3).ns
    assert placing._request.overlap == 60


def test_ids_with_ordinals_are_ids() -> None:
    assert read(("lastId", line(3).id + "~12"))._request.last_id == line(3).id + "~12"


def test_a_stamp_finer_than_a_nanosecond_is_no_stamp_that_was_received() -> None:
    with pytest.raises(ParameterInvalid, match="lastTimestamp"):
        read(("lastTimestamp", "2026-11-23T03:21:30.0333331234Z"))


@pytest.mark.parametrize(
    ("given", "batched"), [([], False), ([("batch", "0")], False), ([("batch", "1")], True)]
)
def test_records_come_in_batches_if_they_are_wanted(given: list[tuple[str, str]], *, batched: bool) -> None:
    assert read(*given).tail == 100
    assert parameters.batched(MultiDict(given)) is batched


def test_a_bad_filter_is_told_apart() -> None:
    with pytest.raises(FilterInvalid, match="unbalanced quote at 1"):
        read(("search", '"open'))
