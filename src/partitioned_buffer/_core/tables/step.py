"""
What a write comes to, and the rules of the step that it is.

    _ = lock.take
    try:
        ...
    finally:
        _ = lock.free

What is tried there is a *zone*: no call, no jump back, no new container. CPython runs signal
handlers, finalizers and other threads only after a call, at a backward jump or at a function's
start; Python 3.11 also collects garbage where a container is made. So nothing parts a zone: what
comes in the middle of a write, on the same thread, sees whole states, an exception leaves all of a
step or nothing of it, and *no code ever runs with the lock in hand*. A test reads the bytecode.

  - What takes loops, calls or containers is done before, and the zone asks whether it still
    goes, by `_turn` or by what was read: if not, `AGAIN`.
  - What a zone replaces or removes is held by a local name as well, and dies when the lock is
    free: its finalizer may do whatever it likes.
  - The lock is needed all the same: without the GIL for other threads, and with it for tracers in
    Python, which run between any two lines. It is re-entrant for the tracers' sake.
"""

import sysconfig
import threading
from typing import Any, Final

MADE: Final = 0
"""The write is accepted; or dropped, and counted, where `when_full` says so."""
FULL: Final = 1
"""There is no room: nothing happened."""
CLOSED: Final = 2
"""The table takes no writes: nothing happened."""
AGAIN: Final = 3
"""Something has changed since the step was prepared. Never returned to a caller."""

FREE_THREADED: Final = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

_RLock: Any = type(threading.RLock())


class Lock(_RLock):  # type: ignore[misc]
    """
    A lock that is taken and freed by *reading* `take` and `free`.

    After a call, CPython may run a signal handler, which would find the lock in hand; after
    reading an attribute it does not. It also costs half of what `with` does.
    """

    __slots__ = ()
    take: Any = property(_RLock.acquire)
    free: Any = property(_RLock.release)
