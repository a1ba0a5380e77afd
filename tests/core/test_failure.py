"""What happens when a processor, a hook or a worker fails."""

import ctypes
import itertools
import logging
import operator
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Buffers, in_thread, wait_until

from partitioned_buffer import Entry, Map, Queue, Reject, Retry
from partitioned_buffer.events import (
    BatchDeadLettered,
    BatchRetried,
    ItemsDropped,
    PartitionStarted,
    PartitionStopped,
    ProcessingException,
    ProcessingFailed,
    ProcessingOverdue,
    ProcessingStopped,
)
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces


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


@pytest.mark.threads
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


@pytest.mark.threads
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


@pytest.mark.threads
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


@pytest.mark.threads
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


# --- waits between attempts --------------------------------------------------------

PATIENT = Retry(wait_initial=1000.0, wait_max=1000.0, jitter=0.0)


@pytest.mark.parametrize("method", ["stop", "flush"])
def test_a_wait_for_the_next_attempt_is_cut_short(
    method: str, buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(retry=PATIENT, processing_batch_size=2)
    queue.push_all([1, 2, 3])
    processor.fail(OSError())
    clock.advance(5.0)
    queue.push(4)

    getattr(queue, method)(timeout=0.5)

    assert clock.monotonic() == 5.0
    assert processor.batches == [[1, 2], [3], [4]]
    assert queue.stats().delivered == queue.stats().accepted == 4


@pytest.mark.parametrize(
    ("method", "error"), [("stop", None), ("flush", TimeoutError)], ids=["stop", "flush"]
)
def test_a_wait_for_the_next_attempt_does_not_outlast_a_timeout(
    method: str,
    error: type[Exception] | None,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    queue = buffers.queue(retry=PATIENT)
    queue.push_all([1, 2])
    processor.fail_always(OSError())

    outcome = None
    try:
        getattr(queue, method)(timeout=3.0)
    except TimeoutError as raised:
        outcome = type(raised)

    assert outcome is error
    assert clock.monotonic() == 3.0
    assert len(processor.attempts) == 1
    assert (queue.stats().held, queue.stats().accepted) == (2, 2)


def test_nothing_overtakes_a_batch_that_waits_for_its_next_attempt(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(retry=PATIENT, flush_at=1)
    processor.fail(OSError())
    queue.push(1)
    clock.settle()
    queue.push_all([2, 3])
    clock.advance(999.0)  # many intervals
    assert processor.attempts == [[1]]

    clock.advance(1.0)

    assert processor.batches == [[1], [2, 3]]
    assert queue.stats().delivered == queue.stats().accepted == 3


# --- calls that take too long ------------------------------------------------------


def test_a_call_that_takes_too_long_is_announced_once_and_its_partition_waits(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(name="events", processing_timeout=7.0, flush_at=1, hooks=[hook])
    processor.block()
    queue.push(1)
    processor.wait_for_call()
    queue.push(2)
    clock.jump(6.75)
    assert queue.stats().overdue == 0
    clock.jump(0.25)
    wait_until(lambda: hook.of(ProcessingOverdue) != [])
    clock.jump(100.0)
    watchdog: Any = queue._watchdog
    wait_until(lambda: bool(watchdog._signal.idle))

    assert [e.duration for e in hook.of(ProcessingOverdue)] == [7.0], "once per call"
    message = "buffer 'events', partition 0: a call of the processor has taken 7 s so far"
    assert caplog.text.count(message) == 1
    assert queue.stats().overdue == queue.stats().partitions[0].overdue == 1
    assert processor.attempts == [[1]]

    processor.unblock()
    clock.settle()
    assert processor.batches == [[1], [2]]
    assert queue.stats().overdue == 0
    clock.advance(100.0)
    assert len(hook.of(ProcessingOverdue)) == 1, "nothing after it has returned"


def test_a_second_call_that_takes_too_long_is_announced_too(
    buffers: Buffers, clock: FakeClock, hook: RecordingHook
) -> None:
    queue = buffers.queue(processing_timeout=7.0, flush_at=1, hooks=[hook], partitions=2)
    watchdog: Any
    for count in (1, 2):
        release = threading.Event()
        queue._workers[0].driver._processor = lambda _: release.wait(60)
        queue.push(count)
        queue.push(count)
        wait_until(lambda: queue.stats().partitions[1].held == 0)
        wait_until(lambda: queue._workers[0].driver.called_at is not None)
        watchdog = queue._watchdog
        queue.update_options(processing_timeout=7.0)  # has it look when the next call ends
        wait_until(lambda: bool(watchdog._signal.idle))
        clock.jump(7.0)
        wait_until(lambda: len(hook.of(ProcessingOverdue)) == count)
        assert [part.overdue for part in queue.stats().partitions] == [1, 0]
        release.set()
        clock.settle()

    assert {event.partition for event in hook.of(ProcessingOverdue)} == {0}
    assert queue.stats().delivered == queue.stats().accepted == 4


def test_an_overdue_call_is_not_waited_for_by_stop(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_timeout=7.0, flush_at=1)
    processor.block()
    queue.push(1)
    processor.wait_for_call()
    clock.jump(10.0)
    stopper, reports = in_thread(lambda: queue.stop(timeout=2.0))
    while stopper.is_alive():
        clock.jump(1.0)
        stopper.join(0.001)

    assert reports[0].left == (1,)
    processor.unblock()
    wait_until(lambda: queue._workers[0].ended)
    assert queue.stats().delivered == queue.stats().accepted == 1


def test_a_shorter_processing_timeout_counts_for_a_call_that_goes_on(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor, hook: RecordingHook
) -> None:
    queue = buffers.queue(flush_at=1, hooks=[hook])
    processor.block()
    queue.push(1)
    processor.wait_for_call()
    clock.jump(10.0)
    queue.update_options(processing_timeout=4.0)
    wait_until(lambda: hook.of(ProcessingOverdue) != [])

    assert hook.of(ProcessingOverdue)[0].duration == 10.0
    processor.unblock()
    clock.settle()
    assert queue.stats().delivered == queue.stats().accepted == 1


# --- dead letters ------------------------------------------------------------------


def test_dead_letters_without_a_handler_are_counted_announced_and_logged_once_per_burst(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(name="events", processing_batch_size=1, hooks=[hook])
    reject = Reject("nonsense")
    for burst in (1, 2):
        queue.push_all(range(8))
        processor.fail(*[reject] * 6)
        clock.advance(5.0)
        assert caplog.text.count("buffer 'events', partition 0: dead-lettered 1 item") == burst

    dead = hook.of(BatchDeadLettered)
    assert [(e.size, e.error, e.attempts) for e in dead] == [(1, reject, 1)] * 12
    stats = queue.stats()
    assert (stats.accepted, stats.delivered, stats.dead_lettered) == (16, 4, 12)
    assert stats.dead_letter_errors == 0


@pytest.mark.parametrize("error", [OSError("disk full"), SystemExit(1)])
def test_a_dead_letter_handler_that_raises_changes_nothing(
    error: BaseException,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given: list[int] = []

    def handler(items: list[int], *_: object) -> None:
        given.extend(items)
        raise error

    queue = buffers.queue(dead_letter=handler, processing_batch_size=1)
    queue.push_all([1, 2, 3, 4])
    processor.fail(*[Reject()] * 3)
    clock.advance(5.0)

    stats = queue.stats()
    assert given == [1, 2, 3]
    assert (stats.accepted, stats.dead_lettered, stats.delivered) == (4, 3, 1)
    assert (stats.dead_letter_errors, stats.restarts) == (3, 0)
    blamed = [r for r in caplog.records if "dead letter handler" in r.message]
    assert [r.exc_info and r.exc_info[1] for r in blamed] == [error], "logged once"


# --- workers -----------------------------------------------------------------------


@pytest.mark.threads
def test_a_worker_that_dies_each_time_backs_off_and_says_so(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(hooks=[hook], processing_interval=0.01)
    bug, table = RuntimeError("a bug of ours"), type(queue._tables[0])

    def dies(*_: Any, **__: Any) -> int:
        raise bug

    with monkeypatch.context() as patch:
        patch.setattr(table, "swap", dies)
        queue.push_all([1, 2])
        clock.advance(300.0)
    started = [event.time for event in hook.of(PartitionStarted)]
    waits = [later - earlier for earlier, later in itertools.pairwise(started)]

    assert waits == pytest.approx(
        [0.11, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60], abs=0.02
    )
    deaths = len(hook.of(PartitionStopped))
    assert queue.stats().restarts == deaths == len(waits) + 1
    assert {event.reason for event in hook.of(PartitionStopped)} == {bug}
    assert f"the worker died ({deaths} in a row)" in caplog.text
    clock.advance(60.0)
    assert processor.items == [1, 2]
    assert queue.stats().delivered == queue.stats().accepted == 2


@pytest.mark.threads
def test_a_cycle_that_is_completed_ends_the_backing_off(
    buffers: Buffers, clock: FakeClock, hook: RecordingHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = buffers.queue(hooks=[hook], processing_interval=0.01)
    swap, dying = type(queue._tables[0]).swap, [True] * 5

    def dies_at_times(*args: Any, **options: Any) -> Any:
        if dying and dying.pop():
            raise RuntimeError
        return swap(*args, **options)

    monkeypatch.setattr(type(queue._tables[0]), "swap", dies_at_times)
    clock.advance(10.0)
    dying.append(True)
    clock.advance(0.05)
    assert queue.stats().restarts == 6
    before = len(hook.of(PartitionStarted))
    clock.advance(0.1)

    assert len(hook.of(PartitionStarted)) == before + 1, "the first wait is short again"


def lose_the_thread(queue: Queue[int], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker die of what its own handling of errors dies of, too."""
    worker, table = queue._workers[0], type(queue._tables[0])

    def dies(*_: Any, **__: Any) -> Any:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(table, "swap", dies)
        patch.setattr(worker, "_rest", dies)
        patch.setattr(threading, "excepthook", lambda _: None)
        clock.advance(5.0)
        worker.thread.join(60)
    assert not worker.thread.is_alive()


@pytest.mark.threads
def test_a_worker_whose_thread_is_gone_is_replaced(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(hooks=[hook], processing_batch_size=2, flush_at=4)
    queue.push_all([1, 2, 3])
    lose_the_thread(queue, clock, monkeypatch)
    queue.push(4)
    assert queue.size() == 4

    clock.advance(60.0)  # the watchdog looks every processing_timeout

    assert processor.batches == [[1, 2], [3, 4]]
    assert "partition 0: the worker's thread was gone and is replaced" in caplog.text
    assert queue.stats().restarts == 2, "died, and was replaced"
    queue.push_all([5, 6, 7, 8])
    clock.settle()
    assert processor.batches[2:] == [[5, 6], [7, 8]], "the new worker is the one to be woken"
    assert queue.stats().delivered == queue.stats().accepted == 8


@pytest.mark.threads
def test_a_buffer_is_stopped_and_started_again_without_its_worker(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = buffers.queue()
    queue.push_all([1, 2])
    lose_the_thread(queue, clock, monkeypatch)

    assert queue.stop().left == (1, 2)
    queue.start()
    queue.push(3)
    assert queue.stop().delivered == 3
    assert processor.items == [1, 2, 3]


@pytest.mark.threads
def test_a_thread_that_cannot_be_had_is_asked_for_again(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue()
    queue.push(1)
    lose_the_thread(queue, clock, monkeypatch)

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        clock.advance(60.0)
    assert processor.items == []
    assert "a worker is gone and cannot be replaced yet" in caplog.text

    clock.advance(60.0)

    assert processor.items == [1]
    assert queue.stats().delivered == queue.stats().accepted == 1


# --- merge -------------------------------------------------------------------------

Write = Callable[[Map[str, Any], str, Any, int], None]


def by_put(mapped: Map[str, Any], key: str, value: Any, _version: int) -> None:
    mapped.put(key, value)


def by_put_newer(mapped: Map[str, Any], key: str, value: Any, version: int) -> None:
    mapped.put_newer(key, value, version)


@pytest.mark.parametrize("write", [by_put, by_put_newer])
@pytest.mark.parametrize("bound", [{}, {"max_size": 4}, {"max_bytes": 12, "size_of": len}])
def test_merge_unites_old_and_new_where_they_wait_and_where_they_failed(
    bound: dict[str, Any],
    write: Write,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
) -> None:
    mapped = buffers.map(merge=operator.add, **bound)
    write(mapped, "a", "1", 1)
    write(mapped, "a", "2", 2)
    write(mapped, "b", "x", 1)
    processor.fail(OSError())
    clock.advance(5.0)
    write(mapped, "a", "3", 3)
    write(mapped, "a", "4", 4)
    assert mapped.get("a") == "34", "get() shows the newest that is held"
    clock.advance(5.0)

    version, updates = (4, 3) if write is by_put_newer else (0, 0)
    attempts = [{entry.key: entry.value for entry in batch} for batch in processor.attempts]
    assert attempts == [{"a": "12", "b": "x"}, {"a": "1234", "b": "x"}]
    assert processor.items[0] == Entry("a", "1234", version, updates)
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced) == (5, 2, 3)


@pytest.mark.parametrize("write", [by_put, by_put_newer])
@pytest.mark.parametrize("bound", [{}, {"max_size": 4}, {"max_bytes": 4, "size_of": lambda _: 1}])
def test_a_merge_that_raises_drops_one_value_and_nothing_else(
    bound: dict[str, Any],
    write: Write,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mapped = buffers.map(merge=operator.add, hooks=[hook], **bound)
    write(mapped, "a", 1, 1)
    write(mapped, "a", "no number", 2)  # where it waits, the old one stays
    write(mapped, "a", 2, 3)
    write(mapped, "b", 1, 1)
    processor.fail(OSError())
    clock.advance(5.0)
    write(mapped, "a", "no number", 4)  # where it failed, the new one does
    write(mapped, "b", 2, 2)
    clock.advance(5.0)

    attempts = [[entry.value for entry in batch] for batch in processor.attempts]
    assert attempts == [[3, 1], ["no number", 3]]
    stats = mapped.stats()
    assert (stats.accepted, stats.delivered, stats.coalesced, stats.dropped) == (6, 2, 2, 2)
    assert stats.drop_reasons == {"merge failed": 2}
    clock.advance(5.0)
    assert Counter(e.reason for e in hook.of(ItemsDropped)) == {"merge failed": 2}
    assert all(isinstance(e.error, TypeError) for e in hook.of(ItemsDropped))
    assert caplog.text.count("dropped 1: merge failed") == 2
    for key in "cdef":  # all the room is there
        write(mapped, key, 1, 1)
    assert mapped.size() == 4
