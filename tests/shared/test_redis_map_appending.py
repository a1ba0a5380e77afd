"""Parcels of Maps: each is done once, however often it is sent; and what is found of a key."""

import os
import signal
from typing import Any

import pytest
from mapops import add, delete, kept, newer, ops_of, part, put, swapped, values
from parcels import append, claimed, kinds
from relays import Relay
from servers import Server

from partitioned_buffer.abc.shared_map import MOST_PARTS, Found, Tally
from partitioned_buffer.abc.sharing import Gap, Part
from partitioned_buffer.errors import StorageRefused
from partitioned_buffer.storage.redis.store import RedisStore


@pytest.fixture
def store(opened: Any) -> RedisStore:
    store = opened(of="Map")
    assert isinstance(store, RedisStore)
    return store


def waiting(store: RedisStore, *keys: str, partition: int = 0) -> dict[str, Any]:
    """Return the values that wait."""
    found = {key: store.get(partition, key.encode(), "p").waiting for key in keys}
    return {key: kept(record).value.decode() for key, record in found.items() if record}


def test_what_is_appended_waits(store: RedisStore) -> None:
    first, second = ops_of(put("a", "1"), put("b", "2")), ops_of(put("a", "3"), known=2)
    other = ops_of(newer("z", "4", 9), partition=1)

    assert append(store, first, second, other) == [None, None, None]

    assert waiting(store, "a", "b", "z") == {"a": "3", "b": "2"}
    assert waiting(store, "z", partition=1) == {"z": "4"}


def test_what_is_sent_again_is_done_once(store: RedisStore) -> None:
    parcels = ops_of(add("a", 1), add("b", 2)), ops_of(add("a", 3), known=2)
    for _ in range(3):
        assert append(store, *parcels) == [None, None]
    assert append(store, parcels[0]) == [None]

    assert waiting(store, "a", "b") == {"a": "i4", "b": "i2"}
    assert store.depth()[0][2:4] == (3, 1)


def test_gaps_parts_and_what_is_behind_them(store: RedisStore) -> None:
    append(store, ops_of(put("a", "1"), put("b", "2"), first=11))

    (gap,) = append(store, ops_of(put("c", "3"), known=15))
    assert isinstance(gap, Gap)
    assert gap.had == 2
    found = append(
        store, ops_of(put("b", "2"), put("c", "3"), known=11), ops_of(put("d", "4"), known=13)
    )
    assert kinds(found) == ["Part", "StorageAway"]
    assert isinstance(found[0], Part)
    assert (found[0].upto, found[0].had) == (12, 2)
    assert append(store, ops_of(put("c", "3"), known=12)) == [None]
    assert waiting(store, "a", "b", "c", "d") == {"a": "1", "b": "2", "c": "3"}


def test_many_replies_that_are_lost_do_no_harm(
    store: RedisStore, opened: Any, relay: Relay
) -> None:
    far = opened(relay.url, of="Map")
    for number in range(40):
        relay.cut_replies = number % 3
        while kinds(append(far, ops_of(add("k", number), known=number))) == ["StorageAway"]:
            pass

    assert waiting(store, "k") == {"k": f"i{sum(range(40))}"}
    assert relay.cuts > 30


def test_a_partition_that_is_full_takes_more_when_there_is_room(opened: Any) -> None:
    store = opened(of="Map", limit=5)  # 3 in each of two partitions
    assert append(store, ops_of(*(put(key, "1") for key in "abc"))) == [None]

    assert kinds(append(store, ops_of(put("d", "1"), known=3))) == ["StorageFull"]
    assert append(store, ops_of(put("a", "2"), known=3)) == [None]
    (full,) = append(store, ops_of(put("d", "1"), known=4))
    assert "holds 3 records of 3" in str(full)
    claim = claimed(store)
    swapped(store, claim)
    swapped(store, claim, 1, delivered=["a"])
    assert append(store, ops_of(put("d", "1"), known=4)) == [None]


