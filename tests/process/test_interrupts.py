"""Ctrl-C, once and again, in the end of a block and of a program."""

import signal
import subprocess
import sys
import textwrap
import threading
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")

BEGIN = """
import sys, threading, time
from partitioned_buffer import Queue, Retry
def pause():  # for ever; a Ctrl-C just before a wait begins is not seen until it is over
    while True:
        time.sleep(0.05)
def down(batch):
    raise ConnectionError("down")
seldom = Retry(wait_initial=1000.0, wait_max=1000.0)
options = dict(partitions=2, retry=seldom, exit_timeout=1000.0)
def hear(word):  # tell the test when the library says it
    import logging
    class Handler(logging.Handler):
        def emit(self, record):
            message = record.getMessage()
            print(message, file=sys.stderr, flush=True)
            if word in message:
                print("ready", flush=True)
    log = logging.getLogger("partitioned_buffer")
    log.addHandler(Handler())
"""


class Ended(NamedTuple):
    status: int
    out: list[str]
    err: str


def run(program: str, interrupts: int) -> Ended:
    """Run *program*; interrupt it each time it is "ready"."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = threading.Timer(60, process.kill)
    patience.start()
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line == "ready\n" and interrupts:
                interrupts -= 1
                process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        patience.cancel()
        process.kill()
        process.wait()
    return Ended(process.returncode, [line for line in lines if line != "ready"], errors)


def test_a_second_ctrl_c_in_the_end_of_a_block_hands_over_and_leaves() -> None:
    ended = run(
        """
        hear("another Ctrl-C leaves them")
        taken = []
        try:
            with Queue("orders", down, dead_letter=lambda i, e, a: taken.extend(i), **options) as q:
                q.push_all(range(100))
                print("ready", flush=True)
                pause()
        finally:
            print(len(taken), q.stats().dead_lettered, q.size(), flush=True)
        """,
        2,
    )

    assert ended.out == ["100 100 0"]
    assert ended.status == -signal.SIGINT
    assert "buffer 'orders': delivering 100 items, for 79" in ended.err
    assert "100 undelivered were handed to its dead_letter" in ended.err
    assert "KeyboardInterrupt" in ended.err


def test_the_first_ctrl_c_in_a_drain_says_what_goes_on_and_the_next_leaves() -> None:
    ended = run(
        """
        hear("another Ctrl-C leaves them")
        def processor(batch):
            print("ready", flush=True)
            down(batch)
        with Queue("orders", processor, **options | {"partitions": 1}) as q:
            q.push_all(range(10))
        """,
        2,
    )

    assert ended.status == -signal.SIGINT
    assert "delivering 10 items, for 99" in ended.err
    assert "10 undelivered stay in memory" in ended.err
    assert "Give it a dead_letter" in ended.err


def test_a_ctrl_c_in_a_drain_that_ends_well_comes_out_after_it() -> None:
    ended = run(
        """
        delivered = []
        def slow(batch):
            print("ready", flush=True)
            threading.Event().wait(0.3)  # while the interrupt comes
            delivered.extend(batch)
        try:
            with Queue("orders", slow, partitions=1) as q:
                q.push_all(range(10))
        except KeyboardInterrupt:
            print(len(delivered), "and interrupted")
        """,
        1,
    )

    assert ended == (0, ["10 and interrupted"], "")


@pytest.mark.parametrize("how", ["the program was interrupted", "the program had ended"])
def test_ctrl_c_at_the_programs_end_leaves_all_buffers_and_each_says_what(how: str) -> None:
    wait = "pause()" if "interrupted" in how else ""
    ended = run(
        f"""
        hear("another Ctrl-C leaves them")
        for name in ("orders", "mails", "clicks"):
            Queue(name, down, **options).start().push_all(range(5))
        if {bool(wait)}:
            print("ready", flush=True)
        else:
            import threading
            def later():  # while the main thread is in its drain
                threading.Event().wait(0.3)
                print("ready", flush=True)
            threading.Thread(target=later, daemon=True).start()
        {wait}
        """,
        2,
    )

    assert "delivering 15 items before the program ends, for " in ended.err
    for name in ("orders", "mails", "clicks"):
        line = f"buffer '{name}' was not stopped before the program's end: 5 undelivered are lost"
        assert ended.err.count(line) == 1
    assert "Exception ignored" not in ended.err


def test_a_second_ctrl_c_at_the_programs_end_hands_over() -> None:
    ended = run(
        """
        hear("another Ctrl-C leaves them")
        def take(items, error, attempts):
            print(sorted(items), type(error).__name__, flush=True)
        Queue("orders", down, dead_letter=take, **options | {"partitions": 1}).start().push(1)
        print("ready", flush=True)
        pause()
        """,
        2,
    )

    assert ended.out == ["[1] Undelivered"]
    assert "1 undelivered were handed to its dead_letter" in ended.err


def test_sigterm_with_a_handler_that_exits_has_exit_timeout_in_all() -> None:
    ended = run(
        """
        import os, signal, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        began = time.monotonic()
        def take(items, error, attempts):
            print(len(items), time.monotonic() - began < 10, flush=True)
        q = Queue("orders", down, partitions=1, exit_timeout=2.0, dead_letter=take)
        with q:
            q.push_all(range(100))
            os.kill(os.getpid(), signal.SIGTERM)
            pause()
        """,
        0,
    )

    assert ended.status == 3
    assert sum(int(line.split()[0]) for line in ended.out) == 100
    assert all(line.endswith("True") for line in ended.out)


def test_ctrl_c_in_a_blocked_push_shows_nothing_of_the_inside() -> None:
    ended = run(
        """
        def hang(batch):
            print("ready", flush=True)
            pause()
        q = Queue("full", hang, partitions=1, max_size=1, exit_timeout=0.1).start()
        q.push(1), q.push(2)
        """,
        1,
    )

    assert ended.status == -signal.SIGINT
    assert "KeyboardInterrupt" in ended.err
    assert "During handling of the above exception" not in ended.err
