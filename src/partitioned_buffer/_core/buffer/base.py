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
from ..backing.partition import StoredPartition
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

TRIES = 1000
"""How often numbers are read that do not go together; more than a few are never seen."""


class Buffer(Generic[B]):
    """What Queues and Maps have in common."""

    _drains_at_exit = True
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
        destination = Destination()
        kind: Any = Partition if settings.storage is None else StoredPartition
        self._partitions: list[Partition[B]] = [
            kind(index, table, settings, self._telemetry, destination)
            for index, table in enumerate(tables)
        ]
        if settings.storage is not None:
            for partition in self._partitions:
                partition.worker_ended = self._close_store_late  # type: ignore[method-assign]
        self._run: Run[Any] = Run("new")
        self._lock = threading.RLock()  # for a finalizer or signal handler that comes here again

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
        """Return how many items are held: waiting or in flight."""
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
        return total(
            partitions,
            hook_errors=telemetry.hook_errors,
            dead_letter_errors=telemetry.dead_letter_errors,
            blocked=len(self._admission.line),
        )

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
                partition.settings = self._settings
            if "flush_at" in options:
                for partition in self._partitions:
                    partition.table.retune(self._settings.flush_at)
        self._run.retune()

    def _open_store(self) -> None:
        """Open where what is accepted waits, if that is no table."""
        if (backing := self._admission.backing) is not None:
            backing.open()

    def _close_store(self) -> None:
        """Let go of it, when nobody is going to settle anything."""
        if (backing := self._admission.backing) is not None:
            backing.close()

    def _retire_store(self, run: Run[Any]) -> None:
        """Let go of it as soon as nobody is with the processor, whose batch is settled then."""
        if (backing := self._admission.backing) is not None:
            backing.retired = True
            if run.has_ended:
                self._close_store()

    def _close_store_late(self) -> None:
        """Let go of it after the last of those whom a stop has left with the processor."""
        with self._lock:
            if self._state == "stopped" and self._run.has_ended:
                self._close_store()

    def _left(self) -> Sequence[Any]:
        if (backing := self._admission.backing) is not None:
            left: Sequence[Any] = backing.left(
                sum(len(partition.table) for partition in self._partitions)
            )
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
        why, what = {
            "new": ("has not been started", self._how_to_start),
            "stopped": ("has been stopped", self._how_to_go_on),
        }.get(self._state, ("is stopping", "write before stop()"))
        return BufferNotRunning(f"buffer {self.name!r} {why}: {what}")

    def _resume(self) -> None:
        """Run again, after a fork; or let writers in, where a start was interrupted before that."""
