"""
Maps: what is appended are ops on the records that wait, one for each key.

What is to be delivered is swapped out as a whole, and settled key by key before more is. It is read
by a cursor, which may give a key twice, and none that was put there after a server has restarted:
so a claim that has settled all that it was given, and not all there is, begins anew.
"""

from collections.abc import Sequence
from typing import Any

from ....abc.shared_map import DELETE, HEAD, MOST_PARTS, NEWER, VERSIONED
from ....abc.sharing import Depth, Found, Parcel, Sealed, Swap, Tally, Want
from ..naming import Names, Part
from ..scripts import Command, call
from ..wire.servers import Servers
from .kind import Terms, owner_of
from .moving import Moving

_START = b"0"
"""The cursor from which all is read."""

_END = b""
"""That when all has been read."""


_NUMBERS = (
    *("accepted", "coalesced", "deleted", "dead", "kept"),
    *("waiting", "flying", "swap", "since", "began"),
)  # fmt: skip
"""What is asked for at once: it has to add up."""


class MapReading:
    """What a claim has read."""

    __slots__ = ("at", "buried", "hand", "swap")

    def __init__(self) -> None:
        self.swap = -1
        """Of which swap that was; -1: nothing has been read."""
        self.at = _START
        """The cursor."""
        self.hand = set[bytes]()
        """Keys that were given, and not settled."""
        self.buried = 0


class MapKind:
    """What a Map says; *remember*: how many versions of keys that are delivered."""

    def __init__(self, remember: int) -> None:
        self._remember = remember

    def append(self, of: Part, producer: str, parcel: Parcel, known: int, terms: Terms) -> Command:
        """Return what appends *parcel* behind what is *known*."""
        return call(
            "map_append",
            [of.w, of.r, of.v0, of.v1, of.meta, of.gone, of.d_of(producer)],
            known,
            parcel.first,
            parcel.last,
            parcel.count,
            terms.most,
            terms.kept,
            int(terms.replicated),
            terms.news,
            parcel.partition,
            *parcel.tally,
            MOST_PARTS,
            *(each for op in parcel.ops for each in op),
        )

    def reading(self) -> MapReading:
        """Return the state of a claim that has read nothing."""
        return MapReading()

    def step(self, of: Part, value: str, lease: int, want: Want) -> list[Command]:
        """Return what takes a step, for who has the lease *value*."""
        state: MapReading = want.claim.state
        command = call(
            "map_step",
            [of.lease, of.meta, of.w, of.r, of.v0, of.v1, of.gone],
            value,
            lease,
            want.settled,
            state.swap,
            state.at,
            want.records,
            want.max_bytes,
            self._remember,
            int(want.may_swap),
            len(want.delivered),
            *want.delivered,
            *want.buried,
        )
        return [command]

    def read(self, want: Want, replies: Sequence[Any]) -> Swap:
        """Return what a step has brought, and note it with the claim."""
        state: MapReading = want.claim.state
        ((number, flat, at, left, waiting),) = replies
        entries = list(zip(flat[::2], flat[1::2], strict=True))
        if number != state.swap:
            state.hand.clear()
        elif number == want.settled:
            state.hand.difference_update(want.delivered, want.buried)
        state.hand.update(flat[::2])
        if left and not state.hand:
            at = _START
        state.swap, state.at = number, at
        return Swap(number, entries, at == _END, left, waiting)

    def get(self, of: Part, key: bytes, producer: str) -> Command:
        """Return what asks for a Map's *key*."""
        return call("map_get", [of.w, of.r, of.meta, of.d_of(producer)], key)

    def found(self, reply: Any) -> Found:
        """Return what is answered to that."""
        if isinstance(reply, int):
            raise Sealed(f"the partition is sealed: generation {reply} goes on")
        waiting, flying, noted = reply
        return Found(waiting, flying, int((noted or b"0").split()[0]))

    def moving(self, servers: Servers, names: Names, generation: int, partitions: int) -> Moving:
        """Return what brings a layout's records to the next."""
        return Moving(servers, names, generation, partitions)

    def questions(self, of: Part) -> list[Command]:
        """Return what asks how it is with a partition."""
        return [("HMGET", of.meta, *_NUMBERS), ("GET", of.lease), ("TIME",)]

    def depth(self, generation: int, partition: int, replies: Sequence[Any]) -> Depth:
        """Return what is answered to that."""
        numbers, lease, (seconds, micros) = replies
        accepted, coalesced, deleted, dead, kept, waiting, flying, swap, since, began = (
            int(each or 0) for each in numbers
        )
        oldest = None
        if waiting or flying:
            now = int(seconds) + int(micros) / 1e6
            oldest = max(0.0, now - (began if flying else since) / 1000)
        return Depth(
            generation,
            partition,
            accepted,
            accepted - waiting - flying,
            dead,
            kept,
            oldest,
            owner_of(lease),
            coalesced,
            deleted,
            (swap + (waiting > 0), swap - (flying > 0)),
        )

    def appends(self, of: Part) -> list[Command]:
        """Return what does all that appending takes, for who tries that out."""
        ops = (b"a", HEAD.pack(NEWER, VERSIONED, 1, 0, 0)), (b"b", HEAD.pack(DELETE, 0, 0, 0, 0))
        again = Parcel(-1, 0, 0, 1, 1, 1, b"", ops, Tally(1))
        return 2 * [self.append(of, "", again, 0, Terms(0, 9999, True, "?"))]

    def steps(self, of: Part, value: str) -> list[Command]:
        """Return what does the rest, behind those."""
        keys = of.lease, of.meta, of.w, of.r, of.v0, of.v1, of.gone
        return [
            ("SADD", of.gone, b"b"),  # as is done where a key is deleted that is in flight
            call("map_step", keys, value, 9999, 0, -1, _START, 1, 99, 1, 1, 0),
            call("map_step", keys, value, 9999, 1, 1, _END, 0, 0, 1, 1, 1, b"a", b"b"),
            self.get(of, b"a", ""),
        ]
