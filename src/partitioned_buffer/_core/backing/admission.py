"""
Writes to a stored buffer: encoded by the writer, given room, committed, and only then accepted.

    encode ─► room, or the line for it ─► submit ─► wait for the commit ─► returned: it is there

A writer that is interrupted, or cancelled, before its write was begun has written nothing; one in
the middle of a commit has written, whatever it raises.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from ...errors import WrongThread
from ..options.settings import Settings
from ..tables.step import CLOSED, FULL, MADE
from ..waiting.steps import Pause, Steps, drive
from ..writes.admission import Admission
from ..writes.line import Face
from .backing import Backing
from .committer import Ticket
from .leading import Led
from .partition import StoredPartition
from .room import StoreRoom

DROPPED: Final = -1
"""The outcome of a write that gave way, and is counted."""


class Piece(Protocol):
    """What a write brings to one table."""

    @property
    def table(self) -> Any:
        """Where it goes."""

    @property
    def error(self) -> BaseException | None:
        """What went wrong with it where it landed."""

    def load(self) -> tuple[int, int]:
        """Return how many items and bytes that is."""
        ...

    def replaces(self) -> bool:
        """Return whether it only writes over what waits."""
        ...

    def go_without_room(self, without: bool, /) -> None:
        """Have been let in for that, or not."""

    def singles(self) -> "Sequence[Piece]":
        """Return the same item by item."""
        ...


class StoredAdmission(Admission):
    """Of one buffer whose writes are stored."""

    kind_of_partition: Any = StoredPartition
    room: StoreRoom | None  # type: ignore[assignment]  # it is asked for the same, and the line's

    def __init__(self, settings: Settings, room: StoreRoom | None, face: Face) -> None:
        super().__init__(settings, room, face)  # type: ignore[arg-type]  # as said
        self.weigh = None  # what is stored weighs as many bytes as it takes
        self.backing = Backing(settings, room)
        self.stores = (self.backing,)

    def write(self, pieces: Sequence[Piece]) -> Steps[None]:
        """Write *pieces*: in one commit, if they can fit; what drops does so one by one."""
        if not self.lead(pieces):
            yield from self.submit(pieces)

    def lead(self, pieces: Sequence[Piece]) -> bool:
        """Commit *pieces* in this very thread, if nobody is in the way; say whether it is done."""
        committer, room = self.backing.committer, self.room
        if committer is None or not pieces or not self.face._supervisor.blocks:
            return False
        led = Led(pieces)
        if room is None:
            return committer.lead(led)
        led.size, led.weight = _load(pieces)
        try:
            fits = room.fits(led.size, led.weight) and room.take(led)
            return fits and committer.lead(led)
        finally:
            if not led.is_begun:
                room.leave(led)

    def submit(self, pieces: Sequence[Piece]) -> Steps[None]:
        """Write *pieces*, and have the committer do it."""
        self._forbid_committer()
        ticket = self._quick(pieces)
        if ticket is not None:
            try:
                while ticket.outcome is None:
                    yield Pause(ticket.signal, None)
            finally:
                self._let_go(ticket)
        yield from self._told(ticket, pieces)

    async def submitted(self, pieces: Sequence[Piece]) -> None:
        """Do as `submit`, in a task: without a frame of a generator for each of a thousand."""
        ticket = self._quick(pieces)
        if ticket is not None:
            signal = ticket.signal
            try:
                while ticket.outcome is None:
                    await signal.wait(None)
            finally:
                self._let_go(ticket)
            if ticket.outcome == MADE:
                return _raise_what_went_wrong(pieces)
        return await drive(self._told(ticket, pieces))

    def _told(self, ticket: Ticket | None, pieces: Sequence[Piece]) -> Steps[None]:
        """Return, or raise, what became of *ticket*; write *pieces* by parts if that is nothing."""
        if ticket is not None:
            if ticket.error is not None:
                raise ticket.error
            if ticket.outcome == MADE:
                return _raise_what_went_wrong(pieces)
            for piece in pieces:
                piece.go_without_room(False)
        yield from self._write_parts(pieces)

    def _quick(self, pieces: Sequence[Piece]) -> Ticket | None:
        """Submit *pieces* if there is room at once; most often there is."""
        committer, room = self.backing.committer, self.room
        if committer is None or not pieces:
            return None
        size, weight = (0, 0) if room is None else _load(pieces)
        ticket = Ticket(pieces, self.face._signal(), size, weight)
        try:
            found = room is None or (room.fits(size, weight) and room.take(ticket))
            if not found and not self._replaces(pieces, ticket):
                self._let_go(ticket)
                return None
            committer.submit(ticket)
        except BaseException:
            self._let_go(ticket)
            raise
        return ticket

    def _replaces(self, pieces: Sequence[Piece], ticket: Ticket) -> bool:
        """Let *pieces* in that take no more room than what is held, if that is all they are."""
        room, ticket.size = self.room, 0
        if room is None or not all(p.replaces() for p in pieces) or not room.take(ticket):
            return False
        for piece in pieces:
            piece.go_without_room(True)
        return True

    def _write_parts(self, pieces: Sequence[Piece]) -> Steps[None]:
        closed = any(table.closed for table in self.backing.tables)
        if closed and (error := self.face._refused()) is not None:
            raise error
        done = 0
        try:
            for part in self._parts(pieces):
                yield from self._write_together(part)
                done += sum(piece.load()[0] for group in part for piece in group)
        except BaseException as error:
            self._say_how_much(error, done, sum(piece.load()[0] for piece in pieces))
            raise

    def _say_how_much(self, error: BaseException, done: int, of: int) -> None:
        if done:
            error.add_note(f"{done} of {of} items of this call were accepted")

    def _parts(self, pieces: Sequence[Piece]) -> list[list[list[Piece]]]:
        """Return what is committed one after the other: lists of what is admitted by itself."""
        room = self.room
        if room is None or not pieces:
            return [[list(pieces)]] if pieces else []
        if room.when_full.startswith("drop"):
            return [[[single] for piece in pieces for single in piece.singles()]]
        if room.when_full == "raise" or room.fits(*_load(pieces)):
            return [[list(pieces)]]
        parts: list[list[Piece]] = [[]]
        for single in (single for piece in pieces for single in piece.singles()):
            if parts[-1] and not room.fits(*_load([*parts[-1], single])):
                parts.append([])
            parts[-1].append(single)
        return [[part] for part in parts]

    def _write_together(self, groups: Sequence[Sequence[Piece]]) -> Steps[None]:
        """Admit *groups* one after the other, and have them committed together."""
        tickets: list[Ticket] = []
        try:
            for group in groups:
                tickets.append(self._ticket(group))
                yield from self._admit(tickets[-1])
            for ticket in tickets:
                yield from self._committed(ticket)
        finally:
            for ticket in tickets:
                self._let_go(ticket)
        _raise_what_went_wrong([piece for group in groups for piece in group])

    def _ticket(self, pieces: Sequence[Piece]) -> Ticket:
        return Ticket(pieces, None, *_load(pieces))

    def _let_go(self, ticket: Ticket) -> None:
        """Write nothing for *ticket*, unless it is begun."""
        if ticket.right and ticket.is_mine() and self.room is not None:
            self.room.leave(ticket)
        if ticket.signal is not None:
            ticket.signal.close()

    def _forbid_committer(self) -> None:
        if self.backing.is_committer():
            raise WrongThread(
                f"a write to buffer {self.settings.name!r} was made while it lands what was "
                "written before (in merge(), or a key's __eq__ or __hash__): it would wait for "
                "itself"
            )

    def _admit(self, ticket: Ticket) -> Steps[None]:
        """Find room for *ticket*, and submit it; or drop it."""
        outcome = CLOSED
        while outcome == CLOSED:
            outcome = yield from self._find_room(ticket)
            committer = self.backing.committer
            if outcome == MADE and committer is not None:
                # Not before: while it stood in line, time would stand still for a fake clock.
                ticket.signal = self.face._signal()
                committer.submit(ticket)
            elif outcome != DROPPED:
                outcome = CLOSED
                if (error := self.face._refused()) is not None:
                    raise error
        if outcome == DROPPED:
            ticket.outcome = MADE

    def _committed(self, ticket: Ticket) -> Steps[None]:
        while ticket.outcome is None:
            yield Pause(ticket.signal, None)
        if ticket.error is not None:
            raise ticket.error
        if ticket.outcome == CLOSED:
            if (error := self.face._refused()) is not None:
                raise error
            yield from self._write_together([ticket.pieces])

    def reset(self) -> None:
        super().reset()
        self.backing.forked()

    # --- room ------------------------------------------------------------------

    def _find_room(self, ticket: Ticket) -> Steps[int]:
        room, tables = self.room, [piece.table for piece in ticket.pieces]
        if any(table.closed for table in tables):
            return CLOSED
        if room is None or room.take(ticket):
            return MADE
        if room.when_full.startswith("drop"):
            self.face._wake_workers()
            return self._dropped(ticket, room)
        take: Callable[[bool], int] = partial(self._take, ticket, tables)
        return (yield from self.wait(take, tables, (ticket.size, ticket.weight)))

    def _take(self, ticket: Ticket, tables: Sequence[Any], first: bool) -> int:
        if any(table.closed for table in tables):
            return CLOSED
        return MADE if self.room is None or self.room.take(ticket, first) else FULL

    def _dropped(self, ticket: Ticket, room: StoreRoom) -> int:
        """Drop what is oldest until there is room, or else what is written."""
        mine = ticket.pieces[0].table
        if room.when_full == "drop_oldest" and room.fits(ticket.size, ticket.weight):
            while any(table.drop_oldest() for table in (mine, *self.backing.tables)):
                if room.take(ticket):
                    return MADE
        return DROPPED if mine.drop(ticket.size) == MADE else CLOSED


def _raise_what_went_wrong(pieces: Sequence[Piece]) -> None:
    for piece in pieces:
        if piece.error is not None:
            raise piece.error


def _load(pieces: Sequence[Piece]) -> tuple[int, int]:
    """Return how many items and bytes *pieces* are."""
    loads = [piece.load() for piece in pieces]
    return sum(size for size, _ in loads), sum(weight for _, weight in loads)
