"""What the source of the twin says of its steps."""

import inspect
from functools import cache
from types import CodeType


def zones(source: str) -> list[range]:
    """Return the lines of each zone of *source*."""
    found, start = [], None
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip() == "# zone":
            assert start is None, f"a zone in a zone, in line {number}"
            start = number
        elif line.strip() == "# end":
            assert start is not None, f"no zone ends in line {number}"
            found.append(range(start, number))
            start = None
    assert start is None, "a zone without an end"
    return found


@cache
def locked(code: CodeType) -> set[int]:
    """Return the lines of *code*'s file that are run with a lock in hand: only tracers see them."""
    lines = inspect.findsource(code)[0]
    # From `try:` to what frees the lock.
    return {line for zone in zones("".join(lines)) for line in range(zone.start - 1, zone.stop + 3)}
