"""Another number of partitions for a Map, at rest: all it holds goes there, once."""

import itertools
import threading
from typing import Any

import pytest
from helpers import in_thread
from mapops import delete, kept, newer, ops_of, put, swapped
from parcels import append, claimed, kinds
from servers import Cluster, Server

from partitioned_buffer import Map
from partitioned_buffer.abc.dealing import slot_numbers
from partitioned_buffer.abc.sharing import ClaimLost, MapOp, Sealed, Swap, Want
from partitioned_buffer.errors import StorageRefused
from partitioned_buffer.storage.redis import Redis
from partitioned_buffer.storage.redis.store import RedisStore
from partitioned_buffer.testing.contract.base import eventually

COUNT = 700
"""Keys of each kind: more than are moved at a time."""


@pytest.fixture
def store(opened: Any) -> RedisStore:
    store = opened(of="Map", remember=9999)
    assert isinstance(store, RedisStore)
    return store


def place(number: int, partitions: int) -> int:
    """Return the partition of the key of that number: its hash is that, with a sign."""
    slots = slot_numbers(partitions)
    return slots[hash_of(number) % len(slots)]


def hash_of(number: int) -> int:
    return -(number << 33) if number % 2 else number << 33


def send(store: RedisStore, generation: int, *ops: tuple[int, MapOp], known: int = 0) -> int:
    """Append ops, each of the key of a number; return the mark of the last one."""
    partitions = store.layout.partitions
    for partition in range(partitions):
        mine = [op for number, op in ops if place(number, partitions) == partition]
        if mine:
            one = ops_of(
                *mine, known=-1, first=known + 1, partition=partition, generation=generation
            )
            assert append(store, one) == [None]
    return known + len(ops)


def filled(store: RedisStore, count: int = COUNT) -> Any:
    """Have keys that are delivered, in flight, waiting, and both; return the sums."""
    numbers = range(count)
    mark = send(
        store, 0, *((each, newer(f"d{each}", "1", 5, hashed=hash_of(each))) for each in numbers)
    )
    for partition in range(store.layout.partitions):
        claim = claimed(store, partition)
        keys = [key.decode() for key, _ in swapped(store, claim, records=99999).entries]
        swapped(store, claim, 1, delivered=keys)
        store.release(claim)
    mark = send(
        store,
        0,
        *((each, put(f"r{each}", "2", hashed=hash_of(each))) for each in numbers),
        known=mark,
    )
    for partition in range(store.layout.partitions):
        claim = claimed(store, partition)
        swapped(store, claim, records=1)
        store.release(claim)
    for name in ("w", "r"):
        mark = send(
            store,
            0,
            *((each, put(f"{name}{each}", "3", hashed=hash_of(each))) for each in numbers),
            known=mark,
        )
    send(store, 0, (0, delete("r0")), known=mark)
    return sums(store)


def sums(store: RedisStore) -> Any:
    """Return the numbers of the whole."""
    depths = store.depth()
    for each in depths:
        assert (
            (each.goal > each.passed) == (each.appended > each.settled) == (each.oldest is not None)
        )
    names = "appended", "settled", "coalesced", "deleted", "dead"
    return {name: sum(getattr(each, name) for each in depths) for name in names}


