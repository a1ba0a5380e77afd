"""How a shared Map is delivered: swap by swap, key by key, and what becomes of what fails."""

import operator
from typing import Any

import pytest
from helpers import in_thread, wait_until
from map_lines import kept
from shares import Gate, Shares

from partitioned_buffer import (
    Map,
    PartialFailure,
    Reject,
    Retry,
    StorageAway,
    batch_id,
    fencing_token,
)
from partitioned_buffer.abc.shared_map import ADD, HEAD, PART
from partitioned_buffer.testing import RecordingProcessor

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


def pairs(processor: RecordingProcessor) -> list[tuple[Any, Any]]:
    return [(entry.key, entry.value) for entry in processor.items]


def filled(shares: Shares, count: int, **options: Any) -> Any:
    """Return a Map that has put so many keys on the server."""
    made = shares.map(**options)
    made.put_all({key: key for key in range(count)})
    shares.holds(count)
    return made


# --- windows and swaps ---------------------------------------------------------------


def test_a_worker_has_no_more_in_hand_than_its_window(
    shares: Shares, processor: RecordingProcessor
) -> None:
    filled(shares, 50)
    processor.block()
    worker = shares.map_elsewhere(processor, window=8, processing_batch_size=2)
    processor.wait_for_call()
    wait_until(lambda: worker.stats().in_flight > 0)
    wait_until(lambda: len(shares.shared.flying()) == 50)
    (pump,) = worker._admission.sharing.pumps
    (window,) = pump.windows.values()
    assert len(window._hand) <= 8 + 4
    processor.unblock()
    shares.seen(lambda: len(processor.items) == 50)
    assert sorted(pairs(processor)) == [(key, key) for key in range(50)]
    shares.holds(0)


def test_what_comes_while_a_swap_is_delivered_goes_with_the_next(
    shares: Shares, processor: RecordingProcessor
) -> None:
    made = filled(shares, 1)
    processor.block()
    worker = shares.map_elsewhere(processor)
    processor.wait_for_call()
    for number in range(1, 4):
        made.put(0, number)
    wait_until(lambda: len(shares.shared.waiting()) == 1)
    processor.unblock()
    shares.seen(lambda: pairs(processor)[:1] == [(0, 0)] and pairs(processor)[-1:] == [(0, 3)])
    shares.seen(lambda: worker.stats().held == 0)
    stats = worker.stats()
    assert stats.accepted == 4
    assert stats.delivered + stats.coalesced == 4


def test_a_whole_table_is_a_dict(shares: Shares) -> None:
    filled(shares, 3)
    one = RecordingProcessor()
    shares.map_elsewhere(one, processing_batch_size="table", flush_at=None, processing_interval=1.0)
    shares.seen(lambda: len(one.items) == 3)
    assert isinstance(one.batches[0], dict)
    assert {key: entry.value for key, entry in one.batches[0].items()} == {0: 0, 1: 1, 2: 2}


def test_who_takes_over_delivers_what_is_not_settled(shares: Shares) -> None:
    made = filled(shares, 6)
    one, two = RecordingProcessor(), RecordingProcessor()

    def some(batch: list[Any]) -> None:
        one([entry for entry in batch if entry.key])
        if len(one.items) < 5 or any(not entry.key for entry in batch):
            raise PartialFailure([entry for entry in batch if not entry.key])

    first = shares.map_elsewhere(some)
    shares.seen(lambda: len(one.items) == 5)
    shares.holds(1)
    first._admission.sharing.storage.fails = AWAY
    shares._clock.advance(1.0)
    shares.shared.expire()
    shares.map_elsewhere(two)
    shares.seen(lambda: pairs(two) == [(0, 0)])
    shares.holds(0)
    shares.seen(lambda: made.stats().held == 0)
    assert made.stats().delivered == 6


def test_a_delete_of_what_a_worker_has_in_hand_comes_too_late(
    shares: Shares, processor: RecordingProcessor
) -> None:
    made = filled(shares, 1)
    processor.block()
    shares.map_elsewhere(processor)
    processor.wait_for_call()
    made.delete(0)
    wait_until(lambda: shares.shared.held() == 0)
    made.put(0, "again")
    wait_until(lambda: shares.shared.held() == 1)
    processor.unblock()
    shares.seen(lambda: pairs(processor) == [(0, 0), (0, "again")])
    shares.seen(lambda: made.stats().held == 0)
    assert (made.stats().deleted, made.stats().delivered) == (1, 1)


