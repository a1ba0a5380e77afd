"""Who is alone commits in its own thread; each step of that is done once, whoever does it."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from helpers import wait_until

from partitioned_buffer._core.backing.committer import Committer, Ticket
from partitioned_buffer._core.backing.leading import CAN_LEAD, Led
from partitioned_buffer._core.backing.room import StoreRoom
from partitioned_buffer._core.tables.step import MADE
from partitioned_buffer._core.waiting.clock import SystemClock, SystemSignal
from partitioned_buffer.errors import StorageError

pytestmark = pytest.mark.skipif(not CAN_LEAD, reason="nobody leads before Python 3.12")


class Commit:
    """A single one."""

    def __init__(self, store: "Store", start: int) -> None:
        self.start, self._store = start, store
        self._lock, self._tried, self._made = threading.Lock(), False, False

    def make(self) -> bool:
        store = self._store
        with self._lock:
            if not self._tried:
                self._tried = True
                store.makers.append(threading.get_ident())
                store.begun.release()
                assert store.gate.acquire(timeout=20)
                self._made = store.works
        if store.interrupt is not None:
            error, store.interrupt = store.interrupt, None
            raise error
        return self._made

    def confirm(self) -> None:
        if self._store.lost is not None:
            raise self._store.lost


class Store:
    """Its commits wait at a gate, and may fail, or be lost, or their writer be interrupted."""

    where = "here"
    interrupt: BaseException | None = None
    lost: Exception | None = None
    works = prepares = True

    def __init__(self) -> None:
        self.makers: list[int] = []
        self.appends = self.end = 0
        self.gate, self.begun = threading.Semaphore(10), threading.Semaphore(0)

    def single(self, _partition: int, count: int, _data: bytes) -> Commit | None:
        self.end += count
        return Commit(self, self.end - count) if self.prepares else None

    def append(self, pieces: Sequence[Any], /, *, durable: bool = True) -> list[int]:
        assert durable
        self.appends += 1
        self.end += len(pieces)
        return [self.end - len(pieces)]

    def reclaim(self) -> bool:
        return False


class Table:
    """What lands in it is written down. A piece is the table itself."""

    index, closed, lands_once = 0, False, True

    def __init__(self) -> None:
        self.table, self.starts = self, list[int]()

    def chunks(self, pieces: Sequence[Any], /) -> list[tuple[int, bytes]]:
        return [(len(pieces), b"")]

    def landed(self, starts: Sequence[int], _chunks: object, _pieces: object, /) -> None:
        self.starts += [start for start in starts if start not in self.starts]


class Made:
    """A committer that rests, and what it works on."""

    def __init__(self) -> None:
        self.store, self.table, self.room = Store(), Table(), StoreRoom(100, None, "block")
        store: Any = self.store
        self.committer = Committer(store, self.room, "made", SystemClock())
        wait_until(lambda: not self.committer._reclaims)

    def led(self) -> Led:
        led = Led([self.table], 1)
        assert self.room.take(led)
        return led

    def lead(self) -> bool:
        return self.committer.lead(self.led())

    def submit(self) -> Ticket:
        ticket = Ticket([self.table], SystemSignal(), 1)
        assert self.room.take(ticket)
        self.committer.submit(ticket)
        return ticket

    def outcome(self, ticket: Ticket) -> int | None:
        while ticket.outcome is None:
            ticket.signal.wait(20)
        return ticket.outcome


@pytest.fixture
def made() -> Iterator[Made]:
    made = Made()
    yield made
    made.store.gate.release(10)
    made.committer.end()


def test_who_is_alone_commits_in_its_own_thread(made: Made) -> None:
    assert made.lead()
    assert made.store.makers == [threading.get_ident()]
    assert (made.table.starts, made.room.used, made.store.appends) == ([0], 1, 0)


def test_who_waits_for_room_looks_again_when_what_has_taken_it_has_landed(made: Made) -> None:
    """The workers were woken for it when there was nothing to deliver yet."""
    landed = list[int]()
    made.room.line, made.room.serve = 1, lambda: landed.extend(made.table.starts)
    assert made.lead()
    assert landed == [0]


def test_who_waits_meanwhile_is_committed_by_the_thread_behind_it(made: Made) -> None:
    made.store.gate = threading.Semaphore(0)
    leader = threading.Thread(target=made.lead)
    leader.start()
    assert made.store.begun.acquire(timeout=20)
    ticket = made.submit()
    assert not made.lead(), "it is somebody else's turn"
    made.store.gate.release()

    assert made.outcome(ticket) == MADE
    leader.join(20)
    assert made.table.starts[0] == 0, "in the order of their positions"
    assert len(made.table.starts) == 2
    assert made.store.makers == [leader.ident]


def test_what_an_interrupted_writer_has_begun_is_finished_by_the_thread(made: Made) -> None:
    made.store.interrupt = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        made.lead()
    wait_until(lambda: made.table.starts == [0])
    wait_until(lambda: made.committer._turns.led is None)
    assert made.room.used == 1
    assert made.lead()


def test_what_is_led_has_landed_when_somebody_catches_up(made: Made) -> None:
    made.store.gate = threading.Semaphore(0)
    leader = threading.Thread(target=made.lead)
    leader.start()
    assert made.store.begun.acquire(timeout=20)
    threading.Timer(0.01, made.store.gate.release).start()
    made.committer.catch_up()
    assert made.table.starts == [0]
    leader.join(20)


def test_what_fails_is_left_to_the_thread_and_holds_no_room(made: Made) -> None:
    made.store.works = False
    assert not made.lead()
    assert (made.table.starts, made.room.used) == ([], 0)
    assert made.outcome(made.submit()) == MADE


def test_what_may_be_lost_is_told(made: Made) -> None:
    made.store.lost = StorageError("lost")
    with pytest.raises(StorageError, match="lost"):
        made.lead()


@pytest.mark.parametrize("why", ["closed", "not prepared", "several", "ended", "forked", "twice"])
def test_who_may_not_lead_leaves_it_to_the_thread(made: Made, why: str) -> None:
    led = made.led()
    if why == "closed":
        made.table.closed = True
    elif why == "not prepared":
        made.store.prepares = False
    elif why == "several":
        led.pieces = [made.table, made.table]
    elif why == "ended":
        made.committer.end()
    elif why == "forked":
        made.committer.forked()
    else:
        made.table.lands_once = False
    assert not made.committer.lead(led)
    assert not led.is_begun
    assert made.store.makers == []


def test_where_several_write_the_thread_commits_for_all(made: Made) -> None:
    made.committer._last = 2
    assert not made.lead()
    assert made.outcome(made.submit()) == MADE
    wait_until(made.lead)
