"""
Every option once: its type, default, check and documentation.

`Settings` is the declaration; `keywords` repeats only names and types. The reference page is
generated from the declaration.
"""

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ...abc import Clock, DeadLetterHandler, Hook, SharedStorage, Storage
from ...errors import InvalidOption, UnknownOption
from ..waiting.clock import SystemClock
from .checks import (
    ANYTHING,
    ASYNC_CLOCK,
    ASYNC_HANDLER,
    ASYNC_PROCESSOR,
    BATCH_SIZE,
    CLOCK,
    COUNT,
    COUNT_OR_ZERO,
    FRACTION,
    HANDLER,
    HOOKS,
    MERGE,
    NAME,
    PROCESSOR,
    SECONDS,
    SIZE_OF,
    STORAGE,
    TIMEOUT,
    Check,
    one_of,
    or_none,
)
from .keywords import BatchSize, WhenFull
from .retry import Retry
from .together import check_together
from .words import hint, shown, unknown


def usable_cpus() -> int:
    """Count the CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _option(check: Check, doc: str, default: Any = ..., **also: Any) -> Any:
    metadata = {"check": check, "doc": inspect.cleandoc(doc), **also}
    if default is ...:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one buffer, checked."""

    name: str = _option(
        NAME, "Names the buffer: unique among the running ones, found by `get(name)`."
    )
    processor: Callable[[Any], object] | None = _option(
        or_none(PROCESSOR),
        """Takes a batch to its destination. Each partition calls it from its own thread; that of an
        AsyncQueue or AsyncMap awaits it if it is a coroutine function. What it returns is ignored,
        unless that has yet to be run or to be done (a coroutine, a generator, a `map`, a future),
        which counts as an error; when it raises, the batch stays and is tried again (see `retry`).
        None: this process only writes to a shared `storage`, and others deliver.""",
        async_check=or_none(ASYNC_PROCESSOR),
    )
    partitions: int | None = _option(
        or_none(COUNT),
        """How many table pairs, workers and orders there are. One keeps all items in one order;
        more let as many calls of the processor run at once. None: as many as usable CPUs; of a
        shared `storage`, as many as it has.""",
        None,
    )
    processing_interval: float = _option(
        SECONDS,
        """Seconds from the beginning of one processing cycle of a partition to the next. A cycle
        that takes longer is followed by the next one at once.""",
        5.0,
        tunable=True,
    )
    interval_jitter: float = _option(
        FRACTION,
        """The fraction of `processing_interval` that chance may take off each interval, so that
        many buffers or machines do not write all at the same instant.""",
        0.0,
        tunable=True,
    )
    processing_batch_size: BatchSize = _option(
        BATCH_SIZE,
        """How many items a processor gets at most per call; `"table"` gives it all that a cycle
        took in one container (`list`, or `dict` of key to `Entry`). The container is the
        processor's own, to keep or to change.""",
        10,
        tunable=True,
    )
    processing_timeout: float = _option(
        SECONDS,
        """Seconds after which a call of the processor is announced as overdue (event, log, and
        `stats().overdue`). A thread cannot be killed: its partition goes on waiting. A `stop()`
        without a timeout of its own gives up when nothing was settled for so long.""",
        60.0,
        tunable=True,
    )
    flush_at: int | None = _option(
        or_none(COUNT),
        """How many items waiting in a partition start a processing cycle before the interval is
        over. None: only the interval does, and a full buffer (see `when_full`).""",
        None,
        tunable=True,
    )
    max_size: int | None = _option(
        or_none(COUNT),
        """How many items the whole buffer holds at most, waiting or in flight, over all
        partitions. None: no bound.""",
        None,
    )
    max_bytes: int | None = _option(
        or_none(COUNT),
        """How many bytes all items held (for a Map: their values) may have together, as `size_of`
        says. None: no bound.""",
        None,
    )
    size_of: Callable[[Any], int] | None = _option(
        or_none(SIZE_OF),
        """Returns an item's (for a Map: a value's) bytes, for `max_bytes`; called once per write,
        by the writer, who gets what it raises. None: the length of bytes, bytearrays and
        memoryviews, that of text in UTF-8, and `sys.getsizeof` for anything else, which does not
        look inside.""",
        None,
    )
    when_full: WhenFull = _option(
        one_of("block", "raise", "drop_newest", "drop_oldest"),
        """What a write to a full buffer does: wait for room, raise `BufferFull`, drop what is
        written, or drop the oldest that the processor has not been given. Whichever it is, it
        starts a processing cycle before the interval is over. Drops are counted and announced.""",
        "block",
    )
    block_timeout: float | None = _option(
        or_none(TIMEOUT),
        """Seconds that a write waits for room before it raises `BufferFull`. None: as long as it
        takes.""",
        None,
    )
    retry: Retry = _option(
        Check("a Retry(...), as Retry(attempts=3)", lambda v: isinstance(v, Retry)),
        "How often, and when, a batch that failed is tried again: see `Retry`.",
        Retry(),
        tunable=True,
    )
    dead_letter: DeadLetterHandler | None = _option(
        or_none(HANDLER),
        """Receives what is given up: the items in a list, the error, and the attempts made.
        `dead_letters.DeadLetterFile` is a ready one. None: they are counted, announced, logged as
        lost, and gone. Called, or awaited, as the processor is.""",
        None,
        async_check=or_none(ASYNC_HANDLER),
    )
    exit_timeout: float | None = _option(
        or_none(TIMEOUT),
        """Seconds for an end that nobody gave a timeout. A block whose body ended normally goes on
        as long as something is settled every so many seconds. One whose body raised or was
        cancelled, and the program's end, have so many in all. What is left then goes to
        `dead_letter`, as `Undelivered`; the last fifth is kept for that. None: as `stop()` does
        without a timeout.""",
        20.0,
        tunable=True,
    )
    storage: Storage | SharedStorage | None = _option(
        or_none(STORAGE),
        """Where what is accepted waits: `storage.SQLite(path)` keeps it in a file, so that a write
        that has returned survives the process; `storage.Redis(url)` on a server, for many
        processes. None: in memory.""",
        None,
    )
    partition_key: object = _option(
        ANYTHING,
        """What decides an item's partition: a callable of the item (for a Map: of the key), or
        any other value, which sends everything to one partition. None: a Queue spreads writes
        over the partitions in turn, a Map goes by the key. See "Partitions" in the guide.""",
        None,
    )
    hooks: Collection[Hook] = _option(
        HOOKS, "Callables that receive every event of this buffer.", ()
    )
    clock: Clock = _option(
        CLOCK,
        "Tells the time; a `testing.FakeClock` lets tests run without sleeping.",
        SystemClock(),
        async_check=ASYNC_CLOCK,
    )
    remember_versions: int = _option(
        COUNT_OR_ZERO,
        """How many delivered keys per partition a Map remembers the version of (at least; at most
        twice as many), so that a late `put_newer` with an older one stays out. 0: only what is
        waiting or in flight is compared.""",
        100_000,
        only="Map",
    )

    merge: Callable[[Any, Any], Any] | None = _option(
        or_none(MERGE),
        """Makes one value of the one that waits and the one written over it, instead of the last
        write winning: `operator.add` makes counters. Called by the writer, without a lock, perhaps
        again if another write has come between: it should be free of side effects. What it raises
        comes out of that write, which was not made. Where a worker unites what failed with
        what came since, both stay then, and the older goes first; also where the outcome would be
        more than `max_bytes` has room for.""",
        None,
        only="Map",
    )

    @property
    def bounded(self) -> bool:
        """Whether there is a bound."""
        return self.max_size is not None or self.max_bytes is not None

    @property
    def is_shared(self) -> bool:
        """Whether what is accepted waits where many processes have it."""
        return isinstance(self.storage, SharedStorage)

    @property
    def keeps(self) -> bool:
        """Whether what an end has left stays in a store of this buffer."""
        return self.kept_in is not None

    @property
    def kept_in(self) -> Any:
        """The storage of which that goes; None if there is none."""
        return getattr(self.storage, "front", None) if self.is_shared else self.storage

    @property
    def last_resort(self) -> DeadLetterHandler | None:
        """Who gets what an end has left; nobody where it stays in a store."""
        return None if self.keeps else self.dead_letter

    @property
    def batch_size(self) -> int | None:
        """The size of a batch, None for the whole table."""
        return None if self.processing_batch_size == "table" else self.processing_batch_size

    def changed(self, options: Mapping[str, Any]) -> "Settings":
        """Return a copy with *options* replaced; they must be tunable."""
        tunable = {f.name for f in fields(Settings) if f.metadata.get("tunable")}
        elsewhere = "cannot be changed once there is a buffer; these can: "
        check_options(options, tunable, elsewhere + ", ".join(sorted(tunable)))
        return replace(self, **options)


