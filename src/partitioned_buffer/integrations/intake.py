"""
A Queue that takes what a program says, but nothing of what comes of taking it.

What is said while it is delivered (by the library, by the destination's client, by a hook) would
have to be delivered, too, and so on for ever: that goes past the buffer.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any, Final, Generic, NamedTuple, TypeVar

from .. import Queue
from ..abc import SharedStorage
from ..errors import InvalidOption, WrongThread
from ..events import Event

T = TypeVar("T")

LIBRARY: Final = "partitioned_buffer"

DEFAULTS: Final[dict[str, Any]] = {
    "processing_interval": 1.0,
    "processing_batch_size": 500,
}
"""Of the options: a log is read while it is written, and its destination takes many lines."""

delivering: ContextVar[bool] = ContextVar(f"{LIBRARY}.delivering", default=False)
"""Whether what runs here delivers what any intake has taken, and so must not be taken itself."""


class Passed(NamedTuple):
    """How many went past the buffer in this process, and why."""

    own: int = 0
    """Said by the library, while delivering, or by who is to be ignored."""
    refused: int = 0
    """The buffer was full, or stopped, or its storage could not take them."""
    failed: int = 0
    """They could not be formatted."""


class Intake(Generic[T]):
    """What a logging handler and a structlog processor have in common."""

    def __init__(
        self,
        name: str,
        processor: Callable[[list[T]], object] | None,
        ignore: Collection[str],
        options: dict[str, Any],
    ) -> None:
        if isinstance(ignore, str) or not all(isinstance(each, str) for each in ignore):
            raise InvalidOption(f"ignore={ignore!r}: expected names of loggers, in a list")
        self._ignored = (LIBRARY, *ignore)
        self._known: dict[str, bool] = {}
        self._passed: dict[int, tuple[threading.RLock, Counter[str]]] = {}
        self.queue: Queue[T] = Queue(name, processor, **_completed(options))
        self._life = ExitStack()
        self._life.enter_context(self.queue)
        self.queue._outlives = True
        self.push = self.queue.push

    def is_own(self, name: str) -> bool:
        """Return whether what a logger of that *name* says here must not be taken."""
        if delivering.get():
            return True
        known = self._known.get(name)
        if known is None:
            names = self._ignored
            known = any(name == each or name.startswith(f"{each}.") for each in names)
            self._known[name] = known
        return known

    def note(self, why: str) -> None:
        """Count one that went past."""
        lock, counts = self._of_this_process()
        with lock:
            counts[why] += 1

    @property
    def passed(self) -> Passed:
        """How many went past, and why."""
        return Passed(**self._of_this_process()[1])

    def close(self) -> None:
        """Deliver what is held, and end; twice does no harm. Raises what a Queue's `stop` does."""
        try:
            self._life.close()
        except WrongThread:
            self._life.push(self.queue)  # it has yet to end
            raise

    def end_with_program(self) -> None:
        """Do so if other buffers have; else be ended with them."""
        if self.queue._program_ends:
            self.close()
        else:
            self.queue._outlives = False

    def _of_this_process(self) -> tuple[threading.RLock, Counter[str]]:
        """Return its counts, and their lock: a parent's may never be free."""
        # Re-entrant: a signal handler may come here in the middle of a count.
        return self._passed.setdefault(os.getpid(), (threading.RLock(), Counter()))


def _mark(_event: Event) -> None:
    """Know the thread for one of those that deliver: no others have events."""
    delivering.set(True)


def _completed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a Queue."""
    options = {name: built(value) for name, value in given.items()}
    hooks = options.pop("hooks", ())
    storage = options.get("storage")
    if isinstance(hooks, list):  # that of `logging.config` converts by place alone
        hooks = [hooks[place] for place in range(len(hooks))]
    defaults = dict(DEFAULTS)
    if not isinstance(storage, SharedStorage):
        defaults["partitions"] = 1  # lines in the order they were written in
    if storage is None and (options.get("max_size") or options.get("max_bytes")):
        defaults["when_full"] = "drop_oldest"  # a gap is better than a program that waits
    if "block_timeout" in options:
        defaults.pop("when_full", None)
    return {**defaults, **options, "hooks": (_mark, *hooks)}


def built(value: Any) -> Any:
    """Return what a dictionary of `logging.config` stands for, if it says `()`."""
    configurator = getattr(value, "configurator", None)
    if isinstance(value, dict) and "()" in value and configurator is not None:
        return configurator.configure_custom(value)
    return value
