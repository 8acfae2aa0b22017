"""railway.toml against Railway's reference of its config file (docs.railway.com/config-as-code/reference)."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

BUILD = {"builder": str, "buildCommand": str, "dockerfilePath": str, "watchPatterns": list}
DEPLOY = {
    "startCommand": str,
    "preDeployCommand": list,
    "healthcheckPath": str,
    "healthcheckTimeout": int,
    "restartPolicyType": str,
    "restartPolicyMaxRetries": int,
    "numReplicas": int,
    "cronSchedule": str,
    "overlapSeconds": int,
    "drainingSeconds": int,
}


@pytest.fixture(scope="module")
def settings(deploy: Path) -> dict[str, Any]:
    return tomllib.loads((deploy / "railway.toml").read_text(encoding="utf-8"))


def test_every_key_is_one_of_railways_with_its_type(settings: dict[str, Any]) -> None:
    assert settings.keys() == {"$schema", "build", "deploy"}
    for section, types in (("build", BUILD), ("deploy", DEPLOY)):
        for key, value in settings[section].items():
            assert type(value) is types[key], f"{section}.{key}"


def test_it_builds_the_dockerfile_that_is_there(settings: dict[str, Any], root: Path) -> None:
    assert settings["build"]["builder"] == "DOCKERFILE"
    assert settings["build"]["dockerfilePath"] == "deploy/Dockerfile"
    assert (root / settings["build"]["dockerfilePath"]).is_file()


def test_a_change_of_anything_in_the_image_deploys(settings: dict[str, Any], deploy: Path) -> None:
    rules = (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    built = {rule[1:] for rule in rules if rule.startswith("!")} - {"LICENSE", "README.md"}
    watched = {pattern.strip("/").removesuffix("/**") for pattern in settings["build"]["watchPatterns"]}

    assert built <= watched


def test_the_health_check_asks_for_the_loop_not_for_railway(settings: dict[str, Any]) -> None:
    assert settings["deploy"]["healthcheckPath"] == "/healthz"


def test_a_failed_process_is_started_again(settings: dict[str, Any]) -> None:
    assert settings["deploy"]["restartPolicyType"] == "ON_FAILURE"


def test_the_old_deployment_has_time_to_say_goodbye(settings: dict[str, Any]) -> None:
    assert settings["deploy"]["drainingSeconds"] > 10  # a graceful stop takes at most that
    assert settings["deploy"]["overlapSeconds"] > 0
