"""What a benchmark has found, as tables for people and as JSON."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from bench_run import Measured
from bench_subjects import SHARED, SHARED_4096

_KIB = 1024
_DELIVERIES = (
    *("scenario", "relay", "verdict", "delivered/s", "p50 ms", "p99 ms", "max ms", "CPU s/million"),
    *("of a core", "peak MB", "to Go shared", "other programs"),
)
_FIGURES = ("scenario", "relay", "figure", "value", "unit", "other programs")


@attrs.frozen
class Delivery:
    """The runs of one relay in one scenario that delivers lines to all clients."""

    scenario: str
    title: str
    runs: tuple[Measured, ...]
    by_rate: bool = False  # whether relays are compared by what they deliver, not by what it costs

    @property
    def subject(self) -> str:
        return self.runs[0].subject

    def median(self, of: Callable[[Measured], float]) -> float:
        """The median over the runs."""
        return statistics.median(of(run) for run in self.runs)

    @property
    def compared(self) -> float:
        """The number that is compared between relays."""
        return self.median(lambda run: run.lines_per_second if self.by_rate else run.per_million)

    @property
    def verdict(self) -> str:
        """The verdicts of all runs, faults first."""
        verdicts = sorted({run.verdict for run in self.runs}, key=lambda verdict: (verdict == "ok", verdict))
        return "; ".join(verdicts)


@attrs.frozen
class Figure:
    """One number that was found."""

    scenario: str
    subject: str
    name: str
    value: float | str
    unit: str
    others: float = 0.0  # share of the machine that other programs used


@attrs.frozen
class Point:
    """CPU seconds for a million delivered lines at one size."""

    at: float
    per_million: float
    good: bool


@attrs.frozen
class Curve:
    """How one relay's cost grows along one axis."""

    family: str
    axis: str
    subject: str
    points: tuple[Point, ...]


@attrs.define
class Results:
    """All of it."""

    deliveries: list[Delivery] = attrs.Factory(list)
    figures: list[Figure] = attrs.Factory(list)
    curves: list[Curve] = attrs.Factory(list)

    def text(self) -> str:
        """The tables."""
        tables: list[str] = []
        if self.deliveries:
            tables.append(_table(_DELIVERIES, (self._delivery(each) for each in self.deliveries)))
        if self.figures:
            tables.append(_table(_FIGURES, (_figure(each) for each in self.figures)))
        if self.curves:
            heads = ("growth", "relay", "CPU s/million at each size")
            tables.append(_table(heads, (_curve(each) for each in self.curves)))
        return "\n\n".join(tables)

    def json(self) -> dict[str, Any]:
        """Everything, every run included."""
        return attrs.asdict(self)

    def _delivery(self, delivery: Delivery) -> Sequence[str]:
        median = delivery.median
        head = (delivery.title, delivery.subject, delivery.verdict)
        if not median(lambda run: run.lines):
            return (*head, *("-" for _ in _DELIVERIES[3:]))
        return (
            *head,
            f"{median(lambda run: run.lines_per_second):,.0f}",
            *(f"{median(_latency(key)):.1f}" for key in ("p50", "p99", "max")),
            f"{median(lambda run: run.per_million):.2f}",
            f"{median(lambda run: run.core):.0%}",
            f"{median(lambda run: run.peak_kib) / _KIB:.0f}",
            self._ratio(delivery),
            f"{max(run.others for run in delivery.runs):.0%}",
        )

    def _ratio(self, delivery: Delivery) -> str:
        """Against Go's shared hub in the same scenario; against its best where rates are compared."""
        bases = [
            other.compared
            for other in self.deliveries
            if other.title.partition(" at ")[0] == delivery.title.partition(" at ")[0]
            and other.subject in ((SHARED, SHARED_4096) if delivery.by_rate else (SHARED,))
            and other.compared
        ]
        if not bases:
            return "-"
        base = max(bases)
        return f"{delivery.compared / base:.2f} x {'rate' if delivery.by_rate else 'CPU'}"


def _latency(key: str) -> Callable[[Measured], float]:
    return lambda run: run.latency[key]


def _figure(figure: Figure) -> Sequence[str]:
    value = figure.value if isinstance(figure.value, str) else f"{figure.value:,.2f}"
    return (figure.scenario, figure.subject, figure.name, value, figure.unit, f"{figure.others:.0%}")


def _curve(curve: Curve) -> Sequence[str]:
    points = ", ".join(
        f"{point.at:,.0f}: {point.per_million:.2f}" + ("" if point.good else " (not kept up)")
        for point in curve.points
    )
    return (curve.family, curve.subject, points)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned for a terminal."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)
