"""A storage that fails; items that cannot be stored, or cannot be read any more."""

# pyright: reportUnknownLambdaType=false

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ... import StorageError, StorageFull
from .base import Base, eventually, raised
from .bounds import room_of
from .watched import Forgetful


class Trouble(Base):
    """Nothing is accepted that is not there, and all goes on when the cause is gone."""

    def test_a_failing_append_raises_in_its_writer(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage, max_size=10) as life:
            life.push(1)
            storage.fails["append"] = StorageFull("the disk is full")
            error = raised(StorageFull, life.push, 2)
            assert error is not storage.fails["append"], "each writer adds its own traceback"
            assert "the disk is full" in str(error)
            raised(StorageFull, life.queue.push_all, [3, 4])
            assert life.queue.stats().accepted == 1
            assert room_of(life) == (1, 0)
            storage.fails.clear()
            life.push(5)
            life.queue.flush()
            assert life.delivered == [1, 5]
            assert room_of(life) == (0, 0)

    def test_what_is_no_storage_error_says_that_nothing_was_accepted(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with silent(), self.life(storage) as life:
            storage.fails["append"] = ValueError("a fault of the store's")
            error = raised(StorageError, life.push, 1)
            assert "nothing was accepted" in str(error)
            storage.fails.clear()
            life.push(2)
            life.queue.flush()
            assert life.delivered == [2]

    def test_delivery_goes_on_while_nothing_is_accepted(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            life.push(1, 2)
            storage.fails["append"] = StorageFull("the disk is full")
            life.queue.flush()
            assert life.delivered == [1, 2]

    def test_what_cannot_be_read_now_is_read_later(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(*range(5))
            storage = self.after_crash(life, tmp_path)
        with silent(), self.life(storage) as life:
            storage.fails["read"] = StorageError("the disk is gone")
            life.clock.jump(life.queue._settings.processing_interval)
            eventually(lambda: life.clock._next_deadline() is not None)
            assert life.delivered == []
            assert life.queue.stats().held == 5
            storage.fails.clear()
            life.queue.flush()
            assert life.delivered == list(range(5))

    def test_a_store_that_does_not_note_costs_nothing_but_a_repeat(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with silent(), self.life(storage) as life:
            life.push(1, 2)
            life.begin_batch()
            storage.fails["settle"] = StorageError("the disk is gone")
            life.processor.unblock()
            eventually(lambda: life.delivered == [1, 2])
            storage.fails.clear()
            life.push(3)
            life.queue.flush()
            assert life.delivered == [1, 2, 3]
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            assert life.queue.stats().recovered == 0

    def test_an_item_that_cannot_be_stored_raises_at_the_push(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage, max_size=10) as life:
            error = raised(TypeError, life.push, self.unstorable)
            assert "cannot be stored" in str(error)
            error = raised(TypeError, life.queue.push_all, [1, self.unstorable, 2])
            assert "item 1 of 3" in str(error)
            assert storage.commits == []
            assert life.queue.stats().accepted == 0
            assert room_of(life) == (0, 0)
            life.push(3)
            life.queue.flush()
            assert life.delivered == [3]

    def test_nor_is_one_of_many_for_other_partitions(self, tmp_path: Path) -> None:
        options: dict[str, Any] = {"partitions": 2, "partition_key": lambda item: str(type(item))}
        with self.life(self.watched(tmp_path), **options) as life:
            raised(TypeError, life.queue.push_all, [1, "two", self.unstorable])
            life.queue.flush()
            assert life.delivered == []

    def test_what_does_not_decode_is_set_aside_and_counted(self, tmp_path: Path) -> None:
        for bound in ({}, {"max_size": 20}, {"max_bytes": 4000}):
            folder = tmp_path / next(iter(bound), "unbounded")
            folder.mkdir()
            with self.life(self.watched(folder)) as life:
                life.push(*range(3))
                life.queue.push_all(range(3, 8))
                again = self.after_crash(life, folder)
            codec = again.codec
            again.codec = Forgetful(codec, [1, 4, 5])
            with silent(), self.life(again, **bound) as life:
                life.queue.flush()
                assert life.delivered == [0, 2, 3, 6, 7]
                stats = life.queue.stats()
                assert (stats.recovered, stats.dropped) == (8, 3)
                assert stats.drop_reasons == {"undecodable": 3}
                assert not bound or room_of(life) == (0, 0)
            again.codec = codec
            assert self.buried(again.inner) == [1, 4, 5]
            with self.life(again) as life:
                assert life.queue.stats().recovered == 0

    def test_nor_does_it_come_again_if_there_was_nothing_else(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(1, 2)
            again = self.after_crash(life, tmp_path)
        codec = again.codec
        again.codec = Forgetful(codec, [1, 2])
        with silent(), self.life(again) as life:
            life.queue.flush()
            assert life.queue.stats().dropped == 2
            last = self.after_crash(life, tmp_path / "again")
        last.codec = Forgetful(codec, [1, 2])
        with silent(), self.life(last) as life:
            assert life.queue.stats().recovered == 0


@contextmanager
def silent() -> Generator[None]:
    """Have nothing logged that is to be expected."""
    logger = logging.getLogger("partitioned_buffer")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
