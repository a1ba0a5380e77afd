"""
How items get into a shared Queue: encoded here, by the writer, and dealt out by a hash that is the
same in every process.

What is only to be in the front takes the short way: encode, and a table's own push. All else comes
by doors, as with a stored Queue (see `backing.queue.writes`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from ....errors import InvalidOption
from ...backing.queue.hashes import NO_KEY
from ...backing.queue.writes import door, key_hash, refuse_by_content
from ...options.settings import Settings
from ...tables.implementation import (
    AsyncMapWriter,
    AsyncQueueWriter,
    MapWriter,
    QueueTable,
    QueueWriter,
)
from ...waiting.steps import Steps
from ...writes.admission import Admission, table_room
from ...writes.line import Face
from .admission import SharedAdmission

TryPush = Callable[[Any, object], Any]


def shared_queue(made: Settings, face: Face) -> tuple[list[Any], Admission, Any]:
    """Make what a shared Queue takes; raise `InvalidOption` for what it cannot do."""
    storage: Any = made.storage
    refuse_by_content(made)
    refuse_drops(made)
    if storage.front is not None:
        from .durable import durable_front  # noqa: PLC0415  # few take it

        return durable_front(made, face)
    room = table_room(made)
    tables = [QueueTable(room)]
    admission = SharedAdmission(made, room, face)
    admission.sharing.tables = tables
    return tables, admission, SharedQueueRoutes(face, tables, admission)


def refuse_drops(made: Settings) -> None:
    """Raise `InvalidOption` where what is waited for may be dropped."""
    storage: Any = made.storage
    if made.when_full.startswith("drop") and storage.ack != "local":
        raise InvalidOption(
            f"when_full={made.when_full!r}: expected a storage with ack='local' with it: nobody "
            "can wait for the server to have what may be dropped before"
        )


class SharedQueueRoutes:
    """Which table, and which partition, each item is for."""

    def __init__(
        self, writer: Any, tables: Sequence[QueueTable], admission: SharedAdmission
    ) -> None:
        """Make *writer* ready to write single items, too."""
        self._writer, self._admission = writer, admission
        self._key = admission.settings.partition_key
        self._sharing = admission.sharing
        self._storage, self._turn = admission.sharing.storage, 0
        self._sharing.relaid = self.lay
        # Once, and with nothing in turn: which tables there are is known when the server is.
        closed = (door(tables[0], NO_KEY),)
        writer._equip(closed, False, self._door_for, None, admission.late, writer._push_all)
        self.lay(tables)

    def lay(self, tables: Sequence[QueueTable]) -> None:
        """Write to these *tables*, of a lane each."""
        self.tables, writer, admission = tables, self._writer, self._admission
        if self._storage.ack == "local":
            _shorten(writer, self._quick(tables), admission.late)

    def _quick(self, tables: Sequence[QueueTable]) -> TryPush:
        """Return what writes an item to the front, or says what could not be written."""
        inner, encode, weigh = (
            QueueWriter[bytes](),
            self._storage.codec.encode,
            self._admission.weigh,
        )
        inner._equip(tuple(tables), True, None, weigh, self._admission.late)
        try_plain, in_turn, place_of = inner._try_push, self._key is None, self._place_of

        def try_push(item: Any, partition_key: object, /) -> Any:
            if in_turn and partition_key is None:
                return try_plain(encode(item), None)
            table, hashed = place_of(item, partition_key)
            record = hashed, encode(item), None
            args = record, 0 if weigh is None else weigh(record)
            outcome = table.push(*args)
            return (table, outcome, "push", args) if outcome else None

        return try_push

    def _door_for(self, item: Any, partition_key: object) -> QueueTable:
        return door(*self._place_of(item, partition_key))

    def _place_of(self, item: Any, partition_key: object) -> tuple[QueueTable, int]:
        """Return the table of *item*, and the hash of its key."""
        hashed = self._hash(item, partition_key)
        if hashed == NO_KEY:
            return self.tables[self._next() % len(self.tables)], NO_KEY
        return self._table_of(hashed), hashed

    def _hash(self, item: Any, partition_key: object) -> int:
        key = self._key if partition_key is None else partition_key
        return NO_KEY if key is None else key_hash(self._storage, key, item)

    def _table_of(self, hashed: int) -> QueueTable:
        return (
            self.tables[self._sharing.lane_of(hashed)] if len(self.tables) > 1 else self.tables[0]
        )

    def _next(self) -> int:
        self._turn += 1
        return self._turn

    def partition_of(self, item: Any, partition_key: object) -> int | None:
        """Return which partition *item* would go to; None if they take turns, or none is known."""
        return self._sharing.partition_of(self._hash(item, partition_key))

    def push_all(self, batch: list[Any], partition_key: object) -> Steps[None]:
        """Return the steps that write *batch*: without a key, together to one partition."""
        records = self._storage.codec.encode_all(batch)
        if partition_key is None and self._key is None:
            together = self._next()
            hashes = [together] * len(batch)
        else:
            hashes = [self._hash(item, partition_key) for item in batch]
        groups: dict[QueueTable, list[tuple[int, bytes]]] = {} if batch else {self.tables[0]: []}
        for hashed, record in zip(hashes, records, strict=True):
            groups.setdefault(self._table_of(hashed), []).append((hashed, record))
        return self._admission.write(groups)


_WRITERS: tuple[type, ...] = (QueueWriter, AsyncQueueWriter, MapWriter, AsyncMapWriter)


def _shorten(writer: Any, try_push: TryPush, late: Callable[..., None]) -> None:
    """Have *writer* write single items by *try_push*, unless its class has a way of its own."""

    def push(item: Any, *, partition_key: object = None) -> None:
        if (missed := try_push(item, partition_key)) is not None:
            late(*missed)

    writer._try_push = try_push
    replace_methods(writer, {"push": push})


def replace_methods(writer: Any, methods: Mapping[str, Callable[..., None]]) -> None:
    """Have *writer* do these itself, `_nowait` or not, unless its class has a way of its own."""
    kind = type(writer)
    for plain, method in methods.items():
        name = f"{plain}_nowait" if hasattr(kind, f"{plain}_nowait") else plain
        if any(vars(each).get(name) is getattr(kind, name) for each in _WRITERS):
            setattr(writer, name, wraps(getattr(kind, name))(method))
