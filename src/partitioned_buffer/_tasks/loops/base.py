"""What a buffer has to know of an event loop, and all in which one differs from another."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from ...abc import AsyncSignal

Main = Callable[[], Coroutine[Any, Any, Any]]


class Group(Protocol):
    """A group of tasks that live in an `async with`, which raises what they raise."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...

    def start(self, main: Main, name: str, gone: Callable[[], None]) -> Callable[[], object]:
        """Start a task, which calls *gone* at its end; return what cancels it."""
        ...


class RunningLoop(ABC):
    """The loop that runs in this thread."""

    way_in: str
    """How another thread gets a buffer's method awaited here, for messages."""

    @abstractmethod
    def here(self) -> bool:
        """Return whether it is the one running in this thread."""

    @abstractmethod
    def is_over(self) -> bool:
        """Return whether it has ended for good."""

    @abstractmethod
    def task(self) -> object:
        """Return the task of this loop that runs now; None in any other thread."""

    @abstractmethod
    def signal(self) -> AsyncSignal:
        """Return a new signal, in real time."""

    @abstractmethod
    def group(self) -> Group:
        """Return a new group."""

    @abstractmethod
    def checkpoint(self) -> Awaitable[object]:
        """Let other tasks run."""

    @abstractmethod
    def run(self, main: Main) -> Any:
        """Run a coroutine there, and wait for it in this, another thread; return its result."""

    @abstractmethod
    def ends(self, error: BaseException) -> bool:
        """Return whether *error* is the end of this very task, and no affair of what it called."""

    @abstractmethod
    def forgive(self, error: BaseException) -> bool:
        """Take back what cancelled this very task, if *error* is that and it can be; say so."""

    @abstractmethod
    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Have *callback* called in so many seconds, unless the loop has ended by then."""

    @abstractmethod
    def soon(self, callback: Callable[[], object]) -> None:
        """Have *callback* called there, from any thread, unless the loop has ended by then."""

    @abstractmethod
    def shield(self) -> AbstractContextManager[object]:
        """Keep cancellations that were made already from what is awaited in it."""
