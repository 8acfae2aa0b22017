"""Autobahn's WebSocket suite: the Python 2.7 that it needs, its packages, and a run of its fuzzing client."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

_FOLDER = Path(__file__).with_name("autobahn")
_LOOK_SECONDS = 20
_INSTALL_SECONDS = 240
_RUN_SECONDS = 240
_IS_CPYTHON_2 = "import platform, ssl, zlib; assert platform.python_implementation() == 'CPython'"


class CannotRun(Exception):
    """Something that the suite needs is not on this machine; the text says what."""


def python2() -> str:
    """A CPython 2.7 that really runs: a pyenv shim is on the PATH also where it leads nowhere. Raises CannotRun."""
    for candidate in _candidates():
        command = [candidate, "-c", _IS_CPYTHON_2]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, check=True, capture_output=True, timeout=_LOOK_SECONDS)
            return candidate
    raise CannotRun("there is no CPython 2.7 on this machine, neither on the PATH nor among pyenv's versions")


def _candidates() -> Iterator[str]:
    on_path = shutil.which("python2.7")
    if on_path is not None:
        yield on_path
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from map(str, sorted(versions.glob("2.7*/bin/python2.7")))


def install(python: str, folder: Path) -> None:
    """Put the suite's packages into a folder, from the package index that is configured. Raises CannotRun."""
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(folder),
    ]
    command += ["--requirement", str(_FOLDER / "requirements.txt")]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.decode(errors="replace").splitlines() if "ERROR" in line]
        raise CannotRun(f"the suite can't be installed: {next(iter(lines), 'pip failed')[:200]}") from None
    except subprocess.TimeoutExpired:
        raise CannotRun(f"the suite was not installed within {_INSTALL_SECONDS} s") from None


@attrs.frozen
class Results:
    """What the suite found, by case (such as 7.9.5): how the server behaved, and how it closed."""

    behaviour: dict[str, str]
    closing: dict[str, str]

    def failed(self) -> set[str]:
        """The cases that the server failed in either respect."""
        wrong = {"FAILED", "WRONG CODE", "FAILED BY CLIENT"}
        return {
            case
            for found in (self.behaviour, self.closing)
            for case, result in found.items()
            if result in wrong
        }

    def table(self) -> str:
        """The counts, one line for each group of cases."""
        kinds = sorted(set(self.behaviour.values()))
        rows = [["group", *(kind.lower() for kind in kinds), "closing not ok"]]
        groups = sorted({case.split(".")[0] for case in self.behaviour}, key=int)
        for group in [*groups, ""]:
            cases = [case for case in self.behaviour if not group or case.split(".")[0] == group]
            counts = Counter(self.behaviour[case] for case in cases)
            bad = sum(self.closing[case] not in ("OK", "INFORMATIONAL") for case in cases)
            rows.append([group or "all", *(str(counts[kind]) for kind in kinds), str(bad)])
        return "\n".join("  ".join(cell.rjust(14) for cell in row) for row in rows)


async def run(python: str, packages: Path, url: str, cases: list[str], folder: Path) -> Results:
    """Let the fuzzing client try a server by these cases. Raises AssertionError with its output when it breaks off."""
    spec = folder / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "servers": [{"agent": "logrelay", "url": url}],
                "outdir": str(folder / "report"),
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    command = (python, str(_FOLDER / "wstest.py"), str(packages), "-m", "fuzzingclient", "-s", str(spec))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT, cwd=folder)
    try:
        async with asyncio.timeout(_RUN_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    index = folder / "report" / "index.json"
    assert index.exists(), output.decode(errors="replace")[-2000:]
    found = json.loads(index.read_text())["logrelay"]
    return Results(
        behaviour={case: result["behavior"] for case, result in found.items()},
        closing={case: result["behaviorClose"] for case, result in found.items()},
    )
