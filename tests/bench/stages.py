"""What each stage of taking in lines costs: `python tests/bench/stages.py` prints a table, in process and without I/O.

Each stage is run over all frames before the next one begins, so that one look at the clock covers thousands of
lines. The last rows run the stages together as the relay does; what that costs beyond their sum is
what stands between them.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_rows import SERVICES, Rows, service_id

from logrelay.railway import rows
from logrelay.railway.intake import Intake
from logrelay.railway.pages import Stamped
from logrelay.railway.rows import Next
from logrelay.relay import records
from logrelay.relay.filters import Filter
from logrelay.relay.history import History
from logrelay.relay.identities import Identities
from logrelay.relay.records import LogRecord
from logrelay.relay.redaction import Redactor
from logrelay.web.frames import Pages, View

_NAMES = {service_id(number): f"service-{number + 1}" for number in range(SERVICES)}
_BEGAN = 1_790_000_000_000_000_000  # ns since 1970; stamps rise from there
_TICK = 50_000_000  # ns between two frames
_REDACTOR = Redactor()


@attrs.define
class Clock:
    """CPU time of each stage, in seconds."""

    spent: dict[str, float] = attrs.Factory(dict)

    def run(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do a stage's work for all frames; returns what it gives."""
        gc.collect()
        began = time.process_time()
        made = work()
        self.spent[stage] = time.process_time() - began
        return made


def frames(count: int, batch: int) -> list[bytes]:
    """`next` messages with `count` rows in all, as they come from the socket."""
    made = Rows()
    return [
        b'{"id":"1","type":"next","payload":{"data":{"environmentLogs":%b}}}'
        % made.array(seq, batch, _BEGAN + seq * 1000, _BEGAN + seq // batch * _TICK)
        for seq in range(1, count + 1, batch)
    ]


def decoded(frame: bytes) -> list[rows.Row]:
    """The rows of a frame."""
    message, lost = rows.decode(frame)
    assert isinstance(message, Next)
    assert not lost
    return message.rows


def named(service: str | None) -> str | None:
    """The name of a service, as the directory gives it."""
    return None if service is None else _NAMES[service]


def recorded(frame: Sequence[Stamped], ids: Sequence[str | None]) -> list[LogRecord]:
    """The records of a frame's rows, all of which are new."""
    return [
        records.record(content, str(identity), ns, service_name=named(content.service_id))
        for (ns, content), identity in zip(frame, ids, strict=True)
    ]


def suspected(frame: Sequence[Stamped]) -> int:
    """How many of a frame's rows may hold a secret; the look that each row gets."""
    return sum(_REDACTOR.suspects(content.message, content.attributes) for _, content in frame)


def singly(given: Sequence[bytes]) -> dict[str, float]:
    """CPU seconds of each stage by itself."""
    clock = Clock()
    taken = clock.run("frame decode", lambda: [decoded(frame) for frame in given])
    stamped = clock.run("stamps and content", lambda: [rows.stamped(each)[0] for each in taken])
    keys = clock.run(
        "identity key", lambda: [[records.key(content, ns) for ns, content in each] for each in stamped]
    )
    identities = Identities()
    ids = clock.run("de-duplication", lambda: [identities.unseen(each) for each in keys])
    clock.run("redaction, nothing found", lambda: [suspected(each) for each in stamped])
    made = clock.run(
        "record encoding",
        lambda: [recorded(each, known) for each, known in zip(stamped, ids, strict=True)],
    )
    clock.run("history append", lambda: appended(made))
    clock.run("page frames, one client", lambda: paged(made))
    return clock.spent


def appended(made: Sequence[Sequence[LogRecord]]) -> None:
    """Keep each frame's records, one frame a second."""
    history = History()
    for number, each in enumerate(made):
        history.append(each, float(number))


def paged(made: Sequence[Sequence[LogRecord]]) -> int:
    """Read each frame's records as one client does after each append; bytes of what it would be sent.

    The append is part of it and has been measured: it is taken off by whoever tells this.
    """
    history = History()
    pages = Pages(history)
    everything = View(Filter())
    sent, position = 0, history.end
    for number, each in enumerate(made):
        history.append(each, float(number))
        page = pages.read(position, everything)
        position, sent = page.end, sent + len(page.frames)
    return sent


def together(given: Sequence[bytes]) -> float:
    """CPU seconds of all stages frame by frame, as the relay runs them."""
    intake = Intake(named, clock=lambda: _BEGAN * 2, redactor=_REDACTOR)
    history = History()
    pages = Pages(history)
    everything = View(Filter())
    position = history.end

    def work() -> None:
        nonlocal position
        for number, frame in enumerate(given):
            stamped, _ = rows.stamped(decoded(frame))
            history.append(intake.entries(intake.unseen(stamped)), float(number))
            position = pages.read(position, everything).end

    clock = Clock()
    clock.run("all", work)
    return clock.spent["all"]


def main(count: int, batch: int, runs: int) -> None:
    """Print the table."""
    given = frames(count, batch)
    every = [singly(given) for _ in range(runs)]
    whole = 1e6 * statistics.median(together(given) for _ in range(runs)) / count
    costs = {stage: 1e6 * statistics.median(run[stage] for run in every) / count for stage in every[0]}
    costs["page frames, one client"] -= costs["history append"]
    total = sum(costs.values())
    lines = [(stage, f"{cost:.2f}", f"{cost / total:.0%}") for stage, cost in costs.items()]
    lines += [
        ("sum of the stages", f"{total:.2f}", "100%"),
        ("together, frame by frame", f"{whole:.2f}", f"{whole / total:.0%}"),
    ]
    sys.stdout.write(
        f"{count:,} lines, {batch} a frame, {len(given[0]) / batch:.0f} bytes a line upstream\n\n"
    )
    for line in [("stage", "µs a line", "share"), ("---", "---:", "---:"), *lines]:
        sys.stdout.write(f"| {line[0]:<24} | {line[1]:>9} | {line[2]:>5} |\n")
    sys.stdout.write(f"\n{1e6 / whole:,.0f} lines a CPU second without the socket\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the stages of taking in lines.")
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=50, help="lines a frame")
    parser.add_argument("--runs", type=int, default=3, help="of which medians are told")
    options = parser.parse_args()
    main(options.lines, options.batch, options.runs)
