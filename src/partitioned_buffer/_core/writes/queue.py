"""
How items get into a Queue: many at once. Single ones are the writers' (see `tables.writers`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ..tables.entry import Key
from ..tables.implementation import QueueTable
from ..waiting.steps import Steps
from .admission import Admission
from .routing import Routes
from .together import Piece, write

T = TypeVar("T")


class QueuePiece(Piece):
    """Items for one table; *weighed* ones as pairs of item and weight."""

    table: QueueTable

    def __init__(self, table: QueueTable, ops: Sequence[Any], *, weighed: bool) -> None:
        super().__init__(table, ops)
        self.weighed = weighed

    def one(self, op: Any, first: bool) -> int:
        item, weight = op if self.weighed else (op, 0)
        return self.table.push(item, weight, first)  # which may drop it, or another

    def many(self, ops: Any, first: bool) -> int:
        if not self.weighed:
            return self.table.push_all(ops, None, first)
        return self.table.push_all([item for item, _ in ops], [load for _, load in ops], first)

    def needs(self, end: int) -> tuple[int, int]:
        ops = self.ops[self.done : end]
        return len(ops), sum(load for _, load in ops) if self.weighed else 0


class QueueRoutes(Routes[T, QueueTable]):
    """Which table each item of many is for."""

    def __init__(self, writer: Any, tables: Sequence[QueueTable], admission: Admission) -> None:
        """Make *writer* ready to write single items, too."""
        super().__init__(tables, admission, admission.settings.partition_key)
        in_turn = self.route(None) is None
        ways = self.table_for, admission.weigh, admission.late, writer._push_all
        writer._equip(tuple(tables), in_turn, *ways)

    def oldest(self) -> list[T]:
        """Return what each table has held longest, of those that hold anything."""
        return [held[0] for table in self.tables if (held := table.held())]

    def push_all(self, items: list[T], partition_key: object) -> Steps[None]:
        """Return the steps that write *items*, which may be the caller's own list."""
        batch, weigh, route = items.copy(), self.admission.weigh, self.route(partition_key)
        ops = batch if weigh is None else [(item, weigh(item)) for item in batch]
        groups: dict[QueueTable, list[Any]] = {}
        if route is None or not ops:
            groups[self.tables[0] if route else self.next()] = ops
        else:
            for item, op in zip(batch, ops, strict=True):
                groups.setdefault(route(item), []).append(op)
        pieces = [QueuePiece(at, group, weighed=weigh is not None) for at, group in groups.items()]
        return write(self.admission, pieces)


def listed(items: Iterable[T]) -> list[T]:
    """
    Return *items* in a list, which may be the very one given.

    Raises `TypeError` for what can be iterated over and is hardly meant so: text and bytes, a
    mapping, whose keys that would be, and a frame of data, whose columns' names.
    """
    if type(items) is list:
        return items
    kind = type(items).__name__
    if isinstance(items, str | bytes | bytearray):
        raise TypeError(
            f"push_all() got one {kind}: expected an iterable of items; push() takes a single one"
        )
    if isinstance(items, Mapping):
        raise TypeError(
            f"push_all() got one {kind}, of which it would push the keys alone: expected an "
            "iterable of items; push() takes a single one, and push_all(....items()) the pairs"
        )
    if _is_frame(items):
        raise TypeError(
            f"push_all() got a {kind}, of which it would push the columns, or their names: "
            "expected an iterable of items, as to_dict('records') of pandas, to_dicts() of polars "
            "or to_pylist() of pyarrow make one of its rows"
        )
    return list(items)


def _is_frame(items: object) -> bool:
    # By what pandas, polars, pyarrow and others have agreed on; and by what the first two have.
    return any(
        all(hasattr(items, name) for name in names)
        for names in (("__dataframe__",), ("columns", "dtypes"))
    )


class ManyItems(Generic[T]):
    """Many items at once, where a `QueueWriter` has not written them."""

    _go: Any  # the buffer's
    _routes: QueueRoutes[T]
    _push_list: Any  # the writer's

    def _push_all(self, items: Iterable[T], partition_key: Key[T]) -> None:
        batch = listed(items)
        was_tried = batch is items
        if partition_key is not None or was_tried or not self._push_list(batch):
            self._go(self._routes.push_all(batch, partition_key))
