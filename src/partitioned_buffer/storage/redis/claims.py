"""Claims: the right to deliver a partition, and what is done by it: reading on, and settling."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from ...abc.sharing import Claim, ClaimLost, Read, Swap, Want
from ...errors import StorageError
from .kinds import Kind
from .layouts import Layouts
from .naming import FREE, Names
from .scripts import Command, call
from .wire.servers import Servers

_SURELY = 0.9
"""The part of a lease that is surely left here, whatever clocks do."""


class Claims:
    """What the worker *me* does, by leases of so many seconds."""

    def __init__(  # noqa: PLR0913  # options, by name
        self,
        servers: Servers,
        names: Names,
        layouts: Layouts,
        kind: Kind,
        *,
        me: str,
        lease: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers, self._names, self._layouts, self._kind = servers, names, layouts, kind
        self._me, self._lease, self._clock = me, lease, clock
        self._ms = int(1000 * lease)

    def beat(self, *, leave: bool = False) -> list[str]:
        """Be among the workers for another lease; return all of them."""
        key, news = self._names.workers, self._names.news
        command = call("beat", [key], self._me, 0 if leave else self._ms, news, FREE)
        return [each.decode() for each in self._servers.call("rest", key, command)]

    def claim(self, partition: int) -> Claim | None:
        """Claim a partition; None: somebody has it."""
        generation = self._layouts.duty.generation
        of, until = self._names.of(generation, partition), self._until()
        command = call("claim", [of.lease, of.meta], self._me, self._ms)
        token = self._servers.call("rest", of.lease, command)
        if token is None:
            return None
        return Claim(generation, partition, token, until, self._kind.reading())

    def value_of(self, claim: Claim) -> str:
        """Return what a partition's lease is, as long as *claim* holds."""
        return f"{claim.token}|{self._me}"

    def release(self, claim: Claim) -> None:
        """Give it back."""
        key = self._names.of(claim.generation, claim.partition).lease
        command = call("release", [key], self.value_of(claim), self._names.news, FREE)
        self._servers.call("rest", key, command)

    def _until(self) -> float:
        return self._clock() + _SURELY * self._lease

    def step(self, wants: Sequence[Want]) -> list[Read | Swap | StorageError]:
        """Do what each wants, in one round trip."""
        until = self._until()
        steps = [self._step(want) for want in wants]
        replies = iter(self._servers.spread("step", [each for step in steps for each in step]))
        return [
            self._read(want, [next(replies) for _ in step], until)
            for want, step in zip(wants, steps, strict=True)
        ]

    def _step(self, want: Want) -> list[tuple[str, Command]]:
        claim = want.claim
        of = self._names.of(claim.generation, claim.partition)
        commands = self._kind.step(of, self.value_of(claim), self._ms, want)
        return [(of.w, command) for command in commands]

    def _read(self, want: Want, replies: Sequence[Any], until: float) -> Read | Swap | StorageError:
        claim = want.claim
        for reply in replies:
            if isinstance(reply, StorageError):
                return reply
        if replies[-1] is None:
            return lost(claim)
        claim.until = max(claim.until, until)
        return self._kind.read(want, replies)


def lost(claim: Claim) -> ClaimLost:
    """Return what is raised when *claim* does not hold any more."""
    return ClaimLost(
        f"partition {claim.partition} of generation {claim.generation} is another worker's: claim "
        f"{claim.token} is over"
    )
