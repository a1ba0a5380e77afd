"""
What it costs to be watched: a load with all instrumentation on, and with it off.

The program is the same, and traces its requests, each of which pushes a hundred items. On: each
call of the processor has a span with links to those of the requests, and each second somebody
scrapes a `Collector`, collects the metrics of OpenTelemetry, and reads `stats()`. The SDK exports
to memory. The processor does nothing, so that all there is to see is the buffer's, and what
watches it.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import CollectorRegistry, generate_latest

import partitioned_buffer
from partitioned_buffer.instrumentation.opentelemetry import instrument
from partitioned_buffer.instrumentation.prometheus import Collector

from .measure import show

RATE = 100_000
"""Pushes per second."""
REQUEST = 100
"""Pushes of one span of the program's own."""
TICK = 0.005
"""Seconds between bursts of the load."""
EACH = 1.0
"""Seconds between scrapes."""
FEW = 0.01
"""Which part of all traces is kept, where not all are."""


class Sdk(NamedTuple):
    """OpenTelemetry's, in memory."""

    tracers: TracerProvider
    meters: MeterProvider
    reader: InMemoryMetricReader
    spans: InMemorySpanExporter

    @classmethod
    def made(cls, traced: float) -> "Sdk":
        reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
        tracers = TracerProvider(ParentBased(TraceIdRatioBased(traced)))
        tracers.add_span_processor(BatchSpanProcessor(spans))
        return cls(tracers, MeterProvider([reader]), reader, spans)

    def shut_down(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


class Run(NamedTuple):
    """How it went."""

    rate: float  # items delivered per second, from the first push to the last delivery
    work: float  # seconds of CPU per item


@contextmanager
def _watched(queue: Any, sdk: Sdk, on: bool) -> Iterator[None]:
    """Have the exporter emptied each second; *on*: and everything else that watches."""
    registry, over = CollectorRegistry(), threading.Event()
    registry.register(Collector())
    undo = instrument(sdk.meters, sdk.tracers) if on else lambda: None

    def scrape() -> None:
        while not over.wait(EACH):
            sdk.spans.clear()
            if on:
                generate_latest(registry)
                sdk.reader.get_metrics_data()
                json.dumps(queue.stats().as_dict())

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        yield
    finally:
        over.set()
        scraper.join()
        undo()


def _requests(queue: Any, tracer: Any, count: int) -> None:
    push = queue.push
    for _ in range(count):
        with tracer.start_as_current_span("request"):
            for number in range(REQUEST):
                push(number)


def paced(queue: Any, tracer: Any, seconds: float) -> int:
    """Push at `RATE`; where that is too fast, as fast as can be."""
    each, ticks = int(RATE * TICK) // REQUEST, round(seconds / TICK)
    began = time.perf_counter()
    for tick in range(ticks):
        if (early := began + tick * TICK - time.perf_counter()) > 0:
            time.sleep(early)
        _requests(queue, tracer, each)
    return ticks * each * REQUEST


def flat_out(queue: Any, tracer: Any, seconds: float) -> int:
    """Push without a pause as many as `RATE` has in so many *seconds*."""
    _requests(queue, tracer, count := int(seconds * RATE) // REQUEST)
    return count * REQUEST


class Case(NamedTuple):
    """What is done with how large batches, and which part of it is traced."""

    load: Callable[[Any, Any, float], int]
    batch: int
    traced: float = 1.0


CASES = {
    "batches of 10": Case(paced, 10),
    "batches of 10, one of 100 traces kept": Case(paced, 10, FEW),
    "batches of 100": Case(paced, 100),
    "batches of 1000": Case(paced, 1000),
    "flat out, batches of 100": Case(flat_out, 100),
    "flat out, batches of 100, one of 100 traces kept": Case(flat_out, 100, FEW),
}


def _run(case: Case, seconds: float, on: bool) -> Run:
    sdk = Sdk.made(case.traced)
    queue = partitioned_buffer.Queue[int](
        "watched", lambda _: None, processing_batch_size=case.batch, processing_interval=0.1
    ).start()
    with _watched(queue, sdk, on):
        began, worked = time.perf_counter(), time.process_time()
        count = case.load(queue, sdk.tracers.get_tracer("program"), seconds)
        queue.stop(None)
        passed, worked = time.perf_counter() - began, time.process_time() - worked
    sdk.shut_down()
    if (delivered := queue.stats().delivered) != count:
        raise RuntimeError(f"{delivered} of {count} items arrived")
    return Run(count / passed, worked / count)


class Pair(NamedTuple):
    """What one round has measured, moments apart."""

    off: Run
    on: Run


def measure(quick: bool) -> dict[str, list[Pair]]:
    """Run each case off and on in turn, round after round."""
    seconds, times = (1.2, 3) if quick else (3.0, 9)
    pairs: dict[str, list[Pair]] = {name: [] for name in CASES}
    for number in range(times):
        for name, those in pairs.items():
            show(f"  round {number + 1}/{times}: watched, {name}")
            off, on = (_run(CASES[name], seconds, each) for each in (False, True))
            those.append(Pair(off, on))
    show("")
    return pairs
