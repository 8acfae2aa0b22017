import pytest

from logrelay.errors import CloseCode, Disconnect
from logrelay.web.environments import Environments


def test_environments_are_those_allowed() -> None:
    environments = Environments(frozenset({"a"}))

    environments.admit("a")
    with pytest.raises(Disconnect) as refused:
        environments.admit("b")

    assert refused.value.code is CloseCode.NOT_ALLOWED


def test_everything_is_any_id_that_can_be_one() -> None:
    environments = Environments(frozenset({"*"}), everything=True)

    environments.admit("0d0f-A_z")
    for impossible in ("", "a b", "a/b", "é", "a" * 65, "a\n"):
        with pytest.raises(Disconnect) as refused:
            environments.admit(impossible)
        assert refused.value.code is CloseCode.UNKNOWN_ENVIRONMENT
