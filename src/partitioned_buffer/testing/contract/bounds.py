"""A full buffer: what is stored counts, until it is settled."""

# pyright: reportUnknownLambdaType=false

import threading
from pathlib import Path
from typing import Any

from ... import BufferFull, PartialFailure, Reject
from .base import Base, Life, eventually, raised

FULL = 4


class Bounds(Base):
    """`max_size`, `max_bytes`, `when_full`."""

    def test_a_writer_waits_for_room(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), max_size=FULL) as life:
            life.push(*range(FULL))
            life.processor.block()
            writer = threading.Thread(target=life.push, args=["late"], daemon=True)
            writer.start()
            life.processor.wait_for_call()
            eventually(lambda: life.queue.stats().blocked == 1)
            assert life.queue.size() == FULL
            life.processor.unblock()
            writer.join(30)
            assert not writer.is_alive()
            life.queue.flush()
            assert life.delivered == [*range(FULL), "late"]
            assert room_of(life) == (0, 0)

    def test_or_raises(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), max_size=FULL, when_full="raise") as life:
            life.processor.fail_always(OSError())
            life.push(*range(FULL))
            raised(BufferFull, life.push, "late")
            raised(BufferFull, life.queue.push_all, [1, 2])
            assert life.queue.stats().accepted == FULL
            life.processor.recover()
            life.queue.flush()
            assert life.delivered == list(range(FULL))
            assert room_of(life) == (0, 0)
            life.queue.push_all(range(FULL))
            raised(BufferFull, life.queue.push_all, range(FULL + 1))

    def test_or_drops_what_is_newest(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), max_size=FULL, when_full="drop_newest") as life:
            life.processor.fail_always(OSError())
            life.queue.push_all(range(FULL + 3))
            life.push("late")
            stats = life.queue.stats()
            assert (stats.accepted, stats.dropped) == (FULL + 4, 4)
            assert stats.drop_reasons == {"full": 4}
            life.processor.recover()
            life.queue.flush()
            assert life.delivered == list(range(FULL))
            assert room_of(life) == (0, 0)

    def test_or_drops_what_is_oldest(self, tmp_path: Path) -> None:
        options: Any = {"max_size": FULL, "when_full": "drop_oldest"}
        with self.life(self.watched(tmp_path), processing_batch_size=2, **options) as life:
            life.push(0, 1)
            life.begin_batch()
            life.push(2, 3, 4)
            life.queue.push_all([5, 6])
            stats = life.queue.stats()
            assert (stats.accepted, stats.dropped, stats.held) == (7, 3, FULL)
            assert stats.drop_reasons == {"full": 3}
            life.processor.unblock()
            life.queue.flush()
            assert life.delivered == [0, 1, 5, 6]
            assert room_of(life) == (0, 0)

    def test_no_more_bytes_are_dropped_than_have_to_be(self, tmp_path: Path) -> None:
        item, options = "x" * 100, {"max_bytes": 1000, "when_full": "drop_oldest"}
        for window in (0, 1 << 20):
            inner = self.make(tmp_path / str(window))
            inner.window = window
            with self.life(inner, **options) as life:
                life.processor.block()  # should a worker be woken, what it has is not dropped
                life.push(*[item] * 7)
                before = life.queue.stats().dropped
                life.queue.push_all([item] * 4)
                assert life.queue.stats().dropped - before <= 6
                assert life.queue.size() >= 4
                life.processor.unblock()
                life.queue.flush()
                assert room_of(life) == (0, 0)
                life.push(item)
                assert life.queue.size() + life.queue.stats().delivered >= 1
                life.queue.flush()
                assert life.delivered[-1] == item
                assert room_of(life) == (0, 0)

    def test_dropped_items_do_not_come_again(self, tmp_path: Path) -> None:
        options: Any = {"max_size": FULL, "when_full": "drop_oldest"}
        with self.life(self.watched(tmp_path), processing_batch_size=1, **options) as life:
            life.push(0)
            life.begin_batch()
            life.push(*range(1, FULL + 2))
            assert life.queue.stats().dropped == 2
            life.processor.fail(OSError())  # of the next call
            life.processor.unblock()
            life.queue.flush()
            assert life.delivered == [0, 3, 4, 5]
            again = self.after_crash(life, tmp_path)
        with self.life(again, **options) as life:
            assert life.queue.stats().recovered == 0

    def test_room_is_exact_whatever_has_become_of_it(self, tmp_path: Path) -> None:
        for bound in ({"max_size": 20}, {"max_bytes": 2000}):
            folder = tmp_path / str(len(bound)) / next(iter(bound))
            folder.mkdir(parents=True)
            options: Any = bound | {"processing_batch_size": 3, "partitions": 2}
            options["partition_key"] = lambda item: item
            with self.life(self.watched(folder), **options) as life:
                life.processor.fail(PartialFailure([2]), OSError(), Reject())
                life.push(*range(8))
                life.queue.push_all(range(8, 15))
                life.queue.flush()
                assert life.queue.size() == 0
                assert room_of(life) == (0, 0)
                life.queue.push_all(range(10))
                life.queue.flush()
                assert room_of(life) == (0, 0)

    def test_room_is_exact_over_a_crash(self, tmp_path: Path) -> None:
        for bound in ({"max_size": 20}, {"max_bytes": 4000}):
            folder = tmp_path / next(iter(bound))
            folder.mkdir()
            options: Any = bound | {"processing_batch_size": 5}
            with self.life(self.watched(folder), **options) as life:
                life.processor.fail(PartialFailure([1, 3]))
                life.processor.fail_always(OSError())
                life.push(*range(8))
                life.clock.advance(life.queue._settings.processing_interval)
                again = self.after_crash(life, folder)
            with self.life(again, **options) as life:
                assert life.queue.size() == 5
                assert room_of(life)[0] == 5
                life.queue.flush()
                assert life.delivered == [1, 3, 5, 6, 7]
                assert room_of(life) == (0, 0)

    def test_what_is_recovered_counts(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(*range(FULL))
            again = self.after_crash(life, tmp_path)
        with self.life(again, max_size=FULL, when_full="raise") as life:
            raised(BufferFull, life.push, "late")
            life.queue.flush()
            life.push("late")
            life.queue.flush()
            assert life.delivered == [*range(FULL), "late"]

    def test_more_than_the_bound_may_be_recovered(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(*range(2 * FULL))
            again = self.after_crash(life, tmp_path)
        with self.life(again, max_size=FULL) as life:
            assert life.queue.size() == 2 * FULL
            life.push("late")
            life.queue.flush()
            assert life.delivered == [*range(2 * FULL), "late"]
            assert room_of(life) == (0, 0)

    def test_bytes_are_bounded(self, tmp_path: Path) -> None:
        item = "x" * 100
        with self.life(self.watched(tmp_path), max_bytes=1000, when_full="raise") as life:
            pushed = 0
            while self._fits(life, item):
                pushed += 1
            assert 4 <= pushed <= 10
            life.queue.flush()
            assert life.delivered == [item] * pushed
            assert room_of(life) == (0, 0)
            raised(BufferFull, life.push, "x" * 1001)

    def _fits(self, life: Life, item: str) -> bool:
        try:
            life.push(item)
        except BufferFull:
            return False
        return True

    def test_what_never_fits_at_once_goes_in_by_parts(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage, max_size=FULL) as life:
            life.queue.push_all(range(3 * FULL))
            assert len(storage.commits) == 3
            life.queue.flush()
            assert life.delivered == list(range(3 * FULL))
            assert room_of(life) == (0, 0)


def room_of(life: Life) -> tuple[int, int]:
    """Return how many items and bytes are counted as held, when nobody is at work."""
    life.clock.settle()
    room = life.queue._admission.room
    return room.used, 0 if room.bytes is None else room.used_bytes
