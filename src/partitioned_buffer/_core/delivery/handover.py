"""
Hand over what an end has left: to the dead letter handler, as `Undelivered`.

Nobody is going to try it again, so this is the last chance to save it. What the handler does
not take stays held, and whoever ends the buffer says so.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ...errors import Undelivered
from ...events import BatchDeadLettered
from ..policy.effects import CutShort, Wait
from ..policy.front import runs
from ..waiting.steps import CallingSteps
from .partition import Partition

B = TypeVar("B")

PIECE = 1000
"""How many items the handler gets at a time: what it has taken is safe, should time be over."""


class Surrender:
    """On which terms the workers of a run hand over, and how much they have handed over."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.sizes: list[int] = []  # appended to by several threads


class Surrendering(Protocol[B]):
    """A worker's driver, as far as it hands over."""

    partition: Partition[B]
    trouble: Wait | None
    hands_over: bool
    called_at: float | None

    def call(
        self, function: Callable[..., object], *args: Any
    ) -> CallingSteps[BaseException | None]:
        """Call *function*; return what it raised."""
        ...


def hand_over(driver: Surrendering[B], terms: Surrender) -> CallingSteps[None]:
    """Give all that is left to the dead letter handler, until that fails."""
    driver.hands_over = True
    table, taken = driver.partition.table, True
    table.release()
    while taken and table.swap():
        while taken and (items := _next(driver.partition)) is not None:
            taken = yield from _give(driver, terms, items)
        table.release()


def _next(partition: Partition[Any]) -> list[Any] | None:
    """Take the first in line that were tried equally often, with the same error."""
    table, front, size = partition.table, partition.front, PIECE
    while (batch := table.take(size)) is not None:
        items = list(batch)
        if not front.tried:
            return items
        met = front.meet(items)
        for tried, item in zip(met, items, strict=True):
            if tried.calls and not front.is_as_tried(tried, item):
                front.renew(tried)
        size = len(runs(met)[0])
        if size == len(items):
            return items
        table.keep(None)  # so that it is not acknowledged by the next one
    return None


def _give(driver: Surrendering[B], terms: Surrender, items: list[Any]) -> CallingSteps[bool]:
    """Give *items*; return whether they were taken."""
    partition = driver.partition
    handler, front = partition.settings.dead_letter, partition.front
    if handler is None:
        return False
    size, error = len(items), Undelivered(f"buffer {partition.name!r} {terms.why}")
    tries = front.tried[0].calls if front.tried else 0
    error.__cause__ = front.tried[0].error if front.tried else None
    if error.__cause__ is None and driver.trouble is not None:
        error.__cause__ = driver.trouble.error
    driver.called_at = partition.settings.clock.monotonic()
    failure = yield from driver.call(handler, items, error, tries)
    driver.called_at = None
    if isinstance(failure, CutShort):
        return False
    if failure is not None:
        partition.telemetry.note_dead_letter_error(handler, failure)
        return False
    partition.table.bury()
    front.settle(front.tried[:size])
    terms.sizes.append(size)
    partition.emit(BatchDeadLettered, size=size, error=error, attempts=tries)
    return True
