"""
What tells a batch from all others, so that a destination can know what it has had already.
"""

from contextvars import ContextVar
from typing import NamedTuple, Protocol

from ..errors import WrongThread


class BatchId(NamedTuple):
    """
    The same for the same items: at a retry, and from a storage also after a crash.

    A part of a batch, tried by itself, has an id of its own. A Map's holds as long as what it is
    made of is unchanged.
    """

    buffer: str
    store: str
    """Of a storage, what it is told by; in memory, another one in each run."""
    partition: int
    position: int
    """Of the first item, among all that the partition has ever had."""
    size: int
    gaps: int = 0
    """0 if the positions follow each other; else a checksum of those that do."""


class Delivering(Protocol):
    """A worker, as far as a processor may ask it."""

    def batch_id(self) -> BatchId:
        """Return what tells its batch from all others."""
        ...

    def fencing_token(self) -> int:
        """Return the token of its claim."""
        ...


asked: ContextVar[Delivering] = ContextVar("partitioned_buffer.delivering")
"""Set once by each worker: it says which batch it is at."""


def batch_id() -> BatchId:
    """
    Return what tells the batch that is being processed from all others.

    To be called by a processor. Raises `WrongThread` elsewhere.
    """
    try:
        return asked.get().batch_id()
    except LookupError:
        raise WrongThread(
            "batch_id() was called outside of a processor: expected in its call, in its thread or "
            "task, or where its context variables were copied to"
        ) from None


def fencing_token() -> int:
    """
    Return the token of the claim under which the batch that is being processed was given.

    Of a shared buffer: it grows each time another process takes the partition over, so a
    destination that remembers the greatest it has seen can refuse what comes later from a process
    that was believed dead. 0 where nobody else could take over. To be called by a processor.

    Raises `WrongThread` elsewhere.
    """
    try:
        return asked.get().fencing_token()
    except LookupError:
        raise WrongThread(
            "fencing_token() was called outside of a processor: expected in its call, in its "
            "thread or task, or where its context variables were copied to"
        ) from None
