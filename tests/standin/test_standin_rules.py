from __future__ import annotations

import datetime as dt
import json

import pytest
from graphql import GraphQLError, execute_sync
from hypothesis import given
from hypothesis import strategies as st

from logrelay.standin import (
    World,
    filters,
    frames,
    queries,
    timestamps,
    windows,
)
from logrelay.standin.access import Caller
from logrelay.standin.errors import RefusedError
from logrelay.standin.rows import Row, attribute_list
from logrelay.standin.schema import railway_schema, read_document, read_operation

SECOND = timestamps.SECOND


def row(ns: int, message: str = "", severity: str | None = "info", **tags: str) -> Row:
    return Row(ns, message, severity, tags, attribute_list(severity, {"n": 1, "s": "x"}))


def everything(_row: Row) -> bool:
    return True


@given(st.integers(min_value=0, max_value=4_102_444_800 * SECOND))
def test_a_stamp_reads_back_and_has_nine_digits(ns: int) -> None:
    text = timestamps.stamp(ns)

    assert len("2025-03-27T21:27:27.993356411Z") == len(text)
    assert ns == timestamps.parse(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T00:00:00.5Z", SECOND // 2),
        ("1970-01-01t01:00:00.000000001+01:00", 1),
        ("1969-12-31T23:00:00-01:00", 0),
    ],
)
def test_moments_may_have_offsets_and_short_fractions(text: str, ns: int) -> None:
    assert ns == timestamps.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2025-01-01",
        "2025-01-01T00:00:00",
        "2025-02-30T00:00:00Z",
        "2025-01-01T00:00:00.1234567890Z",
    ],
)
def test_what_is_not_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        timestamps.parse(text)


@given(
    st.lists(st.integers(0, 20)),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 8),
)
def test_a_closed_range_holds_both_ends_and_one_row_more(
    stamps: list[int], start: int, end: int, number: int
) -> None:
    rows = sorted((row(ns) for ns in stamps), key=lambda one: one.ns)
    window = windows.Window(before_date=start, anchor_date=end, before_limit=number, after_limit=0)

    found = windows.query(rows, window, now=100, test=everything)

    assert [one for one in rows if start <= one.ns <= end][-(number + 1) :] == found


@given(st.lists(st.integers(0, 20)), st.integers(0, 20), st.integers(1, 8))
def test_a_backlog_starts_after_its_date_and_keeps_its_limit(
    stamps: list[int], start: int, number: int
) -> None:
    rows = sorted((row(ns) for ns in stamps), key=lambda one: one.ns)

    found = windows.backlog(rows, windows.Window(before_date=start, before_limit=number), everything)

    assert [one for one in rows if one.ns > start][-number:] == found


def test_a_query_can_look_to_both_sides_of_its_anchor() -> None:
    rows = [row(ns) for ns in range(10)]
    window = windows.Window(anchor_date=5, before_limit=1, after_date=8, after_limit=1)

    assert [one.ns for one in windows.query(rows, window, 100, everything)] == [4, 5, 6, 7]
    assert [
        one.ns for one in windows.backlog(rows, windows.Window(anchor_date=4, after_date=7), everything)
    ] == [5, 6, 7]


