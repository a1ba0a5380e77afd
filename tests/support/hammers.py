"""Threads that write to a table as fast as they can, and a worker of it."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from helpers import join
from implementations import SECONDS, balanced

WRITERS = 4
MADE = 0


class Drain:
    """A worker: takes, and now and then fails, whole or in part."""

    def __init__(self, table: Any, size: int, *, in_part: bool) -> None:
        self.table, self.size, self.in_part = table, size, in_part
        self.got: list[Any] = []
        self.failing, self.done, self.random = 0.2, False, random.Random(1)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.done:
            self.cycle()
            time.sleep(0.001)
        self.failing = 0
        while self.table.swap():
            self.cycle()

    def cycle(self) -> None:
        self.table.swap()
        batch = self.table.take(self.size)
        while batch is not None:
            chance = self.random.random()
            if chance < self.failing / 2:
                self.table.keep(None)
                self.table.release()
                return
            if chance < self.failing and self.in_part:
                self.fail_in_part(batch)
            else:
                self.got += batch
                self.table.acknowledge()
            batch = self.table.take(self.size)

    def fail_in_part(self, batch: list[Any]) -> None:
        bad = {place for place in range(len(batch)) if place % 3 == 0}
        self.got += [item for place, item in enumerate(batch) if place not in bad]
        self.table.keep(bad)
        again = self.table.again(2)
        while again:
            self.got += again
            self.table.acknowledge()
            again = self.table.again(2)

    def finish(self) -> list[Any]:
        self.done = True
        join(self.thread)
        return self.got


def hammer(table: Any, room: Any, write: Callable[[int, int], int]) -> tuple[list[int], int]:
    """Write from several threads for a while; return what each was told, and what was wrong."""
    told, wrong, done = [0] * WRITERS, 0, threading.Event()

    def run(me: int) -> None:
        number = 0
        while not done.is_set():
            number += write(me, number) == MADE
        told[me] = number

    threads = [threading.Thread(target=run, args=(me,)) for me in range(WRITERS)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            wrong += not balanced(table)
            wrong += room is not None and room.size is not None and room.used > room.size
            time.sleep(0.0005)
    finally:
        done.set()
    join(*threads)
    return told, wrong
