"""
How entries get into a stored Map, and how they are read: see `queue/writes`.

What lands is what comes back from its bytes, as after a crash.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ....abc import Store
from ....errors import InvalidOption
from ...options.settings import Settings
from ...tables.implementation import MapTable
from ...waiting.steps import Steps
from ...writes.line import Face
from ...writes.map import triples_of
from ...writes.routing import deal_slots, slot_numbers
from ..admission import StoredAdmission
from ..room import store_room
from .log import DELETE, NEWER, PUT, route
from .snapshot import compacted
from .stored import BackedMapTable, MapPiece, hash_of, snapshot_chunks


def stored_map(
    made: Settings, face: Face
) -> tuple[list[BackedMapTable], StoredAdmission, "StoredMapRoutes"]:
    """Make what a stored Map takes; raise `InvalidOption` for what it cannot do."""
    if made.when_full == "drop_oldest":
        raise InvalidOption(
            "when_full='drop_oldest': expected 'block', 'raise' or 'drop_newest' for a stored Map, "
            "which drops nothing that is on the disk"
        )
    room = store_room(made)
    tables = [BackedMapTable(index, made, room) for index in range(made.partitions or 1)]
    admission = MapAdmission(made, room, face)
    backing, codec = admission.backing, admission.backing.storage.codec
    backing.tables, backing.kind = tables, "Map"

    def route_ops(data: bytes, places: Sequence[int], count: int) -> Mapping[int, Any]:
        return route(data, places, count, _slot_of, codec)

    backing.route = route_ops
    backing.prepare = partial(_compact_all, made)
    return tables, admission, StoredMapRoutes(face, tables, admission)


def _slot_of(hashed: int, partitions: int) -> int:
    slots = slot_numbers(partitions)
    return slots[hashed % len(slots)]


def _compact_all(made: Settings, store: Store, partitions: int) -> None:
    """Write each partition anew as a snapshot: its ops refer to positions, which will change."""
    for index in range(partitions):
        replayed = BackedMapTable(index, made, None)._replayed(store)
        store.replace(index, snapshot_chunks(compacted(replayed), made.storage, made))  # type: ignore[arg-type]


class MapAdmission(StoredAdmission):
    """Of a Map."""

    def steps(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> Steps[None]:  # noqa: ARG002  # a door's
        """Write one entry, or delete one."""
        stored, hashed, key = table.partition
        keys, codec = self.backing.storage.keys.encode(key), self.backing.storage.codec
        if method == "delete":
            op, landing = (DELETE, hashed, keys, None, None, 0), (DELETE, key, None, None, 0)
        else:
            _, value, version, _ = args
            op, landing = _put(codec, (hashed, key, keys), codec.encode(value), version)
        return self.write([MapPiece(stored, [op], [landing])])


def _put(codec: Any, key: tuple[int, Any, bytes], record: bytes, version: Any) -> tuple[Any, Any]:
    """Return the op and the landing of a put; *key*: its hash, itself, its bytes."""
    (back,), (hashed, itself, data) = codec.decode(codec.join([record]), 1), key
    kind = PUT if version is None else NEWER
    return (kind, hashed, data, record, version, 0), (kind, itself, back, version, len(record))


class StoredMapRoutes:
    """Which table each key is of."""

    def __init__(
        self, writer: Any, tables: Sequence[BackedMapTable], admission: StoredAdmission
    ) -> None:
        """Make *writer* ready to write single entries, and to read."""
        self.tables, self._admission = tables, admission
        self._made, self._storage = admission.settings, admission.backing.storage
        self._slots = deal_slots(tables)
        doors = tuple(MapTable() for _ in tables)
        writer._equip(doors, None, self._door_for, None, admission.late)
        writer.get = self._get

    def _door_for(self, key: Any, partition_key: object) -> MapTable:
        door = MapTable()
        door.partition = (*self._place_of(key, partition_key), key)
        return door

    def _place_of(self, key: Any, partition_key: object) -> tuple[BackedMapTable, int]:
        hash(key)  # whatever decides the partition, a key has to be hashable
        hashed = hash_of(self._storage, self._made, key, partition_key)
        return self._slots[hashed % len(self._slots)], hashed

    def partition_of(self, key: Any, partition_key: object) -> int:
        """Return which partition *key* is of."""
        return self._place_of(key, partition_key)[0].index

    # --- reading ---------------------------------------------------------------

    def _get(self, key: Any, default: Any = None, *, partition_key: Any = None) -> Any:
        return self._place_of(key, partition_key)[0].get(key, default)

    def has(self, key: Any) -> bool:
        """Return whether `get` finds *key*."""
        return self._place_of(key, None)[0].has(key)

    def held(self) -> list[tuple[Any, Any]]:
        """Return the keys that are held, oldest first, each with what `get` returns."""
        missing = object()
        pairs: list[tuple[Any, Any]] = []
        for table in self.tables:
            keys = dict.fromkeys(entry.key for entry in table.held())
            values = ((key, table.get(key, missing)) for key in keys)
            pairs += [(key, value) for key, value in values if value is not missing]
        return pairs

    # --- writing many ----------------------------------------------------------

    def delete(self, key: Any, partition_key: object) -> Steps[None]:
        """Return the steps that remove *key*."""
        return self._admission.steps(self._door_for(key, partition_key), 0, "delete", (key,))

    def put_all(
        self, entries: Iterable[Any], partition_key: object, *, versioned: bool = False
    ) -> Steps[None]:
        """Return the steps of `put_all` or, *versioned*, `put_all_newer`: they are checked."""
        ops = [*triples_of(entries, versioned=versioned)]
        codec, keys = self._storage.codec, self._storage.keys
        records = codec.encode_all([value for _, value, _ in ops])
        groups: dict[BackedMapTable, tuple[list[Any], list[Any]]] = {}
        for (key, _, version), record in zip(ops, records, strict=True):
            table, hashed = self._place_of(key, partition_key)
            op, landing = _put(codec, (hashed, key, keys.encode(key)), record, version)
            group = groups.setdefault(table, ([], []))
            group[0].append(op)
            group[1].append(landing)
        return self._admission.write([MapPiece(table, *group) for table, group in groups.items()])
