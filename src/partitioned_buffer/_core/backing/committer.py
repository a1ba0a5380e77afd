"""
One thread per store commits what all writers have brought meanwhile, and lets them go.

    writer ─ submit ─► tickets ─► one commit of all there are ─► landed in their tables ─► signal

Alone, a writer waits for the disk and for nobody else. With several, the thread gives way up to
four times while fewer wait than were in the last commit: without that, they part into two crowds
that take turns, and a commit carries half of what it could.

A ticket is begun by the committer, or given up by its writer, whoever comes first.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from ...abc import AsyncSignal, Clock, Signal, Store
from ...errors import BufferNotRunning, StorageError
from ..tables.step import CLOSED, MADE
from ..telemetry import report
from ..waiting.locks import start
from ..waiting.signals import set_all
from .leading import CAN_LEAD, Led, Turns
from .room import StoreRoom

TIDYING = 0.5
"""Seconds for which room is given back at the end; the next opening goes on with that."""

YIELDS = 4
"""How often it gives way to writers that may be about to submit."""


class Landing(Protocol):
    """A table, as far as the committer knows it."""

    index: int
    closed: bool

    def chunks(self, pieces: Sequence[Any], /) -> list[tuple[int, bytes]]:
        """Return *pieces* as chunks: how many records, and the data."""
        ...

    def landed(
        self, starts: Sequence[int], chunks: Sequence[tuple[int, bytes]], pieces: Sequence[Any], /
    ) -> None:
        """Have what was committed, in order. Must not raise."""


class Ticket:
    """One write, until it is committed, or was refused."""

    __slots__ = (
        "durable",
        "error",
        "holds",
        "outcome",
        "pieces",
        "right",
        "signal",
        "size",
        "weight",
    )

    def __init__(
        self,
        pieces: Sequence[Any],
        signal: Signal | AsyncSignal | None,
        size: int = 0,
        weight: int = 0,
        *,
        durable: bool = True,
    ) -> None:
        self.pieces, self.durable = pieces, durable
        self.signal: Any = signal  # there is one when it is submitted
        self.size, self.weight, self.holds = size, weight, False  # see `room`
        self.error: BaseException | None = None
        self.outcome: int | None = None  # None until it is done
        self.right = [None]  # to begin it, or to give it up: taken once, in one step

    def is_mine(self) -> bool:
        """Take the right to begin it, or to give it up; return whether it was there."""
        try:
            self.right.pop()
        except IndexError:
            return False
        return True


class Committer:
    """The thread of one *store*."""

    def __init__(self, store: Store, room: StoreRoom | None, name: str, clock: Clock) -> None:
        self._store, self._room = store, room
        self._tickets: list[Ticket] = []
        self.is_awaited = False
        """Whether writers wait, so that who is busy had better give way."""
        self._signal = clock.signal()  # so that fake time stands still as long as it is at work
        self._ended = False
        self._reclaims = False
        self._last = 1  # how many were in the last commit
        self._turns = Turns(room)
        self._turn = threading.Lock()  # held from where tickets are begun until they have landed
        self._single: Any = getattr(store, "single", None) if CAN_LEAD else None
        self.thread = threading.Thread(target=self._run, name=f"{name}-committer", daemon=True)
        start(self.thread)

    # --- asked by others -------------------------------------------------------

    def submit(self, ticket: Ticket) -> None:
        """Have *ticket* committed. Never blocks."""
        self._tickets.append(ticket)
        self.is_awaited = True
        if self._ended:  # it may come too late to be seen
            self._fail_all()
        # Whether it rests or not: who looks first, and is interrupted then, leaves others waiting.
        self._signal.set()

    def lead(self, led: Led) -> bool:
        """
        Commit *led* in this very thread, if nobody is in the way; return whether it is done.

        Raises `StorageError` if it may be lost.
        """
        if self._single is None or self._tickets or self._last > 1 or self._reclaims:
            return False
        table, turns = led.pieces[0].table, self._turns
        if len(led.pieces) > 1 or not table.lands_once:
            return False
        number = turns.number
        (led.chunk,) = table.chunks(led.pieces)
        single = self._single(table.index, *led.chunk)
        if single is None:
            return False
        led.single = single
        try:
            if not turns.claim(led, number):
                return False
            turns.finish(led)
        finally:
            if turns.led is led:  # interrupted: the thread goes on with it
                self._signal.set()
        if led.is_made:
            single.confirm()
        return led.is_made

    def reclaim(self) -> None:
        """Give back room when there is time for it."""
        self._reclaims = True
        self._signal.set()

    def catch_up(self) -> None:
        """Wait until what is being committed has landed."""
        self._turns.help()
        with self._turn:
            pass

    def end(self) -> None:
        """End the thread, when what was submitted is committed; wait for that."""
        self._ended = True
        self._signal.set()
        if self.thread is not threading.current_thread():
            self.thread.join()

    def forked(self) -> None:
        """Commit nothing more, in a forked child: the thread is the parent's."""
        self._ended = True
        self._turns.forked()

    # --- the thread ------------------------------------------------------------

    def _run(self) -> None:
        while not (self._ended and not self._tickets):
            try:
                self._turns.help()
                if self._tickets:
                    self._gather()
                    self._commit_all()
                    continue
                self.is_awaited = False
                if not self._reclaim():
                    self._rest()
            except BaseException as error:  # whatever it is, writers must not wait for ever
                report("buffer storage %s: the committer failed", self._store.where, error=error)
        self._turns.begin()  # for good
        self._fail_all()
        until = time.monotonic() + TIDYING
        while self._reclaim() and time.monotonic() < until:
            pass
        self._signal.close()

    def _rest(self) -> None:
        if not (self._tickets or self._ended or self._reclaims or self._turns.led):
            self._signal.wait(None)

    def _gather(self) -> None:
        for _ in range(YIELDS):
            if len(self._tickets) >= self._last:
                break
            time.sleep(0)

    def _reclaim(self) -> bool:
        """Give back some room; return whether it was tried."""
        wanted, self._reclaims = self._reclaims, False
        if wanted:
            with suppress(StorageError):  # whatever is the cause, writers are told of it
                self._reclaims = self._store.reclaim()
        return wanted

    def _commit_all(self) -> None:
        count = self._last = len(self._tickets)
        group = self._tickets[:count]
        del self._tickets[:count]
        with self._turn:
            self._turns.begin()
            begun = [ticket for ticket in group if ticket.is_mine()]
            try:
                self._commit(begun)
            except BaseException as error:
                for ticket in begun:
                    if ticket.outcome is None:
                        ticket.error, ticket.outcome = _own(error), CLOSED
                if not isinstance(error, StorageError):
                    raise
            finally:
                self._turns.end()
                self._let_go(begun)
        if self._reclaims and count == 1:
            self._reclaim()  # else it would never come to it, with writers all the time

    def _let_go(self, begun: Sequence[Ticket]) -> None:
        for ticket in begun:
            if ticket.outcome is None:
                ticket.outcome = CLOSED
            if ticket.outcome != MADE and self._room is not None:
                self._room.leave(ticket)
        set_all([ticket.signal for ticket in begun])

    def _commit(self, begun: Sequence[Ticket]) -> None:
        by_table: dict[Landing, list[Any]] = {}
        taken: list[Ticket] = []
        for ticket in begun:
            pieces = ticket.pieces
            if ticket.durable and any([piece.table.closed for piece in pieces]):  # noqa: C419  # quicker
                ticket.outcome = CLOSED
                continue
            taken.append(ticket)
            for piece in pieces:
                table = piece.table
                if table in by_table:
                    by_table[table].append(piece)
                else:
                    by_table[table] = [piece]
        if not by_table:
            return
        made = [(table, table.chunks(pieces), pieces) for table, pieces in by_table.items()]
        rows = [(table.index, *chunk) for table, chunks, _ in made for chunk in chunks]
        starts = self._store.append(rows, durable=any(ticket.durable for ticket in taken))
        at = 0
        for table, chunks, pieces in made:
            table.landed(starts[at : at + len(chunks)], chunks, pieces)
            at += len(chunks)
        for ticket in taken:
            ticket.outcome = MADE
        if self._room is not None:
            # Who waits for what this has taken had the workers woken when it was not here yet.
            self._room.look()

    def _fail_all(self) -> None:
        """Refuse what nobody is going to commit."""
        while self._tickets:
            with suppress(IndexError):
                ticket = self._tickets.pop(0)
                if ticket.is_mine():
                    ticket.error = BufferNotRunning(f"{self._store.where} is closed")
                    self._let_go([ticket])


def _own(error: BaseException) -> BaseException:
    """Return an error for one of several writers: each adds a traceback of its own."""
    if not isinstance(error, StorageError):
        return StorageError(f"nothing was accepted: {type(error).__name__}: {error}")
    own = type(error)(*error.args)
    own.__cause__ = error.__cause__
    return own
