"""
How what waits for a Map's keys is cut into parcels: each goes where its key's hash says.
"""

from collections.abc import Sequence
from typing import Any

from ....abc.sharing import Layout, Tally
from ...writes.routing import slot_numbers
from .parcels import Cutter, Pending, parts
from .unsent import Unsent


class MapPending(Pending):
    """See `Pending`."""

    records: Sequence[Unsent]

    def load(self) -> dict[str, Any]:
        """Return what its parcel carries."""
        tally = Tally(*map(sum, zip(*(record.tally for record in self.records), strict=True)))
        return {"data": b"", "ops": [record.op for record in self.records], "tally": tally}


class MapCutter(Cutter):
    """See `Cutter`."""

    kind_of_pending = MapPending

    def cut(
        self,
        layout: Layout,
        lane: Sequence[int],  # noqa: ARG002  # keys are for any of them
        places: Sequence[int],
        batch: Sequence[Any],
        positions: Sequence[int] | None,
    ) -> list[Pending]:
        """Return the parcels of these *places* of *batch*, in the order in which to send them."""
        groups: dict[int, list[int]] = {}
        slots = slot_numbers(layout.partitions)
        for place in places:
            groups.setdefault(slots[batch[place].hash % len(slots)], []).append(place)
        made: list[Pending] = []
        for partition, group in groups.items():
            sizes = [len(batch[place].key) + len(batch[place].data) for place in group]
            for part in parts(group, sizes):
                marks = self.marks(part, positions)
                for place, mark in zip(part, marks, strict=True):
                    batch[place].sent[:] = [mark]  # from now on nothing is put over it
                made.append(self.pack(layout.generation, partition, part, marks, batch))
        return made

    def hash_of(self, record: Unsent, position: int) -> int:  # noqa: ARG002  # keys say it
        """Return what says where a record goes."""
        return record.hash
