"""
A processor for structlog that puts events into a Queue, and has nobody wait.

    ship = BufferProcessor("events", send)       # send(events): your processor
    structlog.configure(processors=[merge_contextvars, add_log_level, TimeStamper(), ship])

Import this early: functions that are called at Python's end can still say something if they were
registered after that.
"""

import atexit
import sys
import weakref
from collections.abc import Callable, Collection, MutableMapping
from contextlib import suppress
from typing import Any, Final

from .. import PartitionedBufferError, Queue
from ..errors import InvalidOption
from .intake import Intake, Passed

__all__ = ["BufferProcessor", "Passed"]

STDERR: Final = "stderr"
LOUD: Final = frozenset({"warn", "warning", "error", "exception", "critical", "fatal"})
"""Methods of what is worth a line on stderr."""

_there: "weakref.WeakSet[BufferProcessor]" = weakref.WeakSet()


class BufferProcessor:
    """
    Puts events into a Queue of this *name*, whose *processor* gets them in batches.

    What comes before it in the chain says what an event is: a dictionary, or, after a renderer, a
    line. An error in a dictionary (`exc_info`) is made text here (`exception`), for it does not
    keep. What else is in it is carried as it is: render what may change before it is delivered.

    *passes_on*: whether the chain goes on, to print it, too. If not, it ends here.

    *fallback*: called with what goes past the buffer where the chain ends; "stderr" writes
    warnings and errors there; None: nobody is. *ignore*, `passed` and *options*: as a
    `BufferHandler` has them (see `integrations.logging`); a logger's name is that of
    `structlog.stdlib.add_logger_name`.

    Raises `ImportError` without structlog, and what a Queue raises for options that are no good.
    """

    def __init__(
        self,
        name: str,
        processor: Callable[[list[Any]], object] | None = None,
        *,
        passes_on: bool = False,
        fallback: Callable[[Any], object] | str | None = STDERR,
        ignore: Collection[str] = (),
        **options: Any,
    ) -> None:
        if not (fallback is None or fallback == STDERR or callable(fallback)):
            raise InvalidOption(f"fallback={fallback!r}: expected a callable, 'stderr', or None")
        try:
            import structlog  # noqa: PLC0415  # late
        except ImportError as error:
            raise ImportError("BufferProcessor is for structlog: pip install structlog") from error
        self._format_error: Callable[..., Any] = structlog.processors.format_exc_info
        self._drop: type[BaseException] = structlog.DropEvent
        self._passes_on, self._fallback = passes_on, fallback
        self._intake: Intake[Any] = Intake(name, processor, ignore, options)
        _there.add(self)

    @property
    def queue(self) -> Queue[Any]:
        """The Queue: its `stats()` count what was accepted."""
        return self._intake.queue

    @property
    def passed(self) -> Passed:
        """How many went past the buffer in this process, and why."""
        return self._intake.passed

    def __call__(self, logger: Any, method: str, event: Any) -> Any:
        """Put *event* into the buffer, and pass it on, or end the chain."""
        named = event.get("logger") if isinstance(event, MutableMapping) else None
        if self._intake.is_own(named if isinstance(named, str) else ""):
            self._go_past(method, event, "own")
        else:
            try:
                self._intake.push(self._kept(logger, method, event))
            except PartitionedBufferError:
                self._go_past(method, event, "refused")
            except Exception:  # of what cannot be copied, or stored
                self._go_past(method, event, "failed")
        if self._passes_on:
            return event
        raise self._drop

    def _kept(self, logger: Any, method: str, event: Any) -> Any:
        """Return *event* as another thread may have it."""
        if not isinstance(event, MutableMapping):
            return event
        kept = dict(event) if self._passes_on else event  # what comes after takes out of it
        return self._format_error(logger, method, kept) if kept.get("exc_info") else kept

    def _go_past(self, method: str, event: Any, why: str) -> None:
        self._intake.note(why)
        if self._passes_on or self._fallback is None:
            return
        with suppress(Exception):  # who says something is not told that nobody hears it
            if callable(self._fallback):
                self._fallback(event)
            elif method in LOUD and sys.stderr is not None:
                sys.stderr.write(f"{event}\n")

    def flush(self, timeout: float | None = None) -> None:
        """Deliver what is held: see the `flush` of a Queue."""
        self.queue.flush(timeout)

    def close(self) -> None:
        """Deliver what is held, as the end of a `with` block does; what comes later goes past."""
        self._intake.close()


def _end() -> None:
    for each in list(_there):
        each._intake.end_with_program()


atexit.register(_end)
