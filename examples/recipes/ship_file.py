"""
Ship a file, line by line, with progress; killed at any point, go on from what was delivered.

    python ship_file.py lines.txt shipped.txt

How far all is delivered is in `shipped.txt.offset`. A line may come twice that was delivered after
that was written last; none is left out.
"""

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from partitioned_buffer import Queue
from partitioned_buffer.dead_letters import DeadLetterFile

EVERY = float(os.environ.get("EVERY", "0.2"))  # seconds between two looks at how far it is


class Line(NamedTuple):
    """A line, and where in the file it begins."""

    at: int
    text: str


def ship(source: Path, shipped: Path) -> None:
    """Ship what has yet to be."""
    mark, size = shipped.with_name(f"{shipped.name}.offset"), source.stat().st_size

    def deliver(batch: list[Line]) -> None:  # or: send it anywhere
        with shipped.open("ab", buffering=0) as file:
            file.write("".join(line.text for line in batch).encode())

    letters = DeadLetterFile(shipped.with_name(f"{shipped.name}.refused"))
    queue: Queue[Line] = Queue(
        "lines", deliver, partitions=4, processing_batch_size=500, flush_at=500,
        max_size=20_000, dead_letter=letters,
    )  # fmt: skip
    with source.open("rb") as file, queue:
        at = file.seek(int(mark.read_text()) if mark.exists() else 0)
        due = time.monotonic()
        for line in file:
            queue.push(Line(at, line.decode()))  # waits while 20,000 are on their way
            at += len(line)
            if time.monotonic() >= due:
                note(mark, queue, at, size)
                due = time.monotonic() + EVERY
        queue.flush()
        note(mark, queue, at, size)


def note(mark: Path, queue: Queue[Line], read: int, size: int) -> None:
    """Write down before which place all is settled, and say so."""
    settled = min((line.at for line in queue.oldest()), default=read)
    beside = mark.with_suffix(".new")
    beside.write_text(str(settled))
    beside.replace(mark)  # whole, whenever it is killed
    stats = queue.stats()
    sys.stderr.write(f"{settled / max(1, size):6.1%}, {stats.rates.out_10s:,.0f} lines/s\n")


if __name__ == "__main__":
    ship(Path(sys.argv[1]), Path(sys.argv[2]))
