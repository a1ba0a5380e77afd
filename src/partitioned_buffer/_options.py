"""
Every option once: its type, default, check and documentation.

`Settings` is the declaration; `Options` and its kin repeat only names and types,
because that is how Python spells typed keyword arguments (a test holds the two
together). The reference page is generated from the declaration.
"""

import difflib
import inspect
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypedDict

from ._clock import SystemClock
from .abc import Clock, Hook
from .errors import InvalidOption, UnknownOption

BatchSize = int | Literal["table"]


class Tunable(TypedDict, total=False):
    """Options that `update_options()` takes."""

    processing_interval: float
    processing_batch_size: BatchSize
    processing_timeout: float
    flush_at: int | None


class CommonOptions(TypedDict, total=False):
    """Options of both kinds, apart from those whose types depend on what is buffered."""

    partitions: int | None
    processing_interval: float
    processing_timeout: float
    flush_at: int | None
    hooks: Collection[Hook]
    clock: Clock


class MapOptions(CommonOptions, total=False):
    """Options of a Map."""

    remember_versions: int


def usable_cpus() -> int:
    """Count the CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Check:
    """What an option takes, in words and as a test."""

    expected: str
    passes: Callable[[Any], bool]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return (_is_int(value) or isinstance(value, float)) and 0 < value < math.inf  # type: ignore[operator]  # a number by now


def _is_hooks(value: object) -> bool:
    return isinstance(value, Collection) and all(map(callable, value))


_name = Check("a text of at least one character", lambda v: isinstance(v, str) and v != "")
_processor = Check(
    "a plain function of one batch (a coroutine function cannot run in a thread)",
    lambda v: (
        callable(v)
        and not inspect.iscoroutinefunction(getattr(v, "__call__", v))
        and not inspect.iscoroutinefunction(v)
    ),
)
_count = Check("a whole number from 1", lambda v: _is_int(v) and v >= 1)
_count_or_none = Check("a whole number from 1, or None", lambda v: v is None or _count.passes(v))
_count_or_zero = Check("a whole number from 0", lambda v: _is_int(v) and v >= 0)
_batch_size = Check('a whole number from 1, or "table"', lambda v: v == "table" or _count.passes(v))
_seconds = Check("a finite number of seconds above 0", _is_seconds)
_anything = Check("anything", lambda _: True)
_hooks = Check("callables that take an event, in a list or tuple", _is_hooks)
_clock = Check(
    "a Clock, as in `abc`",
    lambda v: all(callable(getattr(v, name, None)) for name in ("monotonic", "time", "signal")),
)


def _option(check: Check, doc: str, default: Any = ..., **also: Any) -> Any:
    metadata = {"check": check, "doc": inspect.cleandoc(doc), **also}
    if default is ...:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one buffer, checked."""

    name: str = _option(
        _name, "Names the buffer: unique among the running ones, found by `get(name)`."
    )
    processor: Callable[[Any], object] = _option(
        _processor,
        """Takes a batch to its destination. Each partition calls it from its own thread. What it
        returns is ignored; when it raises, the batch stays and is tried again.""",
    )
    partitions: int | None = _option(
        _count_or_none,
        """How many table pairs, workers and orders there are. One keeps all items in one order;
        more let as many calls of the processor run at once. None: as many as usable CPUs.""",
        None,
    )
    processing_interval: float = _option(
        _seconds,
        """Seconds from the beginning of one processing cycle of a partition to the next. A cycle
        that takes longer is followed by the next one at once.""",
        5.0,
        tunable=True,
    )
    processing_batch_size: BatchSize = _option(
        _batch_size,
        """How many items a processor gets at most per call; `"table"` gives it all that a cycle
        took in one container (`list`, or `dict` of key to `Entry`). The container is the
        processor's own, to keep or to change.""",
        10,
        tunable=True,
    )
    processing_timeout: float = _option(
        _seconds,
        """Seconds that `stop()` without a timeout of its own waits for one call of the
        processor. A thread cannot be killed: when the time is over, `stop()` reports what is
        left and leaves the call behind.""",
        60.0,
        tunable=True,
    )
    flush_at: int | None = _option(
        _count_or_none,
        """How many items waiting in a partition start a processing cycle before the interval is
        over. None: only the interval does.""",
        None,
        tunable=True,
    )
    partition_key: object = _option(
        _anything,
        """What decides an item's partition: a callable of the item (for a Map: of the key), or
        any other value, which sends everything to one partition. None: a Queue spreads writes
        over the partitions in turn, a Map goes by the key. See "Partitions" in the guide.""",
        None,
    )
    hooks: Collection[Hook] = _option(
        _hooks, "Callables that receive every event of this buffer.", ()
    )
    clock: Clock = _option(
        _clock,
        "Tells the time; a `testing.FakeClock` lets tests run without sleeping.",
        SystemClock(),
    )
    remember_versions: int = _option(
        _count_or_zero,
        """How many delivered keys per partition a Map remembers the version of (at least; at most
        twice as many), so that a late `put_newer` with an older one stays out. 0: only what is
        waiting or in flight is compared.""",
        100_000,
        only="Map",
    )

    @property
    def batch_size(self) -> int | None:
        """The size of a batch, None for the whole table."""
        return None if self.processing_batch_size == "table" else self.processing_batch_size

    def changed(self, options: Mapping[str, Any]) -> "Settings":
        """Return a copy with *options* replaced; they must be tunable."""
        check_options(options, {f.name for f in fields(Settings) if f.metadata.get("tunable")})
        return replace(self, **options)


def settings(kind: str, **options: Any) -> Settings:
    """
    Check all options of a new buffer of *kind*.

    Raises `InvalidOption`, `UnknownOption`.
    """
    known = {f.name for f in fields(Settings) if f.metadata.get("only", kind) == kind}
    check_options(options, known)
    made = Settings(**options)
    return replace(made, partitions=made.partitions or usable_cpus(), hooks=tuple(made.hooks))


def check_options(options: Mapping[str, object], known: set[str]) -> None:
    """Raise `UnknownOption` or `InvalidOption` for the first of *options* that is no good."""
    for option, value in options.items():
        if option not in known:
            raise UnknownOption(_unknown(option, known))
        check: Check = Settings.__dataclass_fields__[option].metadata["check"]
        if not check.passes(value):
            raise InvalidOption(f"{option}={value!r}: expected {check.expected}")


def _unknown(option: str, known: set[str]) -> str:
    near = difflib.get_close_matches(option, known, 1)
    if near:
        return f"unknown option {option!r}: did you mean {near[0]!r}?"
    return f"unknown option {option!r}: expected one of {', '.join(sorted(known))}"
