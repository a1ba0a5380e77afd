"""Whether an event loop runs here. Importing none, for most programs that ask have none."""

import sys
from contextlib import suppress
from typing import Final

STALLED: Final = (
    "An event loop runs in the thread that waited; if the processor needs that loop, wait in "
    "another one: await asyncio.to_thread(...)"
)


def running_loop() -> object | None:
    """Return the loop that runs in this thread, and stands still while the thread waits."""
    # Who runs one has imported it. Not by `get`, which on free-threaded builds of Python 3.13 locks
    # what is the whole program's; and a child may inherit that lock from threads that meet there.
    if "trio" in sys.modules:
        with suppress(RuntimeError):  # documented: not here
            return sys.modules["trio"].lowlevel.current_trio_token()  # type: ignore[no-any-return]
    return sys.modules["asyncio"]._get_running_loop() if "asyncio" in sys.modules else None
