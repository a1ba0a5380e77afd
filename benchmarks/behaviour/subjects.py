"""
What is compared: one adapter per library.

Each is set up as its own documentation does it, with its default options; a timeout
is handed on wherever there is a parameter or an option that takes one. Those
that post over HTTP are in `over_http`.
"""
# ruff: noqa: PLC0415  (a process imports only the library that it tries)

import asyncio
import json
import logging
import logging.handlers
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from .trial import Setup, Subject

Process = Callable[[list[int]], None]


class Ours(Subject):
    package = "partitioned-buffer"
    policies = ("block", "raise", "drop_newest", "drop_oldest")

    def __init__(self, setup: Setup) -> None:
        from partitioned_buffer import Queue
        from partitioned_buffer.dead_letters import DeadLetterFile

        bounds: dict[str, Any] = {}
        if setup.bound:
            bounds = {"max_size": setup.bound, "when_full": setup.policy}
        if setup.letters:
            bounds["dead_letter"] = DeadLetterFile(setup.letters)
        self._queue = Queue[int](f"subject {id(self)}", setup.sink, **bounds).start()

    def put(self, item: int) -> None:
        self._queue.push(item)

    def flush(self, timeout: float) -> None:
        self._queue.flush(timeout)

    def stop(self, timeout: float) -> str:
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

            def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002
                return True

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

    def flush(self, timeout: float) -> bool:
        return self._provider.force_flush(int(timeout * 1000))

    def stop(self, _: float) -> None:
        self._provider.shutdown()

    def lost(self) -> int:
        metrics = self._reader.get_metrics_data()
        if metrics is None:
            return 0
        data = json.loads(metrics.to_json())
        return sum(
            point["value"]
            for resource in data["resource_metrics"]
            for scope in resource["scope_metrics"]
            for metric in scope["metrics"]
            for point in metric["data"]["data_points"]
            if point["attributes"].get("error.type") in ("queue_full", "already_shutdown")
        )


class Listener(Subject):
    """A handler of one's own has to catch its errors, says the documentation; this one does."""

    pairs = False

    def __init__(self, setup: Setup) -> None:
        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                try:
                    setup.sink([int(record.msg)])
                except Exception:
                    self.handleError(record)

        waiting = queue.Queue[Any](setup.bound or -1)
        self._logger = logging.getLogger("subject")
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(logging.handlers.QueueHandler(waiting))
        self._listener = logging.handlers.QueueListener(waiting, Handler())
        self._listener.start()

    def put(self, item: int) -> None:
        self._logger.info(item)

    def stop(self, _: float) -> None:
        self._listener.stop()


class Recipe(Subject):
    """A queue and a daemon thread, as the documentation of `queue.Queue` has it."""

    def _begin(self, waiting: Any, closed: type[Exception], process: Process) -> None:
        def work() -> None:
            while True:
                try:
                    item = waiting.get()
                except closed:
                    return
                process([item])
                waiting.task_done()

        self._queue = waiting
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def put(self, item: int) -> None:
        self._queue.put(item)

    def flush(self, _: float) -> None:
        self._queue.join()

    def stop(self, timeout: float) -> None:
        self._queue.shutdown()
        self._thread.join(timeout)


class Standard(Recipe):
    def __init__(self, setup: Setup) -> None:
        closed: type[Exception] = Exception
        if sys.version_info >= (3, 13):  # always; a type checker may look with an older one
            closed = queue.ShutDown
        self._begin(queue.Queue(setup.bound or 0), closed, setup.sink)


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
    package = "timed-batch-worker"

    def __init__(self, setup: Setup) -> None:
        from timed_batch_worker import TimedBatchWorker

        self._worker = TimedBatchWorker(setup.sink)
        self._worker.start()

    def put(self, item: int) -> object:
        return self._worker.enqueue(item)

    def stop(self, _: float) -> object:
        return self._worker.stop()


class FlushQueue(Subject):
    """It is of asyncio: its loop has a thread of its own here, and no loop survives a fork."""

    package = "flushq"
    bound = 1000  # it holds a batch of 500 beside what is bounded
    forks = False

    def __init__(self, setup: Setup) -> None:
        import flushq

        async def deliver(batch: list[int]) -> None:
            while not getattr(setup.sink, "opened", True):  # noqa: ASYNC110  (another thread opens it)
                await asyncio.sleep(0.01)
            setup.sink(batch)

        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._queue = flushq.FlushQueue(
            deliver,
            flushq.IntervalPolicy(2.0, 500),
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
