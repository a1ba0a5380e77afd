"""What happens when a processor, a hook or a dead letter handler fails."""

import logging
import threading
from typing import Any

import pytest
from helpers import Buffers

from partitioned_buffer import Reject, Retry
from partitioned_buffer.events import (
    BatchDeadLettered,
    BatchRetried,
    ProcessingException,
    ProcessingFailed,
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
    error = OSError("down,\n\tall of it")
    processor.fail(error, error)

    clock.advance(15.0)
    queue.push(3)
    clock.advance(5.0)

    assert [e.error for e in hook.of(ProcessingException)] == [error, error]
    assert [(e.error, e.left) for e in hook.of(ProcessingFailed)] == [(error, 2), (error, 2)]
    assert [e.attempt for e in hook.of(BatchRetried)] == [2, 3]
    assert [e.size for e in hook.of(ProcessingStopped)] == [2, 1]
    assert (
        "buffer 'events', partition 0: processing failed, attempt 1; the next is in 5 s, "
        "and 2 wait: OSError: down, all of it\n" in caplog.text
    )
    assert "OSError: down,\n\tall of it" in caplog.text, "the traceback"


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


def test_a_failure_is_said_on_stderr_where_no_logging_is_configured(
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

    out, err = capfd.readouterr()
    assert out == ""
    assert "processing failed" in err


@pytest.mark.threads
def test_the_traceback_of_a_failure_does_not_keep_the_thread_from_ending(
    buffers: Buffers, processor: RecordingProcessor
) -> None:
    queue = buffers.queue()
    queue.push(1)
    processor.fail(OSError())
    queue.stop()

    watchdog: Any = queue._run.watchdog
    assert watchdog is not None
    for thread in [watchdog.thread, *(worker.thread for worker in queue._run.workers)]:
        thread.join(30)
    assert not [t for t in threading.enumerate() if t.name.startswith(queue.name + "-")]


# --- waits between attempts --------------------------------------------------------

PATIENT = Retry(attempts=10, wait_initial=1000.0, wait_max=1000.0, jitter=0.0)


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
        assert caplog.text.count("buffer 'events', partition 0: dead-lettered 6 items") == burst

    dead = hook.of(BatchDeadLettered)
    assert [(e.size, e.error, e.attempts) for e in dead] == [(1, reject, 1)] * 12
    stats = queue.stats()
    assert (stats.accepted, stats.delivered, stats.dead_lettered) == (16, 4, 12)
    assert stats.dead_letter_errors == 0


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_a_dead_letter_handler_that_raises_is_called_again_and_its_partition_waits(
    error: type[BaseException],
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given: list[int] = []

    def handler(items: list[int], *_: object) -> None:
        given.extend(items)
        if len(given) in (1, 2, 4):
            raise error

    queue = buffers.queue(dead_letter=handler, processing_batch_size=1)
    queue.push_all([1, 2, 3, 4])
    processor.fail(*[Reject()] * 3)
    clock.advance(5.0)
    stats = queue.stats()
    assert (given, stats.dead_lettered, stats.held, stats.dead_letter_errors) == ([1], 0, 4, 1)

    clock.advance(15.0)

    stats = queue.stats()
    assert given == [1, 1, 1, 2, 2, 3]
    assert (stats.accepted, stats.dead_lettered, stats.delivered) == (4, 3, 1)
    assert (stats.dead_letter_errors, stats.restarts) == (3, 0)
    assert processor.items == [4]
    assert "the dead letter handler raised, attempt 2; it is called again in 5 s" in caplog.text


def test_what_a_dead_letter_handler_did_not_take_is_left_at_the_end_and_that_is_said(
    buffers: Buffers, processor: RecordingProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(*_: object) -> None:
        raise OSError("disk full")

    queue = buffers.queue(dead_letter=handler, processing_batch_size=2)
    queue.push_all([1, 2, 3])
    processor.fail(*[Reject()] * 9)
    report = queue.stop(3.0)

    assert report.left == (1, 2, 3)
    assert queue.stats().dead_lettered == 0
    assert (
        "2 items that were given up are left: the dead letter handler did not take" in caplog.text
    )
