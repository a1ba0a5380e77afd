"""
What a Queue and a Map are made of, whoever drives them: tables, and what admits to them.
"""

from collections.abc import Callable
from typing import Any

from ...errors import BufferFull
from ..options.settings import Settings
from ..tables.implementation import MapTable, QueueTable
from ..writes.admission import Admission, table_room
from ..writes.line import Face
from ..writes.map import MapRoutes
from ..writes.queue import QueueRoutes


def queue_parts(made: Settings, face: Face) -> tuple[list[Any], Admission, Any]:
    """Make what a Queue takes: tables, what admits to them, and what finds them."""
    if made.is_shared:
        from ..sharing.front.writes import shared_queue  # noqa: PLC0415  # few take it

        return shared_queue(made, face)
    if made.storage is not None:
        from ..backing.queue.writes import stored_queue  # noqa: PLC0415  # few take it

        return stored_queue(made, face)
    room = table_room(made)
    tables = [QueueTable(room) for _ in range(made.partitions or 1)]
    admission = Admission(made, room, face)
    return tables, admission, QueueRoutes(face, tables, admission)


def map_parts(made: Settings, face: Face) -> tuple[list[Any], Admission, Any]:
    """Make what a Map takes: tables, what admits to them, and what finds them."""
    if made.is_shared:
        from ..sharing.front.map_writes import shared_map  # noqa: PLC0415  # as above

        return shared_map(made, face)
    if made.storage is not None:
        from ..backing.map.writes import stored_map  # noqa: PLC0415  # as above

        return stored_map(made, face)
    room = table_room(made)
    admission = Admission(made, room, face)
    weigh = None if made.merge is None else _weigher_of_merged(made, admission.weigh)
    tables = [
        MapTable(room, made.merge, made.remember_versions, weigh)
        for _ in range(made.partitions or 1)
    ]
    return tables, admission, MapRoutes(face, tables, admission)


def _weigher_of_merged(
    made: Settings, weigh: Callable[[Any], int] | None
) -> Callable[[Any], int] | None:
    """Return what weighs the outcome of `merge`: no wait makes room for one that is too big."""
    most = made.max_bytes
    if weigh is None or most is None or made.when_full.startswith("drop"):
        return weigh

    def weigh_merged(value: Any) -> int:
        weight = weigh(value)
        if weight > most:
            raise BufferFull(
                f"merge() made a value of more bytes than buffer {made.name!r} holds "
                f"(max_bytes={most})"
            )
        return weight

    return weigh_merged
