"""
Entries of streams on a Redis or Valkey server, from threads and from tasks.
"""

import asyncio
import inspect
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .. import batch_id
from ..abc import BatchId
from ..errors import InvalidOption, Outage, PartialFailure, Split
from .base import (
    AsyncClosing,
    Closing,
    expect,
    expect_count,
    expect_flag,
    expect_name,
    expect_seconds,
    imported,
)
from .rows import Maker, Refused, RowOf, bare, expect_columns

KEPT = 100
"""How many batches of a partition are known again: more than can be in flight."""

DAYS = 30
"""How long a store is remembered that nothing comes from any more."""

_ADD = """
local position, size, gaps = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local had = {}
for _, note in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local first, count, holes = string.match(note, '^(%d+):(%d+):(%d+)$')
    first, count, holes = tonumber(first), tonumber(count), tonumber(holes)
    if holes == gaps and (gaps == 0 or (first == position and count == size)) then
        for each = math.max(first, position), math.min(first + count, position + size) - 1 do
            had[each - position] = true
        end
    end
end
local at = 7
while at < #ARGV do
    local place, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    if not had[place] then
        local command = {'XADD', KEYS[1]}
        if ARGV[4] ~= '' then
            command = {'XADD', KEYS[1], 'MAXLEN', '~', ARGV[4]}
        end
        command[#command + 1] = '*'
        for each = at + 2, at + 1 + count do
            command[#command + 1] = ARGV[each]
        end
        redis.call(unpack(command))
    end
    at = at + 2 + count
end
redis.call('ZADD', KEYS[2], position, position .. ':' .. size .. ':' .. gaps)
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[5]))
redis.call('EXPIRE', KEYS[2], ARGV[6])
"""
"""Add what of a batch is not there, and note that it is: both, or neither."""

_FIELDS = 2000
"""How many fields an entry may have: a script cannot give a command any number of arguments."""


class _Entry(NamedTuple):
    place: int
    fields: list[bytes]


class _Streams:
    """What is the same for threads and for tasks."""

    _client_module = "redis"
    _is_async = False

    def __init__(
        self,
        server: Any,
        stream: str,
        columns: Sequence[str] | None = None,
        *,
        row: RowOf | None = None,
        maxlen: int | None = None,
        once: bool = True,
        max_bytes: int = 64 << 20,
        timeout: float = 5.0,
    ) -> None:
        expect_name("stream", stream)
        expect_count("maxlen", maxlen, or_none=True)
        expect_flag("once", once)
        expect_count("max_bytes", max_bytes)
        expect_seconds("timeout", timeout)
        self._columns = None if columns is None else expect_columns(columns)
        self._make_rows = Maker(self._columns, row)
        self._stream, self._maxlen, self._once = stream, maxlen, once
        self._max_bytes, self._timeout = max_bytes, timeout
        self._redis, self._retry, self._errors = self._imported()
        self._url = server if isinstance(server, str) else ""
        self._given = None if isinstance(server, str) else server
        if self._given is None:
            self._expect_url(self._url)
        else:
            self._expect_client(self._given)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._stream!r})"

    def stream_of(self, partition: int) -> str:
        """Return the key of a partition's stream."""
        return f"{self._stream}:{partition}"

    def _imported(self) -> tuple[Any, Any, Any]:
        name, module = type(self).__name__, self._client_module
        backoff = imported(name, "redis", "redis.backoff").NoBackoff()
        retry = imported(name, "redis", f"{module}.retry").Retry(backoff, 0)  # a buffer tries again
        errors = imported(name, "redis", "redis.exceptions")
        return imported(name, "redis", module), retry, errors

    def _expect_client(self, client: Any) -> None:
        is_async = inspect.iscoroutinefunction(getattr(client, "execute_command", None))
        is_client = hasattr(client, "register_script") and is_async == self._is_async
        expect(is_client, "server", client, f"a URL, or a client of {self._client_module}")
        pool = getattr(client, "connection_pool", None)
        if pool is not None:
            limit = pool.connection_class(**pool.connection_kwargs).socket_timeout
            expect(limit is not None, "server", client, "a client that has a socket_timeout")

    def _expect_url(self, url: str) -> None:
        try:
            self._opened(url)
        except ValueError as error:
            raise InvalidOption(f"server={url!r}: expected the URL of a server ({error})") from None

    def _opened(self, url: str) -> Any:
        return self._redis.Redis.from_url(
            url,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=self._retry,
        )

    # --- one batch -----------------------------------------------------------------------------

    def _made(self, batch: Any) -> tuple[list[_Entry], PartialFailure | None]:
        """Return the entries of *batch*, and what is to be said in the end; raise `Split`."""
        made, bad, size = self._make_rows(batch), Refused(), 0
        entries: list[_Entry] = []
        for number, (row, place) in enumerate(zip(made.rows, made.places, strict=True)):
            try:
                fields = _fields(row, self._columns)
            except Exception as error:
                bad[number] = bare(error)
            else:
                size += sum(map(len, fields))
                entries.append(_Entry(place, fields))
        if size > self._max_bytes:
            raise Split(f"{size} bytes: expected at most {self._max_bytes} (max_bytes)")
        return entries, made.rejected(bad)

    def _call(self, client: Any, entries: list[_Entry]) -> Any:
        """Return what, called, or awaited, adds *entries*."""
        batch = batch_id()
        stream = self.stream_of(batch.partition)
        if not self._once:
            pipeline = client.pipeline(transaction=True)
            limit = ["MAXLEN", "~", self._maxlen] if self._maxlen else []
            for entry in entries:
                pipeline.execute_command("XADD", stream, *limit, "*", *entry.fields)
            return pipeline.execute()
        words: list[Any] = [batch.position, batch.size, batch.gaps, self._maxlen or "", KEPT]
        words.append(DAYS * 86_400)
        for entry in entries:
            words += [entry.place, len(entry.fields), *entry.fields]
        return client.register_script(_ADD)(keys=[stream, _notes(stream, batch)], args=words)

    def _outage(self, error: Exception) -> Outage:
        bare(error)  # a connection keeps what ended it
        return Outage(f"{self._stream}: {' '.join(str(error).split())}")