def test_a_flush_waits_for_what_is_there_and_not_for_what_comes_after(shares: Shares) -> None:
    made = filled(shares, 3)
    one = RecordingProcessor()

    def more(batch: list[Any]) -> None:
        one(batch)
        other.put("more", len(one.items)) if len(one.items) < 100 else None

    other: Map[Any, Any] = Map("more", storage=shares.shared.another(), clock=shares._clock)
    other.start()
    shares.made.append(other)
    shares.map_elsewhere(more, flush_at=None, processing_interval=3600.0)
    thread, outcome = in_thread(lambda: made.flush(60.0))
    shares.seen(lambda: not thread.is_alive())
    assert outcome == [None]
    assert {(0, 0), (1, 1), (2, 2)} <= set(pairs(one))


def test_a_flush_that_nobody_delivers_says_so(shares: Shares) -> None:
    made = filled(shares, 3)
    with pytest.raises(TimeoutError, match="3 items are held"):
        made.flush(2.0)


# --- what fails ------------------------------------------------------------------------


def test_what_fails_is_tried_again_and_what_is_newer_comes_after_it(shares: Shares) -> None:
    made = filled(shares, 1)
    one = RecordingProcessor()
    one.fail(OSError("down"))
    shares.map_elsewhere(one)
    shares.seen(lambda: len(one.attempts) == 1)
    made.put(0, "newer")
    shares.seen(lambda: pairs(one) == [(0, 0), (0, "newer")])


def test_only_what_a_processor_names_is_tried_again(shares: Shares) -> None:
    filled(shares, 4)
    one = RecordingProcessor()
    left: list[Any] = []

    def some(batch: list[Any]) -> None:
        failed = [entry for entry in batch if entry.key == 2 and not left]
        left.extend(failed)
        one([entry for entry in batch if entry not in failed])
        if failed:
            raise PartialFailure(failed)

    worker = shares.map_elsewhere(some)
    shares.seen(lambda: len(one.items) == 4)
    assert pairs(one)[-1] == (2, 2)
    shares.holds(0)
    shares.seen(lambda: worker.stats().delivered == 4)


def test_what_is_rejected_is_kept_on_the_server(shares: Shares) -> None:
    filled(shares, 3)
    one = RecordingProcessor()

    def reject(batch: list[Any]) -> None:
        bad = [entry for entry in batch if entry.key == 1]
        one([entry for entry in batch if entry.key != 1])
        if bad:
            raise PartialFailure(reject=bad)

    worker = shares.map_elsewhere(reject)
    shares.holds(0)
    shares.seen(lambda: worker.stats().dead_lettered == 1)
    shares.seen(lambda: worker.stats().delivered == 2)
    store = worker._admission.sharing.store
    ((_, _, count, error, *_),) = store.dead(0)
    assert (count, "PartialFailure" in error or "Reject" in error) == (1, True)


KEYS = ["a", "a longer key", 1 << 40, ("a", 1), b"bytes"]
"""Python has but one object of the first."""


@pytest.mark.parametrize("key", KEYS)
def test_attempts_are_counted_whatever_the_key(shares: Shares, key: Any) -> None:
    made = shares.map()
    made.put(key, {"a": 1})
    shares.holds(1)
    one = RecordingProcessor()
    one.fail_always(ValueError("bad"))
    worker = shares.map_elsewhere(one, retry=Retry(attempts=3, jitter=0.0))
    shares.seen(lambda: worker.stats().dead_lettered == 1)
    shares.holds(0)
    assert len(one.attempts) == 3
    table = worker._admission.sharing.pumps[0].windows
    assert not any(window.table._entries for window in table.values())


def test_a_dead_letter_handler_gets_entries(shares: Shares) -> None:
    filled(shares, 2)
    one, taken = RecordingProcessor(), list[Any]()
    one.fail_always(Reject("bad"))
    worker = shares.map_elsewhere(one, dead_letter=lambda items, *_: taken.extend(items))
    shares.holds(0)
    assert sorted((entry.key, entry.value) for entry in taken) == [(0, 0), (1, 1)]
    shares.seen(lambda: worker.stats().dead_lettered == 2)
    assert list(worker._admission.sharing.store.dead(0)) == []


def test_what_cannot_be_decoded_is_kept_and_holds_up_nothing(shares: Shares) -> None:
    filled(shares, 3)
    with shares.shared._server.lock:
        line = shares.shared._map_line(0)
        key = shares.shared.keys.encode(1)
        waits = line.waiting[key]
        line.waiting[key] = waits._replace(data=waits.data[: HEAD.size] + b"{broken")
    one = RecordingProcessor()
    worker = shares.map_elsewhere(one)
    shares.holds(0)
    shares.seen(lambda: sorted(pairs(one)) == [(0, 0), (2, 2)])
    shares.seen(lambda: worker.stats().dead_lettered == 1)
    ((_, data, count, error, *_),) = worker._admission.sharing.store.dead(0)
    assert b"{broken" in data
    assert (count, "JSON" in error or "Undecodable" in error) == (1, True)


