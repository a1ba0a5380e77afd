"""
Writes to a shared buffer: encoded by the writer, taken in by the front, and, if they are to be on
the server first, waited for.

A writer that gives up waiting, is interrupted or cancelled, has written: its record is in line.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ....errors import BufferNotRunning
from ...backing.queue.hashes import NO_KEY
from ...options.settings import Settings
from ...tables.implementation import QueueTable, Room
from ...tables.step import CLOSED
from ...waiting.steps import MustNotWait, Pause, Steps
from ...writes.admission import Admission
from ...writes.line import Face
from ...writes.queue import QueuePiece
from ...writes.together import Piece, write
from ..cargo import Cargo, QueueCargo
from ..sharing import Sharing
from .lane import FrontPartition
from .records import Record, Ticket, weight_of


class FrontPiece(Piece):
    """For a table of the front; which there may be others instead of by now."""

    def __init__(self, admission: "SharedAdmission", *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._admission = admission

    def write(self, end: int, first: bool) -> int:
        outcome = super().write(end, first)
        if outcome == CLOSED and all(t is not self.table for t in self._admission.sharing.tables):
            name = self._admission.settings.name
            raise BufferNotRunning(f"buffer {name!r} had not been started when this write began")
        return outcome


class _QueueFrontPiece(FrontPiece, QueuePiece):
    """For a Queue's."""


class SharedAdmission(Admission):
    """Of one buffer whose writes are shared."""

    kind_of_partition = FrontPartition

    def __init__(
        self, settings: Settings, room: Room | None, face: Face, cargo: Cargo | None = None
    ) -> None:
        super().__init__(settings, room, face)
        storage: Any = settings.storage
        self.weigh: Callable[[Any], int] | None = None if settings.max_bytes is None else weight_of
        self.sharing: Sharing = Sharing(settings, face, cargo or QueueCargo(storage))
        self.stores = (self.sharing,)
        self._acknowledged = storage.ack != "local"
        self._timeout: float | None = storage.ack_timeout

    def steps(self, table: Any, outcome: int, method: str, args: tuple[Any, ...]) -> Steps[None]:  # noqa: ARG002  # a door's
        """Write one item, that came to a door; or a record, that its table did not take."""
        if getattr(table, "partition", None) is None:
            record, hashed = args[0], NO_KEY
            if isinstance(record, tuple):
                hashed, record, _ = record
            return self.write({table: [(hashed, record)]})
        real, hashed = table.partition
        return self._write_one(real, hashed, self.sharing.storage.codec.encode(args[0]))

    def _write_one(self, table: Any, hashed: int, record: bytes) -> Steps[None]:
        """Write one record: in a few steps, if there is room for it at once."""
        ticket = None
        if self._acknowledged and self.sharing.store is not None:
            ticket = Ticket(self.face._signal(), 1)
        try:
            one = hashed, record, ticket
            written = (ticket is not None or not self._acknowledged) and not table.push(
                one, 0 if self.weigh is None else self.weigh(one)
            )
            if written and ticket is not None:
                yield from self._acknowledgement(ticket)
        finally:
            if ticket is not None:
                ticket.signal.close()
        if not written:
            yield from self.write({table: [(hashed, record)]})

    def write(self, groups: Mapping[Any, Sequence[Any]]) -> Steps[None]:
        """Write records, each with its hash, to the tables that they are for."""
        ticket = None
        if self._acknowledged and groups:
            if (error := self.face._refused()) is not None:
                raise error  # a task that waits has a loop, then
            count = sum(map(len, groups.values()))
            ticket = Ticket(self.face._signal(), count)
        try:
            pieces = [self._piece(table, group, ticket) for table, group in groups.items()]
            yield from write(self, pieces)
            if ticket is not None:
                yield from self._acknowledgement(ticket)
        finally:
            if ticket is not None:
                ticket.signal.close()

    def _piece(self, table: Any, group: Sequence[Any], ticket: Ticket | None) -> Piece:
        plain = ticket is None
        records: list[Record] = [
            record if plain and hashed == NO_KEY else (hashed, record, ticket)
            for hashed, record in group
        ]
        weigh = self.weigh
        ops = records if weigh is None else [(record, weigh(record)) for record in records]
        return _QueueFrontPiece(self, table, ops, weighed=weigh is not None)

    def _acknowledgement(self, ticket: Ticket) -> Steps[None]:
        now = self.settings.clock.monotonic()
        deadline = None if self._timeout is None else now + self._timeout
        try:
            self.sharing.waiting[id(ticket)] = ticket.signal
            yield from self._until_done(ticket, deadline)
        finally:
            self.sharing.waiting.pop(id(ticket), None)

    def _until_done(self, ticket: Ticket, deadline: float | None) -> Steps[None]:
        clock = self.settings.clock
        while not ticket.done:
            if self.sharing.is_over:
                raise BufferNotRunning(
                    f"buffer {self.settings.name!r} was stopped before the server had this: it "
                    "was accepted, and is among what the stop has left"
                )
            left = None if deadline is None else deadline - clock.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(self._not_yet())
            try:
                yield Pause(ticket.signal, left)
            except MustNotWait:
                raise TimeoutError(self._not_yet()) from None

    def _not_yet(self) -> str:
        trouble = self.sharing.trouble
        why = "" if trouble is None else f": {trouble}"
        return (
            f"buffer {self.settings.name!r}: the server did not have this within {self._timeout} "
            f"seconds; it is in line, and will still go there{why}"
        )

    def relaid(self, tables: Sequence[Any], count: int) -> list[Any]:
        """Return *count* tables with what *tables* hold, which are closed and not used any more."""
        held = [record for table in tables for record in table.held()]
        if self.room is not None:
            self.room.reset()
        made = [QueueTable(self.room) for _ in range(count)]
        for record in held:
            lane = 0 if type(record) is bytes else self.sharing.lane_of(record[0])
            weight = 0 if self.weigh is None else self.weigh(record)
            made[lane].open(lambda: None, None)
            made[lane].push(record, weight, True)
            made[lane].close()
        return made

    def _why_full(self) -> str:
        trouble = self.sharing.trouble
        return "its server takes less than its writers bring" if trouble is None else str(trouble)

    def reset(self) -> None:
        super().reset()
        self.sharing.forked()
