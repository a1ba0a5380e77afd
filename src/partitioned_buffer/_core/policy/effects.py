"""
What the policy asks its driver to do, what it is sent back, and what it works on.

    policy asks for                 and is sent back
    Process(batch)                  what the processor raised, or None, or a `CutShort`
    Find(names)                     the same: `names` are found where the processor is called
    Wait(seconds)                   why it ended: FULL, NEWS, FLUSH or STOP
    DeadLetter(items, ...)          what the handler raised, or None, or a `CutShort`
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from .names import Names

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
R = TypeVar("R")

End = Literal["full", "news", "flush", "stop"]
FULL: Final = "full"
NEWS: Final = "news"
FLUSH: Final = "flush"
STOP: Final = "stop"


@dataclass(slots=True)
class Process(Generic[B]):
    """
    Give *batch* to the processor; send back what it raised (or a `CutShort`), or None.

    First attempts of one cycle share one object, for making it takes as long as cutting a batch.
    """

    batch: B
    attempt: int = 1


@dataclass(slots=True)
class Find:
    """Call *names*, which compares items, as the processor is called."""

    names: Names


@dataclass(slots=True)
class Wait:
    """
    Let *seconds* pass after the failed *attempt*; send back why the wait ended.

    A flush ends it, but not before *least* seconds; so does a change of the destination's `news`
    from what is given here, where that is awaited. What failed is the dead letter handler where
    that is said, else the processor.
    """

    seconds: float
    error: BaseException
    attempt: int
    least: float = 0.0
    news: int | None = None
    by_handler: bool = False


@dataclass(slots=True)
class DeadLetter:
    """Hand *items* to the dead letter handler; send back what it raised, or None."""

    items: list[Any]
    error: BaseException
    attempts: int


class CutShort(Exception):  # it is no error, and only ever sent back
    """The call was cut short, for no fault of what it was given, which is still in hand."""


class InFlight(Protocol[B_co]):
    """What was taken from the writers and waits for delivery: a table, for its worker."""

    def take(self, size: int | None, /) -> B_co | None:
        """Acknowledge what was returned last; return the next *size* items (None: all), or None."""

    def again(self, size: int | None, newest: bool = True, /) -> B_co | None:
        """Return the first *size* items in hand, with the *newest* values if there are any."""

    def acknowledge(self) -> int:
        """Let go of what was returned last: it was delivered."""
        ...

    def keep(self, places: Iterable[int] | None, /) -> int:
        """Keep these *places* (None: all) of what was returned last in hand; count them."""
        ...

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Let go of these *places* of what was returned last: they were dead-lettered."""
        ...

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits behind what is in flight; return how many."""
        ...

    def release(self) -> None:
        """Have nothing in hand: what is still held is in line."""


Effect = Process[Any] | Find | Wait | DeadLetter
Effects = Generator[Effect, Any, None]
Asks = Generator[Effect, Any, R]
