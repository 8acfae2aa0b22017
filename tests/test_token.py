"""`logrelay token`: a token for a person, its line for the relay, and a file that is never half written."""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from logrelay import cli
from logrelay.errors import Disconnect
from logrelay.relay import timestamps
from logrelay.web.grants import Credential, Grant, Source
from logrelay.web.tokens import Token, TokenGuard, digest_of, parse

Shown = pytest.CaptureFixture[str]


def made(*arguments: str) -> int:
    return cli.main(["token", *arguments])


def grant_of(lines: str, token: str, environment: str) -> Grant:
    """What a relay with these lines makes of the token."""
    return asyncio.run(TokenGuard(parse(lines)).grant(Credential(Source.HEADER, token), environment))


def only(lines: str) -> Token:
    (token,) = parse(lines)
    return token


def test_the_line_goes_to_stdout_and_the_token_to_the_terminal(capsys: Shown) -> None:
    assert made("dashboard", "--environments", "e1, e2", "--services", "api,web") == 0

    line, told = capsys.readouterr()
    sentence, token = told.splitlines()
    assert sentence == "the token, which can't be shown again:"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert json.loads(line) == {
        "name": "dashboard",
        "sha256": digest_of(token),
        "environments": ["e1", "e2"],
        "services": ["api", "web"],
    }
    assert token not in line
    grant = grant_of(line, token, "e2")
    assert (grant.subject, grant.scope.services) == ("dashboard", ("api", "web"))
    with pytest.raises(Disconnect):
        grant_of(line, token, "e3")


def test_no_two_tokens_are_alike(capsys: Shown) -> None:
    told = set()
    for _ in range(20):
        assert made("a", "--environments", "*") == 0
        told.add(capsys.readouterr().err.splitlines()[1])

    assert len(told) == 20


def test_a_star_means_all_environments(capsys: Shown) -> None:
    assert made("a", "--environments", "*,e1") == 0

    assert only(capsys.readouterr().out).environments is None


@pytest.mark.parametrize(
    ("when", "seconds"), [("90m", 5400), ("12h", 43_200), ("7d", 604_800), ("4w", 2_419_200)]
)
def test_a_token_ends_so_long_from_now(capsys: Shown, when: str, seconds: int) -> None:
    before = time.time()

    assert made("a", "--environments", "*", "--expires", when) == 0

    ends = only(capsys.readouterr().out).expires
    assert ends is not None
    assert before + seconds - 1 <= ends <= time.time() + seconds


def test_a_token_ends_at_a_time(capsys: Shown) -> None:
    assert made("a", "--environments", "*", "--expires", "2999-01-31T01:00:00.5+01:00") == 0

    ends = only(capsys.readouterr().out).expires
    assert ends == timestamps.parse("2999-01-31T00:00:00Z") / 1e9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "--environments", "e 1"], "--environments must be environment ids, comma-separated, or *"),
        (["a", "--environments", ","], "--environments must be environment ids, comma-separated, or *"),
        (["a", "--environments", "*", "--services", " ,"], "the token: line 1: an empty list of"),
        (["a" * 65, "--environments", "*"], "the token: line 1: name must have 1 to 64 printable characters"),
        (
            ["\x1b[1m", "--environments", "*"],
            "the token: line 1: name must have 1 to 64 printable characters",
        ),
        (["a", "--environments", "*", "--expires", "7"], "--expires must be an RFC 3339 time"),
        (["a", "--environments", "*", "--expires", "999999w"], "--expires must be an RFC 3339 time"),
        (["a", "--environments", "*", "--expires", "2026-01-01T00:00:00Z"], "--expires is over already"),
        (["a", "--environments", "*", "--expires", "0d"], "--expires is over already"),
        (
            ["a", "--environments", "*", "--append", "/nowhere/tokens"],
            "/nowhere/tokens.new can't be written:",
        ),
    ],
)
def test_what_cannot_be_is_told_and_makes_no_token(capsys: Shown, arguments: list[str], said: str) -> None:
    assert made(*arguments) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"logrelay token: {said}")
    assert err.count("\n") == 1


def test_environments_must_be_named(capsys: Shown) -> None:
    with pytest.raises(SystemExit) as ended:
        made("a")

    assert ended.value.code == 2
    assert "--environments" in capsys.readouterr().err


def test_the_line_goes_into_a_file_for_its_owner_only_and_the_token_to_stdout(
    capsys: Shown, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    tokens = []
    for name in ("one", "two"):
        assert made(name, "--environments", "e1", "--append", str(file)) == 0
        out, err = capsys.readouterr()
        tokens.append(out.strip())
        assert err == ""

    lines = file.read_text()
    assert [grant_of(lines, token, "e1").subject for token in tokens] == ["one", "two"]
    assert all(token not in lines for token in tokens)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [left.name for left in tmp_path.iterdir()] == ["tokens"]


def test_what_stands_in_a_file_stays_as_it_is(capsys: Shown, tmp_path: Path) -> None:
    before = f'# ours\n\n{{"name":"old","sha256":"{digest_of("x")}","environments":"*"}}'
    file = tmp_path / "real"
    file.write_text(before)
    file.chmod(0o640)
    link = tmp_path / "tokens"
    link.symlink_to(file)

    assert made("new", "--environments", "e1", "--append", str(link)) == 0

    assert capsys.readouterr().out
    assert file.read_text().startswith(f"{before}\n{{")
    assert file.stat().st_mode & 0o777 == 0o640  # the relay may be somebody else
    assert link.is_symlink()


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (b'{"name":"a","sha256":"' + digest_of("x").encode() + b'","environments":"*"}', "a name or a token"),
        (b"# fine\nsecret-1\n", "line 2: an object such as"),
        (b"\xff\n", "is no text file"),
    ],
)
def test_a_file_that_the_relay_would_not_take_is_left_alone(
    capsys: Shown, tmp_path: Path, before: bytes, said: str
) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(before)

    assert made("a", "--environments", "*", "--append", str(file)) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "secret" not in err
    assert file.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["tokens"]


def test_two_at_once_lose_no_line(capsys: Shown, tmp_path: Path) -> None:
    """The second one is sent away, and finds the file of the first as it was."""
    (tmp_path / "tokens.new").write_text("half a li")

    assert made("a", "--environments", "*", "--append", str(tmp_path / "tokens")) == 2

    assert "somebody else adds a token" in capsys.readouterr().err
    assert (tmp_path / "tokens.new").read_text() == "half a li"
    assert not (tmp_path / "tokens").exists()


def test_a_folder_is_no_file_for_tokens(capsys: Shown, tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()

    assert made("a", "--environments", "*", "--append", str(tmp_path / "tokens")) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "can't be changed: Is a directory" in err
    assert [left.name for left in tmp_path.iterdir()] == ["tokens"]
