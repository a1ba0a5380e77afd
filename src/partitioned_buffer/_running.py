"""Whether an event loop runs here. Importing none, for most programs that ask have none."""

import sys
from typing import Final

STALLED: Final = (
    "An event loop runs in the thread that waited; if the processor needs that loop, wait in "
    "another one: await asyncio.to_thread(...)"
)


def running_loop() -> object | None:
    """Return the loop that runs in this thread, and stands still while the thread waits."""
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")  # who runs one has it
    if trio is not None:
        try:
            return trio.lowlevel.current_trio_token()  # type: ignore[no-any-return]
        except RuntimeError:  # documented: not here
            pass
    return None if asyncio is None else asyncio._get_running_loop()