def is_all_there(store: RedisStore, generation: int, count: int = COUNT) -> None:
    """See that each partition has what is its own, and nothing else."""
    partitions = store.layout.partitions
    assert (store.layout.generation, store.duty) == (generation, store.layout)
    for partition in range(partitions):
        claim = claimed(store, partition)
        mine = {each for each in range(count) if place(each, partitions) == partition}
        flying = swapped(store, claim, records=99999)
        assert {key: kept(record).value for key, record in flying.entries} == {
            f"r{each}".encode(): b"2" for each in mine if each
        }
        assert (flying.left, flying.waiting) == (len(mine - {0}), 2 * len(mine) - (0 in mine))
        settled = [key.decode() for key, _ in flying.entries]
        waiting = swapped(store, claim, flying.number, delivered=settled, records=99999)
        assert {key: kept(record).value for key, record in waiting.entries} == {
            f"{name}{each}".encode(): b"3" for name in "wr" for each in mine if each or name == "w"
        }
        swapped(
            store, claim, waiting.number, delivered=[key.decode() for key, _ in waiting.entries]
        )
        store.release(claim)
    late = [(each, newer(f"d{each}", "0", 5, hashed=hash_of(each))) for each in range(count)]
    send(store, generation, *late, known=1 << 30)
    assert sums(store)["coalesced"] >= count


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_all_of_it_goes_there(store: RedisStore, opened: Any, partitions: int) -> None:
    before, other = filled(store), opened(of="Map")
    sealed = ops_of(put("x", "1"), known=1 << 40, first=(1 << 40) + 1)

    store.resize(partitions)

    assert sums(store) == before
    assert store.refresh()
    assert sums(store) == before
    assert kinds(append(other, sealed._replace(known=-1))) == ["Sealed"]
    with pytest.raises(Sealed, match="generation 1 goes on"):
        other.get(0, b"w1", "p")
    assert other.refresh()
    assert not other.refresh()
    assert (other.layout, other.duty) == (store.layout, store.duty)
    is_all_there(store, 1)


def test_it_may_be_done_again(store: RedisStore) -> None:
    before = filled(store)
    for generation, partitions in enumerate((3, 1, 5), 1):
        store.resize(partitions)
        store.refresh()
        assert store.layout.generation == generation
        assert sums(store) == before
    is_all_there(store, 3)


def test_an_empty_one_is_empty_then(store: RedisStore) -> None:
    store.resize(3)
    store.refresh()

    assert (store.layout.partitions, store.duty) == (3, store.layout)
    assert [each[2:7] for each in store.depth()] == 5 * [(0, 0, 0, 0, None)]
    assert [each.swap for each in store.depth()] == 5 * [(0, 0)]


def test_nothing_is_done_while_somebody_works(store: RedisStore, opened: Any) -> None:
    worker = opened(of="Map")
    worker.beat()
    with pytest.raises(StorageRefused, match=rf"at rest.*{worker.me}: stop them"):
        store.resize(3)
    worker.beat(leave=True)
    claim = claimed(worker)
    with pytest.raises(StorageRefused, match=rf"at rest.*{worker.me}: stop them"):
        store.resize(3)
    worker.release(claim)

    store.resize(2)  # as it is
    store.resize(3)
    assert store.refresh()


