"""
How a Queue and a Map are made, whoever drives them: from options, all of them checked first. And
what can be asked of them without writing.
"""

from abc import abstractmethod
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar, Generic, Literal, TypeVar, Unpack, overload

from ..options.keywords import CommonOptions, MapOptions
from ..options.settings import Settings, settings
from ..tables.entry import Entry, Key
from ..writes.map import MapRoutes
from ..writes.queue import QueueRoutes

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


def _name_init(kind: type) -> None:
    """Give *kind* an `__init__` of its own name, which Python says if arguments are missing."""
    shared: Any = kind.__init__  # type: ignore[misc]  # of this very class, and no instance's
    own = FunctionType(shared.__code__, shared.__globals__, argdefs=shared.__defaults__)
    own.__kwdefaults__, own.__annotations__ = shared.__kwdefaults__, shared.__annotations__
    own.__qualname__ = f"{kind.__name__}.__init__"
    type.__setattr__(kind, "__init__", own)


class QueueInit(Generic[T]):
    """What makes a Queue, or an AsyncQueue."""

    __slots__ = ()
    _kind: ClassVar[str]
    _routes: QueueRoutes[T]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_kind" in vars(cls):
            _name_init(cls)

    @abstractmethod
    def _assemble(self, made: Settings) -> None:
        """Put the parts together."""

    def __init__(
        self,
        name: str,
        processor: Callable[[list[T]], object] | None = None,
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[T] = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        made = settings(
            self._kind,
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            **options,
        )
        self._assemble(made)

    def partition_of(self, item: T, *, partition_key: Key[T] = None) -> int | None:
        """
        Return the number of the partition that *item* would go to, which is that of its events.

        None where items go in turn, for want of a partition key.
        """
        return self._routes.partition_of(item, partition_key)

    def oldest(self) -> list[T]:
        """
        Return the oldest item that is held, of each partition that holds any.

        What was pushed before all of these is settled: delivered, or given up. If there are none,
        all is that was pushed before this call. So who reads a file, or takes from a broker, knows
        where to go on after a kill: at the earliest of them. With items that are large in number it
        takes a while, and should not be called for each.

        Raises `TypeError` for a buffer with a `storage`, which itself goes on where it was.
        """
        if not isinstance(self._routes, QueueRoutes):
            raise TypeError(
                "oldest() is of a Queue in memory: one with a storage goes on where it was, by "
                "itself, and what push() has returned for need not be read again"
            )
        return self._routes.oldest()


class MapInit(Generic[K, V]):
    """What makes a Map, or an AsyncMap."""

    __slots__ = ()
    _kind: ClassVar[str]
    _routes: MapRoutes[K, V]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_kind" in vars(cls):
            _name_init(cls)

    @abstractmethod
    def _assemble(self, made: Settings) -> None:
        """Put the parts together."""

    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[list[Entry[K, V]]], object] | None = None,
        *,
        processing_batch_size: int = 10,
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[dict[K, Entry[K, V]]], object],
        *,
        processing_batch_size: Literal["table"],
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        processor: Callable[[Any], object] | None = None,
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None:
        made = settings(
            self._kind,
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            merge=merge,
            **options,
        )
        self._assemble(made)

    def __contains__(self, key: K) -> bool:
        """Return whether `get` finds *key*."""
        return self._routes.has(key)

    def items(self) -> list[tuple[K, V]]:
        """
        Return what is held: each key with the value that `get` returns, oldest first.

        It is a list of their own, partition by partition; others may write meanwhile.
        """
        return self._routes.held()

    def partition_of(self, key: K, *, partition_key: Key[K] = None) -> int:
        """
        Return the number of the partition that *key* belongs to, which is that of its events.

        Raises `TypeError` for an unhashable key.
        """
        return self._routes.partition_of(key, partition_key)  # type: ignore[return-value]  # a Map's is known
