"""What tables let go of is gone: objects, memory, whole interpreters; both implementations."""

import gc
import sys
import textwrap
import threading
import weakref
from typing import Any

import pytest
from helpers import join
from implementations import Key, load, opened

from partitioned_buffer._core.tables.step import FREE_THREADED

CYCLES = 300


class Value:
    """Something that can be counted."""


def fail(*_: object) -> Any:
    raise ValueError


def use_queue(made: Any, room: Any) -> Any:
    queue = opened(made.QueueTable(room))
    for _ in range(40):
        queue.push(Value(), 1)
    queue.push_all([Value() for _ in range(5)], [1] * 5)
    for size in (7, None):
        queue.swap()
        queue.take(size)
        queue.keep({1, 3})
        queue.again(1)
        queue.reach(2)
        queue.bury({0, 5})
        queue.again(2)
        queue.bury()
        queue.again(None)
        queue.release()
        queue.push(Value(), 2)
    return queue


def use_map(made: Any, room: Any, merge: Any) -> Any:
    table = opened(made.MapTable(room, merge, 5, lambda _: 1))
    for number in range(40):
        table.put(number, Value(), None, 1)
        table.put(Key(number), Value(), number, 2)
        table.put(number % 3, Value(), number, 2)
        table.get(Key(number))
        table.delete(Key(number - 3))
    table.put_all([(Key(1), Value(), None, 1), (2, Value(), 3, 1), (2, Value(), 99, 1)])
    table.needs([(Key(77), Value(), None, 1)])
    for size in (7, None, 3):
        table.swap()
        table.take(size)
        table.put(2, Value(), 99, 1)
        table.delete(1)
        table.keep({1, 3})
        table.again(None)
        table.bury({0, 5})
        table.put(100, Value(), None, 1)
        table.reach(3)
        table.again(2)
        table.bury()
        table.take(5)
        table.acknowledge()
        table.take_table()
        table.keep(None)
        table.again(2)
        table.release()
        table.held()
    return table


def use_writers(made: Any, queue: Any, table: Any) -> None:
    class Both(made.QueueWriter):  # type: ignore[misc]
        pass

    writer = Both()
    writer._equip((queue,), True, lambda *_: queue, lambda _: 1, lambda *_: None)
    writer.push(Value())
    writer.push(Value(), partition_key=writer)
    writer._try_push(writer, None)
    mapping = made.MapWriter()
    mapping._equip((table,), (table,), lambda *_: table, lambda _: 1, lambda *_: None)
    mapping.put(Key(1), mapping)
    mapping.put_newer(1, Value(), 500)
    mapping.get(1, partition_key=0)
    mapping.delete(1)
    plain = made.MapWriter()
    plain._equip((table,), (table,), lambda *_: table, None, lambda *_: None)
    plain._deal([(Key(n), Value()) for n in range(9)], False)
    plain._deal({1: Value(), 2: plain}, False)
    plain._deal([(1, Value()), [2, Value()]], False)
    wrongs: list[Any] = [lambda: mapping.put([], 1), lambda: mapping.put_newer(1, 1, "x")]
    for wrong in wrongs:
        with pytest.raises(TypeError):
            wrong()


def cycle(made: Any, number: int) -> "weakref.ref[Any]":
    """Use all of it, tie it into knots, and let it go."""
    room = made.Room(50, 500, ["block", "drop_oldest"][number % 2])
    queue = use_queue(made, room)
    table = use_map(made, room, None if number % 3 else lambda old, new: new)
    use_writers(made, queue, table)
    failing = use_map(made, None, fail if number % 5 == 0 else None) if number % 5 else table
    knot = Value()
    knot.all = room, queue, table, failing  # type: ignore[attr-defined]
    queue.push(knot, 1)
    table.put(Key(100), knot, None, 1)
    table.put(knot, knot, 7, 1)
    table.observer, room.serve, queue.partition = knot.__class__, (lambda: knot), knot
    if number % 7 == 0:
        for each in (room, queue, table):
            each.reset()
    return weakref.ref(knot)


def census() -> tuple[int, int]:
    gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks()


