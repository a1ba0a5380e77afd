"""
The table of a Map's window: the worker's half of a stored Map's.

It holds records as they are on the server, by the bytes of their keys. They are decoded, and the
parts of a value merged, by who delivers them, for both run the user's code. What that cannot make
an entry of is buried as it is.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from ....abc.shared_map import ADD, HEAD, PART, VERSIONED
from ....abc.sharing import Claim, SharedStore
from ...backing.map.log import BURIED, KEPT, OWN, join
from ...backing.map.marks import POSITION
from ...backing.map.stored import snapshot_chunks
from ...backing.map.table import Raw, StoredMapTable
from ...options.settings import Settings
from ...tables.entry import Entry
from ..front.unsent import number_of, parts_of, value_of

_entry = partial(tuple.__new__, Entry)  # half the cost of Entry(...)


class Noted(Protocol):
    """What is told what is settled."""

    def __call__(self, settled: Sequence[tuple[bytes, int]], /, *, given_up: bool) -> None:
        """Note these keys, up to these positions."""


Spoilt = tuple[bytes, bytes, int, Exception]
"""A key, a record, its position, and why that is no entry."""


class WindowTable(StoredMapTable):
    """Of one claim."""

    more = left_over = note_waits = False
    unnoted: BaseException | None = None

    def __init__(self, settings: Settings, noted: Noted) -> None:
        self._made, self._noted = settings, noted
        self._storage: Any = settings.storage
        super().__init__(remember=0)

    def reset(self) -> None:
        super().reset()
        self.told: dict[str, int] = {}  # of `reasons()`
        self._entries: dict[bytes, tuple[bytes, Raw]] = {}  # given, by keys, of which records
        self._spoilt: list[Spoilt] = []
        self._spoiled = 0

    def begin_at(self, store: SharedStore, claim: Claim) -> None:
        """Begin with what is read under this claim."""
        self._store, self._claim = store, claim
        self.identity = f"{store.identity}-{claim.generation}-{claim.token}"

    def place(self, key: bytes, record: bytes, position: int) -> None:
        """Have an entry."""
        self._inner.put(key, (record, (None, position, position)))

    # --- the worker's half -------------------------------------------------------

    def fill(self) -> None:
        """Have the server keep what is no entry."""
        self.left_over = self.counts()["in_flight"] > 0
        self.note()

    def note(self) -> None:
        """Likewise: what is settled the next step says."""
        while self._spoilt:
            key, record, position, error = self._spoilt[0]
            said = f"{type(error).__name__}: {error}"
            self._store.bury(self._claim, self._letter(key, record), 1, said, 0)
            del self._spoilt[0]
            self._noted([(key, position)], given_up=True)
        self.unnoted = None

    def _letter(self, key: bytes, record: bytes) -> bytes:
        """
        Return what is kept of a record that is no entry: each part by itself, where it has some.

        It counts as one all the same: its other parts are coalesced.
        """
        _, flags, version, _, hashed = HEAD.unpack_from(record)
        known = version if flags & VERSIONED else None
        codec = self._storage.codec
        try:
            pieces = self._pieces(record)
        except Exception:  # damaged, or a number that the codec does not take
            pieces = [record[HEAD.size :]]
        return join([(KEPT, hashed, key, piece, known, OWN) for piece in pieces], codec)

    def _pieces(self, record: bytes) -> list[bytes]:
        mode, data, codec = record[:1], record[HEAD.size :], self._storage.codec
        if mode == ADD:
            return [codec.encode(number_of(data))]
        if mode != PART:
            return [data]
        return [
            codec.encode(number_of(piece)) if is_number else piece
            for piece, is_number in parts_of(data)
        ]

    def _give(self, raw: list[Raw] | None) -> list[Raw] | None:
        while raw:
            entries: list[Raw] = []
            bad: list[int] = []
            for place, each in enumerate(raw):
                try:
                    entries.append(self._entry(each))
                except Exception as error:  # codecs are the user's, as `merge` is
                    bad.append(place)
                    record, mark = each.value
                    self._spoilt.append((each.key, record, mark[POSITION], error))
            if not bad:
                self._out = raw
                return entries
            self._spoiled += len(bad)
            self._inner.bury(bad)
            raw = self._inner.again(len(raw) - len(bad), False) if entries else None
        self._out = ()
        return None

    def _entry(self, raw: Raw) -> Raw:
        record: bytes = raw.value[0]
        known = self._entries.get(raw.key)
        if known is not None and known[0] is record:
            return known[1]  # the very same again: what is known of it is known by that
        entry = self._decoded(raw, record)
        self._entries[raw.key] = record, entry
        return entry

    def _decoded(self, raw: Raw, record: bytes) -> Raw:
        mode, _, version, updates, _ = HEAD.unpack_from(record)
        key = self._storage.keys.decode(raw.key)
        value = value_of(mode, record[HEAD.size :], self._storage.codec, self._made.merge)
        return _entry((key, value, version, updates))

    def take_table(self) -> dict[Any, Raw] | list[Raw] | None:
        """Do as `take(None)`, but return a dict."""
        entries = self.take(None)
        return None if entries is None else {each.key: each for each in entries}

    def _settle(self, settle: Callable[[], int], kind: int, given: Sequence[Raw]) -> int:
        count = settle()
        self._out = ()
        for each in given:
            self._entries.pop(each.key, None)
        settled = [(each.key, each.value[1][POSITION]) for each in given]
        self._noted(settled, given_up=kind == BURIED)
        return count

    def keep_dead(self, items: list[Any], error: BaseException, attempts: int) -> None:
        """Keep what was given up on the server: the dead letter handler, unless one is given."""
        said = f"{type(error).__name__}: {error}"
        kept = [(KEPT, key, value, version or None, OWN) for key, value, version, _ in items]
        for count, data in snapshot_chunks(kept, self._storage, self._made):
            self._store.bury(self._claim, data, count, said, attempts)

    # --- what is known -------------------------------------------------------------

    def held(self) -> list[Raw]:
        """Return nothing: it is the server's."""
        return []

    def out(self) -> list[int]:
        """Return the positions of what was returned last."""
        return self.positions()

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        counts, spoiled = super().counts() | {"recovered": 0}, self._spoiled
        counts["dead_lettered"] -= spoiled
        counts["dropped"] += spoiled
        return counts

    def reasons(self) -> dict[str, int]:
        """Return how many were dropped for which reason."""
        return {"undecodable": self._spoiled} if self._spoiled else {}
