"""What there is to show of a buffer on a server; items of a Queue, and entries of a Map, too."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...abc.sharing import Depth
from ..items import Reader, Shown
from . import entries
from .entries import Entry

if TYPE_CHECKING:
    from ...storage.redis.looking import Buffer, Dead


@dataclass
class Report:
    """How it is with *buffer*, on the server *where*."""

    where: str
    buffer: "Buffer"
    depths: list[Depth]
    workers: list[str]
    dead: "list[Dead]"
    risks: list[str]
    first: list[tuple[int, Shown]] = field(default_factory=list[tuple[int, Shown]])
    """Of a Queue."""
    entries: list[Entry] = field(default_factory=list[Entry])
    """Of a Map, some."""

    @property
    def held(self) -> int:
        """How many records are held."""
        return sum(each.appended - each.settled for each in self.depths)

    @property
    def given_up(self) -> int:
        """How many are kept as given up, in all layouts."""
        return sum(each.records for each in self.dead)

    @property
    def oldest(self) -> float | None:
        """How many seconds the oldest that is held has been there."""
        return max((each.oldest for each in self.depths if each.oldest is not None), default=None)

    def resize(self) -> str | None:
        """Return what goes on, in a sentence."""
        buffer = self.buffer
        if buffer.next:
            return (
                f"A resize from {buffer.layout.partitions} partitions to {buffer.next} was begun, "
                "and goes on when any of its programs, or `resize`, looks at it."
            )
        if buffer.duty.generation == buffer.layout.generation:
            return None
        if buffer.kind == "Map":
            return (
                f"It has been given {buffer.layout.partitions} partitions, which hold all that "
                f"the {buffer.duty.partitions} before did: there it is forgotten, and counted "
                "once, when any of its programs, or `resize`, looks at it."
            )
        return (
            f"It has been given {buffer.layout.partitions} partitions: what the "
            f"{buffer.duty.partitions} of generation {buffer.duty.generation} hold is delivered "
            "first."
        )

    def in_short(self) -> dict[str, Any]:
        """Return what a list of buffers says of it."""
        buffer = self.buffer
        return {
            "name": buffer.name,
            "kind": buffer.kind,
            "codec": buffer.codec,
            "format": buffer.format,
            "partitions": buffer.layout.partitions,
            "held": self.held,
            "oldest": self.oldest,
            "given_up": self.given_up,
            "workers": self.workers,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, as JSON takes it; items are left as they are."""
        buffer = self.buffer
        return {
            "server": self.where,
            **self.in_short(),
            "generation": buffer.layout.generation,
            "delivered_generation": buffer.duty.generation,
            "resize": self.resize(),
            "risks": self.risks,
            "each": [_depth(each) for each in self.depths],
            "dead": [_dead(each) for each in self.dead],
            "first": [
                {"partition": partition, "position": shown.position}
                | {"item" if shown.is_item else "said": shown.what}
                for partition, shown in self.first
            ],
            "entries": [each.as_dict() for each in self.entries],
        }


def _depth(depth: Depth) -> dict[str, Any]:
    said = depth._asdict()
    said["given_up"] = said.pop("dead")
    if depth.swap is None:  # a Queue's
        said = {name: said[name] for name in said if name not in ("coalesced", "deleted", "swap")}
    return said | {"held": depth.appended - depth.settled}


def _dead(dead: "Dead") -> dict[str, Any]:
    last = dead.last
    return {
        "generation": dead.generation,
        "partition": dead.partition,
        "given_up": dead.records,
        "last_error": None if last is None else last.error,
        "last_attempts": None if last is None else last.attempts,
        "last_time": None if last is None else last.time,
    }


def report_of(where: str, buffer: "Buffer", risks: list[str], most: int) -> Report:
    """Return how it is with *buffer*, with *most* of its items. Raises `StorageError`."""
    report = Report(where, buffer, buffer.depth(), buffer.workers(), buffer.dead(), risks)
    if buffer.kind == "Queue":
        _look_at_items(report, most)
    else:
        _look_at_entries(report, most)
    return report


def _look_at_entries(report: Report, most: int) -> None:
    reader = entries.Reader(report.buffer.codec)
    for each in report.depths:
        if each.appended != each.settled:
            left = most - len(report.entries)
            found = report.buffer.entries(each.generation, each.partition, left)
            report.entries += [reader.entry(each.partition, *entry) for entry in found]


def _look_at_items(report: Report, most: int) -> None:
    buffer, reader = report.buffer, Reader(report.buffer.codec)
    for each in report.depths:
        if len(report.first) >= most:
            break
        if each.appended == each.settled:
            continue
        settled, chunks = buffer.first(each.generation, each.partition)
        shown = [
            (each.partition, one)
            for chunk in chunks
            for one in reader.show(chunk.data or b"", chunk.start, chunk.count)
            if one.position + one.many > settled
        ]
        report.first += shown[: most - len(report.first)]
