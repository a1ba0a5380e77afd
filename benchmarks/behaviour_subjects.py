"""
What is compared: one adapter per library, and the sink they deliver to.

Each is set up as its own documentation does it, with its default options; a timeout
is handed on wherever there is a parameter or an option that takes one. Those
that post over HTTP are in `behaviour_http`.
"""
# ruff: noqa: PLC0415  (a process imports only the library that it tries)

import asyncio
import json
import logging
import logging.handlers
import os
import queue
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol


class Sink:
    """Where items arrive, also a child's: a line per call in a file. It can block, and fail."""

    def __init__(self, path: Path, delay: float = 0.001) -> None:
        self._path, self._delay = path, delay
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.opened = True  # a flag, not an Event: a child opens its own, and no lock is forked
        self.discards = False
        self.failures = 0  # how many of the next calls fail
        self.failed = 0

    def __call__(self, items: list[int]) -> None:
        while not self.opened:
            time.sleep(0.01)
        if self.discards or not items:
            return
        if self.failures:
            self.failures -= 1
            self.failed += 1
            raise OSError("the sink is down")
        time.sleep(self._delay)
        os.write(self._file, f"{json.dumps(items)}\n".encode())

    def arrived(self) -> Counter[int]:
        return arrived(self._path)


def arrived(path: Path) -> Counter[int]:
    """Return how often each item arrived."""
    return Counter(item for line in path.read_text().splitlines() for item in json.loads(line))


@dataclass
class Setup:
    sink: Sink
    bound: int | None = None
    policy: str | None = None
    patience: float = 30.0  # for those who are told when they are made how long a stop may take


class Subject(Protocol):
    package: ClassVar[str | None] = None
    bound: ClassVar[int] = 100  # what "full" is tried with
    policies: ClassVar[tuple[str | None, ...]] = (None,)

    def put(self, item: int) -> object:
        """Write *item*; False means that it was refused."""
        ...

    def flush(self, timeout: float) -> object:
        raise NotImplementedError

    def stop(self, timeout: float) -> object: ...

    def lost(self) -> int | None:
        """Return how many were dropped, where there is a number that tells."""
        return None


class Ours(Subject):
    package = "partitioned-buffer"
    policies = ("block", "raise", "drop_newest", "drop_oldest")

    def __init__(self, setup: Setup) -> None:
        from partitioned_buffer import Queue

        bounds = {"max_size": setup.bound, "when_full": setup.policy} if setup.bound else {}
        self._queue = Queue[int]("subject", setup.sink, **bounds).start()
        self.put = self._queue.push

    def flush(self, timeout: float) -> object:
        return self._queue.flush(timeout)

    def stop(self, timeout: float) -> object:
        return f"{len(self._queue.stop(timeout).left)} left"

    def lost(self) -> int:
        return self._queue.stats().dropped


class OpenTelemetry(Subject):
    """Its logs. The exporter is what a user may write; its metrics of itself are switched on."""

    package = "opentelemetry-sdk"

    def __init__(self, setup: Setup) -> None:
        os.environ["OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"] = "true"
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import (
            BatchLogRecordProcessor,
            LogRecordExporter,
            LogRecordExportResult,
        )
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        class Exporter(LogRecordExporter):
            def export(self, batch: Any) -> LogRecordExportResult:
                setup.sink([record.log_record.body for record in batch])
                return LogRecordExportResult.SUCCESS

            def force_flush(self, timeout_millis: int = 30000) -> bool: ...

            def shutdown(self) -> None: ...

        self._reader = InMemoryMetricReader()
        bounds = {"max_queue_size": setup.bound, "max_export_batch_size": setup.bound}
        self._provider = LoggerProvider()
        self._provider.add_log_record_processor(
            BatchLogRecordProcessor(
                Exporter(), meter_provider=MeterProvider([self._reader]), **bounds
            )
        )
        self._logger = self._provider.get_logger("subject")

    def put(self, item: int) -> None:
        self._logger.emit(body=item)

    def flush(self, timeout: float) -> object:
        return self._provider.force_flush(int(timeout * 1000))

    def stop(self, _: float) -> object:
        return self._provider.shutdown()

    def lost(self) -> int:
        data = json.loads(self._reader.get_metrics_data().to_json())
        return sum(
            point["value"]
            for resource in data["resource_metrics"]
            for scope in resource["scope_metrics"]
            for metric in scope["metrics"]
            for point in metric["data"]["data_points"]
            if point["attributes"].get("error.type") == "queue_full"
        )


