"""Measures `logrelay serve` beside an upstream and clients of their own: `python tests/bench/run.py`.

Everything talks over loopback. With `--peers DIR`, a folder with the built tools upgen, wsload and seedrelay (and
noderelay), the peers are measured in the same run, in turn with logrelay. It judges nothing.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec
from bench_chart import chart
from bench_results import Figure
from bench_scenarios import ALL, QUICK, Bench
from bench_subjects import OURS, built_tools, logrelay, own_tools, peers

_QUICK_SECONDS = 90.0  # after which the small set begins no further scenario


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure logrelay, alone or beside its peers.")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder with the built peers and tools")
    parser.add_argument("--scenarios", metavar="A,B,...", help=f"of {','.join(ALL)}; all without this")
    parser.add_argument("--runs", type=int, help="of which medians are told (3; 1 with --quick)")
    parser.add_argument("--seconds", type=float, help="that lines are sent in each run (10; 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="the small set, in two minutes at most")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a chart of the growth curves")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    given = parser.parse_args()
    names = given.scenarios.split(",") if given.scenarios else list(QUICK if given.quick else ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    given.scenarios = names
    given.runs = given.runs or (1 if given.quick else 3)
    given.seconds = given.seconds or (3.0 if given.quick else 10.0)
    return given


def main() -> None:
    """Run the scenarios and print what they found."""
    given = _given()
    began = time.monotonic()
    subjects = {OURS: logrelay()}
    if given.peers:
        subjects |= peers(given.peers.resolve())
    tools = built_tools(given.peers.resolve()) if given.peers else own_tools()
    bench = Bench(subjects, tools, given.runs, given.seconds, given.quick)
    for name in given.scenarios:
        if given.quick and time.monotonic() - began > _QUICK_SECONDS:
            bench.results.figures.append(Figure(name, OURS, "left out", "no time", ""))
            continue
        ALL[name](bench)
    sys.stdout.write(bench.results.text() + "\n")
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(bench.results.json())) + b"\n")
    if given.svg:
        given.svg.write_text(chart(bench.results.curves), encoding="utf-8")


if __name__ == "__main__":
    main()
