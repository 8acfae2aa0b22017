"""The scenarios: what is run for each, and what is told of it. Each relay in turn, so that noise hits all alike."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence

import attrs
from bench_results import Curve, Delivery, Figure, Point, Results
from bench_run import Measured, Plan, measure
from bench_subjects import OURS, SHARED, SHARED_4096, Subject, Tools, with_settings

_KIB = 1024
_POURED = 200_000  # lines of the ingest scenario
_KEPT = 50_000  # records of the history scenario
_WRAPPER = 26  # bytes that a log message and its frame add to a record
_MOST = 2_000_000  # lines a second, beyond which nothing is tried
_TRIES = 2  # a failure has to repeat
_CLIENTS = (10, 30, 100, 300, 1000, 2000, 5000)
_RATES = (100, 300, 1000, 3000, 10_000)


@attrs.frozen
class Bench:
    """What the scenarios need, and what they have found so far."""

    subjects: Mapping[str, Subject]  # logrelay first
    tools: Tools
    runs: int
    seconds: float
    quick: bool
    results: Results = attrs.field(factory=Results)

    @property
    def ours(self) -> Subject:
        return self.subjects[OURS]

    @property
    def plain(self) -> list[str]:
        """The relays as they come; long queues are for the highest rate only."""
        return [name for name in self.subjects if name != SHARED_4096]

    def once(self, label: str, subject: Subject, plan: Plan) -> Measured:
        """One run, and a word about it on stderr."""
        measured = measure(subject, self.tools, plan)
        sys.stderr.write(
            f"{label}, {subject.name}: {measured.verdict}; {measured.lines:,} lines, "
            f"CPU {measured.cpu:.2f} s, other programs {measured.others:.0%}\n"
        )
        if measured.said:
            sys.stderr.write(f"    its last words: {measured.said}\n")
        sys.stderr.flush()
        return measured

    def each(self, label: str, plan: Plan, names: Sequence[str]) -> dict[str, tuple[Measured, ...]]:
        """Runs of these relays, in turn; relays that aren't there are left out."""
        here = [self.subjects[name] for name in names if name in self.subjects]
        rounds = [[self.once(label, subject, plan) for subject in here] for _ in range(self.runs)]
        return {subject.name: runs for subject, runs in zip(here, zip(*rounds, strict=True), strict=True)}

    def deliver(self, scenario: str, title: str, plan: Plan) -> None:
        """Every relay delivers by this plan."""
        for runs in self.each(scenario, plan, list(self.subjects)).values():
            self.results.deliveries.append(Delivery(scenario, title, runs))

    def tell(self, scenario: str, runs: Sequence[Measured], found: Mapping[str, "Finding"]) -> None:
        """Figures of one relay's runs: medians; a verdict in their place where no run was good."""
        good = [run for run in runs if run.good]
        others = max(run.others for run in runs)
        for name, (unit, of) in found.items():
            value = statistics.median(of(run) for run in good) if good else runs[-1].verdict
            self.results.figures.append(Figure(scenario, runs[0].subject, name, value, unit, others))


Finding = tuple[str, Callable[[Measured], float]]


def a(bench: Bench) -> None:
    """100 clients, 1,000 lines a second."""
    bench.deliver("a", "a: 100 clients x 1,000/s", Plan(100, 1000, 10, bench.seconds))


def b(bench: Bench) -> None:
    """1,000 clients, 100 lines a second."""
    bench.deliver("b", "b: 1,000 clients x 100/s", Plan(1000, 100, 5, bench.seconds))


def a2(bench: Bench) -> None:
    """1,000 clients, 1,000 lines a second: a million deliveries a second."""
    bench.deliver("a2", "a2: 1,000 clients x 1,000/s", Plan(1000, 1000, 50, bench.seconds))


def c(bench: Bench) -> None:
    """10 clients, and the highest rate that all of them get whole and in time."""
    for name in (OURS, SHARED, SHARED_4096, "Node ws"):
        if name in bench.subjects:
            held = _highest(bench, bench.subjects[name], 16_000 if name == OURS else 4000)
            bench.results.deliveries.append(
                Delivery("c", f"c: 10 clients at {held.rate:,.0f}/s", (held,), by_rate=True)
            )


