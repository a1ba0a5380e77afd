"""trio, imported only where it runs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any

import trio

from ..._core.waiting.event_loop import running_loop
from .base import Main, RunningLoop


class TrioSignal:
    """A flag that is only ever touched by the loop's own thread, so that nothing can race."""

    __slots__ = ("_event", "_token", "_up")

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._up = False
        self._event: trio.Event | None = None

    def set(self) -> None:
        """Raise the flag, soon."""
        with suppress(trio.RunFinishedError):  # nobody waits
            self._token.run_sync_soon(self._raise)  # also from signal handlers and finalizers

    @property
    def home(self) -> object:
        """Whose thread is told of what is raised."""
        return self._token

    @staticmethod
    def set_all(signals: "Sequence[TrioSignal]") -> None:
        """Raise the flags of one loop, soon, which takes one way in for all."""
        with suppress(trio.RunFinishedError):
            signals[0]._token.run_sync_soon(_raise_all, signals)

    def _raise(self) -> None:
        self._up = True
        if self._event is not None:
            self._event.set()

    async def wait(self, timeout: float | None) -> None:
        """Wait for the flag, then lower it."""
        if not self._up:
            event = self._event = trio.Event()
            try:
                with trio.move_on_after(float("inf") if timeout is None else max(timeout, 0.0)):
                    await event.wait()
            finally:
                self._event = None
        self._up = False

    def close(self) -> None:
        """Nothing to give back."""


def _raise_all(signals: Sequence[TrioSignal]) -> None:
    for signal in signals:
        signal._raise()


def _nothing() -> None:
    """Be done at once."""


class TrioGroup:
    """A nursery, whose tasks can be cancelled one by one."""

    def __init__(self) -> None:
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> object:
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)

    def start(self, main: Main, name: str, gone: Callable[[], None]) -> Callable[[], object]:
        """Start a task, which calls *gone* at its end; return what cancels it."""
        # What cancels the body cancels the nursery, too: a worker ends when it is told to.
        scope = trio.CancelScope(shield=True)

        async def run() -> None:
            try:
                with scope:
                    await main()
            finally:
                gone()

        self._nursery.start_soon(run, name=name)
        return scope.cancel


class TrioLoop(RunningLoop):
    """The loop that runs in this thread."""

    way_in = "trio.from_thread.run(buffer.{}, ..., trio_token=token)"

    def __init__(self) -> None:
        self.native: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()

    def here(self) -> bool:
        return running_loop() is self.native

    def is_over(self) -> bool:
        try:
            self.native.run_sync_soon(_nothing)
        except trio.RunFinishedError:
            return True
        return False

    def task(self) -> object:
        try:
            return trio.lowlevel.current_task() if self.here() else None
        except RuntimeError:  # documented: between tasks
            return None

    def signal(self) -> TrioSignal:
        return TrioSignal(self.native)

    def group(self) -> TrioGroup:
        return TrioGroup()

    async def checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()

    def run(self, main: Main) -> Any:
        return trio.from_thread.run(main, trio_token=self.native)

    def ends(self, error: BaseException) -> bool:
        return isinstance(error, trio.Cancelled | KeyboardInterrupt | GeneratorExit)

    def forgive(self, error: BaseException) -> bool:  # noqa: ARG002  # a worker is shielded
        return False

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        raise NotImplementedError  # it is for what was forgiven, and `forgive` forgives nothing

    def soon(self, callback: Callable[[], object]) -> None:
        with suppress(trio.RunFinishedError):
            self.native.run_sync_soon(callback)

    def shield(self) -> AbstractContextManager[object]:
        return trio.CancelScope(shield=True)
