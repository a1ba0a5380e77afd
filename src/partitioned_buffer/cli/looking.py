"""What is in a store: counted, and each thing said that cannot be read. Nothing of it is fatal."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..abc import Cursor
from ..errors import StorageError
from ..storage.look import Terms, look, open_as_made, set_aside
from ..storage.sqlite.journal import Journal
from .items import Reader, Shown

_SUFFIXES = ("", "-wal", "-ack", "-ballast")


class Held(NamedTuple):
    """What a partition holds; *oldest* is a position, *damaged* of *held* are lost."""

    partition: int
    held: int
    cursor: int
    end: int
    oldest: int | None
    damaged: int
    buried: int


@dataclass
class Report:
    """What is in the store that was made for *terms*."""

    terms: Terms
    files: dict[str, int]
    partitions: list[Held] = field(default_factory=list[Held])
    buried: Counter[int] = field(default_factory=Counter[int])
    buried_damaged: int = 0
    buried_since: float | None = None
    set_aside: int = 0
    first: list[tuple[int, Shown]] = field(default_factory=list[tuple[int, Shown]])
    trouble: list[str] = field(default_factory=list[str])

    @property
    def counts(self) -> str:
        """What is counted: a Map's log holds writes, some of which are of one key."""
        return "items" if self.terms.kind == "Queue" else "operations"

    def total(self) -> Held:
        """Return the sums; the partition is -1."""
        sums = [sum(each) for each in zip(*(one[1:4] for one in self.partitions), strict=True)]
        held, cursor, end = sums or (0, 0, 0)
        damaged = sum(each.damaged for each in self.partitions)
        return Held(-1, held, cursor, end, None, damaged, self.buried.total())

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, as JSON takes it; items are left as they are."""
        total, terms = self.total(), self.terms._asdict()
        return {
            **terms,
            "counts": self.counts,
            "held": total.held,
            "damaged": total.damaged,
            "damaged_rows_set_aside": self.set_aside,
            "given_up": total.buried,
            "given_up_damaged": self.buried_damaged,
            "given_up_since": self.buried_since,
            "files": self.files,
            "each": [_as_dict(each) for each in self.partitions],
            "first": [_shown(partition, shown) for partition, shown in self.first],
            "trouble": self.trouble,
        }


def _as_dict(held: Held) -> dict[str, Any]:
    said = held._asdict()
    said["given_up"] = said.pop("buried")
    return said


def _shown(partition: int, shown: Shown) -> dict[str, Any]:
    what = {"item" if shown.is_item else "said": shown.what}
    return {"partition": partition, "position": shown.position, **what}


def report_of(path: str, most: int) -> Report:
    """Return what is in the store at *path*, with *most* of its items. Raises `StorageError`."""
    terms = look(path)
    report = Report(terms, _sizes(terms.path))
    if terms.moving is not None:
        report.trouble.append(
            f"it was being moved from {terms.moving} partitions to {terms.partitions} when its "
            "program ended: what it holds can be counted when that has gone on, as it does when "
            "the program starts again"
        )
        return report
    journal = open_as_made(terms)
    try:
        _count(report, journal, most)
    finally:
        journal.close()
    return report


def _sizes(path: str) -> dict[str, int]:
    """Return how long the files are, by looking at their names alone."""
    files = (Path(f"{path}{suffix}") for suffix in _SUFFIXES)
    return {file.name: file.stat().st_size for file in files if file.exists()}


def _count(report: Report, journal: Journal, most: int) -> None:
    try:
        report.set_aside = set_aside(journal)
        _count_buried(report, journal)
    except StorageError as error:
        report.trouble.append(f"what was given up cannot be read to its end: {error}")
    samples: list[list[Shown]] = []
    for partition in range(journal.partitions):
        sample: list[Shown] = []
        try:
            report.partitions.append(_held(report, journal, partition, sample, most))
        except StorageError as error:
            report.trouble.append(f"partition {partition} cannot be read to its end: {error}")
        samples.append(sample)
    report.first = _in_turn(samples, most)


def _count_buried(report: Report, journal: Journal) -> None:
    for each in journal.buried():
        count = _number(each.count)
        report.buried[each.partition] += count
        if each.data is None:
            report.buried_damaged += count
        since = report.buried_since
        report.buried_since = (
            _number(each.time) if since is None else min(since, _number(each.time))
        )


def _number(value: Any) -> Any:
    """Return *value*, or 0 if a flipped bit has made something else of a number."""
    return value if isinstance(value, int | float) else 0


def _held(report: Report, journal: Journal, partition: int, sample: list[Shown], most: int) -> Held:
    depth, now = journal.depth(partition), journal.cursor(partition)
    reader = Reader(report.terms.codec) if report.terms.kind == "Queue" else None
    damaged = 0
    for chunk in journal.records(partition):
        if chunk.data is None:
            damaged += chunk.count
        elif reader is not None and len(sample) < most:
            shown = reader.show(chunk.data, chunk.start, chunk.count)
            sample += [each for each in shown if _is_held(each, now)]
    oldest = min(now.kept, default=now.cursor) if depth.held else None
    buried = report.buried[partition]
    return Held(partition, depth.held, depth.cursor, depth.end, oldest, damaged, buried)


def _is_held(shown: Shown, now: Cursor) -> bool:
    behind = shown.position + shown.many
    return behind > now.cursor or any(shown.position <= each < behind for each in now.kept)


def _in_turn(samples: list[list[Shown]], most: int) -> list[tuple[int, Shown]]:
    """Return *most* of the samples, some of each partition, the first of each."""
    turns = [
        (place, partition, shown)
        for partition, sample in enumerate(samples)
        for place, shown in enumerate(sample)
    ]
    chosen = sorted(turns, key=lambda each: each[:2])[:most]
    return [
        (partition, shown) for _, partition, shown in sorted(chosen, key=lambda e: (e[1], e[0]))
    ]
