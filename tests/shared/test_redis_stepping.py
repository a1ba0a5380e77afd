"""Steps: stay the owner, forget what is settled, read on; and the same again does no harm."""

from typing import Any

import pytest
from parcels import append, claimed, parcel, step, text
from relays import Relay

from partitioned_buffer.abc import Chunk
from partitioned_buffer.abc.sharing import ClaimLost, Read, StorageAway, Want
from partitioned_buffer.storage.redis.store import RedisStore

pytestmark = pytest.mark.usefixtures("size")


def test_the_first_step_begins_at_what_is_not_settled(store: RedisStore) -> None:
    append(store, parcel("abc"), parcel("de", known=3))

    read = step(store, claimed(store))

    assert read == (0, [Chunk(0, 3, b"abc"), Chunk(3, 2, b"de")], 5)


def test_a_step_reads_on_behind_what_was_read(store: RedisStore) -> None:
    append(store, parcel("abc"), parcel("de", known=3))
    claim = claimed(store)

    assert text(step(store, claim, records=1)) == "abc"
    append(store, parcel("f", known=5))
    assert step(store, claim, 0) == (0, [Chunk(3, 2, b"de"), Chunk(5, 1, b"f")], 6)
    assert step(store, claim, 0) == (0, [], 6)


def test_a_step_settles_and_reads(store: RedisStore) -> None:
    append(store, parcel("abc"), parcel("de", known=3), parcel("f", known=5))
    claim = claimed(store)
    step(store, claim, records=4)

    assert step(store, claim, 4) == (4, [Chunk(5, 1, b"f")], 6)
    assert step(store, claim, 6) == (6, [], 6)


def test_a_step_may_settle_without_reading(store: RedisStore) -> None:
    append(store, parcel("abc"), parcel("de", known=3))
    claim = claimed(store)
    step(store, claim, records=1)

    assert step(store, claim, 3, records=0) == (3, [], 5)
    assert text(step(store, claim, 3)) == "de"


def test_another_owner_goes_on_where_all_before_is_settled(store: RedisStore) -> None:
    append(store, parcel("abc"), parcel("def", known=3))
    claim = claimed(store)
    step(store, claim)
    step(store, claim, 4)
    store.release(claim)

    # The chunk that the first record is in comes whole: the store knows nothing of records.
    assert step(store, claimed(store)) == (4, [Chunk(3, 3, b"def")], 6)


def test_what_was_settled_before_is_not_unsettled(store: RedisStore) -> None:
    append(store, parcel("abcdef"))
    claim = claimed(store)
    step(store, claim)

    assert step(store, claim, 5).settled == 5
    assert step(store, claim, 2).settled == 5


@pytest.mark.parametrize("settled", [2, 3, 4])
def test_a_reply_that_is_lost_does_no_harm(
    store: RedisStore, opened: Any, relay: Relay, settled: int
) -> None:
    append(store, parcel("abc"), parcel("de", known=3), parcel("f", known=5))
    far = opened(relay.url)
    claim = claimed(far)
    assert text(step(far, claim, records=4)) == "abcde"

    relay.cut_replies = 1
    with pytest.raises(StorageAway):
        step(far, claim, 2)

    # Meanwhile more may have been settled.
    assert step(far, claim, settled) == (settled, [Chunk(5, 1, b"f")], 6)


def test_a_first_reply_that_is_lost_does_no_harm(
    store: RedisStore, opened: Any, relay: Relay
) -> None:
    append(store, parcel("abc"))
    far = opened(relay.url)
    claim = claimed(far)
    relay.cut_replies = 1

    with pytest.raises(StorageAway):
        step(far, claim)

    assert text(step(far, claim)) == "abc"


@pytest.mark.parametrize("cuts", [0, 1])
@pytest.mark.parametrize("size", [1, 3, 70, 200])
def test_many_chunks_come_each_once_and_in_order(
    store: RedisStore, opened: Any, relay: Relay, size: int, cuts: int
) -> None:
    sent, known = "", 0
    while known < 1400:
        records = chr(ord("a") + known % 26) * (1 + known % size)
        append(store, parcel(records, known=known))
        sent, known = sent + records, known + len(records)
    far = opened(relay.url)
    claim, found, settled, lag = claimed(far), "", -1, 0
    while len(found) < known:
        lag += 1
        relay.cut_replies = cuts * (lag % 3 == 0)
        try:
            read = step(far, claim, settled, records=lag)
        except StorageAway:
            continue
        found += text(read)
        settled = max(0, len(found) - lag)

    assert found == sent
    assert step(far, claim, known) == (known, [], known)


def test_no_more_is_read_than_was_asked_for(store: RedisStore) -> None:
    for known in range(0, 30, 3):
        append(store, parcel("abc", known=known))
    claim = claimed(store)

    assert len(step(store, claim, records=7).chunks) == 3
    assert len(step(store, claim, 0, max_bytes=4).chunks) == 2
    assert len(step(store, claim, 0).chunks) == 5


def test_several_claims_take_one_step_each_with_its_own_fate(store: RedisStore) -> None:
    append(store, parcel("abc"), parcel("xy", partition=1))
    first, second = claimed(store), claimed(store, 1)
    store.release(first)

    lost, read = store.step(0, [Want(first, -1, 9, 99), Want(second, -1, 9, 99)])

    assert isinstance(lost, ClaimLost)
    assert isinstance(read, Read)
    assert text(read) == "xy"


def test_a_step_makes_the_claim_last(opened: Any) -> None:
    store = opened(lease=0.5)
    claim = claimed(store)
    until = claim.until

    step(store, claim)

    assert claim.until > until


@pytest.mark.parametrize("upto", [2, 100])
def test_a_server_that_lost_its_last_writes_takes_the_claim(
    store: RedisStore, client: Any, name: str, upto: int
) -> None:
    append(store, parcel("abc"), parcel("de", known=3))
    claim = claimed(store)
    step(store, claim)
    claim.state.upto = upto  # of a server that has been promoted since, with fewer writes

    with pytest.raises(ClaimLost):
        step(store, claim, 0)


def test_more_cannot_be_settled_than_there_is(store: RedisStore) -> None:
    append(store, parcel("abc"))
    claim = claimed(store)

    with pytest.raises(ClaimLost):
        step(store, claim, 4)
