"""How far a command has come, told each second on stderr: by a bar of rich's, or in lines."""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from .. import subscribe
from ..events import Event, ProcessingFailed, ProcessingStopped
from .text import printable

EACH = 1.0
"""Seconds from one line to the next."""


class Progress:
    """
    Tells, in the background and while it is entered, that `done()` of *total* are *verb*.

    And what the processor of the buffer called *name* raises, as long as it does.
    """

    def __init__(self, name: str, total: int, done: Callable[[], int], verb: str) -> None:
        self._name, self._total, self._done, self._verb = name, total, done, verb
        self._trouble: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._unsubscribe = subscribe(self._hear)
        self._drawn = _drawn(self._total)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._unsubscribe()
        self._drawn.end(self._said())

    def _hear(self, event: Event) -> None:
        if event.buffer == self._name:
            if isinstance(event, ProcessingFailed):
                self._trouble = event.error
            elif isinstance(event, ProcessingStopped) and event.size:
                self._trouble = None

    def _run(self) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more
            while not self._over.wait(EACH):
                self._drawn.draw(*self._said())

    def _said(self) -> tuple[int, str]:
        done = min(self._done(), self._total)
        if (error := self._trouble) is None:
            return done, self._verb
        return done, printable(f"{self._verb}; last: {type(error).__name__}: {error}")


class _Drawn(Protocol):
    def draw(self, done: int, said: str) -> None: ...
    def end(self, last: tuple[int, str]) -> None: ...


class _Lines:
    def __init__(self, total: int) -> None:
        self._total = total

    def draw(self, done: int, said: str) -> None:
        sys.stderr.write(f"{done:,} of {self._total:,} {said}\n")
        sys.stderr.flush()

    def end(self, last: tuple[int, str]) -> None:
        """Leave the last word to the command."""


class _Bar:
    def __init__(self, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415  # only if it is there
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        said = TextColumn("{task.description}", markup=False)
        self._bar: Any = Bar(BarColumn(), MofNCompleteColumn(), said, console=Console(stderr=True))
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def draw(self, done: int, said: str) -> None:
        self._bar.update(self._task, completed=done, description=said)

    def end(self, last: tuple[int, str]) -> None:
        self.draw(*last)
        self._bar.stop()


def _drawn(total: int) -> _Drawn:
    with suppress(ImportError):
        if sys.stderr.isatty():
            return _Bar(total)
    return _Lines(total)
