"""
Which table, and which partition, each key of a shared Map is of; how its writes are made.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ...tables.entry import check_version
from ...tables.implementation import MapTable
from ...waiting.steps import Steps
from ...writes.map import triples_of
from .map_reads import MapReads
from .unsent import Sent, Unsent, put
from .writes import replace_methods

_VERSIONS = range(-(1 << 63), 1 << 63)


def of_door(door: Any, method: str, args: tuple[Any, ...]) -> dict[MapTable, list[Unsent]]:
    """Return what a write that came to a *door* is to bring to which table."""
    routes, key, partition_key = door.partition
    if method == "delete":
        unsent: Unsent = routes.deleted(key, partition_key)
    else:
        unsent = routes.unsent(key, args[1], args[2], partition_key)
    return {routes.table_of(unsent.hash): [unsent]}


class SharedMapRoutes(MapReads):
    """Which table, and which partition, each key is of."""

    def __init__(self, writer: Any, tables: Sequence[Any], admission: Any) -> None:
        """Make *writer* ready to write single entries, and to read."""
        super().__init__(admission)
        self._admission, self._writer = admission, writer
        admission.sharing.relaid = self.lay
        # Once: which tables there are is known when the server is.
        writer._equip((MapTable(),), None, self._door_for, None, admission.late)
        self.read_by(writer)
        self.lay(tables)
        if self._storage.ack == "local" and self._storage.front is None:
            self._shorten()

    def lay(self, tables: Sequence[Any]) -> None:
        """Write to these *tables*, of a lane each."""
        self.tables = tables

    def _door_for(self, key: Any, partition_key: object) -> MapTable:
        door = MapTable()
        door.partition = self, key, partition_key
        return door

    def partition_of(self, key: Any, partition_key: object) -> int | None:
        """Return which partition *key* is of; None if none is known."""
        partition: int | None = self._sharing.partition_of(self._place(key, partition_key)[0])
        return partition

    # --- single entries ----------------------------------------------------------

    def _shorten(self) -> None:
        """Have single entries written without a door, unless a class has a way of its own."""
        writer, late = self._writer, self._admission.late

        def put_one(key: Any, value: Any, *, partition_key: object = None) -> None:
            if (missed := self._try_put(key, value, None, partition_key)) is not None:
                late(*missed)

        def put_newer(key: Any, value: Any, version: int, *, partition_key: object = None) -> None:
            missed = self._try_put(key, value, check_version(version), partition_key)
            if missed is not None:
                late(*missed)

        writer._try_put = self._try_put
        replace_methods(writer, {"put": put_one, "put_newer": put_newer})

    def _try_put(self, key: Any, value: Any, version: int | None, partition_key: object, /) -> Any:
        unsent = self.unsent(key, value, version, partition_key)
        tables, weigh = self.tables, self._admission.weigh
        table = tables[0] if len(tables) == 1 else self.table_of(unsent.hash)
        args = unsent.place, unsent, None, 0 if weigh is None else weigh(unsent)
        try:
            outcome = table.put(*args)
        except Sent:
            outcome = put(table, *args)
        return (table, outcome, "put", args) if outcome else None

    def unsent(self, key: Any, value: Any, version: int | None, partition_key: object) -> Unsent:
        """Return what a put brings."""
        hashed, data = self._place(key, partition_key)
        return self._made(hashed, data, self._storage.codec.encode(value), version)

    def _made(self, hashed: int, key: bytes, record: bytes, version: int | None) -> Unsent:
        if version is None:
            return self._writes.put(hashed, key, record)
        if self._merge is not None:
            raise TypeError(
                f"buffer {self._name!r}: expected put(): a shared Map with merge has no versions"
            )
        if version not in _VERSIONS:
            raise ValueError(f"version={version}: expected 64 bits at most, for a shared storage")
        return self._writes.put_newer(hashed, key, record, version)

    def deleted(self, key: Any, partition_key: object) -> Unsent:
        """Return what a delete brings."""
        return self._writes.delete(*self._place(key, partition_key))

    def delete(self, key: Any, partition_key: object) -> Steps[None]:
        """Return the steps that remove *key*."""
        unsent = self.deleted(key, partition_key)
        steps: Steps[None] = self._admission.accept({self.table_of(unsent.hash): [unsent]})
        return steps

    # --- many --------------------------------------------------------------------

    def put_all(
        self, entries: Iterable[Any], partition_key: object, *, versioned: bool = False
    ) -> Steps[None]:
        """Return the steps of `put_all` or, *versioned*, `put_all_newer`: they are checked."""
        ops = [*triples_of(entries, versioned=versioned)]
        records = self._storage.codec.encode_all([value for _, value, _ in ops])
        groups: dict[MapTable, list[Unsent]] = {} if ops else {self.tables[0]: []}
        for (key, _, version), record in zip(ops, records, strict=True):
            hashed, data = self._place(key, partition_key)
            unsent = self._made(hashed, data, record, version)
            groups.setdefault(self.table_of(hashed), []).append(unsent)
        steps: Steps[None] = self._admission.accept(groups)
        return steps
