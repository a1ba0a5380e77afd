"""
What a child process does to a journal, and notes: before each call what it asks for, and after it
that it has returned.

    python power_work.py FOLDER SEED STEPS FSYNC
"""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any, Literal

from partitioned_buffer.storage.sqlite import Journal, ballast, reclaiming, slots

PARTITIONS = 3
SIZES = (12, 60, 300)


def record(serial: int, position: int, size: int) -> bytes:
    """Return the record that the call with that number puts at *position*."""
    head = serial.to_bytes(4, "big") + position.to_bytes(8, "big")
    return head + bytes([(serial + position) % 256]) * (size - len(head))


def records(serial: int, first: int, count: int, size: int) -> bytes:
    return b"".join(record(serial, each, size) for each in range(first, first + count))


class Work:
    """A journal in *folder*, and what is done to it."""

    def __init__(self, folder: Path, seed: int, fsync: Literal["commit", "os"]) -> None:
        self._path, self._fsync = folder / "events.db", fsync
        self._dice = random.Random(seed)
        self._serial = seed * 100_000
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        self._said = os.open(folder / "said", flags, 0o600)
        self._open()

    def _say(self, **what: Any) -> None:
        os.write(self._said, json.dumps(what).encode())

    def _open(self) -> None:
        self.journal = Journal.open(
            self._path, fsync=self._fsync, kind="Queue", codec="bytes", partitions=PARTITIONS
        )
        # A small WAL begins anew, and is brought to the file, every few commits.
        self.journal._file.db.execute("pragma wal_autocheckpoint=12").fetchall()
        self.journal._file.db.execute("pragma journal_size_limit=40000").fetchall()
        self._open_records = [self._unsettled(each) for each in range(PARTITIONS)]

    def _unsettled(self, partition: int) -> list[int]:
        now, end = self.journal.cursor(partition), self.journal.end(partition)
        return [*now.kept, *range(now.cursor, end)]

    def step(self) -> None:
        """Do one thing, most often an append."""
        names = ("append", "settle", "reclaim", "bury", "forget", "replace", "shorten", "reopen")
        (name,) = self._dice.choices(names, (50, 25, 15, 3, 2, 2, 1, 2))
        getattr(self, f"_{name}")()

    def _append(self) -> None:
        self._serial += 1
        places = [self.journal.end(each) for each in range(PARTITIONS)]
        pieces, said = [], []
        for _ in range(self._dice.choice((1, 1, 2, 3))):
            partition = self._dice.randrange(PARTITIONS)
            count, size = self._dice.choice((1, 1, 2, 5, 40)), self._dice.choice(SIZES)
            data = records(self._serial, places[partition], count, size)
            pieces.append((partition, count, data))
            said.append((partition, places[partition], count))
            places[partition] += count
        self._say(do="append", serial=self._serial, pieces=said)
        durable = self._dice.random() < 0.85  # else it promises nothing
        starts = self.journal.append(pieces, durable=durable)
        assert starts == [start for _, start, _ in said]
        if durable:
            self._say(did="append", serial=self._serial, pieces=said)
        for partition, start, count in said:
            self._open_records[partition] += range(start, start + count)

    def _settle(self) -> None:
        partition = self._dice.randrange(PARTITIONS)
        held = self._open_records[partition]
        taken = held[: self._dice.choice((1, 2, 5, 50, 500))]
        cursor = max(self.journal.cursor(partition).cursor, taken[-1] + 1 if taken else 0)
        most = self._dice.choice((0, 0, 0, 2, 10, 20))  # more than a slot can hold
        left = held[len(taken) :]
        kept = sorted(self._dice.sample(taken, min(most, len(taken))))
        kept += [each for each in left if each < cursor]
        self._say(do="settle", partition=partition, cursor=cursor, kept=kept)
        self.journal.settle(partition, cursor, kept, 0)
        self._open_records[partition] = kept + [each for each in left if each >= cursor]

    def _reclaim(self) -> None:
        self.journal.reclaim()
        partition = self._dice.randrange(PARTITIONS)
        self.journal.read(partition, self.journal.cursor(partition).cursor, 100)

    def _bury(self) -> None:
        self._serial += 1
        data = record(self._serial, 0, 60)
        which = self.journal.bury(0, data, 1, "no", 3)
        self._say(did="bury", which=which, data=data.hex())

    def _forget(self) -> None:
        for buried in self.journal.buried():
            self._say(do="forget", which=buried.id)
            self.journal.forget_buried(buried.id)
            return

    def _replace(self) -> None:
        self._serial += 1
        partition, size = self._dice.randrange(PARTITIONS), self._dice.choice(SIZES)
        end = start = self.journal.end(partition)
        chunks = []
        for _ in range(self._dice.choice((1, 3, 10))):
            count = self._dice.choice((1, 2, 5))
            chunks.append((count, records(self._serial, end, count, size)))
            end += count
        said = {"serial": self._serial, "pieces": [(partition, start, end - start)]}
        self._say(do="replace", **said)
        self.journal.replace(partition, chunks)
        self._say(did="replace", **said)
        self._open_records[partition] = list(range(start, end))

    def _shorten(self) -> None:
        self.journal._file.shorten_wal()

    def _reopen(self) -> None:
        self.journal.close()
        self._open()


def main(folder: str, seed: str, steps: str, fsync: Literal["commit", "os"]) -> None:
    reclaiming.ROWS, reclaiming.PAGES, reclaiming.SPARE = 7, 3, 2  # little at a time, and often
    ballast.SIZE = 1 << 16
    slots._IN_PLACE = frozenset()  # what is written to a map goes past who writes all down
    work = Work(Path(folder), int(seed), fsync)
    for _ in range(int(steps)):
        work.step()
    if int(seed) % 2:
        work.journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
