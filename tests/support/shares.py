"""Buffers that share a server, as if each were in a process of its own."""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from helpers import EVERY_5_S, KINDS

from partitioned_buffer.abc.sharing import SharedTerms
from partitioned_buffer.testing import FakeClock, RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict

_numbers = itertools.count()


class Shares:
    """Makes started buffers on one server, and looks at it."""

    def __init__(self, clock: FakeClock, face: str) -> None:
        self._clock, self._kinds = clock, KINDS[face]
        self.made: list[Any] = []
        self.shared = self.new()

    def new(self, **options: Any) -> SharedDict:
        """Have another server, of one partition unless told."""
        every: dict[str, Any] = {"partitions": 1, "clock": self._clock}
        self.shared = SharedDict(**every | options)
        return self.shared

    def queue(self, processor: Any = None, *, start: bool = True, **options: Any) -> Any:
        """Make a Queue, which delivers at once if it has a processor."""
        return self._make("queue", processor, start, options)

    def map(self, processor: Any = None, *, start: bool = True, **options: Any) -> Any:
        """Make a Map, likewise."""
        return self._make("map", processor, start, options)

    def map_elsewhere(self, processor: Any = None, *, start: bool = True, **options: Any) -> Any:
        """Make one with a storage of its own: that of another process."""
        return self.map(processor, start=start, storage=self._another(options), **options)

    def _make(self, kind: str, processor: Any, start: bool, options: dict[str, Any]) -> Any:
        defaults = {
            "storage": self.shared,
            "clock": self._clock,
            "retry": EVERY_5_S,
            "flush_at": 1,
        }
        made = self._kinds[kind](f"share-{next(_numbers)}", processor, **(defaults | options))
        self.made.append(made)
        if start:
            made.start()
        return made

    def elsewhere(self, processor: Any = None, *, start: bool = True, **options: Any) -> Any:
        """Make one with a storage of its own: that of another process."""
        return self.queue(processor, start=start, storage=self._another(options), **options)

    def _another(self, options: dict[str, Any]) -> SharedDict:
        own = ("ack", "ack_timeout", "window", "deliver")
        return self.shared.another(**{key: options.pop(key) for key in own if key in options})

    def seen(self, condition: Callable[[], bool]) -> None:
        """Let time pass until *condition* holds; nobody may be blocked."""
        for _ in range(2000):
            self._clock.settle()
            if condition():
                return
            self._clock.advance(0.1)
            time.sleep(0.001)  # for whoever waits for no clock
        pytest.fail("it does not happen")

    def holds(self, count: int, partition: int | None = None) -> None:
        """Let time pass until the server holds so many."""
        self.seen(lambda: self.shared.held(partition) == count)

    def delivered(self, processor: RecordingProcessor, *items: Any) -> None:
        """Let time pass until *processor* has these, in this order."""
        self.seen(lambda: len(processor.items) >= len(items))
        assert processor.items == list(items)

    def fill(self, *items: Any, apart: bool = False) -> None:
        """Have *items* on the server, in one partition: each in a parcel of its own if *apart*."""
        producer = self.elsewhere()
        for group in [[item] for item in items] if apart else [list(items)]:
            before = self.shared.held()
            producer.push_all(group, partition_key="one")
            self.holds(before + len(group))
        producer.stop()

    def waiting(self, partition: int = 0) -> list[Any]:
        """Return the items of a partition that are not settled, and those that go with them."""
        codec, found = self.shared.codec, list[Any]()
        for chunk in self.shared.chunks(partition):
            data = (chunk.data or b"")[1:]
            found += codec.decode(codec.join(codec.split(data)), chunk.count)
        return found

    def end(self) -> None:
        """Stop all that were made, with the server as it should be."""
        for made in self.made:
            if isinstance(storage := made._settings.storage, SharedDict):
                storage.fails = storage.on_call = None
                storage.loses_replies = 0
                storage.down_lanes.clear()
            made.stop(5.0)


def keys_in(queue: Any, partition: int, count: int = 1) -> list[int]:
    """Return keys whose items go to *partition*."""
    numbers = (key for key in itertools.count() if of_key(queue, key) == partition)
    return list(itertools.islice(numbers, count))


def of_key(queue: Any, key: Any) -> int:
    """Return the partition of the items with this key."""
    partition: int = queue.partition_of(0, partition_key=key)
    return partition


def shared_terms(name: str = "looks") -> SharedTerms:
    return SharedTerms(name, "Queue", None, "host:1")


class Gate:
    """Holds calls of a storage, while it is shut."""

    def __init__(self, *calls: str) -> None:
        self._calls, self._open = calls, threading.Event()
        self.entered = threading.Event()

    def __call__(self, call: str) -> None:
        if call in self._calls or not self._calls:
            self.entered.set()
            self._open.wait(60)

    def open(self) -> None:
        self._open.set()


def counted(calls: dict[str, int]) -> Callable[[str], None]:
    """Return what counts the calls of a storage in *calls*."""

    def count(call: str) -> None:
        calls[call] = calls.get(call, 0) + 1

    return count