class Listener(Subject):
    """A handler of one's own has to catch its errors, says the documentation; this one does."""

    def __init__(self, setup: Setup) -> None:
        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                try:
                    setup.sink([int(record.msg)])
                except Exception:
                    self.handleError(record)

        waiting = queue.Queue[Any](setup.bound or -1)
        logger = logging.getLogger("subject")
        logger.setLevel(logging.INFO)
        logger.addHandler(logging.handlers.QueueHandler(waiting))
        self._listener = logging.handlers.QueueListener(waiting, Handler())
        self._listener.start()
        self.put = logger.info

    def stop(self, _: float) -> object:
        return self._listener.stop()


class Recipe(Subject):
    """A queue and a daemon thread, as the documentation of `queue.Queue` has it."""

    def _begin(self, waiting: Any, closed: type[Exception], process: Sink) -> None:
        def work() -> None:
            while True:
                try:
                    item = waiting.get()
                except closed:
                    return
                process([item])
                waiting.task_done()

        self.queue, self.put = waiting, waiting.put
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def flush(self, _: float) -> object:
        return self.queue.join()

    def stop(self, timeout: float) -> object:
        self.queue.shutdown()
        return self._thread.join(timeout)


class Standard(Recipe):
    def __init__(self, setup: Setup) -> None:
        self._begin(queue.Queue(setup.bound or 0), queue.ShutDown, setup.sink)


class Janus(Recipe):
    package = "janus"

    def __init__(self, setup: Setup) -> None:
        import janus

        both = janus.Queue[int](setup.bound or 0)
        self._begin(both.sync_q, janus.SyncQueueShutDown, setup.sink)


class Culsans(Recipe):
    package = "culsans"

    def __init__(self, setup: Setup) -> None:
        import culsans

        both = culsans.Queue[int](setup.bound or 0)
        self._begin(both.sync_q, culsans.SyncQueueShutDown, setup.sink)


class TimedBatch(Subject):
    """In batches of 100, as most of the others; 20 by default."""

    package = "timed-batch-worker"

    def __init__(self, setup: Setup) -> None:
        from timed_batch_worker import TimedBatchWorker

        self._worker = TimedBatchWorker(setup.sink, flush_batch_size=100)
        self._worker.start()
        self.put = self._worker.enqueue

    def stop(self, _: float) -> object:
        return self._worker.stop()


class FlushQueue(Subject):
    """It is of asyncio; its loop has a thread of its own here."""

    package = "flushq"

    def __init__(self, setup: Setup) -> None:
        import flushq

        async def deliver(batch: list[int]) -> None:
            while not setup.sink.opened:  # noqa: ASYNC110  (another thread opens it)
                await asyncio.sleep(0.01)
            setup.sink(batch)

        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._queue = flushq.FlushQueue(
            deliver,
            flushq.IntervalPolicy(1.0, 100),
            max_queue_size=setup.bound or 10_000,
            max_shutdown_wait=setup.patience,
        )
        self._await(self._queue.__aenter__())

    def _await(self, awaited: Any) -> object:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result()

    def put(self, item: int) -> object:
        return self._await(self._queue.enqueue(item))

    def stop(self, _: float) -> object:
        return self._await(self._queue.__aexit__(None, None, None))
