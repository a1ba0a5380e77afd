"""Who may deliver a partition of a shared storage, and who not any more."""

import threading
from pathlib import Path
from typing import Any

from ....abc.sharing import ClaimLost
from ..base import eventually, raised
from .base import Sender, SharedBase, Worker, depth_of, lane_of


class Claims(SharedBase):
    """One owner at a time, whose token is greater than those before; the others can do nothing."""

    def test_a_partition_is_one_owner_s(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one, two = site.open(), site.open()
            first = one.claim(0)
            assert first is not None
            assert (first.generation, first.partition) == (one.duty.generation, 0)
            assert two.claim(0) is None
            assert two.claim(1) is not None
            assert one.claim(1) is None
            one.release(first)
            second = two.claim(0)
            assert second is not None
            assert second.token > first.token
            assert one.claim(0) is None

    def test_of_many_who_claim_at_once_one_gets_it(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            stores, claims = [site.open() for _ in range(6)], list[Any]()
            start = threading.Barrier(6)

            def run(store: Any) -> None:
                start.wait()
                claims.append(store.claim(0))

            threads = [threading.Thread(target=run, args=(store,)) for store in stores]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(claim is None for claim in claims) == [False] + 5 * [True]

    def test_who_steps_keeps_it_longer(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            worker = Worker(one)
            worker.claim.until -= one.lease
            before = worker.claim.until
            worker.step(0)
            assert worker.claim.until > before
            assert two.claim(0) is None

    def test_who_is_silent_for_a_lease_loses_it(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            Sender(one).write(0, 1, 2, 3)
            stale = Worker(one)
            stale.drain()
            stale.settle(1)
            self.expire(site.storage, 0)
            owner = Worker(two)
            assert owner.claim.token > stale.claim.token
            assert owner.drain() == [2, 3]
            stale.settled = stale.position
            assert isinstance(stale.lost(), ClaimLost)
            assert depth_of(one).settled == 1, "a stale owner settles nothing"
            raised(ClaimLost, one.bury, stale.claim, b"data", 1, "an error", 1)
            assert list(one.dead(0)) == []

    def test_who_has_lost_it_gives_nothing_back(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            stale = Worker(one)
            self.expire(site.storage, 0)
            owner = Worker(two)
            one.release(stale.claim)
            assert owner.lost() is None
            assert one.claim(0) is None

    def test_one_that_is_lost_is_no_affair_of_the_others(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 4) as site:
            one, two = site.open(), site.open()
            sender = Sender(one)
            for partition in range(4):
                sender.write(partition, partition)
            lane = max(range(len(one.duty.lanes)), key=lambda lane: len(one.duty.lanes[lane]))
            partitions = one.duty.lanes[lane]
            workers = [Worker(one, partition) for partition in partitions]
            self.expire(site.storage, partitions[0])
            Worker(two, partitions[0])
            reads = one.step(lane, [worker.want() for worker in workers])
            assert isinstance(reads[0], ClaimLost)
            for worker, read in zip(workers[1:], reads[1:], strict=True):
                worker.take(read)
                assert worker.items == [worker.partition]

    def test_an_owner_is_known(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            assert one.me != two.me
            assert depth_of(one).owner is None
            claim = two.claim(0)
            assert depth_of(one).owner == depth_of(two).owner == two.me
            two.release(claim)
            assert depth_of(one).owner is None

    def test_workers_see_each_other_in_one_order(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            stores = [site.open() for _ in range(3)]
            for store in stores:
                assert store.me in store.beat()
            seen = [list(store.beat()) for store in stores]
            assert seen[0] == seen[1] == seen[2]
            assert sorted(seen[0]) == sorted(store.me for store in stores)
            assert stores[1].me not in stores[1].beat(leave=True)
            assert sorted(stores[0].beat()) == sorted((stores[0].me, stores[2].me))

    def test_who_listens_hears_of_a_partition_that_is_free(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            heard, claim = list[int](), one.claim(0)
            two.listen(heard.append)
            eventually(lambda: heard == [-1])
            one.release(claim)
            eventually(lambda: heard == [-1, -3])
            stale = one.claim(0)
            self.expire(site.storage, 0)
            Worker(two)
            one.release(stale)  # which is another's by now
            one.hurry()
            eventually(lambda: -2 in heard)
            assert heard == [-1, -3, -2]

    def test_who_listens_hears_of_workers_that_come_and_go(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            one, two = site.open(), site.open()
            heard = list[int]()
            two.listen(heard.append)
            eventually(lambda: heard == [-1])
            one.beat()
            eventually(lambda: heard == [-1, -3])
            one.beat()  # as before: that is no news
            two.beat()
            eventually(lambda: heard == [-1, -3, -3])
            one.beat(leave=True)
            eventually(lambda: heard == [-1, -3, -3, -3])
            one.beat(leave=True)
            two.beat()
            one.hurry()
            eventually(lambda: -2 in heard)
            assert heard == [-1, -3, -3, -3, -2]

    def test_the_lane_of_a_partition_is_in_the_layout(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 5) as site:
            store = site.open()
            assert store.layout == store.duty
            assert store.layout.partitions == 5
            assert sorted(sum(store.layout.lanes, ())) == [0, 1, 2, 3, 4]
            assert all(lane_of(store.layout, partition) >= 0 for partition in range(5))
