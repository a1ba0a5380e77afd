"""
What a storage under test has to be given, and what its tests share.
"""

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from unittest import SkipTest

from ... import BatchId, Queue, Retry, batch_id
from ...abc import Storage
from .. import FakeClock, RecordingProcessor, assert_balanced
from .watched import Watched

E = TypeVar("E", bound=BaseException)

NAME = "kept to the contract"
PATIENCE = 60.0
"""Seconds after which what never ends is given up."""

PATIENT = Retry(attempts=math.inf, wait_initial=5.0, multiplier=1.0, jitter=0.0)


class Seen(RecordingProcessor):
    """A recording processor that asks for the id of each batch, too."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[BatchId, list[Any]]] = []

    def __call__(self, batch: Any) -> None:
        """Record *batch* and its id, or raise what `fail` ordered."""
        self.calls.append((batch_id(), list(batch)))
        super().__call__(batch)


class Base:
    """What a subclass gives, and may give."""

    unstorable: Any = threading.Lock()
    """An item that the storage's codec refuses."""

    def make(self, tmp_path: Path) -> Any:
        """Return a new storage, which may keep its files below *tmp_path*."""
        raise NotImplementedError

    def crashed(self, storage: Any, tmp_path: Path) -> Any:  # noqa: ARG002  # for who copies files
        """
        Return the storage as another process finds it after a `kill -9` of this one, now.

        The buffer that has *storage* open is stopped afterwards: what it does then must not be
        seen by the one that is returned. Unless given, *storage* has a method `crash()` for that.
        """
        if not hasattr(storage, "crash"):
            raise SkipTest("crashed() is not given")
        storage.crash()
        return storage

    def buried(self, storage: Any) -> list[Any]:
        """
        Return the items that were given up and are kept in *storage*, which no buffer has open.

        Unless given, *storage* has a method `buried()` that does.
        """
        if not hasattr(storage, "buried"):
            raise SkipTest("buried() is not given")
        items: list[Any] = storage.buried()
        return items

    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        """Return a buffer, not started, with the methods of a `Queue`."""
        return Queue(name, processor, **options)

    # --- what the tests use

    def watched(self, tmp_path: Path) -> Watched:
        """Return a new storage, that can be told to fail."""
        return Watched(self.make(tmp_path))

    def life(self, storage: Storage, processor: Any = None, **options: Any) -> "Life":
        """Return a started buffer and its processor, to be used in a `with` block."""
        return Life(self, storage, Seen() if processor is None else processor, options)

    def after_crash(self, life: "Life", tmp_path: Path) -> Watched:
        """Return the storage as it was left by a crash now; the buffer is ended."""
        inner = life.storage.inner if isinstance(life.storage, Watched) else life.storage
        again = Watched(self.crashed(inner, tmp_path))
        life.end()
        return again


class Life:
    """A buffer from its start to its end, in fake time."""

    def __init__(self, test: Base, storage: Any, processor: Any, options: dict[str, Any]) -> None:
        self.storage, self.processor, self.clock = storage, processor, FakeClock()
        defaults = {"partitions": 1, "retry": PATIENT, "clock": self.clock}
        made = defaults | {"storage": storage} | options
        self.queue: Any = test.make_queue(NAME, processor, **made)
        self.items: list[Any] = []

    def __enter__(self) -> Self:
        self.queue.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        stats = self.queue.stats()
        assert_balanced(stats)
        assert stats.restarts == 0, "no worker has died"

    def end(self) -> None:
        """Let everything be delivered, and stop."""
        if isinstance(self.storage, Watched):
            self.storage.fails.clear()
            self.storage.open_gate()
        self.processor.unblock()
        self.processor.recover()
        if self.queue.running:
            self.queue.stop()

    def push(self, *items: Any) -> None:
        """Push each."""
        for item in items:
            self.queue.push(item)

    @property
    def delivered(self) -> list[Any]:
        """All items that were delivered."""
        items: list[Any] = self.processor.items
        return items

    def begin_batch(self) -> None:
        """Have the processor called, and be in its call until `unblock`."""
        self.processor.block()
        self.clock.jump(self.queue._settings.processing_interval)
        self.processor.wait_for_call()


def raised(kind: type[E], call: Callable[..., object], *args: Any, **kwargs: Any) -> E:
    """Return the error of that *kind* that the call raises."""
    try:
        call(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


@contextmanager
def quiet() -> Generator[None]:
    """Have nobody warn of a fork among threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def eventually(condition: Callable[[], object]) -> None:
    """Wait until it is so."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() >= until:
            raise AssertionError(f"it does not happen within {PATIENCE:g} s")
        threading.Event().wait(0.001)


def exit_code(child: int) -> int:
    """Return how a forked *child* has ended, as its exit code; fail if it hangs."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        threading.Event().wait(0.001)
    os.kill(child, signal.SIGABRT)  # where `faulthandler` is enabled it shows where that is
    os.waitpid(child, 0)
    raise AssertionError(f"the forked child {child} hangs")
