"""What is expected of a Map's storage."""

from pathlib import Path
from typing import Any

from ... import BufferFull, Map, PartialFailure, Reject
from .base import Base, Life, eventually, raised


class MapStorageContract(Base):
    """Everything that is expected of a Map's storage: subclass it, and give `make`."""

    def make_queue(self, name: str, processor: Any, **options: Any) -> Any:
        """Return a buffer, not started, with the methods of a `Map`."""
        return Map(name, processor, **options)

    def test_the_last_write_of_a_key_is_delivered(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.queue.put("a", 1)
            life.queue.put("b", 2)
            life.queue.put("a", 3)
            assert life.queue.get("a") == 3
            life.queue.flush()
            assert values(life) == {"a": 3, "b": 2}
            assert life.queue.stats().coalesced == 1

    def test_what_is_held_survives_a_crash(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.queue.put_all({"a": 1, "b": 2, "c": 3})
            life.queue.flush()
            life.queue.put_all({"b": 4, "d": 5, "e": 6})
            life.queue.delete("e")
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            assert life.queue.stats().recovered == 2
            assert life.queue.get("b") == 4
            life.queue.flush()
            assert values(life) == {"b": 4, "d": 5}

    def test_an_older_version_stays_out_after_a_crash(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.queue.put_newer("a", 1, 5)
            life.queue.flush()
            life.queue.put_newer("b", 1, 5)
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            life.queue.put_newer("a", 2, 4)
            life.queue.put_newer("b", 2, 4)
            life.queue.put_newer("b", 3, 6)
            life.queue.flush()
            assert values(life) == {"b": 3}

    def test_other_partitions_keep_what_is_held(self, tmp_path: Path) -> None:
        storage, wanted = self.watched(tmp_path), {f"key {n}": n for n in range(50)}
        with self.life(storage, partitions=3) as life:
            life.queue.put_all(wanted)
            storage = self.after_crash(life, tmp_path)
        with self.life(storage, partitions=5) as life:
            assert life.queue.stats().recovered == 50
            life.queue.flush()
            assert values(life) == wanted

    def test_what_cannot_be_stored_raises_at_the_put(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            raised(TypeError, life.queue.put, "a", self.unstorable)
            assert life.queue.stats().accepted == 0

    def test_a_delete_survives_a_crash(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.queue.put_newer("a", 1, 7)
            life.queue.delete("a")
            life.queue.put_newer("b", 1, 7)
            life.queue.flush()
            life.queue.delete("b")
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            assert life.queue.stats().recovered == 0
            life.queue.put_newer("a", 2, 1)
            life.queue.put_newer("b", 2, 1)  # after a delete anything is newer
            life.queue.flush()
            assert values(life) == {"a": 2, "b": 2}

    def test_what_is_merged_is_merged_again_after_a_crash(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), merge=add) as life:
            life.queue.put_all([("a", 1), ("b", 10)])
            life.queue.flush()
            life.queue.put_all([("a", 2), ("a", 3), ("b", 20)])
            assert life.queue.get("a") == 5
            again = self.after_crash(life, tmp_path)
        with self.life(again, merge=add) as life:
            assert life.queue.get("a") == 5
            life.queue.put("a", 4)
            life.queue.flush()
            assert values(life) == {"a": 9, "b": 20}

    def test_what_merge_raises_is_the_writers_and_nothing_was_accepted(
        self, tmp_path: Path
    ) -> None:
        with self.life(self.watched(tmp_path), merge=add) as life:
            life.queue.put("a", 1)
            raised(TypeError, life.queue.put, "a", "x")
            assert life.queue.get("a") == 1
            again = self.after_crash(life, tmp_path)
        with self.life(again, merge=add) as life:
            life.queue.flush()
            assert values(life) == {"a": 1}

    def test_what_is_in_flight_at_a_crash_comes_again(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size=2) as life:
            life.queue.put_all({"a": 1, "b": 2, "c": 3})
            life.begin_batch()
            life.queue.put("a", 4)  # while the 1 is with the processor
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            assert life.queue.get("a") == 4
            life.queue.flush()
            assert values(life) == {"a": 4, "b": 2, "c": 3}

    def test_of_a_partial_failure_only_what_is_named_is_left(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.processor.fail(PartialFailure(["b"]))
            life.queue.put_all({"a": 1, "b": 2, "c": 3})
            life.clock.jump(life.queue._settings.processing_interval)
            eventually(lambda: life.queue.stats().delivered == 2)
            eventually(lambda: life.queue._run.workers[0].rests)
            again = self.after_crash(life, tmp_path)
        with self.life(again) as life:
            assert life.queue.items() == [("b", 2)]

    def test_what_is_given_up_is_kept_in_the_store(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            life.processor.fail(Reject("never"))
            life.queue.put_newer("a", 1, 5)
            life.queue.flush()
            assert life.queue.stats().dead_lettered == 1
        with self.life(storage) as life:
            assert life.queue.stats().recovered == 0
            life.queue.put_newer("a", 2, 4)  # what was given up is not remembered
            life.queue.flush()
            assert values(life) == {"a": 2}

    def test_room_is_given_back_for_what_is_written_over(self, tmp_path: Path) -> None:
        options = {"max_size": 4, "max_bytes": 1000}
        with self.life(self.watched(tmp_path), **options) as life:
            for number in range(10):
                life.queue.put("a", number)
            life.queue.put_all({"b": 1, "c": 2})
            life.queue.put_newer("d", 1, 5)  # it is full now
            life.queue.put_newer("d", 2, 4)
            life.queue.put("a", 10)
            life.queue.put_all({"a": 11, "b": 2})
            assert life.queue.stats().delivered == 0, "what is written over takes no room"
            life.queue.delete("c")
            assert life.queue.size() == life.queue._admission.room.used == 3
            again = self.after_crash(life, tmp_path)
        with self.life(again, **options) as life:
            assert life.queue.size() == 3
            life.queue.flush()
            assert (life.queue.size(), life.queue._admission.room.used_bytes) == (0, 0)

    def test_what_is_with_the_processor_is_not_written_over_without_room(
        self, tmp_path: Path
    ) -> None:
        options: dict[str, Any] = {"max_size": 2, "when_full": "raise"}
        with self.life(self.watched(tmp_path), **options) as life:
            life.queue.put_all({"a": 1, "b": 2})
            life.begin_batch()
            raised(BufferFull, life.queue.put, "a", 3)  # both would be held
            raised(BufferFull, life.queue.put_all, {"a": 3, "b": 4})
            assert life.queue.size() == 2

    def test_whole_tables_are_delivered(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path), processing_batch_size="table") as life:
            life.queue.put_all({f"k{n}": n for n in range(25)})
            life.queue.flush()
            assert len(life.processor.calls) == 1
            assert len(life.processor.calls[0][1]) == 25

    def test_a_retry_has_the_same_id_unless_it_was_written_over(self, tmp_path: Path) -> None:
        with self.life(self.watched(tmp_path)) as life:
            life.processor.fail(OSError(), OSError())
            life.queue.put("a", 1)
            life.clock.jump(life.queue._settings.processing_interval)
            eventually(lambda: len(life.processor.calls) == 1)
            life.clock.advance(5)
            eventually(lambda: len(life.processor.calls) == 2)
            life.queue.put("a", 2)
            life.clock.advance(5)
            eventually(lambda: len(life.processor.calls) == 3)
            first, second, third = (identity for identity, _ in life.processor.calls)
            assert first == second != third

    def test_what_a_stop_leaves_is_counted_and_read_when_asked_for(self, tmp_path: Path) -> None:
        storage = self.watched(tmp_path)
        with self.life(storage) as life:
            life.processor.fail(*[OSError()] * 20)
            life.queue.put_all({"a": 1, "b": 2})
            left = life.queue.stop(0).left
            assert len(left) == 2
            assert [(entry.key, entry.value) for entry in left] == [("a", 1), ("b", 2)]


def add(old: Any, new: Any) -> Any:
    """Be a `merge`."""
    return old + new


def values(life: Life) -> dict[Any, Any]:
    """Return what was delivered last of each key."""
    return {entry.key: entry.value for entry in life.delivered}
