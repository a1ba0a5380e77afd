"""What is said because records are delivered is not delivered: it would never end."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from logs import Kept, Logged, Making

import partitioned_buffer
from partitioned_buffer import Queue, Retry
from partitioned_buffer.integrations.intake import delivering
from partitioned_buffer.integrations.logging import BufferHandler, Passed
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced


@contextmanager
def at_the_root(handler: BufferHandler) -> Iterator[logging.Logger]:
    """Have everybody's records in *handler*, however detailed."""
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield root
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_what_the_destination_s_client_says_goes_past() -> None:
    client, fallback, delivered = logging.getLogger("client.http"), Kept(), list[str]()

    def send(lines: list[str]) -> None:
        client.debug("sending %d", len(lines))
        delivered.extend(lines)

    handler = BufferHandler("shipped", send, fallback=fallback)
    with at_the_root(handler) as root:
        root.info("one")
        handler.flush()
        client.info("for the program itself")
        handler.flush()
    handler.close()

    assert delivered == ["one", "for the program itself"]
    assert fallback.messages == ["sending 1", "sending 1"]
    assert handler.passed == Passed(own=2)
    assert_balanced(handler.queue.stats())
    assert handler.queue.stats().accepted == 2


def test_what_the_library_says_goes_past_and_to_the_fallback(
    processor: RecordingProcessor, clock: FakeClock
) -> None:
    fallback = Kept(logging.ERROR)
    handler = BufferHandler("failing", processor, fallback=fallback, clock=clock)
    processor.fail(ConnectionError("down"))
    with at_the_root(handler) as root:
        root.info("one")
        clock.advance(1.0)
        clock.advance(60.0)
    handler.close()

    assert processor.items == ["one"]
    assert "failing" in fallback.messages[0]
    assert {record.name for record in fallback.records} == {"partitioned_buffer"}
    assert handler.queue.stats().accepted == 1
    assert handler.passed.own == len(fallback.records)


def test_what_the_library_says_of_other_buffers_goes_past_too(
    processor: RecordingProcessor, clock: FakeClock
) -> None:
    fallback, failing = Kept(), RecordingProcessor()
    failing.fail(ConnectionError("down"))
    handler = BufferHandler("shipped", processor, fallback=fallback)
    with at_the_root(handler), Queue("orders", failing, clock=clock, partitions=1) as orders:
        orders.push("tea")
        clock.advance(5.0)
    handler.close()

    assert processor.items == []
    assert handler.passed == Passed(own=1)
    assert "orders" in fallback.messages[0]


def test_loggers_whose_names_begin_alike_are_not_the_library_s(
    logged: Making, processor: RecordingProcessor
) -> None:
    log = logged(processor, name="partitioned_buffers", ignore=["urllib3"])
    named = logging.LogRecord("urllib", logging.INFO, "", 0, "taken", None, None)
    below = logging.LogRecord("urllib3.pool", logging.INFO, "", 0, "not taken", None, None)

    log.logger.info("mine")
    log.handler.handle(named)
    log.handler.handle(below)
    log.handler.flush()
    log.said += 2

    assert processor.items == ["mine", "taken"]
    assert log.handler.passed == Passed(own=1)


def test_hooks_and_subscribers_that_log_go_past(logged: Making) -> None:
    delivered: list[str] = []
    log: Logged = logged(delivered.extend, hooks=[lambda event: log.logger.info("%s", event)])

    unsubscribe = partitioned_buffer.subscribe(lambda event: log.logger.info("%s", event))
    log.logger.info("one")
    log.handler.flush()
    log.logger.info("two")
    log.handler.close()
    unsubscribe()

    assert [line for line in delivered if "PartitionStarted" not in line] == ["one", "two"]
    assert log.handler.passed.own > 4


def test_a_watchdog_s_hook_goes_past(logged: Making, processor: RecordingProcessor) -> None:
    clock, overdue = FakeClock(), threading.Event()

    def hook(event: Any) -> None:
        log.logger.info("%s", event)
        if type(event).__name__ == "ProcessingOverdue":
            overdue.set()

    log = logged(processor, clock=clock, processing_timeout=5.0, flush_at=1, hooks=[hook])
    clock.settle()  # a watchdog that has yet to begin would wait from after the jump on
    processor.block()
    log.logger.info("one")
    processor.wait_for_call()
    clock.jump(6.0)
    assert overdue.wait(30)
    processor.unblock()
    log.handler.close()

    assert [line for line in processor.items if "Partition" not in line] == ["one"]


def test_two_handlers_do_not_send_each_other_s_records_round(logged: Making) -> None:
    delivered: dict[str, list[str]] = {"first": [], "second": []}
    root = logging.Logger("both")  # noqa: LOG001  # of this test alone

    def sending(name: str) -> Any:
        def send(lines: list[str]) -> None:
            delivered[name] += lines
            root.debug("%s has sent %d", name, len(lines))

        return send

    logs = [logged(sending(name)) for name in delivered]
    for log in logs:
        root.addHandler(log.handler)
    root.info("one")
    for log in logs * 2:
        log.handler.flush()
        log.said = 3  # one, and what each has sent

    assert delivered == {"first": ["one"], "second": ["one"]}


def test_workers_of_other_buffers_are_taken(logged: Making, processor: RecordingProcessor) -> None:
    log = logged(processor)

    def store(orders: list[str]) -> None:
        log.logger.info("stored %s", orders)

    with Queue("orders", store) as orders:
        orders.push("tea")
        orders.flush()
    log.handler.flush()

    assert processor.items == ["stored ['tea']"]


def test_threads_that_the_processor_asks_go_past_with_its_context(logged: Making) -> None:
    delivered: list[str] = []

    def send(lines: list[str]) -> None:
        async def work() -> None:
            await asyncio.to_thread(log.logger.info, "in a thread")

        asyncio.run(work())
        delivered.extend(lines)

    log = logged(send)
    log.logger.info("one")
    log.handler.close()

    assert delivered == ["one"]
    assert log.handler.passed == Passed(own=1)


def test_who_logs_is_never_taken_for_one_that_delivers(
    logged: Making, processor: RecordingProcessor
) -> None:
    letters: list[Any] = []
    options = {"exit_timeout": 0.0, "dead_letter": lambda items, *_: letters.extend(items)}
    log = logged(processor, max_size=1, retry=Retry(attempts=1), **options)
    processor.fail_always(ConnectionError())
    for number in range(3):
        log.logger.info("%d", number)
        log.handler.flush()
    log.handler.close()

    assert not delivering.get()
    assert log.handler.passed == Passed()


@pytest.mark.parametrize("method", ["flush", "close"])
def test_a_processor_that_flushes_or_closes_its_handler_is_not_waited_for(
    logged: Making, method: str
) -> None:
    raised: list[BaseException] = []

    def send(_lines: list[str]) -> None:
        try:
            getattr(log.handler, method)()
        except Exception as error:
            raised.append(error)

    log = logged(send)
    log.logger.info("one")
    log.handler.flush()

    assert [type(error).__name__ for error in raised] == ["WrongThread"] * (method == "close")
    assert log.handler.queue.running
    log.handler.close()
    assert not log.handler.queue.running
