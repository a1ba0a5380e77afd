"""Tables for the page: ratios of one round each, and beside them the figures."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

Rounds = list[dict[str, float]]


class Mark(NamedTuple):
    """What is looked at, in which figures, and what it is to be at least, or at most."""

    name: str
    subject: str
    base: str | None
    mark: float
    is_most: bool = False

    def values(self, rounds: Rounds) -> list[float]:
        return [
            found[self.subject] / (1 if self.base is None else found[self.base]) for found in rounds
        ]


def marks(each: Sequence[tuple[Mark, Rounds]]) -> str:
    """Show the least, the median and the greatest of each, and what was aimed at."""
    lines = ["| | min | median | max | mark |", "|---|--:|--:|--:|--:|"]
    for mark, rounds in each:
        values = mark.values(rounds)
        numbers = min(values), statistics.median(values), max(values)
        shown = " | ".join(f"{number:,.{_digits(mark.mark)}f}" for number in numbers)
        sign = "≤" if mark.is_most else "≥"
        lines.append(f"| {mark.name} | {shown} | {sign} {mark.mark:g} |")
    return "\n".join([*lines, ""])


def _digits(mark: float) -> int:
    return 0 if mark >= 100 else 2


def figures(rounds: Rounds, names: dict[str, str], unit: str, digits: int = 0) -> str:
    """Show medians of what has these *names*, and the ends."""
    lines = [f"| {unit} | min | median | max |", "|---|--:|--:|--:|"]
    for key, name in names.items():
        values = [found[key] for found in rounds]
        numbers = min(values), statistics.median(values), max(values)
        shown = " | ".join(f"{number:,.{digits}f}" for number in numbers)
        lines.append(f"| {name} | {shown} |")
    return "\n".join([*lines, ""])