def _highest(bench: Bench, subject: Subject, first: float) -> Measured:
    """Double the rate until it isn't kept, narrow down, then hold it for longer, stepping down until it holds."""

    def kept(rate: float, seconds: float) -> Measured:
        for _ in range(_TRIES):
            run = bench.once(f"c at {rate:,.0f}/s", subject, Plan(10, rate, 20, seconds))
            if run.good:
                break
        return run

    step = min(bench.seconds, 5.0)
    good, bad = 0.0, first
    while bad <= _MOST and kept(bad, step).good:
        good, bad = bad, bad * 2
    low = good or first / 8
    for _ in range(3):
        middle = round((low * bad) ** 0.5, -2)
        if kept(middle, step).good:
            low = middle
        else:
            bad = middle
    held = kept(low, bench.seconds)
    for _ in range(6):
        if held.good:
            break
        low = round(low * 0.9, -2)
        held = kept(low, bench.seconds)
    return held


def quiet(bench: Bench) -> None:
    """One line after more than a second of silence: until the last of 100 clients has it."""
    count = 8 if bench.quick else 24
    plan = Plan(100, 0.8, 1, count / 0.8, own_load=True, load=("-sample", "1"))
    names = [name for name in (OURS, SHARED) if name in bench.subjects]
    for runs in bench.each("quiet", plan, names).values():
        found: dict[str, Finding] = {
            "until the last client, p50": ("ms", lambda run: run.last["p50"]),
            "until the last client, p99": ("ms", lambda run: run.last["p99"]),
        }
        bench.tell("quiet", runs, found)


def ingest(bench: Bench) -> None:
    """All lines at once, for one client whose filter lets only the last one through."""
    query = f"search=%22seq%3D{_POURED}%20t%3D%22#every={_POURED}"
    plan = Plan(
        clients=1,
        rate=_POURED * 10,
        batch=50,
        seconds=0.1,
        queries=(query,),
        own_load=True,
        drain=30,
        paced=False,
    )
    runs = bench.each("ingest", plan, [OURS])[OURS]
    found: dict[str, Finding] = {
        "taken in, 50 a frame": ("lines/CPU s", lambda run: run.generated / run.cpu),
        "taken in by the clock": ("lines/s", lambda run: 1000 * run.generated / run.latency["max"]),
    }
    bench.tell("ingest", runs, found)


def idle(bench: Bench) -> None:
    """Memory at rest and of clients that get nothing."""
    for clients in (1000,) if bench.quick else (1000, 5000):
        plan = Plan(clients, seconds=3 if bench.quick else 5, feed=False)
        for runs in bench.each(f"idle {clients}", plan, bench.plain).values():
            found: dict[str, Finding] = {}
            if clients == 1000:
                found["at rest"] = ("MB", lambda run: run.rest_kib / _KIB)
                found["ready after"] = ("s", lambda run: run.ready)
            found[f"an idle client of {clients:,}"] = ("KB", _each)
            bench.tell("idle", runs, found)


def filters(bench: Bench) -> None:
    """Each filter lets one line of a hundred through; the CPU should grow with filters, not with clients."""
    combinations = ((1000, 50),) if bench.quick else ((1000, 50), (1000, 10), (250, 50))
    for clients, different in combinations:
        queries = tuple(f"search=%22{n}%20t%3D%22#every=100&residue={n}" for n in range(10, 10 + different))
        plan = Plan(clients, 1000, 50, bench.seconds, queries=queries, own_load=True)
        label = f"{clients:,} clients, {different} filters, 1,000/s"
        runs = bench.each(label, plan, [OURS])[OURS]
        found: dict[str, Finding] = {
            f"{label}: CPU": ("% of a core", lambda run: 100 * run.core),
            f"{label}: delivered": ("lines/s", lambda run: run.lines_per_second),
        }
        bench.tell("filters", runs, found)


def history(bench: Bench) -> None:
    """What keeping a record takes, with identities and indexes."""
    plan = Plan(1, 10_000, 50, _KEPT / 10_000, message_bytes=175)
    runs = bench.each("history", plan, [OURS])[OURS]
    found: dict[str, Finding] = {
        "encoded record": ("bytes", lambda run: run.bytes / run.lines - _WRAPPER),
        f"memory a record, of {_KEPT:,}": (
            "bytes",
            lambda run: _KIB * (run.done_kib - run.ready_kib) / run.lines,
        ),
    }
    bench.tell("history", runs, found)


