"""stop() and flush() from where nobody expects them: signal handlers, finalizers, hooks, twice."""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from helpers import in_thread, wait_until

from partitioned_buffer import (
    BufferAlreadyRunning,
    BufferNotRunning,
    Map,
    Queue,
    Retry,
    WrongThread,
)
from partitioned_buffer._core.buffer import registry
from partitioned_buffer.events import Event, ProcessingOverdue, ProcessingStopped
from partitioned_buffer.testing import assert_balanced

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="has no such signals")

LONG = 30.0
"""Seconds that nothing here takes, unless something waits for itself."""


@contextmanager
def at_a_signal(handler: Callable[[], object], after: float = 0.0) -> Iterator[list[Any]]:
    """Have *handler* called by the signal of a timer; the list gets what came of it."""
    outcome: list[Any] = []

    def handle(*_: object) -> None:
        try:
            outcome.append(handler())
        except Exception as error:
            outcome.append(error)

    before = signal.signal(signal.SIGALRM, handle)
    if after:
        signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield outcome
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONG


CALLS: dict[str, Callable[[Queue[Any]], object]] = {
    "stop": lambda queue: queue.stop(),
    "stop in time": lambda queue: queue.stop(LONG),
    "flush": lambda queue: queue.flush(),
}


@pytest.mark.parametrize("outer", ["push", "stop", "flush"])
@pytest.mark.parametrize("inner", CALLS)
def test_in_a_signal_handler_while_the_main_thread_waits_in_the_buffer(
    outer: str, inner: str
) -> None:
    """All there is to wait for is the processor; who waits holds nothing that it needs."""
    entered, release = threading.Event(), threading.Event()

    def slow(_: list[int]) -> None:
        entered.set()
        release.wait(60)

    queue = Queue("outer", slow, partitions=1, max_size=1, processing_interval=0.01).start()
    queue.push(1)
    entered.wait(60)

    def handler() -> object:
        release.set()
        return CALLS[inner](queue)

    outers: dict[str, Callable[[], object]] = {
        "push": lambda: queue.push(2),
        "stop": queue.stop,
        "flush": queue.flush,
    }
    waits = outers[outer]
    with quickly(), at_a_signal(handler, after=0.05) as outcome, suppress(BufferNotRunning):
        waits()

    wait_until(lambda: bool(outcome))
    assert not isinstance(outcome[0], WrongThread), outcome
    queue.stop()
    assert_balanced(queue.stats())
    assert queue.stats().held == 0


@pytest.mark.parametrize("inner", CALLS)
def test_in_the_middle_of_what_workers_wait_for_they_raise_at_once(inner: str) -> None:
    """A signal handler, or a finalizer, may come between a lock that is taken and given back."""
    queue = Queue[int]("middle", len, partitions=2).start()
    queue.push_all(range(10))
    for lock in (queue._lock, queue._run.lock, registry.names()):
        with quickly(), lock, pytest.raises(WrongThread, match="in the middle of another call"):
            CALLS[inner](queue)

    assert queue.running
    assert queue.stop().delivered == 10


@pytest.mark.parametrize("inner", CALLS)
@pytest.mark.parametrize("outer", ["start", "push_all", "stop", "flush"])
def test_at_every_line_of_another_call_they_work_or_raise_at_once(outer: str, inner: str) -> None:
    """A tracer calls them where a signal handler could be called: at each line, one per round."""
    core = Path(registry.__file__).parents[1]
    folders = [""] if outer == "push_all" else ["buffer", "waiting", "delivery"]
    traced = tuple(str(core / folder) for folder in folders)
    at, came = 0, True
    while came:
        came, at = False, at + 1
        delivered: list[int] = []
        queue = Queue("lines", delivered.extend, partitions=1)
        if outer != "start":
            queue.start().push(1)
        outcome: list[Any] = []
        line = 0

        def trace(frame: Any, event: str, _arg: object) -> Any:
            nonlocal line, came
            if not frame.f_code.co_filename.startswith(traced):
                return trace if event == "call" else None
            if event == "line":
                line += 1
                if line == at:
                    came = True
                    sys.settrace(None)
                    with suppress(WrongThread, BufferNotRunning):
                        outcome.append(CALLS[inner](queue))
            return trace

        with quickly(), suppress(BufferNotRunning, BufferAlreadyRunning):
            sys.settrace(trace)
            try:
                {
                    "push_all": lambda: queue.push_all([2], partition_key=2),
                    "start": queue.start,
                }.get(outer, lambda: CALLS[outer](queue))()
            finally:
                sys.settrace(None)
        with quickly():
            queue.stop()
        assert not queue.running
        assert_balanced(queue.stats())
        assert queue.stats().held == 0
        assert len(delivered) == queue.stats().accepted
    assert at > 3


