"""
A handler for `logging` that puts records into a Queue, and has nobody wait.

    handler = BufferHandler("logs", ship)      # ship(lines): your processor
    logging.getLogger().addHandler(handler)

It starts its Queue, and ends it when it is closed: `logging.shutdown()` does that, which Python
calls at its very end, when other functions that are called then have had their say.
"""

import logging
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, Literal

from .. import PartitionedBufferError, Queue
from ..errors import InvalidOption
from .intake import Intake, Passed, built
from .records import BufferedRecord, carried

__all__ = ["BufferHandler", "BufferedRecord", "Passed"]

STDERR: Final = "stderr"


class BufferHandler(logging.Handler):
    """
    Puts records into a Queue of this *name*, whose *processor* gets them in batches.

    *format_in*: "caller": what logs formats its record, and the processor gets lines, as the
    formatter returns them. "worker": it gets records (`BufferedRecord`), and `str(record)` is the
    line, formatted then; a formatter does not see their `exc_info`, which is text by then.

    *fallback*: who gets what goes past the buffer, by itself or by its name; "stderr" writes
    warnings and errors there, as Python does without any handler; None: nobody does. Past it goes
    what the library itself says, and whatever is said while records are delivered, by the
    destination's client, say, for that would go round for ever; also what `ignore` names,
    loggers with all below them (of clients that have threads of their own), and what comes when the
    buffer is full, or stopped. `passed` has counted them.

    *options*: those of a Queue. Unless given, `partitions` is 1, `processing_interval` 1 second,
    `processing_batch_size` 500, and a bound (`max_size`, `max_bytes`) drops the oldest.

    From a dictionary of `logging.config`, processor and options may be `ext://module.name`, or
    dictionaries with `()`.

    Raises what a Queue raises for options that are no good, and when a Queue of that name runs.
    """

    flushOnClose = False  # noqa: N815  # close() delivers, in the time that the buffer has

    def __init__(  # noqa: PLR0913  # as other handlers have them
        self,
        name: str,
        processor: Callable[[list[Any]], object] | None = None,
        *,
        level: int | str = logging.NOTSET,
        format_in: Literal["caller", "worker"] = "caller",
        fallback: logging.Handler | str | None = STDERR,
        ignore: Collection[str] = (),
        **options: Any,
    ) -> None:
        _check(format_in, fallback, options)
        super().__init__(level)
        self._fallback = fallback
        self._intake: Intake[Any] = Intake(name, built(processor), ignore, options)
        self._in_caller = format_in == "caller"
        self.name = name

    @property
    def queue(self) -> Queue[Any]:
        """The Queue: its `stats()` count what was accepted."""
        return self._intake.queue

    @property
    def passed(self) -> Passed:
        """How many went past the buffer in this process, and why."""
        return self._intake.passed

    def handle(self, record: logging.LogRecord) -> Any:
        """Do as every handler does, but hold no lock: nobody waits because somebody else does."""
        passes: Any = True
        if self.filters:
            passes = self.filter(record)
            if isinstance(passes, logging.LogRecord):
                record = passes
        if passes:
            self.emit(record)
        return record if passes is True else passes

    def emit(self, record: logging.LogRecord) -> None:
        """Put *record* into the buffer, or say it to the fallback; raise nothing."""
        intake = self._intake
        if intake.is_own(record.name):
            self._go_past(record, "own")
            return
        try:
            item = self.format(record) if self._in_caller else carried(record, self)
        except Exception:
            intake.note("failed")
            self.handleError(record)
            return
        try:
            intake.push(item)
        except PartitionedBufferError:
            self._go_past(record, "refused")
        except Exception:  # a partition key's, or a codec's
            intake.note("failed")
            self.handleError(record)

    def _go_past(self, record: logging.LogRecord, why: str) -> None:
        self._intake.note(why)
        fallback = self._fallback
        if isinstance(fallback, str):
            fallback = logging.lastResort if fallback == STDERR else _named(fallback)
        if fallback is None or record.levelno < fallback.level:
            return
        if isinstance(fallback, BufferHandler):  # two could send each other's round and round
            return
        try:
            fallback.handle(record)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Deliver what is held, within the buffer's `exit_timeout`."""
        if "_intake" not in vars(self):  # what made it failed; `logging` knows it all the same
            return
        if self.queue._program_ends:  # close() follows, which has no time beside that
            return
        timeout = self.queue._settings.exit_timeout
        with suppress(TimeoutError, PartitionedBufferError):  # it goes on; it has ended
            self.queue.flush(timeout)

    def close(self) -> None:
        """Deliver what is held, as the end of a `with` block does; what comes later goes past."""
        super().close()
        if "_intake" in vars(self):
            self._intake.close()


def _named(name: str) -> logging.Handler | None:
    """Return the handler of that name, of which a dictionary may tell after this one."""
    if sys.version_info >= (3, 12):
        return logging.getHandlerByName(name)
    found: logging.Handler | None = logging._handlers.get(name)
    return found


def _check(format_in: object, fallback: object, options: dict[str, Any]) -> None:
    if format_in not in ("caller", "worker"):
        raise InvalidOption(f"format_in={format_in!r}: expected 'caller' or 'worker'")
    is_handler = isinstance(fallback, logging.Handler) and not isinstance(fallback, BufferHandler)
    if not (fallback is None or isinstance(fallback, str) or is_handler):
        raise InvalidOption(
            f"fallback={fallback!r}: expected a logging.Handler that is no BufferHandler, the name "
            "of one, 'stderr', or None"
        )
    if options.get("storage") is not None and format_in == "worker":
        raise InvalidOption(
            "format_in='worker': expected 'caller' with a storage, which keeps text and no records"
        )
