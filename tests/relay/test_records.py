"""Records: identity from content, and what clients get."""

import json
import subprocess
import sys

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_making import BASE, log, notice, row, wire

from logrelay.relay import records, timestamps
from logrelay.relay.records import ATTRIBUTES_LIMIT, DEPTH_LIMIT, MESSAGE_LIMIT, Content

anything = st.text(st.characters(), max_size=30)  # lone surrogates and control characters too
maybe = st.none() | anything
contents = st.builds(
    Content,
    timestamp=st.just(timestamps.render(BASE)),
    message=anything,
    severity=maybe,
    service_id=maybe,
    deployment_id=maybe,
    instance_id=maybe,
    attributes=st.lists(st.tuples(anything, anything), max_size=4).map(tuple),
)

# -- identity ------------------------------------------------------------------------------------------------


def said(content: Content) -> tuple[object, ...]:
    return (content.instance_id, content.service_id, content.severity, content.message, content.attributes)


@given(contents, contents)
def test_rows_have_the_same_key_only_if_they_say_the_same(one: Content, other: Content) -> None:
    assert (records.key(one, 1) == records.key(other, 1)) is (said(one) == said(other))


@pytest.mark.parametrize(
    "change",
    [
        {"message": "hello "},
        {"severity": "info"},
        {"severity": ""},
        {"service_id": "s2"},
        {"service_id": None},
        {"instance_id": "i2"},
        {"instance_id": "s1", "service_id": "i1"},
        {"attributes": (("a", "1"), ("b", "3"))},
        {"attributes": (("b", "2"), ("a", "1"))},
        {"attributes": (("a", "1\0b\x002"),)},
        {"attributes": (("a", "1"),)},
        {"attributes": ()},
        {"message": "hello\ud800"},
    ],
)
def test_every_field_of_a_row_is_in_its_key(change: dict[str, object]) -> None:
    content = row(service_id="s1", instance_id="i1", attributes=(("a", "1"), ("b", "2")))
    changed = msgspec.structs.replace(content, **change)

    assert records.key(changed, BASE) != records.key(content, BASE)


def test_the_key_begins_with_the_stamp_and_not_with_its_spelling() -> None:
    plain = row(timestamp="2026-11-23T03:21:30Z")
    same = row(timestamp="2026-11-23T05:21:30.000000000+02:00", deployment_id="another")

    assert records.key(plain, BASE) == records.key(same, BASE)
    assert records.key(plain, BASE).startswith("2026-11-23T03:21:30.000000000Z-")
    assert records.key(plain, BASE) != records.key(plain, BASE + 1)


def test_a_key_is_the_same_in_every_process_and_version() -> None:
    code = (
        "from logrelay.relay import records\n"
        "c = records.Content('t', 'GET /ü 200 \\ud83d', 'info', 's', 'd', 'i', (('level', '\"info\"'),))\n"
        "print(records.key(c, 1), records.key(records.Content('t', 'm', 'info', 's'), 2))"
    )
    expected = "1970-01-01T00:00:00.000000001Z-cdc45e04ce45 1970-01-01T00:00:00.000000002Z-3b017f99707a"

    for seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert printed.stdout.strip() == expected


# -- the wire ------------------------------------------------------------------------------------------------


def test_a_record_is_the_json_object_of_the_protocol() -> None:
    content = Content(
        timestamp="2026-11-23T03:21:30.033333123Z",
        message="GET /health 200",
        severity="info",
        service_id="s1",
        deployment_id="d1",
        instance_id="i1",
        attributes=(("status", "200"), ("path", '"/health"')),
    )

    made = records.record(content, "the-id", 7, service_name="api")

    assert wire(made) == {
        "id": "the-id",
        "timestamp": "2026-11-23T03:21:30.033333123Z",
        "severity": "info",
        "message": "GET /health 200",
        "serviceId": "s1",
        "serviceName": "api",
        "deploymentId": "d1",
        "instanceId": "i1",
        "attributes": {"status": 200, "path": "/health"},
    }
    assert (made.id, made.ns, made.service_id, made.service_name) == ("the-id", 7, "s1", "api")


