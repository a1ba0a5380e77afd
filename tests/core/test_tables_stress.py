"""
Tables under threads, finalizers, signals, evil keys and forks; both implementations.

How long each case hammers is set by the environment variable `STRESS_SECONDS`.
"""

import contextlib
import os
import random
import signal
import sys
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from forks import Child
from hammers import MADE, WRITERS, Drain, hammer
from helpers import join, often_switched
from implementations import SECONDS, Key, balanced, opened

FULL, CLOSED = 1, 2

pytestmark = [pytest.mark.stress, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def made(made: Any) -> Iterator[Any]:
    """Both, while threads take turns more often than they do by themselves."""
    with often_switched():
        yield made


@pytest.mark.parametrize("when_full", [None, "block", "raise", "drop_newest", "drop_oldest"])
def test_items_are_told_counted_and_delivered_in_order(made: Any, when_full: str | None) -> None:
    room = when_full and made.Room(100, None, when_full)
    table = opened(made.QueueTable(room))
    drain = Drain(table, 10, in_part=False)

    told, wrong = hammer(table, room, lambda me, number: table.push((me, number)))
    table.close()
    got, counts = drain.finish(), table.counts()

    assert not wrong
    assert balanced(table)
    assert sum(told) == counts["accepted"]
    assert len(got) == counts["delivered"] == counts["accepted"] - counts["dropped"]
    by_writer = defaultdict(list)
    for me, number in got:
        by_writer[me].append(number)
    for me, numbers in by_writer.items():
        assert numbers == (sorted(numbers) if counts["dropped"] else list(range(told[me])))
    if room:
        assert (room.used, room.used_bytes) == room.recount() == (0, 0)


@pytest.mark.parametrize("when_full", [None, "block", "drop_oldest"])
@pytest.mark.parametrize(
    "key", [int, Key, lambda n: Key(n) if n % 2 else n], ids=["int", "k", "mixed"]
)
def test_the_newest_wins(made: Any, when_full: str | None, key: Callable[[int], Any]) -> None:
    room = when_full and made.Room(60, None, when_full)
    table, last = opened(made.MapTable(room)), {}
    drain = Drain(table, 7, in_part=True)

    def write(me: int, number: int) -> int:
        name = number % 9 * 8 + me
        if number % 20 == 0:
            table.get(key(name))
        outcome = table.put(key(name), number, number + 1)
        if outcome == MADE:
            last[name] = number + 1
        return int(outcome)

    told, wrong = hammer(table, room, write)
    table.close()
    got, counts = drain.finish(), table.counts()

    assert not wrong
    assert balanced(table)
    assert sum(told) == counts["accepted"]
    assert len(got) == counts["delivered"]
    seen = defaultdict(list)
    for entry in got:
        seen[getattr(entry.key, "name", entry.key)].append(entry.version)
    assert all(a < b for versions in seen.values() for a, b in pairwise(versions))
    if when_full != "drop_oldest":
        assert {name: versions[-1] for name, versions in seen.items()} == last


def test_a_sum_that_is_merged_is_whole(made: Any) -> None:
    room = made.Room(None, 10_000)
    table = opened(made.MapTable(room, lambda old, new: old + new, 100, lambda value: value % 9))
    drain = Drain(table, 3, in_part=True)

    told, wrong = hammer(table, room, lambda _, number: table.put(number % 5, 1, None, 1))
    table.close()
    got = drain.finish()

    assert not wrong
    assert balanced(table)
    assert sum(entry.value for entry in got) == sum(told)
    assert room.recount() == (room.used, room.used_bytes) == (0, 0)


def test_deletes_and_writes_of_many_keep_the_ledger(made: Any) -> None:
    room = made.Room(40, 400)
    table = opened(made.MapTable(room))
    drain = Drain(table, 4, in_part=True)

    def write(me: int, number: int) -> int:
        kind = number % 4
        if kind == 0:
            return int(table.put_all([(n, me, n % 3 or None, 3) for n in range(number % 7)]))
        if kind == 1:
            table.delete(number % 11)
        return int(table.put(number % 11, me, number % 5 or None, number % 8))

    _, wrong = hammer(table, room, write)
    table.close()
    drain.finish()

    assert not wrong
    assert balanced(table)
    assert room.recount() == (room.used, room.used_bytes) == (0, 0)


def test_finalizers_write_while_a_write_lets_go_of_them(made: Any) -> None:
    table = opened(made.MapTable(made.Room(50, None, "drop_oldest")))
    queue = opened(made.QueueTable(made.Room(5, None, "drop_oldest")))
    merged = opened(made.MapTable(None, lambda _, new: new))

    class Final:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def __del__(self) -> None:
            if self.depth:
                table.put("k", Final(self.depth - 1))
                table.get("k")
                table.delete("z")
                table.put("z", Final(0), 5)
                merged.put("k", Final(self.depth - 1), 7)
                queue.push(Final(self.depth - 1))
                queue.push_all([1, 2])
                table.put_all([("a", Final(0), None, 0), ("b", 1, 2, 0)])

    for number in range(1000):
        table.put("k", Final(3))
        table.put(number, Final(2))
        merged.put("k", Final(2))
        merged.put(number % 3, Final(1), number)
        queue.push(Final(2))
        table.put_all([("a", Final(1), None, 0), ("b", Final(1), number, 0)])
    for each in (table, queue, merged):
        each.swap()
        each.take(3)
        each.keep({1})
        each.again(None)
        each.acknowledge()
        each.take(2)
        each.bury()
        each.release()
    table.delete("k")

    assert balanced(table)
    assert balanced(queue)
    assert balanced(merged)
    for each in (table, queue, merged):
        each.reset()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_finalizer_or_a_weak_reference_raises_is_nobodys(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: raised.append(what.exc_type))
    table, refs = opened(made.MapTable()), []

    class Bad:
        def __del__(self) -> None:
            raise ValueError

    class Referred:
        pass

    def callback(_: object) -> None:
        raise KeyError

    for _ in range(100):
        value = Referred()
        refs.append(weakref.ref(value, callback))
        table.put(1, Bad())
        table.put(2, value)
        del value

    assert balanced(table)
    assert table.counts()["accepted"] == 200
    assert raised.count(ValueError) == raised.count(KeyError) == 99
    monkeypatch.undo()
    Bad.__del__ = lambda _: None  # type: ignore[method-assign]


def test_keys_that_raise_write_or_change_concern_their_own_write(made: Any) -> None:
    table = opened(made.MapTable())
    mode = [""]

    class Evil(Key):
        def __eq__(self, other: object) -> bool:
            if mode[0] == "raise":
                raise ZeroDivisionError
            if mode[0] == "write":
                mode[0] = ""
                table.put(Key(22), "early")
                table.put(Key(1), "inner")
                table.put(Key(8), 1)
                table.delete(Key(15))
                table.swap()
            return Key.__eq__(self, other)

        __hash__ = Key.__hash__

    table.put(Key(1), 1)
    table.put(Key(15), 1)
    before = table.counts()
    mode[0] = "raise"
    calls: list[Any] = [
        lambda: table.put(Evil(8), 1),
        lambda: table.get(Evil(8)),
        lambda: table.has(Evil(8)),
        lambda: table.delete(Evil(8)),
        lambda: table.put(Evil(8), 1, 1),
        lambda: table.put_all([(1, 1, None, 0), (Evil(8), 1, None, 0)]),
        lambda: table.needs([(Evil(8), 1, None, 0)]),
    ]
    for call in calls:
        with pytest.raises(ZeroDivisionError):
            call()
    assert table.counts() == before

    mode[0] = "write"
    table.put(Evil(22), "outer")
    assert [e.value for e in table.held() if e.key == Key(22)][-1:] == ["outer"]
    assert sum(e.key == Key(22) for e in table.held()) <= 2  # one waits, one may be in flight
    assert table.get(Key(22)) == "outer"
    assert table.get(Key(1)) == "inner"

    key = Evil(3)
    table.put(key, 1)
    key.name, mode[0] = 4, "raise"
    while table.swap():
        while table.take(2):
            table.keep({0})
            table.again(None)
    assert balanced(table)
    assert len(table) == 0


def test_a_key_that_is_put_while_it_is_looked_for_is_one_key(made: Any) -> None:
    table = opened(made.MapTable())

    class Twice(Key):
        def __eq__(self, other: object) -> bool:
            if not table.has(1):
                table.put(1, 1)
                table.put(Key(8), "early")
            return Key.__eq__(self, other)

        __hash__ = Key.__hash__

    table.put(Key(15), 1)
    table.put(Twice(8), "late")

    assert [entry.value for entry in table.held()] == [1, 1, "late"]


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_signal_handlers_write_or_raise(made: Any, raises: bool) -> None:
    room = made.Room(1000)
    table, queue, hits = opened(made.MapTable(room)), opened(made.QueueTable(room)), [0]
    armed = [False]

    class Stop(BaseException):
        pass

    def handler(*_: object) -> None:
        hits[0] += armed[0]
        if raises:
            if armed[0]:
                armed[0] = False  # or a second one could come while the first is being caught
                raise Stop
            return
        queue.push("signal")
        table.put("signal", 1)
        table.put(Key(2), 1)
        table.delete("x")

    def write(number: int) -> None:
        queue.push(number)
        table.put(number % 9, number)
        table.put(Key(number % 5), number)
        table.put_all([(number % 9, 1, None, 0), (Key(3), 1, number, 0)])
        table.delete(number % 9)
        if number % 20 == 0:
            table.swap()
            table.take(3)
            table.acknowledge()
            queue.swap()
            queue.take(50)
            queue.acknowledge()

    before, number = signal.signal(signal.SIGALRM, handler), 0
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            with contextlib.suppress(Stop):
                armed[0] = True
                signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-5, 3e-4))
                for _ in range(20):
                    write(number)
                    number += 1
                armed[0] = False
            armed[0] = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert balanced(table)
    assert balanced(queue)
    assert (room.used, room.used_bytes) == room.recount()
    assert hits[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="an interpreter's own locks can hang there",
)
def test_a_forked_child_starts_empty(made: Any) -> None:
    room = made.Room(10**6)
    table, queue = opened(made.MapTable(room)), opened(made.QueueTable(room))
    done: list[int] = []

    def run() -> None:
        number = 0
        while not done:
            queue.push(number)
            table.put(number % 100, number)
            table.put(Key(number % 9), number)
            number += 1

    def begin_anew() -> bool:
        room.reset()
        queue.reset()
        table.reset()
        opened(queue)
        opened(table)
        queue.push(1)
        table.put(1, 1)
        table.put(Key(1), 2)
        counts = queue.counts()["accepted"], table.counts()["accepted"], room.used
        return bool(counts == (1, 2, 3))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.02)
        for _ in range(10):
            assert Child(begin_anew).result()
    finally:
        done.append(1)
    join(*threads)
    assert balanced(table)
    assert balanced(queue)


@pytest.mark.parametrize("kind", ["QueueTable", "MapTable"])
def test_what_a_closing_table_accepted_is_delivered(made: Any, kind: str) -> None:
    for _ in range(20):
        table, told = opened(getattr(made, kind)()), [0] * WRITERS

        def run(me: int, table: Any = table, told: list[int] = told) -> None:
            write = table.push if kind == "QueueTable" else lambda item: table.put(item, 1)
            while write((me, told[me])) == MADE:
                told[me] += 1

        threads = [threading.Thread(target=run, args=(me,)) for me in range(WRITERS)]
        for thread in threads:
            thread.start()
        time.sleep(0.002)
        table.close()
        got = 0
        while table.swap():
            got += len(table.take(None))
            table.acknowledge()
        join(*threads)
        assert sum(told) == got == table.counts()["accepted"]
