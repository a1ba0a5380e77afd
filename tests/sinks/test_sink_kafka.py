"""What only topics of Kafka have: reports, full queues, purges, producers; over a real client."""

import json
import random
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

pytest.importorskip("confluent_kafka")

import confluent_kafka
from forks import Child
from helpers import ROUNDS, in_thread
from kafkas import Kafka

from partitioned_buffer import Entry, InvalidOption, Outage, PartialFailure, batch_id
from partitioned_buffer.sinks import KafkaTopic
from partitioned_buffer.sinks.kafka.messages import Message
from partitioned_buffer.testing.contract.sinks.using import Use

MESSAGE_TIMED_OUT, TRANSPORT = 7, -195  # the broker's REQUEST_TIMED_OUT; a broken connection
TOO_LARGE, UNKNOWN_TOPIC, FORBIDDEN, OUT_OF_ORDER = 10, 3, 29, 45

ONE_REQUEST = {"max.in.flight": 1}
"""The cluster knows nothing of sequences, by which brokers put several requests in order."""

Make = Callable[..., KafkaTopic]


@pytest.fixture(scope="module")
def kafka() -> Iterator[Kafka]:
    kafka = Kafka()
    yield kafka
    kafka.close()


@pytest.fixture
def topic(kafka: Kafka, request: pytest.FixtureRequest) -> str:
    kafka.make(request.node.name, 2)
    return str(request.node.name)


@pytest.fixture
def make(kafka: Kafka, topic: str) -> Make:
    def made(*, settings: dict[str, Any] | None = None, **options: Any) -> KafkaTopic:
        cluster = {**kafka.settings, **(settings or {})}
        return KafkaTopic(topic, options.pop("cluster", cluster), **{"timeout": 10.0, **options})

    return made


def in_one(_: Any) -> str:
    """A key that all have, so that they go to one of the topic's partitions."""
    return "one"


def values(kafka: Kafka, topic: str) -> list[Any]:
    return [json.loads(record.value or b"null") for record in kafka.records(topic)]


# --- what is sent


def test_items_are_bytes_text_or_json(kafka: Kafka, topic: str, make: Make) -> None:
    with Use(make(key=in_one)) as use:
        assert use.give([b"\xff", "täxt", {"a": "ä"}, [1], bytearray(b"b"), None, 2.5]) is None
    found = [record.value for record in kafka.records(topic)]
    assert found == [b"\xff", "täxt".encode(), '{"a":"ä"}'.encode(), b"[1]", b"b", None, b"2.5"]


def test_a_maps_entries_have_their_keys(kafka: Kafka, topic: str, make: Make) -> None:
    with Use(make()) as use:
        assert use.give([Entry(7, {"a": 1}, 0, 0), Entry("k", None, 0, 0)]) is None
    found = {record.key: record.value for record in kafka.records(topic)}
    assert found == {b"7": b'{"a":1}', b"k": None}


def test_functions_say_what_is_sent(kafka: Kafka, topic: str, make: Make) -> None:
    def headers(item: Any) -> Any:
        return {"batch": str(batch_id().position), "none": None} if item["n"] else [("a", b"1")]

    options = {"key": lambda item: item["n"], "value": lambda item: item["v"], "headers": headers}
    with Use(make(**options)) as use:
        assert use.give([{"n": 0, "v": "zero"}, {"n": 1, "v": b"one"}], position=5) is None
    found = {record.key: (record.value, record.headers) for record in kafka.records(topic)}
    assert found == {
        b"0": (b"zero", [("a", b"1")]),
        b"1": (b"one", [("batch", b"5"), ("none", None)]),
    }


@pytest.mark.parametrize(
    ("option", "function", "why"),
    [
        ("value", lambda item: 1 / item, "division by zero"),
        ("key", lambda item: "" if item else object(), "JSON"),
        ("headers", lambda item: {"h": "" if item else 3}, "header 'h': 3: expected"),
        ("headers", lambda item: [("h" if item else 3, "")], "header 3: '': expected"),
        ("value", lambda item: float("nan") if item == 0 else "", "not JSON compliant"),
    ],
)
def test_what_makes_no_message_is_rejected_alone(
    kafka: Kafka, topic: str, make: Make, option: str, function: Any, why: str
) -> None:
    with Use(make(**{option: function})) as use:
        error = use.give([1, 0, 2])
    assert isinstance(error, PartialFailure)
    assert isinstance(error.reject, dict)
    assert list(error.reject) == [1]
    assert why in str(error.reject[1])
    assert len(kafka.records(topic)) == 2


