"""What a program that just ends gets delivered, in a process of its own."""

import signal
import threading
from typing import Any

import pytest
from helpers import Buffers
from programs import ALL, BEGIN, SETUP, run

from partitioned_buffer import Map, Queue, Retry
from partitioned_buffer.testing import FakeClock, RecordingProcessor, assert_balanced


@pytest.mark.parametrize(
    "options",
    [
        "",
        "partitions=1",
        "partitions=5",
        "partitions=3, processing_batch_size=1",
        "partitions=3, max_size=100, flush_at=1",
        "partitions=3, max_bytes=10_000, flush_at=1",
        "partitions=3, exit_timeout=None",
    ],
)
@pytest.mark.parametrize("kind", ["Queue", "Map"])
def test_a_plain_exit_delivers_everything(kind: str, options: str) -> None:
    program = f"""{BEGIN}
buffer = keep({kind}("buffer", deliver, {options})).start()
for number in range(1000):
    buffer.{"push(number)" if kind == "Queue" else "put(number, number)"}
"""

    assert run(program) == ALL


def test_a_plain_exit_delivers_what_several_buffers_hold() -> None:
    program = f"""{BEGIN}
for number in range(5):
    keep(Queue(f"queue-{{number}}", deliver, partitions=2)).start().push(2 * number)
    keep(Map(f"map-{{number}}", deliver, partitions=2)).start().put(2 * number + 1, None)
"""

    assert run(program) == "1 1 0 " * 10 + "True\n"


def test_sys_exit_delivers_everything() -> None:
    assert run(SETUP + "sys.exit(3)", status=3) == ALL


def test_an_error_in_a_with_block_that_ends_the_program_delivers_everything() -> None:
    program = f"""{BEGIN}
with keep(Queue("events", deliver)) as queue:
    queue.push_all(range(1000))
    raise OSError("mine")
"""

    assert run(program, status=1, complaint="OSError: mine") == ALL


def test_an_error_that_ends_the_program_delivers_everything() -> None:
    assert run(SETUP + "raise OSError('mine')", status=1, complaint="OSError: mine") == ALL


def test_an_interrupt_that_ends_the_program_delivers_everything() -> None:
    program = SETUP + "os.kill(os.getpid(), signal.SIGINT)\nthreading.Event().wait()"

    assert run(program, status=-signal.SIGINT, complaint="KeyboardInterrupt") == ALL


def test_a_buffer_started_in_another_thread_is_drained_by_the_exit() -> None:
    program = f"""{BEGIN}
def begin():
    queue = keep(Queue("events", deliver, partitions=2)).start()
    queue.push_all(range(1000))
thread = threading.Thread(target=begin)
thread.start()
thread.join()
"""

    assert run(program) == ALL


def test_sys_exit_in_another_thread_ends_that_thread_alone() -> None:
    program = f"""{BEGIN}
def begin():
    queue = keep(Queue("events", deliver, partitions=2)).start()
    queue.push_all(range(999))
    sys.exit(3)
thread = threading.Thread(target=begin)
thread.start()
thread.join()
made[0].push(999)
"""

    assert run(program) == ALL


def test_the_exit_waits_for_threads_that_still_push() -> None:
    program = f"""{SETUP}
def push():
    threading.main_thread().join()  # the main thread is at its end
    queue.push(1000)
threading.Thread(target=push).start()
"""

    assert run(program) == "1001 1001 0 True\n"


def test_a_signal_handler_that_calls_sys_exit_delivers_everything() -> None:
    program = f"""{SETUP}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
os.kill(os.getpid(), signal.SIGTERM)
threading.Event().wait()
"""

    assert run(program, status=4) == ALL


@pytest.mark.parametrize(
    ("end", "status"),
    [("os._exit(0)", 0), ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM)],
)
def test_what_ends_without_the_interpreter_delivers_nothing_more(end: str, status: int) -> None:
    program = f"""{BEGIN}
queue = Queue("events", lambda batch: print("delivered", flush=True), processing_interval=1000.0)
queue.start().push(1)
{end}
"""

    assert run(program, status=status) == ""


def test_a_handler_registered_later_can_still_push() -> None:
    assert run(SETUP + "atexit.register(queue.push, 1000)") == "1001 1001 0 True\n"


def test_an_exit_with_a_failing_processor_ends_and_says_what_is_left() -> None:
    program = """
    import logging, sys
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    from partitioned_buffer import Queue
    def processor(batch):
        raise OSError("down")
    queue = Queue("events", processor, partitions=1, exit_timeout=0.1).start()
    queue.push(1)
    """

    said = "buffer 'events' was not stopped before the program's end: 1 undelivered are lost"
    assert said in run(program)


HANGS = {
    "processor": "processor=hang",
    "hook": "processor=deliver, hooks=[hang]",
    "dead letter handler": "processor=fail, retry=Retry(attempts=1), dead_letter=hang",
    "retry": "processor=fail, retry=Retry(attempts=math.inf, wait_initial=1000.0, wait_max=1000.0)",
}


@pytest.mark.parametrize("options", HANGS.values(), ids=HANGS.keys())
def test_an_exit_waits_no_longer_than_exit_timeout(options: str) -> None:
    program = f"""{BEGIN}
from partitioned_buffer import Retry
import math
def hang(*_):
    threading.Event().wait()
def fail(batch):
    raise OSError("down")
atexit.unregister(tell)
atexit.register(print, "at the end")
buffers = [Queue(str(n), {options}, exit_timeout=0.1, flush_at=1).start() for n in range(3)]
for queue in buffers:
    queue.push(1)
"""

    assert run(program, complaint="buffer '2' was not stopped") == "at the end\n"


