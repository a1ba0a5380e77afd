"""What a kind of buffer says of its keys on a server, and of what runs there."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ....abc.sharing import Depth, Found, Parcel, Read, Swap, Want
from ..naming import Names, Part
from ..scripts import Command
from ..wire.servers import Servers
from .moving import Moving


class Terms(NamedTuple):
    """On which a parcel is appended."""

    most: int
    """How many records its partition holds at most; 0: any."""
    kept: int
    """Milliseconds for which a producer is remembered."""
    replicated: bool
    news: str
    """The channel."""
    smooth: bool = False
    """Whether nothing has gone wrong with what was sent before: it will be taken, most likely."""


class Reading(Protocol):
    """What a claim has read: a `Claim`'s state."""

    buried: int
    """How many letters it has buried, and heard so."""


class Kind(Protocol):
    """A Queue, or a Map."""

    def append(self, of: Part, producer: str, parcel: Parcel, known: int, terms: Terms) -> Command:
        """Return what appends *parcel* behind what is *known*."""
        ...

    def reading(self) -> Reading:
        """Return the state of a claim that has read nothing."""
        ...

    def step(self, of: Part, value: str, lease: int, want: Want) -> list[Command]:
        """Return what takes a step, for who has the lease *value*; the last says whether it has."""
        ...

    def read(self, want: Want, replies: Sequence[Any]) -> Read | Swap:
        """Return what a step has brought, and note it with the claim."""
        ...

    def get(self, of: Part, key: bytes, producer: str) -> Command:
        """Return what asks for a Map's *key*."""
        ...

    def found(self, reply: Any) -> Found:
        """Return what is answered to that."""
        ...

    def moving(
        self, servers: Servers, names: Names, generation: int, partitions: int
    ) -> Moving | None:
        """Return what brings a layout's records to the next; None: they are delivered there."""
        ...

    def questions(self, of: Part) -> list[Command]:
        """Return what asks how it is with a partition."""
        ...

    def depth(self, generation: int, partition: int, replies: Sequence[Any]) -> Depth:
        """Return what is answered to that."""
        ...

    def appends(self, of: Part) -> list[Command]:
        """Return what does all that appending takes, for who tries that out."""
        ...

    def steps(self, of: Part, value: str) -> list[Command]:
        """Return what does the rest, behind those."""
        ...


def owner_of(lease: bytes | None) -> str | None:
    """Return who has a lease."""
    return None if lease is None else lease.decode().partition("|")[2]
