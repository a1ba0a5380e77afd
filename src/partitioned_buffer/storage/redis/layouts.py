"""
How records are dealt out: layouts, each with a generation of keys of its own.

To have another number of partitions, each partition of the layout is sealed, then the next layout
begins. Who appends is told, reads the config, and goes on there. Workers deliver a Queue's layout
to its end before the next: a key's records keep their order. What a Map's holds goes to the next
one before that begins, at rest. Each change is of one field, as it was known, so whoever comes
along ends what somebody has begun and did not live to end.
"""

import threading
from collections.abc import Callable

from redis.crc import key_slot

from ...abc.sharing import Layout
from ...errors import InvalidOption, StorageRefused
from .depths import depth
from .kinds import Kind
from .kinds.kind import owner_of
from .kinds.moving import Moving
from .naming import Names
from .opening import fields, read
from .scripts import call
from .wire.servers import Servers


class Layouts:
    """The layouts of a buffer, as they were when they were last read."""

    def __init__(self, servers: Servers, names: Names, kind: Kind, have: dict[str, str]) -> None:
        self._servers, self._names, self._kind = servers, names, kind
        self._lanes, self._lane_of = _lanes(servers)
        self._lock = threading.RLock()  # what one thread has read is no affair of another
        self._have, self._config = have, read(have)
        config = self._config
        self.layout = self._laid_out(config.generation)
        self.duty = self._laid_out(config.work)

    def _laid_out(self, generation: int) -> Layout:
        """Return a layout; partitions that one server had at first are a lane."""
        partitions = self._config.partitions[generation]
        lanes: list[list[int]] = [[] for _ in range(self._lanes)]
        for each in range(partitions):
            lanes[self._lane_of(self._names.of(generation, each).w)].append(each)
        return Layout(generation, partitions, tuple(map(tuple, lanes)))

    @property
    def generations(self) -> list[tuple[int, int]]:
        """Each generation there has been, with its number of partitions."""
        return sorted(self._config.partitions.items())

    def refresh(self) -> bool:
        """Look for another layout, or duty; return whether there is one."""
        with self._lock:
            return self._refresh()

    def _refresh(self) -> bool:
        self._go_on()
        while (work := self._config.work) < self._config.generation and self._ends(work):
            self._turn("work", work, work=work + 1)
        before = self.layout.generation, self.duty.generation
        after = self._config.generation, self._config.work
        if before[0] != after[0]:
            self.layout = self._laid_out(after[0])
        if before[1] != after[1]:
            self.duty = self._laid_out(after[1])
        return before != after

    def resize(self, partitions: int) -> None:
        """Have *partitions* from now on, and see that. Called again, it ends what was begun."""
        with self._lock:
            self.begin(partitions)
            self._refresh()

    def begin(self, partitions: int) -> None:
        """Do the same, and leave it to the next `refresh` to say that there is another layout."""
        if type(partitions) is not int or partitions < 1:
            raise InvalidOption(f"partitions={partitions!r}: expected a number from 1")
        with self._lock:
            self._go_on()
            while (config := self._config).partitions[config.generation] != partitions:
                if self._moving(config.generation) is not None:
                    self._check_rest(config.generation)
                self._turn("next", "", next=partitions)
                self._go_on()

    def _read(self) -> None:
        # A server that has lost everything is told: what is appended to it has to be found.
        self._have = fields(self._servers, self._names, self._have)
        self._config = read(self._have)

    def _go_on(self) -> None:
        """Read the config, and end the resize that somebody has begun."""
        self._read()
        if not (partitions := self._config.next):
            return
        now = self._config.generation
        self._on_each(now, "seal", now + 1)
        if (moving := self._moving(now)) is not None:
            moving.move(partitions)
        self._turn(
            "generation", now, **{"generation": now + 1, f"partitions:{now + 1}": partitions},
            next="",
        )  # fmt: skip
        if moving is not None:
            moving.leave()

    def _turn(self, field: str, known: object, **to: object) -> None:
        """Change the config if *field* is as *known*; read what it is then."""
        pairs = [each for pair in to.items() for each in pair]
        command = call("turn", [self._names.config], field, known, *pairs)
        self._servers.call("rest", self._names.config, command)
        self._read()

    def _on_each(self, generation: int, script: str, *args: object) -> None:
        for partition in range(self._config.partitions[generation]):
            meta = self._names.of(generation, partition).meta
            self._servers.call("rest", meta, call(script, [meta], *args))

    def _moving(self, generation: int) -> Moving | None:
        partitions = self._config.partitions[generation]
        return self._kind.moving(self._servers, self._names, generation, partitions)

    def _check_rest(self, generation: int) -> None:
        """Raise `StorageRefused` if somebody delivers, or may."""
        partitions = self._config.partitions[generation]
        leases = [self._names.of(generation, each).lease for each in range(partitions)]
        held = self._servers.gathered([(key, ("GET", key)) for key in leases])
        owners = {owner_of(lease) for lease in held if lease is not None}
        if there := sorted({*workers(self._servers, self._names), *map(str, owners)}):
            raise StorageRefused(
                f"{self._servers.where}: a Map is given other partitions at rest: expected no "
                f"workers, and there are {', '.join(there)}: stop them, and do it again; who only "
                "writes may go on"
            )

    def _ends(self, generation: int) -> bool:
        """Have nothing of a generation be left that has another place; see whether it is done."""
        if (moving := self._moving(generation)) is not None:
            moving.leave()
        return self._is_done(generation)

    def _is_done(self, generation: int) -> bool:
        """Return whether nothing of a generation is left to deliver, nor ever will be."""
        partitions = self._config.partitions[generation]
        keys = [self._names.of(generation, each).meta for each in range(partitions)]
        if None in self._servers.gathered([(key, ("HGET", key, "sealed")) for key in keys]):
            return False
        depths = depth(self._servers, self._names, self._kind, [(generation, partitions)])
        return all(each.appended == each.settled for each in depths)


def workers(servers: Servers, names: Names) -> list[str]:
    """Return who delivers."""
    key = names.workers
    asked = [(key, ("TIME",)), (key, ("ZRANGE", key, 0, -1, "WITHSCORES"))]
    time, flat = servers.gathered(asked)
    now = int(time[0]) * 1000 + int(time[1]) // 1000
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return sorted(worker.decode() for worker, until in pairs if float(until) > now)


def _lanes(servers: Servers) -> tuple[int, Callable[[str], int]]:
    """
    Return how many lanes there are, and what tells that of a key.

    There is one for each primary at first, and its slots stay there, whoever has them later: who
    ships, and who reads, is there for a lane as long as the buffer is open.
    """
    if not servers.is_cluster:
        return 1, lambda _: 0
    numbers = {address: lane for lane, address in enumerate(servers.primaries)}
    slots = [0 if address is None else numbers[address] for address in servers._slots]
    return len(numbers), lambda key: slots[key_slot(key.encode())]
