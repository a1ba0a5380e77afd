"""
What is on a server, for who does not know: a tool, not a buffer.

Nothing is changed by a look, not even which scripts the server knows; so it goes on beside those
who work there. Numbers of one partition are of one moment.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...abc.sharing import Depth
from ...abc.storing import Chunk
from ...errors import StorageError, StorageRefused
from .depths import depth
from .kinds import KINDS, kind_of
from .layouts import Layouts, workers
from .letters import Box, Letter
from .naming import Names, name_of
from .opening import FORMAT, read
from .risks import risks
from .scripts import Command
from .wire.faults import translated
from .wire.servers import Servers

_FIELDS = {"id", "format", "kind", "codec", "generation", "work", "partitions:0"}

_SCANNED = 1000
"""Keys that a server looks at for one of our questions: it does nothing else meanwhile."""


_TRIES = 10
"""Looks at the first chunk, until it is not delivered meanwhile; and for entries, as many as are
wanted at a time: a hash that was much larger has few of them in each."""


class Dead(NamedTuple):
    """What was given up of a partition in a generation, and the last of it."""

    generation: int
    partition: int
    records: int
    last: Letter | None


class Server:
    """A server, or a cluster, that is looked at. Raises `StorageError`."""

    def __init__(self, url: str) -> None:
        self._servers = Servers(url)
        self.where = self._servers.where
        try:
            self._servers.open()
        except BaseException:
            self.close()
            raise

    def buffers(self) -> "list[Buffer]":
        """Return all that are there, by name."""
        keys = {key for address in self._servers.primaries for key in self._scanned(address)}
        named = {key: name for key in keys if (name := name_of(key)) is not None}
        asked: list[tuple[str, Command]] = [(key, ("HGETALL", key)) for key in named]
        replies = self._servers.spread("rest", asked)
        found = [
            Buffer(self._servers, named[key], have)
            for (key, _), reply in zip(asked, replies, strict=True)
            if (have := _ours(reply)) is not None
        ]
        return sorted(found, key=lambda each: each.name)

    def _scanned(self, address: Any) -> Iterator[str]:
        cursor: Any = b"0"
        while True:
            command = ("SCAN", cursor, "MATCH", "{*}:config", "COUNT", _SCANNED, "TYPE", "hash")
            (reply,) = self._servers.run("rest", address, [command], opening=True)
            if isinstance(reply, Exception):
                raise translated(str(address), reply, opening=True)
            cursor, keys = reply
            yield from (key.decode(errors="replace") for key in keys)
            if cursor == b"0":
                return

    def buffer(self, name: str) -> "Buffer":
        """Return one of them."""
        key = Names(name).config
        have = _ours(self._servers.call("rest", key, ("HGETALL", key)))
        if have is None:
            there = ", ".join(repr(each.name) for each in self.buffers()) or "none"
            raise StorageError(f"{self.where}: there is no buffer {name!r}. There are: {there}")
        if have["format"] != FORMAT:
            raise StorageRefused(
                f"{self.where}: buffer {name!r} is of format {have['format']}: expected {FORMAT}: "
                "look with the version that its programs use"
            )
        return Buffer(self._servers, name, have)

    def risks(self) -> list[str]:
        """Return what is risky about the server, in sentences."""
        return risks(self._servers)

    def close(self) -> None:
        """Let go of it."""
        self._servers.connections.close()


class Buffer:
    """One that is looked at."""

    def __init__(self, servers: Servers, name: str, have: dict[str, str]) -> None:
        self._servers, self._names = servers, Names(name)
        self._kind = kind_of(have["kind"])
        self._layouts = Layouts(servers, self._names, self._kind, have)
        self.name, self.identity = name, have["id"]
        self.kind, self.codec, self.format = have["kind"], have["codec"], have["format"]
        self.box = Box(servers, self._names, self._layouts)
        config = read(have)
        self.next = config.next
        """How many partitions there are about to be; 0: no resize is being begun."""
        self.layout, self.duty = self._layouts.layout, self._layouts.duty

    def depth(self) -> list[Depth]:
        """Return how it is with each partition that is written to, or holds anything."""
        return depth(self._servers, self._names, self._kind, self._layouts.generations)

    def workers(self) -> list[str]:
        """Return who delivers."""
        return workers(self._servers, self._names)

    def dead(self) -> list[Dead]:
        """Return where anything was given up, in all layouts there have been."""
        places = [
            (generation, partition)
            for generation, partitions in self._layouts.generations
            for partition in range(partitions)
        ]
        metas = [self._names.of(*place).meta for place in places]
        counts = self._servers.spread("rest", [(key, ("HGET", key, "kept")) for key in metas])
        found: list[Dead] = []
        for place, count in zip(places, counts, strict=True):
            if isinstance(count, StorageError):
                raise count
            if int(count or 0):
                numbers = self.box.numbers(*place)
                last = self.box.open(place[1], numbers[-1]) if numbers else None
                found.append(Dead(*place, int(count), last))
        return found

    def first(self, generation: int, partition: int) -> tuple[int, list[Chunk]]:
        """Return up to where a partition is settled, and its first chunk, if there is one."""
        of = self._names.of(generation, partition)
        numbers: Command = ("HMGET", of.meta, "pos", "base")
        settled = 0
        for _ in range(_TRIES):  # a server without memory refuses transactions
            before, chunks, counts, after = self._asked(of.w, [
                numbers, ("LRANGE", of.w, 0, 0), ("LRANGE", of.at, 0, 0), numbers,
            ])  # fmt: skip
            settled, base = (int(each or 0) for each in before)
            if before[1] == after[1] and len(chunks) == len(counts):
                counted = zip(chunks, counts, strict=True)
                return settled, [
                    Chunk(base, int.from_bytes(count[8:12], "big"), data) for data, count in counted
                ]
        return settled, []

    def entries(
        self, generation: int, partition: int, most: int
    ) -> list[tuple[bool, bytes, bytes]]:
        """
        Return some of a Map's entries, *most* of them: whether it is in flight, key and record.

        One that moves meanwhile may be there twice, or not at all.
        """
        of = self._names.of(generation, partition)
        found: list[tuple[bool, bytes, bytes]] = []
        for key, is_flying in ((of.r, True), (of.w, False)):
            records = self._records(key, most - len(found))
            found += [(is_flying, *each) for each in records]
        return found

    def _records(self, key: str, most: int) -> list[tuple[bytes, bytes]]:
        cursor = b"0"
        found: dict[bytes, bytes] = {}  # a cursor may give one twice
        for _ in range(_TRIES if most > 0 else 0):
            ((cursor, flat),) = self._asked(
                key, [("HSCAN", key, cursor, "COUNT", min(most, _SCANNED))]
            )
            found.update(zip(flat[::2], flat[1::2], strict=True))
            if cursor == b"0" or len(found) >= most:
                break
        return list(found.items())[: max(0, most)]

    def resize(self, partitions: int) -> None:
        """Have another number of partitions. Called again, it ends what was begun."""
        self._layouts.resize(partitions)
        self.layout, self.duty = self._layouts.layout, self._layouts.duty

    def _asked(self, key: str, commands: list[Command]) -> list[Any]:
        address = self._servers.of(key)
        replies = self._servers.run("rest", address, commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(str(address), reply)
        return replies


def _ours(reply: Any) -> dict[str, str] | None:
    """Return the fields of a config; None if it is another program's."""
    if not isinstance(reply, list):
        return None
    flat = [each.decode(errors="replace") for each in reply]
    have = dict(zip(flat[::2], flat[1::2], strict=True))
    if not have.keys() >= _FIELDS or have["kind"] not in KINDS:
        return None
    try:
        config = read(have)
        return have if {config.generation, config.work} <= config.partitions.keys() else None
    except ValueError:
        return None
