"""Delivered means let go: an idle buffer, or an error that somebody keeps, keeps no item alive."""

import asyncio
import functools
import gc
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
from helpers import Buffers, join, running, unwoken, wait_until

from partitioned_buffer import AsyncQueue, BufferFull, Queue, Reject, Retry
from partitioned_buffer._core.waiting.clock import AWAKE, SystemSignal
from partitioned_buffer.testing import FakeClock

pytestmark = pytest.mark.both_faces


class Item:
    """Can be asked whether it is still there; equal to nothing else."""

    def __init__(self, *, bad: bool = False) -> None:
        self.bad = bad


def items(count: int, bad: tuple[int, ...] = ()) -> tuple[list[Item], "weakref.WeakSet[Item]"]:
    made = [Item(bad=number in bad) for number in range(count)]
    return made, weakref.WeakSet(made)


def left(alive: "weakref.WeakSet[Item]") -> int:
    gc.collect()
    return len(alive)


def none_left(alive: "weakref.WeakSet[Item]") -> bool:
    return left(alive) == 0


def assert_none_left(alive: "weakref.WeakSet[Item]") -> None:
    """Without the GIL, what two threads have held may live until both have looked after it."""
    wait_until(functools.partial(none_left, alive))


def ignore(batch: list[Any]) -> None: ...


@pytest.mark.parametrize("size", [1, 3, "table"])
@pytest.mark.parametrize("options", [{}, {"max_size": 100}])
def test_what_a_queue_has_delivered_is_let_go(
    size: Any, options: dict[str, Any], buffers: Buffers
) -> None:
    queue = buffers.queue(processor=ignore, processing_batch_size=size, **options)
    made, alive = items(10)
    queue.push_all(made)
    queue.push(made[0])
    del made
    queue.flush()

    assert_none_left(alive)


@pytest.mark.parametrize("size", [1, 3, "table"])
@pytest.mark.parametrize("options", [{}, {"max_size": 100}])
@pytest.mark.parametrize("method", ["put", "put_newer"])
def test_what_a_map_has_delivered_is_let_go(
    size: Any, options: dict[str, Any], method: str, buffers: Buffers
) -> None:
    mapped = buffers.map(processor=ignore, processing_batch_size=size, **options)
    made, alive = items(10)
    version = (1,) if method == "put_newer" else ()
    for number in range(10):
        getattr(mapped, method)(number, made[number], *version)
    mapped.put("overwritten", made[0])
    mapped.put("overwritten", None)
    mapped.put("deleted", made[0])
    mapped.delete("deleted")
    made.clear()
    mapped.flush()

    assert_none_left(alive)


def failing(kind: Callable[[], BaseException]) -> Callable[[list[Item]], None]:
    def process(batch: list[Item]) -> None:
        if any(item.bad for item in batch):
            batch.clear()  # what the processor's own frame has is the processor's
            raise kind()

    return process


@pytest.mark.parametrize("kind", [OSError, Reject])
@pytest.mark.parametrize("size", [1, 10])
def test_an_error_that_a_handler_keeps_keeps_no_item(
    kind: Any, size: int, buffers: Buffers
) -> None:
    kept: list[BaseException] = []
    queue = buffers.queue(
        processor=failing(kind),
        processing_batch_size=size,
        retry=Retry(attempts=2, wait_initial=0),
        dead_letter=lambda items, error, attempts: kept.append(error),
    )
    made, alive = items(100, bad=(5, 50))
    queue.push_all(made)
    made.clear()
    queue.flush()

    assert kept
    assert_none_left(alive)


def test_an_error_that_a_hook_keeps_keeps_no_item(buffers: Buffers, clock: FakeClock) -> None:
    kept: list[Any] = []
    failing_once = [OSError()]

    def process(batch: list[Item]) -> None:
        batch.clear()
        if failing_once:
            raise failing_once.pop()

    queue = buffers.queue(processor=process, hooks=[kept.append])
    made, alive = items(100)
    queue.push_all(made)
    made.clear()
    clock.advance(5.0)
    clock.advance(5.0)
    queue.flush()

    assert [event.error for event in kept if hasattr(event, "error")]
    assert_none_left(alive)


def test_what_is_dropped_is_let_go(buffers: Buffers) -> None:
    queue = unwoken(buffers.queue(processor=ignore, max_size=1, when_full="drop_oldest"))
    made, alive = items(10)
    queue.push_all(made)
    made.clear()

    assert left(alive) == 1, "the newest waits"
    queue.flush()
    assert_none_left(alive)


@pytest.mark.parametrize("plain", [True, False])
@running
async def test_an_idle_task_or_its_thread_keeps_nothing(plain: bool) -> None:
    async def awaited(batch: list[Item]) -> None:
        await asyncio.sleep(0)

    async with AsyncQueue("q", ignore if plain else awaited, partitions=1) as queue:
        for method in (queue.push_all, queue.push_all_nowait):
            made, alive = items(10)
            outcome: Any = method(made)
            if outcome is not None:
                await outcome
            made.clear()
            await queue.flush()
            wait_until(functools.partial(none_left, alive))


# --- tokens of a signal ------------------------------------------------------------


def test_the_main_thread_waits_in_short_turns_for_it_may_have_missed_a_ctrl_c() -> None:
    class Tokens(SimpleQueue[None]):
        def get(self, block: bool = True, timeout: float | None = None) -> None:
            turns.append(timeout)
            if len(turns) == 3:
                self.put(None)
            return super().get(block=False)

    signal = SystemSignal()
    turns: list[float | None] = []
    signal._tokens = Tokens()
    signal.wait(None)
    assert turns == [AWAKE] * 3
    turns.clear()
    signal.wait(2.2 * AWAKE)
    assert turns[:2] == [AWAKE] * 2
    assert turns[2] == pytest.approx(0.2 * AWAKE)

    turns.clear()
    thread = threading.Thread(target=signal.wait, args=(None,))
    thread.start()
    join(thread)
    assert turns == [None]


def test_a_signal_that_nobody_looks_at_holds_one_token() -> None:
    signal = SystemSignal()
    for _ in range(1000):
        signal.set()

    assert signal._tokens.qsize() == 1
    signal.wait(None)
    assert signal._tokens.empty()
    signal.wait(0.0)


def test_writers_that_try_again_and_again_leave_nothing_behind() -> None:
    stuck, entered = threading.Event(), threading.Event()

    def process(batch: list[int]) -> None:
        entered.set()
        stuck.wait(60)

    options: dict[str, Any] = {"max_size": 1, "block_timeout": 0.0}
    with Queue("stuck", process, partitions=1, **options) as queue:
        queue.push(0)
        flusher = threading.Thread(target=lambda: queue.flush(60))
        flusher.start()
        assert entered.wait(60)
        try:
            for _ in range(100):
                with pytest.raises(BufferFull):
                    queue.push(1)
            signals: list[Any] = [worker._signal for worker in queue._run.workers]
            tokens = [signal._tokens.qsize() for signal in signals]
        finally:
            stuck.set()
            join(flusher)

    assert sum(tokens) <= 1


def test_no_raising_of_a_signal_is_missed() -> None:
    """Whoever sees a token that is there already relies on who waits to look afterwards."""
    signal, seen, state = SystemSignal(), [0], [0]
    rounds = 20_000

    def wait() -> None:
        while seen[0] < rounds:
            signal.wait(None)
            seen[0] = state[0]

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    for number in range(1, rounds + 1):
        state[0] = number
        signal.set()
    waiter.join(60)

    assert not waiter.is_alive()
