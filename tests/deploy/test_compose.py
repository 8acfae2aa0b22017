"""compose.yaml: well-formed, valid by the Compose Specification's own schema, and as closed as it says."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from yarl import URL


@pytest.fixture(scope="module")
def compose(deploy: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def test_yamllint_finds_nothing(deploy: Path) -> None:
    linter = pytest.importorskip("yamllint.linter", reason="yamllint is in the dev extra")
    config = pytest.importorskip("yamllint.config").YamlLintConfig(
        "{extends: default, rules: {line-length: {max: 120}}}"
    )

    problems = linter.run((deploy / "compose.yaml").read_text(encoding="utf-8"), config)

    assert [str(problem) for problem in problems] == []


def test_it_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads(Path(__file__).with_name("schemas").joinpath("compose-spec.json").read_text("utf-8"))

    errors = jsonschema.Draft202012Validator(schema).iter_errors(compose)

    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_schema_would_notice_a_wrong_key(compose: dict[str, Any]) -> None:
    schema = json.loads(Path(__file__).with_name("schemas").joinpath("compose-spec.json").read_text("utf-8"))

    wrong = {**compose, "services": {"logrelay": {"image": "x", "readonly": True}}}

    assert list(jsonschema.Draft202012Validator(schema).iter_errors(wrong))


@pytest.mark.parametrize("name", ["api", "logrelay"])
def test_every_container_is_locked_down(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert service["stop_grace_period"] == "15s"
    assert re.fullmatch(r"\d+m", service["mem_limit"])
    assert service["pids_limit"] > 0
    assert not {"privileged", "tmpfs", "network_mode", "pid", "cap_add", "devices"} & service.keys()


def test_only_the_api_is_published_and_on_loopback_only(compose: dict[str, Any]) -> None:
    assert compose["services"]["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert "ports" not in compose["services"]["logrelay"]


def test_the_token_comes_as_a_file_and_from_nowhere_else(compose: dict[str, Any]) -> None:
    relay = compose["services"]["logrelay"]

    assert relay["secrets"] == ["railway_token"]
    assert relay["environment"]["RAILWAY_API_TOKEN_FILE"] == "/run/secrets/railway_token"
    assert compose["secrets"] == {"railway_token": {"file": "./secrets/railway_token"}}
    for service in compose["services"].values():
        assert not {"RAILWAY_API_TOKEN", "RAILWAY_TOKEN"} & service["environment"].keys()
        assert "env_file" not in service


def test_the_relay_asks_the_api_who_may_look(compose: dict[str, Any]) -> None:
    relay, api = compose["services"]["logrelay"], compose["services"]["api"]
    asked = URL(relay["environment"]["LOGRELAY_FORWARD_URL"])

    assert relay["environment"]["LOGRELAY_AUTH"] == "forward"
    assert asked.host in compose["services"]
    assert str(asked.port) == api["environment"]["PORT"]
    assert relay["environment"]["LOGRELAY_TRUSTED_PROXIES"] == "1"


def test_the_examples_user_has_no_password_until_somebody_makes_one_up(compose: dict[str, Any]) -> None:
    password = compose["services"]["api"]["environment"]["EXAMPLE_PASSWORD"]

    assert re.fullmatch(r"\$\{EXAMPLE_PASSWORD:\?[^}]+\}", password)


def test_secrets_are_neither_committed_nor_sent_to_the_builder(deploy: Path) -> None:
    assert "secrets/" in (deploy / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "secret" not in "".join(
        line
        for line in (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    )


def test_the_api_waits_for_a_healthy_relay_and_finds_it_by_name(compose: dict[str, Any]) -> None:
    api = compose["services"]["api"]

    assert api["depends_on"] == {"logrelay": {"condition": "service_healthy"}}
    assert api["environment"]["RELAY_URL"] == "http://logrelay:8080"
    assert compose["services"]["logrelay"]["expose"] == ["8080"]


def test_paths_that_it_names_exist(compose: dict[str, Any], deploy: Path) -> None:
    build = compose["services"]["logrelay"]["build"]
    [mount] = compose["services"]["api"]["volumes"]
    source, target, mode = mount.split(":")

    assert (deploy / build["context"] / build["dockerfile"]).is_file()
    assert mode == "ro"
    assert compose["services"]["api"]["command"][1].startswith(f"{target}/")
    assert (deploy / source / Path(compose["services"]["api"]["command"][1]).name).is_file()
