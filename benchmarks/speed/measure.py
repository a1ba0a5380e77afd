"""
How things are measured: all subjects in turn, round after round, each against its round's floor.

A ratio compares two times of one round, taken moments apart; what the machine does to one
round it does to all of its subjects. Reported are the least, the median and the greatest
ratio of all rounds.
"""

import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Timed = Callable[[], float]
"""Sets up, times, tears down; returns nanoseconds per item."""


@dataclass(frozen=True)
class Row:
    """One subject's times, in nanoseconds per item, one per round."""

    name: str
    times: list[float]

    def ratios(self, to: "Row") -> tuple[float, float, float]:
        each = [mine / other for mine, other in zip(self.times, to.times, strict=True)]
        return min(each), statistics.median(each), max(each)

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def rounds(subjects: dict[str, Timed], count: int) -> dict[str, Row]:
    """Time every subject *count* times, in turn."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(count):
        for name, timed in subjects.items():
            show(f"  round {number + 1}/{count}: {name}")
            gc.collect()
            times[name].append(timed())
    show("")
    return {name: Row(name, each) for name, each in times.items()}


def show(progress: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{progress:<90}\r")


def timed(work: Callable[[], object], items: int) -> float:
    """Return how many nanoseconds per item *work* takes."""
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / items


def call_each(
    function: Callable[..., object], arguments: Sequence[Any], arity: int = 1
) -> Callable[[], None]:
    """
    Return the loop that calls *function* with each of *arguments*, with as little else as can be.

    With two parameters each argument is given twice, as key and value; with three,
    arguments are pairs of key and version, and the version is the value, too.
    """

    def one() -> None:
        for item in arguments:
            function(item)

    def two() -> None:
        for key in arguments:
            function(key, key)

    def three() -> None:
        for key, version in arguments:
            function(key, version, version)

    return (one, two, three)[arity - 1]


def together(work: Callable[[], object], threads: int, items: int) -> float:
    """Run *work* in several threads at once; return nanoseconds per item, of all of them."""
    gate = threading.Barrier(threads + 1)

    def run() -> None:
        gate.wait()
        work()

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    gate.wait()
    began = time.perf_counter_ns()
    for thread in started:
        thread.join()
    return (time.perf_counter_ns() - began) / (items * threads)
