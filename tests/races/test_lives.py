"""One life of a buffer is one object: who ends a life never ends its successor, and a start that is
interrupted, wherever, has started everything or nothing."""

import asyncio
import itertools
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from helpers import in_thread, rounds, running, wait_until

from partitioned_buffer import AsyncQueue, BufferAlreadyRunning, Queue, get
from partitioned_buffer._core.buffer import lifecycle
from partitioned_buffer._core.buffer.ending import Ending
from partitioned_buffer.testing import assert_balanced

ROUNDS = rounds(2000)


class Collector:
    """A processor that notices when it is called while it is called."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.inside = self.overlaps = 0

    def __call__(self, batch: list[int]) -> None:
        self.inside += 1
        self.overlaps += self.inside > 1
        self.items += batch
        self.inside -= 1


def check(queue: Any, processor: Collector, accepted: list[int]) -> None:
    """Assert that what was accepted was delivered, once, and by one worker at a time."""
    if len(queue._partitions) == 1:
        assert processor.overlaps == 0
    assert Counter(processor.items) == Counter(accepted)
    stats = queue.stats()
    assert_balanced(stats)
    assert stats.accepted == stats.delivered == len(accepted)


# --- stops, and a start between them -------------------------------------------------


@pytest.mark.parametrize("ending", ["stop", "block"])
def test_a_stop_ends_the_life_that_it_began_with(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = Collector()
    queue = Queue("lives", processor, partitions=2)
    end = queue.stop if ending == "stop" else lambda: queue.__exit__(None, None, None)
    (queue.__enter__ if ending == "block" else queue.start)()
    where, name = (lifecycle, "settle") if ending == "stop" else (Ending, "drain")
    wait, arrived, go_on = getattr(where, name), threading.Event(), threading.Event()

    def late(*arguments: Any) -> Any:
        yield from wait(*arguments)
        if threading.current_thread() is not threading.main_thread():
            arrived.set()
            go_on.wait(60)

    monkeypatch.setattr(where, name, late)
    second, outcome = in_thread(end)  # waits for the workers, beside the first
    arrived.wait(60)
    queue.stop()
    queue.start()
    queue.push(1)
    go_on.set()
    second.join()

    assert queue.running
    assert get("lives") is queue
    if ending == "stop":
        assert outcome[0].left == ()
    queue.push(2)
    queue.stop()
    check(queue, processor, [1, 2])


def test_a_block_that_is_left_late_leaves_a_later_life_alone() -> None:
    processor, entered, leave = Collector(), threading.Event(), threading.Event()
    queue = Queue("lives", processor, partitions=1)

    def block() -> None:
        with queue:
            entered.set()
            leave.wait(60)

    thread, _ = in_thread(block)
    entered.wait(60)
    queue.stop()
    with queue:
        leave.set()
        thread.join()
        assert queue.running
        queue.push(1)
    assert not queue.running
    check(queue, processor, [1])


def test_a_stop_does_not_close_the_tables_of_a_later_life(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = Collector()
    queue = Queue("lives", processor, partitions=1).start()
    begin_stop = lifecycle.Lifecycle._begin_stop
    arrived, go_on = threading.Event(), threading.Event()

    def late(self: Any, run: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            arrived.set()
            go_on.wait(60)
        return begin_stop(self, run)

    monkeypatch.setattr(lifecycle.Lifecycle, "_begin_stop", late)
    second, outcome = in_thread(queue.stop)
    arrived.wait(60)
    queue.stop()
    queue.start()
    queue.push(1)
    go_on.set()
    second.join()

    assert queue.running
    assert outcome[0].left == ()
    queue.push(2)
    queue.stop()
    check(queue, processor, [1, 2])


@running
async def test_a_late_timer_of_an_earlier_life_does_not_end_the_next() -> None:
    processor = Collector()
    queue = AsyncQueue("lives", processor, partitions=1)
    async with queue:
        first = queue._run
        await queue.push(1)
    async with queue:
        first.let_go()
        await queue.push(2)
        await queue.flush()
        assert queue.running
    check(queue, processor, [1, 2])


@running
async def test_an_async_block_that_is_left_late_leaves_the_next_one_alone() -> None:
    processor = Collector()
    queue = AsyncQueue("lives", processor, partitions=1)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with queue:
            entered.set()
            await leave.wait()

    task = asyncio.create_task(first())
    await entered.wait()
    await queue.stop()
    async with queue:
        leave.set()
        await task
        assert queue.running
        await queue.push(1)
    check(queue, processor, [1])


# --- starts that are interrupted -------------------------------------------------------


@pytest.mark.parametrize("thread", range(4))  # of three partitions, and the watchdog
@pytest.mark.parametrize("is_up", [True, False])
def test_a_start_that_is_interrupted_while_a_thread_starts_has_started_nothing(
    thread: int, is_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor, start, started = Collector(), threading.Thread.start, list[threading.Thread]()

    def interrupted(self: threading.Thread) -> None:
        if len(started) == thread and not is_up:
            raise KeyboardInterrupt
        start(self)
        started.append(self)
        if len(started) == thread + 1:
            raise KeyboardInterrupt

    queue = Queue("interrupted", processor, partitions=3)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.start()
    assert not queue.running
    for each in started:
        each.join(60)
        assert not each.is_alive()

    Queue("interrupted", processor).start().stop()  # the name is free
    queue.start()
    queue.push_all([1, 2, 3])
    queue.stop()
    check(queue, processor, [1, 2, 3])


def test_a_start_in_the_middle_of_a_start_is_the_one_that_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processor, start, again = Collector(), threading.Thread.start, [True]
    queue = Queue("within", processor, partitions=1)

    def within(self: threading.Thread) -> None:
        start(self)
        if again.pop():
            again.append(False)
            queue.start()  # as a signal handler might
        else:
            again.append(False)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", within)
        with pytest.raises(BufferAlreadyRunning, match="meanwhile"):
            queue.start()
    assert queue.running
    queue.push(1)
    queue.stop()
    check(queue, processor, [1])


def test_who_writes_finishes_a_start_that_was_interrupted_when_it_could_not_be_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processor = Collector()
    queue = Queue("half", processor, partitions=2)

    def interrupted(_run: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queue, "_let_in", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.start()
    assert queue.running

    queue.push_all([1, 2])
    queue.push_all([3])
    queue.flush()
    queue.stop()
    check(queue, processor, [1, 2, 3])


def stormy(test: Callable[..., None]) -> Callable[..., None]:
    """Mark what interrupts whatever is going on: a finalizer of the standard library's, say."""
    for mark in (
        pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no such timer"),
    ):
        test = mark(test)
    return test


