"""`top` on a terminal: drawn on the alternate screen, which is given back however it ends."""

import io
import os
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pages import Page, answer, buffer, page

pytest.importorskip("rich")
pty = pytest.importorskip("pty")

from rich.console import Console  # noqa: E402  # only if it is there

from partitioned_buffer.cli.live.drawing import LEFT_OUT, STYLES, drawn_of  # noqa: E402
from partitioned_buffer.cli.live.looks import COLUMNS, STATES, Look, look_of  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

MAIN = "from partitioned_buffer.cli.main import main; main({typed!r})"
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A program that runs on one."""

    def __init__(self, *typed: str) -> None:
        self.said = ""
        self.pid, self._file = pty.fork()
        if not self.pid:
            environment = {**os.environ, "COLUMNS": "120", "LINES": "20", "TERM": "xterm"}
            text = MAIN.format(typed=[*typed])
            os.execve(sys.executable, [sys.executable, "-c", text], environment)
        self.before = termios.tcgetattr(self._file)[3]

    def reads(self, words: str | Callable[[], bool]) -> None:
        """Read until there are these words, or that is so."""
        end = time.monotonic() + 30
        while not (words() if callable(words) else words in self.said):
            assert time.monotonic() < end, self.said
            if select.select([self._file], [], [], 0.1)[0]:
                self.said += os.read(self._file, 1 << 16).decode()

    def types(self, text: str) -> None:
        os.write(self._file, text.encode())

    def ended(self) -> int:
        """Return the exit code."""
        with suppress(OSError):  # how Linux says that it has ended
            while more := os.read(self._file, 1 << 16):
                self.said += more.decode()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.after = termios.tcgetattr(self._file)[3]
        os.close(self._file)
        return code


@pytest.fixture
def served() -> Iterator[Page]:
    with page(answer(buffer("[bold]events", "outage", held=12), buffer("\x1b[31mred"))) as here:
        yield here


@pytest.mark.parametrize(
    ("end", "code"), [("q", 0), ("\x03", 130), (signal.SIGTERM, 143)], ids=["q", "ctrl-c", "term"]
)
def test_it_is_drawn_and_given_back(served: Page, end: Any, code: int) -> None:
    top = Terminal("top", served.url, "--every", "60")
    top.reads("q or Ctrl-C ends")
    if isinstance(end, str):
        top.types(end)
    else:
        os.kill(top.pid, end)

    assert top.ended() == code
    assert top.said.index(ENTER) < top.said.index("[bold]events") < top.said.rindex(LEAVE)
    assert "\\x1b[31mred" in top.said
    assert "\x1b[31mred" not in top.said
    assert "━" in top.said or "─" in top.said
    assert top.after == top.before


def test_keys_that_mean_nothing_do_nothing(served: Page) -> None:
    top = Terminal("top", served.url, "--every", "0.2")
    top.reads("q or Ctrl-C ends")
    top.types("abc\x1b[A")
    before = len(served.asked)
    top.reads(lambda: len(served.asked) > before + 2)
    top.types("Q")
    assert top.ended() == 0


def test_who_goes_away_is_said_and_comes_back() -> None:
    with page(answer(buffer("events"))) as first:
        top = Terminal("top", first.url, "--every", "0.1")
        top.reads("q or Ctrl-C ends")
        port = int(first.url.split(":")[2].partition("/")[0])
    top.reads("It is asked again and again")
    top.said = ""
    with page(answer(buffer("returned")), port) as second:
        top.reads("returned")
        top.said = ""
        top.reads(lambda: len(second.asked) > 2)
    assert "It is asked again" not in re.sub(".*returned", "", top.said)
    top.types("q")
    assert top.ended() == 0


def test_once_leaves_what_it_says_on_the_terminal(served: Page) -> None:
    top = Terminal("top", served.url, "--once")
    assert top.ended() == 0
    assert ENTER not in top.said
    assert "[bold]events" in top.said


# --- what is drawn -------------------------------------------------------------------------------


def drawn(look: Look, why: str = "", width: int = 140, height: int = 24) -> str:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(drawn_of(look, why, 2.0, width, height))
    return console.export_text()


MANY = look_of(answer(*(buffer(f"buffer-{n:03}", held=1234567, p99=1.0) for n in range(1000))))


@pytest.mark.parametrize("why", ["", "It is away."])
@pytest.mark.parametrize("height", [10, 24, 60])
def test_a_thousand_fit_any_height(height: int, why: str) -> None:
    text = drawn(MANY, why, height=height).rstrip("\n")
    assert len(text.splitlines()) <= height
    left = re.search(r"and (\d+) more, which are no worse", text)
    assert left is not None
    assert int(left[1]) + text.count("buffer-") == 1000
    assert ("It is away." in text) is bool(why)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_columns_fit_any_width(width: int) -> None:
    text = drawn(MANY, width=width, height=10)
    row = next(line for line in text.splitlines() if "buffer-000" in line)
    shown = [name for name in COLUMNS if name in text.splitlines()[2].split()]
    assert "flowing" in row
    assert ("1,234,567" in row) is ("held" in shown)
    assert "waiting" in shown
    assert len(shown) == len(re.split("  +", row.strip())) - 2
    assert width < 140 or shown == [*COLUMNS]


def test_tables_of_words_agree() -> None:
    assert set(STYLES) == set(STATES)
    assert {*LEFT_OUT, "waiting"} == set(COLUMNS)
