"""Claims, workers, and what was given up."""

import struct
import time
from types import SimpleNamespace
from typing import Any

import pytest
from parcels import append, claimed, everything, parcel, step
from relays import Relay
from servers import wait_until

from partitioned_buffer.abc.sharing import ClaimLost, Depth, StorageAway, Want
from partitioned_buffer.storage.redis import letters
from partitioned_buffer.storage.redis.naming import Names
from partitioned_buffer.storage.redis.store import RedisStore


def test_a_partition_is_one_workers(store: RedisStore, opened: Any) -> None:
    other = opened()
    claim = claimed(store)

    assert other.claim(0) is None
    assert other.claim(1) is not None

    store.release(claim)
    assert other.claim(0) is not None
    assert store.claim(0) is None


def test_who_asks_for_what_it_has_gets_it_anew(store: RedisStore) -> None:
    old = claimed(store)
    new = claimed(store)

    assert new.token > old.token
    step(store, new)
    with pytest.raises(ClaimLost):
        step(store, old)


def test_tokens_grow_even_where_the_server_forgot(
    store: RedisStore, client: Any, name: str
) -> None:
    tokens = []
    for _ in range(3):
        claim = claimed(store)
        store.release(claim)
        tokens.append(claim.token)
    client.delete(f"{{{name}:0:0}}:meta")
    time.sleep(0.01)
    tokens.append(claimed(store).token)

    assert sorted(set(tokens)) == tokens


def test_tokens_grow_where_the_clock_was_set_back(
    store: RedisStore, client: Any, name: str
) -> None:
    client.hset(f"{{{name}:0:0}}:meta", "token", 1 << 50)

    assert claimed(store).token == (1 << 50) + 1


def test_a_lease_ends_and_the_next_goes_on(opened: Any) -> None:
    store, other = opened(lease=0.3), opened()
    append(store, parcel("abc"))
    claim = claimed(store)
    step(store, claim)

    wait_until(lambda: other.claim(0) is not None)

    assert time.monotonic() >= claim.until
    with pytest.raises(ClaimLost):
        step(store, claim, 2)
    with pytest.raises(ClaimLost):
        store.bury(claim, b"a", 1, "no", 1)
    store.release(claim)  # of another by now: nothing happens
    assert store.claim(0) is None


def test_a_step_makes_a_claim_last(opened: Any) -> None:
    store = opened(lease=1)
    claim = claimed(store)
    until = claim.until
    time.sleep(0.01)

    step(store, claim)

    assert until < claim.until <= time.monotonic() + 0.9


def test_workers_know_each_other_in_one_order(store: RedisStore, opened: Any) -> None:
    other, short = opened(), opened(lease=0.2)

    store.beat()
    other.beat()
    assert store.beat() == other.beat() == sorted([store.me, other.me])

    short.beat()
    assert short.me in store.beat()
    wait_until(lambda: short.me not in store.beat())
    assert other.beat(leave=True) == [store.me]


def test_what_was_given_up_is_kept(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "time", SimpleNamespace(time=iter([1.7e9, 1.8e9]).__next__))
    append(store, parcel("abcd"))
    claim = claimed(store)

    store.bury(claim, b"ab", 2, "ValueError: nö", 3)
    store.bury(claim, b"c", 1, "", 1)
    assert (store.depth()[0].dead, store.depth()[0].kept) == (0, 3)  # held still
    store.step(0, [Want(claim, 3, 0, 0, 3)])

    first, second = store.dead(0)
    assert first[1:] == (b"ab", 2, "ValueError: nö", 3, 1.7e9)
    assert second[1:] == (b"c", 1, "", 1, 1.8e9)
    assert store.last_dead(2, 9) == [second, first]
    assert store.depth()[0].dead == 3

    store.forget_dead(0, first[0])
    store.forget_dead(0, first[0])
    assert [*store.dead(0)] == [second]
    assert (store.depth()[0].dead, store.depth()[0].kept) == (3, 1)
    assert [*store.dead(1)] == []


def test_what_an_earlier_version_has_given_up_is_read(
    store: RedisStore, client: Any, name: str
) -> None:
    """It did not say when."""
    claim = claimed(store)
    store.bury(claim, b"b", 1, "new", 4)
    old = struct.pack(">III", 2, 3, len(b"old")) + b"old" + b"aa"
    client.hset(Names(name).of(0, 0).dead, "1", old)
    ((_, *letter),) = store.dead(0)
    assert letter == [b"aa", 2, "old", 3, None]
    assert [each[1:] for each in store.last_dead(2, 9)] == [(b"aa", 2, "old", 3, None)]


def test_what_was_given_up_is_kept_once_where_a_reply_was_lost(
    store: RedisStore, opened: Any, relay: Relay
) -> None:
    far = opened(relay.url)
    claim = claimed(far)
    far.bury(claim, b"a", 1, "no", 1)
    relay.cut_replies = 1

    with pytest.raises(StorageAway):
        far.bury(claim, b"b", 1, "no", 1)
    far.bury(claim, b"b", 1, "no", 1)
    far.bury(claim, b"b", 1, "no", 1)  # as another record that equals it

    assert [each[1] for each in store.dead(0)] == [b"a", b"b", b"b"]


def test_another_letter_after_a_lost_reply_is_another(
    store: RedisStore, opened: Any, relay: Relay
) -> None:
    far = opened(relay.url)
    claim = claimed(far)
    relay.cut_replies = 1
    with pytest.raises(StorageAway):
        far.bury(claim, b"a", 1, "no", 1)

    far.bury(claim, b"b", 1, "no", 1)

    assert [each[1] for each in store.dead(0)] == [b"a", b"b"]


def test_what_was_forgotten_while_it_is_read_is_left_out(store: RedisStore) -> None:
    claim = claimed(store)
    for letter in (b"a", b"b", b"c"):
        store.bury(claim, letter, 1, "no", 1)
    found = []

    for number, data, *_ in store.dead(0):
        found.append(data)
        store.forget_dead(0, number)
        store.forget_dead(0, number + 1)

    assert found == [b"a", b"c"]


def test_depth_says_how_it_is(store: RedisStore, client: Any) -> None:
    append(store, parcel("abc"), parcel("de", known=3))
    claim = claimed(store)
    step(store, claim)
    step(store, claim, 4)
    time.sleep(0.05)

    first, second = store.depth()

    assert first[:6] == (0, 0, 5, 4, 0, 0)
    assert first.oldest is not None
    assert 0.04 < first.oldest < 5
    assert first.owner == store.me
    assert second == Depth(0, 1, 0, 0, 0, 0, None, None)


def test_nothing_is_old_where_nothing_is_held(store: RedisStore) -> None:
    append(store, parcel("abc"))
    claim = claimed(store)
    step(store, claim)
    step(store, claim, 3)

    assert store.depth()[0][2:7] == (3, 3, 0, 0, None)
    assert everything(store) == ""