def test_limits_default_to_a_hundred_on_the_side_that_is_asked_for() -> None:
    assert (windows.Window().rows_before, windows.Window().rows_after) == (100, 0)
    anchored = windows.Window(anchor_date=1)
    assert (anchored.rows_before, anchored.rows_after) == (100, 0)
    onward = windows.Window(anchor_date=1, after_date=2)
    assert (onward.rows_before, onward.rows_after) == (0, 100)
    assert (
        windows.Window(anchor_date=1, after_limit=7).rows_before,
        windows.Window(after_limit=7).rows_after,
    ) == (0, 7)
    assert [windows.one_more(0), windows.one_more(1)] == [0, 2]


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        (None, True),
        ("", True),
        ("(  )", True),
        ("hello", True),
        ("HELLO world", True),
        ('"hello big"', True),
        ('"big hello"', False),
        ("-hello", False),
        ("-goodbye", True),
        ("hello AND big", True),
        ("goodbye OR big", True),
        ("goodbye OR nothing", False),
        ("(goodbye OR hello) -nothing", True),
        ("@service:s1", True),
        ("-@service:s1", False),
        ("@service:s2 OR @service:s1", True),
        ("@deployment:d1 @replica:i1", True),
        ("replica:i1", True),
        ("@snapshot:p1", False),
        ("@level:info", True),
        ("@level:error", False),
        ("@n:1", True),
        ("@s:x", True),
        ('@s:"x"', True),
        ("@s:y", False),
        ("key:value", False),
        ("big:world", False),
    ],
)
def test_a_filter_selects(text: str | None, *, matches: bool) -> None:
    line = row(1, "Hello big world", serviceId="s1", deploymentId="d1", deploymentInstanceId="i1")

    assert matches == filters.compile_filter(text)(line)


@pytest.mark.parametrize("text", ["(", ")", "a AND", "a AND OR b", "- (", '"open', "@n:>5", "@n:1..3"])
def test_a_filter_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="Error in filter - Invalid input"):
        filters.compile_filter(text)


def test_rows_without_tags_match_no_tag() -> None:
    bare = Row(1, "m", None, None, attribute_list(None, None))

    assert not filters.compile_filter("@service:s1")(bare)
    assert bare.wire()["tags"] is None
    assert bare.wire()["attributes"] == [{"key": "level", "value": "null"}]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_says_its_size(size: int) -> None:
    written = frames.frame(frames.TEXT, b"x" * size)

    assert written[0] == 0x81
    assert b"x" * size == written[len(written) - size :]
    assert {0: 2, 125: 2, 126: 4, 65535: 4, 65536: 10}[size] == len(written) - size


SELECTIONS = """
query All($id: String!, $no: Boolean!) {
  a: environmentLogs(environmentId: $id, beforeLimit: 3) { __typename ...F severity @include(if: $no) }
  b: environmentLogs(environmentId: $id, beforeLimit: 3) {
    ... on Log { tags { __typename s: serviceId } tags { projectId } message @skip(if: $no) }
    attributes { __typename v: value }
    again: attributes { key value }
  }
}
fragment F on Log {
  when: timestamp tags { deploymentInstanceId pluginId } attributes { key } attributes { value }
}
"""


def test_cut_rows_are_what_the_executor_says() -> None:
    world = World(2)
    world.environment.write("one", attributes={"b": [1], "a": {"x": None}})
    world.environment.write("two", severity=None, tags=None)
    world.environment.write("three", service="worker")
    document = read_document(SELECTIONS)
    assert document.errors == []
    caller = Caller("account")

    for no in (True, False):
        variables = {"id": world.environment.id, "no": no}
        operation = read_operation(document.node, "All", variables)
        fast = queries.answer(world, caller, operation)
        slow = execute_sync(
            railway_schema(), document.node, queries._resolvers(world, caller), variable_values=variables
        )

        assert slow.errors is None
        assert {"data": slow.data} == fast
        assert json.dumps(slow.data) == json.dumps(fast["data"])  # the order of the keys, too


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    assert queries.encode({"m": "\ud83d"}) == b'{"m":"\\ud83d"}'


def test_reading_an_operation_refuses_unknown_names_and_kinds() -> None:
    document = read_document("query A { __typename } query B { __typename }").node

    with pytest.raises(GraphQLError, match="Must provide operation name"):
        read_operation(document, None, {})
    with pytest.raises(GraphQLError, match='Unknown operation named "C"'):
        read_operation(document, "C", {})
    with pytest.raises(GraphQLError, match="not configured"):
        read_operation(read_document("mutation { x }").node, None, {})


def test_datetimes_agree_with_the_standard_library() -> None:
    moment = dt.datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=dt.UTC)

    assert int(moment.timestamp()) * SECOND + 123_456_000 == timestamps.parse(moment.isoformat())
