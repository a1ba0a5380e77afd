"""Another number of partitions, while it runs."""

import threading
from typing import Any

import pytest
from parcels import append, claimed, kinds, parcel, step, text
from servers import wait_until

from partitioned_buffer.abc.sharing import Layout
from partitioned_buffer.errors import InvalidOption, StorageError, StorageRefused
from partitioned_buffer.storage.redis.scripts import call
from partitioned_buffer.storage.redis.store import RedisStore


def resized(store: RedisStore, partitions: int) -> None:
    store.resize(partitions)
    store.refresh()


def is_(layout: Layout, generation: int, partitions: int) -> bool:
    return layout == (generation, partitions, (tuple(range(partitions)),))


def test_the_first_to_open_pins_how_many(opened: Any) -> None:
    assert opened(partitions=None).layout.partitions == 8
    assert is_(opened(partitions=8).layout, 0, 8)


def test_a_layout_is_delivered_to_its_end_before_the_next(store: RedisStore, opened: Any) -> None:
    append(store, parcel("abc"))
    other = opened()

    resized(store, 3)

    assert is_(store.layout, 1, 3)
    assert is_(store.duty, 0, 2)
    assert kinds(append(other, parcel("d", known=3))) == ["Sealed"]
    assert append(other, parcel("abc")) == [None]  # was had before
    assert other.refresh()
    assert not other.refresh()
    assert other.layout == store.layout
    assert append(other, parcel("d", generation=1)) == [None]

    claim = claimed(other)
    assert claim.generation == 0
    assert text(step(other, claim)) == "abc"
    assert not other.refresh()
    step(other, claim, 3)
    assert other.refresh()
    assert other.duty == other.layout
    assert claimed(other).generation == 1
    assert text(step(other, claimed(other))) == "d"
    assert store.refresh()
    assert store.duty == store.layout


def test_layouts_that_hold_nothing_are_passed_over(store: RedisStore, opened: Any) -> None:
    for partitions in (3, 1, 5):
        resized(store, partitions)

    assert is_(store.layout, 3, 5)
    assert is_(store.duty, 3, 5)
    resized(store, 5)
    assert store.layout.generation == 3
    assert opened(partitions=5).layout.generation == 3


def test_depth_tells_of_both_layouts(store: RedisStore) -> None:
    append(store, parcel("abc"))
    resized(store, 1)
    append(store, parcel("d", generation=1))

    assert [each[:4] for each in store.depth()] == [(0, 0, 3, 0), (0, 1, 0, 0), (1, 0, 1, 0)]


def test_what_was_given_up_is_found_after_a_resize(store: RedisStore) -> None:
    append(store, parcel("abc", partition=1))
    store.bury(claimed(store, 1), b"a", 1, "no", 1)
    resized(store, 1)
    resized(store, 3)
    append(store, parcel("d", generation=2))
    step(store, claimed(store, 1))
    step(store, claimed(store, 1), 3, given_up=1)
    store.refresh()
    store.bury(claimed(store, 1), b"b", 1, "no", 1)

    first, second = store.dead(1)
    assert (first[1], second[1]) == (b"a", b"b")
    assert {each.partition for each in store.depth()} == {0, 1, 2}
    assert {each.partition for each in store.depth() if each.dead} == {1}
    assert store.last_dead(20, 9) == [second, first]
    store.forget_dead(1, first[0])
    assert list(store.dead(1)) == [second]


@pytest.mark.parametrize("partitions", [0, -1, True, "3", 2.0])
def test_a_number_of_partitions_is_one(store: RedisStore, partitions: Any) -> None:
    with pytest.raises(InvalidOption, match="expected a number from 1"):
        resized(store, partitions)


