"""What happens when a processor, a hook or a worker fails."""

import ctypes
import logging
import threading
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer.events import (
    BatchRetried,
    PartitionStarted,
    PartitionStopped,
    ProcessingException,
    ProcessingFailed,
    ProcessingStopped,
)
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor


@pytest.mark.parametrize(
    "error", [OSError("down"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()]
)
def test_a_batch_that_fails_is_tried_again_before_its_successors(
    error: BaseException, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=2)
    queue.push_all([1, 2, 3, 4, 5])
    processor.fail(error)
    clock.advance(5.0)
    assert processor.attempts == [[1, 2]], "the successors wait"
    assert queue.size() == 5
    queue.push(6)

    clock.advance(5.0)

    assert processor.batches == [[1, 2], [3, 4], [5], [6]]
    assert queue.stats().restarts == 0


def test_a_failure_in_the_middle_does_not_repeat_what_was_delivered(
    buffers: Buffers, clock: FakeClock
) -> None:
    delivered: list[int] = []
    errors = [None, OSError(), OSError(), None, None]

    def processor(batch: list[int]) -> None:
        if error := errors.pop(0):
            raise error
        delivered.extend(batch)

    queue = buffers.queue(processor=processor, processing_batch_size=2)
    queue.push_all([1, 2, 3, 4, 5])
    clock.advance(15.0)

    assert delivered == [1, 2, 3, 4, 5]


def test_a_failing_partition_does_not_hold_up_the_others(
    buffers: Buffers, clock: FakeClock
) -> None:
    delivered: list[str] = []

    def processor(batch: list[str]) -> None:
        if "poison" in batch:
            raise ValueError
        delivered.extend(batch)

    queue = buffers.queue(processor=processor, partitions=2)
    queue.push_all(["poison", "behind"])
    queue.push_all(["good"])
    clock.advance(50.0)

    assert delivered == ["good"]
    assert [part.held for part in queue.stats().partitions] == [2, 0]


def test_a_failure_is_announced_and_logged(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(name="events", hooks=[hook])
    queue.push_all([1, 2])
    error = OSError("down")
    processor.fail(error, error)

    clock.advance(15.0)
    queue.push(3)
    clock.advance(5.0)

    assert [e.error for e in hook.of(ProcessingException)] == [error, error]
    assert [(e.error, e.left) for e in hook.of(ProcessingFailed)] == [(error, 2), (error, 2)]
    assert [e.attempt for e in hook.of(BatchRetried)] == [2, 3]
    assert [e.size for e in hook.of(ProcessingStopped)] == [2, 1]
    assert (
        "buffer 'events', partition 0: processing failed, attempt 1; the next is in 5 s, and 2 wait"
        in caplog.text
    )
    assert "OSError: down" in caplog.text


def test_a_worker_that_dies_is_restarted_with_its_table_intact(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(hooks=[hook], processing_batch_size=2)
    table, bug = queue._tables[0], [RuntimeError("a bug of ours")]
    acknowledge = type(table).acknowledge

    def dies_once(self: Any) -> None:
        if bug:
            raise bug.pop()
        acknowledge(self)

    monkeypatch.setattr(type(table), "acknowledge", dies_once)
    queue.push_all([1, 2, 3])
    clock.advance(5.0)
    assert queue.stats().restarts == 1
    assert queue.size() == 3
    queue.push(4)
    clock.advance(5.0)

    assert processor.batches == [[1, 2], [1, 2], [3, 4]], "at least once, in order"
    assert len(hook.of(PartitionStarted)) == 2
    assert [str(event.reason) for event in hook.of(PartitionStopped)] == ["a bug of ours"]
    assert "the worker died (1 in a row) and is restarted; nothing is lost" in caplog.text


def test_an_exception_thrown_into_the_worker_does_not_end_it(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    processor.block()
    queue.push(1)
    clock.jump(5.0)
    processor.wait_for_call()
    (thread,) = [worker.thread for worker in queue._workers]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )
    processor.unblock()

    clock.advance(10.0)

    assert processor.items[-1] == 1
    assert thread.is_alive()


def test_a_worker_that_dies_while_stopping_leaves_its_items_in_the_report(
    buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = buffers.queue()
    queue.push_all([1, 2])
    swap = type(queue._tables[0]).swap

    def dies(*_: Any, **__: Any) -> int:
        raise MemoryError

    monkeypatch.setattr(type(queue._tables[0]), "swap", dies)
    report = queue.stop()
    monkeypatch.setattr(type(queue._tables[0]), "swap", swap)

    assert report.left == (1, 2)


def test_a_hook_that_raises_harms_nobody(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: object) -> None:
        raise SystemExit

    queue = buffers.queue(hooks=[broken, hook])
    queue.push(1)
    clock.advance(5.0)

    assert processor.items == [1]
    assert len(hook.of(ProcessingStopped)) == 1
    assert queue.stats().hook_errors == len(hook.events)
    assert len([r for r in caplog.records if "hook" in r.message]) == 1, "logged once"


def test_nothing_is_printed(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, capfd: Any
) -> None:
    logging.getLogger("partitioned_buffer").propagate = False
    try:
        queue = buffers.queue()
        queue.push(1)
        processor.fail(OSError())
        clock.advance(5.0)
        queue.stop()
    finally:
        logging.getLogger("partitioned_buffer").propagate = True

    assert capfd.readouterr() == ("", "")


def test_the_traceback_of_a_failure_does_not_keep_the_thread_from_ending(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push(1)
    processor.fail(OSError())
    queue.stop()

    watchdog = queue._watchdog
    assert watchdog is not None
    for thread in [watchdog.thread, *(worker.thread for worker in queue._workers)]:
        thread.join(30)
    assert not [t for t in threading.enumerate() if t.name.startswith(queue.name + "-")]
