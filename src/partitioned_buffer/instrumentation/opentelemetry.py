"""
Metrics and traces for OpenTelemetry.

    undo = instrument()

Takes `pip install 'partitioned-buffer[opentelemetry]'`. Metrics are read when they are collected.
A span goes around each call of a processor, with links to the spans in which its items were
written.
"""

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

from .. import Stats, running
from .._core.delivery.partition import Partition
from .._core.options.checks import is_coroutine_function
from .._core.telemetry import Telemetry, report
from .naming import plain

MOST: Final = 128
"""How many links a span has at most."""
KEPT: Final = 10_000
"""How many writes with a span are known at most, of a partition, until they are delivered."""
_PREFIX: Final = "partitioned_buffer.processor."
_NAME: Final = "partitioned_buffer.name"
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
    tracing = _Tracing(context, trace, tracer, meter)
    _observe(metrics, meter, tracing)
    _switch(tracing)

    def undo() -> None:
        tracing.is_on = False
        if Telemetry.tracing is tracing:
            _switch(None)

    return undo


def _switch(tracing: "_Tracing | None") -> None:
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


def _observe(metrics: Any, meter: Any, tracing: "_Tracing") -> None:
    """Have all metrics: they say nothing when *tracing* is off, for none can be taken back."""

    def callback(read: Callable[[Stats], Any]) -> Callable[[object], Iterator[Any]]:
        def observed(_options: object) -> Iterator[Any]:
            for buffer in running() if tracing.is_on else ():
                for value, also in read(buffer.stats()):
                    yield metrics.Observation(value, {_NAME: plain(buffer.name)} | also)

        return observed

    def capacities(_options: object) -> Iterator[Any]:
        for buffer in running() if tracing.is_on else ():
            if (bound := buffer._settings.max_size) is not None:
                yield metrics.Observation(bound, {_NAME: plain(buffer.name)})

    for kind, name, unit, text, read in _METRICS:
        create = getattr(meter, f"create_observable_{kind}")
        create(_PREFIX + name, [callback(read)], unit=unit, description=text)
    meter.create_observable_up_down_counter(
        f"{_PREFIX}queue.capacity", [capacities], unit="{item}", description="The most it may hold."
    )


# --- traces ----------------------------------------------------------------------------------


class _Wrote:
    """Writes of one span, one after the other: of how many writes before them, and until where."""

    __slots__ = ("before", "context", "until")

    def __init__(self, before: int, until: int, context: Any) -> None:
        self.before, self.until, self.context = before, until, context


class _Writes:
    """Which writes of a partition had a span, and which items they wrote."""

    def __init__(self) -> None:
        self.until = 0  # how much had been accepted at the last write
        self._spans: deque[_Wrote] = deque(maxlen=KEPT)
        self._newest = _Wrote(0, 0, None)

    def add(self, before: int, until: int, context: Any) -> None:
        """Take note of who wrote what is between the two."""
        newest = self._newest
        if newest.context is context and newest.until == before:
            newest.until = until
        else:
            self._newest = newest = _Wrote(min(before, until - 1), until, context)
            self._spans.append(newest)

    def of(self, settled: int, size: int) -> list[Any]:
        """Return the contexts of the next *size* items; forget those of what is *settled*."""
        found, spans = dict[int, Any](), self._spans
        while len(spans) > 1 and spans[0].until <= settled:  # the last one may yet grow
            spans.popleft()
        for place in range(len(spans)):  # writers append meanwhile, which an iterator does not bear
            wrote = spans[place]
            if len(found) == MOST or wrote.before >= settled + size:
                break
            if wrote.until > settled:
                found[wrote.context.span_id] = wrote.context
        return list(found.values())


