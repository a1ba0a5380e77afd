"""Processes of their own: a worker, a producer, and whatever is to be alone."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from partitioned_buffer import Queue
from partitioned_buffer.storage.redis import Redis

T = TypeVar("T")

CONTEXT = multiprocessing.get_context("spawn")


def alone(function: Callable[..., T], *args: Any) -> T:
    """Return what *function* does in a new process."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        return pool.submit(function, *args).result()


class Worker:
    """A process that delivers, and counts."""

    def __init__(self, url: str, name: str, **options: Any) -> None:
        options = {"flush_at": 1, "processing_batch_size": 100, "lease": 10.0} | options
        self.numbers: Any = CONTEXT.Array("d", 5, lock=False)
        self._over = CONTEXT.Event()
        args = url, name, options, self.numbers, self._over
        self._process = CONTEXT.Process(target=_work, args=args, daemon=True)
        self._process.start()

    def wait(self, true: Callable[["Worker"], bool], timeout: float = 60) -> None:
        end = time.monotonic() + timeout
        while not true(self):
            assert time.monotonic() < end, list(self.numbers)
            assert self._process.is_alive()
            time.sleep(0.005)

    @property
    def is_up(self) -> bool:
        return bool(self.numbers[0])

    @property
    def count(self) -> int:
        return int(self.numbers[1])

    @property
    def began(self) -> float:
        """When the first batch came, by `time.monotonic()`."""
        return float(self.numbers[2])

    @property
    def rate(self) -> float:
        """How many a second came after the first batch."""
        _, count, began, last, first = self.numbers
        return float((count - first) / (last - began))

    def stop(self) -> None:
        self._over.set()
        self._process.join(20)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _work(url: str, name: str, options: dict[str, Any], numbers: Any, over: Any) -> None:
    lock = threading.Lock()

    def process(batch: list[Any]) -> None:
        now = time.monotonic()
        with lock:
            if not numbers[2]:
                numbers[2], numbers[4] = now, len(batch)
            numbers[1] += len(batch)
            numbers[3] = now

    storage = Redis(url, lease=options.pop("lease"))
    with Queue[Any](name, process, storage=storage, **options):
        numbers[0] = 1
        over.wait()


def shipped(queue: Any) -> None:
    """Wait until the server has all that was pushed."""
    while queue.stats().shared.front:
        time.sleep(0.001)
