"""One public surface, twice; and what the wrong use of either face says."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import until, wait_until

import partitioned_buffer
from partitioned_buffer import (
    AsyncMap,
    AsyncQueue,
    BufferFull,
    BufferNotRunning,
    InvalidOption,
    Map,
    Queue,
    Retry,
    StopReport,
    WrongThread,
)
from partitioned_buffer.testing import FakeClock, RecordingProcessor

WRITES = {
    Queue: ["push", "push_all"],
    Map: ["put", "put_all", "put_newer", "put_all_newer", "delete"],
}
WAITS = ["flush", "stop"]
FACES = [(Queue, AsyncQueue), (Map, AsyncMap)]

ONLY_THREADS = {"start"}  # tasks start in an `async with`, which also waits for them
ONLY_TASKS = {"fetch"}  # what `get` says, where that would hold up the loop


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_") and hasattr(kind, name)}


def signature(kind: type, method: str) -> list[Any]:
    """Return what a call takes: without types, which a method in C does not tell."""
    attribute = inspect.getattr_static(kind, method)
    if isinstance(attribute, property):
        return []
    taken = inspect.signature(getattr(kind("signature", print), method)).parameters.values()
    return [(each.name, each.kind, each.default) for each in taken]


@pytest.mark.parametrize(("threads", "tasks"), FACES)
def test_both_faces_have_the_same_methods_and_a_nowait_beside_each_write(
    threads: type, tasks: type
) -> None:
    nowait = {f"{write}_nowait" for write in WRITES[threads]}

    assert public(tasks) - ONLY_TASKS == (public(threads) - ONLY_THREADS) | nowait


@pytest.mark.parametrize(("threads", "tasks"), FACES)
def test_what_may_wait_is_awaited_and_takes_the_same(threads: type, tasks: type) -> None:
    for method in [*WRITES[threads], *WAITS]:
        assert inspect.iscoroutinefunction(getattr(tasks, method)), method
        assert signature(tasks, method) == signature(threads, method), method


@pytest.mark.parametrize(("threads", "tasks"), FACES)
def test_everything_else_is_called_and_takes_the_same(threads: type, tasks: type) -> None:
    for method in public(threads) - ONLY_THREADS - {*WRITES[threads], *WAITS}:
        assert not inspect.iscoroutinefunction(getattr(tasks, method)), method
        assert signature(tasks, method) == signature(threads, method), method
    for method in WRITES[threads]:
        assert not inspect.iscoroutinefunction(getattr(tasks, f"{method}_nowait"))
        assert signature(tasks, f"{method}_nowait") == signature(threads, method), method


@pytest.mark.parametrize(("threads", "tasks"), FACES)
def test_both_take_the_same_options(threads: type, tasks: type) -> None:
    assert str(inspect.signature(threads)) == str(inspect.signature(tasks))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (AsyncQueue, "push_nowait"),
        (AsyncMap, "put_nowait"),
        (AsyncMap, "put_newer_nowait"),
    ],
)
def test_methods_in_slots_are_documented_like_others(kind: type, method: str) -> None:
    bound = getattr(kind("documented", print), method)

    assert inspect.getdoc(bound) == inspect.getdoc(getattr(kind, method))
    assert bound.__name__ == method
    assert bound.__module__ == "partitioned_buffer"


def test_who_does_not_ask_for_them_imports_no_event_loop() -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    program = (
        "import sys, partitioned_buffer as p; assert 'asyncio' not in sys.modules; "
        "p.AsyncMap; assert 'asyncio' in sys.modules; assert 'trio' not in sys.modules; "
        "from partitioned_buffer import *; AsyncQueue"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'AsyncStack'"):
        _ = partitioned_buffer.AsyncStack


# --- before, after, elsewhere --------------------------------------------------------


def calls(queue: AsyncQueue[int], mapped: AsyncMap[int, int]) -> list[Callable[[], Any]]:
    return [
        lambda: queue.push(1),
        lambda: queue.push_all([1]),
        queue.flush,
        lambda: mapped.put(1, 1),
        lambda: mapped.put_all({1: 1}),
        lambda: mapped.put_newer(1, 1, 1),
        lambda: mapped.put_all_newer([(1, 1, 1)]),
        lambda: mapped.delete(1),
    ]


def test_before_and_after_the_block_everything_says_what_to_do() -> None:
    async def main() -> None:
        queue, mapped = AsyncQueue[int]("q", print), AsyncMap[int, int]("m", print)
        for when in ("has not been started", "has been stopped"):
            for call in calls(queue, mapped):
                with pytest.raises(BufferNotRunning, match=f"{when}.*`async with` block"):
                    await call()
            with pytest.raises(BufferNotRunning, match=f"{when}.*`async with` block"):
                queue.push_nowait(1)
            assert await queue.stop() == StopReport(0, 0, ())
            async with queue, mapped:
                pass

    asyncio.run(main())


def test_what_is_awaited_on_another_loop_says_what_to_call() -> None:
    """In another thread, and in the same one, where the buffer's own loop stands still."""

    async def main(home: bool = False) -> None:
        loop = asyncio.get_running_loop()
        async with AsyncQueue[int]("q", print) as queue, AsyncMap[int, int]("m", print) as mapped:

            async def elsewhere() -> None:
                for call in [*calls(queue, mapped), queue.stop]:
                    with pytest.raises(WrongThread, match="lives on another event loop") as caught:
                        await call()
                    assert "asyncio.run_coroutine_threadsafe(buffer." in str(caught.value)
                    said = str(caught.value)
                    assert ("_nowait() works anywhere" in said) == (
                        "flush" not in said and "stop" not in said
                    )
                asyncio.run_coroutine_threadsafe(queue.flush(), loop).result()

            await asyncio.to_thread(asyncio.run, elsewhere())
            assert queue.stats().accepted == mapped.stats().accepted == 0

    asyncio.run(main())


