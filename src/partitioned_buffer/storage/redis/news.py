"""
Who waits is told: in a channel, in which a server says which partition is not empty any more.

What is said while nobody listens is not said again, so after each beginning everything is to be
looked at once.
"""

import threading
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from .naming import FREE, HURRY, Names
from .wire.connecting import CALL
from .wire.servers import Servers

_LONGEST = 2.0
"""Seconds between two attempts to reach a server, at most."""

_QUIET = 2.0
"""Seconds without a word after which a server is asked whether it is there."""

_LOOK = 0.25
"""Seconds between two looks at whether somebody listens still."""


class News:
    """A thread that listens, and calls *heard*, as `SharedStore.listen` has it."""

    def __init__(self, servers: Servers, names: Names, heard: Callable[[int], object]) -> None:
        self._servers, self._channel, self._heard = servers, names.news, heard
        self._over = threading.Event()
        self._connection: Any = None
        self._turn = 0
        self._thread = threading.Thread(target=self._run, name=f"news of {names.news}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Listen no more: nothing is said from now on, and the thread ends soon."""
        self._over.set()

    def _run(self) -> None:
        wait = 0.05
        while not self._over.is_set():
            try:
                self._subscribe()
                wait = 0.05
                self._listen()
            except (RedisError, OSError):
                pass
            self._hang_up()
            self._over.wait(wait)
            wait = min(2 * wait, _LONGEST)

    def _subscribe(self) -> None:
        servers = self._servers.primaries
        address = servers[self._turn % len(servers)]  # in a cluster any of them says all
        self._turn += 1
        self._connection = self._servers.connections.alone(address)
        self._connection.connect()
        self._connection.send_command("SUBSCRIBE", self._channel)
        self._connection.read_response()
        self._say(-1)

    def _say(self, what: int) -> None:
        if not self._over.is_set():
            self._heard(what)

    def _listen(self) -> None:
        quiet = 0.0
        while not self._over.is_set():
            if self._connection.can_read(timeout=_LOOK):
                self._tell(self._connection.read_response())
                quiet = 0.0
                continue
            quiet += _LOOK
            if quiet >= _QUIET + CALL:
                raise OSError("the server does not answer")
            if _QUIET <= quiet < _QUIET + _LOOK:
                self._connection.send_command("PING")

    def _tell(self, message: Any) -> None:
        match message:
            case [b"message", _, data] if data == HURRY:
                self._say(-2)
            case [b"message", _, data] if data == FREE:
                self._say(-3)
            case [b"message", _, data] if data.isdigit():
                self._say(int(data))
            case _:
                pass  # an answer, or another program's

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
