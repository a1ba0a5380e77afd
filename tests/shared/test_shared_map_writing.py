"""How entries get into a shared Map: what is put over what, what is sent, and what is refused."""

import operator
from typing import Any

import pytest
from helpers import in_thread
from shares import Gate, Shares

from partitioned_buffer import BufferFull, InvalidOption, Map, StorageAway
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict
from partitioned_buffer.testing.storage import DictStorage

pytestmark = pytest.mark.both_faces
AWAY = StorageAway("the net is down")


def pairs(processor: RecordingProcessor) -> list[tuple[Any, Any]]:
    return [(entry.key, entry.value) for entry in processor.items]


def numbers(made: Any) -> dict[str, int]:
    """Return the ledger, but for what is 0."""
    names = ("accepted", "coalesced", "deleted", "held", "delivered", "dead_lettered", "dropped")
    stats = made.stats()
    return {name: getattr(stats, name) for name in names if getattr(stats, name)}


# --- one over the other ----------------------------------------------------------


def test_the_last_write_wins_here_and_there(shares: Shares) -> None:
    made = shares.map()
    made.put("a", 1)
    shares.holds(1)
    made.put("a", 2)
    made.put("b", 1)
    shares.seen(lambda: numbers(made) == {"accepted": 3, "coalesced": 1, "held": 2})
    one = RecordingProcessor()
    shares.map_elsewhere(one)
    shares.seen(lambda: sorted(pairs(one)) == [("a", 2), ("b", 1)])


def test_what_waits_here_grows_with_keys_and_not_with_writes(shares: Shares) -> None:
    made = shares.map(max_size=7, when_full="raise")
    shares.shared.fails = AWAY
    made.put_all({0: "sent", 1: "sent", 2: "sent"})
    shares.seen(lambda: made.stats().shared.away is not None)
    for number in range(300):
        if number % 7 == 0:
            made.delete(number % 3)
        made.put(number % 3, number)
    assert made.size() == 6  # what may have been sent, and what comes behind it
    made.put(3, 3)
    with pytest.raises(BufferFull, match="the net is down"):
        made.put("more", 1)
    shares.shared.fails = None
    shares.seen(lambda: made.stats().shared.front == 0)
    one = RecordingProcessor()
    shares.map_elsewhere(one)
    shares.seen(lambda: sorted(pairs(one)) == [(0, 297), (1, 298), (2, 299), (3, 3)])
    shares.seen(lambda: made.stats().held == 0)
    assert made.stats().accepted == 304


def test_an_older_version_never_follows_a_newer_one(shares: Shares) -> None:
    one = RecordingProcessor()
    made, worker = shares.map(), shares.map_elsewhere(one)
    made.put_newer("a", "five", 5)
    made.put_newer("a", "four", 4)
    shares.seen(lambda: [entry.value for entry in one.items] == ["five"])
    made.put_newer("a", "three", 3)
    made.put_newer("b", "one", 1)
    shares.seen(lambda: len(one.items) == 2)
    made.put_newer("a", "six", 6)
    shares.seen(lambda: [entry.value for entry in one.items] == ["five", "one", "six"])
    assert [entry.version for entry in one.items] == [5, 1, 6]
    shares.seen(lambda: numbers(worker) == {"accepted": 5, "coalesced": 2, "delivered": 3})


def test_updates_are_counted_wherever_they_were_made(shares: Shares) -> None:
    made, other = shares.map(), shares.map_elsewhere()
    made.put_newer("a", 1, 1)
    shares.holds(1)
    other.put_newer("a", 2, 2)
    shares.seen(lambda: numbers(other).get("coalesced") == 1)
    shares.shared.fails = AWAY
    for version in (3, 4, 5):
        made.put_newer("a", version, version)
    shares.shared.fails = None
    shares.seen(lambda: numbers(made).get("coalesced") == 4)
    one = RecordingProcessor()
    shares.map_elsewhere(one)
    shares.seen(lambda: len(one.items) == 1)
    assert one.items[0] == ("a", 5, 5, 4)


def test_a_delete_removes_what_waits_here_and_there_and_forgets_the_version(
    shares: Shares,
) -> None:
    one = RecordingProcessor()
    made, worker = shares.map(), shares.map_elsewhere(one)
    made.put_newer("a", 1, 10)
    shares.seen(lambda: made.stats().delivered == 1)  # what is yet to be settled, a delete settles
    made.delete("a")
    made.put_newer("a", 2, 1)
    shares.seen(lambda: [entry.version for entry in one.items] == [10, 1])
    worker.stop()
    made.put("b", 1)
    shares.holds(1)
    made.delete("b")
    shares.holds(0)
    shares.shared.fails = AWAY
    made.put("c", 1)
    made.delete("c")
    shares.shared.fails = None
    shares.seen(lambda: made.stats().shared.front == 0)
    shares.seen(lambda: numbers(made) == {"accepted": 4, "deleted": 2, "delivered": 2})


