import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from partitioned_buffer import Map, Queue
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor, assert_balanced

_numbers = itertools.count()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Exploring schedules takes locks replaced from the start: `make test` does that."""
    if config.getoption("--frontrun-patch-locks", default=False):
        return
    explorers = [item for item in items if "schedules" in item.path.parts]
    if explorers and os.environ.get("CI"):
        raise pytest.UsageError("tests/schedules need the option --frontrun-patch-locks")
    for item in explorers:
        item.add_marker(pytest.mark.skip("needs the option --frontrun-patch-locks"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def processor() -> RecordingProcessor:
    return RecordingProcessor()


@pytest.fixture
def hook() -> RecordingHook:
    return RecordingHook()


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


@pytest.fixture
def buffers(clock: FakeClock, processor: RecordingProcessor) -> Iterator[Buffers]:
    buffers = Buffers(clock, processor)
    yield buffers
    processor.unblock()
    for buffer in buffers.made:
        buffer.stop()
        assert_balanced(buffer.stats())