def test_what_is_missing_is_null_and_an_empty_message_stays_one() -> None:
    made = log("", service_name=None)

    assert wire(made) | {"id": ""} == {
        "id": "",
        "timestamp": timestamps.render(BASE),
        "severity": None,
        "message": "",
        "serviceId": None,
        "serviceName": None,
        "deploymentId": None,
        "instanceId": None,
        "attributes": {},
    }


def test_the_timestamp_is_sent_as_it_came() -> None:
    assert wire(log(timestamp="2026-11-23T05:21:30+02:00"))["timestamp"] == "2026-11-23T05:21:30+02:00"


def test_a_late_record_says_so() -> None:
    assert wire(log(late=True))["late"] is True
    assert "late" not in wire(log())


@pytest.mark.parametrize(
    ("given_severity", "expected"),
    [
        (None, None),
        ("", None),
        ("info", "info"),
        ("INFO", "info"),
        ("notice", "info"),
        ("err", "error"),
        ("error", "error"),
        ("Fatal", "error"),
        ("critical", "error"),
        ("warning", "warn"),
        ("warn", "warn"),
        ("debug", "debug"),
        ("trace", "debug"),
        ("something else", None),
    ],
)
def test_severities_are_one_of_four_or_null(given_severity: str | None, expected: str | None) -> None:
    made = log(severity=given_severity)

    assert made.severity == expected
    assert wire(made)["severity"] == expected


@given(contents, maybe)
def test_whatever_a_row_says_makes_a_record_that_strict_readers_take(
    content: Content, service_name: str | None
) -> None:
    made = records.record(content, records.key(content, BASE), BASE, service_name=service_name)

    value = msgspec.json.decode(made.encoded)
    assert value == json.loads(made.encoded.decode())
    assert b"\n" not in made.encoded
    assert set(value["attributes"]) == {records.clean(name) for name, _ in content.attributes}
    made.text.encode()


# -- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["x", "ä", "€", "🚂"])
def test_a_long_message_is_cut_at_a_characters_border(character: str) -> None:
    message = "a" + character * MESSAGE_LIMIT

    value = wire(log(message))

    assert message.startswith(value["message"])
    assert MESSAGE_LIMIT - 4 < len(value["message"].encode()) <= MESSAGE_LIMIT
    assert value["truncated"] is True
    assert value["size"] == len(message.encode())


