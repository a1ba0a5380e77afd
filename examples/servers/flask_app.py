"""
Flask: a `Queue` that is started at import, and drained when the process exits.

    gunicorn flask_app:app --workers 2 --threads 4

`POST /events/7` is answered at once. The events arrive in `events.txt`, those that wait when the
server is told to stop included. With `--preload`, too: each forked worker goes on with a buffer of
its own.
"""

import os
from pathlib import Path

from flask import Flask

from partitioned_buffer import Queue

FILE = Path(os.environ.get("EVENTS_FILE", "events.txt"))


def store(batch: list[int]) -> None:
    """One write per batch, so that several processes can share the file."""
    with FILE.open("ab", buffering=0) as file:
        file.write("".join(f"{number}\n" for number in batch).encode())


app = Flask(__name__)
events: Queue[int] = Queue("events", store).start()


@app.post("/events/<int:number>")
def accept(number: int) -> tuple[dict[str, int], int]:
    """Accept an event, and say which process did."""
    events.push(number)
    return {"process": os.getpid()}, 202
