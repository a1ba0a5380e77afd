"""
AWS Lambda: between two invocations everything stands still, so each delivers before it returns.

Deploy it with the handler `lambda_handler.handler`. An environment may be taken away while it
stands still, without a word: what is held then is lost, so nothing is.
"""

import os
from pathlib import Path
from typing import Any, Protocol

from partitioned_buffer import Queue, Retry

FILE = Path(os.environ.get("EVENTS_FILE", "/tmp/events.txt"))  # noqa: S108  # for want of a service
RESERVE = 1.0  # seconds that are kept for the answer


class Context(Protocol):
    """What Lambda says of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how much time is left."""
        ...


def send(batch: list[str]) -> None:
    """Give what this waits for a timeout, below that of the function."""
    with FILE.open("ab", buffering=0) as file:
        file.write("".join(f"{line}\n" for line in batch).encode())


# Made once per environment, with its connections; the interval never comes to anything.
events: Queue[str] = Queue(
    "events", send, partitions=2, processing_batch_size=500, processing_interval=3600.0,
    retry=Retry(wait_initial=0.1, wait_max=1.0),
).start()  # fmt: skip


def handler(event: dict[str, Any], context: Context) -> dict[str, int]:
    """
    Take records in, and return when they are delivered.

    Where they cannot be in time, raise: then Lambda, or the queue that the event is from, gives
    the same event again.
    """
    for record in event["Records"]:
        events.push(record["body"])
    events.flush(timeout=max(0.0, context.get_remaining_time_in_millis() / 1000 - RESERVE))
    return {"delivered": len(event["Records"])}
