"""The collector for Prometheus, scraped as Prometheus does."""

import sys
from typing import Any, cast

import pytest
from helpers import Buffers, unwoken
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from partitioned_buffer import Queue
from partitioned_buffer.instrumentation.prometheus import Collector
from partitioned_buffer.testing import FakeClock, RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict

pytestmark = pytest.mark.both_faces

NAMES = """
accepted_total batches_total blocked calls_total coalesced_total dead_letter_errors_total
dead_lettered_total deleted_total delivered_total dropped_total failed_calls_total hook_errors_total
in_flight last_failure_timestamp_seconds last_success_timestamp_seconds max_size oldest_age_seconds
overdue processor_duration_seconds_bucket processor_duration_seconds_count
processor_duration_seconds_sum recovered_total restarts_total waiting
"""


def scraped(collector: Collector) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return each sample by its name and the values of its labels."""
    registry = CollectorRegistry()
    registry.register(collector)
    parse, generate = cast("Any", text_string_to_metric_families), cast("Any", openmetrics)
    families = parse(generate(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    found = {
        (each.name.removeprefix("partitioned_buffer_"), tuple(each.labels.values())): each.value
        for each in samples
    }
    assert len(found) == len(samples), "a sample that comes twice"
    return found


def test_what_is_counted_is_told(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = unwoken(buffers.queue(name="q", max_size=3, when_full="drop_newest"))
    processor.fail(OSError("down"))
    queue.push_all(range(5))
    clock.advance(10.0)
    queue.push(6)

    told = scraped(Collector())

    assert {name for name, _ in told} == set(NAMES.split())
    for name, value in {
        "accepted_total": 6,
        "delivered_total": 3,
        "batches_total": 1,
        "calls_total": 2,
        "failed_calls_total": 1,
        "waiting": 1,
        "max_size": 3,
    }.items():
        assert told[name, ("q",)] == value, name
    assert told["dropped_total", ("q", "full")] == 2
    assert told["last_failure_timestamp_seconds", ("q",)] == pytest.approx(clock.time() - 5.0)


def test_durations_are_a_histogram(buffers: Buffers, clock: FakeClock) -> None:
    seconds = iter([0.02, 0.0, 3.0])
    queue = unwoken(
        buffers.queue(
            name="q", processor=lambda _: clock.jump(next(seconds)), processing_batch_size=1
        )
    )
    queue.push_all(range(3))
    clock.advance(5.0)
    told = scraped(Collector())
    buckets = [
        (float(labels[1]), count)
        for (name, labels), count in told.items()
        if name == "processor_duration_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert dict(buckets)[0.01] == 1
    assert dict(buckets)[0.025] == 2
    assert dict(buckets)[5.0] == dict(buckets)[float("inf")] == 3
    assert told["processor_duration_seconds_count", ("q",)] == 3
    assert told["processor_duration_seconds_sum", ("q",)] == pytest.approx(3.02)


def test_partitions_are_a_label_if_asked(buffers: Buffers, clock: FakeClock) -> None:
    queue = unwoken(buffers.queue(name="q", partitions=2))
    for number in range(5):
        queue.push(number)
    told = scraped(Collector(partitions=True))
    accepted = {labels: n for (name, labels), n in told.items() if name == "accepted_total"}
    assert accepted == {("q", "0"): 3, ("q", "1"): 2}
    assert told["blocked", ("q",)] == 0


def test_one_buffer_or_all_that_run(buffers: Buffers) -> None:
    one = buffers.queue(name="one")
    buffers.map(name="two")
    assert {labels[0] for _, labels in scraped(Collector())} == {"one", "two"}
    inner: Any = getattr(one, "buffer", one)
    assert {labels[0] for _, labels in scraped(Collector(inner))} == {"one"}
    one.stop()
    assert {labels[0] for _, labels in scraped(Collector())} == {"two"}


def test_a_buffer_that_has_stopped_can_still_be_told_of(buffers: Buffers) -> None:
    one = buffers.queue(name="one")
    one.push(1)
    one.stop()
    inner: Any = getattr(one, "buffer", one)
    assert scraped(Collector(inner))["delivered_total", ("one",)] == 1


def test_without_buffers_there_are_names_and_no_samples() -> None:
    registry = CollectorRegistry()
    registry.register(Collector())
    assert b"partitioned_buffer_accepted_total" in generate_latest(registry)
    assert scraped(Collector()) == {}


def test_registering_twice_is_refused_for_the_names_are_the_same() -> None:
    registry = CollectorRegistry()
    registry.register(Collector())
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Collector())


@pytest.mark.threads
def test_a_shared_buffer_has_numbers_of_its_server(clock: FakeClock) -> None:
    shared: Any = SharedDict()
    with Queue[int]("q", storage=shared, clock=clock) as queue:
        queue.push(1)
        clock.advance(5.0)
        told = scraped(Collector())
    assert told["shared_shipped_total", ("q",)] + told["shared_front", ("q",)] == 1
    assert told["shared_away", ("q",)] == 0


@pytest.mark.threads
def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.metrics_core", None)
    with pytest.raises(ImportError, match=r"partitioned-buffer\[prometheus\]"):
        Collector()
