"""
An AsyncQueue or AsyncMap with the methods of the other face, for tests that run over both.

The buffer lives on a loop in a thread of its own. What the test's own thread calls is awaited in
the task that has entered the buffer, so that a `FakeClock` takes it for the test; what other
threads call, in tasks of their own.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Self

AWAITED = {"push", "push_all", "put", "put_all", "put_newer", "put_all_newer", "delete", "flush"}

Job = tuple[Coroutine[Any, Any, Any], "Future[Any]"]


class Portal:
    """The buffer, and the thread of its loop."""

    def __init__(self, buffer: Any, run: Callable[[Any], object] = asyncio.run) -> None:
        self.buffer = buffer
        self._run_loop = run
        self._owner = threading.current_thread()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._jobs: asyncio.Queue[Job | None]
        self._others = set[asyncio.Task[None]]()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.buffer, name)
        if name not in AWAITED:
            return attribute
        return lambda *args, **kwargs: self._await(attribute(*args, **kwargs))

    @property
    def _blocking(self) -> Self:
        return self

    def __len__(self) -> int:
        return len(self.buffer)

    def __contains__(self, key: object) -> bool:
        return key in self.buffer

    def start(self) -> Self:
        started: Future[None] = Future()
        thread = threading.Thread(target=lambda: self._run_loop(self._live(started)), daemon=True)
        thread.start()
        started.result(60)
        self._thread = thread
        return self

    def stop(self, timeout: float | None = None) -> Any:
        report = self._await(self.buffer.stop(timeout))
        self._leave()
        return report

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_raised: object) -> None:
        self.stop()

    def _leave(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._loop.call_soon_threadsafe(self._jobs.put_nowait, None)
            thread.join(60)
            assert not thread.is_alive()

    async def _live(self, started: "Future[None]") -> None:
        try:
            async with self.buffer:
                self._loop, self._jobs = asyncio.get_running_loop(), asyncio.Queue()
                started.set_result(None)
                while (job := await self._jobs.get()) is not None:
                    await settle(*job)
                if self._others:  # who may hear of the end a bit later
                    await asyncio.wait(self._others, timeout=5)
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        thread = self._thread
        if thread is None:  # it is on no loop: whatever that leads to
            return asyncio.run(coroutine)
        future: Future[Any] = Future()
        if threading.current_thread() is self._owner:
            self._loop.call_soon_threadsafe(self._jobs.put_nowait, (coroutine, future))
        else:
            self._loop.call_soon_threadsafe(self._begin, coroutine, future)
        return future.result(60)

    def _begin(self, coroutine: Coroutine[Any, Any, Any], future: "Future[Any]") -> None:
        task = asyncio.create_task(settle(coroutine, future))
        self._others.add(task)
        task.add_done_callback(self._others.discard)


async def settle(coroutine: Coroutine[Any, Any, Any], future: "Future[Any]") -> None:
    try:
        future.set_result(await coroutine)
    except Exception as error:
        future.set_exception(error)
