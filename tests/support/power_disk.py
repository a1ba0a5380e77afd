"""
What a disk holds after a power failure: all that was synced, and any part of the rest.

Each write since a file's last sync is parted at sectors, each of which is kept, lost, or cut short;
a change of a file's length, and of a name in the folder, is kept or lost. That is more harm than a
disk does, which keeps no later write of a sector without an earlier one, so what survives here
survives there.
"""

import random
from dataclasses import dataclass, field

from power import Entry

SECTOR = 512
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Which part of what was not synced is kept."""


@dataclass
class Held:
    """A file: what is synced of it, and what was done to it since, in order."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Entry] = field(default_factory=list)

    def sync(self) -> None:
        for entry in self.since:
            _do(self.synced, entry)
        self.since.clear()

    def now(self) -> bytearray:
        """Return what a process reads."""
        data = self.synced[:]
        for entry in self.since:
            _do(data, entry)
        return data

    def remains(self, dice: random.Random) -> bytearray:
        """Return what is there after a power failure."""
        data = self.synced[:]
        share = dice.choice(SHARES)
        brought = dice.choice((0, dice.randint(0, len(self.since))))  # so many the system did write
        for number, entry in enumerate(self.since):
            if number < brought:
                _do(data, entry)
            elif entry.kind != "w":
                if dice.random() < share:
                    _do(data, entry)
            else:
                _do_in_part(data, entry, share, dice)
        length = len(self.now()) if self.since else 0
        if length > len(data) and dice.random() < 0.25:  # longer already, and nothing in it
            _lengthen(data, length)
        return data


def _do(data: bytearray, entry: Entry) -> None:
    if entry.kind == "t":
        del data[entry.place :]
    end = entry.place + len(entry.data)
    _lengthen(data, end)
    data[entry.place : end] = entry.data


def _lengthen(data: bytearray, length: int) -> None:
    data.extend(bytes(max(0, length - len(data))))


def _do_in_part(data: bytearray, entry: Entry, share: float, dice: random.Random) -> None:
    at, end = entry.place, entry.place + len(entry.data)
    while at < end:
        behind = min(end, (at // SECTOR + 1) * SECTOR)
        piece = entry.data[at - entry.place : behind - entry.place]
        if dice.random() < share:
            if dice.random() < 0.02:
                piece = piece[: dice.randrange(len(piece))]
            _do(data, entry._replace(place=at, data=piece))
        at = behind


@dataclass
class Disk:
    """The files of one folder; there is what *files* says, synced, at the beginning."""

    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = {name: Held(bytearray(data)) for name, data in self.files.items()}
        self._synced_names = dict(self._names)
        self._since: list[dict[str, Held | None]] = []
        """Names given and taken since the folder's last sync."""
        self._inodes: dict[int, Held] = {}

    def take(self, entry: Entry) -> None:
        """Do what an entry of the log says."""
        if entry.kind == "c":
            self._inodes[entry.inode] = made = Held()
            self._change({entry.name: made})
        elif entry.kind == "u":
            self._change({entry.name: None})
        elif entry.kind == "r":
            self._change({entry.data.decode(): self._names[entry.name], entry.name: None})
        elif entry.kind == "d":
            self._synced_names, self._since = dict(self._names), []
        else:
            # By its inode: it may have lost its name, and may get it back.
            held = self._inodes.get(entry.inode) or self._names[entry.name]
            self._inodes[entry.inode] = held
            if entry.kind == "s":
                held.sync()
            else:
                assert entry.kind in "wtl", f"the model does not know what this is: {entry}"
                held.since.append(entry)

    def _change(self, names: dict[str, Held | None]) -> None:
        self._since.append(names)
        _rename(self._names, names)

    def now(self) -> dict[str, bytes]:
        """Return what processes see."""
        return {name: bytes(held.now()) for name, held in self._names.items()}

    def remains(self, dice: random.Random) -> dict[str, bytes]:
        """Return what is there after a power failure."""
        names = dict(self._synced_names)
        share = dice.choice((0.0, 0.5, 1.0))
        for change in self._since:
            if dice.random() < share:
                _rename(names, change)
        return {name: bytes(held.remains(dice)) for name, held in names.items()}


def _rename(names: dict[str, Held], change: dict[str, Held | None]) -> None:
    for name, held in change.items():
        if held is None:
            names.pop(name, None)
        else:
            names[name] = held
