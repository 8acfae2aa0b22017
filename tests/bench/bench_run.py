"""One run: a fresh upstream, a fresh relay and a crowd of clients, and what it took."""

import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
from bench_processes import Failed, Load, Process, Usage, free_port, python
from bench_subjects import Subject, Tools

_RAMP = 400.0  # connections a second
_SPARE = 45.0  # seconds that a run may take beyond what it should
_SLOW_GENERATOR = 0.97  # of the rate that was asked for


@attrs.frozen
class Plan:
    """What one run does. `queries` are added to the address; clients take turns with them."""

    clients: int
    rate: float = 1000  # lines a second
    batch: int = 10  # lines a message of the upstream
    seconds: float = 10.0
    queries: tuple[str, ...] = ("",)
    message_bytes: int = 200
    feed: bool = True  # whether anything is sent at all
    own_load: bool = False  # whether the clients have to be those of this folder
    load: tuple[str, ...] = ()  # more arguments for them
    drain: float = 5.0  # seconds for what is under way at the end
    patience: float = 500.0  # ms; with a p99 above it the relay is behind
    paced: bool = True  # whether the generator has to keep its rate


@attrs.frozen
class Measured:
    """What one run gave. CPU seconds are those of the relay between READY and DONE."""

    subject: str
    clients: int
    rate: float
    verdict: str
    ready: float = 0.0  # seconds from the relay's start to its port being open
    lines: int = 0
    lines_per_second: float = 0.0
    bytes: int = 0
    messages: int = 0
    generated: int = 0
    latency: dict[str, float] = attrs.Factory(dict)  # ms
    last: dict[str, float] = attrs.Factory(dict)  # ms; until the last client had a line
    cpu: float = 0.0  # s
    span: float = 0.0  # s in which lines were sent
    rest_kib: int = 0  # memory before the first client
    ready_kib: int = 0  # with all clients connected
    done_kib: int = 0
    peak_kib: int = 0
    others: float = 0.0  # share of the machine that other programs used
    said: str = ""  # the relay's last words, where something went wrong

    @property
    def good(self) -> bool:
        return self.verdict == "ok"

    @property
    def per_million(self) -> float:
        """CPU seconds for a million delivered lines."""
        return 1e6 * self.cpu / self.lines if self.lines else 0.0

    @property
    def core(self) -> float:
        """CPU as a share of one core, while lines were sent."""
        return self.cpu / self.span if self.span else 0.0


@attrs.frozen
class _Look:
    usage: Usage
    relay_kib: int


