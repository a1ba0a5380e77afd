"""
Many processes, without a server: each has a file of its own, and delivers what is in it.

    python processes_files.py 400

A file belongs to a place, not to a process: who takes a place delivers what was left there, by
whoever was killed.
"""

import multiprocessing
import os
import sys

from partitioned_buffer import Queue, StorageBusy
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.storage import SQLite

PLACES = 2
DATABASE = os.environ.get("DATABASE", "results.db")


# All write to one database, in turn; what comes twice is there once.
table = SQLiteTable(DATABASE, "results", ["number", "square"], key=["number"], create=True)


def take_place() -> Queue[tuple[int, int]]:
    """Open the first file that nobody has."""
    for place in range(2 * PLACES):  # who was killed has left his; who ends may have it for a while
        storage = SQLite(f"{DATABASE}-buffer-{place}")
        try:
            return Queue("results", table, partitions=1, storage=storage).start()
        except StorageBusy:
            continue
    raise RuntimeError("more processes than places")


def work(numbers: list[int]) -> None:
    """Do the work of one process."""
    results = take_place()
    for number in numbers:
        results.push((number, number * number))
    results.stop()


def main(count: int) -> None:
    """Have it done, and deliver what others have left."""
    for place in range(2 * PLACES):
        if os.path.exists(f"{DATABASE}-buffer-{place}"):  # noqa: PTH110  # a text, as all others
            storage = SQLite(f"{DATABASE}-buffer-{place}")
            Queue("results", table, partitions=1, storage=storage).start().stop()
    spawn = multiprocessing.get_context("spawn")
    parts = [list(range(place, count, PLACES)) for place in range(PLACES)]
    processes = [spawn.Process(target=work, args=(part,)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in processes))


if __name__ == "__main__":
    main(int(sys.argv[1]))
