"""What is found of a key is of one moment; keys and values are any bytes."""

import threading
from pathlib import Path

from .....abc.shared_map import NEWER, PUT
from .base import MapBase
from .ops import Seen, delete, newer, put, seen
from .parcels import brought


class Getting(MapBase):
    """What there is of a key is told as of one moment, with what is had of who asks."""

    def test_what_waits_and_what_is_in_flight(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            assert shared.found("k") == (None, None)
            shared.write(newer("k", "1", 5))
            assert shared.found("k") == (Seen(NEWER, b"1", 5), None)
            worker = shared.worker()
            worker.read()
            assert shared.found("k") == (None, Seen(NEWER, b"1", 5))
            shared.write(put("k", "2"))
            assert shared.found("k") == (Seen(PUT, b"2"), Seen(NEWER, b"1", 5))
            worker.settle()
            assert shared.found("k") == (Seen(PUT, b"2"), None)
            worker.cycle()
            assert shared.found("k") == (None, None)

    def test_the_mark_is_that_of_who_asks(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 2) as shared:
            assert shared.store.get(0, b"k", "nobody").mark == 0
            shared.write(put("k", "1"), put("k", "2"))
            shared.write(put("k", "3"), partition=1)
            for who, marks in ((shared.sender.name, (2, 3)), ("nobody", (0, 0))):
                found = [shared.store.get(partition, b"k", who).mark for partition in (0, 1)]
                assert tuple(found) == marks

    def test_it_is_of_one_moment(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            store, done = shared.open(), threading.Event()
            worker = shared.worker()

            def write() -> None:
                for number in range(1, 200):
                    parcel = shared.sender.ops(put("k", f"{number}"))
                    assert shared.sender.send(parcel) is None
                done.set()

            def deliver() -> None:
                while not done.is_set():
                    brought(worker)

            threads = [threading.Thread(target=each) for each in (write, deliver)]
            for thread in threads:
                thread.start()
            while not done.is_set():
                waits, flies, mark = store.get(0, b"k", shared.sender.name)
                newest = waits if waits is not None else flies
                found = seen(b"k", newest)
                assert found is None or int(found.value) == mark
            for thread in threads:
                thread.join()


class Keys(MapBase):
    """Keys and values are any bytes."""

    def test_keys_are_any_bytes(self, tmp_path: Path) -> None:
        keys = [b"", bytes(range(256)), b"\0", b"\0\0", b"x" * 5000, b"\r\n", b"{a}", b"\xff\xfe"]
        keys += [bytes([byte]) for byte in range(1, 256)]
        with self.map(tmp_path) as shared:
            shared.write(*(newer(key, key * 2, 5) for key in keys))
            worker = shared.worker()
            assert worker.read(7) == {key: Seen(NEWER, key * 2, 5) for key in keys}
            for key in keys[::50]:
                assert shared.found(key) == (None, Seen(NEWER, key * 2, 5))
            worker.settle(*keys[:100])
            shared.write(*(newer(key, "old", 4) for key in keys))
            shared.write(*(delete(key) for key in keys[100:200]))
            worker.settle(*keys[200:])
            assert shared.held() == 0
            assert shared.numbers() == (len(keys), 100)

    def test_large_values(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            values = {b"%d" % n: bytes([n]) * (1 << 20) for n in range(3)}
            for key, value in values.items():
                shared.write(put(key, value))
            found = shared.worker().cycle()
            assert {key: waits and waits.value for key, waits in found.items()} == values

    def test_a_step_brings_about_as_many_bytes_as_are_wanted(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            values = {b"%d" % n: bytes([n]) * 20_000 for n in range(100)}
            shared.write(*(put(key, value) for key, value in values.items()))
            worker = shared.worker()
            for _ in range(2):
                assert 1 <= len(worker.step(1000, 1).entries) < 50
            found = worker.read(1000, 1)
            assert {key: waits and waits.value for key, waits in found.items()} == values
