"""
Decide what becomes of what is in flight, and leave the doing to a driver.

`deliver()` yields *effects* and is sent their outcomes. It has no clock and no
I/O of its own, so threads and asyncio share one policy and no test sleeps.

    driver                          deliver()
      │ ──────── next ────────────────► │ take a batch
      │ ◄─────── Process(batch) ─────── │
      │ call the processor              │
      │ ──────── None | error ────────► │ acknowledge | release, and stop
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


@dataclass(slots=True)
class Process(Generic[B]):
    """Give *batch* to the processor; send back what it raised, or None."""

    batch: B


class InFlight(Protocol[B_co]):
    """What was taken from the writers and waits for delivery."""

    def take(self, size: int | None, /) -> B_co | None:
        """Return the next *size* items (None: all) in a container of their own, or None."""

    def acknowledge(self) -> None:
        """Let go of what `take` returned last."""

    def release(self) -> None:
        """Take back what `take` returned last."""


def deliver(
    in_flight: InFlight[B], batch_size: int | None
) -> Generator[Process[B], BaseException | None, BaseException | None]:
    """
    Yield the effects that deliver all that is *in_flight*, in order; return None.

    The first batch that fails ends it, and its error is returned: the batch
    stays, and nothing may overtake it.
    """
    take, acknowledge = in_flight.take, in_flight.acknowledge
    while (batch := take(batch_size)) is not None:
        error = yield Process(batch)
        if error is not None:
            in_flight.release()
            return error
        acknowledge()
    return None
