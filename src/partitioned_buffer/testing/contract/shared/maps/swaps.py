"""What a step of a Map brings: all that is in flight, and nothing else until it is settled."""

import random
from pathlib import Path

from .....abc.shared_map import ADD, NEWER, PUT
from ...base import eventually
from ..base import depth_of, failure
from .base import MapBase, MapWorker
from .ops import Seen, add, delete, newer, part, put


class Swaps(MapBase):
    """A swap puts in flight all that waits; there is none while something is in flight."""

    def test_a_swap_is_all_that_waits(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(put("a", "1"), newer("b", "2", 5), add("c", 3), part("d", "4"))
            worker = shared.worker()
            swap = worker.step()
            assert (swap.number, len(swap.entries), swap.is_all) == (1, 4, True)
            assert (swap.left, swap.waiting) == (4, 0)
            assert worker.hand[b"b"] == Seen(NEWER, b"2", 5)
            assert worker.hand[b"c"] == Seen(ADD, b"i3")
            assert {shared.waiting(key) for key in "abcd"} == {None}

    def test_where_nothing_waits_there_is_none(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            worker = shared.worker()
            for _ in range(2):
                assert worker.step() == (0, worker.step().entries, True, 0, 0)
                assert not worker.hand
            shared.write(put("a", "1"), delete("a"))
            assert worker.step().number == 0
            shared.write(put("a", "2"))
            worker.cycle()
            assert (worker.step().number, worker.step().left) == (1, 0)

    def test_there_is_none_that_nobody_wants(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(put("a", "1"))
            worker = shared.worker()
            swap = worker.step(0)
            assert (swap.number, list(swap.entries), swap.left, swap.waiting) == (0, [], 0, 1)
            worker.read()
            shared.write(put("a", "2"), put("b", "3"))
            swap = worker.settle()
            assert (swap.number, list(swap.entries), swap.left, swap.waiting) == (1, [], 0, 2)
            assert worker.step(1).number == 2

    def test_what_comes_later_waits_for_the_next(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(*(put(f"{n}", "1") for n in range(10)))
            worker = shared.worker()
            worker.read()
            shared.write(*(put(f"{n}", "2") for n in range(5, 15)))
            for n in range(9):
                swap = worker.settle(f"{n}", records=100)
                assert (swap.number, list(swap.entries)) == (1, [])
                assert (swap.left, swap.waiting, swap.is_all) == (9 - n, 10, True)
            swap = worker.settle("9", records=100)
            assert (swap.number, swap.left, swap.waiting) == (2, 10, 0)
            assert worker.read() == {b"%d" % n: Seen(PUT, b"2") for n in range(5, 15)}

    def test_one_whose_keys_are_all_deleted_is_over(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(put("a", "1"), put("b", "1"))
            worker = shared.worker()
            worker.read()
            shared.write(delete("a"), put("b", "2", clears=True))
            swap = worker.step(0)
            assert (swap.number, swap.left, swap.waiting, swap.is_all) == (1, 0, 1, True)
            assert worker.read() == {b"b": Seen(PUT, b"2")}
            assert worker.number == 2

    def test_steps_bring_about_as_much_as_is_wanted(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            keys = {b"key %d" % n for n in range(5000)}
            for first in range(0, 5000, 500):
                shared.write(*(put(f"key {n}", "x" * 50) for n in range(first, first + 500)))
            worker, steps = shared.worker(), 1
            while not (swap := worker.step(100)).is_all:
                assert len(swap.entries) <= 1000, "about as many as are wanted"
                assert swap.left == 5000
                steps += 1
            assert set(worker.hand) == keys
            assert steps >= 5
            again = shared.worker_after(worker)
            assert not again.step(1000, 1).is_all
            assert len(again.hand) <= 1000, "about as many bytes as are wanted"
            assert set(again.read(313)) == keys
            shared.delivered += 5000  # to ask for each would take longer than a lease
            assert again.step(0, delivered=list(again.hand)).left == 0

    def test_what_is_settled_and_deleted_meanwhile_hides_nothing(self, tmp_path: Path) -> None:
        chance = random.Random(2)
        for records in (1, 3, 50):
            with self.map(tmp_path) as shared:
                keys = [f"{n}" for n in range(300)]
                shared.write(*(put(key, "x") for key in keys))
                worker, met, deleted = shared.worker(), set[bytes](), set[bytes]()
                while True:
                    swap = worker.step(records)
                    met |= {key for key, _ in swap.entries}
                    if swap.is_all:
                        break
                    if worker.hand and chance.random() < 0.5:
                        some = chance.sample(sorted(worker.hand), min(7, len(worker.hand)))
                        worker.settle(*some)
                    elif chance.random() < 0.3:
                        gone = chance.choice(keys)
                        shared.write(delete(gone), put(gone, "later"))
                        deleted.add(gone.encode())
                assert met | deleted == {key.encode() for key in keys}
                worker.settle(*worker.hand, *deleted)
                assert depth_of(shared.store).passed == 1

    def test_what_a_lost_reply_brought_comes_again(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            keys = {b"%d" % n for n in range(40)}
            shared.write(*(put(key, "1") for key in keys))
            worker, met = shared.worker(), set[bytes]()
            for _ in range(4):
                self.lose_reply(shared.site.storage)
                assert failure(lambda: worker.ask(worker.want(10))) is not None
                assert worker.step(10).number == 1
            met |= set(worker.read(10))
            assert met == keys

    def test_numbers_grow(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            worker = shared.worker()
            for number in range(1, 6):
                shared.write(put("k", f"{number}"))
                worker.cycle()
                assert worker.number == number
                if number == 3:
                    worker = shared.worker_after(worker)

    def test_a_flush_knows_what_it_waits_for(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            worker = shared.worker()

            def swap() -> object:
                depth = depth_of(shared.store)
                assert (depth.goal, depth.passed) == depth.swap
                return depth.swap

            assert swap() == (0, 0)
            shared.write(put("a", "1"))
            assert swap() == (1, 0)
            worker.read()
            assert swap() == (1, 0)
            shared.write(put("a", "2"), put("b", "2"))
            assert swap() == (2, 0)
            worker.settle()
            assert swap() == (2, 1)
            worker.read()
            worker.settle("a")
            assert swap() == (2, 1)
            worker.settle("b")
            assert swap() == (2, 2)

    def test_who_listens_hears_of_what_is_not_empty_any_more(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 2) as shared:
            heard = list[int]()
            shared.open().listen(heard.append)
            eventually(lambda: -1 in heard)
            for _ in range(2):
                heard.clear()
                shared.write(put("a", "1"), partition=1)
                eventually(lambda: 1 in heard)
                worker = shared.worker(partition=1)
                worker.cycle()
                worker.leave()
            assert 0 not in heard

    def test_how_old_is_what_is_held(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            assert depth_of(shared.store).oldest is None
            worker = shared.worker()
            for step in (lambda: shared.write(put("a", "1")), worker.read):
                step()
                assert (depth_of(shared.store).oldest or 0) >= 0
            shared.write(put("a", "2"))
            worker.settle()
            assert depth_of(shared.store).oldest is not None
            worker.cycle()
            assert depth_of(shared.store).oldest is None


class Orders(MapBase):
    """Of versions that are remembered, none is handed out after a newer one, whoever delivers."""

    def test_no_version_goes_back(self, tmp_path: Path) -> None:
        chance = random.Random(3)
        with self.map(tmp_path) as shared:
            writes = [(f"{key}", version) for key in range(12) for version in range(1, 26)]
            chance.shuffle(writes)
            worker, newest = shared.worker(), dict[bytes, int]()
            swaps: dict[bytes, int] = {}
            while writes or shared.held():
                if writes and chance.random() < 0.6:
                    some = [writes.pop() for _ in range(min(len(writes), 4))]
                    shared.write(*(newer(key, f"{version}", version) for key, version in some))
                elif chance.random() < 0.1:
                    worker = shared.worker_after(worker)
                else:
                    self._deliver(worker, chance, newest, swaps)
            assert newest == {b"%d" % key: 25 for key in range(12)}
            assert shared.accepted == 12 * 25

    def _deliver(
        self,
        worker: MapWorker,
        chance: random.Random,
        newest: dict[bytes, int],
        swaps: dict[bytes, int],
    ) -> None:
        for key, record in worker.step(3).entries:
            waits = worker.hand[key]
            assert waits is not None
            assert waits.version is not None
            is_again = swaps.get(key) == worker.number
            assert waits.version >= newest.get(key, 0) + (not is_again), (key, record)
            newest[key], swaps[key] = waits.version, worker.number
        if worker.hand:
            worker.settle(
                *chance.sample(sorted(worker.hand), chance.randrange(len(worker.hand)) + 1)
            )