class RedisStream(_Streams, Closing):
    """
    Adds entries to streams, one per partition: `events:0`, `events:1`, ...

    *server*: its URL, `redis://host:6379/0`, or a `redis.Redis`, which is its user's to close.

    *stream*: what the streams' names begin with; `stream_of(partition)` says the whole of one.

    *columns*: the names of a row's fields, if it is a tuple; of a dict, those that are taken.

    *row*: a function that makes a dict or tuple of an item, or of a Map's entry. Values are text,
    bytes or numbers.

    *maxlen*: about how many entries a stream keeps.

    *once*: note which batches are there, beside the stream and in the same step, so that each
    entry of a Queue is there exactly once. Without, a batch whose answer was lost is added again.

    *max_bytes*: what is larger is given again in parts.

    *timeout*: how many seconds the server has to answer.

    A row that makes no entry is rejected with the reason. All else, a server that is away, or has
    no memory left, is an outage, and nothing of the batch is there. Raises `InvalidOption`.
    """

    _client: Any = None

    def __call__(self, batch: Any, /) -> None:
        """Add *batch*. Raises `Outage`, `Split`, and `PartialFailure` for what makes no entry."""
        entries, failure = self._made(batch)
        if entries:
            if self._given is None and self._client is None:
                self._client = self._opened(self._url)
            try:
                self._call(self._given or self._client, entries)
            except (self._errors.RedisError, OSError) as error:
                raise self._outage(error) from error
        if failure:
            raise failure

    def close(self) -> None:
        """Close the connections that were opened here."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class AsyncRedisStream(_Streams, AsyncClosing):
    """The same for tasks, on asyncio; a client that is given is a `redis.asyncio.Redis`."""

    _client_module = "redis.asyncio"
    _is_async = True
    _client: Any = None
    _loop: object = None

    async def __call__(self, batch: Any, /) -> None:
        """Add *batch*. Raises `Outage`, `Split`, and `PartialFailure` for what makes no entry."""
        entries, failure = self._made(batch)
        if entries:
            try:
                await self._call(self._given or self._own(), entries)
            except (self._errors.RedisError, OSError, TimeoutError) as error:
                raise self._outage(error) from error
        if failure:
            raise failure

    def _own(self) -> Any:
        """Return a client of this loop: connections belong to theirs."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = self._opened(self._url), loop
        return self._client

    async def close(self) -> None:
        """Close the connections that were opened here."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _fields(row: Any, columns: tuple[str, ...] | None) -> list[bytes]:
    if columns is not None:
        pairs: Iterable[tuple[Any, Any]] = zip(columns, row, strict=True)
    elif isinstance(row, dict):
        pairs = row.items()
    else:
        raise TypeError("a row that is a tuple: expected columns=, the names of its fields")
    fields = [_bytes(part) for pair in pairs for part in pair]
    if not 0 < len(fields) <= 2 * _FIELDS:
        raise ValueError(f"a row of {len(fields) // 2} fields: expected 1 to {_FIELDS}")
    return fields


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value).encode()
    raise TypeError(f"a value of type {type(value).__name__}: expected text, bytes or a number")


def _notes(stream: str, batch: BatchId) -> str:
    """Return the key of what is noted of a store, where the stream's is, also in a cluster."""
    tag = stream if "{" in stream else f"{{{stream}}}"
    return f"{tag}:had:{batch.buffer}:{batch.store}"