def test_what_was_sent_is_sent_again_as_it_was_and_the_newer_behind_it(shares: Shares) -> None:
    shares.new(ack="local")
    made = shares.map(merge=operator.add)
    gate = Gate("append")
    shares.shared.loses_replies = 3
    made.put("a", 1)
    shares.holds(1)
    for _ in range(4):
        made.put("a", 1)
    shares.shared.on_call = gate
    gate.open()
    one = RecordingProcessor()
    shares.map_elsewhere(one, merge=operator.add)
    shares.seen(lambda: sum(entry.value for entry in one.items) == 5)
    shares.seen(lambda: made.stats().held == 0)
    assert sum(entry.value for entry in one.items) == 5


def test_a_stop_leaves_what_the_server_may_have_and_it_goes_once(shares: Shares) -> None:
    made = shares.map(merge=operator.add)
    shares.shared.loses_replies = 1000
    made.put("a", 1)
    shares.seen(lambda: shares.shared.held() == 1)
    made.put("a", 10)
    report = made.stop(0.5)
    assert sum(entry.value for entry in report.left) == 11
    shares.shared.loses_replies = 0
    made.start()
    made.put("a", 100)
    one = RecordingProcessor()
    shares.map_elsewhere(one, merge=operator.add)
    shares.seen(lambda: sum(entry.value for entry in one.items) == 111 and not made.size())


# --- acknowledged by the server ----------------------------------------------------


def test_a_put_that_the_server_is_to_have_is_there_when_it_returns(shares: Shares) -> None:
    shares.new(ack="server")
    made = shares.map()
    made.put("a", 1)
    assert shares.shared.held() == 1
    made.put_all({"b": 1, "c": 2})
    assert shares.shared.held() == 3
    made.put_all_newer([("a", 2, 1), ("d", 3, 1)])
    assert shares.shared.held() == 4
    made.delete("a")
    assert shares.shared.held() == 3


def test_who_waits_for_what_was_put_over_hears_with_what_is_there_instead(shares: Shares) -> None:
    shares.new(ack="server", ack_timeout=None)
    made = shares.map()
    shares.shared.fails = AWAY
    first, outcome = in_thread(lambda: made.put("a", 1))
    shares.seen(lambda: made.size() == 1)
    second, other = in_thread(lambda: made.put("a", 2))
    third, last = in_thread(lambda: made.delete("a"))
    shares.seen(lambda: made.stats().accepted == 2)
    shares.shared.fails = None
    shares.seen(lambda: not any(thread.is_alive() for thread in (first, second, third)))
    assert outcome == other == last == [None]


def test_a_put_that_is_not_acknowledged_in_time_still_goes(shares: Shares) -> None:
    shares.new(ack="server", ack_timeout=3.0)
    made = shares.map()
    shares.shared.fails = AWAY
    with pytest.raises(TimeoutError, match=r"in line, and will still go there: the net is down"):
        made.put("a", 1)
    shares.shared.fails = None
    shares.holds(1)


# --- merge -------------------------------------------------------------------------


def test_numbers_are_added_up_here_and_on_the_server(shares: Shares) -> None:
    made, other = (make(merge=operator.add) for make in (shares.map, shares.map_elsewhere))
    for _ in range(10):
        made.put("hits", 1)
        other.put("hits", 2)
        other.put("load", 0.5)
    shares.seen(lambda: not made.stats().shared.front and not other.stats().shared.front)
    one = RecordingProcessor()
    shares.map_elsewhere(one, merge=operator.add)
    shares.seen(lambda: len(one.items) == 2)
    assert sorted(pairs(one)) == [("hits", 30), ("load", 5.0)]
    assert isinstance(dict(pairs(one))["hits"], int)


def test_whole_numbers_stay_exact_however_large(shares: Shares) -> None:
    made, other = (make(merge=operator.add) for make in (shares.map, shares.map_elsewhere))
    made.put("a", 2**53)
    other.put("a", 2**53 - 1)
    shares.seen(lambda: numbers(made).get("coalesced") == 1)
    other.put("a", 2**80)
    shares.seen(lambda: numbers(made).get("coalesced") == 2)
    one = RecordingProcessor()
    shares.map_elsewhere(one, merge=operator.add)
    shares.seen(lambda: pairs(one) == [("a", 2**80 + 2**54 - 1)])


