"""What happens in the middle of a write, or at its end, sees whole steps."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from implementations import Key, balanced, load, opened

from partitioned_buffer._core.tables.map import PATIENCE


class Dying:
    """Says, when it dies, what it sees."""

    def __init__(self, look: Callable[[], Any]) -> None:
        self.look = look

    def __del__(self) -> None:
        self.look()


WRITES: dict[str, Callable[[Any], Any]] = {
    "put": lambda table: table.put("k", "new"),
    "put_newer": lambda table: table.put("k", "new", 9),
    "put_all": lambda table: table.put_all([("k", "new", None, 0)]),
    "put_all, newer": lambda table: table.put_all([("k", "new", 9, 0)]),
    "delete": lambda table: table.delete("k"),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("room", ["", "items", "bytes"])
def test_a_value_that_is_replaced_sees_the_write(
    made: Any, room: str, version: int | None, write: str
) -> None:
    bounds = {"": None, "items": (5, None), "bytes": (5, 50)}[room]
    table, seen = opened(made.MapTable(bounds and made.Room(*bounds))), []

    def look() -> None:
        counts = table.counts()
        seen.append((table.get("k"), counts["accepted"], counts["deleted"], balanced(table)))

    table.put("k", Dying(look), version)
    WRITES[write](table)

    deleted = write == "delete"
    assert seen == [(None, 1, 1, True) if deleted else ("new", 2, 0, True)]


@pytest.mark.parametrize("after", ["nothing", "quiet ones", "a swap", "a reset"])
@pytest.mark.parametrize("how", ["put", "put_all", "merged"])
def test_it_does_wherever_it_came_from_and_whatever_was_before(
    made: Any, how: str, after: str
) -> None:
    """What is known to run no code when it dies may be replaced in one look."""
    merge: Any = (lambda _, new: new) if how == "merged" else None
    table, seen = opened(made.MapTable(None, merge)), list[Any]()

    def look() -> None:
        seen.append((table.get("k"), table.counts()["accepted"]))

    if after != "nothing":
        for quiet in (1, "2", (3, None)):
            table.put("k", quiet)
    if after == "a swap":
        table.swap()
    if after == "a reset":
        table.reset()
        opened(table)
    value = Dying(look)
    table.put_all([("k", value, None, 0)]) if how == "put_all" else table.put("k", value)
    del value
    before = table.counts()["accepted"]
    for number in range(3):
        table.put("k", number)
    assert seen == [(0, before + 1)]
    assert table.get("k") == 2


@pytest.mark.parametrize("kind", ["QueueTable", "MapTable"])
@pytest.mark.parametrize("end", ["take", "acknowledge", "bury", "bury some", "drop_oldest", "keep"])
def test_what_is_settled_or_dropped_sees_that_it_was(made: Any, kind: str, end: str) -> None:
    room = made.Room(5, None, "drop_oldest")
    table, seen = opened(getattr(made, kind)(room)), []

    def look() -> None:
        counts = table.counts()
        gone = sum(counts[name] for name in ("delivered", "dead_lettered", "dropped"))
        seen.append((gone, len(table), room.used, balanced(table)))

    for number in range(2):
        if kind == "QueueTable":
            table.push(Dying(look) if number == 0 else number)
        else:
            table.put(number, Dying(look) if number == 0 else number, None)
    if end != "drop_oldest":
        table.swap()
        table.take(1)
    which: dict[str, list[Any]] = {"take": [1], "keep": [[]], "bury some": [[0]]}
    getattr(table, end.partition(" ")[0])(*which.get(end, []))

    assert seen == [(1, 1, 1, True)]
    table.reset()


def others_wait(table: Any) -> bool:
    """Return whether who writes from elsewhere now has to wait."""
    other = threading.Thread(target=lambda: table.put("another", len(table)), daemon=True)
    other.start()
    other.join(10)
    return other.is_alive()


def test_a_key_whose_version_is_forgotten_keeps_nobody_waiting(made: Any) -> None:
    table, seen = opened(made.MapTable(None, None, 1)), []

    for number in range(3):
        key = Dying(lambda: seen.append(others_wait(table))) if number == 0 else number
        table.put(key, number, 1)
        table.swap()
        table.take(1)
        table.acknowledge()
        del key

    assert seen == [False]
    assert balanced(table)


def test_a_value_that_a_write_has_seen_before_keeps_nobody_waiting(made: Any) -> None:
    class Equal:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if meddlings:
                meddlings.pop()()
            return isinstance(other, Equal)

    table, seen = opened(made.MapTable(made.Room(9))), list[bool]()
    first, meddlings = Equal(), list[Any]()
    table.put(first, Dying(lambda: seen.append(others_wait(table))))
    # A new key comes while it is looked for, so that it is tried again; then another value.
    meddlings = [lambda: table.put(first, "between"), lambda: table.put(Key(5), 5)]
    table.put(Equal(), "new")

    assert not meddlings
    assert seen == [False]
    assert table.get(first) == "new"
    assert balanced(table)


def test_a_value_that_many_have_seen_keeps_nobody_waiting() -> None:
    table, seen = opened(load("python").MapTable()), list[bool]()
    find_all, plan, meddlings = table._find_all, table._plan, list(range(PATIENCE))

    def others_write(*args: Any) -> Any:
        table.put("k", Dying(lambda: seen.append(others_wait(table))))
        return find_all(*args)

    def and_while_it_is_planned(*args: Any) -> Any:
        if meddlings:
            table.put("other", meddlings.pop())
        return plan(*args)

    table._find_all, table._plan = others_write, and_while_it_is_planned
    table.put("k", None)
    table.put_all([("k", "new", None, 0)])

    assert not meddlings
    assert seen == [False] * (PATIENCE + 1)
    assert table.get("k") == "new"
    assert balanced(table)


def test_a_write_in_the_middle_of_a_merge_is_merged_too(made: Any) -> None:
    middle = [3]

    def merge(old: Any, new: Any) -> Any:
        if middle and again:
            table.put("k", (middle.pop(),))
        return old + new

    table, again = opened(made.MapTable(None, merge)), False
    table.put("k", (1,))
    table.swap()
    table.take(1)
    table.keep(None)
    table.put("k", (2,))
    again = True

    (entry,) = table.again(None)

    assert entry.value == (1, 2, 3)
    assert balanced(table)
    assert len(table) == 1


@pytest.mark.parametrize("end", ["keep", "acknowledge"])
def test_what_is_deleted_and_written_anew_in_the_middle_of_a_merge_is_new(
    made: Any, end: str
) -> None:
    def merge(old: Any, new: Any) -> Any:
        while others:
            table.delete(others[0])
            table.put(others.pop(), (4,))
        return old + new

    table, others = opened(made.MapTable(None, merge)), list[str]()
    for key in "ab":
        table.put(key, (1,))
    table.swap()
    table.take(2)
    table.keep(None)
    for key in "ab":
        table.put(key, (2,))
    others = ["b"]  # out by now, and not put over yet

    assert [entry.value for entry in table.again(None)] == [(1, 2), (1,)]
    getattr(table, end)()

    assert [entry.value for entry in table.held()] == [*[(1, 2)] * (end == "keep"), (4,)]
    assert balanced(table)
