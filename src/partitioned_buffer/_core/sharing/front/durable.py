"""
A front that outlives the process: a stored Queue's tables, whose records are brought to the server.

The file remembers what was accepted, and up to where it was settled, which here is: brought there.
What was in hand at a crash is brought again. Its marks are its positions in the file, and the
producer's name is the file's, so the server knows what it has had.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ....abc import Chunk, Codec, Store
from ....errors import InvalidOption, Undecodable
from ...backing.partition import StoredPartition
from ...backing.queue.hashes import NO_KEY, hashes_of, route_of_queue
from ...backing.queue.part import Part
from ...backing.queue.records import Records
from ...backing.queue.table import StoredQueueTable
from ...backing.queue.writes import QueueAdmission, StoredQueueRoutes
from ...backing.room import store_room
from ...options.settings import Settings
from ...writes.line import Face
from ...writes.routing import slot_numbers
from ..cargo import Cargo, QueueCargo
from ..sharing import Sharing
from .lane import Front
from .records import items_of


class Undecoded:
    """A codec by which items become bytes, and stay that: as in any other file, but not read."""

    def __init__(self, codec: Codec) -> None:
        self.name = codec.name
        self.encode, self.encode_all = codec.encode, codec.encode_all
        self.join, self.pack, self.split = codec.join, codec.pack, codec.split
        self.real = codec

    def decode(self, data: bytes, count: int, /) -> list[Any]:
        """Return the records of a chunk."""
        records = self.split(data)
        if len(records) != count:
            raise Undecodable(f"a chunk has {len(records)} records, and not {count}")
        return records

    def decode_each(self, data: bytes, count: int, /) -> Any:
        """Return which records there are."""
        return self.real.decode_each(data, count)


class FrontRecords(Records):
    """Records with the hashes of their keys: what a shipper takes."""

    def of(self, chunk: Chunk, position: int, *, keep: bool = True) -> Part:
        hashes, start = hashes_of(chunk.data or b"\0"), chunk.start
        records, places, weights = super().of(chunk, position, keep=keep)
        items = [
            (hashes[at - start] if hashes else NO_KEY, record, None)
            for at, record in zip(places, records, strict=True)
        ]
        return Part(items, places, weights)


class FrontTable(StoredQueueTable):
    """What waits in the file."""

    kind_of_records = FrontRecords

    def stored(self, store: Store) -> Iterator[Any]:
        codec: Any = store.codec
        for record in super().stored(store):
            yield from items_of(codec.real, [record])


class DurableFront(Front, StoredPartition):
    """Of all lanes: a file has one order."""

    def __init__(
        self, index: int, table: Any, settings: Settings, sharing: Sharing, **also: Any
    ) -> None:
        self._prepare(sharing)
        super().__init__(index, table, self.settings_of_front(index, settings), **also)


class DurableAdmission(QueueAdmission):
    """What admits to such a front, with its way to the server."""

    kind_of_partition = DurableFront

    def __init__(
        self, settings: Settings, made: Settings, room: Any, face: Face, cargo: Cargo
    ) -> None:
        super().__init__(settings, room, face)
        self.sharing = Sharing(made, face, cargo)
        self.stores = (self.backing, self.sharing)

    def ship_from(self, tables: Sequence[StoredQueueTable]) -> None:
        """Have what *tables* hold brought to the server."""
        backing, storage = self.backing, self.settings.storage
        self.sharing.tables, self.sharing.source = tables, tables[0]
        backing.tables, backing.kind = tables, "Queue"
        backing.route = route_of_queue(storage.codec, slot_numbers)  # type: ignore[union-attr]

    def reset(self) -> None:
        super().reset()
        self.sharing.forked()


class DurableRoutes(StoredQueueRoutes):
    """Which records are for which partition is said where they are brought."""

    sharing: Sharing

    def partition_of(self, item: Any, partition_key: object) -> int | None:
        """Return which partition of the server *item* would go to."""
        _, hashed = self._place_of(item, partition_key)
        return self.sharing.partition_of(hashed)


def kept_in_front(made: Settings, codec: Any) -> Settings:
    """Return the settings of the front, which keeps what *codec* says; raise `InvalidOption`."""
    storage: Any = made.storage
    if storage.ack != "local":
        raise InvalidOption(
            f"ack={storage.ack!r}: expected 'local' with a front that is stored: a write returns "
            "when it is there"
        )
    kept = copy.copy(storage.front)
    kept.codec = codec
    return replace(made, storage=kept, partitions=1)


def durable_front(
    made: Settings, face: Face
) -> tuple[list[FrontTable], DurableAdmission, DurableRoutes]:
    """Make what a shared Queue takes whose front is a storage, too."""
    storage: Any = made.storage
    inner = kept_in_front(made, Undecoded(storage.codec))
    room = store_room(inner)
    tables = [FrontTable(0, room)]
    admission = DurableAdmission(inner, made, room, face, QueueCargo(storage))
    admission.ship_from(tables)
    routes = DurableRoutes(face, tables, admission)
    routes.sharing = admission.sharing
    return tables, admission, routes
