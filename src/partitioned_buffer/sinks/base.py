"""
What sinks share: a life that a `with` block ends, and options that are checked.

Not a base that a sink has to have: `abc.Sink` says what that is.
"""

import math
from importlib import import_module
from typing import Any, Self

from ..errors import InvalidOption


class Closing:
    """Is closed at the end of a `with` block: enter the buffer after it, which so ends first."""

    def close(self) -> None:
        """Let go of what was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClosing:
    """The same for what runs on an event loop."""

    async def close(self) -> None:
        """Let go of what was opened."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def expect(passes: object, name: str, value: object, expected: str) -> None:
    """Raise `InvalidOption` unless it *passes*."""
    if not passes:
        raise InvalidOption(f"{name}={value!r}: expected {expected}")


def expect_name(name: str, value: Any) -> None:
    """Raise `InvalidOption` unless *value* can be the name of something."""
    is_name = isinstance(value, str) and value != "" and "\0" not in value
    expect(is_name, name, value, "a name, a text of at least one character")


def expect_seconds(name: str, value: Any) -> None:
    """Raise `InvalidOption` unless *value* is a time limit."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    expect(is_number and 0 < value < math.inf, name, value, "a finite number of seconds above 0")


def expect_count(name: str, value: Any, *, or_none: bool = False) -> None:
    """Raise `InvalidOption` unless *value* is a number of things."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    words = "a whole number from 1" + (", or None" if or_none else "")
    expect(is_count or (or_none and value is None), name, value, words)


def expect_flag(name: str, value: object) -> None:
    """Raise `InvalidOption` unless *value* is a truth value."""
    expect(isinstance(value, bool), name, value, "True or False")


def imported(sink: str, extra: str, *names: str) -> Any:
    """Return the first of some modules, of which a client is made, or say how it is had."""
    try:
        modules = [import_module(name) for name in names]
    except ImportError as error:
        package = names[0].partition(".")[0]
        raise ImportError(
            f"{sink} is built on {package}: pip install 'partitioned-buffer[{extra}]'"
        ) from error
    return modules[0]
