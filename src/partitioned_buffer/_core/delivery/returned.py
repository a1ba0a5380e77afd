"""
What a processor returned, should it be something that has yet to be run, or to be done.

A coroutine that nobody awaits, or a generator or `map` that nobody goes through, has delivered
nothing, and of a task or future that nobody waits for none knows what it delivers. A processor may
return one at any call: a lambda around a coroutine function, say, or a function that sometimes has
nothing to do. So every result that is not None is looked at, which costs about as much as a
comparison.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator
from contextlib import suppress
from typing import Any


class _Future(ABC):
    """Of `concurrent.futures`, or a client's own. A mock has everything, but its class has not."""

    @abstractmethod
    def add_done_callback(self, function: Any, /) -> object: ...

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        return hasattr(other, "add_done_callback")


_KINDS: dict[Any, str] = {
    Coroutine: "a coroutine",
    Generator: "a generator",
    AsyncGenerator: "an async generator",
    map: "a map",
    filter: "a filter",
    Awaitable: "an awaitable",  # a task, say
    _Future: "a future",
}
_UNDONE = tuple(_KINDS)


def refuse_undone(function: object, returned: Any, *, in_thread: bool) -> None:
    """
    Raise `TypeError` if *function* *returned* what is not done, and what nobody is going to see to.

    *in_thread*: called by a thread, and not awaited.
    """
    if not isinstance(returned, _UNDONE):
        return
    kind = next(kind for kind in _KINDS if isinstance(returned, kind))
    if isinstance(returned, Coroutine | Generator):
        with suppress(Exception):
            returned.close()  # so that Python does not warn of it, too
    why, what = "none of which has run", "deliver in a function that has no yield"
    if kind in (map, filter):
        what = "go through it, in a `for` loop say"
    if kind in (Coroutine, Awaitable):
        why, what = "which nobody awaits", "is an `await` missing?"
        if in_thread:
            why, what = "which a thread cannot await", "see AsyncQueue and AsyncMap"
    if kind is _Future:
        why, what = "which nobody waits for", "return when it is done, and raise what it raises"
    known = "perhaps nothing was" if kind in (Awaitable, _Future) else "nothing was"
    raise TypeError(f"{function!r} returned {_KINDS[kind]}, {why}: {known} delivered; {what}")
