"""What options take: tests of values, with the words for when they fail."""

import inspect
import math
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

_MOST = int(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class Check:
    """What an option takes, in words and as a test."""

    expected: str
    passes: Callable[[Any], bool]


def _is_int(value: Any) -> bool:
    # What no C number holds is no size of anything, and no slice or range takes it.
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= sys.maxsize


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return True
    # An int may be too large for a float, which all that is done with seconds ends in.
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST


def _is_inf(value: object) -> bool:
    return isinstance(value, float) and value == math.inf


def _is_errors(value: Any) -> bool:
    types = value if isinstance(value, tuple) else (value,)
    return all(isinstance(t, type) and issubclass(t, BaseException) for t in types)


def is_coroutine_function(value: Any) -> bool:
    """Return whether calling *value* takes an event loop."""
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
        getattr(value, "__call__", value)
    )


def is_generator_function(value: Any) -> bool:
    """Return whether calling *value* runs nothing of it, and makes a generator."""
    return any(
        test(function)
        for function in (value, getattr(value, "__call__", value))
        for test in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    )


def is_function(value: Any) -> bool:
    """Return whether *value* does something when it is called, or awaited."""
    return callable(value) and not is_generator_function(value)


def is_plain_function(value: Any) -> bool:
    """Return whether *value* can be called without an event loop."""
    return is_function(value) and not is_coroutine_function(value)


def _has(value: Any, *methods: str) -> bool:
    return all(callable(getattr(value, name, None)) for name in methods)


def or_none(check: Check) -> Check:
    """Also take None."""
    return Check(f"{check.expected}, or None", lambda v: v is None or check.passes(v))


def one_of(*values: str) -> Check:
    """Take one of a few texts."""
    return Check(f"one of {', '.join(map(repr, values))}", lambda v: v in values)


_PLAIN = "(a coroutine function cannot run in a thread: see AsyncQueue and AsyncMap)"

ANYTHING = Check("anything", lambda _: True)
NAME = Check("a text of at least one character", lambda v: isinstance(v, str) and v != "")
PROCESSOR = Check(f"a plain function of one batch {_PLAIN}", is_plain_function)
ASYNC_PROCESSOR = Check("a function of one batch, plain or a coroutine function", is_function)
HANDLER = Check(f"a plain function of items, error and attempts {_PLAIN}", is_plain_function)
ASYNC_HANDLER = Check(
    "a function of items, error and attempts, plain or a coroutine one", is_function
)
MERGE = Check("a plain function of the old and the new value", is_plain_function)
SIZE_OF = Check("a plain function that returns a number of bytes", is_plain_function)
COUNT = Check("a whole number from 1", lambda v: _is_int(v) and v >= 1)
COUNT_OR_INF = Check("a whole number from 1, or math.inf", lambda v: COUNT.passes(v) or _is_inf(v))
COUNT_OR_ZERO = Check("a whole number from 0", lambda v: _is_int(v) and v >= 0)
BATCH_SIZE = Check('a whole number from 1, or "table"', lambda v: v == "table" or COUNT.passes(v))
SECONDS = Check("a finite number of seconds above 0", lambda v: _is_number(v) and 0 < v < math.inf)
TIMEOUT = Check("a number of seconds from 0", lambda v: _is_number(v) and v >= 0)
FRACTION = Check("a fraction from 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1)
FACTOR = Check("a finite number from 1", lambda v: _is_number(v) and 1 <= v < math.inf)
WAIT = Check("a finite number of seconds from 0", lambda v: _is_number(v) and 0 <= v < math.inf)
FLAG = Check("True or False", lambda v: isinstance(v, bool))
ERRORS = Check("an exception type, or a tuple of them", _is_errors)
HOOKS = Check(
    "plain functions that take an event, in a list or tuple",
    lambda v: isinstance(v, Collection) and all(map(is_plain_function, v)),
)
STORAGE = Check(
    "a Storage, as storage.SQLite(path)",
    lambda v: (_has(v, "open", "hash") or _has(v, "share", "hash")) and not isinstance(v, type),
)
CLOCK = Check("a Clock, as in `abc`", lambda v: _has(v, "monotonic", "time", "signal"))
ASYNC_CLOCK = Check(
    "an AsyncClock, as in `abc`", lambda v: _has(v, "monotonic", "time", "async_signal")
)
