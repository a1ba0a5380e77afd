"""
Where what is accepted waits: what a storage has to do, and what it is given for that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Chunk(NamedTuple):
    """Records that were accepted together; *data* is None if they are lost."""

    start: int
    count: int  # type: ignore[assignment]  # instead of a tuple's method
    data: bytes | None


class Cursor(NamedTuple):
    """
    Everything before *cursor* is settled but for the positions *kept*.

    *hand*: how many records, from the first of those kept on, were with the processor. *counter*
    says which of two is newer.
    """

    counter: int = 0
    cursor: int = 0
    kept: tuple[int, ...] = ()
    hand: int = 0


class Codec(Protocol):
    """How items become bytes, and come back. It runs the user's code: call it without a lock."""

    @property
    def name(self) -> str:
        """What a store remembers, and refuses to be opened without."""
        ...

    def encode(self, item: Any, /) -> bytes:
        """Return the record of *item*; raise `TypeError` if it cannot be stored."""
        ...

    def encode_all(self, items: Sequence[Any], /) -> list[bytes]:
        """Return the record of each; raise `TypeError` that names the first that cannot be."""
        ...

    def join(self, records: Sequence[bytes], /) -> bytes:
        """Return the data of a chunk of *records*."""
        ...

    def pack(self, items: Sequence[Any], /) -> bytes:
        """Return the data of a chunk of *items*: as `join(encode_all(items))`, and faster."""
        ...

    def decode(self, data: bytes, count: int, /) -> list[Any]:
        """Return the *count* items of a chunk; raise `Undecodable`."""
        ...

    def split(self, data: bytes, /) -> list[bytes]:
        """Return the records of a chunk without decoding them; raise `Undecodable`."""
        ...

    def decode_each(self, data: bytes, count: int, /) -> Any:
        """Return `items`, the (place, item) of each that decodes, and `failed`."""


class Keys(Protocol):
    """How a Map's keys become bytes: they come back as themselves."""

    def encode(self, key: Any, /) -> bytes:
        """Return the bytes of *key*; raise `TypeError` if it would not come back as itself."""
        ...

    def decode(self, data: bytes, /) -> Any:
        """Return the key; raise `Undecodable`."""

    def decode_all(self, data: Sequence[bytes], /) -> list[Any]:
        """Return all keys of *data*; raise `Undecodable`."""
        ...


Route = Callable[[bytes, Sequence[int], int], Mapping[int, tuple[int, bytes]]]
"""
Called as `route(data, places, partitions)` with a chunk's data and the places in it, from 0 and in
order, of the records that are to be delivered still. Returns for each of the new partitions what
goes there, if anything: how many records, and their data, in the order of their places.
"""


class Terms(NamedTuple):
    """What a buffer opens a store for."""

    name: str
    kind: str
    """`"Queue"` or `"Map"`."""
    partitions: int
    route: Route
    """Says where the records of a chunk go when there are other partitions than before."""
    prepare: Callable[["Store", int], None] | None = None
    """To be called with the store, and how many partitions it has, before anything is moved."""


class Store(Protocol):
    """
    A journal of what was accepted, by partition, and how much of it is settled.

    Every method that can fail raises `StorageError`, has changed nothing then, and works again
    when the cause is gone. `append`, `replace`, `bury` and `reclaim` are called by one thread at a
    time; `settle` by each partition's worker; `read` by anybody.
    """

    where: str
    """The file, or the server, for people."""
    identity: str
    """What tells it from all other stores."""
    codec: Codec
    window: int
    """How many bytes of what waits a buffer keeps in memory, beside."""

    def append(
        self, pieces: Sequence[tuple[int, int, bytes]], /, *, durable: bool = True
    ) -> list[int]:
        """
        Accept records, all or nothing: for each piece its partition, their number and data.

        Returns the position of each piece's first record. Not *durable*: what a power failure may
        undo.
        """
        ...

    def read(self, partition: int, position: int, max_bytes: int, /) -> Sequence[Chunk]:
        """Return chunks in order, from that which holds *position*, until they have *max_bytes*."""
        ...

    def records(self, partition: int, /) -> Iterator[Chunk]:
        """Yield all chunks that hold something unsettled, as they are asked for."""
        ...

    def cursor(self, partition: int, /) -> Cursor:
        """Return what is settled of a partition."""
        ...

    def end(self, partition: int, /) -> int:
        """Return the position that the next record of a partition gets."""
        ...

    def weight(self, partition: int, /) -> int:
        """Return about how many bytes a partition holds."""
        ...

    def settle(
        self, partition: int, cursor: int, kept: Sequence[int] = (), hand: int = 0, /
    ) -> None:
        """Say that all before *cursor* is settled but for the positions *kept*. Quick."""

    def replace(self, partition: int, those: Sequence[tuple[int, bytes]], /) -> list[int]:
        """Put *those* (numbers of records, and data) in place of all that is in a partition."""
        ...

    def reclaim(self) -> bool:
        """Give back some of the room of what is settled; return whether there is more."""
        ...

    def bury(self, partition: int, data: bytes, count: int, error: str, attempts: int, /) -> object:
        """Keep *count* records that were given up after *attempts* because of *error*."""

    def close(self) -> None:
        """Let go of it."""


class Storage(Protocol):
    """Where what is accepted waits."""

    @property
    def codec(self) -> Codec:
        """How items become bytes."""
        ...

    @property
    def keys(self) -> Keys:
        """How a Map's keys do."""
        ...

    def hash(self, key: Any, /) -> int:
        """Return the hash of *key*, the same in every process; raise `TypeError`."""
        ...

    def open(self, terms: Terms, /) -> Store:
        """
        Open the store, or make it; recover what is in it.

        Raises `StorageBusy` if somebody has it, `StorageRefused` if it was made for other terms,
        and `StorageError` if it cannot be opened.
        """
        ...
