"""Text for people: rich draws the tables if it is there and somebody looks, spaces do otherwise."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any


def printable(text: str) -> str:
    """Return *text*, which a file said, without what a terminal would obey."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def item_text(item: Any) -> str:
    """Return an item in short."""
    from ..storage.records import in_short  # noqa: PLC0415  # what shows no items goes without

    return printable(in_short(item))


def as_json(item: Any) -> Any:
    """Return *item* if JSON can hold it, and else its `repr()`."""
    try:
        json.dumps(item, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(item)
    return item


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand on the right."""
    if sys.stdout.isatty() and _drawn(columns, rows):
        return
    cells = [list(columns), *([_cell(each) for each in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    on_right = [all(isinstance(row[i], int) for row in rows) for i in range(len(columns))]
    for row in cells:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, on_right, strict=True)
        )
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Have rich print it; return whether it is there."""
    try:
        from rich.console import Console  # noqa: PLC0415  # only if it is there
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415
    except ImportError:
        return False
    drawn = Table()
    for place, column in enumerate(columns):
        are_numbers = all(isinstance(row[place], int) for row in rows)
        drawn.add_column(column, justify="right" if are_numbers else "left")
    for row in rows:
        drawn.add_row(*(Text(_cell(each)) for each in row))  # a Text is not read as markup
    Console().print(drawn)
    return True


def moment(seconds: float) -> str:
    """Return a time of the clock for people."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # a damaged one
        return f"{seconds} (seconds since 1970)"
