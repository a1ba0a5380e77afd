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
    ├── StorageError                          a storage cannot do what it was asked for
    │   ├── StorageAway                       a shared one cannot be reached, or cannot serve, now
    │   ├── StorageBusy                       another process has it
    │   ├── StorageRefused                    what is stored there is of another kind, or newer
    │   ├── StorageFull                       it has no room
    │   └── Undecodable                       what is stored there cannot be read by its codec
    └── raised by a processor, to say more than "it failed"
        ├── PartialFailure                    only these failed
        ├── Reject                            do not try these again
        ├── Outage                            the destination is down: it is no fault of theirs
        ├── RetryAfter                        try again, in so many seconds
        └── Split                             too large: try smaller batches

A write that raises one of these has changed nothing, unless the error says what.
`flush()` raises the standard `TimeoutError`; bad arguments of a write raise `TypeError`.

All of them can be pickled and copied, those of a user's subclass too: they come back without
`__init__`, whose arguments nobody knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self


class PartitionedBufferError(Exception):
    """Base of every error of this library."""

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in vars(self).items() if name != "_sought"}
        return _remade, (type(self), self.args), state


def _remade(kind: type[PartitionedBufferError], args: tuple[Any, ...]) -> PartitionedBufferError:
    return kind.__new__(kind, *args)


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


class StorageError(PartitionedBufferError):
    """A storage cannot do what it was asked for; the text says what to do about it."""


class StorageAway(StorageError):
    """A shared storage cannot be reached, or cannot serve, now: the same may work again later."""


class StorageBusy(StorageError):
    """Another process, or another buffer of this one, has what is stored there."""

    pid: int | None = None
    """The process that has it, if that is known."""


class StorageRefused(StorageError):
    """What is stored there is of another kind or codec, is newer, or is another program's."""


class StorageFull(StorageError):
    """The disk is full. What was accepted before is safe, and goes on being delivered."""


class Undecodable(StorageError):
    """What is stored does not decode: a type has changed since, or a class is gone."""


Named = Iterable[Any] | Mapping[Any, Any]
"""Some of a batch; as a mapping, to what each failed with."""


class PartialFailure(PartitionedBufferError):
    """
    Raised by a processor: only what is named was not delivered, the rest of the batch was.

    *retry* (or *failed*, the same) is tried again, *reject* is dead-lettered at once; what is in
    both is rejected. Named are items of the batch; for a Map its entries, or their keys. A mapping
    of those to errors gives each its own, which may be a `Reject` or a `RetryAfter`, too. If
    something is named that is not in the batch, the whole batch counts as failed.

    `PartialFailure.at(...)` names places of the batch, from 0, instead.
    """

    retry: list[Any] | dict[Any, Any] | None = None
    reject: list[Any] | dict[Any, Any] | None = None
    by_place = False

    def __init__(
        self,
        failed: Named | None = None,
        *,
        retry: Named | None = None,
        reject: Named | None = None,
    ) -> None:
        if failed is not None and retry is not None:
            raise TypeError("failed= and retry= are two names for the same: expected one of them")
        if failed is None and retry is None and reject is None:
            raise TypeError("expected what has failed: retry=[...], or reject=[...], or both")
        self.retry = _named(retry if failed is None else failed)
        self.reject = _named(reject)
        super().__init__(
            f"{len(self.retry)} items of the batch failed"
            + (f", {len(self.reject)} are rejected" if self.reject else "")
        )

    @classmethod
    def at(cls, retry: Named | None = None, reject: Named | None = None) -> Self:
        """Return one that names *places* of the batch, from 0, or maps them to errors."""
        made = cls(retry=retry, reject=reject)
        made.by_place = True
        return made

    @property
    def failed(self) -> list[Any]:
        """What is to be tried again, without its errors."""
        return list(self.retry or ())


def _named(names: Named | None) -> list[Any] | dict[Any, Any]:
    return dict(names) if isinstance(names, Mapping) else list(names or ())


class Reject(PartitionedBufferError):
    """Raised by a processor: this batch will never do. It is dead-lettered, not tried again."""


class Outage(PartitionedBufferError):
    """
    Raised by a processor: the destination is down, which says nothing of this batch.

    It is tried again as after any error, for as long as it takes, but is not counted: it uses up
    none of the `Retry.attempts`, is no reason to try parts, and no item is given up for it. Only
    `Retry.deadline` ends it.
    """


class RetryAfter(PartitionedBufferError):
    """
    Raised by a processor whose destination said when to come back: *seconds* from now.

    With *everyone*, all partitions of the buffer wait. It uses up none of the `Retry.attempts`;
    only `Retry.deadline` ends it.
    """

    seconds: float | None = None
    everyone = False

    def __init__(self, seconds: float, everyone: bool = False) -> None:
        if not 0 <= seconds <= _LONGEST:
            raise ValueError(f"seconds={seconds!r}: expected a finite number from 0")
        self.seconds, self.everyone = float(seconds), everyone
        super().__init__(f"try again in {seconds} seconds")


_LONGEST = 1e300  # more seconds than a float holds are no wait, either


class Split(PartitionedBufferError):
    """
    Raised by a processor: this batch is too large for the destination (HTTP 413, say).

    It is tried in halves at once, and later batches are as small as those that went through, until
    larger ones do. An item that is too large alone is dead-lettered.
    """
