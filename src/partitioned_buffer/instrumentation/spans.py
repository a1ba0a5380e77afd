"""
A span of OpenTelemetry around each call of a processor, linked to those in which its items were
written.

Whatever is done here is done at each write, or at each batch. So spans are begun and ended by hand:
the context managers of the SDK, two generators, are a tenth of what a span costs.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .._core.delivery.partition import Partition
from .._core.options.checks import is_coroutine_function
from .._core.telemetry import report
from .naming import plain

MOST: Final = 128
"""How many links a span has at most."""
KEPT: Final = 10_000
"""How many writes with a span are known at most, of a partition, until they are delivered."""
PREFIX: Final = "partitioned_buffer.processor."
NAME: Final = "partitioned_buffer.name"


class _Wrote:
    """Writes of one span, one after the other: of how many writes before them, and until where."""

    __slots__ = ("before", "context", "until")

    def __init__(self, before: int, until: int, context: Any) -> None:
        self.before, self.until, self.context = before, until, context


class Writes:
    """Which writes of a partition had a span, and which items they wrote."""

    __slots__ = ("_newest", "_spans", "until")

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
        spans = self._spans
        found: dict[int, Any] = {}
        while len(spans) > 1 and spans[0].until <= settled:  # the last one may yet grow
            spans.popleft()
        for place in range(len(spans)):  # writers append meanwhile, which an iterator does not bear
            wrote = spans[place]
            if len(found) == MOST or wrote.before >= settled + size:
                break
            if wrote.until > settled:
                found[wrote.context.span_id] = wrote.context
        return list(found.values())


class Tracing:
    """See `telemetry.Tracing`."""

    is_on = True

    def __init__(self, context: Any, trace: Any, tracer: Any, meter: Any) -> None:
        self.context, self.trace, self.tracer, self._is_blamed = context, trace, tracer, False
        self._current, self._span = context.get_current, trace.get_current_span
        self._last: tuple[Any, Any] = (None, None)  # a context, and that of its span if it records
        self.durations = meter.create_histogram(
            f"{PREFIX}operation.duration", unit="s", description="How long calls take."
        )

    def wrote(self, partition: Partition[Any]) -> None:
        """Take note of the span in which that was written."""
        if (writes := partition.trace) is None:
            writes = partition.trace = Writes()
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
        """Return what calls *processor* in a span."""
        return _Traced(self, partition, processor, attempt, in_place)


class _Traced:
    """Calls a processor, each time in a span."""

    def __init__(
        self,
        tracing: Tracing,
        partition: Partition[Any],
        processor: Any,
        attempt: int,
        in_place: bool,
    ) -> None:
        self._tracing, self._partition, name = tracing, partition, plain(partition.name)
        self._processor, self.part_of = processor, getattr(processor, "part_of", processor)
        self._is_awaited = not in_place and is_coroutine_function(self.part_of)
        self._monotonic = partition.settings.clock.monotonic
        self._title, self._said = f"{name} process", {NAME: name}
        self._attributes = {
            NAME: name,
            "partitioned_buffer.partition": partition.index,
            "partitioned_buffer.attempt": attempt,
            "messaging.operation.type": "process",
        }

    def __repr__(self) -> str:
        return repr(self.part_of)  # in messages

    def __call__(self, batch: Any) -> object:
        if self._is_awaited:
            return self._await(batch)
        begun = self._tracing.safely(self._begin, len(batch))
        began = self._monotonic()
        try:
            returned = self._processor(batch)
        except BaseException as error:
            self._end(begun, began, error)
            raise
        self._end(begun, began, None)
        return returned

    async def _await(self, batch: Any) -> object:
        begun = self._tracing.safely(self._begin, len(batch))
        began = self._monotonic()
        try:
            returned: object = await self._processor(batch)
        except BaseException as error:
            self._end(begun, began, error)
            raise
        self._end(begun, began, None)
        return returned

    def _begin(self, size: int) -> tuple[Any, Any]:
        """Begin a span, and have it be the current one; return it, and what ends that."""
        context, trace = self._tracing.context, self._tracing.trace
        span = self._tracing.tracer.start_span(
            self._title,
            kind=trace.SpanKind.CONSUMER,
            links=self._links(size),
            attributes={**self._attributes, "messaging.batch.message_count": size},
        )
        return span, context.attach(trace.set_span_in_context(span))

    def _links(self, size: int) -> list[Any]:
        if (writes := self._partition.trace) is None:
            return []
        counts, link = self._partition.table.counts(), self._tracing.trace.Link
        settled = counts["accepted"] - counts["waiting"] - counts["in_flight"]
        return [link(context) for context in writes.of(settled, size)]

    def _end(
        self, begun: tuple[Any, Any] | None, began: float, error: BaseException | None
    ) -> None:
        took, said, tracing = self._monotonic() - began, self._said, self._tracing
        if begun is not None:
            tracing.safely(self._end_span, *begun, error)
        if error is not None:
            said = {**said, "error.type": type(error).__name__}
        tracing.safely(tracing.durations.record, took, said)

    def _end_span(self, span: Any, token: Any, error: BaseException | None) -> None:
        """End it as the SDK does: of what is no `Exception`, a cancellation, nothing is said."""
        self._tracing.context.detach(token)
        try:
            if isinstance(error, Exception) and span.is_recording():
                status = self._tracing.trace.StatusCode.ERROR
                span.record_exception(error)
                span.set_status(status, f"{type(error).__name__}: {error}")
        finally:
            span.end()
