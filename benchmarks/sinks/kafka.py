"""`KafkaTopic`, beside what is written by hand; on librdkafka's own cluster, in this process."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from partitioned_buffer.sinks import KafkaTopic

from ..speed.measure import Timed
from .subjects import Row, each_batch, rows

TITLE = "KafkaTopic: batches of 100 rows, on librdkafka's cluster in memory"
FLOOR = "produce, a flush per batch"

SETTINGS = {"test.mock.num.brokers": 1, "enable.idempotence": True, "log_level": 2}


@contextmanager
def subjects(_: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(5_000 if quick else 50_000)
    few = some[: len(some) // 50]
    producer = Producer(SETTINGS)
    sink = KafkaTopic("rows", SETTINGS)
    calls: list[Callable[[list[Row]], object]] = [_batches(producer), sink]
    for call in calls:  # until it has a topic, and leave to produce
        each_batch(some[:100], call)
    yield {
        FLOOR: lambda: each_batch(some, _batches(producer)),
        "produce and flush, row by row": lambda: each_batch(few, _one_by_one(producer)),
        "KafkaTopic": lambda: each_batch(some, sink),
    }


def _batches(producer: Any) -> Callable[[list[Row]], None]:
    def produce(batch: list[Row]) -> None:
        failed = list[Any]()

        def told(error: Any, _: Any) -> None:
            if error:
                failed.append(error)

        for row in batch:
            producer.produce("rows", json.dumps(row), on_delivery=told)
        if producer.flush(30) or failed:
            raise RuntimeError(failed)

    return produce


def _one_by_one(producer: Any) -> Callable[[list[Row]], None]:
    produce = _batches(producer)

    def produce_each(batch: list[Row]) -> None:
        for row in batch:
            produce([row])

    return produce_each
