"""What the page of a process says of each buffer, as text. Nothing of it is trusted."""

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..text import printable

STATES = (
    "silent",
    "stopped",
    "away",
    "outage",
    "stalled",
    "full",
    "failing",
    "behind",
    "flowing",
    "idle",
)
"""In a word, how a buffer does, as the page says; the worst first."""

LONGEST_NAME = 60

_HUGE = 10**18


class Row(NamedTuple):
    """A buffer."""

    name: str
    states: tuple[str, ...]
    """The worst first, as in `STATES`."""
    numbers: tuple[str, ...]
    """By `COLUMNS`."""
    held: float


class Look(NamedTuple):
    """All buffers of a process, at one moment; the worst first."""

    head: str
    rows: list[Row]


def look_of(said: dict[str, Any]) -> Look:
    """Return what is shown of an answer."""
    rows = sorted((_row(each) for each in said["buffers"]), key=_place)
    count = Counter(row.states[0] for row in rows)
    states = ", ".join(f"{count[each]} {each}" for each in sorted(count, key=_severity))
    many = f"{len(rows):,} buffer{'' if len(rows) == 1 else 's'}"
    how = f"{many}: {states}" if rows else "no buffer runs"
    return Look(f"{_moment(said.get('at'))} {how}; {_process(said)}", rows)


def _row(buffer: dict[str, Any]) -> Row:
    stats, states = _dict(buffer.get("stats")), _states(buffer)
    held = _number(stats.get("held"))
    numbers = tuple(text(_found(stats, path)) for path, text in COLUMNS.values())
    return Row(_text(buffer.get("name")), states, numbers, held or 0)


def _states(buffer: dict[str, Any]) -> tuple[str, ...]:
    """Return what is to be said of it; that it goes well, if nothing else is."""
    said = buffer.get("states")
    found = [each for each in STATES if isinstance(said, list) and each in said]
    trouble = [each for each in found if each not in ("flowing", "idle")]
    return tuple(trouble or found) or ("?",)


def _text(value: object) -> str:
    text = printable(value if isinstance(value, str) else "?")
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def _place(row: Row) -> tuple[int, float, str]:
    return _severity(row.states[0]), -row.held, row.name


def _severity(state: str) -> int:
    return STATES.index(state) if state in STATES else -1


def _process(said: dict[str, Any]) -> str:
    process, at = _dict(said.get("process")), _number(said.get("at"))
    pid, started = _number(process.get("pid")), _number(process.get("started"))
    text = f"process {'?' if pid is None else f'{pid:.0f}'} on {_text(process.get('host'))}"
    if at is not None and started is not None:
        text += f", up {seconds(max(0.0, at - started))}"
    return text


def _moment(value: object) -> str:
    if (at := _number(value)) is None:
        return "?"
    try:
        return f"{datetime.fromtimestamp(at, UTC).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "?"


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _found(stats: dict[str, Any], path: str) -> float | None:
    outer, _, inner = path.rpartition(".")
    return _number((_dict(stats.get(outer)) if outer else stats).get(inner))


def _number(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_one or not isinstance(value, int | float):
        return None
    return value if -_HUGE < value < _HUGE and math.isfinite(value) else None


# --- numbers as text ---------------------------------------------------------------------


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"


def _rate(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 10 or number == 0 else f"{number:.1f}"


def seconds(number: float | None) -> str:
    """Return how long that is, in two or three digits."""
    if number is None:
        return "-"
    for below, unit, factor in ((0.9995, "ms", 1e3), (99.5, "s", 1.0), (5970, "min", 1 / 60)):
        if number < below:
            there = number * factor
            return f"{there:.0f} {unit}" if there >= 9.95 or not there else f"{there:.1f} {unit}"
    hours = number / 3600
    return f"{hours:.0f} h" if hours < 99.5 else f"{hours / 24:,.0f} d"


COLUMNS: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "in/s": ("rates.in_10s", _rate),
    "out/s": ("rates.out_10s", _rate),
    "waiting": ("waiting", _count),
    "oldest": ("oldest_age", seconds),
    "p50": ("p50", seconds),
    "p99": ("p99", seconds),
    "failed/s": ("rates.failed_10s", _rate),
    "dropped": ("dropped", _count),
    "dead": ("dead_lettered", _count),
    "held": ("held", _count),
}
"""Beside name and state: where each is in `stats().as_dict()`, and how it is shown."""
