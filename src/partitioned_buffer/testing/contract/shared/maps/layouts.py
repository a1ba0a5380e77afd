"""For what a shared Map was made; other partitions only at rest, and nothing is lost by that."""

from pathlib import Path

from ..... import StorageRefused
from .....abc.dealing import slot_numbers
from .....abc.shared_map import PUT
from .....abc.sharing import Parcel, Sealed
from ...base import raised
from .base import MapBase, Shared
from .ops import Seen, delete, hash_of, newer, put


class MapLayouts(MapBase):
    """One kind; other partitions while nobody works on it, or never."""

    def test_another_kind_is_refused(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(put("a", "x"))
            error = raised(StorageRefused, lambda: shared.site.open(kind="Queue"))
            assert "Queue" in str(error)
            assert "Map" in str(error)
            assert shared.waiting("a") == Seen(PUT, b"x")

    def test_other_partitions_are_made_at_rest_or_never(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 2) as shared:
            parcel = shared.sender.ops(put("a", "x"), newer("b", "y", 5))
            assert shared.send(parcel) is None
            worker, layout = shared.worker(), shared.store.layout
            worker.read()
            raised(StorageRefused, self.resize, shared.store, 3)
            worker.leave()
            me = shared.open()
            me.beat()
            raised(StorageRefused, self.resize, shared.store, 3)
            me.beat(leave=True)
            assert not shared.store.refresh()
            assert shared.store.layout == layout
            assert shared.again(parcel) is None
            assert set(shared.worker().read()) == {b"a", b"b"}

    def test_what_there_is_is_moved(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 2) as shared:
            sent = self._fill(shared)
            try:
                self.resize(shared.store, 3)
            except StorageRefused:
                assert shared.held() == 48, "nothing has changed"
                return
            assert shared.again(sent) is None, "it is there"
            late = sent._replace(known=sent.last, first=sent.last + 1, last=sent.last + 2, count=2)
            assert isinstance(shared.again(late), Sealed)
            raised(Sealed, shared.store.get, 0, b"a1", shared.sender.name)
            assert shared.store.refresh()
            assert shared.store.layout == shared.store.duty
            assert shared.store.layout.partitions == 3
            assert shared.held() == 48
            for depth in shared.store.depth():
                is_new = depth.generation == shared.store.layout.generation
                assert (depth.goal > depth.passed) == is_new, "a flush waits for it there"
            self._look(shared)

    def _fill(self, shared: Shared) -> Parcel:
        """Have keys that are delivered, in flight, and waiting; return a parcel."""
        for partition in (0, 1):
            name, worker = "ab"[partition], shared.worker(partition=partition)
            keys = [f"{name}{n}" for n in range(24)]
            shared.write(*(newer(key, "1", 5) for key in keys), partition=partition)
            worker.cycle()
            shared.write(*(newer(key, "2", 7) for key in keys[:16]), partition=partition)
            worker.read()
            worker.leave()
            shared.write(*(newer(key, "3", 9) for key in keys[8:16]), partition=partition)
        sent = shared.sender.ops(delete("x"), delete("y"))
        assert shared.send(sent) is None
        return sent

    def _look(self, shared: Shared) -> None:
        """See that all of it is there, each key in one partition."""
        found: dict[bytes, list[str]] = {}
        slots = slot_numbers(3)
        for partition in range(3):
            worker = shared.worker(shared.store, partition)
            while swap := worker.cycle():
                for key, waits in swap.items():
                    assert waits is not None
                    assert slots[hash_of(key) % len(slots)] == partition, "where it is written"
                    found.setdefault(key, []).append(waits.value.decode())
            worker.leave()
        for name in "ab":
            for n in range(16):
                assert found[f"{name}{n}".encode()] == ["2", "3"][: 1 + (n >= 8)]
        assert len(found) == 32
        for name, version in (("a0", 7), ("b8", 9), ("b1", 7), ("a20", 5), ("b23", 5)):
            for partition in range(3):
                shared.write(newer(name, "old", version), partition=partition)
            new = [shared.found(name, partition)[0] for partition in range(3)]
            assert new.count(None) == 1
            assert new[slots[hash_of(name) % len(slots)]] is None, "its version is remembered"
