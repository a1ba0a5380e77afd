"""
A shared storage in memory, for tests, and the contract that every shared storage has to keep.

    shared = SharedDict(partitions=4, clock=clock)
    producer, worker = shared.share(terms), shared.share(terms)     # as two processes

Several buffers may have one `SharedDict`. What goes wrong for one of them alone is ordered where
it has a storage of its own: `shared.another()`, with the same server behind it.
"""

import time
from collections.abc import Sequence
from typing import Any

from ..abc import Chunk, Clock
from ..abc.sharing import SharedTerms
from ..storage.codec import make_codec
from ..storage.keys import make_keys
from ..storage.stable_hash import stable_hash
from .contract import SharedMapContract, SharedStoreContract
from .shared_line import AnyLine, Line
from .shared_map_line import MapLine
from .shared_server import Happening, SharedServer
from .shared_store import Faults, SharedDictStore
from .storage import _decode, _encode

__all__ = [
    "Happening", "SharedDict", "SharedDictStore", "SharedMapContract", "SharedStoreContract",
]  # fmt: skip


class SharedDict(Faults):
    """
    Keeps what buffers accept in memory, as a server would for many processes.

    It holds one buffer, whatever its name: those of one process need different names. Items are
    what JSON can say. *partitions*: how many there are if the first to open it names no number.
    *lease*: seconds that a claim lasts, and a worker is remembered, by *clock*: with a `FakeClock`
    a claim's `until` is by `clock.monotonic()`, and by `time.monotonic()` without. *limit*: how
    many records all partitions hold together, about. *lanes*: the partition p is in the lane
    p % lanes. The rest is for the buffers that have it. See `Faults` for what may go wrong.
    """

    def __init__(  # noqa: PLR0913  # options
        self,
        *,
        partitions: int = 8,
        ack: str = "local",
        ack_timeout: float | None = 5.0,
        front: Any = None,
        lease: float = 10.0,
        window: int = 1000,
        limit: int | None = None,
        deliver: bool = True,
        lanes: int = 1,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self.ack, self.ack_timeout, self.front = ack, ack_timeout, front
        self.window, self.deliver = window, deliver
        self.codec = make_codec((_encode, _decode), name="json")
        self.keys = make_keys(self.codec)
        self.warnings: Sequence[str] = ()
        """What each store that is opened from now on says of the server's settings."""
        now = time.monotonic if clock is None else clock.monotonic
        self._server = SharedServer(partitions, lease, limit, lanes, now)

    def __repr__(self) -> str:
        return "SharedDict()"

    def another(self, **options: Any) -> "SharedDict":
        """
        Return one with the same server, and faults of its own: that of another process.

        *options* are `ack`, `ack_timeout`, `front`, `window` and `deliver`; without, as here.
        """
        here = ("ack", "ack_timeout", "window", "deliver")
        made = SharedDict(**({name: getattr(self, name) for name in here} | options))
        made._server, made.codec, made.keys = self._server, self.codec, self.keys
        return made

    def hash(self, key: Any, /) -> int:
        """Return the hash of *key*, the same in every process; raise `TypeError`."""
        return stable_hash(key)

    def share(self, terms: SharedTerms, /) -> SharedDictStore:
        """
        Return another store, as another process would have it.

        Raises `StorageRefused` if it was made for another kind or codec, or has other partitions.
        """
        self.meet("share")
        store = SharedDictStore(self, self._server, self.codec, terms)
        store.warnings = self.warnings
        return store

    # --- what a test may do to the server

    def forgets(self, records: int, partition: int = 0) -> None:
        """
        Lose the last *records* of a partition, and its claim, as a server that had not saved them.

        What its producers are known to have sent goes back with them: they are told of a `Gap`.
        Parcels are lost whole, so there may be a few records more. A Map remembers 16 of them, and
        what came later is lost, too: what was settled since is not.
        """
        with self._server.lock:
            self._line(partition).forget(records)

    def expire(self, partition: int = 0) -> None:
        """End the claim of a partition now."""
        with self._server.lock:
            for line in self._server.those(partition):
                line.lease.end()

    def resize(self, partitions: int) -> None:
        """
        Seal all partitions, and have *partitions* others for what is to come.

        Of a Map what is held is moved. While anybody works on it, this raises `StorageRefused`.
        """
        self._server.resize(partitions)

    def tell(self, news: int) -> None:
        """Have all who listen hear *news*: -1, that something may have been missed."""
        self._server.news.tell(news)

    # --- what a test may look at

    def held(self, partition: int | None = None) -> int:
        """Return how many records are not settled, of one partition, or of all."""
        with self._server.lock:
            lines = self._server.lines() if partition is None else self._server.those(partition)
            return sum(line.held for line in lines)

    def chunks(self, partition: int = 0) -> list[Chunk]:
        """Return what a partition of the newest layout holds, as its buffer wrote it."""
        with self._server.lock:
            line = self._line(partition)
            return line.chunks[:] if isinstance(line, Line) else []

    def waiting(self, partition: int = 0) -> dict[bytes, bytes]:
        """Return the record of each key that waits in a Map's partition of the newest layout."""
        with self._server.lock:
            return {key: waits.data for key, waits in self._map_line(partition).waiting.items()}

    def flying(self, partition: int = 0) -> dict[bytes, bytes]:
        """Likewise, of what is in flight."""
        with self._server.lock:
            return {key: waits.data for key, waits in self._map_line(partition).flying.items()}

    def versions(self, partition: int = 0) -> dict[bytes, int]:
        """Likewise: the versions of what was delivered, as far as they are remembered."""
        with self._server.lock:
            known = self._map_line(partition).versions.all()
            return {key: each.version for key, each in known.items()}

    @property
    def appended(self) -> int:
        """How many records there have ever been, but for those that the server lost."""
        with self._server.lock:
            return sum(line.end for line in self._server.lines())

    def dead_items(self) -> list[Any]:
        """Return the items that were given up and are kept, the oldest first."""
        with self._server.lock:
            dead = sorted(each for line in self._server.lines() for each in line.dead)
        return [item for each in dead for item in self.codec.decode(each.data, each.count)]

    @property
    def history(self) -> list[Happening]:
        """What the server has done, in order."""
        with self._server.lock:
            return self._server.history[:]

    def _line(self, partition: int) -> AnyLine:
        return self._server.line(len(self._server.generations) - 1, partition)

    def _map_line(self, partition: int) -> MapLine:
        line = self._line(partition)
        if not isinstance(line, MapLine):
            raise TypeError("it holds a Queue")
        return line
