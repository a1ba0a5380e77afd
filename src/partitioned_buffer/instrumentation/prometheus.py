"""
A collector for Prometheus: it reads `stats()` when it is scraped, and does nothing in between.

    REGISTRY.register(Collector())

Takes `pip install 'partitioned-buffer[prometheus]'`. The names are stable. Beside it are a
dashboard for Grafana, `dashboard.json`, and rules that alert, `alerts.yml`.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from .. import PartitionStats, SharedStats, Stats, running
from .._core.buffer.base import Buffer
from .naming import plain

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

COUNTERS: Final = {
    "accepted": "Writes that returned, and what was recovered.",
    "recovered": "Items that were in the buffer's storage when it was opened.",
    "delivered": "Items given to the processor, which returned.",
    "dead_lettered": "Items given up after failing.",
    "coalesced": "Writes overwritten by a newer one of the same key.",
    "deleted": "Items removed before they were delivered.",
    "batches": "Batches given to the processor.",
    "calls": "Calls of the processor that have ended.",
    "failed_calls": "Calls of the processor that raised.",
    "restarts": "Workers that died and were restarted.",
}
GAUGES: Final[dict[str, tuple[str, Callable[[Any], float]]]] = {
    "waiting": ("Items that wait for the next cycle.", lambda s: s.waiting),
    "in_flight": ("Items taken by a cycle and not yet delivered.", lambda s: s.in_flight),
    "overdue": ("Partitions whose call of the processor takes too long.", lambda s: s.overdue),
    "oldest_age_seconds": (
        "Age of the oldest held item, at most; 0 when nothing is held.",
        lambda s: s.oldest_age or 0.0,
    ),
    "last_success_timestamp_seconds": (
        "When the processor returned last; 0 before the first time.",
        lambda s: s.last_success or 0.0,
    ),
    "last_failure_timestamp_seconds": (
        "When the processor raised last; 0 before the first time.",
        lambda s: 0.0 if s.last_failure is None else s.last_failure.time,
    ),
}
NO_REASONS: Final = {"full": 0, "damaged": 0, "undecodable": 0}
"""Told of from the start: `increase()` sees nothing in a series that is new."""
SHARED_COUNTERS: Final = {
    "shipped": "Records this process has brought to the server.",
    "gaps": "Times that the server had less than it had acknowledged.",
    "lost": "Records that the server has lost of what it had acknowledged.",
}
SHARED_GAUGES: Final[dict[str, tuple[str, Callable[[SharedStats], float]]]] = {
    "front": ("Records that wait in this process for the server.", lambda s: s.front),
    "workers": ("Processes that deliver; 0 where this one does not.", lambda s: s.workers),
    "away": ("Whether this process cannot use the server.", lambda s: s.away is not None),
}
_STEPS: Final = [float(f"{step}e{power}") for power in range(-4, 3) for step in ("1", "2.5", "5")]
BUCKETS: Final = (*_STEPS, 1000.0)


class Collector:
    """
    What to register with a registry of `prometheus_client`.

    *buffer*: the one to tell of; all that run when it is scraped, unless given. *partitions*:
    whether each partition is told of, by a label of that name, instead of their total.

    Raises `ImportError` without `prometheus_client`.
    """

    def __init__(self, buffer: Buffer[Any] | None = None, *, partitions: bool = False) -> None:
        try:
            import prometheus_client.metrics_core as made  # noqa: PLC0415  # late
        except ImportError as error:
            raise ImportError(
                "Collector() needs prometheus_client: pip install 'partitioned-buffer[prometheus]'"
            ) from error
        self._made: Any = made
        self._buffer, self._each = buffer, partitions

    def describe(self) -> "list[Metric]":
        """Return all metrics there can be, without samples."""
        return list(self._families().values())

    def collect(self) -> "Iterator[Metric]":
        """Yield the numbers of now."""
        families = self._families()
        for buffer in running() if self._buffer is None else [self._buffer]:
            stats = buffer.stats()
            self._add_whole(families, buffer, stats)
            for part in stats.partitions if self._each else (stats,):
                self._add(families, plain(buffer.name), part)
        yield from families.values()

    def _families(self) -> "dict[str, Metric]":
        labels = ["buffer", "partition"] if self._each else ["buffer"]
        counter, gauge = self._made.CounterMetricFamily, self._made.GaugeMetricFamily
        dropped, whole = "Items given up without being tried, by reason.", ["buffer"]
        duration = "Seconds that calls of the processor took."
        made = [counter(_name(name), text, labels=labels) for name, text in COUNTERS.items()]
        made += [gauge(_name(name), text, labels=labels) for name, (text, _) in GAUGES.items()]
        made += [
            counter(_name("dropped"), dropped, labels=[*labels, "reason"]),
            self._made.HistogramMetricFamily(_name(_DURATION), duration, labels=labels),
            counter(_name("hook_errors"), "Times that a hook raised.", labels=whole),
            counter(_name("dead_letter_errors"), "Times that a handler raised.", labels=whole),
            gauge(_name("blocked"), "Writers that wait for room.", labels=whole),
            gauge(_name("max_size"), "The most items it may hold, if bounded.", labels=whole),
        ]
        for name, text in SHARED_COUNTERS.items():
            made.append(counter(_name(f"shared_{name}"), text, labels=whole))
        for name, (text, _) in SHARED_GAUGES.items():
            made.append(gauge(_name(f"shared_{name}"), text, labels=whole))
        return {family.name.removeprefix(_PREFIX): family for family in made}

    def _add(self, families: Any, name: str, stats: Stats | PartitionStats) -> None:
        labels = [name]
        if isinstance(stats, PartitionStats):
            labels.append(str(stats.partition))
        for counter in COUNTERS:
            families[counter].add_metric(labels, getattr(stats, counter))
        for gauge, (_, read) in GAUGES.items():
            families[gauge].add_metric(labels, read(stats))
        for reason, count in (NO_REASONS | dict(stats.drop_reasons)).items():
            families["dropped"].add_metric([*labels, reason], count)
        durations = stats.durations
        counts = [*durations.up_to(BUCKETS), durations.count]
        names = [*map(str, BUCKETS), "+Inf"]
        buckets = list(zip(names, counts, strict=True))
        families[_DURATION].add_metric(labels, buckets, durations.seconds)

    @staticmethod
    def _add_whole(families: Any, buffer: Buffer[Any], stats: Stats) -> None:
        labels, bound, shared = [plain(buffer.name)], buffer._settings.max_size, stats.shared
        for name in ("hook_errors", "dead_letter_errors", "blocked"):
            families[name].add_metric(labels, getattr(stats, name))
        if bound is not None:
            families["max_size"].add_metric(labels, bound)
        if shared is not None:
            for counter in SHARED_COUNTERS:
                families[f"shared_{counter}"].add_metric(labels, getattr(shared, counter))
            for gauge, (_, read) in SHARED_GAUGES.items():
                families[f"shared_{gauge}"].add_metric(labels, float(read(shared)))


_PREFIX: Final = "partitioned_buffer_"
_DURATION: Final = "processor_duration_seconds"


def _name(name: str) -> str:
    return _PREFIX + name
