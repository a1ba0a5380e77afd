"""For whom a shared storage was made, and how many partitions it has, now and later."""

from pathlib import Path

from .... import StorageRefused
from ....abc.sharing import Gap, Sealed
from ..base import raised
from .base import Sender, SharedBase, Worker, depth_of, read_all


class Layouts(SharedBase):
    """One kind, one codec; other partitions only by a resize, and nothing is lost by that."""

    def test_who_says_no_number_takes_what_is_there(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 5) as site:
            one, two = site.open(), site.open(partitions=None)
            assert one.layout == two.layout
            assert two.layout.partitions == 5
            assert one.identity == two.identity

    def test_without_any_number_there_are_eight(self, tmp_path: Path) -> None:
        with self.site(tmp_path, None) as site:
            assert site.open().layout.partitions == 8
            assert site.open(partitions=8).layout.partitions == 8

    def test_other_partitions_are_refused(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 5) as site:
            Sender(site.open()).write(0, 1)
            error = raised(StorageRefused, site.open, partitions=7)
            assert "5" in str(error)
            assert "7" in str(error)
            assert read_all(site.open()) == [1]

    def test_another_kind_is_refused(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            Sender(site.open()).write(0, 1)
            error = raised(StorageRefused, lambda: site.open(kind="Map"))
            assert "Queue" in str(error)
            assert "Map" in str(error)
            assert read_all(site.open()) == [1]

    def test_another_codec_is_refused(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            store = site.open()
            Sender(store).write(0, 1)
            name = site.storage.codec.name
            self.recode(site.storage)
            error = raised(StorageRefused, site.open)
            assert name in str(error)
            assert site.storage.codec.name in str(error)
            assert read_all(store) == [1]

    def test_an_earlier_layout_takes_nothing_any_more(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one, two = site.open(), site.open()
            sender = Sender(one)
            there = sender.parcel(0, 1, 2)
            assert sender.send(there) is None
            assert not one.refresh()
            self.resize(two, 3)
            assert isinstance(sender.send(sender.parcel(0, 3)), Sealed)
            assert sender.send(there) is None, "it is there"
            assert one.refresh()
            assert one.layout.partitions == 3
            assert one.layout.generation > one.duty.generation
            assert not one.refresh()
            assert site.open(partitions=None).layout == one.layout
            raised(StorageRefused, site.open)
            sender.write(2, 3)
            assert sender.send(there) is None, "by the layout that it was dealt out by"
            assert read_all(one) == [1, 2]

    def test_an_earlier_layout_says_what_it_has_had_and_takes_nothing(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            sender = Sender(site.open())
            first, second = sender.parcel(0, 1, 2, 3), sender.parcel(0, 4)
            assert sender.send(first) is None
            self.resize(sender.store, 3)
            for mark in (1, 3, 4):  # of what is to stand on more than there can be
                asked = second._replace(known=1 << 53, first=mark, last=mark)
                answer = sender.send(asked)
                assert answer is None if mark <= first.last else isinstance(answer, Gap)
            assert read_all(sender.store) == [1, 2, 3]

    def test_an_earlier_layout_is_delivered_first(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            one, two = site.open(), site.open()
            sender = Sender(one)
            sender.write(0, "a")
            sender.write(1, "b")
            self.resize(one, 3)
            one.refresh()
            two.refresh()
            sender.write(1, "c")
            sender.write(2, "d")
            assert two.duty.partitions == 2
            assert len(two.depth()) == 5
            workers = [Worker(two, partition) for partition in range(2)]
            assert [worker.drain() for worker in workers] == [["a"], ["b"]]
            workers[0].settle()
            assert not two.refresh(), "something is held still"
            workers[1].settle()
            assert two.refresh()
            assert two.duty == two.layout == one.layout
            assert [read_all(two, partition) for partition in range(3)] == [[], ["c"], ["d"]]

    def test_layouts_follow_each_other(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            store = site.open()
            sender, generations = Sender(store), [store.layout.generation]
            for number, partitions in enumerate((3, 1, 4)):
                sender.write(0, number)
                self.resize(store, partitions)
                assert store.refresh()
                generations.append(store.layout.generation)
            assert generations == sorted(set(generations))
            sender.write(0, 3)
            found = list[object]()
            while depth_of(store).settled == 0:
                worker = Worker(store)
                found += worker.drain()
                worker.settle()
                store.release(worker.claim)
                store.refresh()
            assert found == [0, 1, 2, 3]

    def test_an_empty_layout_is_over_at_once(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            store = site.open()
            self.resize(store, 3)
            assert store.refresh()
            assert store.duty == store.layout
            assert store.layout.partitions == 3
