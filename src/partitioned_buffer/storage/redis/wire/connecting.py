"""
Connections to servers, and round trips over them.

Nothing is tried again here: only who has sent something knows whether it may be sent twice. Each
use has connections of its own, so that a slow reader holds up no writer.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, parse_url
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from ....abc.sharing import StorageAway
from ....errors import InvalidOption
from ..scripts import Command, Whole, loading, unknown, words
from .faults import translated

CALL = 1.0
"""Seconds that a call waits for a server."""

_AT_ONCE = 4
"""Connections to a server for each use."""


class Address(NamedTuple):
    """Where a server is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class Connections:
    """Connections to any server that is like the one at *url*, its *seed*."""

    def __init__(self, url: str) -> None:
        self._options = _options_of(url)
        self.seed = _seed_of(self._options)
        self._pools: dict[tuple[str, Address], Any] = {}
        self._pid, self._closed, self._lock = os.getpid(), False, threading.Lock()

    def run(
        self,
        use: str,
        address: Address,
        commands: Sequence[Command],
        *,
        last: Command | None = None,
        opening: bool = False,
    ) -> list[Any]:
        """
        Run *commands* in one round trip; return their replies, where errors are values.

        A server that does not know a script is given it, and all from there on is sent again: what
        comes later may stand on what came before. *last* comes behind, whatever is sent again.
        """
        every = [*commands] if last is None else [*commands, last]
        replies = self._exchange(use, address, every, opening=opening)
        if (place := unknown(every, replies)) is not None:
            self._exchange(use, address, loading(every), opening=opening)
            replies[place:] = self._exchange(use, address, every[place:], opening=opening)
        if any(isinstance(reply, ReadOnlyError) for reply in replies):
            self.pool(use, address).disconnect()  # its name may lead elsewhere now
        return replies

    def _exchange(
        self, use: str, address: Address, commands: Sequence[Command], *, opening: bool
    ) -> list[Any]:
        pool, connection = self.pool(use, address), None
        try:
            connection = pool.get_connection()
            sent = [each for command in commands for each in words(command)]
            connection.send_packed_command(connection.pack_commands(sent))
            return [_reply_to(command, connection) for command in commands]
        except BaseException as error:
            if connection is not None:
                connection.disconnect()  # with replies to come that nobody would wait for
            if not isinstance(error, RedisError | OSError):
                raise
            raise translated(str(address), error, opening=opening) from error
        finally:
            if connection is not None:
                pool.release(connection)

    def pool(self, use: str, address: Address) -> Any:
        """Return the connections to a server for a use."""
        with self._lock:
            if self._closed:
                raise StorageAway(f"{address}: it is closed")
            if (pool := self._pools.get((use, address))) is None:
                self._pools[use, address] = pool = self._made(address)
            return pool

    def alone(self, address: Address) -> Any:
        """Return a connection to a server that is the caller's own."""
        return self._made(address).make_connection()

    def _made(self, address: Address) -> Any:
        options = self._options | {"max_connections": _AT_ONCE, "timeout": CALL}
        if address.port:
            options.update(host=address.host, port=address.port)
        return redis.BlockingConnectionPool(**options)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """End all connections, also those that somebody waits at."""
        with self._lock:
            self._closed = True
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.disconnect()

    @property
    def is_another_process(self) -> bool:
        """Whether this process is a child of the one that opened it: nothing here is its own."""
        return os.getpid() != self._pid


def _reply_to(command: Command, connection: Any) -> Any:
    """Return the reply to a command; of several that are done together, the last, or an error."""
    if not isinstance(command, Whole):
        return _reply_of(connection)
    replies = [_reply_of(connection) for _ in words(command)]
    if isinstance(done := replies[-1], list):
        replies = done
    # Where one is refused, so are all: that there is no transaction then is no news.
    return next((each for each in replies if isinstance(each, ResponseError)), replies[-1])


def _reply_of(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _options_of(url: str) -> dict[str, Any]:
    """Return what the library's connections take, for a server at *url*."""
    try:
        options = dict(parse_url(url))  # type: ignore[no-untyped-call]
    except (ValueError, TypeError) as error:
        raise InvalidOption(f"url: {error}: expected redis://HOST:PORT/DB") from error
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        if (path := options.get(name)) is not None and not Path(path).is_file():
            raise InvalidOption(f"url: {name}={path!r}: there is no such file")
    options.setdefault("connection_class", Connection)
    return options | {
        "socket_timeout": CALL,
        "socket_connect_timeout": CALL,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "decode_responses": False,
        "health_check_interval": 0,
        "protocol": 2,
    }


def _seed_of(options: dict[str, Any]) -> Address:
    if path := options.get("path"):
        return Address(str(path), 0)
    return Address(str(options.get("host", "localhost")), int(options.get("port", 6379)))
