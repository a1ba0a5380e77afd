"""
What a write costs in the tables and the writers alone: ratios to a bound `list.append`.

    python benchmarks/tables.py [c|python] [--rounds N] [--only PART] [--scale]

Each subject's time is that of the process, and is divided by the mean of the floor's before and
after it, in the same round; reported are the least, the median and the greatest of all rounds.
`--scale` compares two threads with one instead, for free-threaded builds.
"""

import argparse
import gc
import importlib
import operator
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

COUNT = 20_000
HELD = 100_000
HUGE = 1 << 40

items = list(range(1_000, 1_000 + COUNT))
held = list(range(HELD))
hundreds = [items[at : at + 100] for at in range(0, COUNT, 100)]
hot = [number % 1_000 for number in items]
words = [f"k{number}" for number in hot]
known_ids = [uuid.UUID(int=number * 7919) for number in range(1_000)]
ids = [known_ids[number] for number in hot]
new_ids = [uuid.UUID(int=number * 7919) for number in items]
winning = [(key, version) for version, key in enumerate(hot, 1)]
stale = [(key, -1) for key in hot]
fresh = [(key, key) for key in items]


def one(call: Any, args: Sequence[Any]) -> None:
    for x in args:
        call(x)


def two(call: Any, args: Sequence[Any]) -> None:
    for x in args:
        call(x, x)


def three(call: Any, args: Sequence[Any]) -> None:
    for key, version in args:
        call(key, version, version)


def method_push(queue: Any, args: Sequence[Any]) -> None:
    for x in args:
        queue.push(x)


def timed(loop: Any, subject: Any, args: Sequence[Any]) -> float:
    began = time.process_time_ns()
    loop(subject, args)
    return (time.process_time_ns() - began) / len(args)


def floor() -> float:
    return timed(one, [].append, items)


class Subjects:
    """What is measured, of one implementation."""

    def __init__(self, tables: Any, writers: Any) -> None:
        self.tables, self.writers = tables, writers

        class Queue(writers.QueueWriter):  # type: ignore[misc]
            pass

        class Map(writers.MapWriter):  # type: ignore[misc]
            pass

        self.Queue, self.Map = Queue, Map

    def queue(self, flush_at: int | None = None, partitions: int = 1, **room: Any) -> Any:
        shared = self.tables.Room(**room) if room else None
        made = tuple(self.tables.QueueTable(shared) for _ in range(partitions))
        for table in made:
            table.open(lambda: None, flush_at)
        queue = self.Queue()
        queue._equip(made, True, None, None, None)
        return queue

    def map(self, known: Sequence[Any] = (), newer: bool = False, **how: Any) -> Any:
        room = {name: how.pop(name) for name in ("max_size", "max_bytes") if name in how}
        table = self.tables.MapTable(self.tables.Room(**room) if room else None, **how)
        table.open(lambda: None, None)
        made = self.Map()
        made._equip((table,), (table,) * 67, None, None, None)
        for key in known:
            if newer:
                made.put_newer(key, key if isinstance(key, int) else 0, 0)
            else:
                made.put(key, key)
        made.get(1)
        return made

    def table(self, kind: str) -> Any:
        made = getattr(self.tables, kind)()
        made.open(lambda: None, None)
        return made

    def drain(
        self, kind: str, size: int | None, *, newer: bool = False, whole: bool = False
    ) -> float:
        table = self.table(kind)
        for number in held:
            if kind == "QueueTable":
                table.push(number)
            elif newer:
                table.put(number, number, 1)
            else:
                table.put(number, number)
        gc.collect()
        began = time.process_time_ns()
        table.swap()
        if whole:
            while table.take_table() is not None:
                pass
        else:
            take = table.take
            while take(size) is not None:
                pass
        return (time.process_time_ns() - began) / HELD

    def rows(self) -> Iterator[tuple[str, float, Callable[[], float]]]:
        """Yield name, mark and what times it."""
        queue, many, kilo = self.queue, self.map, range(1_000)
        yield "push, bound", 1.3, lambda: timed(one, queue().push, items)
        yield "push, bound, 4 partitions", 1.3, lambda: timed(one, queue(partitions=4).push, items)
        yield "q.push(x)", 1.6, lambda: timed(method_push, queue(), items)
        yield "push, flush_at", 1.4, lambda: timed(one, queue(flush_at=HUGE).push, items)
        yield "push, max_size", 1.5, lambda: timed(one, queue(max_size=HUGE).push, items)
        yield (
            "table.push_all(100), per item",
            0.2,
            lambda: timed(one, self.table("QueueTable").push_all, hundreds) / 100,
        )
        yield "put, int, known", 3.5, lambda: timed(two, many(kilo).put, hot)
        yield "put, str, known", 3.5, lambda: timed(two, many(words[:1000]).put, words)
        yield "put, int, new", 6, lambda: timed(two, many().put, items)
        yield "put, max_size, known", 4, lambda: timed(two, many(kilo, max_size=HUGE).put, hot)
        yield "put, max_size, new", 10, lambda: timed(two, many(max_size=HUGE).put, items)
        yield "put, merge=add", 7.5, lambda: timed(two, many(kilo, merge=operator.add).put, hot)
        yield "put, UUID, known", 15, lambda: timed(two, many(known_ids).put, ids)
        yield "put, UUID, new", 27, lambda: timed(two, many().put, new_ids)
        yield "put_newer, winning", 5, lambda: timed(three, many(kilo, True).put_newer, winning)
        yield "put_newer, stale", 3.6, lambda: timed(three, many(kilo, True).put_newer, stale)
        yield "put_newer, new", 11, lambda: timed(three, many().put_newer, fresh)
        yield "get", 2.5, lambda: timed(one, many(kilo).get, hot)
        yield "delete", 7, lambda: timed(one, many(items).delete, items)
        for size, mark in ((10, 3), (100, 0.8), (1_000, 0.5)):
            yield f"drain, Queue, {size}", mark, partial(self.drain, "QueueTable", size)
        for size, mark in ((10, 8), (100, 5.5), (1_000, 5)):
            yield f"drain, Map, {size}", mark, partial(self.drain, "MapTable", size)
        yield "drain, Map, table", 7, lambda: self.drain("MapTable", None, whole=True)
        yield "drain, Map, 100, versioned", 9, lambda: self.drain("MapTable", 100, newer=True)