def test_a_finalizer_that_stops_in_the_buffers_own_worker_raises_at_once() -> None:
    raised: list[BaseException] = []

    class Owner:
        def __init__(self, queue: Queue[Any]) -> None:
            self.queue, self.self = queue, self

        def __del__(self) -> None:
            for call in CALLS.values():
                try:
                    call(self.queue)
                except WrongThread as error:
                    raised.append(error)

    def processor(_: list[int]) -> None:
        gc.collect()

    queue = Queue("finalized", processor, partitions=1).start()
    gc.disable()
    try:
        Owner(queue)
        queue.push(1)
        with quickly():
            queue.flush()
    finally:
        gc.enable()
    assert len(raised) == len(CALLS)
    assert queue.running
    queue.stop()


def test_stops_at_once_from_many_threads_and_a_start_in_between() -> None:
    delivered: list[int] = []
    queue = Queue("many", delivered.extend, partitions=2)
    for _ in range(20):
        queue.start()
        queue.push_all([1, 2, 3])
        with quickly():
            threads = [in_thread(queue.stop)[0] for _ in range(4)]
            threads += [in_thread(lambda: queue.flush(LONG))[0]]
            for thread in threads:
                thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        assert not queue.running
        assert queue.stats().held == 0
    assert_balanced(queue.stats())


def test_a_stop_from_another_thread_during_a_start_ends_it_or_comes_before() -> None:
    for _ in range(50):
        queue = Queue[int]("during", len, partitions=4)
        barrier = threading.Barrier(2)
        thread, outcome = in_thread(lambda: (barrier.wait(), queue.stop(LONG))[1])
        with quickly():
            barrier.wait()
            queue.start()
            thread.join(60)
        assert not thread.is_alive()
        assert outcome[0].left == ()
        with quickly():
            queue.stop()
        assert not queue.running


def test_a_slow_hook_does_not_outlast_a_stop() -> None:
    release, entered = threading.Event(), threading.Event()

    def slow(event: Event) -> None:
        if isinstance(event, ProcessingOverdue):
            entered.set()
            release.wait(60)

    def processor(_: list[int]) -> None:
        entered.wait(60)

    queue = Queue(
        "hooks", processor, partitions=1, processing_timeout=0.01, flush_at=1, hooks=[slow]
    ).start()
    queue.push(1)
    entered.wait(60)
    began = time.monotonic()
    report = queue.stop(0.2)

    assert time.monotonic() - began < 30, "the hook takes 60"
    assert report.left == ()
    release.set()


def test_a_slow_hook_of_a_worker_does_not_outlast_a_stop() -> None:
    release = threading.Event()

    def slow(event: Event) -> None:
        if isinstance(event, ProcessingStopped):
            release.wait(60)

    queue = Queue[int]("hooks", len, partitions=1, hooks=[slow]).start()
    queue.push(1)
    began = time.monotonic()
    report = queue.stop(0.2)

    assert time.monotonic() - began < 30, "the hook takes 60"
    assert (report.delivered, report.left) == (1, ())
    release.set()


def test_a_merge_that_hangs_does_not_outlast_a_stop() -> None:
    """Neither in a writer, nor in a worker that tries again."""
    release, failed, calls = threading.Event(), threading.Event(), list[str]()

    def merge(old: str, new: str) -> str:
        calls.append(old)
        release.wait(60)
        return old + new

    def processor(_: object) -> None:
        failed.set()
        raise OSError

    retry = Retry(wait_initial=0.01, wait_max=0.01)
    mapped = Map[str, str]("slow", processor, partitions=1, flush_at=1, merge=merge, retry=retry)
    mapped.start()
    mapped.put("retried", "a")
    failed.wait(60)
    mapped.put("retried", "b")
    mapped.put("written", "c")
    writer, outcome = in_thread(lambda: mapped.put("written", "d"))
    wait_until(lambda: sorted(calls) == ["a", "c"])
    report = mapped.stop(0.2)

    assert [entry.value for entry in report.left] == ["a", "b", "c"]
    release.set()
    writer.join(60)
    assert isinstance(outcome[0], BufferNotRunning)
    assert_balanced(mapped.stats())


@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("waiting", ["stop", "flush", "push"])
def test_a_signal_handler_that_forks_in_the_middle_of_a_wait_leaves_no_child_waiting(
    waiting: str,
) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow(_: list[int]) -> None:
        entered.set()
        release.wait(60)

    queue = Queue("forks", slow, partitions=1, flush_at=1, max_size=1).start()
    queue.push(1)
    entered.wait(60)
    parent, children = os.getpid(), list[int]()

    def handler() -> None:
        children.append(os.fork())
        release.set()

    with at_a_signal(handler, after=0.05), suppress(BufferNotRunning):
        {"push": lambda queue: queue.push(2), **CALLS}[waiting](queue)
    if os.getpid() != parent:
        queue.stop(LONG)
        here = queue.stats()  # what waited to be written is written in both
        os._exit(0 if (here.held, here.delivered) == (0, waiting == "push") else 1)
    wait_for(children[0])
    queue.stop()
    assert queue.stats().delivered == (2 if waiting == "push" else 1)


def wait_for(child: int) -> None:
    status: list[int] = []

    def has_ended() -> bool:
        pid, code = os.waitpid(child, os.WNOHANG)
        if pid:
            status.append(code)
        return bool(pid)

    try:
        wait_until(has_ended)
    finally:
        if not status:
            os.kill(child, signal.SIGKILL)
    assert status == [0]
