import json
import re
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrelay import terminal
from logrelay.terminal import Look, clean

PLAIN = Look(zone=timezone(timedelta(hours=1)))
COLOURED = Look(colour=True, zone=timezone(timedelta(hours=1)))
SGR = re.compile(r"\x1b\[[0-9;:]*m")
BIDI = set("\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")

# dense in what is dangerous, and anything besides
texts = st.text(
    st.sampled_from("\x1b[]m0;:?8\x9b\x07\t\r\n\x00\x7f\x85 a\u202e\u2066\u200b\ufeff\u0301漢é\ud800")
    | st.characters(exclude_categories=())
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
fields = [
    "id",
    "timestamp",
    "severity",
    "message",
    "serviceId",
    "serviceName",
    "attributes",
    "late",
    "truncated",
    "size",
    "kind",
]
records = st.dictionaries(st.sampled_from(fields), values)


def assert_harmless(text: str, *, colour: bool = True) -> None:
    if colour:
        text = SGR.sub("", text)
    assert not [c for c in text if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in BIDI]
    text.encode()


def record(**fields: object) -> dict[str, object]:
    stamp = "2026-11-23T03:21:30.033333123Z"
    return {
        "id": "1",
        "timestamp": stamp,
        "severity": "info",
        "message": "hello",
        "serviceName": "api",
    } | fields


@given(text=texts, colour=st.booleans())
def test_of_any_text_only_colour_codes_reach_the_terminal_and_are_ended(text: str, *, colour: bool) -> None:
    shown = clean(text, colour=colour)

    assert_harmless(shown, colour=colour)
    assert "\x1b" not in shown or shown.endswith(terminal.RESET)


@given(texts)
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert clean(text) == clean(clean(text))


@given(record=records, colour=st.booleans())
def test_any_record_is_shown_harmlessly(record: dict[str, object], *, colour: bool) -> None:
    shown = terminal.record_lines(record, Look(colour=colour, zone=PLAIN.zone), 8)

    for line in shown.split("\n"):
        assert_harmless(line, colour=colour)
        assert "\x1b" not in line or line.count("\x1b") >= 2


@given(records)
def test_any_record_is_one_harmless_line_of_json_that_says_the_same(record: dict[str, object]) -> None:
    line = terminal.json_line(record)

    assert_harmless(line, colour=False)
    assert record == json.loads(line)


statuses = ["connected", "connecting", "reconnecting", "live", "gap", "lost", "draining", "paused", "filter"]


@given(
    st.sampled_from(statuses) | texts,
    st.dictionaries(
        st.sampled_from(
            [
                "from",
                "to",
                "count",
                "reason",
                "services",
                "environmentName",
                "filter",
                "resume",
                "upstream",
                "backfilled",
            ]
        ),
        values | st.fixed_dictionaries({"outcome": values, "state": values, "unknownServices": values}),
    ),
)
def test_any_notice_is_one_harmless_line(message: str, data: dict[str, object]) -> None:
    assert_harmless(terminal.notice_line(terminal.status_text(message, data, COLOURED), COLOURED))


@given(texts, st.integers(1, 30))
def test_a_cut_text_is_never_wider_than_asked(text: str, columns: int) -> None:
    assert terminal.width(terminal.fit(clean(text), columns)) <= columns


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2Jgone", "␛[2Jgone"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x1b[>4;2m", "␛[>4;2m"),
        ("\x9b31m", "\\x9b31m"),
        ("nul\x00del\x7f", "nul␀del␡"),
        ("\u202egpj.exe", "<U+202E>gpj.exe"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("half \ud83d", "half \ufffd"),
        ("a\tb", "a       b"),
        ("漢\tb", "漢      b"),
        ("e\u0301\u00e9\tb", "e\u0301é      b"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b\x1b[31m[2J", "␛[2J"),
    ],
)
def test_what_a_terminal_would_obey_is_made_visible(text: str, shown: str) -> None:
    assert shown == clean(text)


def test_colours_of_a_line_are_kept_and_ended_and_do_not_count_for_tabs() -> None:
    assert clean("\x1b[1;31mred\x1b[38:5:1m\tx", colour=True) == "\x1b[1;31mred\x1b[38:5:1m     x\x1b[0m"


def test_a_record_is_one_line_with_time_service_severity_and_message() -> None:
    assert terminal.record_lines(record(), PLAIN, 8) == "04:21:30.033 api      INFO  hello"


def test_a_wide_time_has_the_day() -> None:
    look = Look(zone=PLAIN.zone, wide_time=True)

    assert terminal.moment("2026-11-23T03:21:30.033333123Z", look) == "2026-11-23 04:21:30.033"
    assert terminal.moment("2026-11-23T03:21:30", look) == "2026-11-23 04:21:30.000"


@pytest.mark.parametrize("stamp", ["yesterday\x1b", "", None, "0001-01-01T00:00:00+14:00"])
def test_a_stamp_that_is_none_is_shown_as_it_came(stamp: object) -> None:
    assert clean(str(stamp)) == terminal.moment(stamp, Look(zone=timezone(-timedelta(hours=1))))


def test_colours_tell_services_and_severities_apart() -> None:
    shown = terminal.record_lines(record(severity="error", message="\x1b[32mok"), COLOURED, 5)

    assert (
        shown
        == "\x1b[2m04:21:30.033\x1b[0m \x1b[38;5;169mapi\x1b[0m   \x1b[31mERROR\x1b[0m \x1b[32mok\x1b[0m"
    )


def test_further_lines_of_a_message_stand_below_the_first_and_attributes_at_the_end() -> None:
    shown = terminal.record_lines(
        record(
            message="Error: no\r\n\tat a.js:1\n\n", severity=None, attributes={"level": "error", "code": 7}
        ),
        PLAIN,
        3,
    )

    assert shown.split("\n") == [
        "04:21:30.033 api       Error: no",
        "                               at a.js:1  code=7",
    ]


def test_attributes_are_compact_and_quoted_where_they_need_it() -> None:
    attributes = {"path": "/a", "who": "Ann Lee", "eq": "a=b", "none": None, "list": [1, "é"], "empty": ""}

    shown = terminal.record_lines(record(message="", attributes=attributes), PLAIN, 3)

    assert shown.endswith(' INFO  path=/a who="Ann Lee" eq="a=b" none=null list=[1,"é"] empty=""')


def test_long_names_and_values_are_cut() -> None:
    shown = terminal.record_lines(record(serviceName="a" * 40, attributes={"v": "x" * 500}), PLAIN, 8)

    assert " aaaaaaa… INFO" in shown
    assert shown.endswith("x…")
    assert len(shown) < 200


def test_a_late_a_cut_and_a_build_record_are_marked() -> None:
    shown = terminal.record_lines(record(late=True, truncated=True, size=70000, kind="build"), PLAIN, 3)

    assert shown.endswith("hello  [late] [cut, 70,000 bytes] [build]")
    assert terminal.record_lines(record(truncated=True), PLAIN, 3).endswith("hello  [cut]")


def test_a_record_with_strange_fields_is_shown_all_the_same() -> None:
    shown = terminal.record_lines(
        {"timestamp": 7, "message": {"a": 1}, "severity": "catastrophic", "serviceId": "s1"}, PLAIN, 3
    )

    assert shown == '7 s1  cata… {"a": 1}'
    assert terminal.record_lines({}, PLAIN, 3) == "None -         "


def test_notices_are_dim_and_what_is_missing_is_yellow() -> None:
    assert terminal.notice_line("live", PLAIN) == "── live ──"
    assert terminal.notice_line("live", COLOURED) == "\x1b[2m── live ──\x1b[0m"
    assert terminal.notice_line("gap", COLOURED, warning=True) == "\x1b[33m── gap ──\x1b[0m"


HOLE = {"from": "2026-11-23T03:00:00Z", "to": "2026-11-23T03:00:01.5Z"}
HOLE_TEXT = " from 2026-11-23 04:00:00.000 to 2026-11-23 04:00:01.500"


@pytest.mark.parametrize(
    ("message", "data", "said"),
    [
        ("connecting", {}, "the relay is connecting to Railway"),
        ("reconnecting", {"reason": "reset"}, "the relay lost Railway and is reconnecting (reset)"),
        ("live", {}, "Railway is back"),
        ("live", {"backfilled": 1}, "Railway is back, 1 record filled in"),
        (
            "gap",
            {"count": 1200, "reason": "retention", **HOLE},
            f"gap: 1,200 records missing{HOLE_TEXT} (retention)",
        ),
        ("gap", {"count": None}, "gap: an unknown number of records missing"),
        ("lost", {"count": 1}, "this viewer was too slow: 1 record passed over"),
        ("draining", {}, "the relay is about to restart"),
        ("paused", {}, "paused"),
        ("connected", {}, "connected to the relay"),
        ("connected", {"environmentId": "e1", "services": []}, "connected to e1 · services: none"),
        (
            "connected",
            {
                "environmentName": "production",
                "services": [{"name": "api"}, {"name": "web"}, 7],
                "filter": {"unknownServices": ["wep"]},
                "upstream": {"state": "reconnecting"},
            },
            "connected to production · services: api, web · no service is called wep · Railway: reconnecting",
        ),
        (
            "connected",
            {"services": [{"name": f"s{number}"} for number in range(14)], "upstream": {"state": "live"}},
            "connected to the relay · services: "
            + ", ".join(f"s{number}" for number in range(12))
            + " and 2 more",
        ),
        ("connected", {"resume": {"outcome": "exact"}}, "connected to the relay · resumed where it ended"),
        (
            "connected",
            {"resume": {"outcome": "backfilled"}},
            "connected to the relay · resumed, the rest fetched from Railway",
        ),
        (
            "connected",
            {"resume": {"outcome": "partial", "reason": "limit", **HOLE}},
            f"connected to the relay · resumed in part, records missing{HOLE_TEXT} (limit)",
        ),
        (
            "connected",
            {"resume": {"outcome": "none"}},
            "connected to the relay · nothing to resume from, live from now",
        ),
        ("connected", {"resume": {"outcome": "magic"}}, "connected to the relay · resumed: magic"),
    ],
)
def test_a_status_is_said_as_a_sentence(message: str, data: dict[str, object], said: str) -> None:
    assert said == terminal.status_text(message, data, PLAIN)
