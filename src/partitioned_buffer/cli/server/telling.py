"""What a worker tells: few lines, on stdout."""

import logging
import sys
import time
from contextlib import suppress
from typing import Any

from ..._core.ledger import StopReport
from ..._core.sharing.sharing import Sharing
from ...errors import StorageAway

FIRST, LONGEST = 0.1, 5.0
"""Seconds from one attempt to reach the server to the next."""

LEAVE = 2.0
"""Seconds to tell the server that this worker is gone, beyond the grace."""


class Shift:
    """From the first attempt to reach the server to the last word."""

    def __init__(self, buffer: Any, grace: float, *, warns: bool) -> None:
        self.grace = grace
        self._buffer, self._warns = buffer, warns
        self._sharing: Sharing = buffer._admission.sharing
        self._wait, self._is_away = FIRST, False
        self._ending_since = 0.0

    def away(self, error: StorageAway) -> float:
        """Say once that the server is away; return how many seconds later to try again."""
        if not self._is_away:
            self._is_away = True
            say(f"The server of {self._buffer!r} is away, and is tried again and again: {error}")
        wait, self._wait = self._wait, min(LONGEST, 2 * self._wait)
        return wait

    def began(self) -> None:
        """Say what is delivered, and where from."""
        store = self._sharing.store
        if store is None:
            return
        kind, name = type(self._buffer).__name__, self._buffer.name
        say(
            f"{kind} {name!r} on {store.where}: {store.layout.partitions} partitions; this is the "
            f"worker {store.me}."
        )
        for warning in store.warnings if self._warns else ():
            say(f"Warning: {warning}.")

    def ends(self) -> None:
        """Say that it ends."""
        self._ending_since = time.monotonic()
        say(
            "Ending: what the processor has may end, the rest is given back. A second signal ends "
            "at once: then other workers wait for the lease, and get what was in hand again."
        )

    def stopped_by_others(self) -> int:
        """Say that the program itself has stopped the buffer; return the exit code."""
        say(f"{self._buffer!r} was stopped by its own program: this worker ends.")
        return 1

    def ended(self, report: StopReport) -> int:
        """Take leave, and say how it has ended; return the exit code."""
        is_late = time.monotonic() - self._ending_since >= self.grace
        self._sharing.leave(LEAVE)
        say(f"Ended: {self._sharing.delivered:,} delivered, {self._sharing.buried:,} given up.")
        if is_late:
            say(
                f"Not all had ended after {self.grace:g} seconds: what was in hand is delivered "
                "again, by another worker. --grace gives more time."
            )
        if left := len(report.left):
            say(f"{left:,} that this very program has written did not get to the server: lost.")
        return 1 if is_late or left else 0


def say(line: str) -> None:
    """Print a line, if anybody listens."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def log_to_stderr() -> bool:
    """Log, if the program does not; return whether that was so."""
    if logging.getLogger("partitioned_buffer").hasHandlers():
        return False
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
    return True
