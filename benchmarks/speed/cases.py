"""The cases: what is written, drained, sent end to end, and how much memory waiting takes."""

import gc
import operator
import tracemalloc
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from queue import Queue, SimpleQueue
from typing import Any

import janus

from .measure import Timed, call_each, timed, together
from .subjects import (
    PLENTY,
    Drained,
    Janus,
    ListAppend,
    Locked,
    LockedMap,
    OpenTelemetry,
    OurMap,
    Ours,
    Simple,
    Standard,
    Subject,
)

FLOOR = "list.append"
BY_HAND = "a list, a lock", "a dict, a lock"
SIMPLE = "queue.SimpleQueue and a thread"
PEERS: dict[str, Callable[[], Subject]] = {
    FLOOR: ListAppend,
    f"{BY_HAND[0]} and a count": Locked,
    "queue.SimpleQueue.put": Simple,
    "queue.Queue.put": Standard,
    "janus put": Janus,
    "OpenTelemetry emit": OpenTelemetry,
    "Queue.push": Ours,
}


def _time(function: Any, arguments: list[Any], threads: int, arity: int = 1) -> float:
    return _timed(call_each(function, arguments, arity), arguments, threads)


def _timed(loop: Callable[[], None], arguments: list[Any], threads: int) -> float:
    _touch(arguments)
    if threads == 1:
        return timed(loop, len(arguments))
    return together(loop, threads, len(arguments))


def _touch(arguments: list[Any]) -> None:
    """
    Have what is written in this thread's caches, as what a caller has just made is.

    Else it is in those of the worker that had it last, which costs whoever is measured next.
    """
    for argument in arguments:
        for _ in argument if isinstance(argument, list | tuple) else ():
            pass


def _put(make: Callable[[], Subject], items: list[Any], threads: int) -> float:
    subject = make()
    try:
        return _time(subject.put, items, threads)
    finally:
        subject.close()


def _ours(method: str, arguments: list[Any], threads: int, each: int = 1, **options: Any) -> float:
    ours = Ours(**options)
    try:
        return _time(getattr(ours.queue, method), arguments, threads) / each
    finally:
        ours.close()


def _looked_up(items: list[int], threads: int) -> float:
    """As most programs write it: `queue.push(item)`."""
    ours = Ours()
    queue = ours.queue

    def work() -> None:
        for item in items:
            queue.push(item)

    try:
        return _timed(work, items, threads)
    finally:
        ours.close()


ARITY = {"put_all": 1, "put": 2, "put_newer": 3, "get": 1, "delete": 1}


def _our_map(
    method: str,
    arguments: list[Any],
    threads: int,
    known: Iterable[Any] = (),
    each: int = 1,
    **options: Any,
) -> float:
    """Call it on a Map that has these keys, with versions only if any are to be written."""
    ours = OurMap(**options)
    try:
        if method == "put_newer":
            ours.map.put_all_newer([(key, key, 0) for key in known])
        else:
            ours.map.put_all([(key, 0) for key in known])
        ours.map.size()
        return _time(getattr(ours.map, method), arguments, threads, ARITY[method]) / each
    finally:
        ours.close()


def _setitem(keys: list[int], threads: int) -> float:
    table: dict[int, int] = {}
    return _time(table.__setitem__, keys, threads, 2)


def _locked(keys: list[int], threads: int) -> float:
    return _time(LockedMap().put_by_key, keys, threads, 2)


def writes(count: int, threads: int) -> dict[str, Timed]:
    """So many items are written by each thread, while the worker sleeps."""
    items = list(range(count))
    hundreds = [items[start : start + 100] for start in range(0, count, 100)]
    hot = [number % 1000 for number in items]
    versioned = [(key, key) for key in items]
    winning = [(key, version) for version, key in enumerate(hot, 1)]
    stale = [(key, -1) for key in hot]
    pairs = [[(key, key) for key in hundred] for hundred in hundreds]
    names = [uuid.UUID(int=number) for number in items]
    few, hot_names = range(1000), [names[number] for number in hot]
    return {
        **{name: partial(_put, make, items, threads) for name, make in PEERS.items()},
        "Queue.push, looked up each time": partial(_looked_up, items, threads),
        "Queue.push, flush_at": partial(_ours, "push", items, threads, flush_at=count * 9),
        "Queue.push, partition_key": partial(
            _ours, "push", items, threads, partition_key=operator.neg
        ),
        "Queue.push, max_size": partial(_ours, "push", items, threads, max_size=PLENTY),
        "Queue.push_all of 100, per item": partial(_ours, "push_all", hundreds, threads, 100),
        "dict.__setitem__, new keys": partial(_setitem, items, threads),
        "dict.__setitem__, 1000 keys": partial(_setitem, hot, threads),
        f"{BY_HAND[1]} and counts, new keys": partial(_locked, items, threads),
        f"{BY_HAND[1]} and counts, 1000 keys": partial(_locked, hot, threads),
        "Map.put, new keys": partial(_our_map, "put", items, threads),
        "Map.put, 1000 keys": partial(_our_map, "put", hot, threads),
        "Map.put, new keys, max_size": partial(_our_map, "put", items, threads, max_size=PLENTY),
        "Map.put, 1000 keys, max_size": partial(_our_map, "put", hot, threads, max_size=PLENTY),
        "Map.put, 1000 keys, merge": partial(_our_map, "put", hot, threads, merge=operator.add),
        "Map.put, new UUIDs": partial(_our_map, "put", names, threads),
        "Map.put, 1000 UUIDs": partial(_our_map, "put", hot_names, threads),
        "Map.put_newer, new keys": partial(_our_map, "put_newer", versioned, threads),
        "Map.put_newer, winning": partial(_our_map, "put_newer", winning, threads, few),
        "Map.put_newer, stale": partial(_our_map, "put_newer", stale, threads, few),
        "Map.put_all of 100, per key": partial(_our_map, "put_all", pairs, threads, each=100),
        "Map.get": partial(_our_map, "get", hot, threads, few),
        "Map.delete": partial(_our_map, "delete", items, threads, items),
    }


