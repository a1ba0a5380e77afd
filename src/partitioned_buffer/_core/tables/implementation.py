"""
Which tables there are: in C, or where those were not built, the same in plain Python.

`PARTITIONED_BUFFER_SPEED` in the environment says which: 1 has to be C, 0 has to be Python.
"""

import os
from typing import TYPE_CHECKING

_wanted = os.environ.get("PARTITIONED_BUFFER_SPEED", "")

NAME = "python"
if not TYPE_CHECKING and _wanted != "0":
    try:
        from . import _speed  # noqa: F401  # to see whether it is there

        NAME = "c"
    except ImportError as error:
        if _wanted == "1":
            raise ImportError(
                "PARTITIONED_BUFFER_SPEED=1 asks for tables in C, and they are not there: "
                "install with a C compiler at hand, or set it to 0"
            ) from error

if TYPE_CHECKING or NAME == "python":
    from .map import MapTable
    from .queue import QueueTable
    from .room import Room
    from .stopwatch import Stopwatch
    from .writers import AsyncMapWriter, AsyncQueueWriter, MapWriter, QueueWriter
else:
    from ._speed import (
        AsyncMapWriter,
        AsyncQueueWriter,
        MapTable,
        MapWriter,
        QueueTable,
        QueueWriter,
        Room,
        Stopwatch,
    )

__all__ = ["NAME", "MapTable", "QueueTable", "Room", "Stopwatch"]
__all__ += ["AsyncMapWriter", "AsyncQueueWriter", "MapWriter", "QueueWriter"]