def measure(subject: Subject, tools: Tools, plan: Plan) -> Measured:
    """Run once. What goes wrong is a verdict, so that the other runs go on."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _measure(subject, tools, plan, Path(folder))
        except Failed as failure:
            return Measured(subject.name, plan.clients, plan.rate, f"failed: {failure}")


def _measure(subject: Subject, tools: Tools, plan: Plan, folder: Path) -> Measured:
    port, source = free_port(), free_port()
    seconds = f"{plan.seconds:g}s"
    pace = ("-rate", f"{plan.rate:g}", "-batch", str(plan.batch), "-duration", seconds)
    feeding = (*tools.upstream, "-addr", f"127.0.0.1:{source}", *pace, "-msgbytes", str(plan.message_bytes))
    upstream = Process(feeding, {}, folder / "upstream.log")
    relay: Process | None = None
    load: Load | None = None
    try:
        upstream.listening(source)
        relay = Process(subject.command, subject.settings(port, source), folder / "relay.log")
        ready = relay.listening(port)
        time.sleep(0.5)  # until what a start allocates is there
        for name in subject.added:
            if name in relay.log.read_text(encoding="utf-8", errors="replace"):
                raise Failed(f"{name} isn't known")
        rest = relay.kib()
        look = _looker(relay)
        load = Load(_crowd(subject, tools, plan, port, source), look)
        result = load.result(plan.seconds + plan.clients / _RAMP + plan.drain + _SPARE)
        peak = relay.kib("VmHWM")
        said = relay.last_words()  # before it is told to stop, of which it would speak
    finally:
        for process in (load, relay, upstream):
            if process is not None:
                process.stop()
    if not {"READY", "DONE"} <= load.looks.keys():
        raise Failed(f"ended early: {result.get('note')} {result.get('errors')}")
    spent = _spent(load.looks["READY"], load.looks["DONE"], relay.pid, (relay.pid, upstream.pid, load.pid))
    verdict = _verdict(result, plan)
    return Measured(
        subject=subject.name,
        clients=plan.clients,
        rate=plan.rate,
        verdict=verdict,
        said="" if verdict == "ok" else said,
        ready=ready,
        rest_kib=rest,
        peak_kib=peak,
        span=max(result["seconds"], plan.seconds),
        **_delivered(result),
        **spent,
    )


def _spent(before: _Look, after: _Look, relay: int, ours: tuple[int, ...]) -> dict[str, Any]:
    """What the machine says."""
    return {
        "cpu": after.usage.used(relay) - before.usage.used(relay),
        "ready_kib": before.relay_kib,
        "done_kib": after.relay_kib,
        "others": after.usage.by_others(before.usage, ours),
    }


def _delivered(result: dict[str, Any]) -> dict[str, Any]:
    """What the clients say."""
    return {
        "lines": result["lines"],
        "lines_per_second": result["lines_per_s"],
        "bytes": result["bytes"],
        "messages": result["messages"],
        "generated": int((result.get("generator") or {}).get("emitted", 0)),
        "latency": result["latency_ms"],
        "last": result.get("last_ms", {}),
    }


def _looker(relay: Process) -> Any:
    return lambda: _Look(Usage.now(), relay.kib())


def _crowd(subject: Subject, tools: Tools, plan: Plan, port: int, source: int) -> list[str]:
    """The command of the clients."""
    command = python("bench_load.py") if plan.own_load else tools.load
    timed = ("-ctl", f"http://127.0.0.1:{source}") if plan.feed else ("-duration", f"{plan.seconds:g}s")
    limit = plan.seconds + plan.clients / _RAMP + plan.drain + _SPARE - 15
    return [
        *command,
        *(
            "-n",
            str(plan.clients),
            "-ramp",
            f"{_RAMP:g}",
            "-drain",
            f"{plan.drain:g}s",
            "-timeout",
            f"{limit:g}s",
        ),
        *timed,
        *plan.load,
        *(subject.url(port, query) for query in plan.queries),
    ]


def _verdict(result: dict[str, Any], plan: Plan) -> str:
    """What the clients' result says of the relay: ok, or the first thing that is wrong."""
    missing = result.get("missing_lines", 0)
    expected = result.get("expected_lines", result.get("expected_per_conn", 0) * plan.clients)
    disorder = ("duplicates", "reordered", "stale", "strange")
    generated = (result.get("generator") or {}).get("lines_per_s", 0)
    faults = {
        f"refused: {_most(result.get('errors'))}": result["failed"],
        f"cut off: {_most(result.get('close_codes'))}": result["closed_by_server"],
        str(result.get("note")): result.get("note"),
        f"lost {100 * missing / max(expected, 1):.2g} %": missing,
        "repeats or disorder": any(result.get(name) for name in disorder),
        "generator too slow": plan.feed and plan.paced and generated < _SLOW_GENERATOR * plan.rate,
        f"behind (p99 > {plan.patience:g} ms)": plan.paced and result["latency_ms"]["p99"] > plan.patience,
    }
    return next((words for words, wrong in faults.items() if wrong), "ok")


def _most(counted: dict[str, int] | None) -> str:
    """The most frequent reason, with its count."""
    if not counted:
        return "for no known reason"
    reason = max(counted, key=lambda name: counted[name])
    return f"{counted[reason]} x {reason}"
