"""How many machine instructions the hot path takes: `python tests/bench/instructions.py` compares with what is kept.

Callgrind counts them on a fixed input, so that the number is the same from run to run, however busy the machine is.
It depends on the builds of interpreter and libraries, so it is only compared where these are the same. A change of
any code moves all stages by up to 0.3 %, because objects then lie elsewhere, and addresses decide what collides in the
interpreter's caches: less than that says nothing.
`--write` keeps the new numbers. Nothing here judges: the status is 0 unless the stages can't run.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import instructions_counted as counted

HERE = Path(__file__).resolve().parent
KEPT = HERE / "instructions.json"
WITHIN = 600.0  # seconds; a run takes some 40 s where nothing else runs
# Two stages are counted to show by how much they take more than another; the rest of them is that other one.
CLIENT = "a client more, per frame"
WORD = "fan-out, a word more"
_TOTAL = re.compile(r"^summary: (\d+)$", re.MULTILINE)


# -- counting -------------------------------------------------------------------------------------------------


def child(*wrapper: str) -> None:
    """Run the stages in a process of their own. Raises CalledProcessError when they fail."""
    # The environment lies in the process's memory, so it is kept small and the same. Some interpreters need to be told
    # where their own library is.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    subprocess.run(
        [*wrapper, sys.executable, counted.__file__],
        check=True,
        env=kept | {"PYTHONHASHSEED": "0"},
        timeout=WITHIN,
    )


def count(valgrind: str) -> dict[str, int]:
    """Instructions of each stage as a whole."""
    child()  # compiles what has changed, which would take long under valgrind, and fails early where something does
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        marks = ("--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={out}")
        child(valgrind, "-q", *marks)
        # Dumps are numbered from 1, and each second one was begun by a stage's first mark and ended by its second.
        return {
            name: _total(out.with_name(f"out.{2 * number}"))
            for number, name in enumerate(counted.STAGES, start=1)
        }


def _total(dump: Path) -> int:
    found = _TOTAL.search(dump.read_text())
    if found is None:
        raise ValueError("callgrind wrote no total")
    return int(found[1])


def per_line(totals: Mapping[str, int]) -> dict[str, int]:
    """What is kept and shown: instructions per line, and for a client per frame."""
    shown = dict(totals)
    crowd = shown.pop(counted.A_CROWD) - shown.pop(counted.ONE_CLIENT)
    shown[WORD] = shown.pop(counted.TWO_WORDS) - shown[counted.A_WORD]
    lines = counted.FRAMES * counted.LINES
    return {name: round(total / lines) for name, total in shown.items()} | {
        CLIENT: round(crowd / counted.CROWD / counted.FRAMES)
    }


# -- comparing ------------------------------------------------------------------------------------------------


def fingerprint(valgrind: str) -> dict[str, str]:
    """What the numbers depend on beside our own code."""
    version = subprocess.run([valgrind, "--version"], check=True, capture_output=True, text=True).stdout
    return {
        "python": sys.version,
        **{name: importlib.metadata.version(name) for name in ("aiohttp", "attrs", "msgspec")},
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
        # The C library has a copy of its functions for each of these, and valgrind lets it see them.
        "vectors": _vectors(),
        "valgrind": version.strip(),
        "input": hashlib.sha256(b"".join(counted.frames(0))).hexdigest()[:16],
    }


def _vectors() -> str:
    """Those of the processor's vector units that valgrind knows; empty where the system doesn't tell."""
    described = Path("/proc/cpuinfo")
    words = set(described.read_text().split()) if described.exists() else set()
    return " ".join(name for name in ("sse4_2", "avx", "avx2") if name in words)


def table(now: Mapping[str, int], kept: Mapping[str, int]) -> str:
    """The numbers beside those that are kept, one stage a line."""
    lines = [f"{'instructions per line':<30}{'kept':>10}{'now':>10}{'change %':>10}"]
    for stage, number in now.items():
        before = kept.get(stage)
        change = f"{100 * (number / before - 1):+.2f}" if before else "-"
        lines.append(f"{stage:<30}{before or '-':>10}{number:>10}{change:>10}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Write a line, or lines."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(*, write: bool) -> None:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        say("there is no valgrind here, so nothing was counted")
        return
    here = fingerprint(valgrind)
    now = per_line(count(valgrind))
    if write:
        KEPT.write_text(json.dumps({"fingerprint": here, "instructions": now}, indent=2) + "\n")
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"fingerprint": here}
    differing = [name for name, value in here.items() if kept["fingerprint"].get(name) != value]
    if differing:
        say(f"not compared, because these are not what was counted with: {', '.join(differing)}")
    say(table(now, {} if differing else kept.get("instructions", {})))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Count the machine instructions of the hot path.")
    parser.add_argument("--write", action="store_true", help="keep the numbers")
    main(write=parser.parse_args().write)
