"""
The hot path: what one write costs is what this file costs.

Each write finds its table, appends, and only then looks whether the table wants
attention (see `tables.table`). There is no lock, no clock, no allocation beyond what
is stored, and nothing that another thread could leave half done.

The three functions are closures, made once per buffer: a name from an enclosing
scope costs half of an attribute of `self`, which is a fifth of a push. They live
in slots, because an attribute that hides a method of its class is slow to find.

A Queue without a partition key takes its tables in turn by walking a ring. Two
threads may read the same place and push to the same table; that is harmless,
unlike advancing an `itertools.cycle`, which crashes free-threaded builds.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..tables.entry import NEWER
from ..tables.old_map import MapTable
from ..tables.old_queue import QueueTable

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
T_contra = TypeVar("T_contra", contravariant=True)
K_contra = TypeVar("K_contra", contravariant=True)
V_contra = TypeVar("V_contra", contravariant=True)

Key = Callable[[T], object] | object
"""A partition key: spelt out so that the parameter of a lambda has a type."""

Refused = Callable[[], Exception | None]
"""Returns why a write was refused; None: it is to be made again."""


class Push(Protocol[T_contra]):
    """The type of `Queue.push`."""

    def __call__(self, item: T_contra, *, partition_key: Key[T_contra] = None) -> None:
        """
        Accept one item (a list is one item), to be delivered in the background.

        Any thread, coroutine, finalizer or signal handler may call it. It waits only in a
        bounded buffer that is full and set to block.
        *partition_key* overrides the buffer's own for this item: a callable of the item, or
        any other value.

        Raises `BufferNotRunning` when the buffer is not started, or stopped, and `BufferFull`
        as `when_full` says; the item was not accepted then. What the callable raises is raised.
        """


class Put(Protocol[K_contra, V_contra]):
    """The type of `Map.put`."""

    def __call__(
        self, key: K_contra, value: V_contra, *, partition_key: Key[K_contra] = None
    ) -> None:
        """
        Accept *value* for *key*, in place of whatever waits for that key: the last write wins,
        or with `merge`, the two are made one.

        The entry's version and updates are 0. *partition_key* overrides the buffer's own: a
        callable of the key, or any other value. An entry belongs to its partition: the same
        key put under two partition keys can be two entries, each delivered, each read and
        deleted under its own.

        Raises `TypeError` for an unhashable key, `BufferNotRunning` when the buffer is not
        started, or stopped, and `BufferFull` as `when_full` says; nothing was accepted then.
        """


class PutNewer(Protocol[K_contra, V_contra]):
    """The type of `Map.put_newer`."""

    def __call__(
        self, key: K_contra, value: V_contra, version: int, *, partition_key: Key[K_contra] = None
    ) -> None:
        """
        Accept *value* for *key* if *version* is greater than the one it has.

        Compared is the version waiting, else the one in flight, else the one delivered last
        (see `remember_versions`); a plain `put` has version 0. A version that is not greater
        is coalesced: accepted, counted, and never delivered.

        Raises `TypeError` for a version that is no int, and what `put` raises.
        """


def make_push(
    first: QueueTable[T] | None,
    table_for: Callable[[T, object], QueueTable[T]],
    refused: Refused,
) -> Push[T]:
    """Return `push`; *first* begins the ring, or is None where every item has a key."""
    turn = first

    def push(item: T, *, partition_key: Key[T] = None) -> None:
        nonlocal turn
        table = turn
        if table is None or partition_key is not None:
            table = table_for(item, partition_key)
        else:
            turn = table.next
        table.waiting.append(item)
        if table.alert and len(table.waiting) >= table.limit and not table.attend((item,)):
            if (error := refused()) is not None:
                raise error
            push(item, partition_key=partition_key)

    return documented(push, Push)


def make_put(
    slots: tuple[MapTable[K, V], ...] | None,
    table_for: Callable[[K, object], MapTable[K, V]],
    refused: Refused,
) -> Put[K, V]:
    """Return `put`; *slots* are None where the key alone does not decide."""
    modulus = len(slots or ())

    def put(key: K, value: V, *, partition_key: Key[K] = None) -> None:
        if slots is None or partition_key is not None:
            table = table_for(key, partition_key)
        else:
            table = slots[hash(key) % modulus]
        log = table.log
        op = (key, value)
        log.append(op)
        if len(log) >= table.limit and not table.attend((op,)):
            if (error := refused()) is not None:
                raise error
            put(key, value, partition_key=partition_key)

    return documented(put, Put)


def make_put_newer(
    slots: tuple[MapTable[K, V], ...] | None,
    table_for: Callable[[K, object], MapTable[K, V]],
    refused: Refused,
) -> PutNewer[K, V]:
    """Return `put_newer`; *slots* are None where the key alone does not decide."""
    modulus = len(slots or ())

    def put_newer(key: K, value: V, version: int, *, partition_key: Key[K] = None) -> None:
        if type(version) is not int:
            version = check_version(version)
        if slots is None or partition_key is not None:
            table = table_for(key, partition_key)
        else:
            table = slots[hash(key) % modulus]
        table.mixed = True
        log = table.log
        op = (key, value, version, NEWER)
        log.append(op)
        if len(log) >= table.limit and not table.attend((op,)):
            if (error := refused()) is not None:
                raise error
            put_newer(key, value, version, partition_key=partition_key)

    return documented(put_newer, PutNewer)


def check_version(version: Any) -> int:
    """Return *version* as an int; raise `TypeError` if it is none."""
    if not isinstance(version, int) or isinstance(version, bool):
        raise TypeError(f"version={version!r}: expected an int, such as a sequence number")
    return int(version)


F = TypeVar("F", bound=Callable[..., None])


def documented(function: F, protocol: type) -> F:
    """Give *function* the documentation of what it implements."""
    function.__doc__ = protocol.__call__.__doc__
    function.__module__ = __name__.partition(".")[0]
    return function
