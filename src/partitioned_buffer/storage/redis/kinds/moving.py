"""
What a Map holds goes to other partitions: waiting, in flight, and versions, by the hash in each.

    sealed ─► copied ─► whole, in the next layout ─► that is the layout ─► left, in the earlier one

Nobody writes to what is sealed, nor to what is not the layout yet, so copying may be done again,
and by several at once. What is whole takes no more copies: a slow one would bring back what is
settled. What is left is not counted twice: the earlier partition has never had it.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from ....abc.dealing import slot_numbers
from ....abc.shared_map import HEAD
from ....errors import StorageError
from ..naming import Names, Part
from ..scripts import Command, call
from ..wire.servers import Servers

_AT_ONCE = 250
"""Entries that are asked for at a time."""

_VERSION = struct.Struct(">qq")
"""What is remembered of a key: its version, and its hash."""


class Moving:
    """Between the layouts of *generation* and the next one."""

    def __init__(self, servers: Servers, names: Names, generation: int, partitions: int) -> None:
        self._servers, self._names, self._generation = servers, names, generation
        self._from = [names.of(generation, each) for each in range(partitions)]

    def move(self, partitions: int) -> None:
        """Have the next layout's *partitions* hold all that this one's do."""
        to = [self._names.of(self._generation + 1, each) for each in range(partitions)]
        for name in ("w", "r", "v0", "v1"):
            for of in self._from:
                for entries in self._read(getattr(of, name)):
                    self._copy(name, entries, to)
        times = self._times()
        self._all([(of.meta, call("map_open", [of.meta, of.w, of.r], *times)) for of in to])

    def _copy(self, name: str, entries: Sequence[tuple[bytes, bytes]], to: Sequence[Part]) -> None:
        slots, hash_of = slot_numbers(len(to)), _of_version if name in ("v0", "v1") else _of_record
        dealt: dict[Part, list[bytes]] = {}
        for entry in entries:
            place = slots[hash_of(entry[1]) % len(slots)]
            dealt.setdefault(to[place], []).extend(entry)
        self._all(
            [
                (of.meta, call("map_deal", [of.meta, getattr(of, name)], *flat))
                for of, flat in dealt.items()
            ]
        )

    def leave(self) -> None:
        """Forget what the next layout has."""
        self._all([(of.meta, call("map_leave", _all_of(of))) for of in self._from])

    def _read(self, key: str) -> Iterator[list[tuple[bytes, bytes]]]:
        cursor: Any = b"0"
        while True:
            command = ("HSCAN", key, cursor, "COUNT", _AT_ONCE)
            cursor, flat = self._servers.call("rest", key, command)
            entries = list(zip(flat[::2], flat[1::2], strict=True))
            for start in range(0, len(entries), _AT_ONCE):
                yield entries[start : start + _AT_ONCE]
            if cursor == b"0":
                return

    def _times(self) -> list[int]:
        """Return when the oldest came that waits, and that is in flight; 0: nothing is."""
        found: list[list[int]] = [[], []]
        asked = [(of.meta, ("HMGET", of.meta, "since", "began")) for of in self._from]
        sizes = [(key, ("HLEN", key)) for of in self._from for key in (of.w, of.r)]
        counts = iter(self._servers.gathered(sizes))
        for times in self._servers.gathered(asked):
            for place, time in enumerate(times):
                if next(counts):
                    found[place].append(int(time or 0))
        return [min(times, default=0) for times in found]

    def _all(self, commands: Sequence[tuple[str, Command]]) -> None:
        for reply in self._servers.spread("rest", commands):
            if isinstance(reply, StorageError):
                raise reply


def _all_of(of: Part) -> list[str]:
    return [of.meta, of.w, of.r, of.v0, of.v1, of.gone]


def _of_record(record: bytes) -> int:
    hashed: int = HEAD.unpack_from(record)[-1]
    return hashed


def _of_version(version: bytes) -> int:
    hashed: int = _VERSION.unpack(version)[1]
    return hashed