def test_parts_that_do_not_merge_any_more_are_kept(shares: Shares) -> None:
    def both(old: Any, new: Any) -> Any:
        return [*old, *new]

    made, other = (make(merge=both) for make in (shares.map, shares.map_elsewhere))
    made.put("a", [1])
    shares.holds(1)
    other.put("a", 2)
    shares.seen(lambda: other.stats().coalesced == 1)
    made.put("b", [1])
    shares.holds(2)
    one = RecordingProcessor()
    worker = shares.map_elsewhere(one, merge=both)
    shares.holds(0)
    shares.seen(lambda: pairs(one) == [("b", [1])])
    ((_, data, count, error, *_),) = worker._admission.sharing.store.dead(0)
    assert (count, "TypeError" in error) == (1, True)
    assert list(kept(data, shares.shared)) == [("a", [1], None), ("a", 2, None)]
    shares.seen(lambda: worker.stats().held == 0)
    stats = worker.stats()
    assert (stats.accepted, stats.coalesced, stats.dead_lettered) == (3, 1, 1)
    assert stats.delivered == 1


@pytest.mark.parametrize("mode", [ADD, PART])
def test_what_is_damaged_is_kept_as_it_is(shares: Shares, mode: bytes) -> None:
    made = shares.map(merge=operator.add)
    made.put_all({"a": 1, "b": 2})
    shares.holds(2)
    with shares.shared._server.lock:
        line = shares.shared._map_line(0)
        key = shares.shared.keys.encode("a")
        waits = line.waiting[key]
        data = mode + waits.data[1 : HEAD.size] + b"broken"
        line.waiting[key] = waits._replace(data=data)
    one = RecordingProcessor()
    worker = shares.map_elsewhere(one, merge=operator.add)
    shares.seen(lambda: pairs(one) == [("b", 2)])
    shares.holds(0)
    ((_, data, count, error, *_),) = worker._admission.sharing.store.dead(0)
    assert b"broken" in data
    assert (count, "Undecodable" in error) == (1, True)


def test_what_could_not_be_kept_yet_is_kept_later(shares: Shares) -> None:
    filled(shares, 2)
    with shares.shared._server.lock:
        line = shares.shared._map_line(0)
        for key, waits in line.waiting.items():
            line.waiting[key] = waits._replace(data=waits.data[: HEAD.size] + b"{")
    one = RecordingProcessor()
    lost = iter([True, True])
    worker = shares.map_elsewhere(one, start=False)
    worker._admission.sharing.storage.loses_replies = lambda call: (
        call == "bury" and next(lost, False)
    )
    worker.start()
    shares.holds(0)
    shares.seen(lambda: worker.stats().dead_lettered == 2)
    assert len(list(worker._admission.sharing.store.dead(0))) == 2
    assert not one.attempts


# --- what a processor may ask ------------------------------------------------------------


def test_batches_have_ids_and_tokens(shares: Shares) -> None:
    filled(shares, 4)
    ids, tokens = list[Any](), list[int]()
    one = RecordingProcessor()

    def ask(batch: list[Any]) -> None:
        ids.append(batch_id())
        tokens.append(fencing_token())
        one(batch)

    one.fail(OSError())
    shares.map_elsewhere(ask, processing_batch_size=2)
    shares.seen(lambda: len(one.items) == 4)
    assert ids[0] == ids[1]
    assert len(set(ids)) == len(one.batches) >= 2
    assert set(tokens) == {tokens[0]}


def test_a_stop_gives_back_what_was_not_begun(
    shares: Shares, processor: RecordingProcessor
) -> None:
    filled(shares, 10)
    two = RecordingProcessor()
    processor.block()
    first = shares.map_elsewhere(processor, processing_batch_size=2)
    processor.wait_for_call()
    (pump,) = first._admission.sharing.pumps
    (window,) = pump.windows.values()
    thread, _ = in_thread(lambda: first.stop(60.0))
    wait_until(lambda: window.gives_back)
    processor.unblock()
    shares.seen(lambda: not thread.is_alive())
    assert len(processor.items) < 10
    shares.map_elsewhere(two)
    shares.seen(lambda: len(processor.items) + len(two.items) == 10)
    assert sorted(pairs(processor) + pairs(two)) == [(key, key) for key in range(10)]


def test_merged_values_come_as_deltas_of_a_swap(shares: Shares) -> None:
    made = shares.map(merge=operator.add)
    one = RecordingProcessor()
    gate = Gate("step")
    shares.map_elsewhere(one, merge=operator.add)
    for _ in range(5):
        made.put("a", 1)
        shares.seen(lambda: made.stats().shared.front == 0)
    gate.open()
    shares.seen(lambda: sum(entry.value for entry in one.items) == 5)
    shares.seen(lambda: made.stats().held == 0)
