"""Our own log: JSON lines, bounded, without secrets."""

import io
import json
import logging
import re
import threading

from logrelay import logs


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_are_json_with_the_data_beside_a_constant_text() -> None:
    stream = io.StringIO()
    with logs.written("info", stream):
        logging.getLogger("logrelay.x").info("stream closed", extra={"code": 1000, "seconds": 1.5})
        logging.getLogger("logrelay.x").debug("not shown")
        logs.warn("a sentence")

    first, second = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", str(first["timestamp"]))
    assert list(first)[:4] == ["timestamp", "level", "logger", "message"]
    assert first | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "logger": "logrelay.x",
        "message": "stream closed",
        "code": 1000,
        "seconds": 1.5,
    }
    assert (second["level"], second["message"]) == ("warning", "a sentence")


def test_a_failure_keeps_its_traceback_on_one_line() -> None:
    stream = io.StringIO()
    with logs.written("info", stream):
        try:
            int("why")
        except ValueError:
            logging.getLogger("logrelay.x").exception("request failed")

    (line,) = lines(stream)
    assert "ValueError: invalid literal" in str(line["exc_info"])


def test_a_blocked_output_never_blocks_the_one_who_logs() -> None:
    blocked = threading.Event()

    class Blocked(io.StringIO):
        def write(self, text: str) -> int:
            blocked.wait(10)
            return super().write(text)

    stream = Blocked()
    before = logs.dropped()
    with logs.written("info", stream, length=10):
        for number in range(100):
            logging.getLogger("logrelay.x").info("line", extra={"number": number})
        blocked.set()

    assert logs.dropped() - before >= 80
    assert len(lines(stream)) <= 20


def test_libraries_that_print_tokens_are_quiet_also_at_debug() -> None:
    stream = io.StringIO()
    with logs.written("debug", stream):
        logging.getLogger("gql.transport.common.base").debug(">>> connection_init with a token")
        logging.getLogger("aiohttp.websocket").warning("subprotocols with a token")
        logging.getLogger("aiohttp.server").error("a request with its Authorization header")

    assert stream.getvalue() == ""


def test_logging_is_as_before_afterwards() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    with logs.written("debug", io.StringIO()):
        pass

    assert (root.level, list(root.handlers)) == before
