"""Steps of Maps: swap, settle, read on; and the same again does no harm."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from mapops import delete, newer, ops_of, put, swapped, values
from parcels import append, claimed
from relays import Relay
from servers import Server

from partitioned_buffer.abc.sharing import ClaimLost, Depth, MapOp, StorageAway, Swap, Want
from partitioned_buffer.storage.redis.store import RedisStore


@pytest.fixture
def store(opened: Any) -> RedisStore:
    store = opened(of="Map")
    assert isinstance(store, RedisStore)
    return store


def test_nothing_is_nothing(store: RedisStore) -> None:
    assert swapped(store, claimed(store)) == Swap(0, [], True, 0, 0)


def test_what_waits_flies_until_all_of_it_is_settled(store: RedisStore) -> None:
    first = put("a", "1"), put("b", "2")
    append(store, ops_of(*first))
    claim = claimed(store)

    swap = swapped(store, claim)
    assert swap._replace(entries=sorted(swap.entries)) == Swap(1, [*first], True, 2, 0)
    append(store, ops_of(put("a", "3"), known=2))
    assert swapped(store, claim, 1) == Swap(1, [], True, 2, 1)
    assert swapped(store, claim, 1, delivered=["a"]) == Swap(1, [], True, 1, 1)
    assert swapped(store, claim, 1, buried=["b"]) == Swap(2, [put("a", "3")], True, 1, 0)
    assert swapped(store, claim, 2, delivered=["a"]) == Swap(2, [], True, 0, 0)


def test_a_step_may_settle_without_reading(store: RedisStore) -> None:
    append(store, ops_of(put("a", "1")))
    claim = claimed(store)

    assert swapped(store, claim, records=0) == Swap(0, [], True, 0, 1)
    swapped(store, claim)
    append(store, ops_of(put("a", "2"), known=1))
    assert swapped(store, claim, 1, delivered=["a"], records=0) == Swap(1, [], True, 0, 1)
    assert swapped(store, claim, 1).number == 2


def test_keys_of_another_swap_are_not_settled(store: RedisStore) -> None:
    append(store, ops_of(put("a", "1")))
    claim = claimed(store)
    swapped(store, claim)

    assert swapped(store, claim, 0, delivered=["a"]).left == 1
    assert swapped(store, claim, -1, delivered=["a"]).left == 1


def test_another_owner_reads_what_is_not_settled(store: RedisStore) -> None:
    append(store, ops_of(*(put(key, key) for key in "abcd")))
    claim = claimed(store)
    swapped(store, claim)
    swapped(store, claim, 1, delivered=["a", "c"])
    store.release(claim)

    assert values(swapped(store, claimed(store)).entries) == {"b": "b", "d": "d"}


def read_all(
    store: RedisStore, claim: Any, *, records: int = 100, swap: int = -1
) -> dict[str, str]:
    """Return all there is in flight, as a claim is given it."""
    found, is_all = dict[str, str](), False
    while not is_all:
        step = swapped(store, claim, swap, records=records)
        found |= values(step.entries)
        is_all, swap = step.is_all, step.number
    return found


@pytest.mark.parametrize("cuts", [0, 1])
@pytest.mark.parametrize("size", [1, 300])
def test_large_swaps_are_read_on_and_settled_meanwhile(
    store: RedisStore, opened: Any, relay: Relay, size: int, cuts: int
) -> None:
    everything = {f"k{number}": "x" * (number % size + 1) for number in range(3000)}
    append(store, ops_of(*(put(key, value) for key, value in everything.items())))
    far = opened(relay.url, of="Map")
    claim, found, hand, swap, turn = claimed(far), dict[str, str](), list[str](), -1, 0
    while True:
        turn += 1
        relay.cut_replies = cuts * (turn % 3 == 0)
        gone = hand[: len(hand) // 2]
        try:
            step = swapped(far, claim, swap, delivered=gone, records=100)
        except StorageAway:
            continue
        swap, hand = step.number, [*hand[len(gone) :], *values(step.entries)]
        for key, value in values(step.entries).items():
            assert found.setdefault(key, value) == value
        if step.is_all:
            break

    assert found == everything
    assert 10 < turn < 60
    assert swapped(far, claim, swap, delivered=list(dict.fromkeys(hand))).left == 0
    depth = store.depth()[0]
    assert (depth.appended, depth.settled) == (3000, 3000)


def test_no_more_is_read_than_was_asked_for(store: RedisStore) -> None:
    append(store, ops_of(*(put(f"k{number}", "x" * 1000) for number in range(1000))))
    claim = claimed(store)

    assert 1 <= len(swapped(store, claim, max_bytes=1).entries) < 50
    step = swapped(store, claim, 1, records=100)
    assert 100 <= len(step.entries) < 250
    assert not step.is_all
    assert step.left == 1000


def test_a_reply_that_is_lost_does_no_harm(store: RedisStore, opened: Any, relay: Relay) -> None:
    append(store, ops_of(put("a", "1"), newer("b", "1", 1)))
    far = opened(relay.url, of="Map")
    claim = claimed(far)
    relay.cut_replies = 1
    with pytest.raises(StorageAway):
        swapped(far, claim)
    assert values(swapped(far, claim).entries) == {"a": "1", "b": "1"}
    append(store, ops_of(put("a", "2"), newer("b", "2", 2), known=2))

    relay.cut_replies = 1
    with pytest.raises(StorageAway):
        swapped(far, claim, 1, delivered=["a", "b"])
    for _ in range(2):  # swapped already: none of these are settled
        step = swapped(far, claim, 1, delivered=["a", "b"])
        assert (step.number, step.left) == (2, 2)
    assert swapped(far, claim, 2, delivered=["a", "b"]) == Swap(2, [], True, 0, 0)


def test_several_claims_take_one_step_each_with_its_own_fate(store: RedisStore) -> None:
    append(store, ops_of(put("a", "1")), ops_of(put("z", "2"), partition=1))
    first, second = claimed(store), claimed(store, 1)
    store.release(first)

    lost, swap = store.step(0, [Want(first, -1, 9, 99), Want(second, -1, 9, 99)])

    assert isinstance(lost, ClaimLost)
    assert isinstance(swap, Swap)
    assert values(swap.entries) == {"z": "2"}


def test_a_step_makes_the_claim_last(opened: Any) -> None:
    store = opened(of="Map", lease=0.5)
    claim = claimed(store)
    until = claim.until

    swapped(store, claim)

    assert claim.until > until


# --- what a server has lost


def test_a_server_that_lost_its_last_swap_takes_the_claim(
    store: RedisStore, client: Any, name: str
) -> None:
    append(store, ops_of(put("a", "1")))
    claim = claimed(store)
    swapped(store, claim)
    of = f"{{{name}:0:0}}"
    client.rename(f"{of}:r", f"{of}:w")
    client.hset(f"{of}:meta", "swap", 0)

    for _ in range(2):
        with pytest.raises(ClaimLost):
            swapped(store, claim, 1, delivered=["a"])
    assert values(swapped(store, claimed(store)).entries) == {"a": "1"}


def test_what_was_settled_and_is_there_again_comes_again(
    store: RedisStore, client: Any, name: str
) -> None:
    append(store, ops_of(*(put(key, key) for key in "abc")))
    claim = claimed(store)
    key, before = f"{{{name}:0:0}}:r", swapped(store, claim).entries
    swapped(store, claim, 1, delivered=["a", "b"])
    client.hset(key, mapping=dict(before))  # of a server that has lost its last writes

    # Until the claim has settled what it has in hand, that may be it.
    assert swapped(store, claim, 1) == Swap(1, [], True, 3, 0)
    step = swapped(store, claim, 1, delivered=["c"])
    assert (step.is_all, step.left) == (False, 2)
    assert values(swapped(store, claim, 1).entries) == {"a": "a", "b": "b"}
    assert swapped(store, claim, 1, delivered=["a", "b"]) == Swap(1, [], True, 0, 0)


def test_a_server_that_starts_again_in_the_middle_of_a_swap_loses_nothing(
    own: Any, opened: Any
) -> None:
    server: Server = own(aof=True)
    store = opened(server.url, of="Map", lease=60.0)
    keys = {f"k{number}" for number in range(4000)}
    append(store, ops_of(*(put(key, "x") for key in sorted(keys))))
    claim = claimed(store)
    step = swapped(store, claim, records=500)
    found, hand = values(step.entries), list(values(step.entries))
    server.stop()
    server.start()  # where keys hash to other places: the cursor means nothing any more
    while step.left:
        step = again(lambda: swapped(store, claim, 1, delivered=hand, records=500))
        hand = list(values(step.entries))
        found |= values(step.entries)

    assert found.keys() == keys
    assert store.depth()[0][2:4] == (4000, 4000)


def again(call: Any) -> Any:
    while True:
        try:
            return call()
        except StorageAway:
            time.sleep(0.05)


# --- versions


def test_versions_are_remembered_where_they_were_delivered(store: RedisStore) -> None:
    append(store, ops_of(newer("a", "1", 5), newer("b", "1", 5), newer("c", "1", 5)))
    claim = claimed(store)
    swapped(store, claim)
    swapped(store, claim, 1, delivered=["a", "b"], buried=["c"])

    append(store, ops_of(*(newer(key, "2", 5) for key in "abc"), newer("b", "3", 6), known=3))

    assert values(swapped(store, claim, 1).entries) == {"b": "3", "c": "2"}
    assert store.depth()[0].coalesced == 2


@pytest.mark.parametrize("remember", [0, 3])
def test_no_more_versions_are_remembered_than_told(opened: Any, remember: int) -> None:
    store = opened(of="Map", remember=remember)
    claim, swap = claimed(store), -1
    for number in range(9):
        append(store, ops_of(newer(f"k{number}", "1", 5), known=number))
        swap = swapped(store, claim, swap).number
        swapped(store, claim, swap, delivered=[f"k{number}"], records=0)

    append(store, ops_of(*(newer(f"k{number}", "2", 5) for number in range(9)), known=9))

    old = range(9) if remember == 0 else range(6)
    assert values(swapped(store, claim, swap).entries) == {f"k{number}": "2" for number in old}


# --- numbers


def test_depth_says_how_it_is(store: RedisStore, client: Any, name: str) -> None:
    assert store.depth()[0] == Depth(0, 0, 0, 0, 0, 0, None, None, swap=(0, 0))
    append(store, ops_of(put("a", "1"), put("b", "1"), put("a", "2")))
    first = store.depth()[0]
    assert first._replace(oldest=None) == Depth(0, 0, 3, 1, 0, 0, None, None, 1, 0, (1, 0))
    assert first.oldest is not None
    assert 0 <= first.oldest < 5
    claim = claimed(store)
    swapped(store, claim)
    append(store, ops_of(delete("b"), put("c", "1"), known=3))
    client.hincrby(f"{{{name}:0:0}}:meta", "began", -60_000)
    depth = store.depth()[0]
    assert depth._replace(oldest=None) == Depth(0, 0, 4, 2, 0, 0, None, store.me, 1, 1, (2, 0))
    assert depth.oldest is not None
    assert 60 <= depth.oldest < 65
    assert depth.goal > depth.passed
    swapped(store, claim, 1, delivered=["a"], records=0)
    depth = store.depth()[0]
    assert depth._replace(oldest=None) == Depth(0, 0, 4, 3, 0, 0, None, store.me, 1, 1, (2, 1))
    assert depth.oldest is not None
    assert depth.oldest < 5
    swapped(store, claim, 1)
    swapped(store, claim, 2, delivered=["c"])
    assert store.depth()[0] == Depth(0, 0, 4, 4, 0, 0, None, store.me, 1, 1, (2, 2))


def test_what_was_given_up_is_counted_and_kept(store: RedisStore) -> None:
    append(store, ops_of(*(put(key, key) for key in "abcd")))
    claim = claimed(store)
    swapped(store, claim)
    append(store, ops_of(delete("b"), known=4))  # while it is in hand
    store.bury(claim, b"a, b", 2, "no", 3)
    swapped(store, claim, 1, delivered=["d"], buried=["a", "b", "c"])

    depth = store.depth()[0]
    assert (depth.appended, depth.settled, depth.dead, depth.kept, depth.deleted) == (4, 4, 3, 2, 0)
    ((number, *letter, _),) = store.dead(0)
    assert letter == [b"a, b", 2, "no", 3]
    store.forget_dead(0, number)
    assert store.depth()[0].kept == 0


def test_the_books_balance_whatever_comes(store: RedisStore, opened: Any, relay: Relay) -> None:
    """A walk: accepted are delivered, dead, coalesced, deleted and held."""
    chance, far = random.Random(4), opened(relay.url, of="Map")
    mark, delivered, dead, hand, claim, swap = 0, 0, 0, set[str](), claimed(far), -1
    for _ in range(300):
        if chance.random() < 0.6:
            keys = chance.choices("abcdefghij", k=chance.randrange(1, 6))
            ops = [chance.choice(_OPS)(key, chance.randrange(9)) for key in keys]
            assert append(store, ops_of(*ops, known=mark)) == [None]
            mark += len(ops)
            hand -= {op[0].decode() for op in ops if op[0] and op[1][:1] == b"D"}
        else:
            gone = set(chance.sample(sorted(hand), chance.randrange(len(hand) + 1)))
            buried = set(chance.sample(sorted(gone), len(gone) // 3))
            step = swapped(
                far, claim, swap, delivered=sorted(gone - buried), buried=sorted(buried),
                records=chance.randrange(4),
            )  # fmt: skip
            delivered, dead = delivered + len(gone - buried), dead + len(buried)
            hand, swap = (hand if step.number == swap else set()) - gone, step.number
            hand |= values(step.entries).keys()
        depth = store.depth()[0]
        others = depth.coalesced + depth.deleted
        assert depth.dead == dead
        assert depth.settled == delivered + dead + others


_OPS: list[Callable[[str, int], MapOp]] = [
    lambda key, number: put(key, str(number)),
    lambda key, number: newer(key, str(number), number),
    lambda key, _number: delete(key),
]