def test_who_comes_in_the_middle_does_no_harm(
    store: RedisStore, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that claims just when it is looked at: it gets nothing of what is sealed."""
    before, worker = filled(store, 20), opened(of="Map")
    claim, real = None, store._layouts._check_rest

    def looked(generation: int) -> None:
        nonlocal claim
        real(generation)
        claim = claimed(worker)
        assert swapped(worker, claim).left

    monkeypatch.setattr(store._layouts, "_check_rest", looked)
    store.resize(3)
    assert claim is not None
    with pytest.raises(ClaimLost):
        swapped(worker, claim, 2, delivered=["r1"])
    store.refresh()
    assert sums(store) == before
    is_all_there(store, 1, 20)


@pytest.mark.parametrize("who", ["again", "another", "refresh"])
def test_who_died_moving_is_helped(opened: Any, name: str, who: str) -> None:
    for died in itertools.count():
        named = f"{name}-{died}"
        store, other = (opened(of="Map", named=named, remember=9999) for _ in range(2))
        before, is_dead = filled(store, 20), False
        with pytest.MonkeyPatch.context() as patch:
            calls, run = iter(range(1000)), store._servers.run

            def dying(*args: Any, **options: Any) -> Any:
                if next(calls) == died:  # it is over before the next
                    raise KeyboardInterrupt
                return run(*args, **options)

            patch.setattr(store._servers, "run", dying)
            try:
                store.resize(3)
                store.refresh()
            except KeyboardInterrupt:
                is_dead = True
        if who == "again":
            store.resize(3)
        elif who == "another":
            other.resize(4)
        other.refresh()
        store.refresh()
        assert sums(store) == before
        if who == "refresh" and store.layout.generation == 0:
            assert died < 4  # it was not begun
            store.resize(3)
            store.refresh()
        is_all_there(
            store, 2 if store.layout.partitions == 4 and died > 4 else store.layout.generation, 20
        )
        if not is_dead:
            break
    assert died > 15


def test_several_at_once_do_it_once(opened: Any, store: RedisStore) -> None:
    before = filled(store)
    stores = [opened(of="Map", remember=9999) for _ in range(3)]
    threads = [threading.Thread(target=each.resize, args=(5,)) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()

    for each in (store, *stores):
        each.refresh()
        assert each.layout == each.duty == store.layout
    assert store.layout.generation == 1
    assert sums(store) == before
    is_all_there(store, 1)


def test_a_slow_one_brings_nothing_back(opened: Any, store: RedisStore) -> None:
    """It has read what is to be copied, and copies it when all is delivered already."""
    filled(store, 20)
    slow, copies = opened(of="Map"), list[Any]()
    with pytest.MonkeyPatch.context() as patch:
        spread = slow._servers.spread

        def later(use: str, keyed: Any, **options: Any) -> Any:
            copies.append(keyed)
            return [1] * len(keyed)

        patch.setattr(slow._servers, "spread", later)
        patch.setattr(slow._layouts, "_turn", lambda *_args, **_to: None)
        slow._layouts._config = slow._layouts._config._replace(next=3)
        patch.setattr(slow._layouts, "_read", lambda: None)
        slow._layouts._go_on()
    store.resize(3)
    store.refresh()
    is_all_there(store, 1, 20)
    before = store.depth()

    for keyed in copies:
        spread("rest", keyed)
    assert [each._replace(oldest=None) for each in store.depth()] == [
        each._replace(oldest=None) for each in before
    ]


def test_a_flush_waits_for_what_was_moved_just_before_it_was_looked_at(
    store: RedisStore, server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process knows the earlier layout alone, of which nothing is left."""
    with Map[int, int](name, storage=Redis(server.url, codec="pickle", lease=5)) as writer:
        writer.put_all({key: key for key in range(20)})
        eventually(lambda: sum(each.appended for each in store.depth()) == 20)
        clerk, far = writer._admission.sharing.clerk, writer._admission.sharing.store
        look, moved = far.depth, list[bool]()  # one for each look since

        def depth() -> Any:
            if clerk._flushes and clerk._flushes[0].targets:
                if not moved:
                    store.resize(3)
                    store.refresh()
                moved.append(True)
            return look()

        monkeypatch.setattr(far, "depth", depth)
        thread, outcome = in_thread(lambda: writer.flush(60))
        eventually(lambda: len(moved) > 5)
        assert thread.is_alive(), "nobody has delivered anything yet"
        for partition in range(3):
            claim = claimed(store, partition)
            swap = swapped(store, claim)
            keys = [key for key, _ in swap.entries]
            (answer,) = store.step(0, [Want(claim, swap.number, 0, 0, 0, keys)])
            assert isinstance(answer, Swap)
        thread.join(60)
        assert outcome == [None]


def test_a_cluster_moves_from_server_to_server(
    kind: str, opened: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cluster = Cluster(kind, tmp_path_factory.mktemp("moving"))
    try:
        store = opened(cluster.url, of="Map", partitions=5, remember=9999)
        before = filled(store, 100)
        store.resize(12)
        store.refresh()
        assert len([lane for lane in store.layout.lanes if lane]) == 3
        assert sums(store) == before
        is_all_there(store, 1, 100)
    finally:
        cluster.stop()
