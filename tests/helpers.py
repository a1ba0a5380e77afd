"""What several test files share."""

import itertools
from collections.abc import Callable
from typing import Any

from partitioned_buffer import Entry, Map, PartialFailure, Queue, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor

_numbers = itertools.count()

EVERY_5_S = Retry(attempts=None, wait_initial=5.0, multiplier=1.0, jitter=0.0)


class Sink:
    """A processor and dead letter handler: it fails as told, also in part, and keeps the rest."""

    def __init__(self) -> None:
        self.delivered: list[Any] = []
        self.dead: list[Any] = []
        self.errors: list[BaseException] = []
        self.down: BaseException | None = None

    def __call__(self, batch: Any) -> None:
        items = list(batch.values()) if isinstance(batch, dict) else batch
        error = self.errors.pop(0) if self.errors else self.down
        if error is None:
            self.delivered += items
            return
        if isinstance(error, PartialFailure):
            failed = error.failed
            self.delivered += [
                i for i in items if (i.key if isinstance(i, Entry) else i) not in failed
            ]
        raise error.with_traceback(None)

    def bury(self, items: list[Any], _error: BaseException, _attempts: int) -> None:
        self.dead += items

    def fail(self, *errors: BaseException) -> None:
        self.errors += errors

    def fail_always(self, error: BaseException) -> None:
        self.down = error

    def recover(self) -> None:
        self.errors.clear()
        self.down = None


class Buffers:
    """Makes started buffers on the test's clock; checks the ledger of each at the end."""

    def __init__(self, clock: FakeClock, processor: RecordingProcessor) -> None:
        self._defaults: dict[str, Any] = {"clock": clock, "partitions": 1, "retry": EVERY_5_S}
        self._processor = processor
        self.made: list[Queue[Any] | Map[Any, Any]] = []

    def queue(self, **options: Any) -> Queue[Any]:
        queue: Queue[Any] = self._make(Queue, options)
        return queue

    def map(self, **options: Any) -> Map[Any, Any]:
        mapped: Map[Any, Any] = self._make(Map, options)
        return mapped

    def _make(self, kind: Callable[..., Any], options: dict[str, Any]) -> Any:
        name = options.pop("name", f"buffer-{next(_numbers)}")
        processor = options.pop("processor", self._processor)
        buffer = kind(name, processor, **(self._defaults | options))
        self.made.append(buffer)
        return buffer.start()
