"""Have something done when this process ends: the interpreter, or a pool's forked worker."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

_drain: Callable[[], None] | None = None
_registered_in: int | None = None
_pools: set[str] = set()
_begun_in: int | None = None


def at_exit(early: Callable[[], None], drain: Callable[[], None]) -> None:
    """
    Have *drain* called once when this very process ends, however often this is called.

    And before that *early*, while what a processor may need still works: pools of threads.
    """
    global _drain, _registered_in
    _drain = drain
    _before_pools_are_shut(early)
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
    # Celery's workers do not even call those, but they send a signal.
    if "celery.signals" in sys.modules:

        def shut_down(**_: object) -> None:
            drain()

        signal = sys.modules["celery.signals"].worker_process_shutdown
        signal.connect(shut_down, weak=False, dispatch_uid=__name__)


def _before_pools_are_shut(early: Callable[[], None]) -> None:
    """
    Have *early* called before the pools of `concurrent.futures` end.

    They end by the same means, when the main thread does; called first is what was registered
    last, so their modules have to be there. It is private: without it, `drain` has to do.
    """
    # Nothing wider: an interrupt is to come out of the start that it hit.
    with suppress(ImportError, AttributeError, RuntimeError):
        import_module("concurrent.futures.thread")  # 3 ms, of who starts a buffer
        known = {"thread", "process"} & {
            name.removeprefix("concurrent.futures.") for name in sys.modules
        }
        if known - _pools:
            threading._register_atexit(early)  # type: ignore[attr-defined]
            _pools.update(known)


def leave() -> None:
    """Drain, and end a child whose one thread has no more to do: Python would not notice."""
    if _drain is not None:
        _drain()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(0)


def begin_exit() -> None:
    """Note that what runs in this very process is being drained, for the last time."""
    global _begun_in
    _begun_in = os.getpid()


def exit_has_begun() -> bool:
    """Return whether that was noted in this very process."""
    return _begun_in == os.getpid()


def forbid_late_start() -> None:
    """Raise `RuntimeError` if it is too late to start something that wants to be drained."""
    if sys.is_finalizing() or exit_has_begun():
        raise RuntimeError("the interpreter is ending, and would not wait for it")