# --- order, and what librdkafka tries by itself


def test_those_with_one_key_arrive_in_order(kafka: Kafka, topic: str, make: Make) -> None:
    items = [{"key": n % 7, "n": n} for n in range(3000)]
    with Use(make(key=lambda item: item["key"])) as use:
        assert use.give(items) is None
    found = values(kafka, topic)
    for key in range(7):
        mine = [item["n"] for item in found if item["key"] == key]
        assert mine == list(range(key, 3000, 7))


@pytest.mark.parametrize("error", [MESSAGE_TIMED_OUT, TRANSPORT])
def test_what_librdkafka_tries_again_is_there_once_and_in_order(
    kafka: Kafka, topic: str, make: Make, error: int
) -> None:
    with Use(make(key=in_one, settings={"batch.num.messages": 10, **ONE_REQUEST})) as use:
        assert use.give([0]) is None
        kafka.fail(error, 0, error, error)
        assert use.give(list(range(1, 100))) is None
    kafka.recover()
    assert values(kafka, topic) == list(range(100))


def test_a_full_queue_is_waited_for(kafka: Kafka, topic: str, make: Make) -> None:
    settings = {"queue.buffering.max.messages": 10, "linger.ms": 1}
    with Use(make(key=in_one, settings=settings)) as use:
        assert use.give(list(range(500))) is None
    assert values(kafka, topic) == list(range(500))


def test_so_it_is_for_as_long_as_it_may_take(kafka: Kafka, topic: str, make: Make) -> None:
    settings = {"queue.buffering.max.messages": 10, **ONE_REQUEST}
    with Use(make(key=in_one, settings=settings, timeout=0.5)) as use:
        with kafka.down():
            error = use.give(list(range(50)))
        assert isinstance(error, Outage)
        assert "within 0.5 seconds" in str(error)
        use.sink._timeout = 10.0
        assert use.give(list(range(50))) is None
    assert values(kafka, topic) == list(range(50))


def test_a_message_that_no_queue_has_room_for_is_rejected(
    kafka: Kafka, topic: str, make: Make
) -> None:
    settings = {"queue.buffering.max.kbytes": 1, "linger.ms": 0}
    with Use(make(key=in_one, settings=settings)) as use:
        error = use.give(["1", "2" * 3000, "3"])
    assert isinstance(error, PartialFailure)
    assert isinstance(error.reject, dict)
    assert "3003 bytes: the queue of the producer has no room" in str(error.reject[1])
    assert values(kafka, topic) == [1, 3]


# --- what is late


def test_what_is_late_does_not_arrive_unasked(kafka: Kafka, topic: str, make: Make) -> None:
    with Use(make(key=in_one, timeout=3.0)) as use:
        assert use.give([0]) is None
        with kafka.down():
            error = use.give([1, 2])
        assert "Connection refused" in str(error), "why"
        use.sink._timeout = 10.0
        assert use.give([3]) is None, "what would arrive unasked is before this"
        assert values(kafka, topic) == [0, 3]
        assert use.give([1, 2]) is None
    assert values(kafka, topic) == [0, 3, 1, 2]


def test_what_may_have_arrived_comes_again_in_order(kafka: Kafka, topic: str, make: Make) -> None:
    with Use(make(key=in_one, timeout=2.0, settings={"socket.timeout.ms": 300})) as use:
        assert use.give([0]) is None
        with kafka.slow(600):
            assert isinstance(use.give([1, 2]), Outage)
        use.sink._timeout = 10.0
        for batch in ([1, 2], [3, 4]):
            assert use.give(batch) is None
    found = values(kafka, topic)
    assert found in ([0, 1, 2, 3, 4], [0, 1, 2, 1, 2, 3, 4])


