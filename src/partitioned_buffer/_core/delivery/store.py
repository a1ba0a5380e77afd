"""
A worker at its partition's store: it is asked again until it lets itself be used.
"""

from collections.abc import Callable
from typing import Any, Protocol

from ..policy.effects import CutShort, End
from ..waiting.steps import Call, CallingSteps, Steps
from .partition import Partition

FIRST, LONGEST = 0.05, 10.0
"""Seconds between tries to use a store that cannot be used: half of the first, and at most."""


class AtStore(Protocol):
    """A driver, as far as it uses a store."""

    partition: Partition[Any]
    in_place: bool
    abandoned: bool
    rest: Callable[[float, float, int | None], Steps[End]]

    def call(
        self, function: Callable[..., object], *args: Any
    ) -> CallingSteps[BaseException | None]:
        """Call *function*; return what it raised."""
        ...


def use_store(
    driver: AtStore, function: Callable[[], object], waits: bool = True, tries: int | None = None
) -> CallingSteps[bool]:
    """
    Call *function* until the store lets it; return whether it did, while anybody waits.

    *waits*: whether it may take long, and no event loop should stand still for it.
    """
    tried = 0
    while (error := (yield from _asked(driver, function, waits))) is not None:
        tried += 1
        if isinstance(error, CutShort) or driver.abandoned or tried == tries:
            return False
        if tried == 1:
            driver.partition.report("its store cannot be used now", error=error)
        yield from driver.rest(min(LONGEST, FIRST * 2.0**tried), 0.0, None)
    return True


def send_and_note(partition: Partition[Any], send: Callable[[Any], Any], outcome: Any) -> Any:
    """
    Go on, and have the store know what is settled by then, before the next call.

    A store that does not take the note is no reason to deliver nothing: it says so, and what it
    does not know comes again after a crash.
    """
    effect = send(outcome)
    try:
        partition.note()
    except Exception as error:
        partition.unnoted(error)
    return effect


def _asked(
    driver: AtStore, function: Callable[[], object], waits: bool
) -> CallingSteps[BaseException | None]:
    if driver.in_place or waits:
        return (yield from driver.call(function))
    return Call(function, ()).make()  # a thread would take longer
