"""Whose a lock is, and starts of threads that an interrupt may come into."""

import sys
import threading


def is_mine(lock: "threading.RLock") -> bool:
    """Return whether this very thread holds *lock*."""
    try:
        threading.Condition(lock).notify(0)
    except RuntimeError:  # documented: it does not hold the lock
        return False
    return True


def start(thread: threading.Thread) -> None:
    """Start *thread*; raise what interrupts that, if anything does."""
    handled = sys.exception()
    try:
        thread.start()
    except RuntimeError as error:
        # Interrupted where it waits for the thread to be up, CPython's own start() may go on to
        # complain of a lock of its own, and the interrupt is only the context of that.
        interrupt = error.__context__
        if interrupt is None or interrupt is handled:
            raise
        raise interrupt from None
