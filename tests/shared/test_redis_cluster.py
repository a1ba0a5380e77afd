"""Clusters: the partitions of a primary are a lane, and a shard that is away holds up no other."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from parcels import append, claimed, everything, kinds, parcel, step, text
from redis.crc import key_slot
from servers import Cluster, Server, wait_until

from partitioned_buffer.abc.sharing import StorageAway, Want
from partitioned_buffer.storage.redis.store import RedisStore


@pytest.fixture(scope="module")
def cluster(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(kind, tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def spread(cluster: Cluster, opened: Any) -> RedisStore:
    store = opened(cluster.url, partitions=12)
    assert isinstance(store, RedisStore)
    return store


def server_of(cluster: Cluster, store: RedisStore, partition: int) -> Server:
    address = store._servers.of(store._names.of(0, partition).w)
    return next(each for each in cluster.servers if each.port == address.port)


def test_each_primary_has_a_lane(spread: RedisStore, cluster: Cluster) -> None:
    lanes = spread.layout.lanes

    assert sorted(each for lane in lanes for each in lane) == list(range(12))
    assert len(lanes) == 3
    for lane in lanes:
        assert len({server_of(cluster, spread, each).port for each in lane}) == 1


def test_all_that_one_server_does_a_cluster_does(
    spread: RedisStore, cluster: Cluster, opened: Any
) -> None:
    parcels = [parcel("abc", partition=each) for each in range(12)]
    assert append(spread, *parcels) == [None] * 12
    assert append(spread, *parcels) == [None] * 12

    other = opened(cluster.url, partitions=None)
    claims = [claimed(other, each) for each in range(12)]
    reads = other.step(0, [Want(claim, -1, 9, 99) for claim in claims])
    assert [text(each) for each in reads if not isinstance(each, Exception)] == ["abc"] * 12
    for claim in claims:
        other.bury(claim, b"a", 1, "no", 1)
        step(other, claim, 3, given_up=1)
        other.release(claim)
    assert [each[:5] for each in spread.depth()] == [(0, each, 3, 3, 1) for each in range(12)]
    assert other.beat() == [other.me]
    spread.retire("p")
    spread.resize(5)
    spread.refresh()
    assert spread.duty == spread.layout
    assert [len(list(spread.dead(each))) for each in range(12)] == [1] * 12
    assert [each[1:5] for each in spread.last_dead(20, 1)] == [(b"a", 1, "no", 1)] * 12


def test_news_of_every_shard_is_heard(spread: RedisStore) -> None:
    heard = list[int]()
    spread.listen(heard.append)
    wait_until(lambda: heard == [-1])

    append(spread, *(parcel("abc", partition=each) for each in range(12)))
    spread.hurry()

    wait_until(lambda: len(heard) == 14)
    assert sorted(heard) == [-2, -1, *range(12)]


def test_a_shard_that_is_away_holds_up_no_other(spread: RedisStore, cluster: Cluster) -> None:
    first, *others = spread.layout.lanes
    append(spread, *(parcel("abc", partition=each) for each in range(12)))
    server = server_of(cluster, spread, first[0])

    with server.asleep():
        start = time.monotonic()
        for lane in others:
            found = append(spread, *(parcel("d", known=3, partition=each) for each in lane))
            assert found == [None] * len(lane)
            claims = [claimed(spread, each) for each in lane]
            spread.step(0, [Want(each, -1, 9, 99) for each in claims])
        assert time.monotonic() - start < 0.8

        found = append(spread, *(parcel("d", known=3, partition=each) for each in first))
        assert set(kinds(found)) == {"StorageAway"}
        with pytest.raises(StorageAway):
            claimed(spread, first[0])
        start = time.monotonic()
        with pytest.raises(StorageAway):
            spread.depth()
        assert time.monotonic() - start < 2.5

    wait_until(
        lambda: (
            append(spread, *(parcel("d", known=3, partition=each) for each in first))
            == [None] * len(first)
        )
    )
    spread.depth()


def test_a_shard_that_was_killed_comes_back(spread: RedisStore, cluster: Cluster) -> None:
    lane = spread.layout.lanes[-1]
    server = server_of(cluster, spread, lane[0])
    server.kill()
    assert kinds(append(spread, parcel("abc", partition=lane[0]))) == ["StorageAway"]

    server.start()

    wait_until(lambda: append(spread, parcel("abc", partition=lane[0])) == [None], 20)
    for each in cluster.servers:
        wait_until(each.is_in_a_whole_cluster, 20)


def test_a_slot_that_moves_is_followed(spread: RedisStore, cluster: Cluster, name: str) -> None:
    append(spread, parcel("abc"), parcel("de", known=3))
    claim = claimed(spread)
    assert text(step(spread, claim, records=1)) == "abc"
    slot, source = key_slot(spread._names.of(0, 0).w.encode()), server_of(cluster, spread, 0)
    target = next(each for each in cluster.servers if each is not source)

    with source.client() as old, target.client() as new:
        ids = [each.execute_command("CLUSTER", "MYID") for each in (old, new)]
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        keys = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 99)
        old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys[:2])

        assert kinds(append(spread, parcel("f", known=5))) == ["StorageAway"]
        with pytest.raises(StorageAway):
            step(spread, claim, 1)

        old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys[2:])
        for client in (new, old):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])

    def followed() -> bool:
        return append(spread, parcel("f", known=5)) == [None]

    wait_until(followed)
    assert server_of(cluster, spread, 0) is target
    assert text(step(spread, claim, 1)) == "def"
    assert everything(spread) == "abcdef"


def test_a_slot_that_nobody_has_is_away(spread: RedisStore) -> None:
    key = spread._names.of(0, 3).w
    spread._servers._slots[key_slot(key.encode())] = None

    found = append(spread, parcel("a", partition=3), parcel("a", partition=4))

    assert kinds(found) == ["StorageAway", None]


def test_shards_that_depend_on_each_other_are_a_risk(cluster: Cluster, opened: Any) -> None:
    with cluster.servers[0].client() as client:
        client.config_set("cluster-require-full-coverage", "yes")
        warnings = opened(cluster.url).warnings
        client.config_set("cluster-require-full-coverage", "no")

    assert len(warnings) == 4
    assert "cluster-require-full-coverage is yes" in warnings[-1]
    assert len(opened(cluster.url).warnings) == 3


def test_a_primary_whose_replica_takes_over_has_lost_nothing(
    kind: str, tmp_path: Any, opened: Callable[..., RedisStore]
) -> None:
    cluster = Cluster(kind, tmp_path, replicas=True)
    try:
        store = opened(cluster.url, partitions=6, ack="replicated", lease=60)
        append(store, *(parcel("abc", partition=each) for each in range(6)))
        claims = [claimed(store, each) for each in range(6)]
        server_of(cluster, store, 0).kill()

        # No replica is left to have it, too: it never says that it is there, though it is.
        end = time.monotonic() + 30
        while not has(store, 0, 4):
            assert kinds(append(store, parcel("d", known=3))) == ["StorageAway"]
            assert time.monotonic() < end
        assert text(step(store, claims[0])) == "abcd"
    finally:
        cluster.stop()


def has(store: RedisStore, partition: int, records: int) -> bool:
    try:
        return store.depth()[partition].appended == records
    except StorageAway:
        return False
