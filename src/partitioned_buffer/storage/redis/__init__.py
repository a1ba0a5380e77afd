"""
What was accepted, on a Redis or Valkey server, for many processes. `Redis(url)` is what a buffer is
given as its `storage`.

    store.py        what a buffer stands on: a `SharedStore`
    appending.py    parcels, each once
    claims.py       leases, and what is done by them: reading on, and settling
    kinds/          what of this differs between a Queue and a Map: kind.py, queue.py, map.py;
                    moving.py: what a Map holds goes to other partitions
    letters.py      what was given up
    layouts.py      how records are dealt out; other numbers of partitions
    depths.py       how much there is
    news.py         who waits is told
    opening.py      what a server has to be like, and what a buffer was made for
    wire/           servers.py: one server, or a cluster: which of them has what
                    connecting.py: connections, and round trips; faults.py: what an error of the
                    client, or of the server, means
    looking.py      what is there, for tools; risks.py: what is risky about it
    scripts.py      what runs on the server: lua/*.lua
    naming.py       what keys are called
"""

from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

from ...abc import Codec
from ...abc.sharing import SharedStore, SharedTerms
from ...errors import InvalidOption
from ..codec import make_codec
from ..keys import make_keys
from ..stable_hash import stable_hash

__all__ = ["Redis"]


class Redis:
    """
    Keeps what a buffer accepts on the Redis (7.0 or later) or Valkey server, or cluster, at *url*.

    Any number of processes may write, and any number may deliver: each partition is delivered by
    one of them at a time. *ack*: when a write returns: `"local"`, when it is in the memory of this
    process, or in *front*; `"server"`, when the server has it; `"replicated"`, when a replica has
    it, too; waiting *ack_timeout* seconds at most. *front*: the storage (`SQLite(path)`) that keeps
    what is not on the server yet. *lease*: seconds that the partitions of a worker that is gone
    wait for another. *window*: how many records of a partition a worker has in hand at most, which
    are delivered twice if it is killed. *limit*: how many records the server holds of this buffer
    at most. *deliver*: whether a buffer that has a processor delivers. *codec*: how items become
    bytes, as with `SQLite`.

    Takes `pip install 'partitioned-buffer[redis]'`. Raises `InvalidOption`.
    """

    def __init__(  # noqa: PLR0913  # options, by name
        self,
        url: str,
        *,
        ack: Literal["local", "server", "replicated"] = "local",
        ack_timeout: float | None = 5.0,
        front: Any = None,
        lease: float = 10.0,
        window: int = 1000,
        limit: int | None = None,
        deliver: bool = True,
        codec: Any = None,
    ) -> None:
        check_url(url)
        if ack not in ("local", "server", "replicated"):
            raise InvalidOption(f'ack={ack!r}: expected "local", "server" or "replicated"')
        if front is not None and not callable(getattr(front, "open", None)):
            raise InvalidOption(f"front={front!r}: expected a storage, SQLite(path), or None")
        if not isinstance(deliver, bool):
            raise InvalidOption(f"deliver={deliver!r}: expected True or False")
        self.url, self.front, self.deliver = url, front, deliver
        self.ack: str = ack
        self.ack_timeout = None if ack_timeout is None else _seconds("ack_timeout", ack_timeout, 0)
        self.lease = _seconds("lease", lease, 0.1)
        self.window = _number("window", window)
        self.limit = None if limit is None else _number("limit", limit)
        self.codec: Codec = make_codec(codec)
        self.keys = make_keys(self.codec)

    def __repr__(self) -> str:
        return f"Redis({_without_password(self.url)!r}, ack={self.ack!r})"

    def hash(self, key: Any, /) -> int:
        """Return the hash of *key*, the same in every process; raise `TypeError`."""
        return stable_hash(key)

    def share(self, terms: SharedTerms, /) -> SharedStore:
        """Reach the server, and make the buffer there unless it is there."""
        check_library(repr(self))
        from .store import RedisStore  # noqa: PLC0415  # as said

        return RedisStore(
            self.url,
            terms,
            codec=self.codec,
            lease=self.lease,
            limit=self.limit,
            replicated=self.ack == "replicated",
        )


def check_library(who: str) -> None:
    """Raise `InvalidOption` if there is not what *who* takes."""
    if find_spec("redis") is None:
        raise InvalidOption(
            f"{who} takes the library redis, which is not installed: "
            "pip install 'partitioned-buffer[redis]'"
        )


SCHEMES = ("redis", "rediss", "unix")


def check_url(url: object) -> None:
    """Raise `InvalidOption` if that is not where a server may be."""
    expected = "expected redis://HOST:PORT/DB, rediss://... (TLS), or unix:///PATH"
    if not isinstance(url, str):
        raise InvalidOption(f"url={url!r}: {expected}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidOption(f"url={_without_password(url)!r}: {error}: {expected}") from error
    if parts.scheme not in SCHEMES or (parts.scheme == "unix" and not parts.path):
        raise InvalidOption(f"url={_without_password(url)!r}: {expected}")


def _without_password(url: str) -> str:
    """Return *url* with dots in the place of a password, for people and logs."""
    scheme, mark, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not at:
        return url
    return f"{scheme}{mark}{credentials.partition(':')[0]}:...@{place}"


def _seconds(name: str, value: Any, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InvalidOption(f"{name}={value!r}: expected a number of seconds above 0")
    if not least <= value < 1e9:
        raise InvalidOption(f"{name}={value!r}: expected a number of seconds from {least}")
    return float(value)


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidOption(f"{name}={value!r}: expected a number from 1")
    return value
