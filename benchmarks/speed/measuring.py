"""
What it costs a batch that it is measured: rates, durations, the last success.

Beside each buffer there is one whose worker goes through its batches without a measure, and is
otherwise the same. Both are drained in turn, moments apart, again and again, by a processor that
does nothing, which is where a batch is cheapest. What is compared is the CPU time of the process.

    python -m benchmarks.speed.measuring

counts instructions instead, by valgrind, which is slow, and exact: nothing else on the machine
changes them. Its clock goes by what it is asked, so that calls are as quick as ever.
"""

import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import partitioned_buffer
from partitioned_buffer._core.delivery import worker
from partitioned_buffer._core.delivery.calls import DONE
from partitioned_buffer._core.delivery.cycle import Driver
from partitioned_buffer._core.delivery.returned import refuse_undone
from partitioned_buffer._core.waiting.clock import SystemClock
from partitioned_buffer.storage import SQLite

from .measure import Row, show
from .subjects import ASLEEP

BATCH = 10
ITEMS = {"memory": 50_000, "file": 10_000}
"""Drained at once, of each kind of Queue."""
STEPS = {"memory": 5e-7, "file": 5e-6}
"""Seconds between two readings of the clock that valgrind's run has."""


class Unmeasured(Driver[Any]):
    """Does what the real one does, without any measure; for threads alone."""

    def _in_turn(self, send: Callable[[Any], Any], effect: Any, began: float) -> Any:
        processor, monotonic = self._traced(), self._clock.monotonic
        first, outcome, now = effect, None, monotonic()
        try:
            while effect is first and not self.abandoned:
                self.called_at = now
                if self.in_place:
                    try:
                        if (returned := processor(effect.batch)) is not None:
                            refuse_undone(processor, returned, in_thread=True)
                    except BaseException as error:
                        outcome = self._heard(error, began)
                self.called_at = None
                if outcome is not None or self.lost:
                    return None, outcome
                self.settled = now = monotonic()  # of which the time-out of `stop()` has to know
                effect = send(None)
            return effect, None  # noqa: TRY300
        except StopIteration:
            return DONE, None
        yield


@contextmanager
def _queue(kind: str, measured: bool, **options: Any) -> Iterator[Any]:
    with ExitStack() as stack:
        if kind == "file":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            options["storage"] = SQLite(Path(folder) / "measured.db")
        queue = partitioned_buffer.Queue[int](
            f"{kind}, {measured}",
            lambda _: None,
            partitions=1,
            processing_interval=ASLEEP,
            processing_batch_size=BATCH,
            **options,
        )
        driver = Driver if measured else Unmeasured
        with mock.patch.object(worker, "Driver", driver):
            stack.enter_context(queue)
        yield queue


def _drained(queue: Any, count: int) -> float:
    """Return the nanoseconds of CPU that a batch takes."""
    queue.push_all(range(count))
    began = time.process_time_ns()
    queue.flush()
    return (time.process_time_ns() - began) / (count / BATCH)


def measure(quick: bool) -> dict[str, tuple[Row, Row]]:
    """Return what a batch takes, measured and not, of each kind of Queue."""
    found = dict[str, tuple[Row, Row]]()
    for kind, count in ITEMS.items():
        times: tuple[list[float], list[float]] = [], []
        with _queue(kind, True) as on, _queue(kind, False) as off:
            for number in range(20 if quick else 200):
                show(f"  round {number + 1}: a batch, {kind}, measured and not")
                for measured in (number % 2, 1 - number % 2):
                    times[measured].append(_drained((off, on)[measured], count))
        # The first are slower: the interpreter is still learning.
        found[kind] = Row("measured", times[1][4:]), Row("not measured", times[0][4:])
    show("")
    return found


# --- by instructions ---------------------------------------------------------------------


class _Steps(SystemClock):
    """A clock that goes on by a step whenever it is read, without running any Python."""

    def __init__(self, step: float) -> None:
        self.monotonic = itertools.count(0.0, step).__next__


def _drain(kind: str, measured: str, count: str) -> None:
    with _queue(kind, measured == "on", clock=_Steps(STEPS[kind])) as queue:
        _drained(queue, int(count))


def _instructions(*args: str) -> int:
    """Return how many a process executes that drains once, as *args* say."""
    valgrind = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
    ]
    done = subprocess.run(
        [*valgrind, sys.executable, "-m", "benchmarks.speed.measuring", *args],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    counted = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if counted is None:
        raise RuntimeError(f"valgrind says nothing of instructions: {done.stderr}")
    return int(counted[1].replace(",", ""))


def main() -> None:
    """Count, or be what is counted."""
    if args := sys.argv[1:]:
        _drain(*args)
        return
    few, many = 5_000, 55_000
    for kind in STEPS:
        each = {
            measured: _instructions(kind, measured, str(many))
            - _instructions(kind, measured, str(few))
            for measured in ("on", "off")
        }
        on, off = (each[measured] * BATCH / (many - few) for measured in ("on", "off"))
        print(f"{kind}: {on:,.0f} instructions for a batch, {off:,.0f} unmeasured: {on / off:.4f}")


if __name__ == "__main__":
    main()
