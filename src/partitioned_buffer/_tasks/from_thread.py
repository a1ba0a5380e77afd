"""A buffer on an event loop, for code in another thread that wants to wait."""

from collections.abc import Callable
from typing import Any

from ..errors import WrongThread
from .loops.base import RunningLoop


class Blocking:
    """What is awaited there, as methods that wait here."""

    def __init__(self, buffer: Any, loop: RunningLoop) -> None:
        self._buffer, self._loop = buffer, loop

    def __repr__(self) -> str:
        return repr(self._buffer)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._buffer, name)

        def call(*args: Any) -> Any:
            if self._loop.here():
                raise WrongThread(
                    f"{self!r} lives on this very thread, which would wait for itself: call this "
                    "in another one, as asyncio.to_thread does"
                )
            return self._loop.run(lambda: method(*args))

        return call
