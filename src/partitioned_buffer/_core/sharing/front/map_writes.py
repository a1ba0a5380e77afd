"""
How entries get into a shared Map: encoded by the writer, and put over what waits for their key.

What is only to be in the front takes the short way: encode, and a table's own put. All else comes
by doors, as with a stored Map (see `backing.map.writes`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ....errors import InvalidOption
from ...options.settings import Settings
from ...tables.implementation import MapTable
from ...waiting.steps import Steps
from ...writes.admission import table_room
from ...writes.line import Face
from ...writes.map import MapPiece
from ..map_cargo import MapCargo
from .admission import FrontPiece, SharedAdmission
from .map_routes import SharedMapRoutes, of_door
from .records import Ticket
from .unsent import Unsent, Writes, put, weight_of_unsent
from .writes import refuse_drops


def shared_map(made: Settings, face: Face) -> tuple[list[Any], Any, Any]:
    """Make what a shared Map takes; raise `InvalidOption` for what it cannot do."""
    storage: Any = made.storage
    refuse_drops(made)
    if made.when_full == "drop_oldest":
        raise InvalidOption(
            "when_full='drop_oldest': expected 'block', 'raise' or 'drop_newest' for a shared Map, "
            "where what waits may come of many writes"
        )
    if storage.front is not None:
        from .map_durable import durable_map_front  # noqa: PLC0415  # few take it

        return durable_map_front(made, face)
    admission = SharedMapAdmission(made, table_room(made), face)
    tables = [admission.table()]
    admission.sharing.tables = tables
    return tables, admission, SharedMapRoutes(face, tables, admission)


class _MapFrontPiece(FrontPiece, MapPiece):
    """For a table of the front."""

    def one(self, op: Any, first: bool) -> int:
        return put(self.table, *op, first)


class SharedMapAdmission(SharedAdmission):
    """Of one Map whose writes are shared."""

    def __init__(self, settings: Settings, room: Any, face: Face) -> None:
        storage: Any = settings.storage
        self.writes = Writes(storage.codec, settings.merge)
        super().__init__(settings, room, face, MapCargo(storage, settings.merge))
        self.weigh = None if settings.max_bytes is None else weight_of_unsent

    def table(self) -> MapTable:
        """Return a table of the front."""
        return MapTable(self.room, self.writes.over, 0, self.weigh)

    def steps(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> Steps[None]:  # noqa: ARG002  # a door's
        """Write one entry, or delete one, that came to a door; or what its table did not take."""
        if getattr(table, "partition", None) is None:
            return self.write({table: [args[1]]})
        return self.accept(of_door(table, method, args))

    def accept(self, groups: Mapping[Any, Sequence[Unsent]]) -> Steps[None]:
        """Write to the tables that these are for."""
        return self.write(groups)

    def op(self, unsent: Unsent) -> tuple[bytes, Unsent, None, int]:
        """Return what a table of the front takes."""
        return unsent.place, unsent, None, 0 if self.weigh is None else self.weigh(unsent)

    def _piece(self, table: Any, group: Sequence[Any], ticket: Ticket | None) -> MapPiece:
        if ticket is not None:
            group = [unsent._replace(tickets=(ticket,)) for unsent in group]
        return _MapFrontPiece(self, table, list(map(self.op, group)), atomic=False)

    def relaid(self, tables: Sequence[Any], count: int) -> list[Any]:
        """Return *count* tables with what *tables* hold, which are closed and not used any more."""
        held = [entry.value for table in tables for entry in table.held()]
        if self.room is not None:
            self.room.reset()
        made = [self.table() for _ in range(count)]
        for unsent in held:
            table = made[self.sharing.lane_of(unsent.hash)]
            table.open(lambda: None, None)
            put(table, *self.op(unsent._replace(sent=[])), True)
            table.close()
        return made
