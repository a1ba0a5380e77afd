"""
What runs on the server, outcome by outcome: and each condition and each answer matters.

Each case asks scripts in their own words. Then every script is broken in every small way, and each
time a case has to notice.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

import luas
import pytest
from luas import KEYS, survivors

from partitioned_buffer.storage.redis.scripts import NAMES, SOURCES


class Scripts(luas.Scripts):
    """Those of a Queue."""

    def append(self, known: int, first: int, data: str, **options: Any) -> Any:
        last, most = first + len(data) - 1, options.get("most", 0)
        rest = most, 9999, int(options.get("touch", False)), "{t}:news", 7, 0
        return self("append", known, first, last, len(data), data, *rest)

    def append_beside(self, known: int, first: int, data: str, most: int = 0) -> Any:
        """Append what is pushed before."""
        self.do("RPUSH", "w", data)
        last = first + len(data) - 1
        rest = most, 9999, 0, "{t}:news", 7, 1
        return self("append", known, first, last, len(data), "", *rest)

    def step(self, lease: str, settled: int, upto: int, records: int = 9, room: int = 99) -> Any:
        reply = self.step_beside(lease, settled, upto, 0, -1, records, room)
        return reply if reply is None else reply[:4]

    def step_beside(
        self,
        lease: str,
        settled: int,
        upto: int,
        beside: int,
        behind: int,
        records: int = 9,
        room: int = 99,
    ) -> Any:
        """Take a step for who has read so many chunks beside it, behind so many."""
        last = self.entry_before(upto)
        rest = records, room, last, 0, beside, behind
        return self("step", lease, 9999, settled, upto, *rest)

    def entry_before(self, position: int) -> bytes:
        """Return the entry of the chunk that ends there; nothing if there is none."""
        end = int(self.do("HGET", "meta", "base") or 0)
        for entry in self.do("LRANGE", "at", 0, -1):
            end += int.from_bytes(entry[8:12], "big")
            if end == position:
                return bytes(entry)
        return b""


def append_takes_each_once(do: Scripts) -> None:
    assert do.append(0, 1, "abc") == [1]
    assert do.append(0, 1, "abc") == [0]
    assert do.append(3, 4, "de") == [1]
    assert do.append(0, 1, "abc") == [0]
    assert do.do("LRANGE", "w", 0, -1) == [b"abc", b"de"]
    assert do.do("LLEN", "at") == 2
    assert do.do("HGET", "meta", "end") == b"5"
    assert do.do("GET", "d") == b"5 5"
    assert 9000 < do.do("PTTL", "d") <= 9999


def append_says_what_is_missing(do: Scripts) -> None:
    do.append(0, 11, "abc")
    assert do.append(14, 15, "x") == [-1, 3]
    assert do.append(12, 13, "cd") == [-2, 13, 3]
    assert do.append(-1, 13, "cd") == [-2, 13, 3]
    assert do.append(-1, 14, "d") == [1]
    assert do.append(-1, 14, "d") == [0]


def append_begins_where_nothing_is_known(do: Scripts) -> None:
    assert do.append(-1, 1, "abc") == [1]
    assert do.append(0, 2, "bcd") == [-2, 3, 3]


def append_touches_if_told(do: Scripts) -> None:
    do.append(0, 1, "abc")
    do.do("PEXPIRE", "d", 500)
    do.append(0, 1, "abc")
    assert do.do("PTTL", "d") <= 500
    do.append(0, 1, "abc", touch=True)
    assert do.do("PTTL", "d") > 9000


def append_stops_where_it_is_sealed(do: Scripts) -> None:
    do.append(0, 1, "abc")
    assert do("seal", 4) == 1
    assert do("seal", 5) == 0
    assert do.append(3, 4, "d") == [-4, 4]
    assert do.append(0, 1, "abc") == [0]


def append_keeps_to_a_limit(do: Scripts) -> None:
    assert do.append(0, 1, "abcd", most=3) == [1]
    assert do.append(4, 5, "e", most=3) == [-3, 4]
    assert do.append(4, 5, "e", most=5) == [1]
    assert do.append(5, 6, "f", most=0) == [1]
    lease = do.claim()
    do.step(lease, 5, -1)
    assert do.append(6, 7, "gh", most=3) == [1]
    assert do.append(8, 9, "i", most=3) == [-3, 3]


def append_tells_when_it_was_empty(do: Scripts) -> None:
    do.append(0, 1, "abc")
    assert do.heard() == b"7"
    do.append(3, 4, "d")
    assert do.heard() is None
    do.step(do.claim(), 4, -1)
    do.append(4, 5, "e")
    assert do.heard() == b"7"


def append_takes_what_is_pushed_before(do: Scripts) -> None:
    assert do.append_beside(0, 1, "abc") == [1]
    assert do.append(3, 4, "de") == [1]
    assert do.append_beside(5, 6, "f", most=9) == [1]
    assert do.do("LRANGE", "w", 0, -1) == [b"abc", b"de", b"f"]
    assert do.do("LLEN", "at") == 3
    assert do.do("HGET", "meta", "end") == b"6"


def append_takes_back_what_was_pushed_before(do: Scripts) -> None:
    do.append(0, 11, "abc")
    assert do.append_beside(0, 11, "abc") == [0]
    assert do.append_beside(14, 15, "x") == [-1, 3]
    assert do.append_beside(12, 13, "cd") == [-2, 13, 3]
    assert do.append_beside(13, 14, "d", most=3) == [-3, 3]
    do("seal", 4)
    assert do.append_beside(13, 14, "d") == [-4, 4]
    assert do.do("LRANGE", "w", 0, -1) == [b"abc"]
    assert do.append_beside(0, 11, "abc") == [0]
    assert do.do("LRANGE", "w", 0, -1) == [b"abc"]


def append_tidies_up_behind_a_script_that_failed(do: Scripts) -> None:
    do.do("RPUSH", "w", "?", "??")
    assert do.append(0, 1, "abc") == [1]
    do.do("RPUSH", "w", "?", "??")
    assert do.append_beside(3, 4, "de") == [1]
    assert do.do("LRANGE", "w", 0, -1) == [b"abc", b"de"]
    do.do("RPUSH", "w", "?")
    assert do.append(3, 4, "de") == [0]
    assert do.do("LRANGE", "w", 0, -1) == [b"abc", b"de"]
    do.step(do.claim(), 5, -1)
    do.do("RPUSH", "w", "?")
    assert do.append_beside(3, 4, "de") == [0]
    assert do.do("EXISTS", "w") == 0


def append_takes_nothing_that_is_not_there(do: Scripts) -> None:
    do.append(0, 1, "abc")
    with pytest.raises(Exception, match="takes data that was pushed"):
        do("append", 3, 4, 4, 1, "", 0, 9999, 0, "{t}:news", 7, 1)
    assert do.do("LLEN", "at") == 1


def append_notes_when(do: Scripts) -> None:
    do.append(0, 1, "abc")
    when, count = struct.unpack(">dI", do.do("LINDEX", "at", 0))
    assert abs(when / 1000 - time.time()) < 5
    assert count == 3


def step_reads_and_settles(do: Scripts) -> None:
    lease = do.claim()
    assert do.step(lease, -1, -1) == [0, 0, 0, []]
    for known, data in ((0, "abc"), (3, "de"), (5, "f")):
        do.append(known, known + 1, data)
    assert do.step(lease, -1, -1, 4) == [0, 6, 0, [3, b"abc", 2, b"de"]]
    assert do.step(lease, 0, 5) == [0, 6, 5, [1, b"f"]]
    assert do.step(lease, 2, 6) == [2, 6, 6, []]
    assert do.do("LLEN", "w") == 3
    assert do.step(lease, 3, 6) == [3, 6, 6, []]
    assert do.do("LRANGE", "w", 0, -1) == [b"de", b"f"]
    assert do.step(lease, 1, 5) == [3, 6, 5, [1, b"f"]]
    assert do.step(lease, 4, 5) == [4, 6, 5, [1, b"f"]]
    assert do.step(lease, -1, -1) == [4, 6, 3, [2, b"de", 1, b"f"]]
    assert do.step(lease, 6, 6) == [6, 6, 6, []]
    assert do.do("LLEN", "w") == do.do("LLEN", "at") == 0
    do.append(6, 7, "g")
    assert do.step(lease, 6, 6) == [6, 7, 6, [1, b"g"]]


def step_reads_no_more_than_it_may(do: Scripts) -> None:
    lease = do.claim()
    for known in range(0, 18, 3):
        do.append(known, known + 1, "abc")
    assert len(do.step(lease, -1, -1, 0)[3]) == 0
    assert len(do.step(lease, -1, -1, 9, 0)[3]) == 0
    assert len(do.step(lease, -1, -1, 1)[3]) == 2
    assert len(do.step(lease, -1, -1, 3)[3]) == 2
    assert len(do.step(lease, -1, -1, 4)[3]) == 4
    assert len(do.step(lease, -1, -1, 99, 4)[3]) == 4
    assert len(do.step(lease, -1, -1, 99, 6)[3]) == 4
    assert len(do.step(lease, -1, -1, 99, 13)[3]) == 10


def step_reads_many(do: Scripts) -> None:
    lease = do.claim()
    for known in range(150):
        do.append(known, known + 1, "a")
    assert len(do.step(lease, -1, -1, 999, 9999)[3]) == 300
    assert do.step(lease, 70, 149, 999, 9999) == [70, 150, 149, [1, b"a"]]
    assert len(do.step(lease, 70, 70, 999, 9999)[3]) == 160
    assert do.step(lease, 150, 150) == [150, 150, 150, []]


def step_is_the_owners(do: Scripts) -> None:
    do.append(0, 1, "abc")
    lease = do.claim()
    do.do("PEXPIRE", "lease", 500)
    assert do.step("1|me", -1, -1) is None
    assert do.step("", -1, -1) is None
    assert do.do("PTTL", "lease") <= 500
    do.step(lease, -1, -1)
    assert do.do("PTTL", "lease") > 9000
    do.do("DEL", "lease")
    assert do.step(lease, -1, -1) is None


def step_notices_what_was_lost(do: Scripts) -> None:
    for known, data in ((0, "abc"), (3, "de")):
        do.append(known, known + 1, data)
    lease = do.claim()
    assert do.step(lease, 6, 5) is None
    assert do.step(lease, 0, 6) is None
    assert do.step(lease, 0, 4) is None
    assert do.step(lease, 3, 2) is None
    assert do.step(lease, 3, 5) == [3, 5, 5, []]
    assert do.step(lease, 3, 0) is None
    do.do("LTRIM", "at", 1, 0)
    assert do.step(lease, 3, 5) is None


def claim_is_for_one(do: Scripts) -> None:
    lease = do.claim()
    assert 9000 < do.do("PTTL", "lease") <= 9999
    assert do.do("GET", "lease").decode() == lease
    assert do("claim", "other", 9999) is None
    assert do.claim() != lease
    do.do("DEL", "lease")
    do.do("HSET", "meta", "token", 1 << 50)
    assert do("claim", "other", 9999) == (1 << 50) + 1
    assert do("claim", "me", 9999) is None
    do.do("DEL", "lease", "{t}:meta")
    assert 1_700_000_000_000 < do("claim", "a|b", 9999) < 1 << 50
    assert do("claim", "a|b", 9999) > 0
    assert do("claim", "b", 9999) is None
    tokens = [do("claim", "a|b", 9999) for _ in range(100)]  # many of them in a millisecond
    assert sorted(set(tokens)) == tokens


def release_is_the_owners(do: Scripts) -> None:
    lease = do.claim()
    assert do("release", "1|me", "{t}:news", "free") == 0
    assert do.do("EXISTS", "lease") == 1
    assert do("release", lease, "{t}:news", "free") == 1
    assert do.do("EXISTS", "lease") == 0
    assert do("release", lease, "{t}:news", "free") == 0
    assert (do.heard(), do.heard()) == (b"free", None)


def beat_knows_who_is_there(do: Scripts) -> None:
    def beat(worker: str, ms: int) -> Any:
        return do("beat", worker, ms, "{t}:news", "free")

    assert (beat("b", 9999), do.heard()) == ([b"b"], b"free")
    assert (beat("a", 5000), do.heard()) == ([b"a", b"b"], b"free")
    assert (beat("a", 5000), do.heard()) == ([b"a", b"b"], None)
    assert (beat("c", 0), do.heard()) == ([b"a", b"b"], None)
    assert (beat("b", 0), do.heard()) == ([b"a"], b"free")
    do.do("ZADD", "workers", 1, "gone")
    assert (beat("a", 9999), do.heard()) == ([b"a"], b"free")
    assert do.do("ZCARD", "workers") == 1


def bury_keeps_each_once(do: Scripts) -> None:
    lease = do.claim()
    letter = (2).to_bytes(4, "big") + b"..."
    assert do("bury", "1|me", 2, letter, "x") is None
    assert do("bury", lease, 2, letter, "x") == 1
    assert do("bury", lease, 2, letter, "x") == 1
    assert do("bury", lease, 2, letter, "y") == 2
    assert do.do("HMGET", "meta", "kept", "dead") == [b"4", None]
    assert do.do("HGETALL", "dead") == {b"1": letter, b"2": letter}
    assert do("forget", 1) == 1
    assert do("forget", 1) == 0
    assert do.do("HMGET", "meta", "kept", "dead") == [b"2", None]
    assert do.do("HKEYS", "dead") == [b"2"]


def last_is_the_newest(do: Scripts) -> None:
    assert do("last", 3, 99) == []
    lease = do.claim()
    for number in range(1, 5):
        error = b"e" * (2500 if number == 4 else number)
        head = struct.pack(">III", number, 7, len(error) + (number % 2 << 31))
        when = struct.pack(">d", number) if number % 2 else b""
        do("bury", lease, number, head + when + error + b"d" * number, number)
    counts = {number: struct.pack(">II", number, 7) for number in range(1, 5)}
    newest = [4, 4, counts[4], b"e" * 2000, b"dddd", b""]
    assert do("last", 1, 99) == [newest]
    assert do("last", 1, 4) == [newest]
    assert do("last", 1, 3) == [[*newest[:4], b"", b""]]
    assert do("last", 3, 6) == [
        newest,
        [3, 3, counts[3], b"eee", b"", struct.pack(">d", 3)],
        [2, 2, counts[2], b"ee", b"dd", b""],
    ]  # fmt: skip
    assert do("last", 2, 6)[1][4] == b""
    assert [each[0] for each in do("last", 9, 0)] == [4, 3, 2, 1]
    for length in (0, 2500):
        head = struct.pack(">III", 5, 7, (1 << 31) + length)
        do("bury", lease, 5, head + bytes(8) + b"e" * length + b"ddddd", length)
        error = b"e" * min(length, 2000)
        assert do("last", 1, 99) == [[5, 5, head[:8], error, b"ddddd", bytes(8)]]
        do("forget", 5)
        do.do("HSET", "meta", "buried", 4)
    do("forget", 3)
    assert [each[:2] for each in do("last", 2, 0)] == [[4, 4]]
    assert [each[:2] for each in do("last", 4, 0)] == [[4, 4], [2, 2], [1, 1]]


def pin_is_the_firsts(do: Scripts) -> None:
    assert do("pin", "a", 1, "b", 2) == [b"a", b"1", b"b", b"2"]
    assert do("pin", "a", 3, "c", 4) == [b"a", b"1", b"b", b"2", b"c", b"4"]
    assert len(do("pin")) == 6


def turn_is_of_what_is_known(do: Scripts) -> None:
    assert do("turn", "next", "", "next", 3) == 1
    assert do("turn", "next", "", "next", 4) == 0
    assert do("turn", "next", 3, "next", "", "other", 5) == 1
    assert do("turn", "next", "", "next", 6) == 1
    assert do.do("HGETALL", "config") == {b"next": b"6", b"other": b"5"}


def step_notices_what_others_have_instead(do: Scripts) -> None:
    do.append(0, 1, "ab")
    do.append(2, 3, "cd")
    lease = do.claim()

    def last(reply: Any) -> Any:
        return reply if reply is None else reply[4]

    assert last(do("step", lease, 9999, -1, -1, 0, 0, "?", 0, 0, 0)) == b"?"
    entry = last(do("step", lease, 9999, -1, -1, 9, 99, "", 0, 0, 0))
    assert entry == do.entry_before(4)
    assert last(do("step", lease, 9999, 1, 4, 9, 99, "another", 0, 0, 0)) is None
    assert do.do("HGET", "meta", "pos") is None
    assert last(do("step", lease, 9999, 2, 4, 9, 99, entry, 0, 0, 0)) == entry
    assert last(do("step", lease, 9999, 4, 4, 9, 99, entry, 0, 0, 0)) == entry
    assert last(do("step", lease, 9999, 4, 4, 9, 99, "of none", 0, 0, 0)) == b"of none"


def step_says_what_was_read_beside(do: Scripts) -> None:
    for known, data in ((0, "abc"), (3, "de"), (5, "f"), (6, "gh")):
        do.append(known, known + 1, data)
    lease = do.claim()
    assert do.step_beside(lease, -1, -1, 0, -1, 1)[5:] == [[], 1]
    entry = do.entry_before(6)
    assert do.step_beside(lease, 1, 3, 2, 1, 3) == [1, 8, 3, [], entry, [2, 1], 3]
    # What was not read beside it, the script reads on; and no more than there is.
    assert do.step_beside(lease, 2, 3, 1, 1, 3)[3:] == [[1, b"f"], entry, [2], 3]
    assert do.step_beside(lease, 2, 6, 9, 3)[3:] == [[], do.entry_before(8), [2], 4]
    # What is trimmed now was there before.
    assert do.step_beside(lease, 5, 5, 1, 2, 1)[2:] == [5, [], entry, [1], 1]
    assert do.do("LLEN", "w") == 2


def step_says_what_is_not_what_was_read_beside(do: Scripts) -> None:
    for known, data in ((0, "abc"), (3, "de"), (5, "f")):
        do.append(known, known + 1, data)
    lease = do.claim()
    for behind in (0, 2):
        assert do.step_beside(lease, -1, 3, 1, behind, 1)[2:] == [
            3, [2, b"de"], do.entry_before(5), [], 2
        ]  # fmt: skip
    # More is settled than was read.
    assert do.step_beside(lease, 5, 3, 1, 1)[2:] == [5, [1, b"f"], do.entry_before(6), [], 1]


def step_settles_before_it_reads_first(do: Scripts) -> None:
    do.append(0, 1, "ab")
    do.append(2, 3, "cd")
    lease = do.claim()

    assert do.step(lease, 2, -1) == [2, 4, 2, [2, b"cd"]]


def step_counts_what_was_given_up(do: Scripts) -> None:
    def dead(lease: str, given_up: int) -> int:
        do("step", lease, 9999, -1, -1, 0, 0, "", given_up, 0, 0)
        return int(do.do("HGET", "meta", "dead") or 0)

    first = f"{do('claim', 'me', 9999)}|me"
    assert [dead(first, count) for count in (0, 2, 2, 3, 1)] == [0, 2, 2, 3, 3]
    second = f"{do('claim', 'me', 9999)}|me"
    assert [dead(second, count) for count in (0, 1, 1)] == [3, 4, 4]


Case = Callable[[Scripts], None]

CASES: dict[str, list[Case]] = {
    "append": [
        append_takes_each_once,
        append_says_what_is_missing,
        append_begins_where_nothing_is_known,
        append_touches_if_told,
        append_stops_where_it_is_sealed,
        append_keeps_to_a_limit,
        append_tells_when_it_was_empty,
        append_takes_what_is_pushed_before,
        append_takes_back_what_was_pushed_before,
        append_tidies_up_behind_a_script_that_failed,
        append_takes_nothing_that_is_not_there,
        append_notes_when,
    ],
    "step": [
        step_reads_and_settles,
        step_reads_no_more_than_it_may,
        step_reads_many,
        step_is_the_owners,
        step_notices_what_was_lost,
        step_settles_before_it_reads_first,
        step_counts_what_was_given_up,
        step_notices_what_others_have_instead,
        step_says_what_was_read_beside,
        step_says_what_is_not_what_was_read_beside,
    ],
    "claim": [claim_is_for_one],
    "release": [release_is_the_owners],
    "beat": [beat_knows_who_is_there],
    "bury": [bury_keeps_each_once],
    "forget": [bury_keeps_each_once],
    "last": [last_is_the_newest],
    "pin": [pin_is_the_firsts],
    "turn": [turn_is_of_what_is_known],
    "seal": [append_stops_where_it_is_sealed],
}


@pytest.mark.parametrize("case", {case for cases in CASES.values() for case in cases})
def test_scripts_do_what_they_say(client: Any, case: Case) -> None:
    with Scripts(client) as do:
        case(do)


@pytest.mark.parametrize("name", NAMES)
def test_scripts_check_how_many_words_they_get(client: Any, name: str) -> None:
    keys = [f"{{t}}:{key}" for key in KEYS[name].split()]
    wrong = {"map_deal": 1, "pin": 1, "turn": 1, "map_append": 40, "map_step": 9}
    with Scripts(client), pytest.raises(Exception, match=f"{name} takes"):
        client.eval(SOURCES[name], len(keys), *keys, *["x"] * wrong.get(name, 41))
    with Scripts(client), pytest.raises(Exception, match=f"{name} takes"):
        client.eval(SOURCES[name], len(keys) + 1, *keys, "{t}:more", *["x"] * 13)


def test_each_script_is_there() -> None:
    of_maps = [name for name in NAMES if name.startswith("map_")]  # see test_redis_map_scripts.py
    assert sorted(KEYS) == sorted(NAMES) == sorted([*CASES, *of_maps])


SAME = {
    # What is broken there is speed alone.
    "append": ["if stray > 0 then"],
    "step": [
        "if (before - room) * 8 < room and most < 256 then most = most * 4 end",
        "if i > #counts then",
        "if gone > 0 then",
        "if ARGV[8] ~= '0' then",
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_each_condition_and_answer_matters(client: Any, name: str) -> None:
    found = survivors(Scripts, client, name, CASES[name], SAME.get(name, []))
    assert not found, "\n".join(found)