@pytest.mark.parametrize("hangs", HANGS)
def test_stop_waits_no_longer_than_its_timeout(hangs: str) -> None:
    release = threading.Event()

    def hang(*_: object) -> None:
        release.wait()

    def fail(_: object) -> None:
        raise OSError

    options: dict[str, dict[str, Any]] = {
        "processor": {"processor": hang},
        "hook": {"processor": len, "hooks": [hang]},
        "dead letter handler": {
            "processor": fail,
            "retry": Retry(attempts=1),
            "dead_letter": hang,
        },
        "retry": {"processor": fail, "retry": Retry(wait_initial=1000.0, wait_max=1000.0)},
    }
    buffers: list[Any] = [
        Queue("stops in time: queue", partitions=2, **options[hangs]).start(),
        Map("stops in time: map", partitions=2, **options[hangs]).start(),
    ]
    buffers[0].push(1)
    buffers[1].put(1, 1)
    reports: list[Any] = []
    for buffer in buffers:
        stopper = threading.Thread(target=lambda: reports.append(buffer.stop(timeout=0.05)))
        stopper.start()
        stopper.join(60)
        assert not stopper.is_alive()
        assert not buffer.running

    release.set()
    for buffer, report in zip(buffers, reports, strict=True):
        assert_balanced(buffer.stats())
        assert report.delivered + report.dead_lettered + len(report.left) == 1


def test_a_second_stop_keeps_to_its_own_timeout(
    buffers: Buffers, processor: RecordingProcessor, clock: FakeClock
) -> None:
    queue = buffers.queue()
    queue.push(1)
    processor.block()
    patient = threading.Thread(target=queue.stop)
    patient.start()
    processor.wait_for_call()

    assert queue.stop(timeout=0).left == (1,)
    processor.unblock()
    patient.join(60)

    assert not patient.is_alive()
    stats = queue.stats()
    assert_balanced(stats)
    assert stats.accepted == stats.delivered == 1


def test_daemon_threads_that_push_to_the_end_lose_nothing_that_was_accepted() -> None:
    program = f"""{BEGIN}
long = dict(partitions=2, exit_timeout=10.0)  # they write on until it is nearly over
queues = [
    keep(Queue("unbounded", delivered.extend, flush_at=100, **long)).start(),
    keep(Queue("bounded", delivered.extend, flush_at=1, max_size=20, **long)).start(),
]
pushed = []
def push(queue):
    count = 0
    try:
        while True:
            queue.push("item")
            count += 1
            time.sleep(0.0002)  # or they would write more than can be delivered in that time
            if count == 100:
                under_way.release()
    except BufferNotRunning:
        pushed.append(count)
under_way = threading.Semaphore(0)
threads = [threading.Thread(target=push, args=(q,), daemon=True) for q in queues for _ in range(2)]
for thread in threads:
    thread.start()
    under_way.acquire()
def tell_sum():
    for thread in threads:
        thread.join()
    for queue in queues:
        assert_balanced(queue.stats())
    print(sum(queue.stats().accepted for queue in queues) == len(delivered) == sum(pushed))
atexit.unregister(tell)
"""
    # Called after the library's handler, so registered in front of the first start.
    program = program.replace("queues = [", "atexit.register(lambda: tell_sum())\nqueues = [", 1)

    assert run(program) == "True\n"


def test_a_daemon_thread_that_never_stops_pushing_does_not_keep_the_program_from_ending() -> None:
    program = f"""{BEGIN}
atexit.unregister(tell)
queue = Queue("events", len, partitions=2, flush_at=1).start()
begun = threading.Event()
def push():
    while True:
        try:
            queue.push(1)
        except BufferNotRunning:
            pass
        begun.set()
threading.Thread(target=push, daemon=True).start()
begun.wait()
print("end", flush=True)
"""

    assert run(program) == "end\n"


def test_a_writer_that_waits_for_room_at_the_exit_is_sent_away() -> None:
    program = f"""{BEGIN}
def slow(batch):
    if not refused.wait(0):
        entered.set()
        leave.wait()
    deliver(batch)
entered, leave, refused = threading.Event(), threading.Event(), threading.Event()
def wait_for_room():
    try:
        queue.push(1)
    except BufferNotRunning:
        refused.set()
        leave.set()
queue = keep(Queue("events", slow, partitions=1, flush_at=1, max_size=1, exit_timeout=0.5)).start()
queue.push(0)
entered.wait()
threading.Thread(target=wait_for_room, daemon=True).start()
while not queue.stats().blocked:
    pass
"""

    assert run(program) == "1 1 0 True\n"


# --- forked children (more in test_fork) ---------------------------------------


def test_a_forked_child_finds_its_buffers_empty_and_running() -> None:
    program = """
    import os, warnings
    warnings.simplefilter("ignore")
    from partitioned_buffer import Map, Queue, get
    delivered = []
    queue = Queue("q", delivered.extend, partitions=2).start()
    mapped = Map("m", lambda batch: delivered.extend(e.key for e in batch), partitions=2).start()
    queue.push_all(["parent's", "parent's too"])
    mapped.put("parent's key", 1)
    child = os.fork()
    if child == 0:
        print(queue.size(), mapped.size(), mapped.get("parent's key"), queue.running)
        get("q").push("child's")
        mapped.put("child's key", 1)
        queue.push_all(["child's too"])
        queue.flush(), mapped.stop()
        print(sorted(delivered), queue.stats().balanced, mapped.stats().balanced, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    assert get("q") is queue
    queue.push("parent's, later")
    queue.stop(), mapped.stop()
    print(sorted(delivered))
    """

    assert run(program).splitlines() == [
        "0 0 None True",
        '["child\'s", "child\'s key", "child\'s too"] True True',
        '["parent\'s", "parent\'s key", "parent\'s too", "parent\'s, later"]',
    ]
