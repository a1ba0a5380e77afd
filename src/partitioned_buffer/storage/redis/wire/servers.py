"""
Servers: one, or the primaries of a cluster, and which of them has what.

Where the slots of a cluster are is read anew when a server is not reached, or says that it is the
wrong one; what was sent there is sent again by whoever sent it.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from redis.crc import key_slot

from ....abc.sharing import StorageAway
from ....errors import StorageError
from ..scripts import Command
from .connecting import CALL, Address, Connections
from .faults import is_of_connection, translated

_REPLICATION = 0.8 * CALL
"""Seconds that a replica may take."""

_ANEW = 0.2
"""Seconds between two looks for where the slots are."""

Keyed = Sequence[tuple[str, Command]]
"""Commands, each with the key that says where it goes."""


class Servers:
    """The server at *url*, and all others of its cluster."""

    def __init__(self, url: str) -> None:
        self.connections = Connections(url)
        self.seed = self.connections.seed
        self.where = str(self.seed)
        self.is_cluster = False
        self._slots: list[Address | None] = []
        self._known = [self.seed]
        self._looking, self._looked = threading.Lock(), 0.0

    def open(self) -> dict[str, str]:
        """Reach the server; return what it says of itself, by section and name."""
        info = self.info(self.seed, opening=True)
        self.is_cluster = info.get("cluster_enabled") == "1"
        if self.is_cluster:
            self._read_slots(self.seed)
        return info

    def info(self, address: Address, *, opening: bool = False) -> dict[str, str]:
        """Return what the server at *address* says of itself."""
        (text,) = self.run("rest", address, [("INFO",)], opening=opening)
        if isinstance(text, Exception):
            raise translated(str(address), text, opening=opening)
        lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
        return {name: value.strip() for name, _, value in lines if value}

    @property
    def primaries(self) -> list[Address]:
        """Each server that takes writes."""
        if not self.is_cluster:
            return [self.seed]
        return list(dict.fromkeys(each for each in self._slots if each is not None))

    def of(self, key: str) -> Address:
        """Return where *key* is; raise `StorageAway` if no server has its slot."""
        if (found := self._at(key)) is None:
            raise self._nobody()
        return found

    def _at(self, key: str) -> Address | None:
        return self._slots[key_slot(key.encode())] if self.is_cluster else self.seed

    def _nobody(self) -> StorageAway:
        return StorageAway(f"{self.where}: no server of the cluster has the slot")

    def call(self, use: str, key: str, command: Command) -> Any:
        """Run one command where *key* is; return the reply, or raise what it means."""
        address = self.of(key)
        (reply,) = self.run(use, address, [command])
        if isinstance(reply, Exception):
            raise translated(str(address), reply)
        return reply

    def spread(self, use: str, keyed: Keyed, *, replicated: bool = False) -> list[Any]:
        """
        Run each command where its key is, in one round trip for each server.

        Returns replies, or the `StorageError` that became of each; *replicated*: one, too, for what
        no replica has in time.
        """
        found: list[Any] = [None] * len(keyed)
        for address, places in self._groups(key for key, _ in keyed):
            commands = [keyed[place][1] for place in places]
            answers = self._answers(use, address, commands, replicated)
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
        return found

    def gathered(self, keyed: Keyed) -> list[Any]:
        """Do the same for what is of no use in parts: raise the first error there is."""
        found: list[Any] = [None] * len(keyed)
        for address, places in self._groups(key for key, _ in keyed):
            commands = [keyed[place][1] for place in places]
            for place, answer in zip(places, self._answers("rest", address, commands), strict=True):
                if isinstance(answer, StorageError):
                    raise answer
                found[place] = answer
        return found

    def _groups(self, keys: Iterable[str]) -> list[tuple[Address | None, list[int]]]:
        """Return for each server the places of those of *keys* that it has; None: nobody has."""
        groups: dict[Address | None, list[int]] = {}
        for place, key in enumerate(keys):
            groups.setdefault(self._at(key), []).append(place)
        return list(groups.items())

    def _answers(
        self,
        use: str,
        address: Address | None,
        commands: Sequence[Command],
        replicated: bool = False,
    ) -> list[Any]:
        last = ("WAIT", 1, int(1000 * _REPLICATION)) if replicated else None
        try:
            if address is None:
                raise self._nobody()
            replies = self.run(use, address, commands, last=last)
        except StorageError as error:
            return [error] * len(commands)
        found = [
            translated(str(address), reply) if isinstance(reply, Exception) else reply
            for reply in replies
        ]
        if replicated and (isinstance(having := found.pop(), Exception) or having < 1):
            late = StorageAway(f"{address}: no replica has had it in time: {having}")
            return [each if isinstance(each, Exception) else late for each in found]
        return found

    def run(
        self,
        use: str,
        address: Address,
        commands: Sequence[Command],
        *,
        last: Command | None = None,
        opening: bool = False,
    ) -> list[Any]:
        """Run *commands* in one round trip, as `Connections.run`; learn from what goes wrong."""
        try:
            replies = self.connections.run(use, address, commands, last=last, opening=opening)
        except StorageAway:
            self._look(but=address)
            raise
        if any(isinstance(each, Exception) and is_of_connection(each) for each in replies):
            self._look(but=address)
        return replies

    def _look(self, *, but: Address) -> None:
        """Read where the slots are, from any server *but* one, unless somebody just has."""
        if not self.is_cluster or not self._looking.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._looked < _ANEW:
                return
            for address in [each for each in self._known if each != but][:2]:
                try:
                    self._read_slots(address)
                except StorageError:
                    self._known.remove(address)
                    self._known.append(address)  # to be asked last
                else:
                    break
            self._looked = time.monotonic()
        finally:
            self._looking.release()

    def _read_slots(self, address: Address) -> None:
        (reply,) = self.connections.run("slots", address, [("CLUSTER", "SLOTS")])
        if isinstance(reply, Exception):
            raise translated(str(address), reply)
        slots: list[Address | None] = [None] * 16384
        known = dict.fromkeys([address])
        for first, stop, primary, *others in reply:
            found = [_address_of(each, address) for each in (primary, *others)]
            slots[first : stop + 1] = [found[0]] * (stop + 1 - first)
            known.update(dict.fromkeys(found))
        self._slots, self._known = slots, [*dict.fromkeys([*known, self.seed])]


def _address_of(node: Sequence[Any], asked: Address) -> Address:
    """Return where a node is; one without a name is where it was asked."""
    host = node[0].decode() if node[0] else asked.host
    return Address(host or asked.host, int(node[1]))
