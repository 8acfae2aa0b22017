import json
from typing import Any, Never

import pytest
import web_schemas
from web_harness import BASE, line

from logrelay.errors import MessageInvalid
from logrelay.relay.records import Content, Notice, key, record
from logrelay.web import protocol
from logrelay.web.protocol import (
    CancelCommand,
    FilterCommand,
    HistoryCommand,
    PauseCommand,
    PingCommand,
    ResumeCommand,
)


def test_a_log_message_is_the_record_as_it_was_encoded() -> None:
    content = Content(
        timestamp="2026-11-23T03:21:30.033333123Z",
        message="GET /health 200",
        severity="info",
        attributes=(("status", "200"), ("path", '"/health"')),
    )
    message = json.loads(protocol.log(record(content, key(content, BASE), BASE, service_name="api")))

    assert web_schemas.check(message) == "log"
    assert message["data"]["attributes"] == {"status": 200, "path": "/health"}
    assert message["data"]["timestamp"] == "2026-11-23T03:21:30.033333123Z"
    assert message["data"]["serviceId"] is None


def test_a_late_record_says_so() -> None:
    message = json.loads(protocol.log(line(1, late=True)))

    assert web_schemas.check(message) == "log"
    assert message["data"]["late"] is True


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("reconnecting", {"reason": "the connection was lost"}),
        ("live", {"backfilled": 3}),
        ("gap", {"from": None, "to": None, "count": None, "reason": "outage"}),
    ],
)
def test_notices_are_stamped_with_their_own_time(name: Any, data: Any) -> None:
    message = json.loads(protocol.notice(Notice(name, data, BASE)))

    assert web_schemas.check(message) == f"status {name}"
    assert message["timestamp"] == "2025-11-24T16:00:00.000000000Z"


def test_an_error_says_whether_and_when_to_come_back() -> None:
    plain = json.loads(protocol.error("filter_invalid", "search: no", retryable=False))
    later = json.loads(protocol.error("too_many", "no", retryable=True, retry_after=10.0))

    assert web_schemas.check(plain) == web_schemas.check(later) == "error"
    assert "retryAfter" not in plain
    assert later["retryAfter"] == 10.0


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"type":"filter"}', FilterCommand()),
        (
            '{"type":"filter","services":["api"],"search":"a","severity":"warn","replay":10}',
            FilterCommand(["api"], "a", "warn", 10),
        ),
        ('{"type":"filter","severity":null,"request":1}', FilterCommand()),
        ('{"type":"pause"}', PauseCommand()),
        ('{"type":"history"}', HistoryCommand()),
        (
            '{"type":"history","before":"x","limit":5,"search":"a","services":["b"],"severity":"warn","request":[1]}',
            HistoryCommand("x", 5, ["b"], "a", "warn", [1]),
        ),
        ('{"type":"cancel","request":null}', CancelCommand()),
        ('{"type":"resume"}', ResumeCommand()),
        ('{"type":"ping"}', PingCommand()),
        ('{"type":"ping","id":{"a":[1,null]}}', PingCommand({"a": [1, None]})),
        ('{"type":"ping","id":123456789012345678901}', PingCommand(123456789012345678901)),
    ],
)
def test_a_command_is_read(text: Any, command: Any) -> None:
    assert protocol.command(text) == command


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("SECRET", "not JSON"),
        ("", "not JSON"),
        ("[" * 16_000, "not JSON"),
        ('{"type":"ping","id":NaN}', "not JSON"),
        ('{"type":"ping","id":"\\ud800"}', "not JSON"),
        ("[]", "not an object with a type"),
        ("1", "not an object with a type"),
        ("null", "not an object with a type"),
        ("{}", "not an object with a type"),
        ('{"type":1}', "not an object with a type"),
        ('{"type":"SECRET"}', "unknown type; known are auth, filter, pause, resume, ping, history, cancel"),
        ('{"type":"auth"}', "auth: a field has the wrong type"),
        ('{"type":"auth","token":["SECRET"]}', "auth: a field has the wrong type"),
        ('{"type":"filter","services":"SECRET"}', "filter: a field has the wrong type"),
        ('{"type":"filter","services":[1]}', "filter: a field has the wrong type"),
        ('{"type":"filter","search":1}', "filter: a field has the wrong type"),
        ('{"type":"filter","severity":1}', "filter: a field has the wrong type"),
        ('{"type":"filter","replay":"1"}', "filter: a field has the wrong type"),
        ('{"type":"filter","replay":true}', "filter: a field has the wrong type"),
        ('{"type":"filter","replay":-1}', "filter: replay is a number from 0 to 10000"),
        ('{"type":"filter","replay":10001}', "filter: replay is a number from 0 to 10000"),
        ('{"type":"history","limit":0}', "history: limit is a number from 1 to 5000"),
        ('{"type":"history","limit":5001}', "history: limit is a number from 1 to 5000"),
        ('{"type":"history","limit":"5"}', "history: a field has the wrong type"),
        ('{"type":"history","before":5}', "history: a field has the wrong type"),
        ('{"type":"history","services":[1]}', "history: a field has the wrong type"),
    ],
)
def test_nonsense_is_refused_with_a_sentence_of_ours(text: Any, sentence: Any) -> None:
    with pytest.raises(MessageInvalid) as refused:
        protocol.command(text)

    assert str(refused.value) == sentence


def test_an_id_that_cannot_be_sent_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(_: Any) -> Never:
        raise RecursionError

    monkeypatch.setattr(protocol, "encode", too_deep)

    with pytest.raises(MessageInvalid, match="can't be sent back"):
        protocol.command('{"type":"ping","id":1}')
