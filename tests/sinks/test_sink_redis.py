"""Entries of streams on a server: the contract, by threads and by tasks, and what servers do."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from relays import Relay
from servers import Cluster, Server
from storages import as_json, of_json

from partitioned_buffer import InvalidOption, Outage, PartialFailure, Queue, Split
from partitioned_buffer.sinks import AsyncRedisStream, RedisStream
from partitioned_buffer.storage import SQLite
from partitioned_buffer.testing.contract.sinks.using import Use
from partitioned_buffer.testing.sinks import SinkContract

_numbers = itertools.count()
COLUMNS = ["id", "text"]
NEVER = Retry(NoBackoff(), 0)


def entries(client: Any, stream: str) -> list[tuple[int, str]]:
    """Return the numbers and texts of a partition's entries, in their order."""
    return [(int(fields[b"id"]), fields[b"text"].decode()) for _, fields in client.xrange(stream)]


class Contract(SinkContract):
    cannot = {  # noqa: RUF012
        "throttled": "a server does not say when to come back",
        "versions": "a stream is not written over",
    }
    reason = "expected text, bytes or a number"
    sink: ClassVar[Any] = RedisStream
    wrong_options = (
        {"server": "http://there"},
        {"server": 3},
        {"stream": ""},
        {"columns": "id"},
        {"row": 3},
        {"maxlen": 0},
        {"once": None},
        {"max_bytes": 0},
        {"timeout": 0},
    )

    @pytest.fixture(autouse=True)
    def _there(self, client: Any, relay: Relay) -> None:
        self.client, self.relay = client, relay
        self.stream = f"rows-{next(_numbers)}"
        self.made = list[Any]()

    def make(self, tmp_path: Path, **options: Any) -> Any:
        given = {"server": self.relay.url, "stream": self.stream, "columns": COLUMNS}
        self.made.append(self.sink(**given | options))
        return self.made[-1]

    def make_hasty(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, timeout=0.3)

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, row=lambda entry: entry.value)

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        keys = sorted(self.client.scan_iter(f"{self.stream}:*"))
        return [entry for key in keys for entry in entries(self.client, key)]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": None}

    def outage(self, tmp_path: Path) -> AbstractContextManager[None]:
        return self.relay.sent_away()

    def silence(self, tmp_path: Path) -> AbstractContextManager[None]:
        return self.relay.falling_silent()

    @contextmanager
    def too_large(self, tmp_path: Path) -> Iterator[None]:
        most = sum(len("idtext") + len(f"{n}row {n}") for n in range(90, 90 + self.most))
        for each in self.made:
            each._max_bytes = most
        yield


class TestThreads(Contract):
    pass


class TestTasks(Contract):
    sink = AsyncRedisStream


class TestEveryTime(Contract):
    cannot = Contract.cannot | {"repeat": "it is told not to"}

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return super().make(tmp_path, **{"once": False} | options)


class TestGivenClient(Contract):
    def make(self, tmp_path: Path, **options: Any) -> Any:
        client = redis.Redis(port=self.relay.port, socket_timeout=20, retry=NEVER)
        self.clients = [*getattr(self, "clients", []), client]
        return super().make(tmp_path, **{"server": client} | options)

    def make_hasty(self, tmp_path: Path) -> Any:
        client = redis.Redis(port=self.relay.port, socket_timeout=0.3, retry=NEVER)
        self.clients = [*getattr(self, "clients", []), client]
        return super().make(tmp_path, server=client)

    @pytest.fixture(autouse=True)
    def _closed(self, _there: None) -> Iterator[None]:
        yield
        for client in getattr(self, "clients", []):
            client.close()


def given(sink: Any, *items: Any, **where: Any) -> BaseException | None:
    with Use(sink) as use:
        return use.give(list(items), **where)


# --- what is there, and how often -----------------------------------------------------------------


@pytest.mark.parametrize("sink", [RedisStream, AsyncRedisStream])
def test_replies_that_are_lost_repeat_nothing(sink: Any, client: Any, relay: Relay) -> None:
    stream = f"rows-{next(_numbers)}"
    with Use(sink(relay.url, stream, COLUMNS)) as use:
        for position in range(0, 20, 2):
            relay.cut_replies = 1
            batch = [(position, "x"), (position + 1, "y")]
            outcomes = [use.give(batch, position=position) for _ in range(3)]
            assert any(isinstance(each, Outage) for each in outcomes)
            assert outcomes[-1] is None
    assert relay.cuts == 10
    assert [number for number, _ in entries(client, f"{stream}:0")] == list(range(20))


