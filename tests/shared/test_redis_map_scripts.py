"""
What runs on the server to append to Maps, outcome by outcome: each condition and answer matters.

As test_redis_scripts.py does for the others.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from luas import survivors
from maplua import MOST, Scripts
from mapops import HASH, add, delete, newer, part, put

from partitioned_buffer.abc.shared_map import ADD, HEAD, NEWER, PART, PUT
from partitioned_buffer.testing.contract.shared.maps.ops import parts

# --- appending: once -----------------------------------------------------------


def append_takes_each_once(do: Scripts) -> None:
    assert do.append(put("a", "1"), put("b", "2"), known=0) == [1]
    assert do.append(put("a", "1"), put("b", "2"), known=0) == [0]
    assert do.append(put("c", "3"), known=2) == [1]
    assert do.append(put("a", "1"), put("b", "2"), known=0) == [0]
    assert do.kept("a") == (PUT, b"1", None, 0, HASH)
    assert do.do("HLEN", "w") == 3
    assert do.counts() == [3, 0, 0]
    assert do.do("GET", "d") == b"3 3"
    assert 9000 < do.do("PTTL", "d") <= 9999


def append_says_what_is_missing(do: Scripts) -> None:
    three = put("a", "1"), put("b", "2"), put("c", "3")
    do.append(*three, known=0, first=11)
    assert do.append(put("d", "4"), known=14) == [-1, 3]
    assert do.append(*three[1:], known=12) == [-2, 13, 3]
    assert do.append(*three[1:], known=-1, first=13) == [-2, 13, 3]
    assert do.append(put("d", "4"), known=-1, first=14) == [1]
    assert do.append(put("d", "4"), known=-1, first=14) == [0]
    assert do.do("GET", "d") == b"14 4"


def append_begins_where_nothing_is_known(do: Scripts) -> None:
    assert do.append(put("a", "1"), put("b", "2"), known=-1, first=1) == [1]
    assert do.append(put("b", "2"), put("c", "3"), known=0, first=2) == [-2, 2, 2]


def append_touches_if_told(do: Scripts) -> None:
    do.append(put("a", "1"), known=0)
    do.do("PEXPIRE", "d", 500)
    do.append(put("a", "1"), known=0)
    assert do.do("PTTL", "d") <= 500
    do.append(put("a", "1"), known=0, touch=True)
    assert do.do("PTTL", "d") > 9000


def append_stops_where_it_is_sealed(do: Scripts) -> None:
    do.append(put("a", "1"), known=0)
    do("seal", 4)
    assert do.append(put("b", "2"), known=1) == [-4, 4]
    assert do.append(put("a", "1"), known=0) == [0]


def append_keeps_to_a_limit(do: Scripts) -> None:
    four = [put(key, "1") for key in "abcd"]
    assert do.append(*four, most=3) == [1]  # alone
    assert do.append(put("e", "1"), most=3) == [-3, 4]
    assert do.append(put("a", "2"), most=3) == [1]  # takes no room
    assert do.append(delete("a"), put("e", "1"), most=4) == [1]  # nor this
    assert do.append(put("f", "1"), most=4) == [-3, 4]
    assert do.append(put("f", "1"), put("f", "2"), most=5) == [1]
    lease = do.claim()
    do.fly(lease)
    assert do.append(put("b", "3"), most=5) == [-3, 5]  # in flight, and waiting
    assert do.append(put("b", "3"), most=6) == [1]
    assert do.append(put("g", "3"), most=6) == [-3, 6]
    assert do.append(delete("z"), put("g", "3"), most=6) == [-3, 6]
    assert do.append(put("g", "3"), most=0) == [1]
    assert do.append(delete("b"), most=1) == [1]
    assert do.append(put("h", "1"), delete("h"), most=1) == [1]
    assert do.append(put("h", "1"), delete("g"), most=1) == [1]
    do.step(lease, 1, delivered="c d e f")
    do.step(lease, 2, delivered="h")
    assert do.append(*four[:2], most=1) == [1]


def append_tells_when_it_was_empty(do: Scripts) -> None:
    do.append(put("a", "1"))
    assert do.heard() == b"7"
    do.append(put("b", "1"))
    assert do.heard() is None
    lease = do.claim()
    do.fly(lease)
    do.append(put("c", "1"))
    assert do.heard() is None
    do.step(lease, 1, delivered="a b", records=0)
    do.append(delete("c"))
    do.append(delete("c"))
    assert do.heard() is None
    do.append(put("a", "1"))
    assert do.heard() == b"7"


def append_notes_since_when(do: Scripts) -> None:
    def since(field: str = "since") -> float:
        return int(do.do("HGET", "meta", field) or 0) / 1000

    do.append(delete("a"))
    assert not since()
    do.append(put("a", "1"))
    assert abs(since() - time.time()) < 5
    do.do("HSET", "meta", "since", 9000)
    do.append(put("b", "1"))
    assert since() == 9
    do.fly(do.claim())
    do.append(put("b", "1"))
    assert abs(since() - time.time()) < 5


# --- appending: what becomes of what waits -------------------------------------


def append_puts_over_anything(do: Scripts) -> None:
    ops = newer("n", "1", 5, updates=3), add("a", 1), part("m", "x"), put("p", "1")
    do.append(*ops)
    do.append(*(put(key, "2") for key in "namp"))
    assert [do.kept(key) for key in "namp"] == 4 * [(PUT, b"2", None, 0, HASH)]
    assert do.counts() == [8, 4, 0]


def append_keeps_what_is_newer(do: Scripts) -> None:
    do.append(newer("k", "1", 5, hashed=9))
    assert do.kept("k") == (NEWER, b"1", 5, 0, 9)
    do.append(newer("k", "2", 5), newer("k", "2", 4, updates=7))
    assert do.kept("k") == (NEWER, b"1", 5, 0, 9)
    do.append(newer("k", "2", 6))
    assert do.kept("k") == (NEWER, b"2", 6, 1, HASH)
    do.append(newer("k", "3", 7, updates=4), newer("k", "4", 8, updates=2))
    assert do.kept("k") == (NEWER, b"4", 8, 9, HASH)
    assert do.counts() == [6, 5, 0]


def append_compares_all_bits(do: Scripts) -> None:
    top = 1 << 53
    rising = [-(1 << 63), -(1 << 32) - 1, -(1 << 32), -2, -1, 0, 1, (1 << 31), (1 << 32) - 1]
    rising += [1 << 32, (1 << 32) + 1, top - 1, top, top + 1, top + 2, (1 << 63) - 1]
    for before, version in zip([None, *rising], rising, strict=False):
        if before is not None:
            assert do.append(newer("k", "no", before)) == [1]
        assert do.append(newer("k", str(version), version)) == [1]
        assert do.kept("k")[1:3] == (str(version).encode(), version)


def append_beats_none_with_any_above_0(do: Scripts) -> None:
    do.append(put("p", "1"), add("a", 1), part("m", "x"))
    do.append(*(newer(key, "2", 0) for key in "pam"))
    assert [do.kept(key).mode for key in "pam"] == [PUT, ADD, PART]
    do.append(*(newer(key, "2", 1, updates=1) for key in "pam"))
    assert [do.kept(key)[:4] for key in "pam"] == 3 * [(NEWER, b"2", 1, 2)]
    assert do.counts() == [9, 6, 0]
    do.append((b"q", HEAD.pack(PUT, 0, 9, 0, HASH)), newer("q", "1", 1))
    assert do.kept("q").version == 1


def append_compares_with_what_is_in_flight(do: Scripts) -> None:
    do.deliver(newer("n", "0", 9), newer("p", "0", 9))
    do.append(newer("n", "1", 12), put("p", "1"))
    lease = do.claim()
    do.fly(lease)
    do.append(newer("n", "2", 12), newer("p", "2", 0))
    assert (do.kept("n"), do.kept("p")) == (None, None)
    do.append(newer("n", "2", 13), newer("p", "2", 1))
    assert [do.kept(key)[:4] for key in "np"] == [(NEWER, b"2", 13, 0), (NEWER, b"2", 1, 0)]
    assert do.counts() == [8, 2, 0]


def append_compares_with_what_was_delivered(do: Scripts) -> None:
    do.deliver(newer("n", "1", 5), put("p", "1"))
    do.append(newer("n", "2", 5), newer("p", "2", -7))
    assert (do.kept("n"), do.value("p")) == (None, b"2")
    do.append(newer("n", "2", 6))
    assert do.kept("n")[:4] == (NEWER, b"2", 6, 0)
    do.do("RENAME", "v0", "{t}:v1")
    do.append(delete("p"), newer("q", "1", 1))
    do.do("HDEL", "w", "n")
    do.append(newer("n", "3", 5), newer("n", "3", 4))
    assert do.kept("n") is None
    do.append(newer("n", "3", (1 << 40) + 5))
    assert do.kept("n").version == (1 << 40) + 5
    do.do("HDEL", "w", "n")
    do.do("HSET", "v0", "n", struct.pack(">qq", 8, HASH))  # newer than that in v1
    do.append(newer("n", "4", 7))
    assert do.kept("n") is None
    do.append(newer("n", "4", 9))
    assert do.value("n") == b"4"


def append_deletes_all_there_is(do: Scripts) -> None:
    do.deliver(newer("a", "1", 5), newer("b", "1", 5))
    do.do("RENAME", "v0", "{t}:v1")
    do.deliver(newer("b", "2", 6))
    do.append(newer("a", "2", 7), put("c", "1"))
    do.fly(do.claim())
    do.append(newer("a", "3", 8), put("c", "2"))
    do.append(delete("a"), delete("b"), delete("d"))
    assert do.do("HKEYS", "w") == do.do("HKEYS", "r") == [b"c"]
    assert do.sizes() == [1, 1]
    assert do.do("SMEMBERS", "gone") == {b"a"}
    assert do.do("HLEN", "v0") == do.do("HLEN", "v1") == 0
    assert do.counts() == [7, 0, 2]
    do.append(delete("c"), delete("c"), put("c", "1", clears=True))
    assert do.counts() == [8, 0, 4]
    do.append(newer("a", "4", 1), newer("b", "4", 1))
    assert [do.value(key) for key in "ab"] == [b"4", b"4"]


def append_clears_first_if_told(do: Scripts) -> None:
    do.deliver(newer("n", "1", 9))
    do.append(put("p", "1"), add("a", 1), part("m", "x"))
    do.fly(do.claim())
    do.append(put("p", "1"), add("a", 1), part("m", "x"))
    ops = newer("n", "2", 1, clears=True), put("p", "2", clears=True)
    do.append(*ops, add("a", 5, clears=True), part("m", "y", clears=True))
    assert [do.value(key) for key in "npam"] == [b"2", b"2", b"i5", parts("y")]
    assert [do.kept(key).version for key in "np"] == [1, None]
    assert do.do("EXISTS", "r") == do.do("EXISTS", "v0") == 0
    assert do.counts() == [11, 0, 6]


def append_adds_numbers(do: Scripts) -> None:
    def sum_of(*numbers: float) -> Any:
        do.append(*(add("k", number) for number in numbers), delete("other"))
        record = do.kept("k")
        do.append(delete("k"))
        assert record.updates == 0
        return record.value if record.mode == ADD else record.value[4:]

    assert sum_of(1, 2, -4) == b"i-1"
    assert sum_of(0.1, 0.2) == b"f0.30000000000000004"
    assert sum_of(1, 0.5) == sum_of(0.5, 1) == b"f1.5"
    assert sum_of(1.0, 2.0) == b"f3"
    assert float(sum_of(1e308, 1e308)[1:]) == float("inf")
    top = 1 << 53
    assert sum_of(top - 1, 1) == b"i%d" % top
    assert sum_of(1, top - 1) == b"i%d" % top
    assert sum_of(1 - top, -1) == b"i%d" % -top
    assert sum_of(top, -top) == sum_of(-top, top) == b"i0"
    assert sum_of(0, top) == sum_of(top, 0) == b"i%d" % top
    assert sum_of(0, -top) == sum_of(-top, 0) == b"i%d" % -top


def append_keeps_numbers_that_are_too_large_as_parts(do: Scripts) -> None:
    def parts_of(*numbers: float) -> None:
        do.append(*(add("k", number) for number in numbers))
        assert do.kept("k")[:2] == (PART, parts(*numbers))
        do.append(delete("k"))

    top = 1 << 53
    for pair in (top, 1), (top - 1, 2), (-top, -1), (1, top), (-1, -top), (top + 1, 0):
        parts_of(*pair)
    parts_of(0, top + 1)
    parts_of(-top - 1, 0)
    parts_of(0, -top - 1)
    parts_of(top + 1, 0.5)
    parts_of(0.5, -top - 1)
    parts_of(1 << 200, -(1 << 200), 3)
    do.append(add("k", 1), add("k", 0), put("one", "1"))
    assert do.value("k") == b"i1"


def append_joins_parts(do: Scripts) -> None:
    do.append(part("m", "x", "y"))
    do.append(part("m", "z"), add("m", 5), add("m", 1.5), part("m", ""))
    assert do.kept("m") == (PART, parts("x", "y", "z", 5, 1.5, ""), None, 0, HASH)
    do.append(add("n", 2), part("n", "x"))
    assert do.kept("n")[:2] == (PART, parts(2, "x"))
    do.append(put("p", "1"), part("p", "x"), newer("v", "1", 3, updates=2), add("v", 4))
    assert do.kept("p") == (PART, parts("1", "x"), None, 0, HASH)
    assert do.kept("v") == (PART, parts("1", 4), None, 0, HASH)
    assert do.counts() == [11, 7, 0]


def append_is_full_where_parts_are_many(do: Scripts) -> None:
    most = "x" * (MOST - 4)
    do.append(part("m", most), put("p", most + "12345"))
    assert do.append(put("q", "1"), part("m", "")) == [-3, 2, MOST + 4]
    assert do.append(part("p", "")) == [-3, 2, MOST + 9]
    assert do.kept("q") is None
    assert do.counts() == [2, 0, 0]
    assert do.append(part("a", most), part("a", "x")) == [1]  # it would never go in otherwise
    assert do.append(part("m", most, clears=True), part("m", "x")) == [1]
    assert do.append(put("p", "1"), part("p", most), part("p", "x")) == [1]
    assert do.append(newer("p", "1", 1), part("p", most), part("p", "x")) == [1]
    assert do.append(add("n", 1)) == [1]
    assert do.append(part("n", "x" * (MOST - 10))) == [1]
    assert do.append(add("n", 1)) == [-3, 4, MOST + 6]
    for op in put("m", "1"), newer("m", "1", 1), delete("m"), part("m", "", clears=True):
        assert do.append(put("m", "")) == [1]
        assert do.append(part("m", ""), op, part("m", most), part("m", "x")) == [1]
    assert do.append(put("m", "")) == [1]
    assert do.append(part("m", ""), newer("m", "1", 0), part("m", most))[0] == -3
    do.fly(do.claim())
    assert do.append(part("m", most), part("m", "x")) == [1]


def append_counts_what_its_producer_has_counted(do: Scripts) -> None:
    do.append(put("a", "1"), put("a", "2"), delete("b"), coalesced=3, deleted=4)
    assert do.counts() == [9, 4, 4]


def append_does_the_later_of_two_later(do: Scripts) -> None:
    do.append(put("a", "1"), delete("a"), newer("a", "2", -3), newer("a", "3", -4))
    assert do.kept("a")[:3] == (NEWER, b"2", -3)
    assert do.counts() == [3, 1, 1]
    do.append(delete("a"), delete("a"))
    assert do.kept("a") is None
    assert do.counts() == [3, 1, 2]
    do.deliver(newer("b", "1", 5))
    do.append(newer("b", "2", 4), delete("b"), newer("b", "3", 4))
    assert do.value("b") == b"3"


def append_takes_very_many(do: Scripts) -> None:
    count = 2345
    names = [f"k{number}" for number in range(count)]
    assert do.append(*(newer(name, name, 5) for name in names)) == [1]
    assert do.do("HLEN", "w") == count
    lease = do.claim()
    do.fly(lease)
    assert do.append(*(newer(name, name, 5) for name in names)) == [1]
    assert do.do("HLEN", "w") == 0
    do.step(lease, 1, delivered=" ".join(names), remember=9999, records=0)
    assert do.do("HLEN", "v0") == count
    assert do.append(*(newer(name, name, 5) for name in names)) == [1]
    do.do("RENAME", "v0", "{t}:v1")
    assert do.append(*(newer(name, name, 5) for name in names)) == [1]
    assert do.do("HLEN", "w") == 0
    assert do.append(*(newer(name, name, 6) for name in names)) == [1]
    assert do.append(*(put(name, name) for name in names)) == [1]
    assert all(do.kept(name).mode == PUT for name in names[-2:])
    assert do.append(*map(delete, names)) == [1]
    assert do.do("HLEN", "w") == do.do("HLEN", "v1") == 0
    assert do.counts() == [6 * count, 4 * count, count]


Case = Callable[[Scripts], None]

CASES: dict[str, list[Case]] = {
    "map_append": [each for name, each in globals().items() if name.startswith("append_")],
}


@pytest.mark.parametrize("case", [case for cases in CASES.values() for case in cases])
def test_appends_to_maps_do_what_they_say(client: Any, case: Case) -> None:
    with Scripts(client) as do:
        case(do)


# What is broken there is speed alone.
SAME = ["if not before[place] and byte"]


@pytest.mark.parametrize("name", CASES)
def test_each_condition_and_answer_matters_for_appends_to_maps(client: Any, name: str) -> None:
    found = survivors(Scripts, client, name, CASES[name], SAME)
    assert not found, "\n".join(found)