def deflate(bench: Bench) -> None:
    """Scenario a with arrays of records, plain and compressed."""
    plain = Plan(100, 1000, 10, bench.seconds, queries=("batch=1",), own_load=True)
    pressed = attrs.evolve(plain, load=("-compress",))
    pairs = [
        (bench.once("batch=1", bench.ours, plain), bench.once("batch=1, deflate", bench.ours, pressed))
        for _ in range(bench.runs)
    ]
    for title, place in (("a, batch=1", 0), ("a, batch=1, deflate", 1)):
        bench.results.deliveries.append(Delivery("deflate", title, tuple(pair[place] for pair in pairs)))
    good = [(one, two) for one, two in pairs if one.good and two.good]
    others = max(run.others for pair in pairs for run in pair)
    ratios: dict[str, tuple[str, Callable[[Measured, Measured], float]]] = {
        "fewer bytes by": ("x", lambda one, two: one.bytes / two.bytes),
        "CPU against plain": ("x", lambda one, two: two.cpu / one.cpu),
    }
    for name, (unit, of) in ratios.items():
        value = statistics.median(of(one, two) for one, two in good) if good else pairs[-1][1].verdict
        bench.results.figures.append(Figure("deflate", OURS, name, value, unit, others))
    for label, load in (("plain", ()), ("deflate", ("-compress",))):
        plan = Plan(1000, 100, 5, 3, queries=("batch=1",), own_load=True, load=load)
        run = bench.once(f"batch=1, 1,000 clients, {label}", bench.ours, plan)
        bench.tell("deflate", (run,), {f"a client of 1,000, {label}": ("KB", _each)})


def _each(run: Measured) -> float:
    """KB of memory that a client takes, with its share of what the first one made the relay allocate."""
    return (run.done_kib - run.rest_kib) / run.clients


def coalesce(bench: Bench) -> None:
    """Scenario a with batches gathered for ten milliseconds."""
    gathering = with_settings(bench.ours, {"LOGRELAY_COALESCE_SECONDS": "0.01"})
    plan = Plan(100, 1000, 10, bench.seconds)
    pairs = [
        (bench.once("coalesce 0 ms", bench.ours, plan), bench.once("coalesce 10 ms", gathering, plan))
        for _ in range(bench.runs)
    ]
    for title, place in (("a, coalesce 0 ms", 0), ("a, coalesce 10 ms", 1)):
        bench.results.deliveries.append(Delivery("coalesce", title, tuple(pair[place] for pair in pairs)))


def growth(bench: Bench) -> None:
    """CPU for a million delivered lines along two axes, until a relay doesn't keep up."""
    seconds = min(bench.seconds, 6.0)
    families: tuple[tuple[str, str, Sequence[int], Callable[[int], Plan]], ...] = (
        ("clients at 100 lines/s", "clients", _CLIENTS, lambda size: Plan(size, 100, 5, seconds)),
        ("lines/s to 100 clients", "lines/s", _RATES, lambda size: Plan(100, size, 10, seconds)),
    )
    for family, axis, sizes, plan in families:
        points: dict[str, list[Point]] = {name: [] for name in (OURS, SHARED) if name in bench.subjects}
        for size in sizes:
            going = [name for name, found in points.items() if not found or found[-1].good]
            for name, runs in bench.each(f"growth {size:,} {axis}", plan(size), going).items():
                good = all(run.good for run in runs)
                points[name].append(Point(size, statistics.median(run.per_million for run in runs), good))
        bench.results.curves += [Curve(family, axis, name, tuple(found)) for name, found in points.items()]


_SCENARIOS = (a, b, c, a2, quiet, ingest, idle, filters, history, deflate, coalesce, growth)
ALL: dict[str, Callable[[Bench], None]] = {scenario.__name__: scenario for scenario in _SCENARIOS}
QUICK = ("a", "b", "a2", "ingest", "idle", "filters", "history", "quiet", "deflate")
