"""What is given up is said in the log: how much, why, and what to do; a burst in one line."""

import logging
import threading
from typing import Any

import pytest
from helpers import EVERY_5_S, Buffers, unwoken, wait_until

from partitioned_buffer import Reject
from partitioned_buffer.testing import FakeClock, RecordingProcessor

pytestmark = pytest.mark.both_faces


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if "dead-lettered" in record.getMessage()]


def test_what_nobody_takes_is_an_error_with_the_last_of_them(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(name="orders", processing_batch_size=2)
    last = Reject("last")
    processor.fail(Reject("first"), last)
    queue.push_all(range(6))
    clock.advance(5.0)

    (record,) = lines(caplog)
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.exc_info[1] is last
    assert record.getMessage().startswith(
        "buffer 'orders', partition 0: dead-lettered 4 items after 1 attempt, which are lost: give"
    )


def test_what_a_handler_takes_is_a_warning(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(name="orders", dead_letter=lambda *_: None)
    processor.fail(Reject())
    queue.push(1)
    clock.advance(5.0)

    (record,) = lines(caplog)
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "buffer 'orders', partition 0: dead-lettered 1 item after 1 attempt: Reject. The "
        "dead_letter handler has taken them"
    )


def test_what_a_handler_does_not_take_is_not_lost(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    full, taken = [True], list[int]()

    def take(items: list[int], *_: object) -> None:
        if full and items[0] == 2:
            full.clear()
            raise OSError("the disk is full")
        taken.extend(items)

    queue = buffers.queue(processing_batch_size=1, dead_letter=take, retry=EVERY_5_S)
    processor.fail(*[Reject()] * 5)
    queue.push_all(range(5))
    clock.advance(5.0)  # 0 and 1 are taken, and 2 waits
    (record,) = lines(caplog)
    assert "dead-lettered 2 items" in record.getMessage()
    assert "the dead letter handler raised, attempt 1; it is called again" in caplog.text

    clock.advance(5.0)

    assert taken == list(range(5))
    _, record = lines(caplog)
    assert "dead-lettered 3 items" in record.getMessage()


def test_it_is_said_before_the_worker_rests_and_not_again(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = buffers.queue(processing_batch_size=1, retry=EVERY_5_S)
    processor.fail(Reject(), Reject(), OSError("down"), Reject())
    queue.push_all(range(5))

    clock.advance(5.0)  # 0 and 1 are given up, and 2 waits
    (record,) = lines(caplog)
    assert "dead-lettered 2 items" in record.getMessage()

    clock.advance(5.0)  # 2 is given up, too, and the others are delivered
    _, record = lines(caplog)
    assert "dead-lettered 1 item " in record.getMessage()

    queue.push(5)
    clock.advance(5.0)
    assert len(lines(caplog)) == 2


def test_an_error_that_cannot_say_what_it_is_does_no_harm(
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Mute(Reject):
        def __str__(self) -> str:
            raise ValueError

    queue = buffers.queue(dead_letter=lambda *_: None)
    processor.fail(Mute())
    queue.push(1)
    clock.advance(5.0)

    assert "after 1 attempt: Mute." in lines(caplog)[0].getMessage()
    assert queue.stats().restarts == 0


def test_drops_say_what_to_do(
    buffers: Buffers, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"max_size": 1, "when_full": "drop_oldest"}
    queue = unwoken(buffers.queue(**options))
    for number in range(8):
        queue.push(number)
    clock.advance(5.0)

    assert "dropped 7: full; writers are faster than the processor; see when_full" in caplog.text


@pytest.mark.parametrize("end", ["overdue", "stop"])
def test_it_is_said_though_a_call_behind_it_does_not_return(
    end: str,
    buffers: Buffers,
    clock: FakeClock,
    processor: RecordingProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck, entered = threading.Event(), threading.Event()

    def process(batch: list[int]) -> None:
        if batch == [3]:
            entered.set()
            stuck.wait(60)
        else:
            raise Reject

    queue = buffers.queue(processor=process, processing_batch_size=1, processing_timeout=60.0)
    queue.push_all([1, 2, 3])
    clock.jump(5.0)
    assert entered.wait(60)
    assert lines(caplog) == []

    if end == "stop":
        queue.stop(0)
    else:
        clock.jump(60.0)
        wait_until(lambda: queue.stats().overdue == 1 and bool(lines(caplog)))

    (record,) = lines(caplog)
    assert "dead-lettered 2 items" in record.getMessage()
    stuck.set()
    queue.stop()
    assert len(lines(caplog)) == 1
