"""P11: a configuration that is wrong ends the process at once, with a line for each fault and no value in any."""

import time
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
from process_harness import ROOT, SERVE, environment, running

from logrelay import settings
from logrelay.errors import SettingsInvalid

SECRET = "hunter2-6b1f0a77c2"  # whatever stands in a wrong place may be one
GOOD = {"RAILWAY_API_TOKEN": "0f1e2d3c-4b5a", "LOGRELAY_ENVIRONMENTS": "one", "LOGRELAY_PORT": "0"}


@attrs.frozen
class Bad:
    """Variables that are wrong, `FOLDER` in them being the test's, and what the lines about it begin with."""

    given: Mapping[str, str]
    named: tuple[str, ...]


def one(name: str, text: str) -> Bad:
    """One variable that is wrong."""
    return Bad({name: text}, (name,))


BAD = {
    "port a word": one("LOGRELAY_PORT", SECRET),
    "port too high": one("LOGRELAY_PORT", "65536"),
    "port of the platform": Bad({"LOGRELAY_PORT": "", "PORT": SECRET}, ("PORT",)),
    "port of the platform, by name": Bad({"LOGRELAY_PORT": "", "PORT": "http"}, ("PORT",)),
    "base path without a slash": one("LOGRELAY_BASE_PATH", SECRET),
    "base path with a query": one("LOGRELAY_BASE_PATH", f"/logs?token={SECRET}"),
    "no token at all": Bad({"RAILWAY_API_TOKEN": ""}, ("RAILWAY_API_TOKEN",)),
    "token in two words": one("RAILWAY_API_TOKEN", f"Bearer {SECRET}"),
    "token beyond ASCII": one("RAILWAY_API_TOKEN", f"{SECRET}-ä"),
    "two tokens": Bad({"RAILWAY_TOKEN": SECRET}, ("RAILWAY_API_TOKEN",)),
    "token and file": Bad({"RAILWAY_API_TOKEN_FILE": "FOLDER/secret"}, ("RAILWAY_API_TOKEN",)),
    "token instead of its file": Bad(
        {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": SECRET}, ("RAILWAY_API_TOKEN_FILE",)
    ),
    "a long token instead of its file": Bad(
        {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": SECRET * 40}, ("RAILWAY_API_TOKEN_FILE",)
    ),
    "folder instead of a file": Bad(
        {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": "FOLDER"}, ("RAILWAY_API_TOKEN_FILE",)
    ),
    "empty token file": Bad(
        {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": "FOLDER/empty"}, ("RAILWAY_API_TOKEN_FILE",)
    ),
    "token file that is no text": Bad(
        {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": "FOLDER/binary"}, ("RAILWAY_API_TOKEN_FILE",)
    ),
    "token file with two lines": Bad(
        {"RAILWAY_API_TOKEN": "", "RAILWAY_API_TOKEN_FILE": "FOLDER/lines"}, ("RAILWAY_API_TOKEN",)
    ),
    "no environments": Bad({"LOGRELAY_ENVIRONMENTS": ""}, ("LOGRELAY_ENVIRONMENTS",)),
    "environments without commas": one("LOGRELAY_ENVIRONMENTS", f"one {SECRET}"),
    "Railway's address without a scheme": one("LOGRELAY_RAILWAY_URL", f"railway.example/{SECRET}"),
    "Railway's address by FTP": one("LOGRELAY_RAILWAY_URL", f"ftp://railway.example/{SECRET}"),
    "Railway's address with a password": one(
        "LOGRELAY_RAILWAY_URL", f"https://user:{SECRET}@railway.example/"
    ),
    "Railway's address that is none": one("LOGRELAY_RAILWAY_URL", f"https://[{SECRET}"),
    "Railway's WebSocket by HTTP": one("LOGRELAY_RAILWAY_WS_URL", f"https://railway.example/{SECRET}"),
    "certificates that aren't there": one("LOGRELAY_CA_FILE", f"/nowhere/{SECRET}"),
    "certificates that are none": one("LOGRELAY_CA_FILE", "FOLDER/secret"),
    "origin with a path": one("LOGRELAY_ALLOWED_ORIGINS", f"https://app.example/{SECRET}"),
    "origin with a password": one("LOGRELAY_ALLOWED_ORIGINS", f"https://user:{SECRET}@app.example"),
    "origin without a scheme": one("LOGRELAY_ALLOWED_ORIGINS", "app.example"),
    "mode that there isn't": one("LOGRELAY_AUTH", SECRET),
    "everyone's address without a mode": Bad({"LOGRELAY_HOST": "0.0.0.0"}, ("LOGRELAY_AUTH",)),  # noqa: S104 refused
    "tokens without any": Bad({"LOGRELAY_AUTH": "token"}, ("LOGRELAY_AUTH=token",)),
    "tokens that are none": Bad({"LOGRELAY_AUTH": "token", "LOGRELAY_TOKENS": SECRET}, ("LOGRELAY_TOKENS",)),
    "tokens in two places": Bad(
        {"LOGRELAY_AUTH": "token", "LOGRELAY_TOKENS": SECRET, "LOGRELAY_TOKENS_FILE": "FOLDER/secret"},
        ("LOGRELAY_AUTH=token",),
    ),
    "JSON Web Tokens without a key": Bad({"LOGRELAY_AUTH": "jwt"}, ("LOGRELAY_AUTH=jwt",)),
    "a secret that is too short": Bad(
        {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_SECRET": SECRET[:20]}, ("LOGRELAY_JWT_SECRET",)
    ),
    "a public key instead of a secret": Bad(
        {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_SECRET": f"-----BEGIN PUBLIC KEY----- {SECRET}"},
        ("LOGRELAY_JWT_SECRET",),
    ),
    "an algorithm for another key": Bad(
        {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_SECRET": SECRET * 3, "LOGRELAY_JWT_ALGORITHMS": "RS256"},
        ("LOGRELAY_JWT_ALGORITHMS",),
    ),
    "no algorithm": one("LOGRELAY_JWT_ALGORITHMS", "none"),
    "one claim for two things": Bad(
        {
            "LOGRELAY_AUTH": "jwt",
            "LOGRELAY_JWT_SECRET": SECRET * 3,
            "LOGRELAY_JWT_ENVIRONMENTS_CLAIM": "logrelay:services",
        },
        ("LOGRELAY_JWT_ENVIRONMENTS_CLAIM",),
    ),
    "a key set for everyone to read": Bad(
        {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_JWKS_URL": f"http://issuer.example/{SECRET}"},
        ("LOGRELAY_JWT_JWKS_URL",),
    ),
    "a key set with a fragment": Bad(
        {"LOGRELAY_AUTH": "jwt", "LOGRELAY_JWT_JWKS_URL": f"https://issuer.example/#{SECRET}"},
        ("LOGRELAY_JWT_JWKS_URL",),
    ),
    "a main API without an address": Bad({"LOGRELAY_AUTH": "forward"}, ("LOGRELAY_AUTH=forward",)),
    "a main API with a password": one("LOGRELAY_FORWARD_URL", f"http://user:{SECRET}@api:8000/may"),
    "a main API at no address": Bad(
        {"LOGRELAY_AUTH": "forward", "LOGRELAY_FORWARD_URL": f"http://api:8000/#{SECRET}"},
        ("LOGRELAY_FORWARD_URL",),
    ),
    "a sign-out that is noticed late": Bad(
        {
            "LOGRELAY_AUTH": "forward",
            "LOGRELAY_FORWARD_URL": "http://api:8000/may",
            "LOGRELAY_FORWARD_CACHE_SECONDS": "31",
        },
        ("LOGRELAY_FORWARD_CACHE_SECONDS",),
    ),
    "tickets without a secret": Bad({"LOGRELAY_AUTH": "ticket"}, ("LOGRELAY_AUTH=ticket",)),
    "share links without a secret": Bad({"LOGRELAY_SHARE_LINKS": "true"}, ("LOGRELAY_SHARE_LINKS",)),
    "a service secret that is too short": one("LOGRELAY_SERVICE_SECRET", SECRET[:20]),
    "a secret and its file": Bad(
        {"LOGRELAY_SERVICE_SECRET": SECRET * 3, "LOGRELAY_SERVICE_SECRET_FILE": "FOLDER/secret"},
        ("LOGRELAY_SERVICE_SECRET",),
    ),
    "neither yes nor no": one("LOGRELAY_SHARE_LINKS", SECRET),
    "count of connections that is none": one("LOGRELAY_MAX_CONNECTIONS", "0"),
    "count that is no whole number": one("LOGRELAY_HISTORY_RECORDS", "1.5"),
    "count in other digits": one("LOGRELAY_HISTORY_MB", "٣"),
    "memory for nothing": one("LOGRELAY_MEMORY_MB", "12"),
    "time that is no number": one("LOGRELAY_LINGER_SECONDS", SECRET),
    "time without an end": one("LOGRELAY_HEARTBEAT_SECONDS", "inf"),
    "time before now": one("LOGRELAY_OVERLAP_SECONDS", "-1"),
    "pings beyond a message's time": Bad(
        {"LOGRELAY_UPSTREAM_PING_SECONDS": "60"}, ("LOGRELAY_MESSAGE_SECONDS",)
    ),
    "level that there isn't": one("LOGRELAY_LOG_LEVEL", SECRET),
    "several at once": Bad(
        {"LOGRELAY_PORT": SECRET, "RAILWAY_API_TOKEN": f"{SECRET} {SECRET}", "LOGRELAY_AUTH": SECRET},
        ("LOGRELAY_PORT", "LOGRELAY_AUTH", "RAILWAY_API_TOKEN"),
    ),
}
AS_PROCESSES = (
    "port of the platform, by name",
    "no token at all",
    "a long token instead of its file",
    "Railway's address with a password",
    "everyone's address without a mode",
    "several at once",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that are none of what they should be."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + SECRET.encode())
    (tmp_path / "lines").write_text(f"{SECRET}\n{SECRET}\n")
    return tmp_path


def given(bad: Bad, folder: Path) -> dict[str, str]:
    return GOOD | {name: text.replace("FOLDER", str(folder)) for name, text in bad.given.items()}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_p11_each_fault_is_a_sentence_that_names_its_variable_and_shows_no_value(
    bad: Bad, folder: Path
) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        settings.read(given(bad, folder))

    assert tuple(fault.split()[0].rstrip(":") for fault in caught.value.faults) == bad.named
    for fault in caught.value.faults:
        assert SECRET[:8] not in fault
        assert "\n" not in fault


@pytest.mark.parametrize("bad", [BAD[name] for name in AS_PROCESSES], ids=AS_PROCESSES)
async def test_p11_the_process_ends_within_two_seconds_with_a_line_for_each_fault(
    bad: Bad, folder: Path
) -> None:
    variables = environment(PYTHONPATH=str(ROOT), **given(bad, folder))
    began = time.monotonic()
    async with running(*SERVE, variables=variables, folder=folder) as child:
        code = await child.ended(within=2)
        lines = await child.complained()

    assert time.monotonic() - began < 2
    assert code > 0
    assert tuple(line.removeprefix("logrelay: ").split()[0] for line in lines) == bad.named
    assert SECRET[:8] not in child.text
    assert child.lines == []
