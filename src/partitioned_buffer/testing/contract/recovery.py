"""What a crash, or a stop, has left is delivered by the next life."""

from pathlib import Path

from ... import PartialFailure, Reject, Retry
from .base import PATIENT, Base, eventually
from .delivery import check_ids


class Recovery(Base):
    """`kill -9`, as far as one process can tell; and `stop()` that waits no more."""

    def test_what_was_accepted_survives_a_crash(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.push(*range(5))
            life.queue.push_all(range(5, 12))
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            stats = life.queue.stats()
            assert (stats.accepted, stats.recovered, stats.held) == (12, 12, 12)
            life.queue.flush()
            assert life.delivered == list(range(12))

    def test_what_was_in_flight_comes_first_under_the_same_id(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=3) as life:
            life.push(*range(10))
            life.begin_batch()
            before, (identity, items) = life.processor, life.processor.calls[0]
            again = self.after_crash(life, tmp_path)
        with self.life(again, processing_batch_size=5) as life:
            life.push(10)
            life.queue.flush()
            assert life.processor.calls[0] == (identity, items)
            assert items == [0, 1, 2]
            assert life.delivered == list(range(11))
            before.calls = before.calls[:1]  # the others were not before the crash
            check_ids(before, life.processor)

    def test_what_is_settled_does_not_come_again(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=3) as life:
            life.push(*range(4))
            life.queue.flush()
            life.push(*range(4, 10))
            life.begin_batch()
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            assert life.queue.stats().recovered == 6
            life.queue.flush()
            assert life.delivered == list(range(4, 10))

    def test_nothing_comes_again_after_a_stop(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        for number in range(3):
            with self.life(storage) as life:
                assert life.queue.stats().recovered == 0
                life.push(number)
            assert life.delivered == [number]

    def test_partial_failures_are_kept_over_a_crash(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=5) as life:
            life.processor.fail(PartialFailure([1, 3]))
            life.processor.fail_always(OSError())
            life.push(*range(8))
            life.clock.advance(life.queue._settings.processing_interval)
            assert life.queue.stats().delivered == 3
            life.clock.advance(PATIENT.wait_initial)
            part = life.processor.calls[-1]
            again = self.after_crash(life, tmp_path)
        assert part[1] == [1, 3]
        with self.life(again) as life:
            assert life.queue.stats().recovered == 5
            life.queue.flush()
            assert life.processor.calls[0] == part
            assert life.delivered == [1, 3, 5, 6, 7]

    def test_what_failed_comes_again_with_what_it_was_tried_with(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=5) as life:
            life.processor.fail(PartialFailure([1, 4]))
            life.push(*range(10))
            life.clock.advance(life.queue._settings.processing_interval)
            life.processor.wait_for_call()
            life.processor.block()
            life.queue.update_options(retry=Retry(wait_initial=1.0, jitter=0.0))
            life.clock.settle()  # it looks at that, and rests
            life.clock.jump(PATIENT.wait_initial)
            life.processor.wait_for_call()
            tried = life.processor.calls[1]
            again = self.after_crash(life, tmp_path)
        assert tried[1] == [1, 4, 5, 6, 7]
        with self.life(again, processing_batch_size=5) as life:
            life.queue.flush()
            assert life.processor.calls[0] == tried
            assert life.delivered == [1, 4, 5, 6, 7, 8, 9]

    def test_what_was_given_up_does_not_come_again(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.processor.fail(PartialFailure(retry=[2], reject=[0]))
            life.processor.fail_always(OSError())
            life.push(*range(4))
            life.clock.advance(life.queue._settings.processing_interval)
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            life.queue.flush()
            assert life.delivered == [2]
        assert self.buried(again.inner) == [0]

    def test_one_crash_after_the_other(self, tmp_path: Path) -> None:
        storage, seen = self.watched(tmp_path), list[list[int]]()
        for number in range(4):
            with self.life(storage, processing_batch_size=2) as life:
                assert life.queue.stats().recovered == 3 * number
                life.push(*range(3 * number, 3 * number + 3))
                life.begin_batch()
                seen.append(life.processor.calls[0][1])
                storage = self.after_crash(life, tmp_path / str(number))
        assert seen == [[0, 1]] * 4
        with self.life(storage) as life:
            life.queue.flush()
            assert life.delivered == list(range(12))

    def test_positions_go_on_after_all_is_settled(self, tmp_path: Path) -> None:
        storage, ids = self.watched(tmp_path), list[object]()
        for _ in range(3):
            with self.life(storage) as life:
                life.push("the same")
                life.queue.flush()
            ids += [identity for identity, _ in life.processor.calls]
        assert len(set(ids)) == 3

    def test_of_what_a_stop_leaves_there_is_a_count_and_a_reader(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=2) as life:
            life.processor.fail_always(OSError())
            life.push(*range(5))
            left = life.queue.stop(1.0).left
            assert len(left) == 5
            assert list(left) == [0, 1, 2, 3, 4] == list(left)
            assert left == [0, 1, 2, 3, 4]
            assert left == (0, 1, 2, 3, 4)
            assert left != ()
            assert left[1] == 1
            assert left[-1] == 4
            assert life.delivered == []

    def test_it_goes_on_where_a_stop_left_it(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=2) as life:
            life.processor.fail(PartialFailure([1]))
            life.processor.fail_always(OSError())
            life.push(*range(5))
            assert life.queue.stop(1.0).left == [1, 2, 3, 4]
            life.processor.recover()
            life.queue.start()
            assert life.queue.stats().recovered == 4
            assert life.queue.stats().accepted == 4
            life.push(5)
            life.queue.flush()
            assert life.processor.items == [1, 2, 3, 4, 5]

    def test_a_call_that_a_stop_has_left_is_settled_when_it_returns(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=2) as life:
            life.push(1, 2, 3)
            life.begin_batch()
            assert len(life.queue.stop(0).left) == 3
            life.processor.unblock()
            eventually(lambda: life.queue._run.has_ended)
            life.queue.start()
            assert life.queue.stats().recovered == 1
            life.queue.flush()
            assert life.delivered == [1, 2, 3]

    def test_what_failed_for_good_is_buried_by_the_next_life(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.processor.fail_always(OSError())
            life.push(*range(3))
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            life.processor.fail(Reject())
            life.queue.flush()
            assert life.queue.stats().dead_lettered == 3
        assert self.buried(again.inner) == [0, 1, 2]
