"""Workers that die, hang, or cannot be had, and who looks after them."""

import ctypes
import itertools
import threading
from queue import SimpleQueue
from typing import Any

import pytest
from helpers import Buffers, in_thread, let_time_pass, wait_until

from partitioned_buffer import Queue
from partitioned_buffer.events import PartitionStarted, PartitionStopped, ProcessingOverdue
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor

pytestmark = pytest.mark.both_faces


@pytest.mark.threads
def test_a_worker_that_dies_is_restarted_with_its_table_intact(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    hook: RecordingHook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(hooks=[hook], processing_batch_size=2)
    table, bug = queue._partitions[0].table, [RuntimeError("a bug of ours")]

    class Buggy:
        """The table, but that it fails once when it is told that a batch is delivered."""

        def __getattr__(self, name: str) -> Any:
            return getattr(table, name)

        def take(self, size: int | None) -> Any:
            if bug and table.counts()["in_flight"] and table.keep(None):
                raise bug.pop()
            return table.take(size)

    queue._run.workers[0].driver._table = Buggy()
    queue.push_all([1, 2, 3])
    clock.advance(5.0)
    assert queue.stats().restarts == 1
    assert queue.size() == 3
    queue.push(4)
    clock.advance(5.0)

    assert processor.batches == [[1, 2], [1, 2], [3], [4]], (
        "at least once, in order: first what was left"
    )
    assert len(hook.of(PartitionStarted)) == 2
    assert [str(event.reason) for event in hook.of(PartitionStopped)] == ["a bug of ours"]
    assert "the worker died (1 in a row) and is restarted; nothing is lost" in caplog.text


@pytest.mark.threads
def test_an_exception_thrown_into_the_worker_does_not_end_it(
    buffers: Buffers, clock: FakeClock
) -> None:
    # It may come anywhere in the call. In the Python of an Event or a Semaphore it would leave
    # their lock taken for ever, and whoever needs them next would hang.
    entered, gate, delivered = SimpleQueue[None](), SimpleQueue[None](), list[int]()

    def processor(batch: list[int]) -> None:
        entered.put(None)
        gate.get(timeout=60)
        delivered.extend(batch)

    queue = buffers.queue(processor=processor)
    queue.push(1)
    clock.jump(5.0)
    entered.get(timeout=60)
    (thread,) = [worker.thread for worker in queue._run.workers]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )
    for _ in range(2):
        gate.put(None)

    clock.advance(10.0)

    assert delivered == [1]
    assert thread.is_alive()


@pytest.mark.threads
def test_a_worker_that_dies_while_stopping_leaves_its_items_in_the_report(
    buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = buffers.queue()
    queue.push_all([1, 2])
    swap = type(queue._partitions[0].table).swap

    def dies(*_: Any, **__: Any) -> int:
        raise MemoryError

    monkeypatch.setattr(type(queue._partitions[0].table), "swap", dies)
    report = queue.stop()
    monkeypatch.setattr(type(queue._partitions[0].table), "swap", swap)

    assert report.left == (1, 2)


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
    watchdog: Any = queue._run.watchdog
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
        queue._run.workers[0].driver._processor = lambda _: release.wait(60)
        queue.push(count)
        queue.push(count)
        wait_until(lambda: queue.stats().partitions[1].held == 0)
        wait_until(lambda: queue._run.workers[0].driver.called_at is not None)
        watchdog = queue._run.watchdog
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
    let_time_pass(clock, until_end_of=stopper)

    assert reports[0].left == (1,)
    processor.unblock()
    wait_until(lambda: queue._run.workers[0].ended)
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
    bug, table = RuntimeError("a bug of ours"), type(queue._partitions[0].table)

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
    swap, dying = type(queue._partitions[0].table).swap, [True] * 5

    def dies_at_times(*args: Any, **options: Any) -> Any:
        if dying and dying.pop():
            raise RuntimeError
        return swap(*args, **options)

    monkeypatch.setattr(type(queue._partitions[0].table), "swap", dies_at_times)
    clock.advance(10.0)
    dying.append(True)
    clock.advance(0.05)
    assert queue.stats().restarts == 6
    before = len(hook.of(PartitionStarted))
    clock.advance(0.1)

    assert len(hook.of(PartitionStarted)) == before + 1, "the first wait is short again"


def lose_the_thread(queue: Queue[int], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker die of what its own handling of errors dies of, too."""
    worker, table = queue._run.workers[0], type(queue._partitions[0].table)

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
