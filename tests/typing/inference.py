"""
What type checkers make of the public API: read by mypy and pyright, never run.

An `assert_type` that no longer holds fails `make check`; so does a misuse that
is no longer an error, because its `type: ignore` is then unused.
"""

from dataclasses import dataclass
from typing import Any, assert_type

import partitioned_buffer
from partitioned_buffer import AsyncMap, AsyncQueue, Entry, Map, Queue, Stats, StopReport
from partitioned_buffer.abc import Clock, Hook, Processor, Sink
from partitioned_buffer.events import Event
from partitioned_buffer.sinks import AsyncRedisStream, JSONLines, SQLiteTable
from partitioned_buffer.testing import FakeClock, RecordingHook, RecordingProcessor


@dataclass
class Click:
    user: int


def store(batch: list[Click]) -> None: ...
def upsert(batch: list[Entry[str, float]]) -> None: ...
def replace(table: dict[str, Entry[str, float]]) -> None: ...


clicks = Queue("clicks", store)
assert_type(clicks, Queue[Click])
clicks.push(Click(1))
clicks.push_all([Click(1)], partition_key=lambda click: click.user)
clicks.push("no click")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(clicks.stop(1.0), StopReport)
assert_type(clicks.stats(), Stats)
assert_type(clicks.partition_of(Click(1)), int | None)
clicks.partition_of(Click(1), partition_key=lambda click: click.user)
with clicks as running:
    assert_type(running, Queue[Click])

explicit = Queue[bytes]("bytes", lambda batch: assert_type(batch, list[bytes]))

prices = Map("prices", upsert)
assert_type(prices, Map[str, float])
prices.put("a", 1.0)
prices.put_all({"a": 1.0})
prices.put_all([("a", 1.0)])
prices.put_newer("a", 1.0, 7)
prices.put_newer("a", 1.0, "7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(prices.get("a"), float | None)
assert_type(prices.get("a", "none"), float | str)
assert_type(prices.items(), list[tuple[str, float]])
assert_type(prices.partition_of("a"), int)
assert_type("a" in prices, bool)

tables = Map("tables", replace, processing_batch_size="table")
assert_type(tables, Map[str, float])
Map("tables", replace)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]

assert_type(partitioned_buffer.get("clicks", Queue[Click]), Queue[Click])
for each in partitioned_buffer.running():
    assert_type(each.name, str)
    assert_type(each.stats().as_dict(), dict[str, Any])

Queue("clicks", store, procesing_interval=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
clicks.update_options(processing_interval=1.0, flush_at=None)
clicks.update_options(partitions=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def asynchronously() -> None:
    async def store_soon(batch: list[Click]) -> None: ...
    async def upsert_soon(batch: list[Entry[str, float]]) -> None: ...
    async def replace_soon(table: dict[str, Entry[str, float]]) -> None: ...

    soon = AsyncQueue("clicks", store_soon)
    assert_type(soon, AsyncQueue[Click])
    assert_type(AsyncQueue("clicks", store), AsyncQueue[Click])
    async with soon as entered:
        assert_type(entered, AsyncQueue[Click])
    await soon.push(Click(1))
    soon.push_nowait(Click(1))
    await soon.push_all([Click(1)], partition_key=lambda click: click.user)
    await soon.push("no click")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    soon.push_nowait("no click")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    soon.push(Click(1))  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    assert_type(await soon.stop(1.0), StopReport)
    with soon:  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]
        pass
    async with clicks:  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]
        pass
    clicks.push_nowait(Click(1))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

    costs = AsyncMap("costs", upsert_soon)
    assert_type(costs, AsyncMap[str, float])
    await costs.put_all({"a": 1.0})
    await costs.put_newer("a", 1.0, "7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    costs.put_newer_nowait("a", 1.0, 7)
    assert_type(costs.get("a", "none"), float | str)
    assert_type(await costs.fetch("a"), float | None)
    assert_type(await costs.fetch("a", "none"), float | str)
    whole = AsyncMap("whole", replace_soon, processing_batch_size="table")
    assert_type(whole, AsyncMap[str, float])

    assert_type(partitioned_buffer.get("clicks", AsyncQueue[Click]), AsyncQueue[Click])


hook: Hook = RecordingHook()
clock: Clock = FakeClock()
processor: Processor[list[Click]] = RecordingProcessor()

sink: Sink[list[Click]] = SQLiteTable("clicks.db", "clicks", ["user"])
Queue[Click]("clicks", sink)
AsyncQueue[Click]("clicks", AsyncRedisStream("redis://there", "clicks"))
Map[str, float]("prices", JSONLines("prices"))


def on_event(event: Event) -> None: ...


Queue("clicks", store, hooks=[on_event], clock=clock)
