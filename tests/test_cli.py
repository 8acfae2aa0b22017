"""The commands, as an operator calls them."""

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logrelay import __version__, cli

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("LOGRELAY_", "RAILWAY_", "PORT"))
}


def logrelay(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "logrelay", *arguments],
        env=CLEAN | (environ or {}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_version_is_printed() -> None:
    ran = logrelay("--version")

    assert (ran.returncode, ran.stdout) == (0, f"logrelay {__version__}\n")


def test_a_bad_configuration_ends_serve_at_once_with_a_line_for_each_fault() -> None:
    began = time.monotonic()
    ran = logrelay("serve", environ={"PORT": "secret-1", "RAILWAY_API_TOKEN": "secret-2 x"})

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.splitlines() == [
        "logrelay: PORT must be a whole number from 0 to 65535",
        "logrelay: RAILWAY_API_TOKEN has characters that no token has",
        "logrelay: LOGRELAY_ENVIRONMENTS must name the environments that may be streamed: ids, comma-separated, or *",
    ]
    assert time.monotonic() - began < 10  # two seconds are promised; the machine may be busy with other tests


def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("secret-1\n")
    ran = logrelay(
        "serve",
        environ={
            "PORT": "0",
            "RAILWAY_API_TOKEN": "t",
            "LOGRELAY_ENVIRONMENTS": "e",
            "LOGRELAY_SERVICE_SECRET": "x" * 32,
            "LOGRELAY_REVOCATIONS_FILE": str(revoked),
        },
    )

    assert ran.returncode == 2
    assert ran.stderr.startswith("logrelay: LOGRELAY_REVOCATIONS_FILE: line 1 can't be read")
    assert ran.stderr.count("\n") == 1
    assert "secret" not in ran.stdout + ran.stderr


def test_a_port_that_is_taken_is_one_clear_line(capfd: pytest.CaptureFixture[str], server: int) -> None:
    ran = logrelay(
        "serve", environ={"PORT": str(server), "RAILWAY_API_TOKEN": "t", "LOGRELAY_ENVIRONMENTS": "e"}
    )

    assert ran.returncode == 2
    assert f"can't listen on 127.0.0.1 port {server}" in ran.stderr


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("serve", "check", "demo", "tail", "token", "healthcheck"))


def test_no_command_is_an_error_that_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])

    assert ended.value.code == 2
    assert "usage: logrelay" in capsys.readouterr().err


class Answering(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "names",
    [
        {"PORT": "{port}"},
        {"LOGRELAY_PORT": "{port}", "PORT": "1"},
        {"LOGRELAY_PORT": "tcp://10.0.0.1:80", "PORT": "{port}"},
        {"PORT": "{port}", "LOGRELAY_HOST": "0.0.0.0"},  # noqa: S104 what a container sets
    ],
)
def test_the_health_check_asks_the_port_that_serve_listens_on(
    monkeypatch: pytest.MonkeyPatch, server: int, names: dict[str, str]
) -> None:
    for name in ("PORT", "LOGRELAY_PORT", "LOGRELAY_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value.format(port=server))

    assert cli.main(["healthcheck"]) == 0

    monkeypatch.setattr(Answering, "status", 503)
    assert cli.main(["healthcheck"]) == 1


def test_the_health_check_fails_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOGRELAY_PORT", raising=False)
    monkeypatch.setenv("PORT", "1")

    assert cli.main(["healthcheck"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_the_health_check_imports_no_aiohttp() -> None:
    code = (
        "import sys, os; os.environ['PORT'] = '1'; from logrelay import cli; "
        "cli.main(['healthcheck']); print('aiohttp' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env=CLEAN, capture_output=True, text=True, check=True, timeout=20
    )

    assert ran.stdout == "False\n"
