"""What several test files share."""

import itertools
from collections.abc import Callable
from typing import Any

from partitioned_buffer import Map, Queue
from partitioned_buffer.testing import FakeClock, RecordingProcessor

_numbers = itertools.count()


class Buffers:
    """Makes started buffers on the test's clock; checks the ledger of each at the end."""

    def __init__(self, clock: FakeClock, processor: RecordingProcessor) -> None:
        self._defaults: dict[str, Any] = {"clock": clock, "partitions": 1}
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
