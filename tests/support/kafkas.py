"""
A cluster of Kafka in this process: librdkafka's own, which can be told to fail.

confluent-kafka lets nobody have it, but what it has loaded exports it (`rdkafka_mock.h`).
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

PRODUCE, INIT_PRODUCER_ID = 0, 22  # API keys
EVERY = -1

QUICK = {
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 100,
    "message.max.bytes": 5000,
    "message.timeout.ms": 60_000,
}
"""Settings of clients that are soon back, have no room for large messages, and do not give up."""

_PRODUCER = 0


class Record(NamedTuple):
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None


class Kafka:
    """Brokers, whose topics are made when something is produced to them, with four partitions."""

    def __init__(self, brokers: int = 1) -> None:
        maps = Path("/proc/self/maps").read_text().splitlines()
        path = next(line.split()[-1] for line in maps if "librdkafka" in line)
        self._lib = _declared(ctypes.CDLL(path))
        errors = ctypes.create_string_buffer(512)
        conf = self._lib.rd_kafka_conf_new()
        for name, value in ((b"bootstrap.servers", b"127.0.0.1:1"), (b"log_level", b"0")):
            self._lib.rd_kafka_conf_set(conf, name, value, errors, 512)
        self._handle = self._lib.rd_kafka_new(_PRODUCER, conf, errors, 512)
        assert self._handle, errors.value
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._handle, brokers)
        self.servers: str = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    @property
    def settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.servers, **QUICK}

    def make(self, topic: str, partitions: int) -> None:
        self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def fail(self, *errors: int, api: int = PRODUCE) -> None:
        """Have the next requests fail so, one each; 0: that one does not."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._lib.rd_kafka_mock_push_request_errors_array(self._cluster, api, len(errors), codes)

    def recover(self, api: int = PRODUCE) -> None:
        self._lib.rd_kafka_mock_clear_request_errors(self._cluster, api)

    @contextmanager
    def down(self, broker: int = EVERY) -> Iterator[None]:
        self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker)
        yield
        self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker)

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Have what is asked done at once, and answered so much later."""
        self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, EVERY, int(1000 * seconds))
        yield
        self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, EVERY, 0)

    @contextmanager
    def topic_error(self, topic: str, error: int) -> Iterator[None]:
        """Say that of the topic to who asks for it."""
        self._lib.rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), error)
        yield
        self._lib.rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), 0)

    def move(self, topic: str, partition: int, broker: int) -> None:
        """Give a partition another leader: brokers count from 1."""
        self._lib.rd_kafka_mock_partition_set_leader(
            self._cluster, topic.encode(), partition, broker
        )

    def records(self, topic: str) -> list[Record]:
        """Return all that a topic has, partition by partition."""
        settings = {"bootstrap.servers": self.servers, "group.id": "tests", "log_level": 0}
        consumer = Consumer({**settings, "enable.partition.eof": True})
        try:
            known = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            found = list[Record]()
            for partition in known:
                found += _read(consumer, topic, partition)
        finally:
            consumer.close()
        return found

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._handle)


def _read(consumer: Consumer, topic: str, partition: int) -> Iterator[Record]:
    consumer.assign([TopicPartition(topic, partition, 0)])
    while True:
        message: Any = consumer.poll(30)
        assert message is not None, "no answer"
        if message.error():
            assert message.error().name() == "_PARTITION_EOF", message.error()
            return
        yield Record(partition, message.key(), message.value(), message.headers())


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    pointer, text, count = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    codes = ctypes.POINTER(ctypes.c_int)
    for name, result, *arguments in (
        ("conf_new", pointer),
        ("conf_set", count, pointer, text, text, text, ctypes.c_size_t),
        ("new", pointer, count, pointer, text, ctypes.c_size_t),
        ("destroy", None, pointer),
        ("mock_cluster_new", pointer, pointer, count),
        ("mock_cluster_bootstraps", text, pointer),
        ("mock_cluster_destroy", None, pointer),
        ("mock_topic_create", count, pointer, text, count, count),
        ("mock_topic_set_error", None, pointer, text, count),
        ("mock_broker_set_down", count, pointer, ctypes.c_int32),
        ("mock_broker_set_up", count, pointer, ctypes.c_int32),
        ("mock_broker_set_rtt", count, pointer, ctypes.c_int32, count),
        ("mock_partition_set_leader", count, pointer, text, ctypes.c_int32, ctypes.c_int32),
        ("mock_clear_request_errors", None, pointer, ctypes.c_int16),
        ("mock_push_request_errors_array", None, pointer, ctypes.c_int16, ctypes.c_size_t, codes),
    ):
        function: Any = getattr(lib, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    return lib
