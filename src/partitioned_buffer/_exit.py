"""Have something done when this process ends: the interpreter, or a pool's forked worker."""

import atexit
import os
import sys
from collections.abc import Callable

_registered_in: int | None = None


def at_exit(drain: Callable[[], None]) -> None:
    """Have *drain* called once when this very process ends, however often this is called."""
    global _registered_in
    if _registered_in == os.getpid():
        return
    _registered_in = os.getpid()
    atexit.unregister(drain)
    atexit.register(drain)
    # The forked workers of these end without the interpreter's exit (multiprocessing's do so
    # before Python 3.13), but run what they call finalizers. They have forgotten those that
    # were registered in the parent.
    for pool in ("multiprocessing.util", "billiard.util"):
        if pool in sys.modules:
            sys.modules[pool].Finalize(None, drain, exitpriority=0)
