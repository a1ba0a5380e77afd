"""What runs on the server to deliver Maps, and to look at one: see test_redis_map_scripts.py."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from luas import survivors
from maplua import Scripts
from mapops import HASH, delete, kept, newer, put


def flat(reply: Any) -> dict[bytes, bytes]:
    """Return values by key of what a step has read."""
    return {
        key: kept(record).value for key, record in zip(reply[1][::2], reply[1][1::2], strict=True)
    }


def step_swaps_and_settles(do: Scripts) -> None:
    lease = do.claim()
    assert do.step(lease) == [0, [], b"", 0, 0]
    do.append(put("a", "1"), put("b", "2"))
    assert do.step(lease, records=0) == [0, [], b"", 0, 2]
    reply = do.step(lease, 0)
    assert (reply[0], flat(reply), reply[2:]) == (1, {b"a": b"1", b"b": b"2"}, [b"", 2, 0])
    do.append(put("a", "3"))
    assert do.step(lease, 1, at="", delivered="a") == [1, [], b"", 1, 1]
    assert do.step(lease, 1, at="", delivered="a") == [1, [], b"", 1, 1]
    assert do.sizes() == [1, 1]
    assert do.step(lease, 1, at="", delivered="b", records=0) == [1, [], b"", 0, 1]
    assert do.sizes() == [1, 0]
    reply = do.step(lease, 1, at="", delivered="b")
    assert (reply[0], flat(reply), reply[2:]) == (2, {b"a": b"3"}, [b"", 1, 0])
    reply = do.step(lease, 1, at="", delivered="a b")  # the reply was lost
    assert (reply[0], flat(reply), reply[2:]) == (2, {b"a": b"3"}, [b"", 1, 0])
    assert do.sizes() == [0, 1]
    assert do.step(lease, 2, at="", delivered="a") == [2, [], b"", 0, 0]
    assert do.step(lease, 2, at="") == [2, [], b"", 0, 0]
    assert do.counts() == [3, 0, 0]


def step_notes_since_when(do: Scripts) -> None:
    lease = do.claim()
    do.append(put("a", "1"))
    do.do("HSET", "meta", "since", 9000)
    do.fly(lease)
    assert do.do("HGET", "meta", "began") == b"9000"
    do.append(put("b", "1"))
    do.do("HDEL", "meta", "since")  # by whoever
    assert do.step(lease, 1, delivered="a")[0] == 2
    assert do.do("HGET", "meta", "began") == b"0"


def step_begins_anew_for_another(do: Scripts) -> None:
    lease = do.claim()
    do.append(put("a", "1"))
    do.fly(lease)
    assert do.step(lease, -1, records=0) == [1, [], b"0", 1, 0]
    assert flat(do.step(lease, 0, at="")) == {b"a": b"1"}
    assert do.step(lease, 0, read=1, at="") == [1, [], b"", 1, 0]
    do.append(put("b", "1"))
    assert do.step(lease, 1, records=0, at="", delivered="a") == [1, [], b"", 0, 1]


def step_reads_on(do: Scripts) -> None:
    lease = do.claim()
    do.append(*(put(f"k{number}", "x" * 100) for number in range(1000)))
    found, at, turns, most = dict[bytes, bytes](), "0", 0, 0
    reply = do.step(lease, records=50, room=9999999)
    while True:
        turns, most = turns + 1, max(most, len(reply[1]) // 2)
        assert reply[0] == 1
        found |= flat(reply)
        at = reply[2].decode()
        if not at:
            break
        reply = do.step(lease, 1, at=at, records=50, room=9999999)
    assert len(found) == 1000
    assert 10 <= turns <= 20
    assert 50 <= most <= 100
    everything = do.step(lease, 1, records=9999, room=9999999)
    assert len(flat(everything)) == 1000
    assert everything[2:] == [b"", 1000, 0]


def step_reads_no_more_than_it_may(do: Scripts) -> None:
    lease = do.claim()
    do.append(*(put(f"k{number}", "x" * 1000) for number in range(400)))

    def read(records: int, room: int) -> int:
        return len(do.step(lease, 1, records=records, room=room)[1]) // 2

    do.fly(lease)
    assert read(9, 0) == read(0, 9999) == 0
    # A server gives some more than it is asked for.
    assert 1 <= read(999, 1) < 50
    assert 1 <= read(1, 999_999) < 50
    assert 30 <= read(999, 30_000) < 130
    assert 100 <= read(100, 999_999) < 200
    assert read(999, 999_999) == 400


def step_is_the_owners(do: Scripts) -> None:
    do.append(put("a", "1"))
    lease = do.claim()
    do.do("PEXPIRE", "lease", 500)
    assert do.step("1|me") is None
    assert do.step("") is None
    assert do.do("PTTL", "lease") <= 500
    assert do.do("EXISTS", "r") == 0
    do.step(lease)
    assert do.do("PTTL", "lease") > 9000
    do.do("DEL", "lease")
    assert do.step(lease) is None


def step_notices_what_was_lost(do: Scripts) -> None:
    do.append(put("a", "1"))
    lease = do.claim()
    do.fly(lease)
    assert do.step(lease, 1, read=2, delivered="a") is None
    assert do.step(lease, 2, read=1, delivered="a") is None
    assert do.value("a", "r") == b"1"
    assert do.step(lease, 1, read=1, delivered="a") is not None


def step_settles_what_is_of_its_swap(do: Scripts) -> None:
    lease = do.claim()
    do.append(put("a", "1"), put("b", "1"))
    do.fly(lease)
    do.append(put("a", "2"))
    assert do.step(lease, 0, read=1, at="", delivered="a", buried="b")[3] == 2
    assert do.step(lease, 1, at="", delivered="a", buried="b")[:4] == [
        2,
        [b"a", do.do("HGET", "r", "a")],
        b"",
        1,
    ]
    assert do.step(lease, 1, read=2, at="", buried="a")[3] == 1


def step_remembers_versions(do: Scripts) -> None:
    do.deliver(newer("a", "1", -5, hashed=77), newer("b", "1", 5), put("c", "1"))
    assert do.do("HGETALL", "v0") == {
        b"a": struct.pack(">qq", -5, 77),
        b"b": struct.pack(">qq", 5, HASH),
    }
    do.step(do.claim(), 1, delivered="a b c")  # the reply was lost
    assert do.do("HLEN", "v0") == 2
    do.do("HSET", "v1", "b", "?" * 16, "a", "?" * 16)
    do.deliver(put("b", "2"), newer("a", "2", 7))
    assert do.do("HGETALL", "v0") == {b"a": struct.pack(">qq", 7, HASH)}
    assert do.do("HKEYS", "v1") == [b"a"]


def step_forgets_the_oldest(do: Scripts) -> None:
    lease = do.claim()
    for number, v0, v1 in ((0, 1, 0), (1, 2, 0), (2, 0, 3), (3, 1, 3), (4, 2, 3), (5, 0, 3)):
        do.append(newer(f"k{number}", "1", 1))
        swap = do.fly(lease)
        do.step(lease, swap, delivered=f"k{number}", remember=3)
        assert (do.do("HLEN", "v0"), do.do("HLEN", "v1")) == (v0, v1)
    assert sorted(do.do("HKEYS", "v1")) == [b"k3", b"k4", b"k5"]


def step_remembers_nothing_if_told(do: Scripts) -> None:
    do.deliver(newer("a", "1", 5))
    do.do("COPY", "v0", "{t}:v1")
    do.append(newer("b", "1", 5))
    lease = do.claim()
    swap = do.fly(lease)
    do.step(lease, swap, remember=0)
    assert do.do("EXISTS", "v0", "{t}:v1") == 2
    do.step(lease, swap, delivered="b", remember=0)
    assert do.do("EXISTS", "v0", "{t}:v1") == 0


def step_leaves_versions_of_what_is_given_up(do: Scripts) -> None:
    do.deliver(newer("a", "1", 5), newer("b", "1", 5))
    do.append(newer("a", "2", 6), newer("b", "2", 6), put("c", "1"), newer("d", "1", 6))
    lease = do.claim()
    swap = do.fly(lease)
    assert do.step(lease, swap, delivered="b", buried="a d c")[3] == 0
    versions = do.do("HGETALL", "v0")
    assert {key: struct.unpack(">qq", each)[0] for key, each in versions.items()} == {
        b"a": 5,
        b"b": 6,
    }


def step_counts_what_was_deleted_and_dead_once(do: Scripts) -> None:
    lease = do.claim()
    do.append(*(put(key, "1") for key in "abcde"))
    swap = do.fly(lease)
    do.append(delete("a"), delete("b"), delete("c"))
    assert do.counts() == [5, 0, 3]
    do.step(lease, swap, delivered="a", buried="d")
    assert do.counts() == [5, 0, 3]
    for buried in "b", "b", "c e":
        do.step(lease, swap, buried=buried, records=0)
    assert do.counts() == [5, 0, 1]
    do.append(put("a", "1"), put("b", "1"))
    swap = do.fly(lease)
    do.step(lease, swap, buried="a b")
    assert do.counts() == [7, 0, 1]


def step_waits_for_what_is_in_hand(do: Scripts) -> None:
    lease = do.claim()
    do.append(put("a", "1"))
    swap = do.fly(lease)
    do.append(delete("a"), put("b", "1"))
    assert do.step(lease, swap, at="", may_swap=0) == [1, [], b"", 0, 1]
    assert do.step(lease, swap, at="", may_swap=0, buried="a") == [1, [], b"", 0, 1]
    assert do.counts() == [2, 0, 0]
    reply = do.step(lease, swap, at="")
    assert (reply[0], flat(reply)) == (2, {b"b": b"1"})


def step_counts_what_was_given_up(do: Scripts) -> None:
    lease = do.claim()
    do.append(*(put(key, "1") for key in "abcde"))
    swap, dead = do.fly(lease), list[int]()
    do.append(delete("c"))
    for buried in "", "a", "a", "b c", "a b c":
        do.step(lease, swap, buried=buried, records=0)
        dead.append(int(do.do("HGET", "meta", "dead") or 0))
    assert dead == [0, 1, 1, 3, 3]
    do.step(do.claim(), swap, delivered="d", buried="e a")
    assert int(do.do("HGET", "meta", "dead")) == 4


def step_settles_very_many(do: Scripts) -> None:
    names = [f"k{number}" for number in range(2345)]
    do.append(*(newer(name, "1", 5) for name in names))
    lease = do.claim()
    do.fly(lease)
    delivered, buried = " ".join(names[:1500]), " ".join(names[1500:])
    assert do.step(lease, 1, delivered=delivered, buried=buried, remember=9999)[3] == 0
    assert do.do("HLEN", "v0") == 1500


def get_finds_all_there_is(do: Scripts) -> None:
    assert do("map_get", "a") == [None, None, None]
    do.append(put("a", "1"), put("b", "1"))
    do.fly(do.claim())
    do.append(put("a", "2"))
    waiting, flying, mark = do("map_get", "a")
    assert (kept(waiting).value, kept(flying).value, mark) == (b"2", b"1", b"3 3")
    assert do("map_get", "b")[0] is None
    do("seal", 4)
    assert do("map_get", "a") == 4


def step_leaves_what_is_sealed(do: Scripts) -> None:
    lease = do.claim()
    do.append(put("a", "1"))
    do.fly(lease)
    do("seal", 4)
    assert do.step(lease, 1, delivered="a") is None
    assert do.value("a", "r") == b"1"


def deal_copies_until_all_is_there(do: Scripts) -> None:
    first, second = put("a", "1"), put("b", "1")
    assert do("map_deal", *first, *second) == 1
    assert do("map_deal", *first) == 1
    assert do.do("HGETALL", "w") == dict([first, second])
    do.do("HSET", "r", *newer("c", "1", 1))
    assert do("map_open", 7000, 8000) == 1
    assert do("map_open", 7, 8) == 0
    assert do("map_deal", *put("a", "2")) == 0
    assert do.value("a") == b"1"
    assert do.sizes() == [2, 1]
    fields = "accepted", "since", "began", "swap"
    assert do.do("HMGET", "meta", *fields) == [b"3", b"7000", b"8000", b"1"]
    do.do("DEL", "meta")
    do.do("DEL", "r")
    assert do("map_open", 7000, 0) == 1
    assert do.do("HGET", "meta", "swap") == b"0"


def leave_forgets_what_went_elsewhere(do: Scripts) -> None:
    do.deliver(newer("a", "1", 1), put("b", "1"))
    do.do("COPY", "v0", "{t}:v1")
    do.append(newer("a", "2", 2), put("b", "2"))
    do.fly(do.claim())
    do.append(put("a", "3"), put("a", "4"), delete("b"))
    assert do("map_leave") is None
    assert do.sizes() == [1, 1]
    do("seal", 4)
    for held in 2, 0:
        assert do("map_leave") == held
        assert do.sizes() == [0, 0]
        assert do.counts() == [4, 1, 1]
        assert do.do("EXISTS", "w", *(f"{{t}}:{each}" for each in ("r", "v0", "v1", "gone"))) == 0


Case = Callable[[Scripts], None]

CASES: dict[str, list[Case]] = {
    "map_step": [each for name, each in globals().items() if name.startswith("step_")],
    "map_get": [get_finds_all_there_is],
    "map_deal": [deal_copies_until_all_is_there],
    "map_open": [deal_copies_until_all_is_there],
    "map_leave": [leave_forgets_what_went_elsewhere],
}


@pytest.mark.parametrize("case", [case for cases in CASES.values() for case in cases])
def test_steps_of_maps_do_what_they_say(client: Any, case: Case) -> None:
    with Scripts(client) as do:
        case(do)


# What is broken there is speed alone.
SAME = [
    "if both > 0",
    "if dead > 0",
    "'UNLINK', KEYS[6])",
    "if (before - room) * 8 < room",
]


@pytest.mark.parametrize("name", CASES)
def test_each_condition_and_answer_matters_for_steps_of_maps(client: Any, name: str) -> None:
    found = survivors(Scripts, client, name, CASES[name], SAME)
    assert not found, "\n".join(found)
