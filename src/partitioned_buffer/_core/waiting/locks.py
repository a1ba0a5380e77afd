"""Whose a lock is."""

import threading


def is_mine(lock: "threading.RLock") -> bool:
    """Return whether this very thread holds *lock*."""
    try:
        threading.Condition(lock).notify(0)
    except RuntimeError:  # documented: it does not hold the lock
        return False
    return True