@pytest.mark.parametrize("message", ["x" * MESSAGE_LIMIT, "ä" * (MESSAGE_LIMIT // 2)])
def test_a_message_that_just_fits_is_not_cut(message: str) -> None:
    value = wire(log(message))

    assert value["message"] == message
    assert "truncated" not in value
    assert "size" not in value


def test_filters_see_what_was_kept_of_a_cut_message() -> None:
    made = log("x" * MESSAGE_LIMIT + "needle")

    assert "needle" not in made.text


def test_an_attribute_that_is_too_big_is_left_out_and_the_others_stay() -> None:
    big = json.dumps("x" * ATTRIBUTES_LIMIT)

    value = wire(log("hellö", attributes=(("body", big), ("level", '"info"'))))

    assert value["attributes"] == {"level": "info"}
    assert value["truncated"] is True
    assert value["size"] == 6


def test_attributes_are_measured_in_bytes() -> None:
    attributes = tuple((f"a{n}", json.dumps("ä" * 12_000, ensure_ascii=False)) for n in range(3))

    assert set(wire(log(attributes=attributes))["attributes"]) == {"a0", "a1"}


# -- attributes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"info"', "info"),
        ("1743024445.91162", 1743024445.91162),
        ("0", 0),
        ("true", True),
        ("null", None),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("[\n 1,\n 2 ]", [1, 2]),
        ("9007199254740993", 9007199254740993),
        ("18446744073709551616", 18446744073709551616),
        ("-9223372036854775809", -9223372036854775809),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('{"a":1,"a":2}', {"a": 2}),
        # no JSON, or none that everyone could read: the text itself
        ("", ""),
        ("info", "info"),
        ("{", "{"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e400", "1e400"),
        ("1" * 5000, "1" * 5000),
        ('"\\ud83d"', '"\\ud83d"'),
        ('"\ud83d"', '"\ufffd"'),
        ("1 2", "1 2"),
        ("'x'", "'x'"),
    ],
)
def test_attributes_are_real_json_values(text: str, expected: object) -> None:
    attributes = wire(log(attributes=(("a", text),)))["attributes"]

    assert attributes == {"a": expected}
    assert type(attributes["a"]) is type(expected)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [DEPTH_LIMIT, DEPTH_LIMIT + 1, 900, 995, 999, 1000, 9000])
def test_what_is_nested_too_deeply_stays_text(opening: str, depth: int) -> None:
    closing = "]" if opening == "[" else "}"
    text = opening * depth + "1" + closing * depth

    made = log(attributes=(("a", text),))
    value = msgspec.json.decode(made.encoded)["attributes"]["a"]

    assert isinstance(value, str) is (depth > DEPTH_LIMIT)
    assert isinstance(value, str) or json.dumps(value, separators=(",", ":")) == text


def test_many_brackets_side_by_side_or_in_strings_are_not_deep() -> None:
    flat: list[list[int]] = [[]] * 200
    quoted = '["' + '[{\\"' * 200 + '"]'

    attributes = wire(log(attributes=(("flat", json.dumps(flat)), ("quoted", quoted))))["attributes"]

    assert attributes == {"flat": flat, "quoted": json.loads(quoted)}


def test_of_attributes_with_the_same_name_the_last_one_counts() -> None:
    assert wire(log(attributes=(("a", "1"), ("a", "2"))))["attributes"] == {"a": 2}


# -- surrogates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("ärger 🚂", "ärger 🚂"),
        ("cut \ud83d", "cut \ufffd"),
        ("\ude82 cut", "\ufffd cut"),
        ("\ud83dx\ude82", "\ufffdx\ufffd"),
        ("\ud83d\ude82", "🚂"),
        ("\ufeffbom \ud83d", "\ufeffbom \ufffd"),
    ],
)
def test_lone_surrogates_are_replaced_and_pairs_are_joined(text: str, expected: str) -> None:
    assert records.clean(text) == expected
    made = log(text, service_id=text, deployment_id=text, instance_id=text, service_name=text)
    value = wire(made)
    assert {
        value[name] for name in ("message", "serviceId", "serviceName", "deploymentId", "instanceId")
    } == {expected}
    assert (made.service_id, made.service_name) == (expected, expected)


# -- what a record costs -------------------------------------------------------------------------------------


def test_the_cost_follows_what_is_encoded_whatever_its_alphabet() -> None:
    base = log("x" * 100).cost

    assert log("x" * 1100).cost == base + 1000
    assert log("🚂" * 1100).cost == base + 4 * 1100 - 100
    assert notice().cost > 0


def test_the_text_that_filters_look_at_is_kept_for_the_last_ones_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records._Texts, "_ROOM", 10_000)
    texts = records._Texts(records.plain)
    made = [log(f"\x1b[1mLINE {n}\x1b[0m") for n in range(1000)]

    assert [texts.of(record.encoded) for record in made] == [f"line {n}" for n in range(1000)]
    assert texts.of(made[-1].encoded) is texts.of(made[-1].encoded)
    assert sum(len(encoded) + len(text) for encoded, text in texts._texts.items()) <= 10_000


def test_a_record_keeps_no_more_than_its_bytes() -> None:
    made = log("x" * 2000)

    assert sys.getsizeof(made.encoded) == len(made.encoded) + sys.getsizeof(b"")


def test_records_and_notices_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        log().severity = ""  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        notice().message = ""  # type: ignore[misc]