class _Tracing:
    """See `telemetry.Tracing`."""

    is_on = True

    def __init__(self, context: Any, trace: Any, tracer: Any, meter: Any) -> None:
        self.trace, self.tracer, self._is_blamed = trace, tracer, False
        self._current, self._span = context.get_current, trace.get_current_span
        self._last: tuple[Any, Any] = (None, None)  # a context, and that of its span if it records
        self.durations = meter.create_histogram(
            f"{_PREFIX}operation.duration", unit="s", description="How long calls take."
        )

    def wrote(self, partition: Partition[Any]) -> None:
        if (writes := partition.trace) is None:
            writes = partition.trace = _Writes()
        until = partition.table.accepted
        before, writes.until = writes.until, until
        if current := self._current():  # most often nothing is: sooner seen than that no span is
            known, span = self._last  # likely the same as at the last write
            if known is not current:
                span = self._recording(current)
                self._last = current, span
            if span is not None:
                writes.add(before, until, span)

    def _recording(self, current: Any) -> Any:
        span = self._span(current)
        return span.get_span_context() if span.is_recording() else None

    def safely(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Return what *call* returns: what tracing raises must not become of a batch."""
        try:
            return call(*arguments)
        except Exception as error:
            if not self._is_blamed:
                self._is_blamed = True
                report("a span could not be made; further errors are not logged", error=error)
            return None

    def around(
        self, partition: Partition[Any], processor: Any, attempt: int, in_place: bool
    ) -> "_Traced":
        return _Traced(self, partition, processor, attempt, in_place)


class _Traced:
    """Calls a processor in a span."""

    def __init__(
        self,
        tracing: _Tracing,
        partition: Partition[Any],
        processor: Any,
        attempt: int,
        in_place: bool,
    ) -> None:
        self.tracing, self.partition, self.name = tracing, partition, plain(partition.name)
        self._processor, self.part_of = processor, getattr(processor, "part_of", processor)
        self._is_awaited = not in_place and is_coroutine_function(self.part_of)
        self.attributes = {
            _NAME: self.name,
            "partitioned_buffer.partition": partition.index,
            "partitioned_buffer.attempt": attempt,
            "messaging.operation.type": "process",
        }

    def __repr__(self) -> str:
        return repr(self.part_of)  # in messages

    def __call__(self, batch: Any) -> object:
        if self._is_awaited:
            return self._await(batch)
        with _Span(self, len(batch)):
            return self._processor(batch)

    async def _await(self, batch: Any) -> object:
        with _Span(self, len(batch)):
            return await self._processor(batch)


class _Span:
    """A call of a processor. No generator: that would be another tenth of what a span costs."""

    __slots__ = ("_began", "_size", "_span", "_traced")

    def __init__(self, traced: _Traced, size: int) -> None:
        self._traced, self._size = traced, size

    def __enter__(self) -> None:
        self._began = self._traced.partition.settings.clock.monotonic()
        self._span = self._traced.tracing.safely(self._begun)

    def _begun(self) -> Any:
        tracing = (traced := self._traced).tracing
        span = tracing.tracer.start_as_current_span(
            f"{traced.name} process",
            kind=tracing.trace.SpanKind.CONSUMER,
            links=self._links(traced.partition, self._size),
            attributes={**traced.attributes, "messaging.batch.message_count": self._size},
        )
        span.__enter__()
        return span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tracing, partition = self._traced.tracing, self._traced.partition
        if self._span is not None:
            tracing.safely(self._span.__exit__, kind, error, traceback)
        took, said = partition.settings.clock.monotonic() - self._began, {_NAME: self._traced.name}
        if error is not None:
            said["error.type"] = type(error).__name__
        tracing.safely(tracing.durations.record, took, said)

    def _links(self, partition: Partition[Any], size: int) -> list[Any]:
        if (writes := partition.trace) is None:
            return []
        counts = partition.table.counts()
        settled = counts["accepted"] - counts["waiting"] - counts["in_flight"]
        link = self._traced.tracing.trace.Link
        return [link(context) for context in writes.of(settled, size)]