@pytest.mark.parametrize("died", range(1, 6))
@pytest.mark.parametrize("who", ["again", "another", "refresh"])
def test_who_died_resizing_is_helped(
    store: RedisStore, opened: Any, monkeypatch: pytest.MonkeyPatch, died: int, who: str
) -> None:
    other = opened()
    append(store, parcel("abc"))
    calls, real = iter(range(100)), store._servers.call

    def dying(use: str, key: str, command: Any) -> Any:
        if command[1] in {call(each, [])[1] for each in ("turn", "seal")} and next(calls) == died:
            raise KeyboardInterrupt
        return real(use, key, command)

    with monkeypatch.context() as patch:
        patch.setattr(store._servers, "call", dying)
        try:
            resized(store, 3)
        except KeyboardInterrupt:
            pass
        else:
            assert died > 3  # what is planned, two seals, the turn

    if who == "again":
        resized(store, 3)
    elif who == "another":
        resized(other, 4)
    else:
        other.refresh()
    other.refresh()
    store.refresh()
    assert store.layout == other.layout
    assert store.layout.partitions == (4 if who == "another" else 3)
    assert store.duty.generation == 0
    assert kinds(append(store, parcel("d", known=3))) == ["Sealed"]


def test_two_that_resize_at_once_both_end(opened: Any, store: RedisStore) -> None:
    wanted = [3, 4, 5]
    stores = [opened() for _ in wanted]
    threads = [
        threading.Thread(target=each.resize, args=(number,))
        for each, number in zip(stores, wanted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()

    store.refresh()
    assert store.layout.partitions in wanted
    for each in stores:
        each.refresh()
        assert each.layout == each.duty == store.layout


def test_who_opens_while_it_is_resized_is_told_what_is_coming(
    store: RedisStore, opened: Any, client: Any, name: str
) -> None:
    client.hset(f"{{{name}}}:config", "next", 5)

    with pytest.raises(StorageRefused, match="partitions is '5' there, '2' here"):
        opened(partitions=2)
    assert opened(partitions=5).refresh()


def test_records_keep_their_order_while_it_is_resized(opened: Any, store: RedisStore) -> None:
    """One producer, one worker, and five resizes: all is there once, in order."""
    got, stop, resizer = list[int](), threading.Event(), opened()

    def work() -> None:
        worker = opened(partitions=None)
        while not stop.is_set():
            for partition in range(worker.duty.partitions):
                deliver(worker, partition, got)
            worker.refresh()

    def resize() -> None:
        for partitions in (3, 1, 5, 2):
            resizer.resize(partitions)

    threads = [threading.Thread(target=work), threading.Thread(target=resize)]
    for thread in threads:
        thread.start()
    sent = 0
    known = dict[tuple[int, int], int]()
    while sent < 600:
        layout = store.layout
        place = layout.generation, 7 % layout.partitions
        one = parcel(
            chr(sent), known=known.get(place, 0), first=sent + 1,
            generation=place[0], partition=place[1],
        )  # fmt: skip
        (error,) = append(store, one)
        if error is None:
            sent += 1
            known[place] = sent
        else:
            assert kinds([error]) == ["Sealed"]
            store.refresh()
    threads[1].join(20)
    wait_until(lambda: len(got) >= sent or not threads[0].is_alive())
    stop.set()
    threads[0].join(20)
    assert got == list(range(600))


def deliver(worker: RedisStore, partition: int, got: list[int]) -> None:
    claim = worker.claim(partition)
    if claim is None:
        return
    try:
        read = step(worker, claim)
        while read.chunks:
            for chunk in read.chunks:
                got.extend(map(ord, (chunk.data or b"").decode()))
            end = read.chunks[-1].start + read.chunks[-1].count
            read = step(worker, claim, end)
    except StorageError:
        pass


def test_two_threads_that_look_at_once_go_on_by_one_layout(
    opened: Any, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There would be no layout where they go on by two, and nobody could open the buffer."""
    append(store, parcel("abc"))
    resized(opened(), 3)
    claim = claimed(store)
    step(store, claim)
    step(store, claim, 3)
    layouts, threads = store._layouts, list[threading.Thread]()
    is_done = layouts._is_done

    def is_done_slowly(generation: int) -> bool:
        done = is_done(generation)
        if not threads:
            threads.append(threading.Thread(target=store.refresh))
            threads[0].start()
            threads[0].join(0.5)
        return done

    monkeypatch.setattr(layouts, "_is_done", is_done_slowly)
    store.refresh()
    threads[0].join(5)

    assert is_(store.duty, 1, 3)
    assert is_(opened(partitions=None).duty, 1, 3)
