"""
Beside the design that this one began with: Elixir's `partitioned_buffer` 0.4, one writer.

Its times were measured by themselves, on another day, on a machine of this kind (two cores, OTP 25
with its JIT): so what is compared are two medians, not moments of one round. It has two partitions
here, and so has ours; one where it is drained.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from .cases import bytes_each
from .measure import Row, rounds, timed
from .subjects import OurMap, Ours

Items = Callable[[int], Any]
"""Returns the item of a number."""


def an_int(number: int) -> int:
    return number + 1000


def a_dict(number: int) -> dict[str, Any]:
    return {"id": number, "user": number % 97, "kind": "view", "path": "/a", "ms": number % 11}


KINDS: dict[str, Items] = {"int": an_int, "dict of five": a_dict}

TIMES: dict[str, tuple[float, float]] = {
    "push": (2280, 2330),
    "push_all of 10, per item": (990, 1500),
    "push_all of 100, per item": (1150, 1240),
    "push_all of 1000, per item": (1000, 1320),
    "put, new": (2290, 2510),
    "put, known": (1910, 2120),
    "put_all of 100, per item": (1120, 1250),
    "put_newer, new": (3000, 2430),
    "put_newer, winning": (4430, 4100),
    "put_newer, stale": (3700, 3880),
    "put_all_newer of 100, per item": (2790, 3930),
    "get": (1750, 1940),
    "delete": (2020, 2440),
    "Queue drained by 10": (293, 565),
    "Queue drained by 100": (200, 369),
    "Queue drained by 1000": (258, 353),
    "Queue drained by the table": (131, 175),
    "Map drained by 10": (688, 1164),
    "Map drained by 100": (620, 964),
    "Map drained by 1000": (596, 1290),
    "Map drained by the table": (308, 531),
}
"""Nanoseconds per int, and per map of five fields."""

BYTES: dict[str, tuple[float, float]] = {"Queue": (144, 376), "Map": (88, 352)}
"""Per waiting item, with the item: it keeps a copy outside of its writer's heap."""


class Beside(NamedTuple):
    """One row: the reference's figure and ours, for each kind of item."""

    theirs: tuple[float, float]
    ours: tuple[float, float]


def _nothing(_: Any) -> None: ...


def _queue(**options: Any) -> tuple[Any, Any]:
    ours = Ours(**{"partitions": 2} | options)
    return ours, ours.queue


def _map(**options: Any) -> tuple[Any, Any]:
    ours = OurMap(**{"partitions": 2} | options)
    return ours, ours.map


Makes = Callable[..., tuple[Any, Any]]
"""Returns a subject, and its buffer."""


def _on(
    make: Makes, fill: Callable[[Any], object], work: Callable[[Any], float], **options: Any
) -> float:
    ours, buffer = make(**options)
    try:
        fill(buffer)
        return work(buffer)
    finally:
        ours.close()


def _calls(method: str, arguments: list[tuple[Any, ...]], each: int = 1) -> Callable[[Any], float]:
    def work(buffer: Any) -> float:
        function = getattr(buffer, method)

        def loop() -> None:
            for given in arguments:
                function(*given)

        return timed(loop, len(arguments) * each)

    return work


def _by(count: int, items: Iterable[Any]) -> list[tuple[Any, ...]]:
    every = list(items)
    return [(every[start : start + count],) for start in range(0, len(every), count)]


def _cases(count: int, item: Items) -> dict[str, Callable[[], float]]:
    items = [item(number) for number in range(count)]
    numbers = list(range(count))
    pairs = list(zip(numbers, items, strict=True))
    triples = [(number, each, number + 1) for number, each in pairs]
    stale = [(number, each, 0) for number, each in pairs]

    def known(buffer: Any) -> None:
        buffer.put_all_newer([(number, each, 0) for number, each in pairs])

    def queue(work: Callable[[Any], float]) -> float:
        return _on(_queue, _nothing, work)

    def map_(work: Callable[[Any], float], fill: Callable[[Any], object] = _nothing) -> float:
        return _on(_map, fill, work)

    def drained(make: Makes, fill: Callable[[Any], object], size: Any) -> Callable[[], float]:
        options = {"partitions": 1, "processing_batch_size": size}
        return lambda: _on(make, fill, lambda buffer: timed(buffer.flush, count), **options)

    cases: dict[str, Callable[[], float]] = {
        "push": lambda: queue(_calls("push", [(each,) for each in items])),
        "put, new": lambda: map_(_calls("put", pairs)),
        "put, known": lambda: map_(_calls("put", pairs), lambda buffer: buffer.put_all(pairs)),
        "put_all of 100, per item": lambda: map_(_calls("put_all", _by(100, pairs), 100)),
        "put_newer, new": lambda: map_(_calls("put_newer", triples)),
        "put_newer, winning": lambda: map_(_calls("put_newer", triples), known),
        "put_newer, stale": lambda: map_(_calls("put_newer", stale), known),
        "put_all_newer of 100, per item": lambda: map_(
            _calls("put_all_newer", _by(100, triples), 100), known
        ),
        "get": lambda: map_(_calls("get", [(each,) for each in numbers]), known),
        "delete": lambda: map_(_calls("delete", [(each,) for each in numbers]), known),
    }
    for size in (10, 100, 1000):
        pushes = _calls("push_all", _by(size, items), size)
        cases[f"push_all of {size}, per item"] = partial(queue, pushes)
    sizes: dict[str, Any] = {"10": 10, "100": 100, "1000": 1000, "the table": "table"}
    for name, at_once in sizes.items():
        cases[f"Queue drained by {name}"] = drained(_queue, lambda q: q.push_all(items), at_once)
        cases[f"Map drained by {name}"] = drained(_map, lambda m: m.put_all(pairs), at_once)
    return cases


def _bytes(count: int, item: Items) -> tuple[float, float]:
    """Return what one waiting item takes, with the item, but without a Map's key."""
    numbers = list(range(1000, 1000 + count))
    return (
        bytes_each(
            lambda: Ours(partitions=2),
            lambda ours: lambda number: ours.queue.push(item(number)),
            numbers,
        ),
        bytes_each(
            lambda: OurMap(partitions=2),
            lambda ours: lambda number: ours.map.put(number, item(number)),
            numbers,
        ),
    )


def measure(quick: bool) -> tuple[dict[str, Beside], dict[str, Beside]]:
    """Return times, and bytes."""
    count, times = (20_000, 3) if quick else (100_000, 9)
    rows: list[dict[str, Row]] = [rounds(_cases(count, item), times) for item in KINDS.values()]
    taken = {
        name: Beside(theirs, (rows[0][name].median, rows[1][name].median))
        for name, theirs in TIMES.items()
    }
    (ints_queue, ints_map), (dicts_queue, dicts_map) = (
        _bytes(count, item) for item in KINDS.values()
    )
    used = {
        "Queue": Beside(BYTES["Queue"], (ints_queue, dicts_queue)),
        "Map": Beside(BYTES["Map"], (ints_map, dicts_map)),
    }
    return taken, used
