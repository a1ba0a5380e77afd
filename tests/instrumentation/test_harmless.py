"""Hooks, scrapes and exporters that raise or hang: what becomes of the buffers they look at."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NoReturn

import pytest
from helpers import join, wait_until
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import Sampler
from prometheus_client import CollectorRegistry, start_http_server

from partitioned_buffer import AsyncQueue, Queue
from partitioned_buffer.events import Event, ProcessingStarted
from partitioned_buffer.instrumentation.opentelemetry import instrument
from partitioned_buffer.instrumentation.prometheus import Collector

PATIENCE = 20.0
"""Seconds after which what hangs is let go, so that a test that fails ends."""


class Hang:
    """Hangs whoever calls it, until the end."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self.end = self._over.set

    def __call__(self, *_: object, **__: object) -> None:
        self._over.wait(PATIENCE)


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.end()


def boom(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("boom")


def delivers(**options: Any) -> None:
    """Assert that a buffer delivers each item once, and calls nothing in vain."""
    batches = list[list[int]]()
    queue = Queue[int]("q", batches.append, partitions=1, processing_interval=0.1, **options)
    with queue:
        queue.push_all(range(10))
        wait_until(lambda: queue.stats().delivered == 10)
    stats = queue.stats()
    assert [*chain(*batches)] == [*range(10)]
    assert (stats.failed_calls, stats.dead_lettered, stats.balanced) == (0, 0, True)


# --- OpenTelemetry -------------------------------------------------------------------------------


class Exporter(SpanExporter):
    """Hands spans to a function."""

    def __init__(self, export: Callable[..., Any]) -> None:
        self._export = export

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        self._export(spans)
        return SpanExportResult.SUCCESS


class Metrics(MetricExporter):
    """Hands metrics to a function."""

    def __init__(self, export: Callable[..., Any]) -> None:
        super().__init__()
        self._export = export

    def export(self, *_: Any, **__: Any) -> MetricExportResult:
        self._export()
        return MetricExportResult.SUCCESS

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Nothing is open."""

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True


class Raising(SpanProcessor):
    """Raises at the beginning of a span, or at its end."""

    def __init__(self, when: str) -> None:
        setattr(self, when, boom)


class RaisingSampler(Sampler):
    """Cannot say whether a span is to be recorded."""

    should_sample = boom

    def get_description(self) -> str:
        return "raises"


@contextmanager
def traced(processor: SpanProcessor | None = None, **options: Any) -> Iterator[None]:
    tracers, meters = TracerProvider(**options), MeterProvider()
    if processor is not None:
        tracers.add_span_processor(processor)
    undo = instrument(meters, tracers)
    try:
        yield
    finally:
        undo()
        meters.shutdown()


@pytest.mark.parametrize("when", ["on_start", "on_end"])
def test_a_span_processor_that_raises(when: str, caplog: pytest.LogCaptureFixture) -> None:
    with traced(Raising(when)):
        delivers(processing_batch_size=2)
    assert [each.message for each in caplog.records if "span" in each.message] == [
        "a span could not be made; further errors are not logged"
    ]


def test_a_sampler_that_raises() -> None:
    with traced(sampler=RaisingSampler()):
        delivers()


def test_tasks_do_not_notice_either() -> None:
    import asyncio  # noqa: PLC0415  # for this one

    batches = list[list[int]]()

    async def send(batch: list[int]) -> None:
        batches.append(batch)

    async def main() -> None:
        async with AsyncQueue[int]("q", send, partitions=1) as queue:
            await queue.push_all(range(10))

    with traced(Raising("on_end")):
        asyncio.run(main())
    assert [*chain(*batches)] == [*range(10)]


def test_what_the_processor_raises_is_what_is_told(caplog: pytest.LogCaptureFixture) -> None:
    attempts = list[int]()

    def send(_batch: list[int]) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("down")

    with traced(Raising("on_end")), Queue[int]("q", send, partitions=1) as queue:
        queue.push(1)
    failure = queue.stats().last_failure
    assert failure is not None
    assert (failure.type, len(attempts)) == ("OSError", 2)
    assert (queue.stats().delivered, queue.stats().balanced) == (1, True)


def test_an_exporter_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.CRITICAL, "opentelemetry"),
        traced(SimpleSpanProcessor(Exporter(boom))),
    ):
        delivers()


def test_an_exporter_that_hangs(hang: Hang) -> None:
    spans: Any = BatchSpanProcessor(Exporter(hang), schedule_delay_millis=1)
    with traced(spans):
        delivers(processing_batch_size=1)
        delivers(processing_batch_size=1)
    hang.end()
    spans.shutdown()


@pytest.mark.parametrize("raises", [True, False])
def test_an_exporter_of_metrics(raises: bool, hang: Hang, caplog: pytest.LogCaptureFixture) -> None:
    entered = threading.Event()

    def export() -> None:
        entered.set()
        (boom if raises else hang)()

    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        reader = PeriodicExportingMetricReader(Metrics(export), export_interval_millis=10)
        meters = MeterProvider([reader])
        undo = instrument(meters, TracerProvider())
        try:
            with Queue[int]("measured", len, partitions=1):
                assert entered.wait(PATIENCE)
                delivers()
        finally:
            undo()
            hang.end()
            meters.shutdown()


# --- Prometheus ----------------------------------------------------------------------------------


class Other:
    """Another collector of the same registry."""

    def __init__(self, collect: Callable[..., Any]) -> None:
        self.collect = collect

    def describe(self) -> list[Any]:
        return []


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_scrape_that_raises_or_hangs(
    raises: bool, hang: Hang, capfd: pytest.CaptureFixture[str]
) -> None:
    registry, entered = CollectorRegistry(), threading.Event()

    def collect() -> list[Any]:
        entered.set()
        (boom if raises else hang)()
        return []

    registry.register(Collector())
    registry.register(Other(collect))
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert entered.wait(PATIENCE)
        delivers()
    hang.end()
    server.shutdown()
    join(thread)
    server.server_close()


# --- hooks ---------------------------------------------------------------------------------------


def test_a_hook_that_raises() -> None:
    delivers(hooks=[boom])


def test_a_hook_that_hangs_holds_its_partition_and_nothing_else(hang: Hang) -> None:
    batches = list[list[int]]()

    def hook(event: Event) -> None:
        if event.partition == 0 and isinstance(event, ProcessingStarted):
            hang()

    queue = Queue[int](
        "q", batches.append, partitions=2, processing_interval=0.1, hooks=[hook],
        partition_key=lambda item: item,
    ).start()  # fmt: skip
    mine = [each for each in range(100) if queue.partition_of(each) == 1]
    queue.push_all(range(100))
    wait_until(lambda: queue.stats().delivered == len(mine))
    queue.push(mine[0])
    wait_until(lambda: queue.stats().delivered == len(mine) + 1)
    stats = queue.stats()
    with pytest.raises(TimeoutError):
        queue.flush(timeout=0.1)
    left = queue.stop(timeout=0.1).left

    assert sorted(chain(*batches)) == sorted([*mine, mine[0]])
    assert [part.held for part in stats.partitions] == [100 - len(mine), 0]
    assert (stats.overdue, stats.balanced) == (0, True)
    assert sorted(left) == sorted({*range(100)} - {*mine})
