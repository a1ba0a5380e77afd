"""
A shared Map's front that outlives the process: see `durable`, of which it is one.

The file has the writes as they were, one behind the other. So nothing is put over anything here,
and `get` says what the server has, once that has all of them.

    a write     length of the key (4 bytes), the key, and the record: see `abc.shared_map`
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ....abc import Codec, Store
from ....abc.shared_map import DELETE, HEAD, LENGTH, Tally
from ....errors import Undecodable
from ...backing.queue.records import QueuePiece
from ...backing.queue.table import StoredQueueTable
from ...backing.room import store_room
from ...options.settings import Settings
from ...tables.entry import Entry
from ...waiting.steps import Steps
from ...writes.line import Face
from ..map_cargo import MapCargo
from .durable import DurableAdmission, kept_in_front
from .map_routes import SharedMapRoutes, of_door
from .unsent import NONE, ONE, Unsent, Writes


class Ops:
    """How writes are kept in the file, for a Map of *codec*."""

    def __init__(self, codec: Codec) -> None:
        self.name = f"ops:{codec.name}"

    def encode(self, item: Unsent, /) -> bytes:
        """Return the record of a write."""
        key, record = item.op
        return LENGTH.pack(len(key)) + key + record

    def encode_all(self, items: Sequence[Unsent], /) -> list[bytes]:
        """Return the record of each."""
        return list(map(self.encode, items))

    def join(self, records: Sequence[bytes], /) -> bytes:
        """Return the data of a chunk of *records*."""
        return b"".join(LENGTH.pack(len(record)) + record for record in records)

    def pack(self, items: Sequence[Unsent], /) -> bytes:
        """Return the data of a chunk of *items*."""
        return self.join(self.encode_all(items))

    def split(self, data: bytes, /) -> list[bytes]:
        """Return the records of a chunk; raise `Undecodable`."""
        at = 0
        records: list[bytes] = []
        while at + LENGTH.size <= len(data):
            (length,) = LENGTH.unpack_from(data, at)
            at += LENGTH.size
            records.append(data[at : at + length])
            at += length
        if at != len(data):
            raise Undecodable("a chunk ends in the middle")
        return records

    def decode(self, data: bytes, count: int, /) -> list[Unsent]:
        """Return the writes of a chunk; raise `Undecodable`."""
        records = self.split(data)
        if len(records) != count:
            raise Undecodable(f"a chunk has {len(records)} records, and not {count}")
        return list(map(_unsent, records))

    def decode_each(self, data: bytes, count: int, /) -> "_Each":
        """Return which writes there are."""
        return _Each(list(enumerate(self.decode(data, count))), [])


class _Each(NamedTuple):
    items: list[tuple[int, Unsent]]
    failed: list[Any]


def _unsent(record: bytes) -> Unsent:
    (length,) = LENGTH.unpack_from(record)
    at = LENGTH.size + length
    key = record[LENGTH.size : at]
    mode, flags, version, updates, hashed = HEAD.unpack_from(record, at)
    tally = NONE if mode == DELETE else ONE
    data = record[at + HEAD.size :]
    return Unsent(mode, flags, version, updates, hashed, key, data, None, tally, (), [])


class MapFrontTable(StoredQueueTable):
    """What waits in the file."""

    def __init__(self, index: int, room: Any, cargo: MapCargo) -> None:
        super().__init__(index, room)
        self._cargo = cargo

    def stored(self, store: Store) -> Iterator[Any]:
        for unsent in super().stored(store):
            yield from self._cargo.items([unsent])


class DurableMapCargo(MapCargo):
    """What waits are writes, and no entries."""

    def records(self, batch: Sequence[Any], /) -> Sequence[Any]:
        """Return *batch*."""
        return batch

    def items(self, batch: Sequence[Any], /) -> list[Any]:
        """Return the entries that were put."""
        return super().items([Entry(unsent.place, unsent, 0, 0) for unsent in batch])

    def folded(self, _tables: Sequence[Any], held: int, /) -> Tally:
        """Return that each is a write of its own, deletes too."""
        return Tally(held)


class DurableMapAdmission(DurableAdmission):
    """Of one Map."""

    def __init__(self, settings: Settings, made: Settings, room: Any, face: Face) -> None:
        storage: Any = made.storage
        self.writes = Writes(storage.codec, made.merge)
        super().__init__(settings, made, room, face, DurableMapCargo(storage, made.merge))

    def accept(self, groups: Mapping[Any, Sequence[Unsent]]) -> Steps[None]:
        """Write to the tables that these are for."""
        return self.write(self._pieces(groups))

    def _of_door(self, door: Any, method: str, args: tuple[Any, ...]) -> list[QueuePiece]:
        """Return an entry, or that one is deleted, that came to *door*."""
        return self._pieces(of_door(door, method, args))

    def _pieces(self, groups: Mapping[Any, Sequence[Unsent]]) -> list[QueuePiece]:
        codec: Any = self.backing.storage.codec
        return [
            QueuePiece(table, codec.encode_all(group), [unsent.hash for unsent in group])
            for table, group in groups.items()
        ]


def durable_map_front(
    made: Settings, face: Face
) -> tuple[list[MapFrontTable], DurableMapAdmission, SharedMapRoutes]:
    """Make what a shared Map takes whose front is a storage, too."""
    storage: Any = made.storage
    inner = kept_in_front(made, Ops(storage.codec))
    room = store_room(inner)
    admission = DurableMapAdmission(inner, made, room, face)
    tables = [MapFrontTable(0, room, admission.sharing.cargo)]
    admission.ship_from(tables)
    return tables, admission, SharedMapRoutes(face, tables, admission)
