"""`logrelay check` against the stand-in: every line is true."""

import pytest

from logrelay import check
from logrelay.standin import StandIn, World


def environ(railway: StandIn, **changes: str) -> dict[str, str]:
    return {
        "LOGRELAY_RAILWAY_URL": railway.url,
        "RAILWAY_API_TOKEN": railway.world.account_token,
        "LOGRELAY_ENVIRONMENTS": railway.world.environment.id,
    } | changes


async def test_everything_works(capsys: pytest.CaptureFixture[str]) -> None:
    async with StandIn(World(seed=1), poll_interval=0.01) as railway:
        railway.world.environment.write("hello")

        assert await check.run(environ(railway, LOGRELAY_HISTORY_RECORD="1")) == 0

    shown = capsys.readouterr().out
    assert "did you mean LOGRELAY_HISTORY_RECORDS?" in shown
    assert "token: an account or workspace token" in shown
    assert "production; services: " in shown
    assert "subscription: stands; first frame with 1 rows" in shown
    assert "  no  " not in shown
    assert railway.world.account_token not in shown


async def test_a_project_token_knows_its_environment(capsys: pytest.CaptureFixture[str]) -> None:
    async with StandIn(World(seed=1), poll_interval=0.01) as railway:
        given = {"LOGRELAY_RAILWAY_URL": railway.url, "RAILWAY_TOKEN": railway.world.project_token}

        assert await check.run(given) == 0

        assert f"for environment {railway.world.environment.id}" in capsys.readouterr().out


async def test_a_bad_token_is_said_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with StandIn(World(seed=1)) as railway:
        assert await check.run(environ(railway, RAILWAY_API_TOKEN="wrong-secret")) == 1

    shown = capsys.readouterr().out
    assert "no  token: Railway says: not authorized" in shown
    assert "wrong-secret" not in shown


async def test_an_unknown_environment_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    async with StandIn(World(seed=1)) as railway:
        assert await check.run(environ(railway, LOGRELAY_ENVIRONMENTS="unknown")) == 1

    assert "no  environment unknown: " in capsys.readouterr().out


async def test_all_environments_are_left_to_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    async with StandIn(World(seed=1)) as railway:
        assert await check.run(environ(railway, LOGRELAY_ENVIRONMENTS="*")) == 0

    assert "all that the token can see" in capsys.readouterr().out


async def test_a_subscription_that_fails_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    async with StandIn(World(seed=1)) as railway:
        railway.faults.refuse_upgrade = (503, {}, "")

        assert await check.run(environ(railway)) == 1

    assert "no  subscription: Railway is not available (HTTP 503)" in capsys.readouterr().out


async def test_a_quiet_subscription_stands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_STANDS_AFTER", 0.05)
    async with StandIn(World(seed=1)) as railway:
        railway.faults.silent = True

        assert await check.run(environ(railway)) == 0

    assert "the log is quiet" in capsys.readouterr().out


async def test_bad_settings_are_all_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert await check.run({"PORT": "x"}) == 2

    assert capsys.readouterr().out.count("  no  ") == 3
