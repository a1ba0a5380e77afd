"""
Hanging up on a server that says nothing.

A time limit of the server's is none if the server is asleep, or the way to it is cut. Only the end
of its connection ends a wait of psycopg's then, and so its socket is shut down: by a thread that is
there while calls are, and looks a few times a second.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from itertools import count

GRAIN = 0.2
"""How late an alarm may be, in seconds."""

_PATIENCE = 50
"""After how many looks at nothing the thread ends."""


class Alarm:
    """Calls that wait, each until when, and on what."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[float, socket.socket]] = {}
        self._tokens = count()
        self._is_watched = False

    def arm(self, on: socket.socket, seconds: float) -> int:
        """Have *on* shut down in so many *seconds*; return what ends that."""
        with self._lock:
            token = next(self._tokens)
            self._waiting[token] = time.monotonic() + seconds, on
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(
                    target=self._watch, name="partitioned-buffer-alarm", daemon=True
                ).start()
        return token

    def disarm(self, token: int) -> bool:
        """Return whether it has rung."""
        with self._lock:
            return self._waiting.pop(token, None) is None

    def _watch(self) -> None:
        nothing = 0
        while nothing < _PATIENCE or not self._is_over():
            time.sleep(GRAIN)
            with self._lock:
                nothing = 0 if self._waiting else nothing + 1
                now = time.monotonic()
                for token in [t for t, (end, _) in self._waiting.items() if end <= now]:
                    hang_up(self._waiting.pop(token)[1])

    def _is_over(self) -> bool:
        with self._lock:
            self._is_watched = bool(self._waiting)
            return not self._is_watched


def hang_up(on: socket.socket) -> None:
    """End a connection, whoever waits for it; a socket of its own stays theirs."""
    with suppress(OSError):
        on.shutdown(socket.SHUT_RDWR)


def line_of(descriptor: int) -> socket.socket:
    """Return a socket for the same connection, which stays that even if *descriptor* is reused."""
    return socket.socket(fileno=os.dup(descriptor))


ALARM = Alarm()
if hasattr(os, "register_at_fork"):  # a child has neither its thread nor its calls
    os.register_at_fork(after_in_child=ALARM.__init__)  # type: ignore[misc]
