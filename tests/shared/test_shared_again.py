"""A buffer that is stopped, and started again: what it has sent is not sent anew."""

import threading
import time
from typing import Any

from partitioned_buffer import Queue
from partitioned_buffer.testing.sharing import SharedDict


def comes_true(true: Any) -> bool:
    """Return whether it does, soon."""
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(true())


def test_what_may_be_there_is_sent_again_as_it_was() -> None:
    shared = SharedDict(partitions=1)
    queue = Queue[int]("again", storage=shared).start()
    shared.loses_replies = 10**6
    for number in range(10):
        queue.push(number)
    assert comes_true(lambda: shared.appended == 10)
    assert len(queue.stop(timeout=0.1).left) == 10
    shared.loses_replies = 0
    time.sleep(0.3)  # the call that the stop has cut short returns

    queue.start()
    queue.push(10)

    assert comes_true(lambda: shared.appended >= 11)
    queue.stop(timeout=5)
    assert shared.appended == 11


def test_a_life_that_takes_leave_late_does_not_retire_the_next() -> None:
    shared = SharedDict(partitions=1)
    queue, leave, leaving = (
        Queue[int]("late", print, storage=shared),
        threading.Event(),
        list[str](),
    )

    def hold(call: str) -> None:
        if call == "beat" and not leaving:
            leaving.append(call)
            leave.wait(10)

    queue.start()
    queue.push(1)
    assert comes_true(lambda: shared.appended == 1)
    shared.on_call = hold
    queue.stop(timeout=5)
    assert comes_true(lambda: leaving)
    queue.start()
    queue.push(2)
    assert comes_true(lambda: shared.appended == 2)
    leave.set()
    time.sleep(0.1)
    queue.push(3)

    assert comes_true(lambda: shared.appended == 3)
    queue.stop(timeout=5)
    shared_stats = queue.stats().shared
    assert shared_stats is not None
    assert shared_stats.gaps == 0
