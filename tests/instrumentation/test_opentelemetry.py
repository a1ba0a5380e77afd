"""Metrics and traces, by the real SDK."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import Buffers, unwoken
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanContext, SpanKind, StatusCode, use_span

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer._core.telemetry import Telemetry
from partitioned_buffer.instrumentation.opentelemetry import instrument
from partitioned_buffer.instrumentation.spans import MOST, Writes
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


class Sdk:
    """The SDK, in memory."""

    def __init__(self) -> None:
        self._reader, self._spans = InMemoryMetricReader(), InMemorySpanExporter()
        self.meters = MeterProvider([self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer = self.tracers.get_tracer("tests")
        self.undo: Callable[[], None] = lambda: None

    def instrument(self) -> None:
        self.undo = instrument(self.meters, self.tracers)

    def batches(self) -> list[ReadableSpan]:
        """Return the spans of batches, in order."""
        spans = self._spans.get_finished_spans()
        return [span for span in spans if span.kind == SpanKind.CONSUMER]

    def metrics(self) -> dict[tuple[str, ...], Any]:
        """Return each point's value by the metric's name, and the values of its attributes."""
        found, data = dict[tuple[str, ...], Any](), self._reader.get_metrics_data()
        for each in data.resource_metrics if data is not None else ():
            for metric in each.scope_metrics[0].metrics:
                name = metric.name.removeprefix("partitioned_buffer.processor.")
                for point in metric.data.data_points:
                    value = getattr(point, "value", None)
                    attributes: Any = point.attributes or {}
                    count = getattr(point, "count", 0)
                    found[name, *attributes.values()] = count if value is None else value
        return found


@pytest.fixture
def sdk() -> Iterator[Sdk]:
    sdk = Sdk()
    yield sdk
    sdk.undo()
    sdk.meters.shutdown()
    sdk.tracers.shutdown()


def linked(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


# --- traces ----------------------------------------------------------------------------


@pytest.mark.threads
def test_a_batch_has_a_span_linked_to_those_that_pushed(
    buffers: Buffers, clock: FakeClock, sdk: Sdk
) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue(name="q", processing_batch_size=2))
    ids = list[int]()
    for number in range(4):
        with sdk.tracer.start_as_current_span("request") as span:
            queue.push(number)
        ids.append(span.get_span_context().span_id)
    queue.push(4)  # without a span
    clock.advance(5.0)

    spans = sdk.batches()
    assert [span.name for span in spans] == ["q process"] * 3
    assert [linked(span) for span in spans] == [ids[:2], ids[2:], []]
    attributes: Any = spans[0].attributes
    assert attributes["messaging.batch.message_count"] == 2
    assert attributes["partitioned_buffer.partition"] == 0


@pytest.mark.threads
def test_one_span_that_pushed_many_is_linked_to_each_batch_of_them(
    buffers: Buffers, clock: FakeClock, sdk: Sdk
) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue(processing_batch_size=2))
    queue.push_all(range(2))
    with sdk.tracer.start_as_current_span("request") as span:
        queue.push_all(range(2, 5))
    clock.advance(5.0)
    one = [span.get_span_context().span_id]
    assert [linked(span) for span in sdk.batches()] == [[], one, one]


@pytest.mark.threads
def test_spans_that_take_turns_are_each_linked_to_what_they_pushed(
    buffers: Buffers, clock: FakeClock, sdk: Sdk
) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue(processing_batch_size=2))
    spans = [sdk.tracer.start_span(name) for name in "ab"]
    for pushed in (0, 0, 0, 1, 1, 1, None, None, 1):
        with use_span(INVALID_SPAN if pushed is None else spans[pushed]):
            queue.push(pushed)
    clock.advance(5.0)
    a, b = (span.get_span_context().span_id for span in spans)
    assert [linked(span) for span in sdk.batches()] == [[a], [a, b], [b], [], [b]]


@pytest.mark.threads
def test_a_span_that_pushes_on_after_a_delivery_is_linked_to_that_as_well(
    buffers: Buffers, clock: FakeClock, sdk: Sdk
) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue())
    with sdk.tracer.start_as_current_span("job") as span:
        for number in range(3):
            queue.push(number)
            clock.advance(5.0)
    one = [span.get_span_context().span_id]
    assert [linked(each) for each in sdk.batches()] == [one, one, one]


@pytest.mark.threads
def test_a_write_that_is_heard_of_late_is_linked_to_what_is_not_delivered_yet() -> None:
    span, writes = SpanContext(1, 1, is_remote=False), Writes()
    writes.add(0, 1, span)
    assert writes.of(0, 1) == [span]
    assert writes.of(1, 2) == []  # of four that have just been pushed
    writes.add(1, 5, span)
    assert writes.of(3, 2) == [span]


@pytest.mark.threads
def test_there_are_at_most_128_links(buffers: Buffers, clock: FakeClock, sdk: Sdk) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue(processing_batch_size=1000))
    for number in range(MOST + 10):
        with sdk.tracer.start_as_current_span("request"):
            queue.push(number)
    clock.advance(5.0)
    assert [len(span.links) for span in sdk.batches()] == [MOST]


@pytest.mark.threads
def test_a_buffer_that_runs_already_is_traced_too(
    buffers: Buffers, clock: FakeClock, sdk: Sdk
) -> None:
    table = unwoken(buffers.map())
    sdk.instrument()
    with sdk.tracer.start_as_current_span("request") as span:
        table.put("key", 1)
    clock.advance(5.0)
    assert [linked(each) for each in sdk.batches()] == [[span.get_span_context().span_id]]


@pytest.mark.threads
def test_errors_are_events_and_another_attempt_keeps_the_links(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, sdk: Sdk
) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue())
    processor.fail(OSError("down"))
    with sdk.tracer.start_as_current_span("request") as span:
        queue.push(1)
    clock.advance(20.0)
    failed, went_well = sdk.batches()
    (event,) = failed.events
    attributes: Any = event.attributes
    assert (event.name, attributes["exception.message"]) == ("exception", "down")
    assert failed.status.status_code == StatusCode.ERROR
    assert went_well.status.status_code == StatusCode.UNSET
    assert linked(failed) == linked(went_well) == [span.get_span_context().span_id]
    assert [each.attributes["partitioned_buffer.attempt"] for each in sdk.batches()] == [1, 2]  # type: ignore[index]


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [Mute(), SystemExit(1)])
def test_whatever_a_call_ends_with_ends_its_span(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, sdk: Sdk, error: Any
) -> None:
    sdk.instrument()
    queue = unwoken(buffers.queue(dead_letter=lambda *_: None))
    processor.fail(error)
    queue.push(1)
    clock.advance(20.0)
    assert [span.end_time is not None for span in sdk.batches()] == [True, True]
    assert [span.events for span in sdk.batches()] == [(), ()]  # neither can be told
    assert queue.stats().delivered == 1


def test_whole_tables_are_traced(buffers: Buffers, clock: FakeClock, sdk: Sdk) -> None:
    sdk.instrument()
    table = unwoken(buffers.map(processing_batch_size="table"))
    table.put_all({"a": 1, "b": 2}.items())
    clock.advance(5.0)
    (span,) = sdk.batches()
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 2


def test_what_the_processor_does_is_within_the_span(sdk: Sdk) -> None:
    sdk.instrument()

    async def send(_batch: list[int]) -> None:
        with sdk.tracer.start_as_current_span("insert"):
            await asyncio.sleep(0)

    def insert(_batch: list[int]) -> None:
        with sdk.tracer.start_as_current_span("insert"):
            pass

    async def main() -> None:
        async with AsyncQueue("tasks", send, partitions=1) as queue:
            with sdk.tracer.start_as_current_span("request"):
                await queue.push(1)

    asyncio.run(main())
    with Queue("threads", insert, partitions=1) as queue:
        queue.push(1)

    inner = [s for s in sdk._spans.get_finished_spans() if s.name == "insert"]
    parents = [span.parent.span_id for span in inner if span.parent is not None]
    assert parents == [span.context.span_id for span in sdk.batches() if span.context is not None]
    assert len(parents) == 2
    assert [len(span.links) for span in sdk.batches()] == [1, 0]


def test_a_span_that_does_not_record_is_no_link(
    buffers: Buffers, clock: FakeClock, sdk: Sdk
) -> None:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF  # noqa: PLC0415

    sdk.instrument()
    queue = unwoken(buffers.queue())
    with TracerProvider(ALWAYS_OFF).get_tracer("off").start_as_current_span("request"):
        queue.push(1)
    clock.advance(5.0)
    assert [linked(span) for span in sdk.batches()] == [[]]


# --- metrics ---------------------------------------------------------------------------


def test_metrics_are_named_after_those_of_the_sdk(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, sdk: Sdk
) -> None:
    sdk.instrument()
    options: Any = {"max_size": 3, "when_full": "drop_newest"}
    queue = unwoken(buffers.queue(name="q", **options))
    processor.fail(OSError("down"))
    queue.push_all(range(5))
    clock.advance(10.0)
    queue.push(6)
    told = sdk.metrics()
    assert told["queue.size", "q"] == 1
    assert told["queue.capacity", "q"] == 3
    assert told["accepted", "q"] == 6
    assert told["processed", "q"] == 3
    assert told["processed", "q", "queue_full"] == 2
    assert (told["calls", "q"], told["failed_calls", "q"]) == (2, 1)
    assert told["operation.duration", "q"] == told["operation.duration", "q", "OSError"] == 1


# --- on and off ------------------------------------------------------------------------


def test_undone_it_leaves_nothing(buffers: Buffers, clock: FakeClock, sdk: Sdk) -> None:
    queue = unwoken(buffers.queue())
    sdk.instrument()
    sdk.undo()
    sdk.undo()
    with sdk.tracer.start_as_current_span("request"):
        queue.push(1)
    clock.advance(5.0)
    assert sdk.batches() == []
    assert sdk.metrics() == {}
    inner: Any = getattr(queue, "buffer", queue)
    assert [p.table.observer for p in inner._partitions] == [None]
    assert Telemetry.tracing is None


def test_twice_is_refused(sdk: Sdk) -> None:
    sdk.instrument()
    with pytest.raises(RuntimeError, match="already"):
        instrument(sdk.meters, sdk.tracers)


@pytest.mark.threads
def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"partitioned-buffer\[opentelemetry\]"):
        instrument()
