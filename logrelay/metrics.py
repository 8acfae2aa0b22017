"""The relay's numbers as Prometheus metrics, read when somebody asks for them. Counts nothing itself.

Where things happen, plain numbers grow; a scrape puts names on them. The names follow Prometheus' conventions: base
units, and `_total` on what only grows. Labels come from closed sets, or are the ids of environments that have a hub;
what is counted under any other word is told as `other`. An environment's numbers begin anew with its hub, which goes
some time after its last viewer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import attrs
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from logrelay import __version__
from logrelay.lag import Lag
from logrelay.railway.gateway import Gateway
from logrelay.railway.verdicts import Kind
from logrelay.relay.hub import Hub, Hubs
from logrelay.relay.upstream import STATES
from logrelay.web.counts import CODES, MODES, OUTCOMES, REFUSALS, StreamCounts

# Why an environment's records are missing; what only one viewer's resume lacks is told to that viewer.
GAPS = ("limit", "outage", "too_large", "unreadable", "upstream_dropped", "upstream_truncated")
ENDS = tuple(kind.value for kind in Kind)
_OTHER = "other"
_ENVIRONMENT = "environment"
_NANOSECONDS = 1e9

_Key = TypeVar("_Key", bound=Hashable)
_Values = Iterable[tuple[Sequence[str], float]]  # labels' values, and the number


@attrs.frozen
class Sources:
    """Where the numbers are."""

    hubs: Hubs
    gateway: Gateway
    streams: StreamCounts
    lag: Lag
    dropped_lines: Callable[[], int]  # of our own log
    redactions: Callable[[], Mapping[str, int]] = dict  # by the rule's name


class Metrics:
    """The metrics of one application, and of the process that it runs in."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Relay(sources))
        ProcessCollector(registry=self._registry)

    def exposed(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and body, in the format that a request's Accept header prefers."""
        try:
            # The library repeats the version that was asked for, and fails on one that is no number (0.26.0).
            encode, kind = choose_encoder(accept if accept.isascii() else "")
        except TypeError:
            encode, kind = choose_encoder("")
        return kind, encode(self._registry)


class _Relay(Collector):
    """What the relay itself counts."""

    def __init__(self, sources: Sources) -> None:
        self._of = sources

    def collect(self) -> Iterator[Metric]:
        """Everything as it is now."""
        yield InfoMetricFamily("logrelay_build", "Version of the relay.", {"version": __version__})
        yield from self._streams(self._of.streams)
        hubs = tuple(self._of.hubs)
        yield from _environments(hubs)
        yield from _delivered(hubs)
        yield from self._railway(self._of.gateway)
        yield from self._own()

    def _streams(self, counts: StreamCounts) -> Iterator[Metric]:
        yield _gauge("clients", "Streams that are being served.", _one(len(counts.live)))
        yield _counter("streams_opened_total", "Streams that were let in.", _one(counts.opened))
        yield _counter(
            "streams_refused_total",
            "Streams that were not let in, by the code of the error.",
            _known(counts.refused, REFUSALS),
            "error",
        )
        yield _counter(
            "streams_closed_total",
            "Streams that were let in and have ended, by WebSocket close code.",
            _known(counts.closed, CODES),
            "code",
        )
        yield _counter(
            "authentications_total",
            "Credentials that were judged, by mode.",
            _pairs(counts.auth),
            "mode",
            "outcome",
        )
        yield _counter("records_sent_total", "Records written to streams.", _one(counts.records_sent))
        yield _counter(
            "records_lost_total",
            "Records passed over because a stream was too slow, as it was told.",
            _one(counts.records_lost),
        )
        yield _counter("sent_bytes_total", "WebSocket frames written to streams.", _one(counts.bytes_sent))

    def _railway(self, gateway: Gateway) -> Iterator[Metric]:
        yield _counter(
            "upstream_ends_total",
            "Tries to follow a log that have ended, by what the end means.",
            _known(gateway.ends, ENDS),
            "kind",
        )
        yield _counter("railway_queries_total", "Queries made to Railway.", _one(gateway.budget.spent))
        yield _gauge(
            "railway_query_budget",
            "Queries that the relay allows itself in an hour.",
            _one(gateway.budget.per_hour),
        )
        yield _gauge("railway_query_budget_left", "Queries left of that now.", _one(gateway.budget.left))

    def _own(self) -> Iterator[Metric]:
        yield _counter(
            "redactions_total",
            "Secrets struck out of records, by rule.",
            [((rule,), count) for rule, count in sorted(self._of.redactions().items())],
            "rule",
        )
        yield _counter(
            "log_lines_dropped_total",
            "Lines of the relay's own log that nobody took in time.",
            _one(self._of.dropped_lines()),
        )
        lag = self._of.lag
        yield _gauge("tasks", "Tasks of the event loop.", _one(_tasks()))
        yield _gauge("event_loop_lag_last_seconds", "How late the event loop was last.", _one(lag.last))
        yield HistogramMetricFamily(
            "logrelay_event_loop_lag_seconds",
            "How late the event loop was, each time it was looked at.",
            buckets=[*((str(bound), count) for bound, count in lag.cumulated()), ("+Inf", lag.looks)],
            sum_value=lag.total,
        )


def _tasks() -> int:
    """Tasks of the event loop that runs; 0 where none does."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


def _environments(hubs: Sequence[Hub]) -> Iterator[Metric]:
    yield _gauge(
        "viewers", "Streams that watch the environment.", _each(hubs, lambda hub: hub.viewers), _ENVIRONMENT
    )
    yield _gauge(
        "history_records",
        "Records, and notices between them, that the history holds.",
        _each(hubs, lambda hub: len(hub.history)),
        _ENVIRONMENT,
    )
    yield _gauge(
        "history_bytes",
        "Memory that the history takes.",
        _each(hubs, lambda hub: hub.history.bytes),
        _ENVIRONMENT,
    )
    yield _gauge(
        "upstream_state",
        "1 for the state that the subscription to Railway is in, 0 for all others.",
        [
            ((hub.environment_id, state), float(hub.upstream.state == state))
            for hub in hubs
            for state in STATES
        ],
        _ENVIRONMENT,
        "state",
    )
    frames = ((hub.environment_id, hub.upstream.last_frame_ns) for hub in hubs)
    yield _gauge(
        "upstream_last_frame_timestamp_seconds",
        "When Railway's last frame came, with records or without, since 1970.",
        [((name,), came / _NANOSECONDS) for name, came in frames if came is not None],
        _ENVIRONMENT,
    )


def _delivered(hubs: Sequence[Hub]) -> Iterator[Metric]:
    yield _counter(
        "upstream_records_total",
        "Records that Railway delivered, each once.",
        _each(hubs, lambda hub: hub.delivered.records),
        _ENVIRONMENT,
    )
    yield _counter(
        "upstream_losses_total",
        "Times that the subscription was lost after it had stood.",
        _each(hubs, lambda hub: hub.delivered.losses),
        _ENVIRONMENT,
    )
    yield _counter(
        "upstream_gaps_total",
        "Gaps declared, by reason.",
        [
            ((hub.environment_id, *reason), n)
            for hub in hubs
            for reason, n in _known(hub.delivered.gaps, GAPS)
        ],
        _ENVIRONMENT,
        "reason",
    )
    yield _counter(
        "upstream_missing_records_total",
        "Records that gaps say are missing, as far as they can tell how many.",
        _each(hubs, lambda hub: hub.delivered.missing),
        _ENVIRONMENT,
    )


def _gauge(name: str, said: str, values: _Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"logrelay_{name}", said, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _counter(name: str, said: str, values: _Values, *labels: str) -> Metric:
    family = CounterMetricFamily(f"logrelay_{name}", said, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _one(value: float) -> _Values:
    return [((), value)]


def _each(hubs: Iterable[Hub], read: Callable[[Hub], float]) -> _Values:
    return [((hub.environment_id,), read(hub)) for hub in hubs]


def _known(counted: Mapping[_Key, int], known: Sequence[_Key]) -> Iterator[tuple[Sequence[str], int]]:
    """Each word of a closed set, also those not counted yet: a rate needs the zero before the first one."""
    for key in known:
        yield (str(key),), counted.get(key, 0)
    rest = sum(count for key, count in counted.items() if key not in known)
    if rest:
        yield (_OTHER,), rest


def _pairs(counted: Mapping[tuple[str, str], int]) -> _Values:
    """The pairs of mode and outcome that have occurred; most modes are never in use."""
    folded: Counter[tuple[str, str]] = Counter()
    for (mode, outcome), count in counted.items():
        folded[mode if mode in MODES else _OTHER, outcome if outcome in OUTCOMES else _OTHER] += count
    return sorted(folded.items())
