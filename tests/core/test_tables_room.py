"""Who may take room while others stand in line; both implementations."""

from typing import Any

import pytest
from implementations import opened

MADE, FULL, CLOSED = range(3)


@pytest.mark.parametrize(("line", "line_bytes"), [(8, 0), (1, 94)])
def test_only_who_is_first_takes_what_others_wait_for(
    line: int, line_bytes: int, made: Any
) -> None:
    room = made.Room(10, 100)
    table, queue = opened(made.MapTable(room)), opened(made.QueueTable(room))
    table.put("known", 1, None, 5)
    room.line, room.line_bytes = line, line_bytes

    assert queue.push_all([1, 2], [1, 1]) == table.put("known", 2, None, 102) == FULL
    assert table.put_all([("new", 1, None, 1), ("newer", 1, None, 1)]) == FULL
    assert not room.has(2, 2)
    assert room.has(2, 2, True)
    assert queue.push(1, 1) == MADE  # which leaves what the line waits for
    assert queue.push(1, 1) == table.put("new", 1, None, 1) == FULL
    assert queue.push(1, 1, True) == table.put("new", 1, None, 1, True) == MADE


def test_what_needs_no_new_room_does_not_stand_in_line(made: Any) -> None:
    room = made.Room(10, 100)
    table, queue = opened(made.MapTable(room)), opened(made.QueueTable(room))
    table.put("known", 1, None, 5)
    room.line, room.line_bytes = 10, 100

    assert table.put("known", 2, None, 5) == table.put("known", 3, None, 4) == MADE
    assert table.put("known", 4, 1, 4) == table.put("known", 5, 1, 4) == MADE
    assert table.put_all([("known", 6, None, 4)]) == queue.push_all([], []) == MADE
    assert table.delete("known") == MADE
    assert (room.used, room.used_bytes) == room.recount() == (0, 0)


def test_the_line_is_served_when_room_comes_back(made: Any) -> None:
    room = made.Room(10, 100)
    table, queue = opened(made.MapTable(room)), opened(made.QueueTable(room))
    served: list[str] = []
    for number in range(4):
        table.put(number, number, None, 5)
        queue.push(number, 5)
    for each in (table, queue):
        each.swap()
        each.take(1)
    room.line = 1
    room.serve = lambda: served.append("served")

    for number, give in enumerate(
        [
            lambda: table.delete(3),
            lambda: table.delete(2),
            queue.acknowledge,
            table.acknowledge,
        ]
    ):
        give()
        assert len(served) > number


def test_a_value_that_becomes_lighter_serves_the_line(made: Any) -> None:
    room = made.Room(10, 100)
    table, served = opened(made.MapTable(room)), []
    table.put("known", 1, None, 50)
    room.line = 1
    room.serve = lambda: served.append(room.used_bytes)

    table.put("known", 2, None, 40)
    assert served == [40]
    table.put("known", 3, 1, 30)
    assert served == [40, 30]
    table.put_all([("known", 4, None, 20)])
    assert served == [40, 30, 20]
    table.put("known", 5, None, 20)
    assert served == [40, 30, 20]


def test_room_says_what_fits_and_what_there_is(made: Any) -> None:
    room = made.Room(2, 10)
    queue = opened(made.QueueTable(room))
    queue.push(1, 6)

    assert (room.size, room.bytes, room.when_full, room.weighed) == (2, 10, "block", True)
    assert [room.fits(2, 10), room.fits(3, 1), room.fits(1, 11)] == [True, False, False]
    assert [room.has(1, 4), room.has(2, 4), room.has(1, 5)] == [True, False, False]
    assert room.tables == [queue]


def test_what_is_merged_at_a_retry_takes_no_more_than_there_is(made: Any) -> None:
    room = made.Room(10, 10)
    table = opened(made.MapTable(room, lambda old, new: (old + new) * 4, 100, len))
    table.put("key", "old", None, 3)
    table.swap()
    table.take(1)
    table.keep(None)
    table.put("key", "new", None, 3)

    (entry,) = table.again(None)

    assert entry.value == "old"
    (error,) = table.faults()
    assert repr(error) == repr(OverflowError("merge() made 24 bytes, more than there is room for"))
    assert (room.used, room.used_bytes) == room.recount() == (2, 6)
