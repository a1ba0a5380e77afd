"""What stop() delivers, leaves, waits for, and reports."""

import threading

import pytest
from helpers import Buffers, join, let_time_pass, wait_until

from partitioned_buffer import BufferAlreadyRunning, BufferNotRunning, Queue, StopReport
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


def test_stop_reports_what_it_delivered_and_is_idempotent(buffers: Buffers) -> None:
    queue = buffers.queue(partitions=3)
    queue.push_all(range(10))

    assert queue.stop() == StopReport(delivered=10, dead_lettered=0, left=())
    assert queue.stop() == StopReport(0, 0, ())
    assert Queue("new", print).stop() == StopReport(0, 0, ())


def test_stop_delivers_what_is_written_while_a_cycle_runs(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    processor.block()
    queue.push(1)
    clock.jump(5.0)
    processor.wait_for_call()
    queue.push(2)

    stopper = threading.Thread(target=queue.stop)
    stopper.start()
    processor.unblock()
    join(stopper)

    assert processor.items == [1, 2]


def test_partitions_drain_at_the_same_time(buffers: Buffers) -> None:
    together = threading.Barrier(4)
    queue = buffers.queue(partitions=4, processor=lambda _: together.wait(timeout=30))
    queue.push_all([1])
    queue.push_all([2])
    queue.push_all([3])
    queue.push_all([4])

    assert queue.stop().delivered == 4


def test_stop_leaves_what_fails_and_says_so(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=2)
    queue.push_all([1, 2, 3, 4, 5])
    processor.fail_always(OSError("down"))

    report = queue.stop()

    assert report == StopReport(delivered=0, dead_lettered=0, left=(1, 2, 3, 4, 5))
    assert queue.stats().held == 5


def test_a_restarted_buffer_goes_on_with_what_was_left(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue, mapped = buffers.queue(), buffers.map()
    queue.push_all([1, 2])
    mapped.put_newer("a", 1, 5)
    processor.fail_always(OSError())
    assert queue.stop().left == (1, 2)
    assert [entry.key for entry in mapped.stop().left] == ["a"]
    processor.recover()

    queue.start()
    mapped.start()
    queue.push(3)
    mapped.put_newer("a", 2, 4)
    clock.advance(5.0)

    assert sorted(map(str, processor.items)) == [
        "1",
        "2",
        "3",
        "Entry(key='a', value=1, version=5, updates=0)",
    ]


def test_stop_with_a_timeout_leaves_a_blocked_call_behind(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=1)
    processor.block()
    queue.push_all([1, 2])
    clock.jump(5.0)
    processor.wait_for_call()
    reports: list[StopReport] = []
    stopper = threading.Thread(target=lambda: reports.append(queue.stop(timeout=3.0)))
    stopper.start()
    let_time_pass(clock, until_end_of=stopper)

    assert reports == [StopReport(delivered=0, dead_lettered=0, left=(1, 2))]
    with pytest.raises(BufferAlreadyRunning, match="has not returned"):
        queue.start()
    with pytest.raises(BufferNotRunning):
        queue.push(3)

    processor.unblock()
    wait_until(lambda: queue._run.workers[0].ended)
    assert processor.items == [1], "what stop() reported as left is not delivered later"
    assert queue.stats().held == 1


def test_stop_without_a_timeout_waits_processing_timeout_for_one_call(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_timeout=7.0)
    processor.block()
    queue.push(1)
    clock.jump(5.0)
    processor.wait_for_call()
    reports: list[StopReport] = []
    stopper = threading.Thread(target=lambda: reports.append(queue.stop()))
    stopper.start()

    assert let_time_pass(clock, until_end_of=stopper) >= 7
    assert reports[0].left == (1,)


def test_stop_without_a_timeout_waits_for_many_calls_that_are_in_time(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(processing_batch_size=1, processing_timeout=5.0)
    gates = [threading.Event() for _ in range(3)]
    calls = iter(gates)

    def slow(batch: list[int]) -> None:
        processor(batch)
        next(calls).wait(30)

    queue._run.workers[0].driver._processor = slow
    queue.push_all([1, 2, 3])
    reports: list[StopReport] = []
    stopper = threading.Thread(target=lambda: reports.append(queue.stop()))
    stopper.start()
    for gate in gates:
        processor.wait_for_call()
        clock.jump(4.0)
        stopper.join(0.05)  # it looks at the clock, and has to go on waiting
        assert stopper.is_alive()
        gate.set()
    join(stopper)

    assert reports[0].delivered == 3


def test_two_stops_at_once_both_return(
    buffers: Buffers, clock: FakeClock, processor: RecordingProcessor
) -> None:
    queue = buffers.queue(partitions=2)
    queue.push_all([1, 2, 3])
    processor.block()
    stoppers = [threading.Thread(target=queue.stop) for _ in range(3)]
    for stopper in stoppers:
        stopper.start()
    processor.wait_for_call()
    processor.unblock()
    join(*stoppers)

    assert processor.items == [1, 2, 3]
    assert not queue.running
