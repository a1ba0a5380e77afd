"""What the scenarios are made of: a sink, a subject, calls that may hang, many writes."""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

PATIENCE = 30.0  # seconds given to a stop that should succeed
A_WHILE = 12.0  # seconds: longer than the default intervals, and pauses before a first retry


class Sink:
    """Where items arrive, also a child's: a line per call in a file. It can block, and fail."""

    def __init__(self, path: Path, delay: float = 0.001) -> None:
        self._path, self._delay = path, delay
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.opened = True  # a flag, not an Event: a child opens its own, and no lock is forked
        self.discards = False
        self.failures = 0  # how many of the next calls fail
        self.failed = 0
        self.letters = path.with_name("letters")

    def __call__(self, items: list[int]) -> None:
        while not self.opened:
            time.sleep(0.01)
        if self.discards or not items:
            return
        if self.failures:
            self.failures -= 1
            self.failed += 1
            raise OSError("the sink is down")
        time.sleep(self._delay)
        os.write(self._file, f"{json.dumps(items)}\n".encode())

    def arrived(self) -> Counter[int]:
        return arrived(self._path)


def arrived(path: Path) -> Counter[int]:
    """Return how often each item arrived."""
    lines, _, _ = path.read_text().rpartition("\n")  # what follows is being written
    return Counter(item for line in lines.splitlines() for item in json.loads(line))


@dataclass
class Setup:
    sink: Callable[[list[int]], None]
    bound: int | None = None
    policy: str | None = None
    patience: float = 30.0  # for those who are told when they are made how long a stop may take
    letters: Path | None = None  # where what cannot be delivered may go


class Subject:
    """A library behind the methods that the scenarios call; they return what it returns."""

    package: ClassVar[str | None] = None
    bound: ClassVar[int] = 100  # what "full" is tried with
    policies: ClassVar[tuple[str | None, ...]] = (None,)
    forks: ClassVar[bool] = True
    pairs: ClassVar[bool] = True  # whether one process can have two

    def __init__(self, setup: Setup) -> None:
        raise NotImplementedError

    def put(self, item: int) -> object:
        """Write *item*; False means that it was refused."""
        raise NotImplementedError

    def flush(self, timeout: float) -> object:
        raise NotImplementedError

    def stop(self, timeout: float) -> object:
        raise NotImplementedError

    def lost(self) -> int | None:
        """Return how many were dropped, where there is a number that tells."""
        return None


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

    def make_before(self, second: Subject) -> Subject:
        """Make one whose sink writes to the *second*."""

        def pass_on(items: list[int]) -> None:
            for item in items:
                second.put(item)

        return self.kind(Setup(pass_on))

    def count(self, items: int) -> int:
        """Return how many of the first *items* arrived."""
        return sum(item in range(items) for item in self.sink.arrived())

    def tally(self, items: int) -> str:
        """Say how many of the first *items* arrived, and how many more than once."""
        return f"{self.count(items)} of {items}{twice(self.sink.arrived(), range(items))}"

    def wait(self, items: int) -> int:
        """Wait until all *items* arrived, or for a while; return how many did."""
        wait_until(lambda: self.count(items) == items)
        return self.count(items)


def twice(there: Counter[int], items: range) -> str:
    count = sum(there[item] > 1 for item in items)
    return f", {count} of them twice" if count else ""


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


def printed() -> int:
    """Return how much was printed: the error output is a file, and logging is not set up."""
    return os.fstat(sys.stderr.fileno()).st_size


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
