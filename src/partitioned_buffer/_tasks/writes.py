"""
Writing from coroutines: what a Queue's and a Map's writes do, and for waiting, await.

Each write comes twice. The plain name waits for room, as `when_full` says, and has to be awaited;
that suspends the task only if there is none. With `_nowait` it raises `BufferFull` instead, and
may be called from any thread.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from .._core.tables.entry import Key, check_version
from .._core.tables.implementation import AsyncMapWriter, AsyncQueueWriter
from .._core.waiting.steps import drive
from .._core.writes.admission import Admission
from .._core.writes.map import MapRoutes
from .._core.writes.queue import ManyItems, listed
from .loops.current import whereabouts
from .to_thread import in_thread

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class AsyncQueueWrites(ManyItems[T], AsyncQueueWriter[T]):
    """How items get into an AsyncQueue."""

    _admission: Admission  # the buffer's, as what follows
    _whereabouts: object
    _forbid_elsewhere: Callable[[str], None]  # what is to be asked if that is not here

    async def push(self, item: T, *, partition_key: Key[T] = None) -> None:
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
        if (late := self._try_push(item, partition_key)) is not None:
            await self._admission.awaited(*late)

    async def push_all(self, items: Iterable[T], *, partition_key: Key[T] = None) -> None:
        """
        Accept all of *items*, which stay in order; they wait for room all together.

        As a Queue's `push_all`, except that a wait can be cancelled. Where *items* are more than
        the buffer holds, they go in by parts, and those before the cancelled wait are accepted.

        Raises `TypeError` for one text or bytes, and what `push` raises.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("push_all")
        batch = listed(items)
        if partition_key is not None or not self._push_list(batch):
            await drive(self._routes.push_all(batch, partition_key))


class AsyncMapWrites(AsyncMapWriter[K, V]):
    """How entries get into an AsyncMap, and how they are read."""

    _routes: MapRoutes[K, V]
    _admission: Admission  # the buffer's, as what follows
    _go: Any
    _signal: Any
    _whereabouts: object
    _forbid_elsewhere: Callable[[str], None]  # what is to be asked if that is not here

    async def put(self, key: K, value: V, *, partition_key: Key[K] = None) -> None:
        """
        Accept *value* for *key*, as a Map's `put`; wait as an AsyncQueue's `push`.

        Raises `TypeError` for an unhashable key, and what `push` raises; nothing was accepted
        then.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put")
        if (late := self._try_put(key, value, None, partition_key)) is not None:
            await self._admission.awaited(*late)

    async def put_newer(
        self, key: K, value: V, version: int, *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept *value* for *key* if *version* is greater than the one it has, as a Map's
        `put_newer`; wait as an AsyncQueue's `push`.

        Raises `TypeError` for a version that is no int, and what `put` raises.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put_newer")
        late = self._try_put(key, value, check_version(version), partition_key)
        if late is not None:
            await self._admission.awaited(*late)

    async def put_all(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every pair of *entries*, as `put` does, in order; wait as `push_all` does.

        Raises what `put` raises, and `TypeError` for what is no pair; nothing was accepted
        then, unless the error says how much.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put_all")
        await drive(self._routes.put_all(entries, partition_key))

    async def put_all_newer(
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every triple of *entries*, as `put_newer` does, in order; wait as `push_all` does.

        Raises what `put_newer` raises, and `TypeError` for what is no triple; nothing was
        accepted then, unless the error says how much.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("put_all_newer")
        await drive(self._routes.put_all(entries, partition_key, versioned=True))

    async def delete(self, key: K, *, partition_key: Key[K] = None) -> None:
        """
        Remove *key*, as a Map's `delete`. It waits for a store alone.

        Raises what `put` raises.
        """
        if whereabouts() is not self._whereabouts:
            self._forbid_elsewhere("delete")
        await drive(self._routes.delete(key, partition_key))

    @overload
    async def fetch(
        self, key: K, default: None = None, *, partition_key: Key[K] = None
    ) -> V | None: ...
    @overload
    async def fetch(self, key: K, default: D, *, partition_key: Key[K] = None) -> V | D: ...
    async def fetch(self, key: K, default: Any = None, *, partition_key: Key[K] = None) -> Any:
        """
        Return the value held for *key* until it is delivered, else *default*: as `get`, and of a
        shared Map, too, whose server is asked.

        Raises `StorageAway` where only the server could say, and cannot be reached; `TypeError` for
        an unhashable key.
        """
        if (read := getattr(self._routes, "read", None)) is None:
            return self.get(key, default, partition_key=partition_key)
        found = list[Any]()

        def ask() -> None:
            found.append(read(key, default, partition_key=partition_key))

        await in_thread(ask, lambda: None, self._signal())
        return found[0]

    def put_all_nowait(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """Accept every pair of *entries*, as `put_all`; raise `BufferFull` where it would wait."""
        self._go(self._routes.put_all(entries, partition_key))

    def put_all_newer_nowait(
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """Accept every triple of *entries*, as `put_all_newer`; or raise `BufferFull`."""
        self._go(self._routes.put_all(entries, partition_key, versioned=True))
