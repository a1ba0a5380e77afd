"""
What `flights.py` and its kin show while they run, and what they end with: rates, and costs, apart.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from partitioned_buffer.dashboard import serve

# --- while it runs -------------------------------------------------------------------------


class Show(NamedTuple):
    """What there is to see meanwhile, and where."""

    console: Console
    total: int
    page: bool


class Rate(ProgressColumn):
    """How fast a bar grows: over the last two seconds, and over all when it is full."""

    def render(self, task: Task) -> Text:
        """Return it as it is shown."""
        speed = task.speed or 0.0
        if task.finished_time:
            speed = task.completed / task.finished_time
        return Text(f"{speed:>9,.0f}/s", style="cyan")


class Bars(Progress):
    """What has been pushed, and what has been delivered of it."""

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:>9,.0f}"),
            Rate(),
            TextColumn("[dim]{task.fields[more]}"),
            console=console,
            speed_estimate_period=2.0,
        )
        self.rows = [self.add_task(name, total=total, more="") for name in ("pushed", "delivered")]

    def begin(self) -> None:
        """Count the time from here on."""
        for row in self.rows:
            self.reset(row)

    def show(self, pushed: int, delivered: int, age: float | None = None) -> None:
        """Move the bars to where the numbers say they are."""
        more = f"{pushed - delivered:,} held"
        if age is not None:
            more += f", the oldest for {age:.1f} s"
        for row, completed, text in zip(self.rows, (pushed, delivered), ("", more), strict=True):
            self.update(row, completed=completed, more=text)


@contextmanager
def page(wanted: bool, say: Callable[[str], object]) -> Iterator[None]:
    """Serve the page of the buffers that run meanwhile, if that is *wanted*, and *say* where."""
    if not wanted:
        yield
        return
    try:
        server = serve()
    except OSError:  # others have its port
        server = serve(port=0)
    with closing(server):
        say(f"The page of the buffers: [link]{server.url}[/link]")
        yield


def linger(wanted: bool, console: Console) -> None:
    """Let who looks at the page do so for as long as they want, if they can say how long."""
    if wanted and sys.stdin.isatty():
        console.input("All is delivered. The page stays until you press Enter. ")


# --- what it cost --------------------------------------------------------------------------


class Costs:
    """
    Seconds, by what they were spent on.

    By the CPU time of each thread, in which nobody has a part who waits for others: for a lock, or
    for Python's interpreter, which runs one thread at a time.
    """

    def __init__(self) -> None:
        self.seconds = defaultdict[str, float](float)
        self._lock, self._began = threading.Lock(), time.process_time()

    def add(self, what: str, seconds: float) -> None:
        """Count *seconds* that were spent on something."""
        with self._lock:
            self.seconds[what] += seconds

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Count what is spent in a block."""
        began = time.thread_time()
        yield
        self.add(what, time.thread_time() - began)

    def around(self, processor: Callable[[Any], object]) -> Callable[[Any], None]:
        """Count what *processor* spends as the database's, and all else of its thread as ours."""
        left = threading.local()

        def counted(batch: Any) -> None:
            entered = time.thread_time()
            self.add(DELIVERING, entered - getattr(left, "at", 0.0))
            try:
                processor(batch)
            finally:
                left.at = time.thread_time()
                self.add(DATABASE, left.at - entered)

        return counted

    def report(self, writes: int) -> tuple[Table, str]:
        """Say what all of it cost, of so many *writes*; and what of it the buffers."""
        whole, spent = time.process_time() - self._began, dict(self.seconds)
        spent[REST] = whole - sum(spent.values())
        table = Table("", "CPU", "per write", "share", title="What it cost")
        for what in (READING, PUSHING, DELIVERING, DATABASE, REST):
            seconds = spent[what]
            share = f"{seconds / whole:.1%}"
            table.add_row(what, f"{seconds:.2f} s", each(seconds, writes), share)
        for column in table.columns[1:]:
            column.justify = "right"
        ours, theirs = spent[PUSHING] + spent[DELIVERING], spent[DATABASE]
        return table, compared(ours, theirs, writes)


def each(seconds: float, writes: int) -> str:
    """Return what is spent per write."""
    return f"{1e6 * seconds / writes:.2f} µs"


def compared(ours: float, theirs: float, writes: int) -> str:
    """Say what a write cost the buffers, and the database."""
    share = ours / (ours + theirs)
    return (
        f"[bold]A write cost {each(ours, writes)} in the buffers ({share:.0%}), "
        f"{each(theirs, writes)} in the database ({1 - share:.0%})[/bold]"
    )


READING = "reading the flights"
PUSHING = "the buffers: pushing"
DELIVERING = "the buffers: delivering"
DATABASE = "the database, in the processors"
REST = "all else: this display"
