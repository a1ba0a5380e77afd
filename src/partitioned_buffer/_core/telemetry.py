"""
Tell hooks and the log what happened, and survive them.

A hook that raises, whatever it raises, harms nobody: its first error is logged,
every one is counted (`stats().hook_errors`), and the other hooks are still told.
The same goes for the dead letter handler; a logging handler that raises in a worker (it may
write to a full buffer of ours) is nobody's business here.

No handler is added: where the program configures no logging, Python writes warnings and errors
to stderr by itself, so that no loss is silent; where it does, nothing else is printed.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar, Protocol

from ..abc import DeadLetterHandler, Hook
from ..errors import PartitionedBufferError
from ..events import Event
from .options.checks import is_plain_function

log = logging.getLogger("partitioned_buffer")

_subscribers: tuple[Hook, ...] = ()
_lock = threading.Lock()


def report(message: str, *args: object, error: BaseException | None = None) -> None:
    """Log an error, whatever becomes of it."""
    with suppress(BaseException):  # a worker must not die of a logging handler
        log.error(message, *args, exc_info=error)


def say(message: str, *args: object) -> None:
    """Log an error in the caller's own thread: what interrupts that is the caller's."""
    with suppress(PartitionedBufferError):  # of a logging handler that writes to a full buffer
        log.error(message, *args)


def warn(message: str, *args: object) -> None:
    """Log a warning, whatever becomes of it; an interrupt is not a logging handler's."""
    with suppress(Exception):
        log.warning(message, *args)


def renew_lock() -> None:
    """Replace, in a child process, the lock that a thread of the parent may have held."""
    global _lock
    _lock = threading.Lock()


def subscribe(hook: Hook) -> Callable[[], None]:
    """
    Send *hook* the events of every buffer in this process.

    Returns a callable that ends the subscription; calling it again does nothing.
    Subscribing one hook twice sends it everything twice.

    Raises `TypeError` when *hook* is not callable.
    """
    global _subscribers
    if not is_plain_function(hook):
        raise TypeError(f"hook={hook!r}: expected a plain function that takes an event")

    def once(event: Event, /) -> object:  # a hook of its own, so that only it is taken out
        return hook(event)

    def unsubscribe() -> None:
        global _subscribers
        with _lock:
            _subscribers = tuple(other for other in _subscribers if other is not once)

    with _lock:
        _subscribers = (*_subscribers, once)
    return unsubscribe


class Tracing(Protocol):
    """What is told of writes and calls, where they are traced."""

    def wrote(self, partition: Any, /) -> None:
        """Take note that something was written to *partition*."""

    def around(
        self, partition: Any, processor: Callable[..., object], attempt: int, in_place: bool, /
    ) -> Callable[..., object]:
        """
        Return what calls *processor* for *partition*; its `part_of` is the user's function.

        A call *in_place* is one that a coroutine is not awaited from.
        """
        ...


class Telemetry:
    """The hooks of one buffer, and its dead letter handler."""

    tracing: ClassVar[Tracing | None] = None
    """Of all buffers; None, unless somebody asks for it."""

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self._hooks = tuple(hooks)
        self._blamed: set[int] = set()
        self._lock = threading.Lock()
        self.hook_errors = self.dead_letter_errors = 0

    @property
    def is_heard(self) -> bool:
        """Whether there is any hook."""
        return bool(self._hooks or _subscribers)

    def emit(self, event: Event) -> None:
        """Call every hook with *event*."""
        for hook in (*self._hooks, *_subscribers):
            try:
                hook(event)
            except BaseException as error:  # a worker must not die of SystemExit either
                with self._lock:
                    self.hook_errors += 1
                self._blame("hook", hook, error)

    def note_dead_letter_error(self, handler: DeadLetterHandler, error: BaseException) -> None:
        """Count the *error* that the dead letter *handler* raised."""
        with self._lock:
            self.dead_letter_errors += 1
        self._blame("dead letter handler", handler, error)

    def _blame(self, what: str, culprit: object, error: BaseException) -> None:
        with self._lock:
            first = id(culprit) not in self._blamed
            self._blamed.add(id(culprit))
        if first:
            message = "%s %r raised; further errors of it are only counted"
            report(message, what, culprit, error=error)
