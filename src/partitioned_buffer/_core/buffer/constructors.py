"""
How a Queue and a Map are made, whoever drives them: from options, all of them checked first.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Literal, TypeVar, Unpack, overload

from ..options.keywords import CommonOptions, MapOptions
from ..options.settings import Settings, settings
from ..tables.entry import Entry
from ..writes.hot import Key

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class _Init:
    """What every kind begins with."""

    __slots__ = ()
    _kind: ClassVar[str]

    def _make(self, **options: Any) -> None:
        self._assemble(settings(self._kind, **options))

    @abstractmethod
    def _assemble(self, made: Settings) -> None:
        """Put the parts together."""


class QueueInit(_Init, Generic[T]):
    """What makes a Queue, or an AsyncQueue."""

    __slots__ = ()

    def __init__(
        self,
        name: str,
        processor: Callable[[list[T]], object],
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[T] = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        self._make(
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            **options,
        )


class MapInit(_Init, Generic[K, V]):
    """What makes a Map, or an AsyncMap."""

    __slots__ = ()

    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[list[Entry[K, V]]], object],
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
        processor: Callable[[Any], object],
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None:
        self._make(
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            merge=merge,
            **options,
        )