def test_a_stored_queue_cut_otherwise_is_there_once(client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    rows = [(n, str(n)) for n in range(10)]
    with Use(RedisStream(server.url, stream, COLUMNS)) as use:
        assert use.give(rows[:3]) is None
        assert use.give(rows[3:6], position=3) is None
        assert use.give(rows, position=0) is None
        assert use.give(rows[2:4], position=2) is None
    assert entries(client, f"{stream}:0") == rows


def test_a_batch_with_gaps_is_known_as_a_whole(client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    with Use(RedisStream(server.url, stream, COLUMNS)) as use:
        for gaps, numbers in ((7, (4, 6)), (7, (4, 6)), (8, (5, 7)), (0, (8, 9)), (0, (8, 9))):
            assert use.give([(n, "x") for n in numbers], position=4, gaps=gaps) is None
        assert use.give([(1, "x"), (2, "x"), (3, "x")], position=4, gaps=7) is None
    assert [n for n, _ in entries(client, f"{stream}:0")] == [4, 6, 5, 7, 8, 9, 1, 2, 3]


def test_two_buffers_may_write_to_one_stream(client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    with Use(RedisStream(server.url, stream, COLUMNS)) as use:
        for position in range(5):
            for store in ("one", "two"):
                for _ in range(2):
                    assert use.give([(position, store)], position=position, store=store) is None
    assert entries(client, f"{stream}:0") == [(n, s) for n in range(5) for s in ("one", "two")]


def test_notes_are_few_and_expire(client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    with Use(RedisStream(server.url, stream, COLUMNS)) as use:
        for position in range(120):
            assert use.give([(position, "x")], position=position) is None
    (notes,) = client.scan_iter(f"{{{stream}:0}}:had:*")
    assert client.zcard(notes) == 100
    assert client.ttl(notes) > 29 * 86_400


@pytest.mark.parametrize("once", [True, False])
def test_a_stream_keeps_about_so_many(once: bool, client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    with Use(RedisStream(server.url, stream, COLUMNS, maxlen=200, once=once)) as use:
        for position in range(0, 2000, 100):
            batch = [(position + n, "x") for n in range(100)]
            assert use.give(batch, position=position) is None
    assert 200 <= client.xlen(f"{stream}:0") < 500
    assert entries(client, f"{stream}:0")[-1] == (1999, "x")


def test_each_partition_has_a_stream(client: Any, server: Server, tmp_path: Path) -> None:
    stream = f"rows-{next(_numbers)}"
    stored = SQLite(tmp_path / "queue.db", codec=(as_json, of_json))
    with (
        RedisStream(server.url, stream) as sink,
        Queue[Any]("events", sink, partitions=3, partition_key="id", storage=stored) as queue,
    ):
        for key in range(20):
            queue.push({"id": key, "text": "x"}, partition_key=key)
        where = {key: queue.partition_of(None, partition_key=key) for key in range(20)}
    for partition in range(3):
        mine = [key for key in range(20) if where[key] == partition]
        assert [n for n, _ in entries(client, sink.stream_of(partition))] == mine


# --- what is refused, and what is not ------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"id": True}, "of type bool"),
        ({"id": [1]}, "of type list"),
        ({"id": "\ud800"}, "surrogates"),
        ({}, "0 fields"),
        ({str(n): n for n in range(3000)}, "3000 fields"),
        ((1, "one"), "columns="),
    ],
)
def test_what_makes_no_entry_is_rejected_alone(
    bad: Any, why: str, client: Any, server: Server
) -> None:
    stream = f"rows-{next(_numbers)}"
    batch = [{"id": 1, "text": "x"}, bad, {"id": 3, "text": "y", "more": 1.5}]
    error = given(RedisStream(server.url, stream), *batch)

    assert isinstance(error, PartialFailure)
    assert isinstance(error.reject, dict)
    assert why in str(error.reject[1])
    assert entries(client, f"{stream}:0") == [(1, "x"), (3, "y")]


def test_values_are_as_they_are_written(client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    row = {"a": 1.5, "b": b"\x00\xff", "c": "ü", "d": -(1 << 70), "e": 1e300}
    assert given(RedisStream(server.url, stream), row) is None
    ((_, fields),) = client.xrange(f"{stream}:0")
    assert list(fields.values()) == [
        b"1.5",
        b"\x00\xff",
        "ü".encode(),
        str(-(1 << 70)).encode(),
        b"1e+300",
    ]


@pytest.mark.parametrize("once", [True, False])
def test_no_memory_is_an_outage_and_nothing_of_the_batch_is_there(
    once: bool, own: Callable[..., Server]
) -> None:
    server = own()
    with server.client() as client, Use(RedisStream(server.url, "s", COLUMNS, once=once)) as use:
        assert use.give([(1, "x")]) is None
        client.config_set("maxmemory", 1)
        error = use.give([(2, "y"), (3, "z")], position=1)
        assert isinstance(error, Outage)
        assert "OOM" in str(error) or "maxmemory" in str(error)
        client.config_set("maxmemory", 0)
        assert entries(client, "s:0") == [(1, "x")]
        assert use.give([(2, "y"), (3, "z")], position=1) is None
        assert entries(client, "s:0") == [(1, "x"), (2, "y"), (3, "z")]


def test_a_batch_is_a_transaction_where_nothing_is_noted(own: Callable[..., Server]) -> None:
    server = own()
    assert given(RedisStream(server.url, "s", COLUMNS, once=False), (1, "x"), (2, "y")) is None
    with server.client() as client:
        assert client.info("commandstats")["cmdstat_exec"]["calls"] == 1
        assert list(client.scan_iter("*")) == [b"s:0"]


def test_a_server_that_forgets_scripts_is_told_them_again(own: Callable[..., Server]) -> None:
    server = own()
    with server.client() as client, Use(RedisStream(server.url, "s", COLUMNS)) as use:
        assert use.give([(1, "x")]) is None
        client.script_flush()
        assert use.give([(2, "y")], position=1) is None
        server.stop()
        assert isinstance(use.give([(3, "z")], position=2), Outage)
        server.start()
        assert use.give([(3, "z")], position=2) is None


def test_a_server_that_sleeps_is_an_outage(own: Callable[..., Server]) -> None:
    server = own()
    with Use(RedisStream(server.url, "s", COLUMNS, timeout=0.2)) as use:
        assert use.give([(1, "x")]) is None
        with server.asleep():
            assert isinstance(use.give([(2, "y")], position=1), Outage)
        assert use.give([(2, "y")], position=1) is None
    with server.client() as client:
        assert entries(client, "s:0") == [(1, "x"), (2, "y")], "what it woke up to is there once"


def test_a_key_that_is_no_stream_is_no_rows_fault(client: Any, server: Server) -> None:
    stream = f"rows-{next(_numbers)}"
    client.set(f"{stream}:0", "text")
    error = given(RedisStream(server.url, stream, COLUMNS), (1, "x"))
    assert isinstance(error, Outage)
    assert "WRONGTYPE" in str(error)


def test_a_row_that_is_too_large_alone_is_said_so(server: Server) -> None:
    error = given(RedisStream(server.url, "s", COLUMNS, max_bytes=100), (1, "x" * 100))
    assert isinstance(error, Split)


def test_a_cluster_has_what_is_noted_beside_its_stream(kind: str, tmp_path: Path) -> None:
    cluster = Cluster(kind, tmp_path)
    client = redis.RedisCluster.from_url(cluster.url)
    try:
        for stream in ("rows", "{app}:rows"):
            with Use(RedisStream(client, stream, COLUMNS)) as use:
                for _ in range(2):
                    assert use.give([(1, "x"), (2, "y")]) is None
            assert entries(client, f"{stream}:0") == [(1, "x"), (2, "y")]
    finally:
        client.disconnect_connection_pools()  # type: ignore[no-untyped-call]
        client.close()
        cluster.stop()


# --- clients that are given ----------------------------------------------------------------------


def test_a_client_without_a_time_limit_is_refused(server: Server) -> None:
    endless = redis.Redis(port=server.port, socket_timeout=None)
    with endless, pytest.raises(InvalidOption, match="socket_timeout"):
        RedisStream(endless, "s")


def test_a_client_of_the_other_kind_is_refused(server: Server) -> None:
    asynchronous = redis.asyncio.Redis(port=server.port)
    with pytest.raises(InvalidOption, match="a client of redis"):
        RedisStream(asynchronous, "s")
    plain = redis.Redis(port=server.port)
    with plain, pytest.raises(InvalidOption, match=r"a client of redis\.asyncio"):
        AsyncRedisStream(plain, "s")
