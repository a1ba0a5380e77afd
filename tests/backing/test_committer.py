"""The committer by itself: one commit of what several writers bring, and what each is told."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from partitioned_buffer._core.backing.committer import Committer, Ticket
from partitioned_buffer._core.backing.room import StoreRoom
from partitioned_buffer._core.tables.step import CLOSED, MADE
from partitioned_buffer._core.waiting.clock import SystemClock, SystemSignal
from partitioned_buffer.errors import StorageError, StorageFull


class Store:
    """Its appends wait at a gate, and may fail."""

    where = "here"

    def __init__(self) -> None:
        self.fails: BaseException | None = None
        self.gate, self.at_work = threading.Semaphore(0), threading.Semaphore(0)
        self.durable: list[bool] = []

    def append(self, pieces: Sequence[Any], /, *, durable: bool = True) -> list[int]:
        self.at_work.release()
        assert self.gate.acquire(timeout=20)
        self.durable.append(durable)
        if self.fails is not None:
            raise self.fails
        return [0] * len(pieces)

    def reclaim(self) -> bool:
        return False


class Table:
    """What lands in it is written down. A piece is the table itself."""

    index, closed = 0, False

    def __init__(self) -> None:
        self.table, self.count = self, 0

    def chunks(self, pieces: Sequence[Any], /) -> list[tuple[int, bytes]]:
        return [(len(pieces), b"")]

    def landed(self, _starts: object, _chunks: object, pieces: Sequence[Any], /) -> None:
        self.count += len(pieces)


class Made:
    """A committer, and what it works on."""

    def __init__(self) -> None:
        self.store, self.table = Store(), Table()
        self.room = StoreRoom(100, None, "block")
        store: Any = self.store
        self.committer = Committer(store, self.room, "made", SystemClock())

    def submit(self, *, durable: bool = True) -> Ticket:
        ticket = Ticket([self.table], SystemSignal(), int(durable), 0, durable=durable)
        assert self.room.take(ticket)
        self.committer.submit(ticket)
        return ticket

    def commit(self, ticket: Ticket) -> int | None:
        self.store.gate.release()
        while ticket.outcome is None:
            ticket.signal.wait(20)
        return ticket.outcome

    def together(self, *submit: Callable[[], Ticket]) -> list[Ticket]:
        """Have what these submit be in one commit, that has begun."""
        first = self.submit()
        assert self.store.at_work.acquire(timeout=20)
        tickets = [each() for each in submit]
        self.commit(first)
        assert self.store.at_work.acquire(timeout=20)
        return tickets


@pytest.fixture
def made() -> Iterator[Made]:
    made = Made()
    yield made
    made.store.gate.release(10)
    made.committer.end()


def test_an_error_reaches_all_whose_commit_it_was_each_with_its_own(made: Made) -> None:
    tickets = made.together(made.submit, made.submit, made.submit)
    made.store.fails = StorageFull("full")

    assert [made.commit(ticket) for ticket in tickets] == [CLOSED] * 3
    errors = [ticket.error for ticket in tickets]
    assert [type(error) for error in errors] == [StorageFull] * 3
    assert len({*map(id, errors), id(made.store.fails)}) == 4, "each adds its own traceback"
    assert made.room.used == 1, "of that which was accepted before"
    assert made.table.count == 1


def test_it_is_awaited_from_the_write_until_all_are_committed(made: Made) -> None:
    found = [made.committer.is_awaited]
    (ticket,) = made.together(made.submit)
    found.append(made.committer.is_awaited)
    made.commit(ticket)
    while made.committer.is_awaited:  # it has yet to look whether there is more
        made.committer.catch_up()

    assert found == [False, True]


def test_what_is_no_storage_error_is_told_as_one(made: Made) -> None:
    (ticket,) = made.together(made.submit)
    made.store.fails = ValueError("a fault")

    made.commit(ticket)
    assert isinstance(ticket.error, StorageError)
    assert made.room.used == 1


def test_one_that_has_to_be_durable_makes_all_of_its_commit_so(made: Made) -> None:
    def note() -> Ticket:
        return made.submit(durable=False)

    tickets = made.together(note, made.submit)
    assert [made.commit(ticket) for ticket in tickets] == [MADE, MADE]
    (alone,) = made.together(note)
    assert made.commit(alone) == MADE
    assert made.store.durable == [True, True, True, False]


def test_what_is_begun_is_not_given_up_and_what_is_not_is_not_written(made: Made) -> None:
    first = made.submit()
    assert made.store.at_work.acquire(timeout=20)
    second = made.submit()
    mine = [ticket.is_mine() for ticket in (first, second, first, second)]
    assert mine == [False, True, False, False]
    made.room.leave(second)
    made.room.leave(second)
    assert (first.outcome, second.outcome) == (None, None)
    assert made.room.used == 1

    assert made.commit(first) == MADE
    made.committer.end()
    assert (made.table.count, made.room.used) == (1, 1)


def test_a_closed_table_takes_notes_and_no_writes(made: Made) -> None:
    made.table.closed = True
    write = made.submit()
    assert made.commit(write) == CLOSED
    assert made.commit(made.submit(durable=False)) == MADE
    assert made.room.used == 0