class Storm:
    """Has one signal come at some instant."""

    def __init__(self) -> None:
        self._is_due = False

    def arm(self, seconds: float) -> None:
        """Let it come in so many seconds."""
        self._is_due = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def disarm(self) -> None:
        """Let none come from here on."""
        self._is_due = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def interrupt(self, *_: object) -> None:
        due, self._is_due = self._is_due, False
        if due:
            signal.raise_signal(signal.SIGINT)  # asyncio handles that in its own way

    def over(self, call: Callable[[], object], seconds: float) -> None:
        """Make a *call*, in the middle of which it may come."""
        try:
            self.arm(seconds)
            call()
            self.disarm()
        except KeyboardInterrupt:
            self.disarm()


@pytest.fixture
def storm() -> Iterator[Storm]:
    storm = Storm()
    before = signal.signal(signal.SIGALRM, storm.interrupt)
    yield storm
    signal.signal(signal.SIGALRM, before)


def within_a_block(queue: Queue[int]) -> None:
    with queue:
        pass


@stormy
@pytest.mark.parametrize("how", ["start", "block"])
def test_signals_at_random_instants_of_a_start_lose_nothing(how: str, storm: Storm) -> None:
    rng = random.Random(how)
    for number in range(ROUNDS):
        processor = Collector()
        queue = Queue(f"stormed {number}", processor, partitions=2, processing_interval=0.002)
        call = queue.start if how == "start" else partial(within_a_block, queue)
        storm.over(call, rng.uniform(1e-5, 1e-3))
        if how == "block":
            queue.stop()
            wait_until(lambda: queue._run.has_ended)  # a stop may have been cut short
        if not queue.running:
            queue.start()
        queue.push_all(range(100))
        queue.flush()
        queue.push_all(range(100, 200))
        queue.stop()
        check(queue, processor, list(range(200)))


