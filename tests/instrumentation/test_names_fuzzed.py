"""A buffer may have any name: who watches is told of that very one, and of all others as before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from helpers import ROUNDS, rounds
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from partitioned_buffer import Map, Queue
from partitioned_buffer.instrumentation.opentelemetry import instrument
from partitioned_buffer.instrumentation.prometheus import Collector
from partitioned_buffer.testing import assert_balanced

ODD = [
    *r""" " \ \n \\n \" , = { } # +Inf NaN 1e5 le buffer </script> <b> ' ` $ %s {0} """.split(),
    *["\n", "\r\n", "\0", "\x85", "\u2028", "\u202e", "\u200f", "\ufeff", "\ud800", "\udfff"],
]
NAMES = st.one_of(
    st.text(st.characters(codec=None), min_size=1, max_size=20),  # half pairs, too
    st.lists(st.sampled_from(ODD), min_size=1, max_size=6).map("".join),
    st.floats().map(str),
    st.sampled_from(ODD).map(lambda each: each * 100),
)
AS_LUCK_HAS_IT = settings(max_examples=rounds(100, least=20), derandomize=ROUNDS < 1, deadline=None)
TEXT = generate_latest, text_string_to_metric_families
OPENMETRICS: Any = (
    openmetrics_exposition.generate_latest,
    openmetrics_parser.text_string_to_metric_families,
)


def told(name: str) -> str:
    """Return what is told of a name: of half a pair, which has no bytes in UTF-8, an escape."""
    return name.encode(errors="backslashreplace").decode()


@contextmanager
def running(one: str, other: str) -> Iterator[dict[str, int]]:
    """Two buffers that run; yield how many items each has accepted, by what is told of its name."""
    queue = Queue[int](one, list, partitions=1, processing_interval=3600.0)
    seen = Map[int, int](other, list, partitions=1, processing_interval=3600.0)
    with queue, seen:
        queue.push_all([1, 2])
        queue.flush()
        seen.put(1, 1)
        yield {told(one): 2, told(other): 1}
    for buffer in queue, seen:
        assert_balanced(buffer.stats())


@pytest.mark.parametrize(("generate", "parse"), [TEXT, OPENMETRICS], ids=["text", "openmetrics"])
@pytest.mark.parametrize("partitions", [False, True])
@AS_LUCK_HAS_IT
@given(NAMES, NAMES)
@example("half \ud800", "another")
@example("half \ud800", "half \udfff")
@example("long " * 2000, "null")
def test_prometheus_is_told(
    generate: Any, parse: Any, partitions: bool, one: str, other: str
) -> None:
    assume(told(one) != told(other))
    registry = CollectorRegistry()
    registry.register(Collector(partitions=partitions))
    with running(one, other) as accepted:
        families = list(parse(generate(registry).decode()))
    samples = [sample for family in families for sample in family.samples]
    assert {each.labels["buffer"] for each in samples} == {*accepted}
    found = [each for each in samples if each.name == "partitioned_buffer_accepted_total"]
    assert {each.labels["buffer"]: each.value for each in found} == accepted


@AS_LUCK_HAS_IT
@given(NAMES, NAMES)
@example("half \ud800", "another")
@example("half \ud800", "half \udfff")
@example("long " * 2000, "null")
def test_opentelemetry_is_told(one: str, other: str) -> None:
    assume(told(one) != told(other))
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    meters, tracers = MeterProvider([reader]), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    undo = instrument(meters, tracers)
    try:
        with running(one, other) as accepted:
            points = list(points_of(reader.get_metrics_data()))
    finally:
        undo()
        meters.shutdown()
        tracers.shutdown()
    names = {point.attributes["partitioned_buffer.name"] for _, point in points}
    assert names == {*accepted}
    assert accepted == {
        point.attributes["partitioned_buffer.name"]: point.value
        for name, point in points
        if name == "partitioned_buffer.processor.accepted"
    }
    for span in spans.get_finished_spans():
        attributes: Any = span.attributes
        assert span.name == f"{attributes['partitioned_buffer.name']} process"
    batches = {span.name for span in spans.get_finished_spans()}
    assert batches == {f"{name} process" for name in accepted}


def points_of(data: Any) -> Iterator[tuple[str, Any]]:
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    for metric in scope.metrics:
        for point in metric.data.data_points:
            yield metric.name, point
