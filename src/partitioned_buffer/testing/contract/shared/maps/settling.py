"""What is settled of a Map: key by key, of one swap, once, and by its owner alone."""

from pathlib import Path

from .....abc.shared_map import NEWER, PUT
from .....abc.sharing import ClaimLost
from ...base import raised
from ..base import depth_of, failure
from .base import MapBase
from .ops import Seen, add, delete, newer, put


class Settling(MapBase):
    """What is settled goes; what is not is the next owner's."""

    def test_what_is_not_settled_is_the_next_owner_s(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            keys = [f"{n}" for n in range(20)]
            shared.write(*(newer(key, "1", 5) for key in keys))
            worker = shared.worker()
            worker.read()
            shared.write(*(put(key, "2") for key in keys[5:8]))
            shared.write(delete("7"))
            for settled in ((), ("0", "19"), ("7", "8", "9"), ("1",)):
                if settled:
                    worker.settle(*settled)
                    keys = [key for key in keys if key not in settled]
                worker = shared.worker_after(worker)
                there = set(keys) - {"7"}
                assert worker.read(4) == {key.encode(): Seen(NEWER, b"1", 5) for key in there}
                assert worker.number == 1
            worker.settle()
            assert worker.read() == {b"5": Seen(PUT, b"2"), b"6": Seen(PUT, b"2")}

    def test_the_same_step_again_does_no_harm(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(newer("a", "1", 5), newer("b", "1", 5), put("c", "1"))
            worker = shared.worker()
            worker.read()
            worker.settle("a")
            settle = worker.want(0, delivered=[b"a"])
            for _ in range(2):
                worker.ask(settle)
                shared.check()
            shared.write(newer("a", "2", 6), newer("a", "0", 5))
            worker.ask(settle)
            assert shared.found("a") == (Seen(NEWER, b"2", 6), None)
            assert worker.settle().left == 0
            assert worker.read() == {b"a": Seen(NEWER, b"2", 6)}

    def test_the_same_step_again_counts_nothing_again(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(newer("a", "1", 5), put("b", "1"), put("c", "1"), put("d", "1"))
            worker = shared.worker()
            worker.read()
            shared.write(delete("b"), delete("d"))
            worker.bury("b", "c")
            settle = worker.want(0, delivered=[b"a", b"d"], buried=[b"b", b"c"])
            for _ in range(3):
                self.lose_reply(shared.site.storage)
                assert failure(lambda: worker.ask(settle)) is not None, "no reply was lost"
            worker.ask(settle)
            shared.delivered, shared.dead = 1, 2
            shared.check()
            assert shared.numbers() == (0, 1)
            assert shared.held() == 0

    def test_what_is_settled_of_another_swap_is_not(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(newer("a", "1", 5), newer("b", "1", 5))
            worker = shared.worker()
            worker.read()
            late = worker.want(0, delivered=[b"a"], buried=[b"b"])
            nothing = late._replace(settled=-1)
            worker.ask(nothing)
            assert shared.found("a") == (None, Seen(NEWER, b"1", 5))
            worker.settle()
            shared.write(newer("a", "2", 6), newer("b", "2", 6))
            worker.read()
            for want in (late, nothing, late._replace(settled=0)):
                worker.ask(want)
                shared.check()
                for key in ("a", "b"):
                    assert shared.found(key) == (None, Seen(NEWER, b"2", 6))
            worker.settle()
            shared.write(newer("a", "3", 6), newer("b", "3", 6))
            assert shared.held() == 0, "the version of the later swap is remembered"

    def test_what_a_lost_reply_has_settled_is_settled_once(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(newer("a", "1", 5), newer("b", "1", 5))
            worker = shared.worker()
            worker.read()
            shared.write(newer("a", "2", 6), newer("c", "1", 1))
            self.lose_reply(shared.site.storage)
            both = worker.want(10, delivered=[b"a", b"b"])
            assert failure(lambda: worker.ask(both)) is not None, "no reply was lost"
            shared.delivered += 2
            shared.check()
            assert depth_of(shared.store).swap == (2, 1), "it has put in flight what waited"
            swap = worker.ask(both)
            assert not isinstance(swap, Exception)
            assert {key for key, _ in swap.entries} == {b"a", b"c"}
            assert (swap.number, swap.left, swap.is_all) == (2, 2, True)

    def test_a_stale_owner_settles_nothing(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(newer("a", "1", 5), newer("b", "1", 5))
            stale = shared.worker()
            stale.read()
            self.expire(shared.site.storage, 0)
            owner = shared.worker()
            assert owner.claim.token > stale.claim.token
            late = stale.want(10, delivered=[b"a"], buried=[b"b"])
            assert isinstance(failure(lambda: stale.ask(late)), ClaimLost)
            shared.check()
            assert set(owner.read()) == {b"a", b"b"}
            raised(ClaimLost, stale.store.bury, stale.claim, b"data", 1, "an error", 1)
            owner.settle()
            shared.write(put("a", "2"))
            assert isinstance(failure(lambda: stale.ask(late)), ClaimLost)
            assert depth_of(shared.store).swap == (2, 1), "nor has it a swap"

    def test_one_that_is_lost_is_no_affair_of_the_others(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 4) as shared:
            lanes = shared.store.duty.lanes
            lane = max(range(len(lanes)), key=lambda each: len(lanes[each]))
            for partition in lanes[lane]:
                shared.write(put("k", f"{partition}"), partition=partition)
            one, *others = [shared.worker(shared.store, each) for each in lanes[lane]]
            self.expire(shared.site.storage, one.partition)
            shared.worker(partition=one.partition)
            wants = [worker.want() for worker in (one, *others)]
            lost, *swaps = shared.store.step(lane, wants)
            assert isinstance(lost, ClaimLost)
            for worker, swap in zip(others, swaps, strict=True):
                worker.take(swap, 1000)
                assert worker.hand == {b"k": Seen(PUT, b"%d" % worker.partition)}
                worker.settle()

    def test_what_is_deleted_in_hand_is_deleted(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(*(newer(key, "1", 5) for key in "abcd"))
            worker = shared.worker()
            worker.read()
            shared.write(delete("a"), delete("b"), newer("b", "2", 1))
            shared.write(put("c", "2", clears=True))
            assert shared.numbers() == (0, 3)
            assert worker.settle().left == 0
            assert shared.numbers() == (0, 3)
            shared.write(newer("a", "3", 1), newer("b", "3", 2), newer("d", "3", 5))
            assert worker.read() == {
                b"a": Seen(NEWER, b"3", 1),
                b"b": Seen(NEWER, b"3", 2, 1),
                b"c": Seen(PUT, b"2"),
            }

    def test_no_other_swap_is_there_while_something_is_in_hand(self, tmp_path: Path) -> None:
        """Though all of it was deleted: what is given up yet has to be told from what is not."""
        with self.map(tmp_path) as shared:
            shared.write(put("a", "1"), put("b", "1"))
            worker = shared.worker()
            worker.read()
            shared.write(delete("a"), delete("b"), put("a", "2"))
            for _ in range(2):
                swap = worker.step(may_swap=False)
                assert (swap.number, swap.left, swap.waiting) == (1, 0, 1)
                assert (list(swap.entries), swap.is_all) == ([], True)
            assert depth_of(shared.store).swap == (2, 1)
            worker.bury("a")
            worker.settle("b", buried=["a"])
            depth = depth_of(shared.store)
            assert (depth.settled, depth.dead, depth.deleted) == (2, 1, 1)
            assert worker.step(may_swap=True).number == 2
            assert worker.hand == {b"a": Seen(PUT, b"2")}

    def test_what_is_in_hand_keeps_nothing_of_its_swap_back(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(*(put(f"{n}", "1") for n in range(100)))
            worker = shared.worker()
            worker.step(10)
            while not worker.step(10, may_swap=False).is_all:
                assert worker.number == 1
            assert len(worker.hand) == 100


class Remembering(MapBase):
    """So many versions of delivered keys are remembered, at least those of the last ones."""

    def test_the_last_ones_are_remembered(self, tmp_path: Path) -> None:
        with self.map(tmp_path, remember=10) as shared:
            worker = shared.worker()
            for first in range(0, 60, 5):
                keys = [f"{n}" for n in range(first, first + 5)]
                shared.write(*(newer(key, "1", 5) for key in keys))
                worker.cycle()
                last = [f"{n}" for n in range(max(0, first - 5), first + 5)]
                shared.write(*(newer(key, "0", 5) for key in last))
                assert shared.held() == 0
            shared.write(*(newer(f"{n}", "0", 5) for n in range(60)))
            assert shared.held() >= 40, "about as many as are wanted"

    def test_none_are_remembered(self, tmp_path: Path) -> None:
        with self.map(tmp_path, remember=0) as shared:
            worker = shared.worker()
            for version in (5, 4, -3):
                shared.write(newer("a", "1", version))
                assert worker.cycle() == {b"a": Seen(NEWER, b"1", version)}

    def test_the_last_version_is_remembered(self, tmp_path: Path) -> None:
        with self.map(tmp_path, remember=4) as shared:
            worker = shared.worker()
            for version in range(1, 30):
                shared.write(newer("a", "1", version), newer(f"{version}", "1", 1))
                worker.cycle()
                shared.write(newer("a", "0", version), newer("a", "0", version - 1))
                assert shared.held() == 0, version
            shared.write(put("a", "1"))
            worker.cycle()
            shared.write(newer("a", "2", 1))
            assert worker.cycle() == {b"a": Seen(NEWER, b"2", 1)}

    def test_an_update_that_no_swap_had_is_not(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            worker = shared.worker()
            shared.write(newer("a", "1", 5))
            worker.read()
            shared.write(newer("a", "2", 9), put("a", "3"))
            worker.settle()
            assert worker.read() == {b"a": Seen(PUT, b"3")}
            shared.write(newer("a", "4", 6))
            worker.settle()
            assert worker.read() == {b"a": Seen(NEWER, b"4", 6)}

    def test_partitions_remember_for_themselves(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 2) as shared:
            shared.write(newer("a", "1", 5))
            shared.worker().cycle()
            shared.write(newer("a", "2", 3), partition=1)
            assert shared.worker(partition=1).cycle() == {b"a": Seen(NEWER, b"2", 3)}


class GivenUp(MapBase):
    """What is given up is no delivery; who keeps it is asked apart."""

    def test_what_is_given_up_is_kept(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 2) as shared:
            shared.write(*(add(key, 1) for key in "abc"), partition=1)
            worker = shared.worker(partition=1)
            worker.read()
            worker.bury("a", "b")
            worker.settle("c", buried=("a", "b"))
            depth = depth_of(shared.store, 1)
            assert (depth.settled, depth.dead, depth.kept) == (3, 2, 2)
            ((number, data, count, error, attempts, _),) = list(shared.store.dead(1))
            assert (data, count, error, attempts) == (b"data", 2, "an error", 1)
            shared.store.forget_dead(1, number)
            assert list(shared.store.dead(1)) == []
            assert depth_of(shared.store, 1).dead == 2

    def test_what_was_given_up_is_counted_once(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(*(put(key, "1") for key in "abc"))
            worker = shared.worker()
            worker.read()
            worker.give_up("a")
            worker.step(0)
            worker.give_up("b", "c")
            assert (depth_of(shared.store).dead, depth_of(shared.store).kept) == (3, 0)
            again = shared.worker_after(worker)
            shared.write(put("a", "2"))
            again.read()
            again.give_up("a")
            assert depth_of(shared.store).dead == 4

    def test_what_is_deleted_in_hand_and_given_up_is_counted_once(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(*(put(key, "1") for key in "abcd"))
            worker = shared.worker()
            worker.read()
            worker.bury("a")
            shared.write(delete("a"), put("b", "2", clears=True))
            worker.settle(buried=["a"])
            worker.give_up("b", "c")
            depth = depth_of(shared.store)
            assert (depth.settled, depth.dead, depth.deleted, depth.kept) == (3, 3, 0, 1)
            worker.settle()
            assert worker.read() == {b"b": Seen(PUT, b"2")}
