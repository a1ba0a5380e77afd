"""All in which a buffer that is driven by threads differs from one that is driven by tasks."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

from ...abc import AsyncSignal, Signal
from ..delivery.partition import Partition
from ..waiting.countdown import Countdown
from ..waiting.steps import Steps
from .run import Run

R = TypeVar("R")
Life_contra = TypeVar("Life_contra", bound=Run[Any], contravariant=True)


GRACE, LATE_GRACE = 1.0, 0.1
"""Seconds, of real time, that workers not in the middle of a call get to end when an end has
settled all, or its time is over: they need none, if the machine is not very busy."""


PROMPTLY = 0.04
"""... and such calls that end by themselves when nobody waits for them any more."""


class Supervisor(Protocol[Life_contra]):
    """Starts workers, and knows how to wait for them."""

    survives_fork: bool
    """Whether a child's first write can start workers anew."""

    blocks: bool
    """Whether who waits stands still in its thread, and so may do what takes time there."""

    def launch(self, run: Life_contra, /) -> None:
        """Give *run* its workers, started, which wait until it begins; or raise."""

    def admit(
        self, run: Life_contra, partition: Partition[Any], hired: Callable[[Any], bool], /
    ) -> None:
        """
        Have a worker for *partition*, a guest of *run*.

        *hired* is told, perhaps later, who it is, and says whether it is still wanted.
        """

    def join(self, run: Life_contra, grace: float, /) -> Steps[None]:
        """Give the workers of *run* so many seconds, of real time, to end."""
        ...

    def take_over(self, run: Life_contra, workers: Sequence[Any], countdown: Countdown, /) -> None:
        """Have somebody else hand over for *workers*, and report to *countdown* for each."""

    def signal(self) -> Signal | AsyncSignal:
        """Return a new signal for a caller, or a worker, to wait on."""
        ...

    def go(self, steps: Generator[Any, None, R], /) -> R:
        """Go through the *steps* of a write that is no coroutine; wait, or refuse to."""
        ...

    def thread(self) -> int | None:
        """Return which thread it is that stands still in `go`; None if none does."""
        ...

    def patience(self) -> float | None:
        """Return for how many seconds a wait that has no timeout may settle nothing; None: any."""