@pytest.mark.skipif(
    "sys.version_info < (3, 12)", reason="looks at the thread alone, which is this one"
)
def test_a_second_loop_in_the_same_thread_is_another_loop() -> None:
    home, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    queue = AsyncQueue[int]("q", print)
    home.run_until_complete(queue.__aenter__())
    with pytest.raises(WrongThread, match="another event loop"):
        other.run_until_complete(queue.push(1))
    home.run_until_complete(queue.__aexit__(None, None, None))
    home.close()
    other.close()


@pytest.mark.parametrize("method", ["flush", "stop"])
def test_a_processor_cannot_wait_for_itself(method: str) -> None:
    errors: list[BaseException] = []

    async def processor(batch: list[int]) -> None:
        try:
            await getattr(queue, method)()
        except WrongThread as error:
            errors.append(error)

    queue = AsyncQueue[int]("q", processor, partitions=1)

    async def main() -> None:
        async with queue:
            await queue.push(1)

    asyncio.run(main())
    assert f"{method}() was called by a worker" in str(errors[0])
    assert queue.stats().delivered == 1


def test_each_face_refuses_the_statement_of_the_other() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match=r"Queue is for threads.*AsyncQueue in an `async with`"):
            async with Queue[int]("q", print):  # type: ignore[attr-defined]
                pass
        mapped: Any = AsyncMap[int, int]("m", print)
        with pytest.raises(TypeError, match="AsyncMap is for tasks: use it in an"), mapped:
            pass

    asyncio.run(main())


def test_each_face_knows_the_methods_of_the_other() -> None:
    queue: Any = Queue[int]("q", print)
    with pytest.raises(AttributeError, match="no attribute 'push_nowait': see AsyncQueue"):
        queue.push_nowait(1)
    with pytest.raises(AttributeError, match=r"'Queue' object has no attribute 'pusch'$"):
        queue.pusch(1)
    queue = AsyncQueue[int]("q", print)
    with pytest.raises(AttributeError, match="'start': use it in an `async with` block"):
        queue.start()


