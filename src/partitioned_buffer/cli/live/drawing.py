"""The whole terminal, drawn by rich: as many buffers as there is room for, a key to end."""

import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .looks import COLUMNS, Look, Row, look_of

STYLES = {
    "silent": "bold red",
    "stopped": "bold red",
    "away": "bold red",
    "outage": "bold red",
    "stalled": "bold red",
    "full": "bold yellow",
    "failing": "bold yellow",
    "behind": "yellow",
    "flowing": "green",
    "idle": "dim",
}
LEFT_OUT = ("p50", "held", "failed/s", "p99", "dead", "out/s", "dropped", "in/s", "oldest")
"""What goes first where a terminal is narrow."""
NAME = 24
"""Columns that a name has at least, if it is that long."""
GAP = 3
"""Between two columns."""
AROUND = 7
"""Lines that are not rows."""


class Drawn:
    """The alternate screen of a terminal."""

    def __init__(self, every: float, console: Console | None = None) -> None:
        self._console = Console() if console is None else console
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._keys, self._every = _Keys(), every
        self._look, self._why = Look("", []), ""

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _end)  # not without giving the terminal back
        self._keys.open()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._keys.close()

    def show(self, said: dict[str, Any]) -> None:
        """Show what the page has said."""
        self._look, self._why = look_of(said), ""
        self._draw()

    def gone(self, why: str) -> None:
        """Leave the last look there, and say that it is old."""
        self._why = f"{why}. It is asked again and again; this was its last answer."
        self._draw()

    def wait(self, seconds: float) -> bool:
        """Wait for the next look, or for a key; return whether that was q."""
        return self._keys.wait(seconds)

    def _draw(self) -> None:
        size = self._console.size
        drawn = drawn_of(self._look, self._why, self._every, size.width, size.height)
        self._live.update(drawn, refresh=True)


def drawn_of(look: Look, why: str, every: float, width: int, height: int) -> Group:
    """Return what is drawn: texts and cells are never read as markup."""
    said = 1 + len(why) // width + 1 if why else 0
    shown = look.rows[: max(1, height - AROUND - said)]
    table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("name", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("state", no_wrap=True)
    columns = _fitting(shown, width)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    places = [[*COLUMNS].index(name) for name in columns]
    for row in shown:
        state = Text(", ").join(Text(each, STYLES.get(each, "")) for each in row.states)
        cells = [Text(row.numbers[place]) for place in places]
        table.add_row(Text(row.name), state, *cells, style="dim" if why else "")
    parts: list[Text | Table] = [Text(look.head, "bold", no_wrap=True, overflow="ellipsis"), table]
    if left := len(look.rows) - len(shown):
        parts.append(Text(f"... and {left:,} more, which are no worse.", "dim"))
    parts += [Text(why, "bold red")] if why else []
    parts.append(Text(f"Each {every:g} s; q or Ctrl-C ends.", "dim"))
    return Group(*parts)


def _fitting(rows: list[Row], width: int) -> list[str]:
    """Return the columns that there is room for."""
    widths = {
        name: GAP + max([len(name), *(len(row.numbers[place]) for row in rows)])
        for place, name in enumerate(COLUMNS)
    }
    name = min(NAME, max((len(row.name) for row in rows), default=0))
    state = max((len(", ".join(row.states)) for row in rows), default=0)
    room = width - 2 - name - GAP - state
    for column in LEFT_OUT:
        if sum(widths.values()) > room:
            del widths[column]
    return [*widths]


class _Keys:
    """What is typed, where there is a keyboard that can be asked."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._before: list[Any] = []

    def open(self) -> None:
        with suppress(ImportError, OSError, ValueError):
            import termios  # noqa: PLC0415  # not on every system
            import tty  # noqa: PLC0415

            file = sys.stdin.fileno()
            with suppress(termios.error):
                self._before = termios.tcgetattr(file)
                tty.setcbreak(file)
                self._file = file

    def close(self) -> None:
        if self._before:
            import termios  # noqa: PLC0415  # it is there

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> bool:
        """Wait so long, or for a key; return whether that was q."""
        end = time.monotonic() + seconds
        while self._file is not None and (left := end - time.monotonic()) > 0:
            if select.select([self._file], [], [], left)[0]:
                typed = os.read(self._file, 100)
                if b"q" in typed.lower():
                    return True
                if not typed:  # nobody can type any more
                    self._file = None
        time.sleep(max(0.0, end - time.monotonic()))
        return False


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)
