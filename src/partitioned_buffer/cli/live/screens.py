"""Shown as lines of text, or of JSON: to who reads it later, and to programs."""

import json
import sys
import time
from typing import Any, Protocol, Self

from .looks import COLUMNS, Look, look_of


class Screen(Protocol):
    """Where looks are shown."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *_: object) -> None:
        """End."""

    def show(self, said: dict[str, Any]) -> None:
        """Show what the page has said."""

    def gone(self, why: str) -> None:
        """Say that the page does not answer, and that it is asked again."""

    def wait(self, seconds: float) -> bool:
        """Wait for the next look; return whether somebody wants to end."""
        ...


class _Printed:
    """What is printed, look by look; that the page is gone is said on stderr, once."""

    def __init__(self) -> None:
        self._is_gone = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing has to be undone."""

    def show(self, said: dict[str, Any]) -> None:
        if self._is_gone:
            _complain("It answers again.")
        self._is_gone = False
        sys.stdout.write(self._text(said))
        sys.stdout.flush()

    def _text(self, said: dict[str, Any]) -> str:
        raise NotImplementedError

    def gone(self, why: str) -> None:
        if not self._is_gone:
            _complain(f"{why}. It is asked again and again.")
        self._is_gone = True

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False


class Lines(_Printed):
    """A table of spaces."""

    def __init__(self) -> None:
        super().__init__()
        self._is_first = True

    def _text(self, said: dict[str, Any]) -> str:
        before, self._is_first = "" if self._is_first else "\n", False
        return before + "".join(f"{line}\n" for line in lines_of(look_of(said)))


class Json(_Printed):
    """What the page has said, in a line."""

    def _text(self, said: dict[str, Any]) -> str:
        return f"{json.dumps(said)}\n"


def lines_of(look: Look) -> list[str]:
    """Return *look* as text."""
    if not look.rows:
        return [look.head]
    head = ("name", "state", *COLUMNS)
    cells = [head, *((row.name, ", ".join(row.states), *row.numbers) for row in look.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [look.head, *(_line(row, widths) for row in cells)]


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left, right = zip(cells[:2], widths[:2], strict=True), zip(cells[2:], widths[2:], strict=True)
    words = [*(cell.ljust(width) for cell, width in left)]
    return "  ".join([*words, *(cell.rjust(width) for cell, width in right)])


def _complain(text: str) -> None:
    sys.stderr.write(f"partitioned-buffer top: {text}\n")
    sys.stderr.flush()
