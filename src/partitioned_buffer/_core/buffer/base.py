"""
What a buffer is, apart from who drives it: settings, partitions, state and numbers.

Nothing here waits. The faces (in `_threads`, `_tasks`) add `start`, `stop` and `flush`.

    new ──start──► running ──stop──► stopping ──► stopped ──start──► running ...
                      └──fork──► forked ──first write──► running ...    (in the child)

The state is that of the run that goes on, or went last (see `run`).
"""

import math
import threading
from collections.abc import Sequence
from typing import Any, Generic, NoReturn, TypeVar, Unpack

from ...errors import BufferNotRunning
from ..delivery.partition import Partition
from ..ledger import PartitionStats, Stats, total
from ..options.keywords import Tunable
from ..options.settings import Settings
from ..options.words import check_timeout
from ..policy.destination import Destination
from ..tables.implementation import MapTable, QueueTable
from ..telemetry import Telemetry
from ..writes.admission import Admission
from .run import Run, State

B = TypeVar("B")

Settled = tuple[int, int]
"""How many items this process has delivered, and how many it has given up."""

TRIES = 1000
"""How often numbers are read that do not go together; more than a few are never seen."""


class Buffer(Generic[B]):
    """What Queues and Maps have in common."""

    _drains_at_exit = True
    _outlives = False  # the program's end of others: who made it ends it later than that
    _how_to_start = "call start(), or use it in a `with` block, first"
    _how_to_go_on = "write before stop(), or start() it again"
    _how_to_stop = "partitioned_buffer.get({!r}).stop()"

    def __init__(
        self,
        settings: Settings,
        tables: Sequence[QueueTable] | Sequence[MapTable],
        admission: Admission,
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._telemetry = Telemetry(settings.hooks)
        self._partitions: list[Partition[B]] = self._make_partitions(tables)
        if settings.is_shared:
            admission.sharing.make_tables = self._lay
        self._run: Run[Any] = Run("new")
        self._lock = threading.RLock()  # for a finalizer or signal handler that comes here again

    def _make_partitions(self, tables: Sequence[Any]) -> list[Any]:
        """Return the partitions of these *tables*."""
        settings, destination = self._settings, Destination()
        also: Any = {"telemetry": self._telemetry, "destination": destination}
        if settings.is_shared:
            also["sharing"] = self._admission.sharing
        admission: Any = self._admission
        kind: Any = Partition if settings.storage is None else admission.kind_of_partition
        made = [kind(index, table, settings, **also) for index, table in enumerate(tables)]
        if settings.keeps:
            for partition in made:
                partition.worker_ended = self._close_store_late
        return made

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._settings.name

    @property
    def running(self) -> bool:
        """Whether it takes writes."""
        self._look_whether_dead()
        return self._state in ("running", "forked")

    @property
    def _state(self) -> State:
        return self._run.state

    def size(self) -> int:
        """
        Return how many items are held: waiting or in flight.

        Of a shared buffer, also what other processes have accepted, as it was a second ago.
        """
        if self._settings.is_shared:
            held: int = self._size_here() + self._admission.sharing.held
            return held
        return self._size_here()

    def _size_here(self) -> int:
        """Return how many items are held by this very process."""
        room = self._admission.room
        if room is not None:  # one number, which is never above the bound
            return room.used
        return sum(len(partition.table) for partition in self._partitions)

    def __len__(self) -> int:
        """Return how many items are held."""
        return self.size()

    def __bool__(self) -> bool:
        """Be true even when empty, so that `if buffer:` asks whether there is one."""
        return True

    def __repr__(self) -> str:
        kind, parts = type(self).__name__, len(self._partitions)
        return f"<{kind} {self.name!r} {self._state}, {parts} partitions>"

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(
            f"{kind} {self.name!r} cannot be copied or pickled, for its workers and what it holds "
            f"are here: share the one there is, which partitioned_buffer.get({self.name!r}) finds "
            f"in this process; another process makes a {kind} of its own"
        )

    def stats(self) -> Stats:
        """
        Return the ledger: what became of every accepted write, and what is held.

        Each partition is read at one instant of its own; in it, and so in the
        total, `accepted = delivered + dead_lettered + dropped + coalesced + deleted + held`.
        What is held in total is never more than `max_size`.
        """
        now, telemetry = self._settings.clock.monotonic(), self._telemetry
        overdue = self._run.overdue(now - self._settings.processing_timeout)
        partitions = (
            PartitionStats(
                partition=partition.index,
                restarts=partition.restarts,
                overdue=int(partition.index in overdue),
                **counts,
            )
            for partition, counts in zip(self._partitions, self._counts(now), strict=True)
        )
        own = total(
            partitions,
            hook_errors=telemetry.hook_errors,
            dead_letter_errors=telemetry.dead_letter_errors,
            blocked=len(self._admission.line),
        )
        if not self._settings.is_shared:
            return own
        whole: Stats = self._admission.sharing.stats(own, overdue)
        return whole

    def _settled(self) -> Settled:
        """Return how much this process has settled, ever."""
        if self._settings.is_shared:
            here: Settled = self._admission.sharing.settled
            return here
        counts = [partition.table.counts() for partition in self._partitions]
        return sum(each["delivered"] for each in counts), sum(c["dead_lettered"] for c in counts)

    def _counts(self, now: float) -> list[dict[str, Any]]:
        """
        Return the numbers of each partition.

        They are read one after the other: what one has settled and another has accepted meanwhile
        could be counted twice. Where that shows as more than the bound, they are read again.
        """
        room = self._admission.room
        bound = math.inf if room is None or room.size is None else room.size
        tries = 0
        while True:
            counts, tries = [partition.counts(now) for partition in self._partitions], tries + 1
            held = sum(each["waiting"] + each["in_flight"] for each in counts)
            if held <= bound or tries == TRIES:
                return counts

    def update_options(self, **options: Unpack[Tunable]) -> None:
        """
        Retune a buffer, running or not; what is not named stays as it is.

        Takes `processing_interval`, `interval_jitter`, `processing_batch_size`,
        `processing_timeout`, `flush_at`, `retry` and `exit_timeout`. Workers use them from
        their next cycle on, a `retry` from the next attempt on; a new interval counts from the
        beginning of the last cycle, so that retuning often never puts processing off.

        Raises `UnknownOption` or `InvalidOption`, having changed nothing.
        """
        with self._lock:
            self._settings = self._settings.changed(options)
            for partition in self._partitions:
                partition.retune(self._settings)
            if self._settings.is_shared:
                self._admission.sharing.settings = self._settings
            elif "flush_at" in options:
                for partition in self._partitions:
                    partition.table.retune(self._settings.flush_at)
        self._run.retune()

    def _open_store(self) -> None:
        """Open where what is accepted waits, if that is no table."""
        for store in self._admission.stores:
            store.open()

    def _attendants(self, run: Run[Any]) -> tuple[Any, ...]:
        """Return what goes on beside the workers of *run*."""
        if not self._settings.is_shared:
            return ()
        self._admission.sharing.attend(run)
        return (self._admission.sharing,)

    def _lay(self, count: int) -> Sequence[Any]:
        """Have so many tables instead of those there are, with what they hold; return them."""
        admission: Any = self._admission  # that of a shared buffer
        tables: list[Any] = admission.relaid([p.table for p in self._partitions], count)
        self._partitions[:] = self._make_partitions(tables)
        return tables

    def _close_store(self) -> None:
        """Let go of it, when nobody is going to settle anything."""
        for store in reversed(self._admission.stores):
            store.close()

    def _retire_store(self, run: Run[Any]) -> None:
        """Let go of it as soon as nobody is with the processor, whose batch is settled then."""
        for store in self._admission.stores:
            store.retired = True
        if self._settings.is_shared:  # others have what is there
            self._admission.sharing.close()
        if run.has_ended:
            self._close_store()

    def _close_store_late(self) -> None:
        """Let go of it after the last of those whom a stop has left with the processor."""
        with self._lock:
            if self._state == "stopped" and self._run.has_ended:
                self._close_store()

    def _left(self) -> Sequence[Any]:
        if self._admission.stores:
            held = sum(len(partition.table) for partition in self._partitions)
            left: Sequence[Any] = self._admission.stores[0].left(held)
            return left
        return tuple(item for partition in self._partitions for item in partition.table.held())

    def _deadline(self, timeout: float | None) -> float | None:
        if timeout is None:
            return None
        check_timeout(timeout)
        return self._settings.clock.monotonic() + timeout

    def _look_whether_dead(self) -> None:
        """Be stopped if those who could stop it are gone."""

    def _forked(self) -> None:
        """Begin anew in a child process, empty: what is held is the parent's."""
        self._outlives = False  # a child may end without who would end it
        self._lock = threading.RLock()
        self._telemetry = Telemetry(self._settings.hooks)
        self._admission.reset()
        for partition in self._partitions:
            partition.reset(self._telemetry)

    def _refused(self) -> Exception | None:
        """Return why a write was refused; None: it may be tried again."""
        if self._state in ("running", "forked"):
            self._resume()
        if self._state == "running":
            return None
        stopped = ("has been stopped", self._how_to_go_on)
        if self._run.was_parents and self._settings.keeps:
            why = "is in the process that this one was forked from, and so is its storage"
            stopped = (why, "make a buffer here, with a storage of its own")
        why, what = {
            "new": ("has not been started", self._how_to_start),
            "stopped": stopped,
        }.get(self._state, ("is stopping", "write before stop()"))
        return BufferNotRunning(f"buffer {self.name!r} {why}: {what}")

    def _resume(self) -> None:
        """Run again, after a fork; or let writers in, where a start was interrupted before that."""