@stormy
def test_signals_at_random_instants_of_a_stop_lose_nothing(storm: Storm) -> None:
    rng = random.Random(1)
    for number in range(ROUNDS):
        processor = Collector()
        queue = Queue(f"stormed {number}", processor, partitions=2).start()
        queue.push_all(range(100))
        storm.over(queue.stop, rng.uniform(1e-5, 1e-3))
        queue.stop()
        wait_until(lambda: queue._run.has_ended)
        queue.start()
        queue.push_all(range(100, 200))
        queue.stop()
        check(queue, processor, list(range(200)))


@stormy
def test_signals_at_random_instants_of_an_async_block_lose_nothing(storm: Storm) -> None:
    rng = random.Random(2)
    for number in range(ROUNDS):
        processor, accepted = Collector(), list[int]()
        queue = AsyncQueue(f"stormed {number}", processor, partitions=2)

        async def stormed() -> None:
            try:
                storm.arm(rng.uniform(1e-5, 2e-3))  # asyncio cancels this task
                async with queue:
                    queue.push_all_nowait(range(100))
            finally:
                storm.disarm()

        async def calm() -> None:
            async with queue:
                await queue.push_all(range(100, 200))
                accepted.extend(range(100, 200))

        with suppress(KeyboardInterrupt):
            asyncio.run(stormed())
        wait_until(lambda: queue._run.has_ended)
        assert not queue.running
        if queue.stats().accepted == 100:
            accepted[:] = range(100)
        asyncio.run(calm())
        check(queue, processor, accepted)


@stormy
def test_signals_at_random_instants_of_any_call_lose_nothing(storm: Storm) -> None:
    """One buffer, full most of the time, and another thread that writes to it, too."""
    rng, processor, others = random.Random(3), Collector(), list[int]()
    queue = Queue("stormed", processor, partitions=2, max_size=20, processing_interval=0.001)
    queue.start()
    ended = threading.Event()

    def write() -> None:
        for number in itertools.count(1_000_000):
            if ended.is_set():
                return
            queue.push(number)
            others.append(number)

    writer, _ = in_thread(write)
    calls: list[Callable[[], object]] = [
        lambda: queue.push(1),
        lambda: queue.push(2, partition_key=hash),
        lambda: queue.push_all(range(10)),
        lambda: queue.push_all(range(30), partition_key=hash),  # more than there is room for
        lambda: queue.flush(60),
        queue.stats,
        lambda: queue.update_options(flush_at=rng.randrange(1, 5)),
    ]
    for number in range(ROUNDS):
        storm.over(calls[number % len(calls)], rng.uniform(1e-6, 5e-4))
    ended.set()
    writer.join(60)
    assert not writer.is_alive()

    queue.push(3)
    queue.flush()
    assert queue.stop().left == ()
    stats = queue.stats()
    assert_balanced(stats)
    assert stats.delivered == stats.accepted == len(processor.items)
    assert stats.blocked == 0
    counted = Counter(processor.items)
    assert all(counted[number] == 1 for number in others)


@stormy
def test_signals_at_random_instants_of_an_async_buffers_calls_lose_nothing(storm: Storm) -> None:
    """asyncio cancels the task that runs, wherever the signal came: in a call, in a worker."""
    rng = random.Random(4)
    for number in range(ROUNDS // 4 + 1):
        processor = Collector()
        queue = AsyncQueue(f"stormed {number}", processor, partitions=2, max_size=20)

        async def stormed() -> None:
            async with queue:
                storm.arm(rng.uniform(1e-6, 1e-3))
                try:
                    for _ in range(20):
                        queue.push_nowait(1)
                        await queue.push_all(range(10))
                        await queue.push_all(range(30), partition_key=hash)
                        await queue.flush()
                finally:
                    storm.disarm()

        with suppress(KeyboardInterrupt):
            asyncio.run(stormed())
        wait_until(lambda: queue._run.has_ended)
        assert not queue.running
        stats = queue.stats()
        assert_balanced(stats)
        assert (stats.held, stats.blocked) == (0, 0)
        assert stats.delivered == stats.accepted == len(processor.items)
