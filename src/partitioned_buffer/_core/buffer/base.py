"""
What a buffer is, apart from who drives it: settings, tables, state and numbers.

Nothing here waits. The drivers (`_threads`, `_tasks`) add `start`, `stop` and `flush`.

    new ──start──► running ──stop──► stopping ──► stopped ──start──► running ...
                      └──fork──► forked ──first write──► running ...    (in the child)

Running buffers are known by name, process-wide. Threads do not survive a fork, and
what is held stays the parent's: a child finds its buffers empty, and those that ran
run again from the first write on.
"""

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar, Unpack, overload

from ...errors import BufferAlreadyRunning, BufferNotFound, BufferNotRunning
from ..ledger import PartitionStats, Stats, total
from ..options.keywords import Tunable
from ..options.settings import Settings
from ..tables.capacity import Room
from ..tables.table import Table
from ..telemetry import Telemetry, renew_lock

B = TypeVar("B")
Kind = TypeVar("Kind", bound="Buffer[Any]")
State = Literal["new", "running", "stopping", "stopped", "forked"]

_all: "weakref.WeakSet[Buffer[Any]]" = weakref.WeakSet()
_running: "dict[str, Buffer[Any]]" = {}
_names = threading.RLock()  # for a finalizer or signal handler that calls `get()`


@overload
def get(name: str) -> "Buffer[Any]": ...
@overload
def get(name: str, kind: type[Kind]) -> Kind: ...
def get(name: str, kind: "type[Buffer[Any]] | None" = None) -> "Buffer[Any]":
    """
    Return the running buffer called *name*.

    Give its *kind* (`Queue`, `AsyncMap`, ...) too, to have that checked and typed:
    `get("events", Queue).push(event)`.

    Raises `BufferNotFound` when no buffer of that name (and kind) is running.
    """
    with _names:
        buffer = _running.get(name)
        names = sorted(_running)
    if buffer is None:
        raise BufferNotFound(f"no buffer {name!r} is running; running are: {names or 'none'}")
    if kind is not None and not isinstance(buffer, kind):
        raise BufferNotFound(f"{buffer!r} is not a {kind.__name__}")
    return buffer


def running() -> "list[Buffer[Any]]":
    """Return the running buffers."""
    with _names:
        return list(_running.values())


def _after_fork() -> None:
    """Begin anew in the child: nobody is left to give back a lock, or to do any work."""
    global _names
    _names = threading.RLock()
    renew_lock()
    for buffer in list(_all):
        buffer._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Buffer(Generic[B]):
    """What Queues and Maps have in common."""

    _how_to_start = "call start(), or use it in a `with` block, first"
    _how_to_go_on = "write before stop(), or start() it again"

    def __init__(
        self, settings: Settings, tables: Sequence[Table[B]], room: Room | None = None
    ) -> None:
        self._settings = settings
        self._tables = tables
        self._room = room
        self._telemetry = Telemetry(settings.hooks)
        self._restarts = [0] * len(tables)
        self._state: State = "new"
        self._life = threading.RLock()
        with _names:
            _all.add(self)

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._settings.name

    @property
    def running(self) -> bool:
        """Whether it takes writes."""
        return self._state in ("running", "forked")

    def size(self) -> int:
        """Return how many items are held: waiting or in flight."""
        return sum(len(table) for table in self._tables)

    def __len__(self) -> int:
        """Return how many items are held."""
        return self.size()

    def __bool__(self) -> bool:
        """Be true even when empty, so that `if buffer:` asks whether there is one."""
        return True

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r} {self._state}, {len(self._tables)} partitions>"
        )

    def stats(self) -> Stats:
        """
        Return the ledger: what became of every accepted write, and what is held.

        Each partition is read at one instant of its own; in it, and so in the
        total, `accepted = delivered + dead_lettered + dropped + coalesced + deleted + held`.
        """
        now, telemetry = self._settings.clock.monotonic(), self._telemetry
        partitions = (
            PartitionStats(
                partition=index,
                restarts=self._restarts[index],
                overdue=int(
                    self._busy_since(index, now) <= now - self._settings.processing_timeout
                ),
                **table.counts(now),
            )
            for index, table in enumerate(self._tables)
        )
        return total(
            partitions,
            hook_errors=telemetry.hook_errors,
            dead_letter_errors=telemetry.dead_letter_errors,
            blocked=self._room.blocked if self._room else 0,
        )

    def _busy_since(self, index: int, now: float) -> float:  # noqa: ARG002  # drivers know
        """Return when the processor was given what it is busy with; *now* if it is not."""
        return now

    def update_options(self, **options: Unpack[Tunable]) -> None:
        """
        Retune a buffer, running or not; what is not named stays as it is.

        Takes `processing_interval`, `interval_jitter`, `processing_batch_size`,
        `processing_timeout`, `flush_at`, `retry` and `exit_timeout`. Workers use them from
        their next cycle on; a new interval counts from the beginning of the last cycle, so
        that retuning often never puts processing off.

        Raises `UnknownOption` or `InvalidOption`, having changed nothing.
        """
        with self._life:
            self._settings = self._settings.changed(options)
            if "flush_at" in options:
                for table in self._tables:
                    table.retune(self._settings.flush_at)
        self._retuned()

    def _retuned(self) -> None:
        """Let the driver know."""

    def _forked(self) -> None:
        """Begin anew in a child process, empty: what is held is the parent's."""
        self._life = threading.RLock()
        self._telemetry = Telemetry(self._settings.hooks)
        self._restarts = [0] * len(self._tables)
        if self._state == "running":
            self._state = "forked"
        elif self._state == "stopping":
            self._state = "stopped"
            self._release_name()
        if self._room:
            self._room.reset()
        for table in self._tables:
            table.reset()

    def _claim_name(self) -> None:
        with _names:
            if _running.setdefault(self.name, self) is not self:
                raise BufferAlreadyRunning(
                    f"a buffer {self.name!r} is running already: stop it first, or choose "
                    "another name"
                )

    def _release_name(self) -> None:
        with _names:
            if _running.get(self.name) is self:
                del _running[self.name]

    def _refused(self, accepted: int = 0, of: int = 0) -> Exception | None:
        """Return why a write was refused after so many; None: it may be tried again."""
        if self._state == "forked":
            self._resume()
        if self._state == "running":  # by now: another thread may have resumed it
            return None
        if accepted:
            return BufferNotRunning(
                f"buffer {self.name!r} was stopped in the middle of this call: {accepted} of {of} "
                "items were accepted, the others were not"
            )
        why, what = {
            "new": ("has not been started", self._how_to_start),
            "stopped": ("has been stopped", self._how_to_go_on),
        }.get(self._state, ("is stopping", "write before stop()"))
        return BufferNotRunning(f"buffer {self.name!r} {why}: {what}")

    def _resume(self) -> None:
        """Run again, after a fork."""