def settings(kind: str, **options: Any) -> Settings:
    """
    Check all options of a new buffer of *kind*.

    Raises `InvalidOption`, `UnknownOption`.
    """
    name, processor = options["name"], options["processor"]
    if callable(name) and isinstance(processor, str):
        raise InvalidOption(
            f"{kind}(): the name comes first: {kind}({processor!r}, {shown(name)}, ...)"
        )
    check = "async_check" if kind.startswith("Async") else "check"
    sync = kind.removeprefix("Async")
    known = {f.name for f in fields(Settings) if f.metadata.get("only", sync) == sync}
    check_options(options, known, f"is one of a Map, not of {_a(kind)}", check)
    made = Settings(**options)
    check_together(made)
    partitions = made.partitions or (None if made.is_shared else usable_cpus())
    return replace(made, partitions=partitions, hooks=tuple(made.hooks))


def _a(kind: str) -> str:
    return f"an {kind}" if kind.startswith("A") else f"a {kind}"


def check_options(
    options: Mapping[str, object], known: set[str], elsewhere: str, how: str = "check"
) -> None:
    """
    Raise `UnknownOption` or `InvalidOption` for the first of *options* that is no good.

    *elsewhere* says of an option that there is, and is not *known* here, why not.
    """
    for option, value in options.items():
        declared = Settings.__dataclass_fields__.get(option)
        if declared is None:
            raise UnknownOption(unknown(option, known))
        if option not in known:
            raise UnknownOption(f"option {option!r} {elsewhere}")
        check: Check = declared.metadata.get(how, declared.metadata["check"])
        if not check.passes(value):
            raise InvalidOption(f"{option}={shown(value)}: expected {check.expected}{hint(value)}")
