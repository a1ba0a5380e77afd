"""
Which event loop a buffer is at home in.

    _asyncio_loop    asyncio's own, uvloop
    _trio_loop       trio
"""

import asyncio
import sys
import threading
from collections.abc import Callable

from ..._core.waiting.event_loop import running_loop
from .asyncio import AsyncioLoop
from .base import RunningLoop

# What tells one loop from another, at next to no cost. The public `get_running_loop` raises where
# there is none; Python 3.11's asks the system for the process each time.
whereabouts: Callable[[], object] = (
    asyncio._get_running_loop if sys.version_info >= (3, 12) else threading.current_thread
)


def current_loop() -> RunningLoop:
    """
    Return the loop that runs in this thread.

    Raises `RuntimeError` if there is none.
    """
    if "trio" in sys.modules and not isinstance(running_loop(), asyncio.AbstractEventLoop | None):
        from .trio import TrioLoop  # noqa: PLC0415  # trio need not be installed

        return TrioLoop()
    return AsyncioLoop()
