"""
What differs between a Queue and a Map on a server: what their keys hold, and which scripts run.

    kind.py     what each of them says
    queue.py    chunks, in order
    map.py      a record for each key; moving.py: these go to other partitions
"""

from .kind import Kind, Terms
from .map import MapKind
from .queue import QueueKind

__all__ = ["KINDS", "Kind", "Terms", "kind_of"]

KINDS = {"Queue", "Map"}


def kind_of(name: str, remember: int = 0) -> Kind:
    """Return the kind of that name; *remember*: how many versions."""
    return QueueKind() if name == "Queue" else MapKind(remember)
