"""
Which buffers run, by name, process-wide; and all there are, for the child of a fork.

A name belongs to a buffer as long as that one is alive (see `run`), so what an interrupted start
or stop left here is nobody's.
"""

import os
import threading
import weakref
from typing import Any, TypeVar, overload

from ...errors import BufferAlreadyRunning, BufferNotFound
from ..telemetry import renew_lock
from .base import Buffer

Kind = TypeVar("Kind", bound=Buffer[Any])

_all: "weakref.WeakSet[Buffer[Any]]" = weakref.WeakSet()
_running: dict[str, Buffer[Any]] = {}
_names = threading.RLock()  # for a finalizer or signal handler that calls `get()`


@overload
def get(name: str) -> Buffer[Any]: ...
@overload
def get(name: str, kind: type[Kind]) -> Kind: ...
def get(name: str, kind: type[Buffer[Any]] | None = None) -> Buffer[Any]:
    """
    Return the running buffer called *name*.

    Give its *kind* (`Queue`, `AsyncMap`, ...) too, to have that checked and typed:
    `get("events", Queue).push(event)`.

    Raises `BufferNotFound` when no buffer of that name (and kind) is running.
    """
    buffers = {buffer.name: buffer for buffer in running()}
    buffer = buffers.get(name)
    if buffer is None:
        raise BufferNotFound(
            f"no buffer {name!r} is running; running are: {sorted(buffers) or 'none'}"
        )
    if kind is not None and not isinstance(buffer, kind):
        raise BufferNotFound(
            f"{buffer!r} is no {kind.__name__}: ask for the kind that it is, or for none"
        )
    return buffer


def running() -> list[Buffer[Any]]:
    """
    Return the running buffers, those that are just being stopped too, in the order of their start.

    All of a process: `{buffer.name: buffer.stats().as_dict() for buffer in running()}`.
    """
    for buffer in list(_running.values()):
        buffer._look_whether_dead()
    with _names:
        return [buffer for buffer in _running.values() if buffer._run.is_alive]


def enrol(buffer: Buffer[Any]) -> None:
    """Know *buffer*, should this process fork."""
    with _names:
        _all.add(buffer)


def names() -> "threading.RLock":
    """Return the lock of the names, for who claims one and begins to run in one piece."""
    return _names


def claim(buffer: Buffer[Any]) -> None:
    """Take its name for *buffer*; raise `BufferAlreadyRunning` if another one has it."""
    if (holder := _running.get(buffer.name)) is not None:
        holder._look_whether_dead()
    with _names:
        holder = _running.get(buffer.name)
        if holder is not None and holder is not buffer and holder._run.is_alive:
            stop = holder._how_to_stop.format(buffer.name)
            raise BufferAlreadyRunning(
                f"a buffer {buffer.name!r} is running already: stop it first, or choose another "
                f"name. `{stop}` delivers what it holds, and ends it: in a notebook, before the "
                "cell that makes it is run again"
            )
        _running[buffer.name] = buffer


def release(buffer: Buffer[Any]) -> None:
    """Give back the name of *buffer*."""
    with _names:
        if _running.get(buffer.name) is buffer:
            del _running[buffer.name]


def _after_fork() -> None:
    """Begin anew in the child: nobody is left to give back a lock, or to do any work."""
    global _names
    _names = threading.RLock()
    renew_lock()
    for buffer in list(_all):
        buffer._forked()
        if not buffer._run.is_alive:
            release(buffer)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
