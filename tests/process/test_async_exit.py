"""How programs with an AsyncQueue end, in processes of their own."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

BEGIN = """
import asyncio, logging, os, signal, sys, threading, time
from partitioned_buffer import AsyncQueue, BufferNotRunning
from partitioned_buffer.testing import assert_balanced
logging.basicConfig(format="%(message)s", stream=sys.stdout)
delivered = []
async def deliver(batch):
    await asyncio.sleep(0)
    delivered.extend(batch)
def tell(queue):
    stats = queue.stats()
    assert_balanced(stats)
    complete = sorted(delivered) == list(range(len(delivered)))
    print(stats.accepted, stats.delivered, stats.held, complete)
async def fill(queue):
    for number in range(1000):
        await queue.push(number)
    print("ready", flush=True)
async def live(queue):
    async with queue:
        await fill(queue)
        await asyncio.Event().wait()
"""

ALL = "1000 1000 0 True"


def run(
    program: str, *, then: Callable[[subprocess.Popen[str]], None] = lambda _: None, status: int = 0
) -> list[str]:
    """Run *program*, do something when it is ready; return the lines it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line == "ready\n":
                then(process)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status, errors
    return lines[1:] if lines[:1] == ["ready"] else lines


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_an_interrupt_delivers_what_is_held() -> None:
    program = """
    queue = AsyncQueue("q", deliver, partitions=2)
    try:
        asyncio.run(live(queue))
    except KeyboardInterrupt:
        tell(queue)
    """
    assert run(program, then=interrupt) == [ALL]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_a_second_interrupt_does_not_wait() -> None:
    program = """
    async def hang(batch):
        print("ready", flush=True)
        await asyncio.Event().wait()
    queue = AsyncQueue("q", hang, partitions=1)
    try:
        asyncio.run(live(queue))
    except KeyboardInterrupt:
        tell(queue)
    """
    left = [interrupt, interrupt]  # once it is filled, and once it hangs

    def twice(process: subprocess.Popen[str]) -> None:
        if left:
            left.pop()(process)

    lines = run(program, then=twice)

    assert "1000 0 1000 True" in lines
    assert any("undelivered" in line for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_a_shutdown_recipe_at_a_signal_delivers_what_is_held() -> None:
    """The one that cancels every task, as many programs have it."""
    program = """
    queue = AsyncQueue("q", deliver, partitions=2)
    async def shut_down(loop):
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop.stop()
    loop = asyncio.new_event_loop()
    shutting = []
    def terminate():
        shutting.append(loop.create_task(shut_down(loop)))
    loop.add_signal_handler(signal.SIGTERM, terminate)
    task = loop.create_task(live(queue))
    loop.run_forever()
    loop.close()
    tell(queue)
    """
    assert run(program, then=lambda process: process.send_signal(signal.SIGTERM)) == [ALL]


def test_a_loop_that_just_ends_delivers_what_is_held() -> None:
    program = """
    queue = AsyncQueue("q", deliver, partitions=2)
    async def main():
        await queue.__aenter__()
        await fill(queue)
    asyncio.run(main())
    tell(queue)
    """
    assert run(program) == [ALL]


def test_a_loop_that_is_abandoned_is_said_to_hold_what_it_holds() -> None:
    program = """
    queue = AsyncQueue("q", deliver, partitions=2)
    async def main():
        await queue.__aenter__()
        await fill(queue)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    """
    (line, *_) = run(program)

    assert line == "buffer 'q' was never left: the process ends with 1000 undelivered"


def test_a_plain_processor_that_hangs_does_not_hold_up_the_exit() -> None:
    program = """
    def hang(batch):
        threading.Event().wait()
    queue = AsyncQueue("q", hang, partitions=1)
    async def main():
        async with queue:
            await fill(queue)
            print(len((await queue.stop(timeout=0.1)).left))
    asyncio.run(main())
    """
    assert run(program) == ["buffer 'q' was stopped with 1000 undelivered", "1000"]


def test_a_buffer_dropped_with_its_loop_open_crashes_nothing() -> None:
    program = """
    import gc
    async def main():
        queue = AsyncQueue("q", deliver, partitions=2)
        await queue.__aenter__()
        await fill(queue)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    gc.collect()
    """
    run(program)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_child_finds_the_buffer_stopped_and_empty_and_can_use_it_again() -> None:
    program = """
    import warnings
    warnings.simplefilter("ignore")
    queue = AsyncQueue("q", deliver, partitions=2)
    async def main():
        async with queue:
            await fill(queue)
            if (child := os.fork()) == 0:
                in_child()
            _, status = os.waitpid(child, 0)
            assert status == 0, status
        tell(queue)
    def in_child():
        try:
            assert (queue.size(), queue.running) == (0, False)
            try:
                queue.push_nowait(1)
                os._exit(1)
            except BufferNotRunning as error:
                assert "`async with` block again" in str(error)
            # In a thread without a loop: this one's is the parent's.
            thread = threading.Thread(target=asyncio.run, args=(again(),))
            thread.start()
            thread.join()
            os._exit(0 if delivered == [1] else 2)
        finally:
            os._exit(3)
    async def again():
        async with queue:
            await queue.push(1)
    asyncio.run(main())
    """
    assert run(program) == [ALL]
