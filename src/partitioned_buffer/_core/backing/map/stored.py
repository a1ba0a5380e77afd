"""
A stored Map's table, at its store: how its log is read, written and kept short.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from ....abc import Storage, Store
from ....errors import StorageError
from ...options.settings import Settings
from ...telemetry import report
from ...waiting.clock import SystemSignal
from ..committer import Ticket
from ..room import StoreRoom
from .log import KEPT, OWN, AnyOp, join
from .replay import Replayed, replay, uncollected
from .snapshot import compacted, written
from .table import StoredMapTable

LONG, TIMES = 20_000, 4
"""How many ops a log may have before it is compacted: so many, and so many times what it holds."""


class MapPiece:
    """What a write brings to one table: ops for the log, and what is landed."""

    def __init__(
        self, table: "BackedMapTable", ops: Sequence[AnyOp], landings: Sequence[Any]
    ) -> None:
        self.table, self.ops, self.landings = table, ops, landings
        self.error: BaseException | None = None
        self.has_room = True  # whether room was taken for each entry

    def load(self) -> tuple[int, int]:
        """Return how many entries and bytes it is."""
        values = [op[3] for op in self.ops if op[3] is not None]
        return len(values), sum(map(len, values))

    def replaces(self) -> bool:
        """Return whether it only writes over what waits."""
        return self.table.all_wait([landing[1] for landing in self.landings])

    def go_without_room(self, without: bool, /) -> None:
        """Have been let in for that, or not."""
        self.has_room = not without

    def singles(self) -> "list[MapPiece]":
        """Return it op by op."""
        each = zip(self.ops, self.landings, strict=True)
        return [MapPiece(self.table, [op], [landing]) for op, landing in each]


class BackedMapTable(StoredMapTable):
    """Of partition *index*."""

    note_waits, lands_once = True, False

    def __init__(self, index: int, made: Settings, room: StoreRoom | None) -> None:
        self.index, self._made = index, made
        self._storage = cast("Any", made.storage)
        weigh = self._weigh_stored if room is not None and room.bytes is not None else None
        self._room_of_store = room
        super().__init__(merge=made.merge, remember=made.remember_versions, weigh=weigh, bound=room)

    def _weigh_stored(self, value: Any) -> int:
        return len(self._storage.codec.encode(value))

    def reset(self) -> None:
        super().reset()
        self._store: Any = None
        self._committer: Any = None
        self._logged = 0  # ops in the log
        self._lost = 0
        self.told: dict[str, int] = {}  # of `reasons()`
        self.left_over = False

    # --- reading and writing the log ---------------------------------------------

    def begin(self, store: Store, committer: Any) -> None:
        """Begin with what *store* holds."""
        self.reset()
        self._store, self._committer = store, committer
        with uncollected():
            replayed = self._replayed(store)
            self.recover(replayed)
        self._lost = replayed.lost + self.unmerged
        if self._lost:
            name, where = self._made.name, store.where
            report("buffer %r: %d writes in %s are lost: damaged", name, self._lost, where)
        self._logged = store.end(self.index) - store.cursor(self.index).cursor
        self._compact(lambda: compacted(replayed))
        if self._room_of_store is not None:
            self._room_of_store.add(*self.load())

    def _replayed(self, store: Store) -> Replayed:
        made, storage = self._made, self._storage
        return replay(
            store.records(self.index),
            storage.codec,
            storage.keys,
            merge=made.merge is not None,
            remember=made.remember_versions,
        )

    def _compact(self, snapshot: Callable[[], Sequence[Any]]) -> None:
        """Put a snapshot in place of the log, if that is much longer than one."""
        marks = self._marks
        held = len(self) + len(marks.recent) + len(marks.older)  # versions are in it, too
        if self._logged <= LONG + TIMES * held:
            return
        try:
            kept = snapshot()
            chunks = snapshot_chunks(kept, self._storage, self._made)
            self._store.replace(self.index, chunks)
            self._logged = len(kept)
            self._committer.reclaim()
        except Exception as error:  # the disk is full; or `merge` made what nobody can encode
            report("buffer %r: its log stays long for now", self._made.name, error=error)
            self._logged -= LONG  # so that it is not tried each time

    def chunks(self, pieces: Sequence[MapPiece], /) -> list[tuple[int, bytes]]:
        """Return *pieces* as a chunk of the log."""
        ops = [op for piece in pieces for op in piece.ops]
        return [(len(ops), join(ops, self._storage.codec))] if ops else []

    def landed(
        self,
        starts: Sequence[int],
        _chunks: Sequence[tuple[int, bytes]],
        pieces: Sequence[MapPiece],
        /,
    ) -> None:
        """Do what was committed, in order."""
        landings = [landing for piece in pieces for landing in piece.landings]
        if self._room_of_store is not None:
            roomless = [piece.load()[0] for piece in pieces if not piece.has_room]
            self._room_of_store.add(sum(roomless), 0)  # what it replaces gives that back at once
        raised = self.land(starts[0], landings) if starts else []
        if any(raised):
            self._note_at_once()
        errors = iter(raised)
        for piece in pieces:
            for _ in piece.landings:
                piece.error = next(errors) or piece.error
        self._logged += len(landings)
        self._compact(self.snapshot)

    def _note_at_once(self) -> None:
        """Have the log say what `merge` has refused, before a writer is told anything."""
        settled = self.settled()
        try:
            ops = self._ops(settled)
            row = self.index, len(ops), join(ops, self._storage.codec)
            (start,) = self._store.append([row])
        except StorageError as error:
            self.unsettle(settled)
            report("buffer %r: what merge() refused may come again", self._made.name, error=error)
        else:
            self.land(start, settled)

    def _ops(self, settled: Sequence[Any]) -> list[AnyOp]:
        keys = self._storage.keys
        return [
            (kind, hash_of(self._storage, self._made, key), keys.encode(key), None, version, at)
            for kind, key, at, version, _ in settled
        ]

    # --- the worker's half -------------------------------------------------------

    more = False

    def fill(self) -> None:
        """Have all that is being committed landed, if this is the last cycle."""
        if self.closed:
            self._committer.catch_up()
        self.left_over = self.counts()["in_flight"] > 0

    def note(self) -> None:
        """Have the log say what is settled, and wait for that; not for the disk."""
        if settled := self.settled():
            try:
                self._commit(settled)
            except BaseException:
                self.unsettle(settled)
                raise

    def _commit(self, settled: Sequence[Any]) -> None:
        signal = SystemSignal()
        piece = MapPiece(self, self._ops(settled), settled)
        ticket = Ticket([piece], signal, durable=False)
        self._committer.submit(ticket)
        while ticket.outcome is None:
            signal.wait(None)
        if ticket.error is not None:
            raise ticket.error

    def keep_dead(self, items: list[Any], error: BaseException, attempts: int) -> None:
        """Keep what was given up in the store: the dead letter handler, unless one is given."""
        said = f"{type(error).__name__}: {error}"
        kept = [(KEPT, key, value, version or None, OWN) for key, value, version, _ in items]
        for count, data in snapshot_chunks(kept, self._storage, self._made):
            self._store.bury(self.index, data, count, said, attempts)

    # --- what is known -------------------------------------------------------------

    @property
    def identity(self) -> str:
        """What its store is told by."""
        return self._store.identity  # type: ignore[no-any-return]

    def out(self) -> list[int]:
        """Return up to which position each entry goes that was returned last."""
        return self.positions()

    def stored(self, store: Store) -> Iterator[Any]:
        """Return what *store* holds of it."""
        if store is self._store:
            return iter(self.held())
        other = BackedMapTable(self.index, self._made, None)
        other.recover(self._replayed(store))
        return iter(other.held())

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        counts = super().counts() | {"recovered": self.recovered + self._lost}
        counts["accepted"] += self._lost
        counts["dropped"] += self._lost
        return counts

    def reasons(self) -> dict[str, int]:
        """Return how many were dropped for which reason."""
        full = self.counts()["dropped"] - self._lost
        reasons = {"full": full, "damaged": self._lost}
        return {why: count for why, count in reasons.items() if count}


def hash_of(storage: Any, made: Settings, key: Any, partition_key: object = None) -> int:
    """Return the hash by which *key* is routed."""
    by = made.partition_key if partition_key is None else partition_key
    if by is None:
        return storage.hash(key)  # type: ignore[no-any-return]
    return storage.hash(by(key) if callable(by) else by)  # type: ignore[no-any-return]


def snapshot_chunks(kept: Sequence[Any], storage: Storage, made: Settings) -> list[Any]:
    """Return the chunks of a snapshot."""
    chunks = written(kept, storage.codec, storage.keys, lambda key: hash_of(storage, made, key))
    return list(chunks)
