"""Loggers with a handler of ours."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from partitioned_buffer.integrations.logging import BufferHandler
from partitioned_buffer.testing import assert_balanced


class Kept(logging.Handler):
    """A handler that keeps records, as a fallback."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


class Logged:
    """A logger of its own, for all levels, with one handler; it counts what it has said."""

    def __init__(self, name: str, handler: BufferHandler) -> None:
        self.logger = logging.Logger(name)  # noqa: LOG001  # of one test alone
        self.logger.addHandler(handler)
        self.handler, self.said = handler, 0
        self.logger.addFilter(self._count)

    def _count(self, _record: logging.LogRecord) -> bool:
        self.said += 1
        return True

    def assert_accounted(self) -> None:
        """What was said was accepted, or has passed; and the ledger of the buffer adds up."""
        stats, passed = self.handler.queue.stats(), self.handler.passed
        assert_balanced(stats)
        assert stats.accepted + sum(passed) == self.said, (stats, passed, self.said)


Making = Callable[..., Logged]


@contextmanager
def making() -> Iterator[Making]:
    """Make loggers whose handlers are closed at the end, and all that they were told is counted."""
    made: list[Logged] = []

    def make(processor: Any, *, name: str = "app", **options: Any) -> Logged:
        options = {"fallback": None} | options
        made.append(Logged(name, BufferHandler(f"logs-{len(made)}", processor, **options)))
        return made[-1]

    yield make
    for each in made:
        each.handler.close()
        each.assert_accounted()
        assert each.handler.queue.stats().held == 0
