"""
What is read of a shared Map: a key's own writes that are not on the server, and what is there.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from ....abc.outcomes import Sealed, StorageAway
from ....abc.shared_map import CLEARS, DELETE, HEAD, NEWER, Found
from ...backing.map.stored import hash_of
from ...tables.entry import MISSING
from ...tables.implementation import MapTable
from ...waiting.countdown import Countdown
from ...waiting.steps import run
from ..sharing import Sharing
from .shipping import Shipper
from .unsent import Unsent, Writes, place_of, value_of

NOTHING = Found(None, None, 0)


class MapReads:
    """Of one buffer."""

    tables: Sequence[MapTable]

    def __init__(self, admission: Any) -> None:
        self._sharing: Sharing = admission.sharing
        self._writes: Writes = admission.writes
        self._settings, self._storage = admission.settings, self._sharing.storage
        self._name, self._merge = self._settings.name, self._settings.merge

    def read_by(self, writer: Any) -> None:
        """Have *writer* read here."""
        self._get: Any = self._refuse if hasattr(type(writer), "fetch") else self.read
        writer.get = self._get

    def _place(self, key: Any, partition_key: object) -> tuple[int, bytes]:
        """Return the hash of *key*, and its bytes."""
        hash(key)  # whatever decides the partition, a key has to be hashable
        data: bytes = self._storage.keys.encode(key)
        return hash_of(self._storage, self._settings, key, partition_key), data

    def table_of(self, hashed: int) -> MapTable:
        """Return the table of the front for a key of this hash."""
        tables = self.tables
        return tables[self._sharing.lane_of(hashed)] if len(tables) > 1 else tables[0]

    def _refuse(self, *_args: object, **_options: object) -> NoReturn:
        raise TypeError(
            f"buffer {self._name!r}: expected `await fetch(key)`: what it holds is on a server, "
            "and asking that would block the event loop"
        )

    def has(self, key: Any) -> bool:
        """Return whether `get` finds *key*."""
        return self._get(key, MISSING) is not MISSING

    def held(self) -> NoReturn:
        """Refuse: it is on the server."""
        raise TypeError(
            f"buffer {self._name!r}: items() of a shared Map are on its server: get() says what it "
            "has of a key, stats() how many there are"
        )

    def read(self, key: Any, default: Any = None, *, partition_key: object = None) -> Any:
        """
        Return the value held for *key*, here or on the server, until it is delivered.

        Raises `StorageAway` where only the server could say, and cannot be reached; or has not what
        was written here before.
        """
        hashed, data = self._place(key, partition_key)
        here: Unsent | Any = MISSING
        if self._storage.front is None:
            here = self.table_of(hashed).get(place_of(hashed, data), MISSING)
        else:
            self._await_front()
        if here is MISSING:
            return self._there(self._ask(hashed, data), default)
        if here.mode == DELETE:
            return default
        if not self._is_all(here):
            before = None if here.sent else self._sent_before(hashed, data)
            found = self._ask(hashed, data)
            if here.sent and here.sent[0] <= found.mark:  # it is part of that
                return self._there(found, default)
            if before is not None and before.sent[0] > found.mark:
                here = self._writes.both(before, here)
            if not self._is_all(here):
                return self._both(here, found)
        return self._own(here)

    def _await_front(self) -> None:
        """
        Wait until the server has what was written here so far: a file is not looked through.

        Raises `StorageAway` if that takes too long, or is known to.
        """
        (table,), clock = self.tables, self._settings.clock
        life: Any = self._sharing.face
        shipping = [each for each in life._run.workers if each.partition.table is table]
        if not shipping or not len(table):
            return
        countdown = Countdown(clock, clock.signal(), len(shipping))
        try:
            if (trouble := self._sharing.trouble) is None:
                for each in shipping:
                    each.flush(countdown)
            seconds = self._storage.ack_timeout
            until = None if seconds is None else clock.monotonic() + seconds
            while not countdown.done:
                if trouble is not None or not run(countdown.wait(until)):
                    raise StorageAway(
                        f"buffer {self._name!r}: {len(table)} of the writes in its front are not "
                        f"on the server, so what it has may be older ({trouble or 'it is slow'})"
                    )
        finally:
            for each in shipping:
                each.forget_flush(countdown)
            countdown.close()

    def _is_all(self, here: Unsent) -> bool:
        """Return whether the server has no say."""
        return bool(here.flags & CLEARS) or (self._merge is None and here.mode != NEWER)

    def _sent_before(self, hashed: int, key: bytes) -> Unsent | None:
        """Return what was sent of *key* that may not have arrived: what waits is behind it."""
        for unsent in self._shipper_of(hashed).sent():
            if unsent.key == key and unsent.hash == hashed:
                return unsent  # type: ignore[no-any-return]  # a Map's
        return None

    def _shipper_of(self, hashed: int) -> Shipper:
        sharing = self._sharing
        return sharing.shippers[sharing.lane_of(hashed) if len(sharing.shippers) > 1 else 0]

    def _ask(self, hashed: int, key: bytes) -> Found:
        while True:
            store, partition = self._sharing.store, self._sharing.partition_of(hashed)
            if store is None or partition is None:
                return NOTHING
            try:
                return store.get(partition, key, self._shipper_of(hashed).producer)
            except Sealed as error:
                if not store.refresh():
                    raise StorageAway(f"{error}: its partitions are being dealt anew") from error

    def _both(self, here: Unsent, found: Found) -> Any:
        """Return what *here* comes to over what was *found*."""
        if here.mode == NEWER:
            record = found.waiting or found.flying
            older = record is None or HEAD.unpack_from(record)[2] < here.version
            return self._own(here) if older else self._value(record)
        if found.waiting is None or self._merge is None:
            return self._own(here)
        return self._merge(self._value(found.waiting), self._own(here))

    def _own(self, here: Unsent) -> Any:
        return value_of(here.mode, here.data, self._storage.codec, self._merge)

    def _there(self, found: Found, default: Any) -> Any:
        record = found.waiting or found.flying
        return default if record is None else self._value(record)

    def _value(self, record: Any) -> Any:
        mode = HEAD.unpack_from(record)[0]
        return value_of(mode, record[HEAD.size :], self._storage.codec, self._merge)
