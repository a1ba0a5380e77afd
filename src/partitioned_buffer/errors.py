"""
Everything that can fail, drawn as a tree.

    PartitionedBufferError
    ├── BufferNotRunning      (RuntimeError)  a write before start() or after stop()
    ├── BufferAlreadyRunning  (RuntimeError)  started twice, or its name is taken
    ├── BufferNotFound        (LookupError)   no running buffer has that name
    ├── BufferFull                            there is no room, and there was none in time
    ├── WrongThread           (RuntimeError)  a wait for itself, or away from its event loop
    ├── InvalidOption         (ValueError)    an option's value is not what it should be
    │   └── UnknownOption     (TypeError)     there is no such option
    ├── Undelivered                           given to a dead letter handler: nobody waits any more
    └── raised by a processor, to say more than "it failed"
        ├── PartialFailure                    only these failed
        ├── Reject                            do not try these again
        └── RetryAfter                        try again, in so many seconds

A write that raises one of these has changed nothing, unless the error says what.
`flush()` raises the standard `TimeoutError`; bad arguments of a write raise `TypeError`.
"""

import math
from collections.abc import Iterable
from typing import Any


class PartitionedBufferError(Exception):
    """Base of every error of this library."""


class BufferNotRunning(PartitionedBufferError, RuntimeError):
    """The buffer is not running: it was never started, or it has been stopped."""


class BufferAlreadyRunning(PartitionedBufferError, RuntimeError):
    """The buffer runs already, or another running buffer has its name."""


class BufferNotFound(PartitionedBufferError, LookupError):
    """No running buffer has that name (or it is of another kind)."""


class BufferFull(PartitionedBufferError):
    """The buffer holds as much as `max_size` or `max_bytes` allow, and nothing gave way in time."""


class WrongThread(PartitionedBufferError, RuntimeError):
    """A wait that could not end: in a worker for itself, or on another event loop."""


class InvalidOption(PartitionedBufferError, ValueError):
    """An option's value is not what the option takes."""


class UnknownOption(InvalidOption, TypeError):
    """There is no option of that name."""


class Undelivered(PartitionedBufferError):
    """Given to a dead letter handler at the end: these were not delivered, and nobody waits."""


class PartialFailure(PartitionedBufferError):
    """
    Raised by a processor: only *failed* were not delivered, the rest of the batch was.

    *failed*: items of the batch; for a Map its entries, or their keys. If something is
    named that is not in the batch, the whole batch counts as failed.
    """

    def __init__(self, failed: Iterable[Any]) -> None:
        self.failed = list(failed)
        super().__init__(f"{len(self.failed)} items of the batch failed")


class Reject(PartitionedBufferError):
    """Raised by a processor: this batch will never do. It is dead-lettered, not tried again."""


class RetryAfter(PartitionedBufferError):
    """
    Raised by a processor whose destination said when to come back: *seconds* from now.

    It uses up none of the `Retry.attempts`; only `Retry.deadline` ends it.
    """

    def __init__(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds={seconds!r}: expected a finite number from 0")
        self.seconds = float(seconds)
        super().__init__(f"try again in {seconds} seconds")
