"""
Waiting, written once.

What waits is a generator: it yields what for, a `Pause`, and leaves the waiting to who
runs it. So a thread and a task wait for room, for workers, or for the next cycle in the
same words. A task's worker also leaves its calls of user code to who runs it, as a `Call`.

    run(steps)            in this thread           here
    now(steps)            not at all               here
    await drive(steps)    in this task             here
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from ...abc import AsyncSignal, Signal

R = TypeVar("R")


class Pause(NamedTuple):
    """Wait for *signal*, at most so many *seconds* of its clock; None: as long as it takes."""

    signal: Signal | AsyncSignal
    seconds: float | None


@dataclass(slots=True)
class Call:
    """
    Call *function*, in whatever way it has to be, and send back what it raised, or None.

    The next one may be the same object, for making it takes as long as cutting a batch.
    """

    function: Callable[..., object]
    args: tuple[Any, ...]

    def make(self) -> BaseException | None:
        """Make it here, and return what is to be sent back."""
        try:
            self.function(*self.args)
        except BaseException as error:
            return error
        return None


Steps = Generator[Pause, Any, R]
CallingSteps = Generator[Pause | Call, BaseException | None, R]


class MustNotWait(Exception):  # thrown in, and caught where it waits
    """Thrown into steps that would wait, when they must not."""


def run(steps: Generator[Any, None, R]) -> R:
    """Go through *steps*, and wait in this thread."""
    try:
        pause = next(steps)
        while True:
            try:
                pause.signal.wait(pause.seconds)
            except BaseException as error:
                pause = steps.throw(error)
            else:
                pause = next(steps)
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        steps.close()  # should this very function have been interrupted


async def drive(steps: Generator[Any, None, R]) -> R:
    """Go through *steps*, and wait in this task."""
    try:
        pause = next(steps)
        while True:
            try:
                await pause.signal.wait(pause.seconds)
            except BaseException as error:
                pause = steps.throw(error)
            else:
                pause = next(steps)
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        steps.close()


def now(steps: Generator[Any, None, R]) -> R:
    """Go through *steps*; throw `MustNotWait` into them where they would wait."""
    try:
        next(steps)
        steps.throw(MustNotWait())
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        steps.close()
    raise AssertionError("steps wait although they must not")
