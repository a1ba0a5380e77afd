"""
What hooks and the log are told of a failed batch.
"""

from typing import Any

from ...events import ProcessingFailed
from ..measures import described
from ..policy.effects import Wait
from .partition import Partition


def tell_of_wait(partition: Partition[Any], wait: Wait) -> None:
    """Say that a batch, or the dead letter handler, has failed, and when it is tried again."""
    if wait.by_handler:
        words = "the dead letter handler raised, attempt %d; it is called again in %.3g s"
    else:
        words = "processing failed, attempt %d; the next is in %.3g s"
        tell_of_failure(partition, wait.error, wait.seconds)
    partition.report(
        f"{words}, and %d wait: %s",
        wait.attempt,
        wait.seconds,
        len(partition.table),
        " ".join(described(wait.error).split()),  # for who looks at lines, not at tracebacks
        error=wait.error,
    )
    quiet = partition.destination.quiet_for(partition.settings.clock.monotonic())
    if quiet is not None:
        partition.report(
            "nothing has gone through for %.3g minutes, in the whole buffer: an outage costs "
            "nothing but room; if the items are bad, raise Reject",
            quiet / 60,
        )


def tell_of_failure(
    partition: Partition[Any], error: BaseException, retry_in: float | None
) -> None:
    """Tell hooks that a batch has failed with *error*, and stays."""
    left, time = len(partition.table), partition.settings.clock.time()
    partition.emit(ProcessingFailed, time=time, error=error, left=left, retry_in=retry_in)