def drains(count: int) -> dict[str, Timed]:
    """So many items wait; how long the worker takes for each, when the processor does nothing."""
    items = list(range(count))
    pairs = [(key, key) for key in items]

    def floor() -> float:
        return timed(call_each(list[int]().append, items), count)

    def tuples() -> float:
        return timed(lambda: {key: (key, key, 0, 0) for key in items}, count)

    def drain_queue(size: Any) -> float:
        ours = Ours(partitions=1, processing_batch_size=size)
        ours.queue.push_all(items)
        spent = timed(ours.queue.flush, count)
        ours.close()
        return spent

    def drain_map(size: Any, versioned: bool = False) -> float:
        ours = OurMap(partitions=1, processing_batch_size=size)
        if versioned:
            ours.map.put_all_newer(zip(items, items, items, strict=True))
        else:
            ours.map.put_all(pairs)
        ours.map.size()
        spent = timed(ours.map.flush, count)
        ours.close()
        return spent

    kinds: dict[str, Callable[[Any], float]] = {
        "Queue": drain_queue,
        "Map": drain_map,
        "Map with versions": partial(drain_map, versioned=True),
    }
    return {FLOOR: floor, "a dict of tuples, made and dropped": tuples} | {
        f"{name}, batch {size}": partial(drain, size)
        for name, drain in kinds.items()
        for size in (10, 100, 1000, "table")
    }


def end_to_end(count: int) -> dict[str, Timed]:
    """One producer of single items, until the last is with the processor, in batches of 512."""
    items = list(range(count))

    def peer(make: Callable[[Callable[[list[Any]], None]], Any]) -> float:
        seen: list[int] = []
        subject = make(lambda batch: seen.append(len(batch)))

        def work() -> None:
            call_each(subject.put, items)()
            subject.finish()

        spent = timed(work, count)
        if sum(seen) != count:
            raise RuntimeError(f"{make}: {sum(seen)} of {count} items arrived")
        return spent

    def ours(**options: Any) -> Callable[[Callable[[list[Any]], None]], Any]:
        return lambda process: Ours(process, **options)

    peers: dict[str, Callable[[Callable[[list[Any]], None]], Any]] = {
        "OpenTelemetry": lambda process: OpenTelemetry(process, batch=512, delay=5.0),
        SIMPLE: lambda process: _drained(SimpleQueue(), process),
        "queue.Queue and a thread": lambda process: _drained(Queue(), process),
        "janus and a thread": lambda process: _drained(janus.Queue().sync_q, process),
        "Queue": ours(processing_batch_size=512, processing_interval=5.0),
        "Queue, flush_at=512": ours(processing_batch_size=512, flush_at=512),
        "Queue, default options": ours(processing_interval=5.0),
        "Queue, whole tables": ours(processing_batch_size="table", processing_interval=5.0),
    }
    return {name: partial(peer, make) for name, make in peers.items()}


def _drained(queue: Any, process: Callable[[list[Any]], None]) -> Drained:
    return Drained(queue, queue.get, process, 512)


def memory(count: int) -> dict[str, float]:
    """Return the bytes that one waiting item takes beyond itself."""
    items = list(range(count))
    results = {}
    for name, make in PEERS.items():
        results[name] = bytes_each(make, lambda subject: subject.put, items)
    pairs = [(key, key) for key in items]
    results["dict.__setitem__"] = bytes_each(dict, lambda table: table.__setitem__, items, 2)
    results["Map.put"] = bytes_each(OurMap, lambda ours: ours.map.put, items, 2)
    results["Map.put_newer"] = bytes_each(OurMap, lambda ours: ours.map.put_newer, pairs, 3)
    return results


def bytes_each(
    make: Callable[[], Any], put: Callable[[Any], Any], arguments: list[Any], arity: int = 1
) -> float:
    """Return the bytes that each takes of what *put* of a subject, made by *make*, is given."""
    subject = make()
    gc.collect()
    tracemalloc.start()
    call_each(put(subject), arguments, arity)()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if hasattr(subject, "close"):
        subject.close()
    return used / len(arguments)
