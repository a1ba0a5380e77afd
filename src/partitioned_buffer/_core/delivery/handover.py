"""
Hand over what an end has left: to the dead letter handler, as `Undelivered`.

Nobody is going to try it again, so this is the last chance to save it. What the handler does
not take stays held, and whoever ends the buffer says so.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ...errors import Undelivered
from ...events import BatchDeadLettered
from ..waiting.steps import CallingSteps
from .partition import Partition
from .policy import Wait

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
    tried: int
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
    table = driver.partition.table
    batch: Any = table.again(None, False) if driver.tried else None
    taken = batch is None or (yield from _give(driver, terms, batch, driver.tried))
    table.release()
    while taken and table.swap():
        while taken and (batch := table.take(PIECE)) is not None:
            taken = yield from _give(driver, terms, batch, 0)
        table.release()


def _give(driver: Surrendering[B], terms: Surrender, batch: Any, tries: int) -> CallingSteps[bool]:
    """Give one *batch*; return whether it was taken."""
    partition = driver.partition
    handler = partition.settings.dead_letter
    if handler is None:
        return False
    items = list(batch.values()) if isinstance(batch, dict) else batch
    size, error = len(items), Undelivered(f"buffer {partition.name!r} {terms.why}")
    error.__cause__ = None if driver.trouble is None else driver.trouble.error
    driver.called_at = partition.settings.clock.monotonic()
    failure = yield from driver.call(handler, items, error, tries)
    driver.called_at = None
    if failure is not None:
        partition.telemetry.note_dead_letter_error(handler, failure)
        return False
    partition.table.bury()
    terms.sizes.append(size)
    partition.emit(BatchDeadLettered, size=size, error=error, attempts=tries)
    return True
