"""When a table wakes its worker; both implementations."""

from typing import Any

import pytest
from implementations import balanced

MADE = 0


WRITES = {
    "QueueTable": lambda table, n: table.push(n),
    "MapTable": lambda table, n: table.put(n, n),
}
MANY = {
    "QueueTable": lambda table, n: table.push_all([n]),
    "MapTable": lambda table, n: table.put_all([(n, n, None, 0)]),
}


@pytest.mark.parametrize("write", [WRITES, MANY])
@pytest.mark.parametrize("kind", WRITES)
def test_it_rings_once_for_each_swap(made: Any, kind: str, write: Any) -> None:
    table, rings = getattr(made, kind)(), []
    table.open(lambda: rings.append(len(table)), 3)
    for number in range(6):
        write[kind](table, number)
    assert rings == [3]

    table.swap()
    for number in range(6):
        write[kind](table, number)
    assert rings == [3, 9]


@pytest.mark.parametrize("write", [WRITES, MANY])
@pytest.mark.parametrize("kind", WRITES)
def test_who_could_not_be_woken_is_woken_by_the_next_write(
    made: Any, kind: str, write: Any
) -> None:
    table, rings = getattr(made, kind)(), []

    def wake() -> None:
        rings.append(len(table))
        if len(rings) == 1:
            raise InterruptedError  # as a signal handler does

    table.open(wake, 3)
    for number in range(2):
        write[kind](table, number)
    with pytest.raises(InterruptedError):
        write[kind](table, 2)
    for number in range(3, 6):
        write[kind](table, number)

    assert rings == [3, 4]
    assert balanced(table)
    assert len(table) == 6


@pytest.mark.parametrize("flush_at", [None, 9])
@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
@pytest.mark.parametrize("kind", WRITES)
def test_what_is_full_rings_for_every_table_that_holds_something_once_for_each_swap(
    made: Any, kind: str, policy: str, flush_at: int | None
) -> None:
    room, rings, errors = made.Room(4, None, policy), list[str](), [InterruptedError()]
    tables = {name: getattr(made, kind)(room) for name in ("one", "other", "empty")}

    def ring(name: str) -> None:
        rings.append(name)
        if name == "other" and errors:
            raise errors.pop()

    for name, table in tables.items():
        table.open(lambda name=name: ring(name), flush_at)
    for number in range(3):
        WRITES[kind](tables["one"], number)
    WRITES[kind](tables["other"], 3)
    assert rings == []

    with pytest.raises(InterruptedError):
        WRITES[kind](tables["one"], 4)
    assert tables["one"].counts()["accepted"] == 3, "it was not made"
    for number in range(4, 8):
        WRITES[kind](tables["one"], number)
    assert rings == ["one", "other", "other"]

    tables["one"].swap()
    for number in range(8, 10):
        WRITES[kind](tables["one"], number)
    assert rings == ["one", "other", "other", "one"]
    assert all(map(balanced, tables.values()))


@pytest.mark.parametrize("kind", WRITES)
def test_what_waits_already_rings_when_it_is_retuned(made: Any, kind: str) -> None:
    table, rings = getattr(made, kind)(), []
    table.open(lambda: rings.append(len(table)), None)
    for number in range(3):
        WRITES[kind](table, number)
    assert rings == []

    table.retune(4)
    assert rings == []
    table.retune(3)
    assert rings == [3]
    table.retune(2)
    assert rings == [3, 3]
    table.retune(None)
    table.swap()
    WRITES[kind](table, 9)
    assert rings == [3, 3]