def both(old: list[int], new: list[int]) -> list[int]:
    return [*old, *new]


def test_other_values_are_merged_by_who_delivers_them_in_order(shares: Shares) -> None:
    made, other = (make(merge=both) for make in (shares.map, shares.map_elsewhere))
    made.put("a", [1])
    shares.holds(1)
    other.put("a", [2])
    shares.seen(lambda: numbers(other).get("coalesced") == 1)
    made.put("a", [3])
    made.put("a", [4])
    shares.seen(lambda: numbers(made).get("coalesced") == 3)
    one = RecordingProcessor()
    shares.map_elsewhere(one, merge=both)
    shares.seen(lambda: pairs(one) == [("a", [1, 2, 3, 4])])


def test_what_merge_raises_is_the_writers_and_nothing_has_changed(shares: Shares) -> None:
    made = shares.map(merge=both)
    shares.shared.fails = AWAY
    made.put("sent", [0])
    shares.seen(lambda: made.stats().shared.away is not None)
    made.put("a", [1])  # which waits behind that
    with pytest.raises(TypeError, match="must be an iterable"):
        made.put("a", 2)
    shares.shared.fails = None
    shares.holds(2)
    one = RecordingProcessor()
    shares.map_elsewhere(one, merge=both)
    shares.seen(lambda: sorted(pairs(one)) == [("a", [1]), ("sent", [0])])


# --- where it goes -------------------------------------------------------------------


def test_each_key_goes_to_its_partition_by_whichever_lane(shares: Shares) -> None:
    shares.new(partitions=4, lanes=2)
    made = shares.map()
    made.put_all({key: key for key in range(40)})
    shares.holds(40)
    for key in range(40):
        partition = made.partition_of(key)
        assert shares.shared.keys.encode(key) in shares.shared.waiting(partition)


def test_partition_keys_keep_entries_apart_or_together(shares: Shares) -> None:
    shares.new(partitions=4)
    made = shares.map(partition_key=lambda key: key[0])
    keys = [("a", number) for number in range(10)]
    assert len({made.partition_of(key) for key in keys}) == 1
    made.put_all(dict.fromkeys(keys, 0))
    shares.holds(10, made.partition_of(keys[0]))


def test_a_full_server_holds_writers_up_by_their_own_bound(shares: Shares) -> None:
    shares.new(limit=2)
    made = shares.map(max_size=2, when_full="raise")
    made.put(1, 1)
    shares.holds(1)
    made.put(2, 2)
    shares.holds(2)
    made.put(3, 3)
    shares.seen(lambda: made.stats().shared.away is not None)
    made.put(3, 30)  # behind what was sent
    with pytest.raises(BufferFull, match="holds 2 records of 2"):
        made.put(4, 4)
    made.put(3, 33)  # over what waits here
    one = RecordingProcessor()
    shares.map_elsewhere(one)
    shares.seen(lambda: len(one.items) >= 3 and not made.size())
    assert dict(pairs(one)) == {1: 1, 2: 2, 3: 33}


# --- what is refused -----------------------------------------------------------------


def test_options_that_a_shared_map_cannot_have() -> None:
    with pytest.raises(InvalidOption, match="drop_oldest"):
        Map("m", storage=SharedDict(), max_size=1, when_full="drop_oldest")
    with pytest.raises(InvalidOption, match="ack='local'"):
        Map("m", storage=SharedDict(ack="server"), max_size=1, when_full="drop_newest")
    with pytest.raises(InvalidOption, match="expected 'local' with a front that is stored"):
        Map("m", storage=SharedDict(ack="server", front=DictStorage()))
    with pytest.raises(InvalidOption, match="processor=None"):
        Map("m")


def test_writes_that_a_shared_map_cannot_keep(shares: Shares) -> None:
    made = shares.map()
    with pytest.raises(TypeError, match="unhashable"):
        made.put([], 1)
    with pytest.raises(TypeError, match="cannot be stored"):
        made.put(frozenset(), 1)
    with pytest.raises(TypeError):
        made.put("a", object())
    with pytest.raises(ValueError, match="64 bits"):
        made.put_newer("a", 1, 1 << 63)
    with pytest.raises(TypeError, match="expected an int"):
        made.put_newer("a", 1, 1.5)
    made.put_newer("a", 1, -(1 << 63))
    assert numbers(made)["accepted"] == 1
    merging = shares.map_elsewhere(merge=operator.add)
    with pytest.raises(TypeError, match="a shared Map with merge has no versions"):
        merging.put_newer("a", 1, 1)
    with pytest.raises(TypeError, match="a shared Map with merge has no versions"):
        merging.put_all_newer([("a", 1, 1)])
