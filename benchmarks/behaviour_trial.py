"""What the scenarios are made of: a subject with its sink, calls that may hang, many writes."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from behaviour_subjects import Setup, Sink, Subject

PATIENCE = 30.0  # seconds given to a stop that should succeed
A_WHILE = 12.0  # seconds: longer than the default intervals, and pauses before a first retry


@dataclass
class Trial:
    """One scenario with one subject."""

    kind: type[Subject]
    sink: Sink
    limit: float  # seconds after which a call is said not to return
    forks: int
    policy: str | None

    def make(self, patience: float = PATIENCE, *, bounded: bool = False) -> Subject:
        bound = self.kind.bound if bounded else None
        return self.kind(Setup(self.sink, bound, self.policy, patience))

    def count(self, items: int) -> int:
        """Return how many of the first *items* arrived."""
        return sum(item in range(items) for item in self.sink.arrived())

    def wait(self, items: int) -> int:
        """Wait until all *items* arrived, or for a while; return how many did."""
        wait_until(lambda: self.count(items) == items)
        return self.count(items)


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for it, or for a while."""
    ends = time.monotonic() + A_WHILE
    while not true() and time.monotonic() < ends:
        time.sleep(0.05)


@dataclass
class Call:
    """A call that may never return, in a thread of its own."""

    work: Callable[[], object]
    value: object = None
    error: BaseException | None = None
    seconds: float | None = None
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            self.value = self.work()
        except BaseException as error:
            self.error = error
        self.seconds = time.monotonic() - began

    def within(self, limit: float) -> str:
        """Return what came of it in *limit* seconds."""
        self._thread.join(limit)
        if self.seconds is None:
            return f"no return in {limit:.0f} s"
        what = f"raises {name(self.error)}" if self.error else f"returns {self.value}"
        return f"{what} after {self.seconds:.1f} s"


def name(error: BaseException) -> str:
    return type(error).__name__


def logged() -> str:
    """Say whether anything was printed: the error output is a file, and logging is not set up."""
    return "logged" if os.fstat(sys.stderr.fileno()).st_size else "silently"


@dataclass
class Writes:
    """So many single writes, and what became of each."""

    subject: Subject
    items: range
    accepted: list[int] = field(default_factory=list)
    refused: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        for item in self.items:
            try:
                if self.subject.put(item) is False:
                    self.refused += 1
                else:
                    self.accepted.append(item)
            except Exception as error:
                self.errors.append(error)

    @property
    def tried(self) -> int:
        return len(self.accepted) + self.refused + len(self.errors)
