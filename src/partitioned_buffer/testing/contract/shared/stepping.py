"""What is read from a shared storage, settled, and given up; what is told of it."""

import time
from pathlib import Path
from typing import Any

from .... import StorageError
from ....abc.sharing import Want
from ..base import eventually, raised
from .base import Sender, SharedBase, Worker, depth_of, failure, read_all

A_DAY = 86400.0


class Stepping(SharedBase):
    """Everything is read in order until it is settled, and by the next claim if it was not."""

    def test_what_is_read_is_all_in_order(self, tmp_path: Path) -> None:
        for records, max_bytes in ((1, 1 << 20), (7, 1 << 20), (1000, 1), (1000, 1 << 20)):
            with self.site(tmp_path / f"{records}-{max_bytes}") as site:
                sender = Sender(site.open())
                for begin in range(0, 60, 3):
                    sender.write(0, *range(begin, begin + 3))
                worker = Worker(sender.store)
                assert worker.drain(records, max_bytes) == [*range(60)]

    def test_a_step_brings_about_as_much_as_is_wanted(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            for begin in range(0, 100, 2):
                sender.write(0, begin, begin + 1)
            worker = Worker(sender.store)
            assert list(worker.step(0).chunks) == []
            assert sum(chunk.count for chunk in worker.step(10).chunks) in range(1, 21)
            assert sum(chunk.count for chunk in worker.step(1000, 1).chunks) in range(1, 11)

    def test_what_comes_later_is_read_on(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender, worker = Sender(site.open()), Worker(site.open())
            for item in range(20):
                sender.write(0, item)
                worker.step()
                if item % 3 == 0:
                    worker.settled = worker.position
            assert worker.items == [*range(20)]
            assert list(worker.step().chunks) == []

    def test_what_is_not_settled_is_the_next_owner_s(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            sender.write(0, *range(5))
            sender.write(0, *range(5, 10))
            settled = (0, 3, 5, 8, 10)
            for count, before in zip(settled[1:], settled, strict=False):
                worker = Worker(site.open())
                assert worker.drain() == [*range(before, 10)]
                assert worker.settle(count - before).settled == worker.began + count - before
                worker.store.release(worker.claim)
            assert read_all(sender.store) == []

    def test_a_step_may_settle_and_read_on(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            for item in range(30):
                sender.write(0, item)
            worker = Worker(sender.store)
            while worker.step(4).end > worker.position:
                worker.settled = worker.position
            worker.settle()
            assert worker.items == [*range(30)]
            assert depth_of(sender.store).settled == 30

    def test_what_a_lost_reply_brought_comes_again(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            for item in range(12):
                sender.write(0, item)
            worker = Worker(sender.store)
            for lost in range(4):
                self.lose_reply(site.storage)
                error = failure(lambda: sender.store.step(worker.lane, [worker.want(2)])[0])
                assert error is not None, "no reply was lost"
                worker.step(2)
                worker.settled = worker.began + 2 * lost
            assert worker.drain() == [*range(12)]
            worker.settle()
            assert depth_of(sender.store).settled == 12

    def test_what_is_lost_at_the_end_is_settled_once(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            sender.write(0, 1, 2, 3)
            worker = Worker(sender.store)
            worker.drain()
            worker.settled = worker.began + 2
            self.lose_reply(site.storage)
            assert worker.lost() is not None, "no reply was lost"
            assert worker.step().settled == worker.began + 2
            sender.store.release(worker.claim)
            assert read_all(sender.store) == [3]

    def test_the_depth_adds_up(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one, two = site.open(), site.open()
            sender = Sender(one)
            for partition, count in ((0, 5), (1, 2)):
                sender.write(partition, *range(count))
            worker = Worker(two)
            worker.drain()
            worker.settle(3)
            for store in (one, two):
                assert [depth.partition for depth in store.depth()] == [0, 1]
                assert [depth.appended for depth in store.depth()] == [5, 2]
                assert [depth.settled for depth in store.depth()] == [3, 0]
                assert [depth.dead for depth in store.depth()] == [0, 0]
                assert all((depth.oldest or 0) >= 0 for depth in store.depth())
                assert [depth.oldest is None for depth in store.depth()] == [False, False]
            worker.settle()
            assert depth_of(one).oldest is None
            assert depth_of(one).settled == 5


class Aside(SharedBase):
    """What is given up is kept; who listens is told; who lets go is gone."""

    def test_what_is_given_up_is_kept_until_it_is_forgotten(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one, two = site.open(), site.open()
            Sender(one).write(0, 1, 2, 3)
            worker = Worker(one)
            worker.drain()
            began = time.time()
            for items, error in (([1, 2], "a reason"), ([3], "another")):
                data = one.codec.pack(items)
                one.bury(worker.claim, data, len(items), error, len(items) + 5)
            assert (depth_of(one).dead, depth_of(one).kept) == (0, 3), "it is held still"
            one.step(0, [Want(worker.claim, 3, 0, 0, 3)])
            first, second = list(two.dead(0))
            assert two.codec.decode(first[1], first[2]) == [1, 2]
            assert first[2:5] == (2, "a reason", 7)
            assert second[2:5] == (1, "another", 6)
            for each in (first, second):  # a server may have a clock of its own
                assert each[5] is None or abs(each[5] - began) < A_DAY, "seconds since the epoch"
            assert list(two.dead(1)) == []
            assert list(two.last_dead(20, 1000)) == [second, first]
            assert list(two.last_dead(1, len(second[1]))) == [second]
            assert [each[1] for each in two.last_dead(2, len(second[1]))] == [second[1], None]
            assert [each[1] for each in two.last_dead(2, 0)] == [None, None]
            assert (depth_of(one).dead, depth_of(one).settled) == (3, 3)
            two.forget_dead(0, first[0])
            two.forget_dead(0, first[0])
            assert list(one.dead(0)) == [second]
            assert (depth_of(one).dead, depth_of(one).kept) == (3, 1)

    def test_the_last_are_the_newest_of_all_partitions(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one = site.open()
            claims = [one.claim(partition) for partition in (0, 1)]
            for number, partition in enumerate([0, 1, 0, 0, 1]):
                one.bury(claims[partition], b"%d" % number, 1, "a reason", 1)
                time.sleep(0.002)  # a clock may tick that seldom
            assert [each[1] for each in one.last_dead(4, 1000)] == [b"4", b"3", b"2", b"1"]

    def test_what_was_given_up_is_counted_once(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 1) as site:
            one = site.open()
            Sender(one).write(0, 1, 2, 3, 4)
            worker = Worker(one)
            worker.drain()
            for settled, given_up in ((2, 1), (2, 1), (3, 2), (4, 2)):
                one.step(0, [Want(worker.claim, settled, 0, 0, given_up)])
            assert (depth_of(one).dead, depth_of(one).kept) == (2, 0)
            one.release(worker.claim)
            Sender(one, "another").write(0, 5)
            again = Worker(one)
            again.drain()
            one.step(0, [Want(again.claim, 5, 0, 0, 1)])
            assert depth_of(one).dead == 3

    def test_who_listens_hears_of_what_is_not_empty_any_more(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one, two = site.open(), site.open()
            sender, heard = Sender(one), list[int]()
            two.listen(heard.append)
            eventually(lambda: -1 in heard)
            heard.clear()
            sender.write(1, 1)
            eventually(lambda: 1 in heard)
            worker = Worker(two, 1)
            worker.drain()
            worker.settle()
            heard.clear()
            sender.write(1, 2)
            eventually(lambda: 1 in heard)
            assert 0 not in heard

    def test_who_listens_hears_of_a_flush(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            heard: dict[Any, list[int]] = {one: [], two: []}
            ends = [store.listen(heard[store].append) for store in (one, two)]
            eventually(lambda: -1 in heard[one] and -1 in heard[two])
            one.hurry()
            eventually(lambda: -2 in heard[one] and -2 in heard[two])
            ends[1]()
            ends[1]()
            heard[one].clear()
            before = list(heard[two])
            one.hurry()
            eventually(lambda: -2 in heard[one])
            assert heard[two] == before
            ends[0]()

    def test_who_closes_twice_has_closed(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            heard = list[int]()
            end = one.listen(heard.append)
            one.close()
            one.close()
            end()
            raised(StorageError, one.beat)
            Sender(two).write(0, 1)
            assert read_all(two) == [1]
