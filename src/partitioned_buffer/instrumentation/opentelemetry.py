"""
Metrics and traces for OpenTelemetry.

    undo = instrument()

Takes `pip install 'partitioned-buffer[opentelemetry]'`. Metrics are read when they are collected.
A span goes around each call of a processor: see `spans`.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from .. import Stats, running
from .._core.telemetry import Telemetry
from .naming import plain
from .spans import NAME, PREFIX, Tracing

_Points = Iterator[tuple[float, dict[str, str]]]


def instrument(meter_provider: Any = None, tracer_provider: Any = None) -> Callable[[], None]:
    """
    Tell OpenTelemetry of all buffers, those that are started later, too.

    Both providers are the global ones unless given. Returns a callable that undoes it; calling that
    again does nothing.

    Raises `ImportError` without `opentelemetry`, and `RuntimeError` when it is done already.
    """
    try:
        from opentelemetry import context, metrics, trace  # noqa: PLC0415  # late
    except ImportError as error:
        raise ImportError(
            "instrument() needs opentelemetry: pip install 'partitioned-buffer[opentelemetry]'"
        ) from error
    if Telemetry.tracing is not None:
        raise RuntimeError(
            "buffers are instrumented already: call what instrument() returned first"
        )
    meter = metrics.get_meter("partitioned_buffer", meter_provider=meter_provider)
    tracer = trace.get_tracer("partitioned_buffer", tracer_provider=tracer_provider)
    tracing = Tracing(context, trace, tracer, meter)
    _observe(metrics, meter, tracing)
    _switch(tracing)

    def undo() -> None:
        tracing.is_on = False
        if Telemetry.tracing is tracing:
            _switch(None)

    return undo


def _switch(tracing: Tracing | None) -> None:
    Telemetry.tracing = tracing
    for buffer in running():
        for partition in list(buffer._partitions):
            partition.observe()


# --- metrics ---------------------------------------------------------------------------------


def _processed(stats: Stats) -> _Points:
    """Yield what became of items, as the SDK says it of its own: by the type of error."""
    yield stats.delivered, {}
    yield stats.dead_lettered, {"error.type": "dead_lettered"}
    for reason, count in stats.drop_reasons.items():
        yield count, {"error.type": "queue_full" if reason == "full" else reason}


def _one(read: Callable[[Stats], float]) -> Callable[[Stats], _Points]:
    def only(stats: Stats) -> _Points:
        yield read(stats), {}

    return only


_METRICS: Final[list[tuple[str, str, str, str, Callable[[Stats], Any]]]] = [
    ("up_down_counter", "queue.size", "{item}", "Items held.", _one(lambda s: s.held)),
    ("counter", "accepted", "{item}", "Writes accepted.", _one(lambda s: s.accepted)),
    (
        "counter",
        "processed",
        "{item}",
        "Items settled; those given up by `error.type`.",
        _processed,
    ),
    ("counter", "coalesced", "{item}", "Writes overwritten.", _one(lambda s: s.coalesced)),
    ("counter", "deleted", "{item}", "Items deleted before delivery.", _one(lambda s: s.deleted)),
    ("counter", "calls", "{call}", "Calls that have ended.", _one(lambda s: s.calls)),
    ("counter", "failed_calls", "{call}", "Calls that raised.", _one(lambda s: s.failed_calls)),
    ("up_down_counter", "blocked", "{writer}", "Writers that wait.", _one(lambda s: s.blocked)),
    ("up_down_counter", "overdue", "{partition}", "Calls too long.", _one(lambda s: s.overdue)),
    ("gauge", "oldest_age", "s", "Age of the oldest item.", _one(lambda s: s.oldest_age or 0.0)),
]


def _observe(metrics: Any, meter: Any, tracing: Tracing) -> None:
    """Have all metrics: they say nothing when *tracing* is off, for none can be taken back."""

    def callback(read: Callable[[Stats], Any]) -> Callable[[object], Iterator[Any]]:
        def observed(_options: object) -> Iterator[Any]:
            for buffer in running() if tracing.is_on else ():
                for value, also in read(buffer.stats()):
                    yield metrics.Observation(value, {NAME: plain(buffer.name)} | also)

        return observed

    def capacities(_options: object) -> Iterator[Any]:
        for buffer in running() if tracing.is_on else ():
            if (bound := buffer._settings.max_size) is not None:
                yield metrics.Observation(bound, {NAME: plain(buffer.name)})

    for kind, name, unit, text, read in _METRICS:
        create = getattr(meter, f"create_observable_{kind}")
        create(PREFIX + name, [callback(read)], unit=unit, description=text)
    meter.create_observable_up_down_counter(
        f"{PREFIX}queue.capacity", [capacities], unit="{item}", description="The most it may hold."
    )
