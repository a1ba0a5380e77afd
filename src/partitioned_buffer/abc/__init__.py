"""
Every contract in one place: what the library calls, and what it may be given.

    Processor           receives batches         Queue(name, processor), Map(name, processor)
    Sink                ... and knows how its destination fails: `sinks.SQLiteTable(path, ...)`
    DeadLetterHandler   what is given up         dead_letter=..., `dead_letters.DeadLetterFile`
    Hook                receives events          hooks=[...], subscribe(hook)
    Clock               tells time, makes        clock=..., `testing.FakeClock`
    Signal              ... what a thread waits on
    AsyncSignal         ... and what a task waits on, made
    AsyncClock          ... by a clock for tasks, too
    Loop                ... of an event loop
    Storage             where what is accepted waits: opens, for the `Terms` of a buffer,
    Store               a journal, with a `Codec`, in `Chunk`s, settled up to a `Cursor`
    SharedStorage       ... or for many processes: see `abc.sharing`, and `abc.dealing`: which
                        partition a hash is of
    batch_id()          what a processor may ask, for a destination that knows what it has had;
    fencing_token()     ... or knows who is to be refused
"""

from typing import Any, Protocol, TypeVar

from ..events import Event
from .batches import BatchId, batch_id, fencing_token
from .sharing import SharedStorage, SharedStore
from .sink import Sink
from .storing import Chunk, Codec, Cursor, Keys, Route, Storage, Store, Terms

__all__ = [
    "AsyncClock",
    "AsyncSignal",
    "BatchId",
    "Chunk",
    "Clock",
    "Codec",
    "Cursor",
    "DeadLetterHandler",
    "Hook",
    "Keys",
    "Loop",
    "Processor",
    "Route",
    "SharedStorage",
    "SharedStore",
    "Signal",
    "Sink",
    "Storage",
    "Store",
    "Terms",
    "batch_id",
    "fencing_token",
]

B_contra = TypeVar("B_contra", contravariant=True)


class Processor(Protocol[B_contra]):
    """
    Takes one batch to its destination.

    Returning means delivered. Raising means not delivered: the batch is given
    again, as its buffer's `Retry` says, and what is behind it waits. To say more,
    raise `PartialFailure`, `Reject`, `RetryAfter` or `Split`. It is called by one
    thread (or task) per partition, so by several at once.
    """

    def __call__(self, batch: B_contra, /) -> object:
        """Deliver *batch*, a container that belongs to the processor from now on."""


class DeadLetterHandler(Protocol):
    """
    Receives what is given up: the last chance to save it.

    It is called by the worker, whose partition waits. One that raises has not
    taken the items: it is called again, after the waits of the `Retry`.
    """

    def __call__(self, items: list[Any], error: BaseException, attempts: int, /) -> object:
        """Keep *items* (a Map's are entries), given up with *error* after so many *attempts*."""


class Hook(Protocol):
    """Receives every event of a buffer (or, when subscribed, of all buffers)."""

    def __call__(self, event: Event, /) -> object:
        """Take note of *event*, quickly, for a worker waits. Errors are logged once and counted."""


class Signal(Protocol):
    """A flag that one thread waits for and any thread, finalizer or signal handler may raise."""

    def set(self) -> None:
        """Raise the flag. Never blocks."""

    def wait(self, timeout: float | None) -> None:
        """Return when the flag is up, or *timeout* seconds have passed, and lower it."""

    def close(self) -> None:
        """Say that nobody is going to wait any more; more than once, perhaps."""


class AsyncSignal(Protocol):
    """A flag that one task waits for and anybody may raise, as a `Signal`."""

    def set(self) -> None:
        """Raise the flag, from any thread. Never blocks."""

    async def wait(self, timeout: float | None) -> None:
        """Return when the flag is up, or *timeout* seconds have passed, and lower it."""

    def close(self) -> None:
        """Say that nobody is going to wait any more; more than once, perhaps."""


class Loop(Protocol):
    """A running event loop, as far as a clock has to know it."""

    def signal(self) -> AsyncSignal:
        """Return a new signal whose timeouts are in real time."""
        ...

    def task(self) -> object:
        """Return the task of this loop that runs now; None in any other thread."""


class Clock(Protocol):
    """All that the library knows of time."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch, for people."""
        ...

    def signal(self) -> Signal:
        """Return a new signal whose timeouts are this clock's."""
        ...


class AsyncClock(Clock, Protocol):
    """A clock for tasks, too."""

    def async_signal(self, loop: Loop, /) -> AsyncSignal:
        """Return a new signal for a task of *loop*, whose timeouts are this clock's."""
        ...
