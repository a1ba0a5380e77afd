"""What is accepted is delivered, in order, in batches that can be told apart."""

# pyright: reportUnknownLambdaType=false

from pathlib import Path

from ... import PartialFailure, Reject
from .base import Base, Seen

FEW = 3


class Delivery(Base):
    """What a Queue does, with or without a storage; and `batch_id()`."""

    def test_items_are_delivered_in_order(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=FEW) as life:
            life.push(*range(5))
            life.queue.push_all(range(5, 20))
            life.push(*range(20, 25))
            life.queue.flush()
            assert life.delivered == list(range(25))
            assert life.queue.size() == 0
            assert [len(batch) for batch in life.processor.batches][:2] == [FEW, FEW]

    def test_keys_are_dealt_to_partitions_and_keep_their_order(self, tmp_path: Path) -> None:
        options = {"partitions": 3, "partition_key": lambda item: item[0]}
        items = [[key, number] for number in range(20) for key in range(7)]
        with self.life(self.watched(tmp_path), **options) as life:
            life.push(*items[:70])
            life.queue.push_all(items[70:])
            life.queue.flush()
            for key in range(7):
                mine = [item for item in life.delivered if item[0] == key]
                assert mine == [item for item in items if item[0] == key]

    def test_fake_time_stands_still_at_a_commit(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(*range(50))
            assert life.clock.monotonic() == 0.0
            assert life.delivered == []

    def test_a_flush_returns_when_what_was_held_is_delivered(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push("one", "two")
            assert life.delivered == []
            life.queue.flush()
            assert life.delivered == ["one", "two"]
            life.queue.flush()
            assert life.delivered == ["one", "two"]

    def test_a_stop_delivers_what_is_held(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(*range(10))
            report = life.queue.stop()
            assert life.delivered == list(range(10))
            assert report.delivered == 10
            assert report.left == ()
            assert len(report.left) == 0

    def test_push_all_is_one_commit_of_all_partitions(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        options = {"partitions": 3, "partition_key": lambda item: item}
        with self.life(storage, **options) as life:
            life.queue.push_all(range(50))
            assert len(storage.commits) == 1
            assert sum(count for _, count in storage.commits[0]) == 50
            assert len({partition for partition, _ in storage.commits[0]}) == 3

    def test_push_all_of_nothing_is_no_commit(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            life.queue.push_all([])
            assert storage.commits == []
            assert life.queue.stats().accepted == 0

    def test_a_backlog_larger_than_the_window_streams_in_order(self, tmp_path: Path) -> None:
        inner = self.make(tmp_path)
        inner.window = 1000
        with self.life(inner, processing_batch_size=100) as life:
            for start in range(0, 3000, 300):
                life.queue.push_all(range(start, start + 250))
                life.push(*range(start + 250, start + 300))
            assert life.queue.size() == 3000
            life.queue.flush()
            assert life.delivered == list(range(3000))
            life.push(*range(3000, 3100))
            life.queue.flush()
            assert life.delivered == list(range(3100))

    def test_what_comes_during_a_cycle_waits_for_the_next(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=2) as life:
            life.push(*range(4))
            life.begin_batch()
            life.push(4, 5)
            assert life.queue.stats().waiting == 2
            assert life.queue.stats().in_flight == 4
            life.processor.unblock()
            life.queue.flush()
            assert life.delivered == list(range(6))

    # --- failures

    def test_a_batch_that_failed_is_tried_again_before_others(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=FEW) as life:
            life.processor.fail(OSError(), OSError())
            life.push(*range(7))
            life.queue.flush()
            assert life.delivered == list(range(7))
            assert life.processor.attempts[0] == life.processor.attempts[1] == [0, 1, 2]

    def test_of_a_partial_failure_only_what_is_named_comes_again(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.processor.fail(PartialFailure([1, 3]))
            life.push(*range(5))
            life.queue.flush()
            assert life.processor.attempts[:2] == [[0, 1, 2, 3, 4], [1, 3]]
            assert life.queue.stats().delivered == 5

    def test_what_is_given_up_is_kept_in_the_store(self, tmp_path: Path) -> None:
        inner = self.make(tmp_path)
        with self.life(inner) as life:
            life.processor.fail(PartialFailure(retry=[], reject=[1, 2]))
            life.push(*range(4))
            life.queue.flush()
            life.processor.fail(Reject("never"))
            life.push("a", "b")
            life.queue.stop()
            stats = life.queue.stats()
            assert (stats.delivered, stats.dead_lettered) == (2, 4)
        assert self.buried(inner) == [1, 2, "a", "b"]

    def test_a_dead_letter_handler_gets_them_instead(self, tmp_path: Path) -> None:
        inner, dead = self.make(tmp_path), list[object]()
        with self.life(inner, dead_letter=lambda items, *_: dead.extend(items)) as life:
            life.processor.fail(Reject("never"))
            life.push(1, 2)
            life.queue.stop()
        assert dead == [1, 2]
        assert self.buried(inner) == []

    # --- ids

    def test_a_retry_has_the_same_id_and_other_batches_another(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=2) as life:
            life.processor.fail(OSError())
            life.push(*range(6))
            life.queue.flush()
            one, again, two, three = (each for each, _ in life.processor.calls)
            assert one == again
            assert len({one, two, three}) == 3
            assert [each.size for each in (one, two, three)] == [2, 2, 2]
            assert [each.position for each in (two, three)] == [one.position + 2, one.position + 4]

    def test_a_part_of_a_batch_has_an_id_of_its_own(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.processor.fail(PartialFailure([1, 3]), OSError(), PartialFailure([3]))
            life.push(*range(5))
            life.queue.flush()
            check_ids(life.processor)
            whole, part, again, rest = (each for each, _ in life.processor.calls)
            assert part == again
            assert len({whole, part, rest}) == 3
            assert part.gaps, "else [1, 2] would have the same id"
            assert whole.gaps == rest.gaps == 0


def check_ids(*processors: Seen) -> None:
    """Assert that one id has always had the same items, and the same items one id."""
    by_id: dict[object, object] = {}
    for processor in processors:
        for identity, items in processor.calls:
            assert by_id.setdefault(identity, items) == items
