"""What a program that just ends gets delivered, in a process of its own."""

import subprocess
import sys
import textwrap


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


SETUP = """
import sys, threading
from partitioned_buffer import Queue
count = 0
def processor(batch):
    global count
    count += len(batch)
queue = Queue("events", processor, partitions=1).start()
for number in range(1000):
    queue.push(number)
import atexit
"""


def test_a_plain_exit_delivers_everything() -> None:
    # Registered before the library's own handler is, and so called after it.
    program = "import atexit; atexit.register(lambda: print(count))\n" + SETUP

    assert run(program) == "1000\n"


def test_sys_exit_delivers_everything() -> None:
    program = "import atexit; atexit.register(lambda: print(count))\n" + SETUP + "sys.exit()"

    assert run(program) == "1000\n"


def test_a_handler_registered_later_can_still_push() -> None:
    program = (
        "import atexit; atexit.register(lambda: print(count))\n"
        + SETUP
        + "atexit.register(lambda: queue.push(1))"
    )

    assert run(program) == "1001\n"


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

    assert "buffer 'events' was stopped with 1 undelivered" in run(program)


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
