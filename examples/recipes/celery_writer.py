"""
Celery: tasks in many processes write to one Queue on a Valkey or Redis server; one delivers.

    celery -A celery_writer worker               # tasks, in as many processes as you like
    partitioned-buffer worker celery_writer:results

Without the second one what tasks have written waits on the server.
"""

import os

from celery import Celery

from partitioned_buffer import Queue
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.storage import Redis

SERVER = os.environ.get("SERVER", "redis://localhost:6379/0")
DATABASE = os.environ.get("DATABASE", "results.db")

app = Celery("recipe", broker=SERVER)
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)  # killed ones run again


table = SQLiteTable(DATABASE, "results", ["task", "result"], key=["task"], create=True)
results: Queue[tuple[int, int]] = Queue(
    "results", table, partitions=2, processing_batch_size=500, processing_interval=0.2,
    storage=Redis(SERVER, ack="server", lease=3.0, deliver=False),  # tasks only write
)  # fmt: skip


@app.task  # type: ignore[untyped-decorator]
def square(number: int) -> None:
    """Return when the result is on the server: then the task is done."""
    if not results.running:
        results.start()
    results.push((number, number * number))
