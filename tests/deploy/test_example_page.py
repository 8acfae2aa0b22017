"""The example's page: its script parses, and does with messages and close codes what the protocol says."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
PAGE = "https://api.example/?environment=env%2F1&search=a+b&services="


@pytest.fixture(scope="module")
def html(deploy: Path) -> str:
    return (deploy / "example" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    [text] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    path = tmp_path_factory.mktemp("page") / "page.js"
    path.write_text(text, encoding="utf-8")
    return path


def run(script: Path, *events: dict[str, Any], page: str = PAGE) -> dict[str, Any]:
    assert NODE is not None
    done = subprocess.run(
        [NODE, Path(__file__).with_name("page_harness.cjs"), script],
        input=json.dumps({"page": page, "events": events}),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def log(number: int, text: str = "hello", severity: str | None = "info") -> dict[str, Any]:
    data = {
        "id": f"id-{number}",
        "timestamp": "2026-11-23T03:21:30.033333123Z",
        "severity": severity,
        "message": text,
        "serviceName": "api",
    }
    return {"message": {"type": "log", "data": data}}


def status(message: str, **data: Any) -> dict[str, Any]:
    return {"message": {"type": "status", "message": message, "data": data}}


def test_log_text_never_becomes_markup(html: str) -> None:
    assert "textContent" in html
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html)


def test_the_page_loads_nothing_from_elsewhere(html: str) -> None:
    assert not re.search(r"""(src|href)=|@import|url\(|https?://""", html)


@needs_node
def test_the_script_parses(script: Path) -> None:
    assert NODE is not None
    done = subprocess.run([NODE, "--check", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@needs_node
def test_it_opens_the_stream_at_its_own_origin_with_the_filter_of_its_address(script: Path) -> None:
    [url] = run(script)["urls"]

    assert url == "wss://api.example/api/environments/env%2F1/logs/stream?search=a+b"


@needs_node
def test_a_line_is_text_with_its_severity_and_without_its_colour_codes(script: Path) -> None:
    [line] = run(script, log(1, "\x1b[31m<b>red</b>\x1b[0m", "error"))["lines"]

    assert line == ["error", "03:21:30.033 api <b>red</b>"]


@needs_node
@pytest.mark.parametrize("code", [1000, 1003, 1007, 1009, 4400, 4401, 4403, 4404])
def test_it_stays_away_after_a_code_that_means_no(script: Path, code: int) -> None:
    result = run(script, {"close": code})

    assert len(result["urls"]) == 1
    assert result["state"] == f"closed ({code})"


@needs_node
def test_who_is_signed_out_is_told_how_to_go_on(script: Path) -> None:
    [line] = run(script, {"close": 4401})["lines"][:1]

    assert line == ["notice", "signed out; load the page again to sign in"]


def test_signing_out_is_a_post(html: str) -> None:
    assert re.search(r'<button [^>]*formaction="sign-out"[^>]*formmethod="post"', html)


@needs_node
@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 4408])
def test_it_comes_back_after_its_last_record_and_asks_for_an_overlap(script: Path, code: int) -> None:
    result = run(script, log(1), log(2), {"close": code})

    query = parse_qs(urlsplit(result["urls"][1]).query)
    assert query == {"search": ["a b"], "lastId": ["id-2"], "overlap": ["10"]}


@needs_node
def test_a_heartbeat_moves_the_position(script: Path) -> None:
    beat = {"message": {"type": "heartbeat", "data": {"lastId": "id-9"}}}

    result = run(script, log(1), beat, {"close": 1006})

    assert parse_qs(urlsplit(result["urls"][1]).query)["lastId"] == ["id-9"]


@needs_node
def test_waits_double_up_to_half_a_minute_and_only_data_starts_them_again(script: Path) -> None:
    failures = [{"close": 1006}] * 7

    waits = run(script, *failures, status("connected"), {"close": 1011}, log(1), {"close": 1006})["waits"]

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 1]


@needs_node
@pytest.mark.parametrize("code", [1008, 4429, 4502])
def test_a_code_that_means_later_is_later(script: Path, code: int) -> None:
    assert run(script, {"close": code})["waits"] == [30]


@needs_node
def test_it_comes_back_when_the_relay_asked_it_to_and_no_longer_than_once(script: Path) -> None:
    draining = status("draining", reconnectInSeconds=7.5)
    full = {"message": {"type": "error", "code": "too_many_connections", "message": "full", "retryAfter": 12}}

    waits = run(script, draining, {"close": 1012}, {"close": 1006}, full, {"close": 4429})["waits"]

    assert waits == [7.5, 1, 12]


@needs_node
def test_a_record_that_comes_again_is_shown_once(script: Path) -> None:
    lines = run(script, log(1), log(2, "two"), {"close": 1006}, log(1), log(2, "two"), log(3, "three"))[
        "lines"
    ]

    assert [text.split()[-1] for kind, text in lines if kind == "info"] == ["hello", "two", "three"]


@needs_node
def test_the_page_keeps_a_bounded_number_of_lines(script: Path) -> None:
    lines = run(script, *(log(n, f"line-{n}") for n in range(2100)))["lines"]

    assert len(lines) == 2000
    assert lines[-1][1].endswith("line-2099")


@needs_node
def test_what_is_missing_is_said_between_the_records(script: Path) -> None:
    lost = status("lost", count=12, **{"from": "A", "to": "B"})

    result = run(
        script, status("connected", resume=None), log(1), status("reconnecting"), status("live"), lost, log(2)
    )

    assert [kind for kind, _ in result["lines"]] == ["notice", "info", "notice", "notice", "notice", "info"]
    assert result["lines"][4][1].startswith("lost: 12 records, A to B")
    assert result["state"] == "live"
