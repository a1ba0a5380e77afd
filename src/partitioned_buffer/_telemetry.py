"""
Tell hooks what happened, and survive them.

A hook that raises, whatever it raises, harms nobody: its first error is logged,
every one is counted (`stats().hook_errors`), and the other hooks are still told.
"""

import logging
import threading
from collections.abc import Callable, Iterable

from .abc import Hook
from .events import Event

log = logging.getLogger("partitioned_buffer")
log.addHandler(logging.NullHandler())

_subscribers: tuple[Hook, ...] = ()
_lock = threading.Lock()


def subscribe(hook: Hook) -> Callable[[], None]:
    """
    Send *hook* the events of every buffer in this process.

    Returns a callable that ends the subscription; calling it again does nothing.
    Subscribing one hook twice sends it everything twice.

    Raises `TypeError` when *hook* is not callable.
    """
    global _subscribers
    if not callable(hook):
        raise TypeError(f"hook={hook!r}: expected a callable that takes an event")

    def once(event: Event, /) -> object:  # a hook of its own, so that only it is taken out
        return hook(event)

    def unsubscribe() -> None:
        global _subscribers
        with _lock:
            _subscribers = tuple(other for other in _subscribers if other is not once)

    with _lock:
        _subscribers = (*_subscribers, once)
    return unsubscribe


class Telemetry:
    """The hooks of one buffer."""

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self._hooks = tuple(hooks)
        self._blamed: set[int] = set()
        self._lock = threading.Lock()
        self.errors = 0

    def emit(self, event: Event) -> None:
        """Call every hook with *event*."""
        for hook in (*self._hooks, *_subscribers):
            try:
                hook(event)
            except BaseException as error:  # a worker must not die of SystemExit either
                self._blame(hook, error)

    def _blame(self, hook: Hook, error: BaseException) -> None:
        with self._lock:
            self.errors += 1
            first = id(hook) not in self._blamed
            self._blamed.add(id(hook))
        if first:
            log.error("hook %r raised; further errors of it are only counted", hook, exc_info=error)
