import datetime as dt
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from web_harness import ENV, Make, until

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.grants import Credential, Source
from logrelay.web.tokens import TokenGuard, TokensInvalid, digest_of, parse

READER = secrets.token_urlsafe(24)
ADMIN = secrets.token_urlsafe(24)


def row(token: str, name: str = "reader", environments: Any = (ENV,), **more: Any) -> str:
    return json.dumps({"name": name, "sha256": digest_of(token), "environments": environments, **more})


def shown(token: str) -> Credential:
    return Credential(Source.HEADER, token)


async def test_a_token_grants_what_its_line_says() -> None:
    guard = TokenGuard(
        parse("\n".join(["# viewers", row(READER, services=["api"]), "", row(ADMIN, "admin", "*")]))
    )

    reader, admin = await guard.grant(shown(READER), ENV), await guard.grant(shown(ADMIN), "any")

    assert (reader.kind, reader.subject, reader.environments) == ("token", "reader", frozenset({ENV}))
    assert reader.scope.serves(None, "api")
    assert not reader.scope.serves(None, "web")
    assert (admin.subject, admin.environments, admin.until) == ("admin", None, None)
    assert admin.scope.everything
    assert READER not in repr(guard) + repr(guard._tokens)


@pytest.mark.parametrize("token", ["", "x", READER[:-1], READER + "x", READER.upper(), digest_of(READER)])
async def test_any_other_token_is_refused(token: str) -> None:
    guard = TokenGuard(parse(row(READER)))

    with pytest.raises(Disconnect) as refused:
        await guard.grant(shown(token), ENV)

    assert refused.value.code is CloseCode.UNAUTHENTICATED


async def test_another_environment_is_not_allowed() -> None:
    with pytest.raises(Disconnect) as refused:
        await TokenGuard(parse(row(READER))).grant(shown(READER), "env-2")

    assert refused.value.code is CloseCode.NOT_ALLOWED


async def test_a_token_ends_when_its_line_says() -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    guard = TokenGuard(parse(row(READER, expires=soon.isoformat())))

    grant = await guard.grant(shown(READER), ENV)

    assert grant.until is not None
    assert 25 < grant.until - time.monotonic() <= 30
    with pytest.raises(Disconnect) as refused:
        await TokenGuard(parse(row(READER, expires="2020-01-01T00:00:00Z"))).grant(shown(READER), ENV)
    assert refused.value.error == "expired"


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("hunter2", "line 1: an object such as"),
        ("[]", "line 1: an object such as"),
        (row(READER, nickname="hunter2"), "line 1: an object such as"),
        ('{"name":"a","sha256":"' + "0" * 64 + '"}', "line 1: an object such as"),
        (row(READER, environments=[1]), "line 1: an object such as"),
        (row(READER, name=""), "line 1: name must have"),
        (row(READER, name="a\nb"), "line 1: name must have"),
        ('{"name":"a","sha256":"hunter2","environments":["e"]}', "line 1: sha256 must be"),
        (row(READER, environments="hunter2"), "line 1: environments must be"),
        (row(READER, environments=[]), "line 1: an empty list"),
        (row(READER, services=[]), "line 1: an empty list"),
        (row(READER, expires="tomorrow, hunter2"), "line 1: expires must be"),
        (f"{row(READER)}\n\n{row(READER, 'b')}", "stands there twice"),
        (f"{row(READER)}\n{row(ADMIN)}", "stands there twice"),
        (f"{row(READER)}\nhunter2", "line 2: "),
    ],
)
def test_a_bad_list_is_refused_and_says_where(line: str, right: str) -> None:
    with pytest.raises(TokensInvalid) as refused:
        parse(line)

    assert right in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Path]:
    def listed(*rows: str) -> Path:
        path, fresh = tmp_path / "tokens", tmp_path / "tokens.new"
        fresh.write_text("\n".join(rows), encoding="utf-8")
        os.replace(fresh, path)  # noqa: PTH105 as operators do
        return path

    return listed


async def test_a_list_that_cannot_be_read_leaves_the_last_one_and_shows_in_readiness(
    listed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = listed(row(READER))
    guard = TokenGuard(parse(path.read_text(encoding="utf-8")), path)
    assert guard.describe() == {"state": "ok"}

    listed(row(READER), "hunter2")
    assert not guard.reload()
    assert guard.describe()["state"] == "failing"
    await guard.grant(shown(READER), ENV)
    path.unlink()
    assert not guard.reload()
    assert guard.describe() == {"state": "failing", "reason": "the file can't be read"}
    listed(row(ADMIN))

    assert guard.reload()
    assert guard.describe() == {"state": "ok"}
    with pytest.raises(Disconnect):
        await guard.grant(shown(READER), ENV)
    assert "hunter2" not in caplog.text


async def test_an_emptied_list_lets_nobody_in(listed: Callable[..., Path]) -> None:
    path = listed(row(READER))
    guard = TokenGuard(parse(path.read_text(encoding="utf-8")), path)

    listed("# nobody")

    assert guard.reload()
    with pytest.raises(Disconnect):
        await guard.grant(shown(READER), ENV)


async def test_c20_a_token_taken_off_the_list_ends_its_streams_and_no_others(
    make: Make, listed: Callable[..., Path]
) -> None:
    path = listed(row(READER), row(ADMIN, "admin", "*"))
    guard = TokenGuard(parse(path.read_text(encoding="utf-8")), path)
    relay = await make(guard=guard)
    reader = await relay.joined(headers={"Authorization": f"Bearer {READER}"})
    admin = await relay.joined(headers={"Authorization": f"Bearer {ADMIN}"})

    listed(row(ADMIN, "admin", "*"))
    relay.leases.reload()

    await reader.error("expired")
    assert await reader.close_code() == 4401
    await admin.quiet()
    await admin.leave()


async def test_a_list_that_changes_is_read_by_itself(listed: Callable[..., Path], monkeypatch: Any) -> None:
    monkeypatch.setattr("logrelay.web.tokens._LOOK", 0.01)
    path = listed(row(READER))
    changes: list[None] = []

    async with TokenGuard(parse(path.read_text(encoding="utf-8")), path) as guard:
        guard.changed = lambda: changes.append(None)
        listed(row(READER), row(ADMIN, "admin", "*"))
        await until(lambda: bool(changes))

    assert repr(guard) == "<TokenGuard 2 tokens>"