def test_nothing_is_left_of_what_was_let_go_of(made: Any) -> None:
    for number in range(50):
        cycle(made, number)
    objects, blocks = census()

    refs = [cycle(made, number) for number in range(CYCLES)]
    dead = not any(ref() for ref in refs) if gc.collect() >= 0 else False
    del refs
    more_objects, more_blocks = census()

    assert dead
    assert not any(isinstance(thing, Value) for thing in gc.get_objects())
    if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():
        return  # counts are not exact there: what is let go of may be freed later
    assert more_objects - objects < CYCLES // 3
    assert more_blocks - blocks < CYCLES // 3


def tie(made: Any, way: str, value: Any) -> None:
    """Have *value* refer to something that refers to it."""
    room = made.Room(9, 9, "drop_oldest")
    queue, table = opened(made.QueueTable()), opened(made.MapTable())
    bounded = opened(made.MapTable(room))
    if way == "queue":
        queue.push(value)
    elif way == "map":
        table.put(1, value)
    elif way == "node":
        bounded.put(1, value, 3, 1)
    elif way == "box":
        bounded.put(value, 1, 3, 1)
    elif way == "room":
        room.serve = lambda: value
    else:
        tied_writer(made, value, queue)
    for each in (queue, table, bounded):
        each.swap()
        each.take(1)
    value.way = queue, table, bounded


@pytest.mark.parametrize("way", ["queue", "map", "node", "box", "room", "writer"])
def test_the_collector_finds_every_way_round(made: Any, way: str) -> None:
    value = Value()
    ref = weakref.ref(value)
    tie(made, way, value)

    del value
    gc.collect()

    assert ref() is None


def tied_writer(made: Any, value: Any, queue: Any) -> None:
    writer = made.QueueWriter()
    writer._equip((queue,), False, lambda *_: (writer, value), None, print)
    value.push = writer.push


@pytest.mark.skipif(FREE_THREADED, reason="memory is counted another way there")
def test_a_table_that_could_not_be_made_is_let_go_of(made: Any) -> None:
    memory = pytest.importorskip("_testcapi", reason="CPython was built without its own tests")
    if "_speed" not in made.MapTable.__module__:
        pytest.skip("Python's own code does not survive it")
    apart: list[Any] = []  # so that no dict is spare

    def fail_each_time() -> None:
        for place in range(1, 12):
            apart.extend({} for _ in range(100))
            memory.set_nomemory(place, place + 1)
            try:
                made.MapTable()
            except MemoryError:
                pass
            finally:
                memory.remove_mem_hooks()
        del apart[100:]
        gc.collect()

    fail_each_time()
    before = sys.getallocatedblocks()
    for _ in range(30):
        fail_each_time()
    assert sys.getallocatedblocks() - before < 100  # a dict and its table each time: 360


@pytest.mark.filterwarnings("ignore")
def test_each_interpreter_has_tables_of_its_own() -> None:
    load("c")
    try:
        import _interpreters as interpreters  # noqa: PLC0415
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters  # type: ignore[import-not-found, no-redef]  # noqa: PLC0415
        except ImportError:
            pytest.skip("no interpreters")
    code = textwrap.dedent(f"""
        import sys
        sys.path[:] = {sys.path!r}
        from partitioned_buffer._core.tables import _speed as tables
        room = tables.Room(2000, 2000, "drop_oldest")
        queue, table = tables.QueueTable(room), tables.MapTable(room)
        for each in (queue, table):
            each.open(lambda: None, 5)
        watch = tables.Stopwatch(lambda: 1, (1.0, 2.0))
        for number in range(500):
            watch.returned()
            queue.push(number)
            table.put(complex(number % 9), number, number + 1, 1)
            table.put(number % 9, number)
        for each in (queue, table):
            each.swap()
            assert each.take(3)
            each.keep({{0}})
            assert each.again(None)
        assert type(table.held()[0]).__name__ == "Entry"
        try:
            table.put(1, 1, "x")
        except TypeError:
            pass
    """)
    wrong: list[Any] = []

    def run() -> None:
        for _ in range(3):
            made = interpreters.create()
            runs = getattr(interpreters, "exec", None) or interpreters.run_string
            try:
                if (error := runs(made, code)) is not None:
                    wrong.append(error)
            except Exception as error:
                wrong.append(error)
            interpreters.destroy(made)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    join(*threads)

    assert wrong == []