def test_too_many_parts_of_a_key_wait_for_a_worker(store: RedisStore) -> None:
    half = "x" * (MOST_PARTS // 2)
    assert append(store, ops_of(part("k", half))) == [None]

    (full,) = append(store, ops_of(part("k", half), put("a", "1"), known=1))
    assert kinds([full]) == ["StorageFull"]
    assert f"{MOST_PARTS + 8} bytes of parts" in str(full)
    assert waiting(store, "a") == {}
    swapped(store, claimed(store))
    assert append(store, ops_of(part("k", half), put("a", "1"), known=1)) == [None]


def test_what_a_producer_counted_is_counted(store: RedisStore) -> None:
    parcel = ops_of(put("a", "1"), put("b", "1"))._replace(tally=Tally(9, 3, 4))
    append(store, parcel, parcel)

    depth = store.depth()[0]
    assert (depth.appended, depth.settled, depth.coalesced, depth.deleted) == (9, 7, 3, 4)


def test_one_look_finds_all_there_is_of_a_key(store: RedisStore) -> None:
    assert store.get(0, b"a", "p") == Found(None, None, 0)
    first, second = put("a", "1"), put("a", "2")
    append(store, ops_of(first, first=7))
    swapped(store, claimed(store))
    append(store, ops_of(second, put("b", "1"), known=7))

    assert store.get(0, b"a", "p") == Found(second[1], first[1], 9)
    assert store.get(0, b"a", "another") == Found(second[1], first[1], 0)
    assert store.get(1, b"a", "p") == Found(None, None, 0)


def test_a_queue_has_no_keys(opened: Any) -> None:
    with pytest.raises(StorageRefused, match="a Queue has no keys"):
        opened().get(0, b"a", "p")


def test_keys_and_values_may_be_any_bytes(store: RedisStore) -> None:
    key, record = bytes(range(256)), put("", "")[1] + bytes(range(256))
    append(store, ops_of((key, record), (b"", record)))

    assert store.get(0, key, "p").waiting == store.get(0, b"", "p").waiting == record
    entries = swapped(store, claimed(store)).entries
    assert sorted(entries) == [(b"", record), (key, record)]


def test_a_kind_is_pinned(store: RedisStore, opened: Any) -> None:
    with pytest.raises(StorageRefused, match="kind is 'Map' there, 'Queue' here"):
        opened()


def test_a_producer_that_retires_leaves_nothing(store: RedisStore, client: Any, name: str) -> None:
    append(store, ops_of(put("a", "1")), ops_of(put("b", "1"), partition=1))
    store.retire("p")

    assert client.keys(f"{{{name}:*:d:*") == []


def test_a_server_without_memory_does_all_or_nothing(own: Any, opened: Any) -> None:
    server = own()
    store = opened(server.url, of="Map")
    append(store, ops_of(newer("a", "1", 1), newer("b", "1", 1)))
    with server.client() as client:
        client.config_set("maxmemory", 1)
        worker = opened(server.url, of="Map")
        parcel = ops_of(delete("a"), add("c", 1), known=2)
        before = worker.depth()[0][:-3]

        assert kinds(append(worker, parcel)) == ["StorageFull"]
        assert waiting(worker, "a", "b", "c") == {"a": "1", "b": "1"}
        assert worker.depth()[0][2:6] == before[2:6]

        claim = claimed(worker)
        assert values(swapped(worker, claim).entries) == {"a": "1", "b": "1"}
        assert swapped(worker, claim, 1, delivered=["a", "b"]).left == 0
        assert client.hlen(f"{{{store._names._name}:0:0}}:v0") == 2
        client.config_set("maxmemory", 0)
        assert append(worker, parcel) == [None]
        assert waiting(worker, "a", "c") == {"c": "i1"}


@pytest.mark.parametrize(
    "rights",
    ["-hscan", "-rename", "-unlink", "-hdel", "-hmget", "-hlen", "-hset", "-sadd", "-srem"],
)
def test_a_user_that_may_not_do_all_is_refused(own: Any, opened: Any, rights: str) -> None:
    server = own()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">x", "~*", "&*", "+@all", rights)

        with pytest.raises(StorageRefused, match="allowed"):
            opened(f"redis://me:x@127.0.0.1:{server.port}", of="Map")


def test_trying_out_a_map_leaves_nothing(own: Any, opened: Any) -> None:
    server = own()
    opened(server.url, of="Map")
    with server.client() as client:
        assert [each.rpartition(b":")[2] for each in client.keys("*")] == [b"config"]


def test_a_server_that_sleeps_keeps_who_gets_no_longer_than_a_call(own: Any, opened: Any) -> None:
    server: Server = own()
    store = opened(server.url, of="Map")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Exception, match="Timeout"):
            store.get(0, b"a", "p")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert store.get(0, b"a", "p") == Found(None, None, 0)
