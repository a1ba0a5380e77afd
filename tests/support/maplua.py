"""What runs on the server for Maps, asked by cases."""

from typing import Any

import luas
from mapops import kept, ops_of

from partitioned_buffer.abc.shared_map import MapOp

MOST = 200
"""Bytes of parts that wait for a key at most."""


class Scripts(luas.Scripts):
    """Those of a Map."""

    mark = 0

    def append(self, *ops: MapOp, **options: Any) -> Any:
        """Append *ops*, behind what was appended unless told; return what is answered."""
        known, most = options.get("known", self.mark), options.get("most", 0)
        tally = {name: options.get(name, 0) for name in ("coalesced", "deleted")}
        it = ops_of(*ops, known=known, first=options.get("first"), **tally)
        rest = most, 9999, int(options.get("touch", False)), "{t}:news", 7, *it.tally, MOST
        flat = [each for op in ops for each in op]
        reply = self("map_append", known, it.first, it.last, it.count, *rest, *flat)
        if reply == [1]:
            self.mark = it.last
        return reply

    def step(self, lease: str, swap: int = -1, **options: Any) -> Any:
        """Take a step by which keys of *swap* are settled."""
        delivered, buried = (options.get(each, "").split() for each in ("delivered", "buried"))
        return self(
            "map_step",
            *(lease, 9999, swap, options.get("read", swap), options.get("at", "0")),
            *(options.get("records", 9), options.get("room", 999)),
            *(options.get("remember", 9), options.get("may_swap", 1)),
            *(len(delivered), *delivered, *buried),
        )

    def fly(self, lease: str) -> int:
        """Have all that waits be in flight; return the swap."""
        return int(self.step(lease)[0])

    def deliver(self, *ops: MapOp) -> None:
        """Append and deliver these."""
        assert self.append(*ops) == [1]
        lease, keys = self.claim(), b" ".join(key for key, _ in ops).decode()
        assert self.step(lease, self.fly(lease), delivered=keys)[3:] == [0, 0]

    def kept(self, key: str, of: str = "w") -> Any:
        """Return what the record of *key* says; None: there is none."""
        record = self.do("HGET", of, key)
        return None if record is None else kept(record)

    def value(self, key: str, of: str = "w") -> Any:
        record = self.kept(key, of)
        return record and record.value

    def counts(self) -> list[int]:
        """Return how many were accepted, coalesced and deleted."""
        fields = "accepted", "coalesced", "deleted"
        return [int(each or 0) for each in self.do("HMGET", "meta", *fields)]

    def sizes(self) -> list[int]:
        """Return how many wait, and how many are in flight, as is said and as it is."""
        said = [int(each or 0) for each in self.do("HMGET", "meta", "waiting", "flying")]
        assert said == [self.do("HLEN", "w"), self.do("HLEN", "r")]
        return said