def test_partitions_of_the_topic_fail_by_themselves() -> None:
    kafka = Kafka(brokers=2)
    kafka.make("two", 2)
    for partition in (0, 1):
        kafka.move("two", partition, partition + 1)
    with Use(KafkaTopic("two", kafka.settings, key=lambda n: n % 8, timeout=3.0)) as use:
        assert use.give(list(range(8))) is None
        of = {record.key: record.partition for record in kafka.records("two")}
        away = {n for n in range(8) if of[b"%d" % n] == 1}
        assert 0 < len(away) < 8, "both have some"
        with kafka.down(2):
            error = use.give(list(range(8, 24)))
        assert isinstance(error, PartialFailure)
        assert isinstance(error.retry, dict)
        assert list(error.retry) == [n - 8 for n in range(8, 24) if n % 8 in away]
        assert all(isinstance(each, Outage) for each in error.retry.values())
        assert not error.reject
        use.sink._timeout = 10.0
        assert use.give([n for n in range(8, 24) if n % 8 in away]) is None
    found = kafka.records("two")
    kafka.close()
    for key in range(8):
        assert [int(r.value or 0) for r in found if r.key == b"%d" % key] == [
            key,
            key + 8,
            key + 16,
        ]


# --- what brokers refuse


def test_of_a_request_that_is_too_large_each_is_tried_alone(
    kafka: Kafka, topic: str, make: Make
) -> None:
    with Use(make(key=in_one)) as use:
        assert use.give([0]) is None
        kafka.fail(TOO_LARGE, 0, TOO_LARGE, 0)
        error = use.give([1, 2, 3])
        assert isinstance(error, PartialFailure)
        assert isinstance(error.reject, dict)
        assert {place: str(why) for place, why in error.reject.items()} == {
            1: "a message of 4 bytes: Broker: Message size too large"
        }
        kafka.fail(TOO_LARGE)
        error = use.give([4])
        assert isinstance(error, PartialFailure)
        assert list(error.reject or ()) == [0]
        assert use.give([5]) is None
    assert values(kafka, topic) == [0, 1, 3, 5]


def test_a_topic_that_is_forbidden_is_an_outage_that_says_it(
    kafka: Kafka, topic: str, make: Make
) -> None:
    with Use(make(key=in_one)) as use:
        assert use.give([0]) is None
        with kafka.topic_error(topic, FORBIDDEN):
            kafka.fail(FORBIDDEN)
            for _ in range(2):
                error = use.give([1, 2])
                assert isinstance(error, Outage)
                assert str(error) == (
                    f"topic {topic!r}: Broker: Topic authorization failed: expected a client "
                    "that may write to it"
                )
        assert use.give([1, 2]) is None, "it is asked again at once, not after five minutes"
    assert values(kafka, topic) == [0, 1, 2]


def test_so_is_one_that_is_missing(kafka: Kafka, topic: str, make: Make) -> None:
    with Use(make(key=in_one, timeout=4.0)) as use:
        with kafka.topic_error(topic, UNKNOWN_TOPIC):
            for _ in range(2):
                error = use.give([1, 2])
                assert isinstance(error, Outage)
                assert "expected a topic that somebody has made" in str(error)
        use.sink._timeout = 20.0
        assert use.give([1, 2]) is None
    assert values(kafka, topic) == [1, 2]


# --- producers


