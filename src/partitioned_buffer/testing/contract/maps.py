"""What is expected of a Map's storage: the beginnings of it."""

from pathlib import Path
from typing import Any

from ... import Map
from .base import Base, Life, raised


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


def values(life: Life) -> dict[Any, Any]:
    """Return what was delivered last of each key."""
    return {entry.key: entry.value for entry in life.delivered}
