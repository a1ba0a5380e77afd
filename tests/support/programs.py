"""Programs that tests run in a process of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE = 60.0


def ended(program: str) -> "subprocess.CompletedProcess[str]":
    """Run *program*; return what it said, and how it ended."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def free_ports(count: int) -> list[int]:
    """Return so many ports of loopback that nobody has."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def run(program: str, *, status: int = 0, complaint: str = "") -> str:
    """Run *program*; return what it printed. It is to end so, with that *complaint*, or none."""
    done = ended(program)
    assert complaint or not done.stderr, done.stderr
    assert complaint in done.stderr, done.stderr
    assert done.returncode == status
    return done.stdout


def kill_when(ready: Callable[[], bool], *arguments: str, complaint: Path) -> str:
    """
    Run Python with *arguments* until it is *ready*, and kill it; return what it complained of.

    One that does not get there hangs: that fails, and says where. It complains into a file: who
    does not read a pipe would have it wait.
    """
    command = [sys.executable, "-X", "faulthandler", *arguments]
    until = time.monotonic() + PATIENCE
    with complaint.open("wb") as to, subprocess.Popen(command, stderr=to) as victim:
        while not ready() and victim.poll() is None:
            if time.monotonic() >= until:
                victim.send_signal(signal.SIGABRT)
                victim.wait(PATIENCE)
                pytest.fail(f"it hangs:\n{complaint.read_text()}")
            os.sched_yield()
        assert victim.poll() is None, f"it ended by itself:\n{complaint.read_text()}"
        victim.send_signal(signal.SIGKILL)
    return complaint.read_text()


# `tell` is registered before the library's own handler is, and so called after it.
BEGIN = """
import atexit, logging, os, signal, sys, threading, time
from partitioned_buffer import BufferNotRunning, Entry, Map, Queue
from partitioned_buffer.testing import assert_balanced
delivered, made = [], []
def deliver(batch):
    for item in batch:
        delivered.append(item.key if isinstance(item, Entry) else item)
def keep(buffer):
    made.append(buffer)
    return buffer
def tell():
    for buffer in made:
        stats = buffer.stats()
        assert_balanced(stats)
        print(stats.accepted, stats.delivered, stats.held, end=" ")
    print(sorted(delivered) == list(range(len(delivered))))
atexit.register(tell)
"""

SETUP = f"""{BEGIN}
queue = keep(Queue("events", deliver, partitions=2)).start()
for number in range(1000):
    queue.push(number)
"""

ALL = "1000 1000 0 True\n"