def test_each_face_checks_what_only_it_can_call() -> None:
    async def coroutine(*_: Any) -> None: ...

    with pytest.raises(InvalidOption, match="see AsyncQueue and AsyncMap"):
        Queue("q", coroutine)
    with pytest.raises(InvalidOption, match="plain or a coroutine"):
        AsyncQueue("q", 7)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="plain or a coroutine"):
        AsyncQueue("q", coroutine, dead_letter=7)  # type: ignore[arg-type]

    class OldClock:
        monotonic = time = staticmethod(lambda: 0.0)
        signal = FakeClock().signal

    with pytest.raises(InvalidOption, match="an AsyncClock, as in `abc`"):
        AsyncQueue("q", coroutine, clock=OldClock())
    Queue("q", print, clock=OldClock())


def test_entering_takes_a_running_loop() -> None:
    coroutine = AsyncQueue[int]("q", print).__aenter__()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    Queue("q", print).start().stop()  # the name is free


# --- a Queue in an asyncio program ---------------------------------------------------


def needing(loop: asyncio.AbstractEventLoop, done: list[int]) -> Callable[[list[int]], None]:
    """Return a processor that cannot do without *loop*."""

    async def store(batch: list[int]) -> None:
        done.extend(batch)

    def processor(batch: list[int]) -> None:
        asyncio.run_coroutine_threadsafe(store(batch), loop).result()

    return processor


def test_waiting_on_the_thread_of_a_loop_that_the_processor_needs_ends_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[int] = []

    async def main() -> None:
        clock = FakeClock()
        queue = Queue(
            "q",
            needing(asyncio.get_running_loop(), done),
            partitions=1,
            max_size=1,
            flush_at=1,
            processing_timeout=7.0,
            clock=clock,
        ).start()
        queue.push(1)
        wait_until(lambda: queue._run.workers[0].driver.called_at is not None)
        jumper = threading.Thread(target=jump, args=(clock, 7.0, 3))
        jumper.start()
        with pytest.raises(
            TimeoutError, match=r"and nothing settled within 7\.0 seconds: 1 items.*loop"
        ):
            queue.flush()
        with pytest.raises(BufferFull, match=r"asyncio\.to_thread"):
            queue.push(2)
        assert queue.stop().left == (1,)
        jumper.join()
        assert "wait in another one: await asyncio.to_thread" in caplog.text
        await until(lambda: queue._run.workers[0].ended)
        assert (queue.stats().delivered, done) == (1, [1]), "it had not been lost"

    asyncio.run(main())


def jump(clock: FakeClock, seconds: float, times: int) -> None:
    """Let time pass when the loop's thread waits for it, which is in the middle of a call."""
    for _ in range(times):
        with clock._changed:
            waiting = lambda: any(
                s.idle and s.deadline == clock.monotonic() + seconds for s in clock._signals[2:]
            )
            assert clock._changed.wait_for(waiting, 60)
        clock.jump(seconds)


def test_in_a_thread_of_its_own_the_stop_waits_for_such_a_processor() -> None:
    done: list[int] = []

    async def main() -> None:
        queue = Queue("q", needing(asyncio.get_running_loop(), done), partitions=1).start()
        queue.push(1)
        await asyncio.to_thread(queue.flush)
        queue.push(2)
        assert (await asyncio.to_thread(queue.stop)).delivered == 1

    asyncio.run(main())
    assert done == [1, 2]


def test_on_a_loop_a_queue_whose_processor_does_not_need_it_stops_as_anywhere() -> None:
    async def main() -> None:
        processor = RecordingProcessor()
        with Queue("q", processor, partitions=1, retry=Retry(attempts=1)) as queue:
            queue.push(1)
        assert processor.items == [1]

    asyncio.run(main())
