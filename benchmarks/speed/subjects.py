"""
What is measured: one adapter per peer, all with the same few methods.

Each is set up so that it can take everything that is written to it, and so that its
worker, where it has one, sleeps while writes are timed.
"""

import threading
from collections.abc import Callable
from queue import Empty, Queue, SimpleQueue
from typing import Any, Protocol

import janus
from opentelemetry.sdk._shared_internal import BatchProcessor

import partitioned_buffer

ASLEEP = 3600.0
PLENTY = 16_000_000


class Subject(Protocol):
    """Something that takes items, one by one."""

    @property
    def put(self) -> Callable[[Any], object]: ...

    def close(self) -> None: ...


class ListAppend:
    """The floor: nothing written in Python can cost less."""

    def __init__(self) -> None:
        self.put = list[Any]().append

    def close(self) -> None: ...


class Simple:
    def __init__(self) -> None:
        self.put = SimpleQueue[Any]().put

    def close(self) -> None: ...


class Standard:
    def __init__(self) -> None:
        self.put = Queue[Any]().put

    def close(self) -> None: ...


class Locked:
    """What is written by hand: a list, and how much it took, changed together."""

    def __init__(self) -> None:
        self._lock, self._items = threading.Lock(), list[Any]()
        self.closed, self.accepted = False, 0

    def put(self, item: Any) -> None:
        with self._lock:
            if self.closed:
                raise RuntimeError("closed")
            self._items.append(item)
            self.accepted += 1

    def close(self) -> None:
        self.closed = True


class LockedMap(Locked):
    """The same, of a dict."""

    def __init__(self) -> None:
        super().__init__()
        self._values, self.coalesced = dict[Any, Any](), 0

    def put_by_key(self, key: Any, value: Any) -> None:
        with self._lock:
            if self.closed:
                raise RuntimeError("closed")
            if key in self._values:
                self.coalesced += 1
            self._values[key] = value
            self.accepted += 1


class Janus:
    def __init__(self) -> None:
        self._queue = janus.Queue[Any]()
        self.put = self._queue.sync_q.put

    def close(self) -> None:
        self._queue.close()


class _Metrics:
    """OpenTelemetry's counters of itself, which its default set-up leaves out too."""

    def register_queue_size(self, _: object) -> None: ...
    def finish_items(self, _: int) -> None: ...
    def drop_items(self, *_: object) -> None: ...


class _Exporter:
    def __init__(self, export: Callable[[list[Any]], object]) -> None:
        self.export = export

    def shutdown(self) -> None: ...


class OpenTelemetry:
    def __init__(
        self,
        export: Callable[[list[Any]], object] = len,
        *,
        batch: int = PLENTY,
        delay: float = ASLEEP,
    ) -> None:
        self._processor = BatchProcessor[Any](
            _Exporter(export),
            schedule_delay_millis=delay * 1000,
            max_export_batch_size=batch,
            export_timeout_millis=30_000,
            max_queue_size=PLENTY,
            exporting="Item",
            metrics=_Metrics(),
        )
        self.put = self._processor.emit

    def close(self) -> None:
        self._processor._queue.clear()
        self._processor.shutdown()

    def finish(self) -> None:
        self._processor.shutdown(timeout_millis=600_000)


class Ours:
    """A Queue with its default options, apart from the interval."""

    def __init__(
        self, processor: Callable[[list[Any]], object] | None = None, **options: Any
    ) -> None:
        self.queue = partitioned_buffer.Queue[Any](
            "bench", processor or _nothing, **{"processing_interval": ASLEEP} | options
        ).start()
        self.put = self.queue.push
        self.finish = self.queue.stop

    def close(self) -> None:
        self.queue.update_options(processing_batch_size="table")
        self.queue.stop()


class OurMap:
    def __init__(self, **options: Any) -> None:
        self.map = partitioned_buffer.Map[Any, Any](
            "bench", _nothing, **{"processing_interval": ASLEEP} | options
        ).start()

    def close(self) -> None:
        self.map.update_options(processing_batch_size="table")
        self.map.stop()


def _nothing(_: Any) -> None: ...


class Drained:
    """A queue and the thread one writes for it: collect what there is, hand it over, repeat."""

    def __init__(
        self,
        queue: Any,
        get: Callable[..., Any],
        process: Callable[[list[Any]], object],
        batch: int,
    ) -> None:
        self.put = queue.put
        self._get, self._process, self._batch = get, process, batch
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while True:
            items = [self._get()]
            try:
                while len(items) < self._batch:
                    items.append(self._get(block=False))
            except Empty:
                pass
            if items[-1] is None:
                self._process(items[:-1])
                return
            self._process(items)

    def finish(self) -> None:
        self.put(None)
        self._thread.join()