def test_one_that_has_failed_for_good_is_replaced(
    kafka: Kafka, topic: str, make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    with Use(make(key=in_one)) as use:
        assert use.give([0]) is None
        kafka.fail(OUT_OF_ORDER)
        error = use.give([1, 2])
        assert isinstance(error, Outage)
        assert "sequence" in str(error)
        assert use.give([1, 2]) is None
    assert values(kafka, topic) == [0, 1, 2]
    capfd.readouterr()


class _Counted(confluent_kafka.Producer):
    made: list["_Counted"] = []  # noqa: RUF012

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.made.append(self)


def test_each_partition_of_a_buffer_has_its_own(
    kafka: Kafka, topic: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confluent_kafka, "Producer", _Counted)
    sink = make()
    _Counted.made.clear()

    def script(queue: Any) -> Generator[float]:
        for n in range(300):
            queue.push(n, partition_key=n)
        yield 5.0

    with Use(sink) as use:
        use.in_buffer("queue", script, partitions=3)
    assert len(_Counted.made) == 3
    assert sorted(values(kafka, topic)) == list(range(300))
    _Counted.made.clear()


def test_a_users_own_is_purged_and_not_closed(kafka: Kafka, topic: str, make: Make) -> None:
    settings = {**kafka.settings, "enable.idempotence": True, "log_level": 0}
    own = confluent_kafka.Producer(settings)
    with Use(make(cluster=own, key=in_one, timeout=3.0)) as use:
        assert use.give([0]) is None
        with kafka.down():
            assert isinstance(use.give([1]), Outage)
            assert len(own) == 0
        use.sink._timeout = 10.0
        use.close()
        assert use.give([2]) is None
    own.produce(topic, "3", "one")
    assert own.flush(10) == 0
    assert values(kafka, topic) == [0, 2, 3]


def test_calls_have_a_users_own_in_turn(kafka: Kafka, topic: str, make: Make) -> None:
    own = confluent_kafka.Producer({**kafka.settings, "log_level": 0})
    sink = make(cluster=own, timeout=0.3)
    lane = sink._lanes.mine()
    with lane._lock:
        error = Use(sink).give([1])
    assert str(error) == f"topic {topic!r}: its producer was in use for 0.3 seconds"
    sink._timeout = 10.0
    outcomes = [in_thread(lambda n=n: Use(sink).give([n])) for n in range(5)]  # type: ignore[misc]
    for thread, _ in outcomes:
        thread.join(30)
    assert [outcome for _, outcome in outcomes] == [[None]] * 5
    assert sorted(values(kafka, topic)) == list(range(5))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_its_own(kafka: Kafka, topic: str, make: Make) -> None:
    with Use(make(key=in_one)) as use:
        assert use.give([1]) is None
        assert Child(lambda: repr(use.give([2]))).result() == "None"
        assert use.give([3]) is None
    assert values(kafka, topic) == [1, 2, 3]


def test_what_is_told_after_all_is_over_is_told_to_nobody() -> None:
    class Stuck:
        told: list[Callable[..., None]] = []  # noqa: RUF012

        def produce(self, *_: Any, on_delivery: Callable[..., None], **__: Any) -> None:
            self.told.append(on_delivery)

        def flush(self, seconds: float) -> int:
            return len(self.told)

        def purge(self, *, blocking: bool) -> None:
            pass

        poll = list_topics = flush

    with Use(KafkaTopic("stuck", Stuck(), timeout=0.1)) as use:
        error = use.give([1, 2])
        assert isinstance(error, Outage)
        sending = use.sink._lanes.mine().send("stuck", [], 0.1)
        sending._messages = [Message(b"1", None, None)]
        sending.failed = {0: None}
        sending.send()
        for each in Stuck.told:
            each(None, None)
        assert sending.failed == {0: None}


def test_a_users_error_function_is_called_too(kafka: Kafka, make: Make) -> None:
    heard, told = list[str](), threading.Event()

    def hear(error: Any) -> None:
        heard.append(error.name())
        told.set()

    with Use(make(settings={"error_cb": hear}, timeout=2.0)) as use, kafka.down():
        assert "refused" in str(use.give([1]))
    assert "_TRANSPORT" in heard


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"settings": {"transactional.id": "t"}}, "transactional.id"),
        ({"settings": {"linger.ms": "soon"}}, "expected settings for a producer"),
        ({"settings": {"acks": 0}}, "`acks` must be set to `all`"),
        ({"cluster": ["127.0.0.1:9092"]}, "expected addresses"),
    ],
)
def test_settings_are_checked_when_it_is_made(make: Make, options: Any, why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        make(**options)


# --- all at once


def test_a_buffer_gets_all_of_it_there_in_order(kafka: Kafka, topic: str, make: Make) -> None:
    chance, count = random.Random(1), round(2000 * max(ROUNDS, 0.5))

    def script(queue: Any) -> Generator[float]:
        for n in range(count):
            if n % 100 == 0:
                kafka.fail(*chance.choices([0, MESSAGE_TIMED_OUT, TRANSPORT], k=3))
            queue.push({"key": n % 5, "n": n}, partition_key=n % 5)
            if n % 100 == 99:
                yield 2.0
        kafka.recover()
        yield 600.0

    settings = {"batch.num.messages": 7, **ONE_REQUEST}
    with Use(make(key=lambda item: item["key"], settings=settings)) as use:
        done = use.in_buffer("queue", script, partitions=2, processing_batch_size=50)
    assert (done.stats.delivered, done.dead.items) == (count, [])
    found = values(kafka, topic)
    for key in range(5):
        mine = [item["n"] for item in found if item["key"] == key]
        assert mine == list(range(key, count, 5))
