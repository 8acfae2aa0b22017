"""The Dockerfile, read rather than run: there need not be a Docker engine where the tests run."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_reader import Dockerfile


def test_every_stage_starts_from_the_same_slim_python_of_a_fixed_minor_version(
    dockerfile: Dockerfile,
) -> None:
    bases = dockerfile.bases()

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim(-[a-z]+)?", bases[0])


def test_no_image_is_named_by_a_host_or_by_latest(dockerfile: Dockerfile) -> None:
    for base in dockerfile.bases():
        name, _, tag = base.partition(":")

        assert tag not in ("", "latest")
        assert "." not in name.split("/")[0]


def test_the_last_stage_runs_as_a_numeric_user_that_is_not_root(dockerfile: Dockerfile) -> None:
    users = [i.value for i in dockerfile.of("USER", dockerfile.runtime)]

    assert users == ["10001:10001"]


def test_nothing_is_copied_or_installed_after_the_user_was_changed(dockerfile: Dockerfile) -> None:
    names = [i.name for i in dockerfile.instructions if i.stage == dockerfile.runtime]

    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])


def test_the_image_starts_the_server_without_a_shell(dockerfile: Dockerfile) -> None:
    assert dockerfile.of("ENTRYPOINT") == []
    assert [i.exec_form for i in dockerfile.of("CMD")] == [["logrelay", "serve"]]


def test_the_health_check_is_the_subcommand_without_a_shell(dockerfile: Dockerfile) -> None:
    [check] = dockerfile.of("HEALTHCHECK")
    keyword, _, command = check.value.partition(" ")

    assert keyword == "CMD"
    assert command == '["logrelay", "healthcheck"]'
    assert set(check.flags) == {"interval", "timeout", "start-period", "retries"}


def test_the_image_says_its_port_its_signal_and_its_labels(dockerfile: Dockerfile) -> None:
    labels = " ".join(i.value for i in dockerfile.of("LABEL", dockerfile.runtime))

    assert [i.value for i in dockerfile.of("EXPOSE")] == ["8080"]
    assert [i.value for i in dockerfile.of("STOPSIGNAL")] == ["SIGTERM"]
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels


def test_the_image_can_be_read_only(dockerfile: Dockerfile) -> None:
    environment = dockerfile.environment(dockerfile.runtime)

    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["LOGRELAY_HOST"] == "0.0.0.0"  # noqa: S104 - what a container listens on
    assert dockerfile.of("VOLUME") == []


def test_nothing_is_fetched_by_the_dockerfile_itself(dockerfile: Dockerfile) -> None:
    assert dockerfile.of("ADD") == []
    assert not [i for i in dockerfile.of("RUN") if re.search(r"curl|wget|https?:|git ", i.value)]


def test_no_secret_is_built_in(dockerfile: Dockerfile) -> None:
    secret = re.compile(r"token|secret|password|passwd|credential|api_?key", re.IGNORECASE)

    assert not [i for name in ("ENV", "ARG", "LABEL") for i in dockerfile.of(name) if secret.search(i.value)]


def test_who_may_look_is_left_to_the_operator(dockerfile: Dockerfile) -> None:
    told = [i.value for name in ("ENV", "ARG", "CMD") for i in dockerfile.of(name)]

    assert not [value for value in told if "LOGRELAY_AUTH" in value]


def test_the_runtime_takes_the_builders_environment_to_the_same_path(dockerfile: Dockerfile) -> None:
    [copy] = [i for i in dockerfile.of("COPY", dockerfile.runtime) if "from" in i.flags]
    source, destination = copy.value.split()

    assert copy.flags["from"] == "builder"
    assert source == destination
    assert all(i.value.endswith(f" {source}") for i in dockerfile.of("RUN", 1))
    assert dockerfile.environment(dockerfile.runtime)["PATH"].split(":")[0] == f"{source}/bin"


def test_dependencies_are_installed_before_any_of_our_code_is_copied(dockerfile: Dockerfile) -> None:
    builder = [i for i in dockerfile.instructions if i.stage == 1]
    first_run = next(n for n, i in enumerate(builder) if i.name == "RUN")

    assert "install.sh dependencies" in builder[first_run].value
    assert "logrelay" not in " ".join(i.value for i in builder[:first_run] if i.name == "COPY")


def test_every_copied_file_exists_and_reaches_the_builder(
    dockerfile: Dockerfile, root: Path, deploy: Path
) -> None:
    rules = [
        line
        for line in (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    sources = [source for stage in (1, 2) for names, _ in dockerfile.sources(stage) for source in names]

    assert rules[0] == "*"
    assert sources
    assert [s for s in sources if not (root / s).exists()] == []
    assert [s for s in sources if f"!{s}" not in rules] == []
    assert sorted(f"!{s}" for s in sources) == sorted(rule for rule in rules if rule.startswith("!"))


def test_every_dependency_is_pinned_within_what_setup_cfg_allows(root: Path, deploy: Path) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    plain = pytest.importorskip("packaging.utils").canonicalize_name
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(root / "setup.cfg", encoding="utf-8")
    wanted = settings["options"]["install_requires"] + settings["options.extras_require"]["jwt"]
    lines = (deploy / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {plain(name): version for name, version in pairs}

    assert "joserfc" in wanted
    for line in (line.strip() for line in wanted.splitlines()):
        if line and not line.startswith("#"):
            requirement = requirements.Requirement(line)
            assert requirement.specifier.contains(pins[plain(requirement.name)]), line


@pytest.mark.parametrize("tool", ["sh -n", "shellcheck --shell=sh"])
def test_shell_scripts_are_plain_posix(tool: str, deploy: Path) -> None:
    name, *options = tool.split()
    # A tool that came with the test extra lies beside the interpreter, which need not be on the PATH.
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    command = [found, *options]

    for script in sorted(deploy.rglob("*.sh")):
        checked = subprocess.run([*command, script], capture_output=True, text=True, check=False)

        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def build(dockerfile: Dockerfile, root: Path, source: Path, prefix: Path) -> None:
    """Do what the builder stage does: its COPYs from the tree and its RUNs, with another prefix."""
    [copied] = [i for i in dockerfile.of("COPY", dockerfile.runtime) if "from" in i.flags]
    installed = copied.value.split()[0]
    for step in (i for i in dockerfile.instructions if i.stage == 1):
        if step.name == "COPY":
            *names, destination = step.value.split()
            for name in names:
                target = source / destination
                if (root / name).is_dir():
                    shutil.copytree(root / name, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(root / name, target)
        elif step.name == "RUN":
            subprocess.run(
                ["/bin/sh", "-c", step.value.replace(installed, str(prefix))],
                cwd=source,
                env={**os.environ, "PYTHON": sys.executable},
                check=True,
            )


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in sorted(folder.rglob("*"))}


@pytest.mark.big
@pytest.mark.timeout(600)
def test_the_install_steps_make_an_environment_that_runs_without_writing(
    dockerfile: Dockerfile, root: Path, tmp_path: Path
) -> None:
    source, prefix, elsewhere = tmp_path / "source", tmp_path / "prefix", tmp_path / "elsewhere"
    source.mkdir()
    elsewhere.mkdir()

    build(dockerfile, root, source, prefix)
    shutil.rmtree(source)
    for path in (*prefix.rglob("*"), prefix):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    before = state(prefix)
    environment = {
        **dockerfile.environment(dockerfile.runtime),
        "PATH": f"{prefix}/bin:/usr/bin:/bin",
        "PORT": "1",  # nothing listens there
    }
    modes = subprocess.run(
        [prefix / "bin" / "python", "-B", "-c", "import joserfc"], cwd=elsewhere, check=False
    )
    unsaid = {"RAILWAY_API_TOKEN": "x", "LOGRELAY_ENVIRONMENTS": "*"}  # and not who may look
    version, health, serve = (
        subprocess.run(
            [prefix / "bin" / "logrelay", *arguments],
            cwd=elsewhere,
            env=environment | unsaid,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        for arguments in (["--version"], ["healthcheck"], ["serve"])
    )

    assert version.returncode == 0, version.stderr
    assert re.search(r"\d+\.\d+\.\d+", version.stdout)
    assert health.returncode == 1, health.stderr
    assert modes.returncode == 0  # every mode works in the image
    assert serve.returncode == 2
    assert "LOGRELAY_AUTH must say who may connect" in serve.stderr
    assert state(prefix) == before
    assert list(elsewhere.iterdir()) == []
    assert list((prefix / "bin").glob("pip*")) == []
    for path in (prefix, *prefix.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