def measure(subjects: Subjects, count: int, only: str) -> None:
    rows = [row for row in subjects.rows() if only in row[0]]
    ratios: dict[str, list[float]] = {name: [] for name, _, _ in rows}
    for _ in range(count):
        for name, _, timing in rows:
            gc.collect()
            before = floor()
            took = timing()
            ratios[name].append(2 * took / (before + floor()))
    print(f"{'':32} {'least':>7} {'median':>7} {'most':>7} {'mark':>6}")
    for name, mark, _ in rows:
        each = sorted(ratios[name])
        median = statistics.median(each)
        over = "" if median <= mark else "  over"
        print(f"{name:32} {each[0]:7.2f} {median:7.2f} {each[-1]:7.2f} {mark:6}{over}")


def scale(subjects: Subjects, count: int) -> None:
    """Two threads with a bound method each, against one thread, by the clock on the wall."""

    def per_write(threads: int, methods: Sequence[Any]) -> float:
        gate = threading.Barrier(threads + 1)

        def run(method: Any) -> None:
            gate.wait()
            for _ in range(10):
                one(method, items)

        workers = [threading.Thread(target=run, args=(m,)) for m in methods[:threads]]
        for worker in workers:
            worker.start()
        gate.wait()
        began = time.perf_counter_ns()
        for worker in workers:
            worker.join()
        return (time.perf_counter_ns() - began) / (threads * 10 * COUNT)

    def shared(**how: Any) -> list[Any]:
        queue = subjects.queue(**how)
        return [queue.push, queue.push]

    makers: dict[str, Callable[[], list[Any]]] = {
        "list.append, a list each": lambda: [[].append, [].append],
        "push, one queue of 2": lambda: shared(partitions=2),
        "push, one queue of 8": lambda: shared(partitions=8),
        "push, one queue of 8, max_size": lambda: shared(partitions=8, max_size=HUGE),
        "push, a queue each": lambda: [subjects.queue().push, subjects.queue().push],
        "push, one table": lambda: [(t := subjects.table("QueueTable")).push, t.push],
    }
    for name, made in makers.items():
        times = [(per_write(1, made()), per_write(2, made())) for _ in range(count)]
        gains = sorted(alone / both for alone, both in times)
        print(
            f"{name:32} one thread {statistics.median(t for t, _ in times):6.1f} ns, "
            f"x {gains[0]:.2f} {statistics.median(gains):.2f} {gains[-1]:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("implementation", nargs="?", default="c", choices=["c", "python"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="")
    parser.add_argument("--scale", action="store_true")
    given = parser.parse_args()
    package = "partitioned_buffer._core.tables."
    tables: Any
    writers: Any
    if given.implementation == "c":
        tables = writers = importlib.import_module(package + "_speed")
    else:
        writers = importlib.import_module(package + "writers")
        tables = argparse.Namespace(
            Room=importlib.import_module(package + "room").Room,
            QueueTable=importlib.import_module(package + "queue").QueueTable,
            MapTable=importlib.import_module(package + "map").MapTable,
        )
    print(f"{given.implementation}, Python {sys.version.split()[0]}")
    subjects = Subjects(tables, writers)
    (scale if given.scale else measure)(
        subjects, given.rounds, *([] if given.scale else [given.only])
    )


if __name__ == "__main__":
    main()
