"""
Writing from coroutines: what a Queue's and a Map's writes do, and for waiting, await.

Each write comes twice. The plain name waits for room, as `when_full` says, and has to be awaited;
that suspends the task only if there is none. With `_nowait` it raises `BufferFull` instead, and
may be called from any thread.

The plain names override methods that need no `await`: no caller has a buffer of either face in hand
as one of the other, so type checkers are told to let that pass.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .._core.waiting.steps import drive
from .._core.writes.admission import Gate
from .._core.writes.bulk import MapWrites, QueueWrites, fill_slot
from .._core.writes.hot import Key, Push, Put, PutNewer
from ..errors import BufferFull
from .loops.current import whereabouts

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


async def write(writes: QueueWrites[Any] | MapWrites[Any, Any], groups: dict[Any, Any]) -> None:
    """Write *groups*, and wait for room."""
    if writes._gate is None:
        writes._write(groups)
    else:
        await drive(writes._gate.write(groups))


def sought(full: BufferFull, gate: Gate[Any] | None) -> tuple[Any, Any]:
    """Return in which table there was no room, and for what; raise *full* if it is another's."""
    if full._sought is None or full._sought[0] is not gate:
        raise full
    return full._sought[1:]


class AsyncQueueWrites(QueueWrites[T]):
    """How items get into an AsyncQueue."""

    __slots__ = {"push_nowait": Push.__call__.__doc__}
    push_nowait: Push[T]
    _whereabouts: object  # the buffer's
    _forbid_elsewhere: Callable[[str], None]  # what is to be asked if that is not here

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        fill_slot(AsyncQueueWrites, "push_nowait", self, super().push)

    async def push(self, item: T, *, partition_key: Key[T] = None) -> None:  # type: ignore[override]
        """
        Accept one item (a list is one item), to be delivered in the background.

        It waits only in a bounded buffer that is full and set to block; else it returns without
        giving way to other tasks, and cannot be cancelled. A cancelled wait has written nothing.
        *partition_key* overrides the buffer's own for this item: a callable of the item, or any
        other value.

        Raises `BufferNotRunning` outside of the buffer's `async with`, `BufferFull` as
        `when_full` says, and `WrongThread` on another event loop; the item was not accepted then.
        What the callable raises is raised.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("push")
        try:
            self.push_nowait(item, partition_key=partition_key)
        except BufferFull as full:
            table, weight = sought(full, self._gate)
            stored = item if self._gate is None or self._gate.weigh is None else (item, weight)
            await write(self, {table: [stored]})

    async def push_all(self, items: Iterable[T], *, partition_key: Key[T] = None) -> None:  # type: ignore[override]
        """
        Accept all of *items*, which stay in order; they wait for room all together.

        As a Queue's `push_all`, except that a wait can be cancelled. Where *items* are more than
        the buffer holds, they go in by parts, and those before the cancelled wait are accepted.

        Raises `TypeError` for one text or bytes, and what `push` raises.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("push_all")
        await write(self, self._groups(items, partition_key))

    def push_all_nowait(self, items: Iterable[T], *, partition_key: Key[T] = None) -> None:
        """
        Accept all of *items*, as `push_all` does, or raise `BufferFull` where that would wait.

        Nothing was accepted then, unless the error says how much.
        """
        super().push_all(items, partition_key=partition_key)


class AsyncMapWrites(MapWrites[K, V]):
    """How entries get into an AsyncMap, and how they are read."""

    __slots__ = {
        "put_newer_nowait": PutNewer.__call__.__doc__,
        "put_nowait": Put.__call__.__doc__,
    }
    put_nowait: Put[K, V]
    put_newer_nowait: PutNewer[K, V]
    _whereabouts: object  # the buffer's
    _forbid_elsewhere: Callable[[str], None]  # what is to be asked if that is not here

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        fill_slot(AsyncMapWrites, "put_nowait", self, super().put)
        fill_slot(AsyncMapWrites, "put_newer_nowait", self, super().put_newer)

    async def put(self, key: K, value: V, *, partition_key: Key[K] = None) -> None:  # type: ignore[override]
        """
        Accept *value* for *key*, as a Map's `put`; wait as an AsyncQueue's `push`.

        Raises `TypeError` for an unhashable key, and what `push` raises; nothing was accepted
        then.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put")
        try:
            self.put_nowait(key, value, partition_key=partition_key)
        except BufferFull as full:
            table, op = sought(full, self._gate)
            await write(self, {table: [op]})

    async def put_newer(  # type: ignore[override]
        self, key: K, value: V, version: int, *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept *value* for *key* if *version* is greater than the one it has, as a Map's
        `put_newer`; wait as an AsyncQueue's `push`.

        Raises `TypeError` for a version that is no int, and what `put` raises.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put_newer")
        try:
            self.put_newer_nowait(key, value, version, partition_key=partition_key)
        except BufferFull as full:
            table, op = sought(full, self._gate)
            await write(self, {table: [op]})

    async def put_all(  # type: ignore[override]
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every pair of *entries*, as `put` does, in order; wait as `push_all` does.

        Raises what `put` raises, and `TypeError` for what is no pair; nothing was accepted
        then, unless the error says how much.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put_all")
        await write(self, self._groups(self._ops(entries), partition_key))

    async def put_all_newer(  # type: ignore[override]
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every triple of *entries*, as `put_newer` does, in order; wait as `push_all` does.

        Raises what `put_newer` raises, and `TypeError` for what is no triple; nothing was
        accepted then, unless the error says how much.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put_all_newer")
        ops = self._newer_ops(entries)
        await write(self, self._groups(ops, partition_key, mixed=True))

    async def delete(self, key: K, *, partition_key: Key[K] = None) -> None:  # type: ignore[override]
        """
        Remove *key*, as a Map's `delete`. It never waits.

        Raises what `put` raises.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("delete")
        super().delete(key, partition_key=partition_key)

    def put_all_nowait(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """Accept every pair of *entries*, as `put_all`; raise `BufferFull` where it would wait."""
        super().put_all(entries, partition_key=partition_key)

    def put_all_newer_nowait(
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """Accept every triple of *entries*, as `put_all_newer`; or raise `BufferFull`."""
        super().put_all_newer(entries, partition_key=partition_key)

    def delete_nowait(self, key: K, *, partition_key: Key[K] = None) -> None:
        """Remove *key*, as `delete`, from any thread."""
        super().delete(key, partition_key=partition_key)
