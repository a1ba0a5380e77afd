"""Who may open a store, and with how many partitions."""

# pyright: reportUnknownLambdaType=false

import os
from pathlib import Path
from typing import Any

from ... import BufferNotRunning, StorageBusy, StorageRefused
from ...abc import Terms
from .base import Base, exit_code, quiet, raised
from .delivery import check_ids
from .watched import Renamed


class Opening(Base):
    """One buffer of one process, and of one kind and codec."""

    def test_a_second_buffer_is_told_that_it_is_busy(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            second = self.make_queue("a second one", print, storage=storage, partitions=1)
            raised(StorageBusy, second.start)
            assert not second.running
            life.push(1)
            life.queue.flush()
            assert life.delivered == [1]
            life.queue.stop()
            second.start()
            second.stop()

    def test_another_kind_is_refused(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            life.push(1)
            storage = self.after_crash(life, tmp_path)
        terms = Terms("another", "Map", 1, lambda *_: {})
        raised(StorageRefused, storage.open, terms)
        with self.life(storage) as life:
            life.queue.flush()
            assert life.delivered == [1]

    def test_another_codec_is_refused(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            life.push(1)
            storage = self.after_crash(life, tmp_path)
        codec = storage.codec
        storage.codec = Renamed(codec)
        refused = self.make_queue("another codec", print, storage=storage, partitions=1)
        raised(StorageRefused, refused.start)
        assert not refused.running
        storage.codec = codec
        with self.life(storage) as life:
            life.queue.flush()
            assert life.delivered == [1]

    def test_another_number_of_partitions_keeps_the_order_of_each_key(self, tmp_path: Path) -> None:
        storage, processors = self.watched(tmp_path), list[Any]()
        items = [[key, number] for number in range(12) for key in range(9)]
        options: Any = {"partition_key": lambda item: item[0], "processing_batch_size": 5}
        for number, partitions in enumerate((3, 5, 1, 2)):
            with self.life(storage, partitions=partitions, **options) as life:
                assert life.queue.stats().recovered == 27 * number
                life.queue.push_all(items[27 * number : 27 * (number + 1)])
                storage = self.after_crash(life, tmp_path / str(number))
        with self.life(storage, partitions=4, **options) as life:
            life.queue.flush()
            delivered = life.delivered
            processors.append(life.processor)
            life.queue.push_all([[key, 12] for key in range(9)])
        assert sorted(delivered) == sorted(items)
        for key in range(9):
            assert [item for item in delivered if item[0] == key] == [[key, n] for n in range(12)]
        check_ids(*processors)

    def test_other_partitions_have_other_ids(self, tmp_path: Path) -> None:
        storage, processors = self.watched(tmp_path), list[Any]()
        for number, partitions in enumerate((1, 2, 1, 3, 1)):
            with self.life(storage, partitions=partitions, partition_key="one") as life:
                life.push(number)
                life.queue.flush()
                processors.append(life.processor)
        check_ids(*processors)

    def test_keys_go_where_they_went_before(self, tmp_path: Path) -> None:
        storage, found = self.watched(tmp_path), list[list[Any]]()
        for _ in range(2):
            options: Any = {"partitions": 4, "partition_key": lambda item: item}
            with self.life(storage, **options) as life:
                found.append([life.queue.partition_of(key) for key in ("a", 5, "c", 7.5)])
        assert found[0] == found[1]

    def test_a_forked_child_is_refused(self, tmp_path: Path) -> None:
        if not hasattr(os, "fork"):
            return
        with self.life(self.watched(tmp_path)) as life:
            life.push(1)
            with quiet():
                pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    raised(BufferNotRunning, life.queue.push, 2)
                    raised(BufferNotRunning, life.queue.push_all, [3, 4])
                    status = 0
                finally:
                    os._exit(status)
            assert exit_code(pid) == 0
            life.push(5)
            life.queue.flush()
            assert life.delivered == [1, 5]
