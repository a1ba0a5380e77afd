"""The contract of sinks, over topics of librdkafka's own cluster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("confluent_kafka")

from kafkas import Kafka

from partitioned_buffer.sinks import KafkaTopic
from partitioned_buffer.testing.sinks import SinkContract


@pytest.fixture(scope="module")
def cluster() -> Iterator[Kafka]:
    kafka = Kafka()
    yield kafka
    kafka.close()


class TestKafkaTopic(SinkContract):
    cannot: ClassVar = {
        "too_large": "a message may be too large, but not a batch: it is sent in several requests",
        "throttled": "brokers make a client wait, and librdkafka does",
        "repeat": "brokers know what one producer has sent in one life, and not batches",
        "versions": "a topic has all of them, in the order in which they came",
    }
    reason = "Message size too large"
    wrong_options = (
        {"topic": ""},
        {"topic": None},
        {"cluster": ""},
        {"cluster": {}},
        {"cluster": 3},
        {"cluster": {"bootstrap.servers": "127.0.0.1", "no.such": 1}},
        {"timeout": 0},
        {"timeout": "1"},
        {"value": 3},
        {"key": "id"},
        {"headers": {}},
    )

    @pytest.fixture(autouse=True)
    def of_this_test(self, cluster: Kafka, request: pytest.FixtureRequest) -> None:
        self.kafka, self.name = cluster, request.node.name
        cluster.make(self.name, 1)

    def make(self, tmp_path: Path, **options: Any) -> Any:
        given = {"topic": self.name, "cluster": self.kafka.settings, "timeout": 4.0} | options
        return KafkaTopic(given.pop("topic"), given.pop("cluster"), **given)

    def make_hasty(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, cluster={**self.kafka.settings, "socket.timeout.ms": 300})

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path)

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        said = [json.loads(record.value or b"") for record in self.kafka.records(self.name)]
        rows = [tuple(each.values() if isinstance(each, dict) else each) for each in said]
        return [(number, text) for number, text in rows]

    def bad_item(self, number: int) -> Any:
        return self.item(number, "x" * 6000)

    def outage(self, tmp_path: Path) -> Any:
        return self.kafka.down()

    def silence(self, tmp_path: Path) -> Any:
        return self.kafka.slow(600)
