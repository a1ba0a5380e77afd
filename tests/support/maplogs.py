"""A stored Map's log in memory: written as it would be to a file, and what it comes to."""

from typing import Any

from partitioned_buffer._core.backing.map.landing import MapLanding
from partitioned_buffer._core.backing.map.log import (
    BURIED,
    DELETE,
    KEPT,
    KNOWN,
    NEWER,
    PUT,
    SETTLED,
    VOID,
    Op,
    join,
)
from partitioned_buffer._core.backing.map.replay import Replayed, replay
from partitioned_buffer._core.backing.map.snapshot import written
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.keys import make_keys
from partitioned_buffer.storage.stable_hash import stable_hash

__all__ = ["BURIED", "DELETE", "KEPT", "KNOWN", "NEWER", "PUT", "SETTLED", "VOID", "Log", "opened"]

CODEC: Any = make_codec("pickle")
KEYS: Any = make_keys(CODEC)


def opened(kind: Any, **how: Any) -> Any:
    table = kind(**how)
    table.open(lambda: None, None)
    return table


class Log:
    """Chunks by position; what is appended is landed."""

    def __init__(self, codec: Any = CODEC) -> None:
        self.codec, self.keys = codec, make_keys(codec)
        self.chunks: list[tuple[int, int, bytes | None]] = []
        self.end = 0

    def op(self, kind: int, key: Any, value: Any = None, version: int | None = None) -> Op:
        record = self.codec.encode(value) if kind in (PUT, NEWER) else None
        position = value if kind in (SETTLED, BURIED, VOID) else 0
        return Op(kind, stable_hash(key), self.keys.encode(key), record, version, position)

    def append(self, *ops: Op) -> int:
        """Append a chunk; return its position."""
        start = self.end
        self.chunks.append((start, len(ops), join(ops, self.codec)))
        self.end += len(ops)
        return start

    def land(
        self, table: MapLanding, *ops: tuple[Any, ...]
    ) -> tuple[int, list[BaseException | None]]:
        """Append and land *ops*: kind, key, value, version, weight."""
        whole: list[Any] = [(*op, *(None, None, 0)[len(op) - 2 :]) for op in ops]
        start = self.append(*(self.op(*op[:4]) for op in whole))
        return start, table.land(start, whole)

    def settle(self, table: MapLanding) -> list[Any]:
        """Append and land what has been settled."""
        settled = table.settled()
        if settled:
            self.land(table, *settled)
        return settled

    def replay(self, *, merge: bool = False, remember: int = 100) -> Replayed:
        return replay(self.chunks, self.codec, self.keys, merge=merge, remember=remember)

    def compact(self, kept: Any, size: int = 3) -> None:
        """Have a snapshot in place of all that was."""
        chunks = written(kept, self.codec, self.keys, stable_hash, size)
        self.chunks = []
        for count, data in chunks:
            self.chunks.append((self.end, count, data))
            self.end += count
