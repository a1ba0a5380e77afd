"""
Which event loop a buffer is at home in.

    _asyncio_loop    asyncio's own, uvloop
    _trio_loop       trio
"""

import sys

from ._asyncio_loop import AsyncioLoop
from ._loops import RunningLoop


def current_loop() -> RunningLoop:
    """
    Return the loop that runs in this thread.

    Raises `RuntimeError` if there is none.
    """
    trio = sys.modules.get("trio")  # who runs it has imported it
    if trio is not None and trio.lowlevel.in_trio_run():
        from ._trio_loop import TrioLoop  # noqa: PLC0415  # trio need not be installed

        return TrioLoop()
    return AsyncioLoop()
