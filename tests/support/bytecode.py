"""What the source of the twin says of its steps."""

import inspect
from functools import cache
from types import CodeType


def zones(source: str) -> list[range]:
    """Return the lines of each zone of *source*, in which it has taken the lock."""
    found, start = [], None
    lines = [line.strip() for line in source.splitlines()]
    for number, line in enumerate(lines, 1):
        if line == "_ = lock.take":
            assert start is None, f"a zone in a zone, in line {number}"
            assert lines[number] == "try:", f"what follows line {number} may leave the lock taken"
            start = number + 1
        elif line == "_ = lock.free":
            assert start is not None, f"no zone ends in line {number}"
            assert lines[number - 2] == "finally:", f"line {number} may be left out"
            found.append(range(start, number - 1))
            start = None
    assert start is None, "a zone without an end"
    return found


@cache
def locked(code: CodeType) -> set[int]:
    """Return the lines of *code*'s file that are run with a lock in hand: only tracers see them."""
    lines = inspect.findsource(code)[0]
    # From `try:` to what frees the lock.
    return {line for zone in zones("".join(lines)) for line in range(zone.start, zone.stop + 2)}
