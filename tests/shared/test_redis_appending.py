"""Parcels: each goes in once, however often it is sent."""

from typing import Any

import pytest
from parcels import append, claimed, everything, kinds, parcel, step, text
from relays import Relay

from partitioned_buffer.abc.sharing import Gap, Part
from partitioned_buffer.storage.redis.store import RedisStore

pytestmark = pytest.mark.usefixtures("size")


def test_what_is_appended_is_there_in_order(store: RedisStore) -> None:
    assert append(store, parcel("abc"), parcel("de", known=3)) == [None, None]
    assert append(store, parcel("f", known=5), parcel("z", partition=1)) == [None, None]

    assert everything(store) == "abcdef"
    assert everything(store, 1) == "z"


def test_what_is_sent_again_is_there_once(store: RedisStore) -> None:
    for _ in range(3):
        assert append(store, parcel("abc"), parcel("de", known=3)) == [None, None]
    assert append(store, parcel("abc")) == [None]

    assert everything(store) == "abcde"


def test_producers_know_nothing_of_each_other(store: RedisStore) -> None:
    append(store, parcel("abc"))

    assert append(store, parcel("xy"), producer="q") == [None]
    assert everything(store) == "abcxy"


def test_marks_may_have_gaps(store: RedisStore) -> None:
    assert append(store, parcel("abc", first=10)) == [None]
    assert append(store, parcel("d", known=12, first=1 << 50)) == [None]
    assert append(store, parcel("e", known=1 << 50)) == [None]

    assert everything(store) == "abcde"


def test_a_gap_says_how_many_the_server_has_had(store: RedisStore) -> None:
    append(store, parcel("abc", first=11))

    (gap,) = append(store, parcel("f", known=15))

    assert isinstance(gap, Gap)
    assert gap.had == 3
    assert everything(store) == "abc"


def test_a_part_says_up_to_which_mark(store: RedisStore) -> None:
    append(store, parcel("abc", first=11))

    (part,) = append(store, parcel("bcdef", known=11))
    assert isinstance(part, Part)
    assert (part.upto, part.had) == (13, 3)

    assert append(store, parcel("def", known=part.upto)) == [None]
    assert everything(store) == "abcdef"


@pytest.mark.parametrize(("first", "outcome"), [(12, "Part"), (13, "Part"), (14, None), (20, None)])
def test_what_is_not_known_is_found_out(store: RedisStore, first: int, outcome: str | None) -> None:
    append(store, parcel("abc", first=11))

    assert kinds(append(store, parcel("xyz", known=-1, first=first))) == [outcome]


def test_what_is_not_known_and_had_is_had(store: RedisStore) -> None:
    append(store, parcel("abc", first=11))

    assert append(store, parcel("bc", known=-1, first=12)) == [None]
    assert everything(store) == "abc"


def test_a_reply_that_is_lost_does_no_harm(store: RedisStore, opened: Any, relay: Relay) -> None:
    far = opened(relay.url)
    append(far, parcel("abc"))
    relay.cut_replies = 1

    assert kinds(append(far, parcel("de", known=3))) == ["StorageAway"]
    assert append(far, parcel("de", known=3)) == [None]
    assert everything(store) == "abcde"


def test_many_replies_that_are_lost_do_no_harm(
    store: RedisStore, opened: Any, relay: Relay
) -> None:
    far = opened(relay.url)
    for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz"):
        relay.cut_replies = number % 3
        while kinds(append(far, parcel(letter, known=number))) == ["StorageAway"]:
            pass

    assert everything(store) == "abcdefghijklmnopqrstuvwxyz"


# A limit is for the whole buffer, and each partition has its part.


def test_a_partition_that_is_full_takes_more_when_there_is_room(opened: Any) -> None:
    store = opened(limit=9)  # 5 in each of two partitions
    assert append(store, parcel("abc"), parcel("de", known=3)) == [None, None]

    assert kinds(append(store, parcel("f", known=5))) == ["StorageFull"]
    assert append(store, parcel("xyz", partition=1)) == [None]

    claim = claimed(store)
    step(store, claim)
    step(store, claim, 1)
    assert append(store, parcel("f", known=5)) == [None]
    assert text(step(store, claim, 1)) == "f"


def test_what_is_larger_than_all_room_goes_in_alone(opened: Any) -> None:
    store = opened(limit=4)
    assert append(store, parcel("abcdef")) == [None]
    assert kinds(append(store, parcel("g", known=6))) == ["StorageFull"]


def test_what_was_had_is_not_refused_for_want_of_room(opened: Any) -> None:
    store = opened(limit=4)
    append(store, parcel("abcdef"))

    assert append(store, parcel("abcdef")) == [None]


def test_what_is_behind_one_that_found_no_room_does_not_pass_it(opened: Any) -> None:
    store = opened(limit=4)
    append(store, parcel("a"))
    behind = [parcel("xy", known=-1, first=2), parcel("z", known=-1, first=4)]

    assert kinds(append(store, *behind)) == ["StorageFull", "StorageFull"]
    assert everything(store) == "a"
    assert append(store, *behind[:1]) == [None]


def test_what_is_behind_a_part_waits_for_the_rest(store: RedisStore) -> None:
    append(store, parcel("abc"))

    found = append(store, parcel("cd", known=2), parcel("e", known=4))
    assert kinds(found) == ["Part", "StorageAway"]
    assert append(store, parcel("d", known=3), parcel("e", known=4)) == [None, None]
    assert everything(store) == "abcde"


def test_what_is_behind_a_gap_is_one(store: RedisStore) -> None:
    assert kinds(append(store, parcel("d", known=3), parcel("e", known=4))) == ["Gap", "Gap"]


# A server remembers producers for a day.


def test_a_producer_that_was_forgotten_for_its_silence_has_lost_nothing(
    store: RedisStore, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, parcel("abc"))
    client.delete(f"{{{name}:0:0}}:d:p")
    now = store._appender._clock()

    monkeypatch.setattr(store._appender, "_clock", lambda: now + 11 * 3600)
    assert kinds(append(store, parcel("d", known=3))) == ["Gap"]
    monkeypatch.setattr(store._appender, "_clock", lambda: now + 13 * 3600)
    assert append(store, parcel("d", known=3)) == [None]
    assert 0 < client.pttl(f"{{{name}:0:0}}:d:p") <= 24 * 3600 * 1000


def test_a_clock_that_was_set_back_says_nothing(
    store: RedisStore, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, parcel("abc"))
    client.delete(f"{{{name}:0:0}}:d:p")
    now = store._appender._clock()

    monkeypatch.setattr(store._appender, "_clock", lambda: now - 60)
    assert append(store, parcel("d", known=3)) == [None]


def test_a_question_is_never_taken_whatever_the_clock_says(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, parcel("abc"))
    now = store._appender._clock()
    question = parcel("d", known=3)._replace(known=1 << 53)

    for later in (-60, 0, 13 * 3600):
        monkeypatch.setattr(store._appender, "_clock", lambda later=later: now + later)
        assert kinds(append(store, question)) == ["Gap"]
    assert everything(store) == "abc"


def test_a_producer_that_retires_leaves_nothing(store: RedisStore, client: Any, name: str) -> None:
    append(store, parcel("abc"), parcel("xy", partition=1))
    append(store, parcel("abc"), producer="q")

    store.retire("p")

    assert client.keys(f"{{{name}:*:d:*") == [f"{{{name}:0:0}}:d:q".encode()]
    assert store._appender._heard.keys() == {("q", (0, 0))}
