"""A destination in memory, and sinks to it: one that is right, and what can be wrong with one."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from partitioned_buffer import BatchId, Outage, RetryAfter, Split, batch_id
from partitioned_buffer.sinks.base import expect_seconds
from partitioned_buffer.sinks.rows import Maker
from partitioned_buffer.testing.sinks import SinkContract

COLUMNS = ("id", "text")


class Shelf:
    """Has rows by id, in the order in which they came; every refusal is an error of its own."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.batches: set[BatchId] = set()
        self.is_down = self.is_silent = False
        self.most: int | None = None
        self.seconds: float | None = None
        self.lock = threading.Lock()

    def call(self, size: int) -> None:
        if self.is_down:
            raise ConnectionError("the shelf is away")
        if self.seconds is not None:
            raise BlockingIOError("too many calls")
        if self.most is not None and size > self.most:
            raise OverflowError("too many rows")

    def put(self, row: tuple[Any, ...]) -> None:
        if row[1] is None:
            raise ValueError("a text is missing")
        with self.lock:
            self.rows.append(row)

    def keep_newest(self, row: tuple[Any, ...]) -> None:
        with self.lock:
            older = next((other for other in self.rows if other[0] == row[0]), None)
            if older is None or older[2] <= row[2]:
                self.rows = [other for other in self.rows if other is not older] + [row]


class ShelfSink:
    """Is right."""

    def __init__(
        self, shelf: Shelf, *, timeout: float = 0.05, row: Any = None, keyed: bool = False
    ):
        expect_seconds("timeout", timeout)
        self.shelf, self.timeout, self.keyed = shelf, timeout, keyed
        self.make_rows = Maker([*COLUMNS, *["version"] * keyed], row)

    def __call__(self, batch: Any) -> None:
        self.wait()
        self.deliver(batch)

    def wait(self) -> None:
        if self.shelf.is_silent:
            threading.Event().wait(self.timeout)
            raise Outage("no answer in time")

    def deliver(self, batch: Any) -> None:
        made = self.make_rows(batch)
        try:
            self.shelf.call(len(made.rows))
        except ConnectionError as error:
            raise Outage(str(error)) from error
        except BlockingIOError as error:
            raise RetryAfter(self.shelf.seconds or 0.0, everyone=True) from error
        except OverflowError as error:
            raise Split(str(error)) from error
        if failure := made.rejected(self.put_all(made.rows)):
            raise failure

    def put_all(self, rows: list[Any]) -> dict[int, BaseException]:
        bad = dict[int, BaseException]()
        known = self.is_known()
        for number, row in enumerate(rows):
            try:
                if self.keyed:
                    self.shelf.keep_newest(row)
                elif not known or row[1] is None:
                    self.shelf.put(row)
            except ValueError as error:
                bad[number] = error.with_traceback(None)
        return bad

    def is_known(self) -> bool:
        identity = batch_id()
        known = identity in self.shelf.batches
        self.shelf.batches.add(identity)
        return known

    def close(self) -> None:
        pass


class AsyncShelfSink(ShelfSink):
    async def __call__(self, batch: Any) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        if self.shelf.is_silent:
            await asyncio.sleep(self.timeout)
            raise Outage("no answer in time")
        self.deliver(batch)

    async def close(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)


class ShelfContract(SinkContract):
    """The contract, over a shelf."""

    sink: ClassVar[type[ShelfSink]] = ShelfSink
    reason = "a text is missing"
    wrong_options = ({"timeout": -1}, {"timeout": "1"}, {"row": 3})

    @cached_property
    def shelf(self) -> Shelf:
        return Shelf()

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return self.sink(self.shelf, **options)

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, keyed=True, row=lambda e: {**e.value, "version": e.version})

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        return [(row[0], row[1]) for row in self.shelf.rows]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": None}

    @contextmanager
    def now(self, **state: Any) -> Iterator[None]:
        before = {name: getattr(self.shelf, name) for name in state}
        vars(self.shelf).update(state)
        yield
        vars(self.shelf).update(before)

    def outage(self, tmp_path: Path) -> Any:
        return self.now(is_down=True)

    def silence(self, tmp_path: Path) -> Any:
        return self.now(is_silent=True)

    def too_large(self, tmp_path: Path) -> Any:
        return self.now(most=self.most)

    def throttled(self, tmp_path: Path) -> Any:
        return self.now(seconds=self.seconds)
