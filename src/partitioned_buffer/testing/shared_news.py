"""
Who listens to the server of a `SharedDict`.
"""

import threading
from collections.abc import Callable

Listener = tuple[Callable[[int], object], Callable[[], bool]]


class News:
    """Those who are told that a partition is not empty any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    def listen(
        self, heard: Callable[[int], object], deaf: Callable[[], bool]
    ) -> Callable[[], None]:
        """Have *heard* called with all news, except while it is *deaf*; return what ends that."""
        listener = heard, deaf
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                self._listeners[:] = [each for each in self._listeners if each is not listener]

        return end

    def tell(self, *news: int) -> None:
        """Have all who listen hear *news*, in this thread."""
        with self._lock:
            listeners = list(self._listeners)
        for heard, deaf in listeners:
            for one in news:
                if not deaf():
                    heard(one)
