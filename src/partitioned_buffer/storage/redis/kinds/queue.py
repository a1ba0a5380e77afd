"""Queues: what is appended is a chunk, and what is settled is all before a position."""

import struct
from collections.abc import Sequence
from typing import Any

from ....abc.sharing import Depth, Found, Parcel, Read, Want
from ....abc.storing import Chunk
from ....errors import StorageRefused
from ..naming import Names, Part
from ..scripts import Command, Whole, call
from ..wire.servers import Servers
from .kind import Terms, owner_of

_AT = struct.Struct(">dI")

_LARGE = 16 << 10
"""
Bytes of a chunk that does not go through a script: Lua hashes each byte of what it is given, which
may be half of what a server does for a large one. For a small one, another command is more.
"""

_MOST = 16
"""Chunks to read at once without knowing how large they are."""


class QueueReading:
    """What a claim has read."""

    __slots__ = ("behind", "buried", "last", "size", "upto")

    def __init__(self) -> None:
        self.upto = -1
        """Where reading goes on; -1: nothing has been read."""
        self.last = b""
        """What tells the last chunk that was read from others."""
        self.behind = -1
        """How many chunks the list has before that; -1: that is not known."""
        self.size: tuple[int, int] = 1, 0
        """Of that last chunk: records and bytes."""
        self.buried = 0

    def beside(self, want: Want) -> int:
        """Return how many chunks to read without knowing what they are."""
        count, weight = self.size
        if want.records <= 0 or self.behind < 0 or weight < _LARGE:
            return 0
        return min(-(-want.records // count), want.max_bytes // weight, _MOST)


class QueueKind:
    """What a Queue says."""

    def append(self, of: Part, producer: str, parcel: Parcel, known: int, terms: Terms) -> Command:
        """
        Return what appends *parcel* behind what is *known*.

        A large one is pushed before a script says whether that was right, or takes it back.
        """
        beside = terms.smooth and len(parcel.data) >= _LARGE
        command = call(
            "append",
            [of.w, of.at, of.meta, of.d_of(producer)],
            known,
            parcel.first,
            parcel.last,
            parcel.count,
            b"" if beside else parcel.data,
            terms.most,
            terms.kept,
            int(terms.replicated),
            terms.news,
            parcel.partition,
            int(beside),
        )
        return Whole((("RPUSH", of.w, parcel.data), command)) if beside else command

    def reading(self) -> QueueReading:
        """Return the state of a claim that has read nothing."""
        return QueueReading()

    def step(self, of: Part, value: str, lease: int, want: Want) -> list[Command]:
        """
        Return what takes a step, for who has the lease *value*.

        What comes next in the list is read before that, if it is known what does: the step says
        whether that was right.
        """
        state: QueueReading = want.claim.state
        beside, behind = state.beside(want), state.behind
        command = call(
            "step",
            [of.lease, of.meta, of.w, of.at],
            value,
            lease,
            want.settled,
            state.upto,
            want.records,
            want.max_bytes - beside * state.size[1],
            state.last,
            want.given_up,
            beside,
            behind,
        )
        state.behind = -1  # until it is known what this one has done
        if not beside:
            return [command]
        return [("LRANGE", of.w, behind, behind + beside - 1), command]

    def read(self, want: Want, replies: Sequence[Any]) -> Read:
        """Return what a step has brought, and note it with the claim."""
        state: QueueReading = want.claim.state
        *beside, (settled, end, start, flat, last, counts, behind) = replies
        there = beside[0] if beside else []
        if len(counts) > len(there):  # more has come in between: that is for the next one
            return Read(settled, [], end)
        flat = [each for pair in zip(counts, there, strict=False) for each in pair] + flat
        chunks = []
        for count, data in zip(flat[::2], flat[1::2], strict=True):
            chunks.append(Chunk(start, count, data))
            start += count
        state.upto, state.last, state.behind = start, last, behind
        if chunks:
            state.size = chunks[-1].count, len(chunks[-1].data or b"")
        return Read(settled, chunks, end)

    def get(self, of: Part, key: bytes, producer: str) -> Command:
        """Raise `StorageRefused`: that is a Map's."""
        del producer
        raise StorageRefused(f"{of.w}: a Queue has no keys, but was asked for {key!r}")

    def found(self, reply: Any) -> Found:
        """Raise `StorageRefused`, too."""
        raise StorageRefused(f"a Queue has no keys, but {reply!r} was found")

    def moving(self, servers: Servers, names: Names, generation: int, partitions: int) -> None:
        """There is nothing to bring."""
        del servers, names, generation, partitions

    def questions(self, of: Part) -> list[Command]:
        """Return what asks how it is with a partition."""
        return [
            ("HMGET", of.meta, "end", "pos", "dead", "kept"),
            ("GET", of.lease),
            ("LINDEX", of.at, 0),
            ("TIME",),
        ]

    def depth(self, generation: int, partition: int, replies: Sequence[Any]) -> Depth:
        """Return what is answered to that."""
        numbers, lease, first, (seconds, micros) = replies
        end, settled, dead, kept = (int(each or 0) for each in numbers)
        oldest = None
        if first is not None and end > settled:
            now = int(seconds) + int(micros) / 1e6
            oldest = max(0.0, now - _AT.unpack(first)[0] / 1000)
        return Depth(generation, partition, end, settled, dead, kept, oldest, owner_of(lease))

    def appends(self, of: Part) -> list[Command]:
        """Return what does all that appending takes, for who tries that out."""
        again, terms = Parcel(-1, 0, 0, 1, 1, 1, bytes(_LARGE)), Terms(0, 9999, True, "?")
        return [
            self.append(of, "", again, 0, terms._replace(smooth=each)) for each in (False, True)
        ]

    def steps(self, of: Part, value: str) -> list[Command]:
        """Return what does the rest, behind those."""
        keys = of.lease, of.meta, of.w, of.at
        return [call("step", keys, value, 9999, 1, -1, 1, 1, "", 1, 0, -1), ("LRANGE", of.w, 0, 0)]
