"""Handlers to compare, and how a call of each is timed. All deliver lines to the same list."""

import logging
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from partitioned_buffer.integrations.logging import BufferHandler

from ..speed.measure import Row, timed, together

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
NOTHING, PEER = "no handler", "QueueHandler"


class Lines(logging.Handler):
    """The destination: it formats, and keeps lines."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Subject:
    """A logger with one handler."""

    def __init__(self, handler: logging.Handler, lines: list[str]) -> None:
        self.handler, self.lines = handler, lines
        self.logger = logging.Logger("benchmark")  # noqa: LOG001  # of one round alone
        self.logger.addHandler(handler)

    def finish(self) -> None:
        self.handler.close()


class Standard(Subject):
    """The standard library's: a queue, and a thread that calls the destination's handler."""

    def __init__(self, kind: Callable[[], Any]) -> None:
        between, lines = kind(), list[str]()
        destination = Lines(lines)
        destination.setFormatter(logging.Formatter(FORMAT))
        super().__init__(QueueHandler(between), lines)
        self.listener = QueueListener(between, destination)
        self.listener.start()

    def finish(self) -> None:
        self.listener.stop()


class Ours(Subject):
    """Ours; its processor is given lines, or makes them of records."""

    def __init__(self, format_in: Any) -> None:
        lines = list[str]()

        def take(batch: list[Any]) -> None:
            lines.extend(map(str, batch))

        handler = BufferHandler("benchmark", take, format_in=format_in, processing_interval=0.1)
        handler.setFormatter(logging.Formatter(FORMAT))
        super().__init__(handler, lines)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    NOTHING: lambda: Subject(logging.NullHandler(), []),
    PEER: lambda: Standard(queue.Queue),
    f"{PEER}, SimpleQueue": lambda: Standard(queue.SimpleQueue),
    "BufferHandler": lambda: Ours("caller"),
    "BufferHandler, format_in='worker'": lambda: Ours("worker"),
}


def _line(logger: logging.Logger, count: int) -> Callable[[], None]:
    def work() -> None:
        for number in range(count):
            logger.info("user %s bought %d of %s", "ada", number, "tea")

    return work


def _timed(make: Callable[[], Subject], count: int, spend: Callable[[Subject], float]) -> float:
    subject = make()
    try:
        return spend(subject)
    finally:
        subject.finish()
        if not isinstance(subject.handler, logging.NullHandler) and len(subject.lines) != count:
            raise RuntimeError(f"{subject.handler}: {len(subject.lines)} of {count} lines arrived")


def _own_time(work: Callable[[], None], count: int) -> float:
    """Return the nanoseconds of CPU per item that *work* takes of this very thread."""
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / count


def burst(make: Callable[[], Subject], count: int) -> float:
    """One thread logs, while the other end takes what comes."""
    return _timed(make, count, lambda it: _own_time(_line(it.logger, count), count))


def crowd(make: Callable[[], Subject], count: int) -> float:
    """Four threads do."""
    each = count // 4
    return _timed(make, 4 * each, lambda it: together(_line(it.logger, each), 4, each))


def failure(make: Callable[[], Subject], count: int) -> float:
    """One thread logs an error that is going on."""

    def spend(subject: Subject) -> float:
        def work() -> None:
            for _ in range(count):
                with suppress(ZeroDivisionError):
                    try:
                        1 / 0  # noqa: B018  # raises
                    except ZeroDivisionError:
                        subject.logger.exception("that was wrong")
                        raise

        return _own_time(work, count)

    return _timed(make, count, spend)


def ended(make: Callable[[], Subject], count: int) -> float:
    """One thread logs, and waits until all of it has arrived."""

    def spend(subject: Subject) -> float:
        def work() -> None:
            _line(subject.logger, count)()
            if isinstance(subject, Standard):
                subject.listener.stop()
                subject.listener.start()
            else:
                subject.handler.flush()

        return timed(work, count)

    return _timed(make, count, spend)


def beyond(row: Row, bare: Row) -> Row:
    """Return what *row* takes beyond making the record."""
    pairs = zip(row.times, bare.times, strict=True)
    return Row(row.name, [max(1.0, mine - other) for mine, other in pairs])
