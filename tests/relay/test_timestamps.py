"""Timestamps as integers of nanoseconds."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrelay.relay import timestamps

FIRST = timestamps.parse("0001-01-01T00:00:00Z")
LAST = timestamps.parse("9999-12-31T23:59:59.999999999Z")
stamps = st.integers(FIRST, LAST)


@given(stamps)
def test_what_is_rendered_is_read_back_to_the_nanosecond(ns: int) -> None:
    text = timestamps.render(ns)

    assert len(text) == 30
    assert timestamps.parse(text) == ns


@given(stamps, stamps)
def test_the_order_of_rendered_stamps_as_text_is_that_of_time(one: int, other: int) -> None:
    assert (timestamps.render(one) < timestamps.render(other)) is (one < other)


@given(st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_an_offset_is_taken_off(local: dt.datetime, minutes: int) -> None:
    aware = local.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    expected = (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1000

    assert timestamps.parse(aware.isoformat()) == expected


@given(st.text(alphabet="0123456789", max_size=30))
def test_fractions_of_any_precision_count_up_to_nine_digits(digits: str) -> None:
    text = f"2026-11-23T03:21:30{'.' if digits else ''}{digits}Z"
    expected = int((digits + "000000000")[:9])

    assert timestamps.parse(text) % 1_000_000_000 == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:00Z", 0),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00:00 02:00", 0),
        ("1969-12-31T22:30:00-01:30", 0),
        ("1970-01-01T00:00:00.5-00:00", 500_000_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
        ("2016-12-31T23:59:60Z", timestamps.parse("2017-01-01T00:00:00Z")),
        ("2016-12-31T23:59:60.000000001Z", timestamps.parse("2017-01-01T00:00:00Z") + 1),
    ],
)
def test_forms_of_rfc_3339_are_read(text: str, expected: int) -> None:
    assert timestamps.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T03:21:30",
        "2026-11-23T03:21Z",
        "2026-11-23T03:21:30.Z",
        "2026-11-23T03:21:30,5Z",
        "2026-13-23T03:21:30Z",
        "2026-02-29T03:21:30Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T03:60:30Z",
        "2026-11-23T03:21:61Z",
        "2026-11-23T03:21:30+24:00",
        "2026-11-23T03:21:30+01:60",
        "2026-11-23T03:21:30+0100",
        "0000-01-01T00:00:00Z",
        "02026-11-23T03:21:30Z",
        "2026-11-23T03:21:30Z\n",
        "2026-11-23T03:21:30Z\0",
        # the length and the marks of Railway's form, but no digits
        "2026-+1-23T03:21:30.033333123Z",
        "2026-11-23T 3:21:30.033333123Z",
        "2_26-11-23T03:21:30.033333123Z",
        "٢٠٢٦-11-23T03:21:30.033333123Z",
        "2026-11-23T03:21:30.03333312٣Z",
        "2026-11-23T03:21:30.+33333123Z",
        "2026x11x23T03x21x30.033333123Z",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        timestamps.parse(text)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z"]
)
def test_what_could_not_be_rendered_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        timestamps.parse(text)


@pytest.mark.parametrize("ns", [FIRST - 1, LAST + 1, 1 << 100])
def test_a_time_outside_of_the_calendar_is_not_rendered(ns: int) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        timestamps.render(ns)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        ns = timestamps.parse(text)
    except ValueError:
        return
    assert timestamps.parse(timestamps.render(ns)) == ns
