"""The README is true where a machine can tell."""

import re
from pathlib import Path

import pytest

from logrelay import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TESTS = {
    name
    for path in ROOT.joinpath("tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\btest_\w+", README))))
def test_every_test_that_the_readme_names_is_there(name: str) -> None:
    assert name in TESTS


def test_the_promises_name_tests() -> None:
    promises = README.partition("## Promises")[2].partition("\n## ")[0]

    assert len(set(re.findall(r"\btest_\w+", promises))) > 20


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_file_that_the_readme_links_to_is_there(path: str) -> None:
    assert ROOT.joinpath(path).exists()


@pytest.mark.parametrize("command", ["serve", "check", "demo", "tail", "token", "healthcheck"])
def test_every_command_stands_in_the_readme(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])

    assert f"usage: logrelay {command}" in capsys.readouterr().out
    assert f"| `logrelay {command}" in README
