"""What a journal's calls, as they returned, have promised of every later opening."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import journals
from power import SAID, Entry
from power_work import PARTITIONS, record

from partitioned_buffer.errors import StorageError
from partitioned_buffer.storage.sqlite import Journal


@dataclass
class Partition:
    """What may, and what must be in one."""

    due: dict[int, int] = field(default_factory=dict)
    """Of each position that is accepted, and that nobody asked to settle, whose record is there."""
    may: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    accepted: set[int] = field(default_factory=set)
    end: int = 0
    begin: int = 0
    """Before this all was replaced."""

    def accept(self, serial: int, start: int, count: int) -> None:
        for position in range(start, start + count):
            self.due[position] = serial
            self.may[position] = {serial}
            self.accepted.add(position)
        self.end = max(self.end, start + count)

    def settle(self, cursor: int, kept: Sequence[int] = ()) -> None:
        for position in [each for each in self.due if each < cursor and each not in kept]:
            del self.due[position]


class Promises:
    """Taken from what the child noted; `broken()` says which a journal does not keep."""

    def __init__(self) -> None:
        self.partitions = [Partition() for _ in range(PARTITIONS)]
        self._buried: dict[int, str] = {}

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return what the file promises that a power failure has left: all that it has."""
        promises, journal = cls(), _opened(path)
        for number, partition in enumerate(promises.partitions):
            for start, count, data in journal.records(number):
                if data is not None:  # else it is said to be lost, and was promised by nobody
                    partition.accept(int.from_bytes(data[:4], "big"), start, count)
            now = journal.cursor(number)
            partition.settle(now.cursor, now.kept)
            partition.end = journal.end(number)
        promises._buried = {each.id: (each.data or b"").hex() for each in journal.buried()}
        journal.close()
        return promises

    def hear(self, entry: Entry) -> None:
        if entry.name == SAID and entry.kind == "w":
            said = json.loads(entry.data)
            part, what = next(iter(said.items()))
            getattr(self, f"_{part}_{what}")(said)

    def _do_append(self, said: dict[str, Any]) -> None:
        for partition, start, count in said["pieces"]:
            for position in range(start, start + count):
                self.partitions[partition].may[position].add(said["serial"])

    def _did_append(self, said: dict[str, Any]) -> None:
        for partition, start, count in said["pieces"]:
            self.partitions[partition].accept(said["serial"], start, count)

    def _do_settle(self, said: dict[str, Any]) -> None:
        self.partitions[said["partition"]].settle(said["cursor"], said["kept"])

    def _do_replace(self, said: dict[str, Any]) -> None:
        self._do_append(said)
        ((partition, start, _),) = said["pieces"]
        self.partitions[partition].settle(start)

    def _did_replace(self, said: dict[str, Any]) -> None:
        self._did_append(said)
        ((partition, start, _),) = said["pieces"]
        self.partitions[partition].begin = start

    def _did_bury(self, said: dict[str, Any]) -> None:
        self._buried[said["which"]] = said["data"]

    def _do_forget(self, said: dict[str, Any]) -> None:
        self._buried.pop(said["which"], None)

    # --- whether they are kept

    def broken(self, path: Path) -> list[str]:
        """Return which of them the file at *path* does not keep, opened anew."""
        try:
            journal = _opened(path)
        except StorageError as error:
            return [f"it does not open: {error!r} {error.__cause__!r}"]
        try:
            found = [
                f"{number}: {complaint}"
                for number, partition in enumerate(self.partitions)
                for complaint in _broken_of(partition, journal, number)
            ]
            return found + self._broken_burials(journal)
        finally:
            journal.close()

    def _broken_burials(self, journal: Journal) -> list[str]:
        found = {each.id: (each.data or b"").hex() for each in journal.buried()}
        return [f"lost, buried: {each}" for each in self._buried.items() - found.items()]


def _opened(path: Path) -> Journal:
    return journals.opened(path, partitions=PARTITIONS)


def _broken_of(partition: Partition, journal: Journal, number: int) -> list[str]:
    broken: list[str] = []
    found: dict[int, int] = {}
    lost: set[int] = set()
    for chunk in journal.records(number):
        if chunk.data is None:
            lost |= set(range(chunk.start, chunk.start + chunk.count))
            continue
        size = len(chunk.data) // chunk.count
        for place in range(chunk.count):
            position, data = chunk.start + place, chunk.data[place * size :][:size]
            serial = int.from_bytes(data[:4], "big")
            if data != record(serial, position, size):
                broken.append(f"another record than was put there: {position} {data!r}")
            if position in found or position < max(found, default=0):
                broken.append(f"out of order: {position}")
            found[position] = serial
    broken += [f"said to be lost: {each}" for each in lost & partition.accepted]
    return broken + _compared(partition, journal, number, found, lost)


def _compared(
    partition: Partition, journal: Journal, number: int, found: dict[int, int], lost: set[int]
) -> list[str]:
    now, end = journal.cursor(number), journal.end(number)
    unsettled = {each: found[each] for each in found if each >= now.cursor or each in now.kept}
    broken = [f"lost: {each}" for each in partition.due.items() - unsettled.items()]
    for position, serial in unsettled.items():
        if position < partition.begin:
            broken.append(f"replaced, and back: {position}")
        elif serial not in partition.may[position]:
            broken.append(f"nobody's: {position} {serial}")
    if sorted({*unsettled, *lost}) != [*now.kept, *range(now.cursor, end)]:
        broken.append(f"gaps: {sorted(unsettled)} from {now} to {end}")
    if end < partition.end:
        broken.append(f"positions are given again: {end}, {partition.end} were given")
    data = record(1, end, 12)
    if journal.append([(number, 1, data)]) != [end] or journal.read(number, end, 1) != [
        (end, 1, data)
    ]:
        broken.append("it does not go on")
    return broken
