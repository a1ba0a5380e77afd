"""
How items get into a stored Queue: encoded here, by the writer, and dealt out by a hash that is the
same in every process.

The writers (see `tables.writers`) know tables in memory alone. Theirs is a *door*: a table that is
always closed, so that each write comes here; it says for which stored table that is.
"""

from collections.abc import Awaitable, Sequence
from typing import Any

from ....errors import InvalidOption
from ...options.settings import Settings
from ...tables.implementation import QueueTable
from ...waiting.steps import Steps
from ...writes.line import Face
from ...writes.routing import by_content, deal_slots, slot_numbers
from ..admission import StoredAdmission
from ..room import store_room
from .hashes import NO_KEY, route_of_queue
from .records import QueuePiece
from .table import StoredQueueTable


def stored_queue(
    made: Settings, face: Face
) -> tuple[list[StoredQueueTable], StoredAdmission, "StoredQueueRoutes"]:
    """Make what a stored Queue takes; raise `InvalidOption` for what it cannot do."""
    refuse_by_content(made)
    room = store_room(made)
    tables = [StoredQueueTable(index, room) for index in range(made.partitions or 1)]
    admission = QueueAdmission(made, room, face)
    backing = admission.backing
    backing.tables, backing.kind = tables, "Queue"
    backing.route = route_of_queue(made.storage.codec, slot_numbers)  # type: ignore[union-attr]
    return tables, admission, StoredQueueRoutes(face, tables, admission)


class QueueAdmission(StoredAdmission):
    """Of a Queue."""

    def late(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> None:  # noqa: ARG002  # a door's
        """Write one item, in this very thread if nobody is in the way."""
        pieces = self._of_door(table, method, args)
        if not self.lead(pieces):
            self.face._go(self.submit(pieces))

    def awaited(
        self,
        table: Any,
        outcome: int,  # noqa: ARG002  # a door's
        method: str,
        args: tuple[Any, ...],
    ) -> Awaitable[None]:
        """Write one item."""
        return self.submitted(self._of_door(table, method, args))

    def _of_door(self, door: Any, method: str, args: tuple[Any, ...]) -> list[QueuePiece]:  # noqa: ARG002  # a Map has two
        """Return what came to *door*, encoded."""
        stored, hashed = door.partition
        return [QueuePiece(stored, (self.backing.storage.codec.encode(args[0]),), (hashed,))]


class StoredQueueRoutes:
    """Which table each item is for."""

    def __init__(
        self, writer: Any, tables: Sequence[StoredQueueTable], admission: StoredAdmission
    ) -> None:
        """Make *writer* ready to write single items, too."""
        self.tables, self._admission = tables, admission
        self._key = admission.settings.partition_key
        self._slots, self._place = deal_slots(tables), 0
        self._storage = admission.backing.storage
        doors = tuple(door(table, NO_KEY) for table in tables)
        ways = self._door_for, None, admission.late, writer._push_all
        writer._equip(doors, self._key is None, *ways)

    def _door_for(self, item: Any, partition_key: object) -> QueueTable:
        return door(*self._place_of(item, partition_key))

    def _place_of(self, item: Any, partition_key: object) -> tuple[StoredQueueTable, int]:
        """Return the table of *item*, and the hash of its key."""
        key = self._key if partition_key is None else partition_key
        if key is None:
            return self._next(), NO_KEY
        hashed = key_hash(self._storage, key, item)
        return self._slots[hashed % len(self._slots)], hashed

    def _next(self) -> StoredQueueTable:
        place = self._place
        self._place = (place + 1) % len(self.tables)
        return self.tables[place]

    def partition_of(self, item: Any, partition_key: object) -> int | None:
        """Return which partition *item* would go to; None if they take turns."""
        if partition_key is None and self._key is None:
            return None
        return self._place_of(item, partition_key)[0].index

    def push_all(self, batch: list[Any], partition_key: object) -> Steps[None]:
        """Return the steps that write *batch*."""
        codec, admission = self._storage.codec, self._admission
        if not batch:
            return admission.write([])
        if partition_key is None and self._key is None:
            table, hashes = self._next(), [NO_KEY] * len(batch)
            if admission.room is None and len(batch) > 1:
                return admission.write([QueuePiece(table, (), hashes, codec.pack(batch))])
            return admission.write([QueuePiece(table, codec.encode_all(batch), hashes)])
        groups: dict[StoredQueueTable, tuple[list[bytes], list[int]]] = {}
        for item, record in zip(batch, codec.encode_all(batch), strict=True):
            table, hashed = self._place_of(item, partition_key)
            records, hashes = groups.setdefault(table, ([], []))
            records.append(record)
            hashes.append(hashed)
        return admission.write([QueuePiece(table, *group) for table, group in groups.items()])


def refuse_by_content(made: Settings) -> None:
    """Raise `InvalidOption` for a partition key that is another one in each process."""
    if made.partition_key is by_content:
        raise InvalidOption(
            "partition_key=by_content: expected a function that returns text, bytes, numbers, or "
            "tuples of these, for hashes of Python's own differ from process to process"
        )


def key_hash(storage: Any, key: Any, item: Any) -> int:
    """Return the hash of an item's partition key, the same in every process."""
    hashed: int = storage.hash(key(item) if callable(key) else key)
    return hashed


def door(table: Any, hashed: int) -> QueueTable:
    """Return a closed table that says what is to be written to which table."""
    made = QueueTable()
    made.partition = table, hashed
    return made
