import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrelay.railway import rows
from logrelay.relay import records, timestamps

STAMP = "2026-11-23T03:21:30.033333123Z"


def row(message: Any = "hello", **more: Any) -> dict[str, Any]:
    return {"timestamp": STAMP, "message": message, "attributes": [], **more}


def frame(*read: Any, **payload: Any) -> bytes:
    return json.dumps(
        {"id": "1", "type": "next", "payload": {"data": {"environmentLogs": list(read)}, **payload}}
    ).encode()


def following(raw: bytes) -> tuple[rows.Next, int]:
    message, lost = rows.decode(raw)
    assert isinstance(message, rows.Next)
    return message, lost


def test_a_row_is_read_with_its_tags_and_attributes() -> None:
    tags = {"serviceId": "s", "deploymentId": "d", "deploymentInstanceId": "i", "pluginId": None}
    message, lost = following(frame(row(tags=tags, severity="info", attributes=[{"key": "a", "value": "1"}])))

    assert lost == 0
    assert message.rows[0].content() == records.Content(STAMP, "hello", "info", "s", "d", "i", (("a", "1"),))
    assert message.answered
    assert message.errors == []


def test_a_row_without_tags_and_severity_is_a_row() -> None:
    message, _ = following(frame(row(tags=None, severity=None)))

    assert message.rows[0].content().service_id is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (frame(row("half \ud83d")), "half \ud83d"),
        (frame(row("bad X byte")).replace(b"X", b"\xff"), "bad \ufffd byte"),
        (frame(row("tab\there")), "tab\there"),
    ],
    ids=["lone surrogate", "bad UTF-8", "control"],
)
def test_odd_text_costs_a_character_at_most(raw: bytes, text: str) -> None:
    message, lost = following(raw)

    assert (message.rows[0].message, lost) == (text, 0)


def test_an_odd_row_costs_one_row() -> None:
    message, lost = following(frame(row("one"), row(7), None, [], row("two"), {"message": "no stamp"}))

    assert [read.message for read in message.rows] == ["one", "two"]
    assert lost == 4


def test_ids_can_always_be_sent_on() -> None:
    message, _ = following(
        frame(row(tags={"serviceId": "\ud83d", "deploymentId": "d", "deploymentInstanceId": "\udc00"}))
    )
    content = message.rows[0].content()

    made = records.record(content, "id", 0, service_name=None)

    assert json.loads(made.encoded)["serviceId"] == "\ufffd"


def test_errors_are_read_whatever_stands_in_them() -> None:
    errors = [{"message": "one"}, "two", {}, {"message": None}, {"message": "x", "extensions": 5}]
    message, _ = following(frame(errors=errors))

    assert message.errors == ["one", "", "", "None", "x"]


def test_the_one_code_that_says_something_is_kept() -> None:
    errors = [{"message": "bad", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]

    assert rows.messages(errors) == ["bad GRAPHQL_VALIDATION_FAILED"]
    assert rows.messages(None) == []
    assert rows.messages("no") == []


@pytest.mark.parametrize("data", [None, {}, {"environmentLogs": None}])
def test_no_data_is_no_answer(data: Any) -> None:
    message, _ = following(json.dumps({"id": "1", "type": "next", "payload": {"data": data}}).encode())

    assert not message.answered
    assert message.rows == []


def test_no_data_is_no_answer_in_the_lenient_way_too() -> None:
    raw = b'{"id":"1","type":"next","payload":{"data":null,"errors":[{"message":"\\ud83d"}]}}'
    message, _ = following(raw)

    assert not message.answered


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type":"connection_ack","payload":{"x":1}}', rows.Ack),
        ('{"type":"ping"}', rows.Ping),
        ('{"type":"pong","payload":null}', rows.Pong),
        ('{"type":"complete","id":"1"}', rows.Complete),
        ('{"type":"error","id":"1","payload":[{"message":"no"}]}', rows.Failed),
        ('{"type":"error","id":"1","payload":[{"message":"\\ud83d"}]}', rows.Failed),
    ],
)
def test_the_other_messages(text: str, kind: type) -> None:
    message, lost = rows.decode(text.encode())

    assert isinstance(message, kind)
    assert lost == 0


@pytest.mark.parametrize(
    "text",
    ["null", "[]", "7", '"next"', "true", "{", "", "{}", '{"type":"next"}', '{"type":5}', "[" * 100_000,
     '{"type":"complete","id":7}', '{"id":"1","type":"next","payload":{"data":{"environmentLogs":7}}}', "9" * 5000],
)  # fmt: skip
def test_what_is_no_message_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        rows.decode(text.encode())


KEYS = st.sampled_from(["type", "id", "payload", "data", "environmentLogs", "errors", "message", "timestamp"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@given(VALUES)
def test_nothing_but_a_value_error_is_raised(value: Any) -> None:
    for raw in (json.dumps(value).encode(), frame(value), frame(errors=value)):
        try:
            rows.decode(raw)
        except ValueError:
            continue


def test_a_page_is_a_list_of_rows() -> None:
    read, lost = rows.page([row("one"), {}])

    assert ([one.message for one in read], lost) == (["one"], 1)
    for odd in (None, {}, "x", 5):
        with pytest.raises(ValueError, match="not a list"):
            rows.page(odd)


@pytest.mark.parametrize(
    "stamp",
    ["", "now", "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z"],
)
def test_a_stamp_that_a_history_cannot_keep_costs_its_row(stamp: str) -> None:
    read, _ = rows.page([row("one"), row("two", timestamp=stamp)])

    pairs, lost = rows.stamped(read)

    assert [(ns, content.message) for ns, content in pairs] == [(timestamps.parse(STAMP), "one")]
    assert lost == 1
