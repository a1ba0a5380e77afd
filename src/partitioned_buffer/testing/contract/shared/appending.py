"""What is appended to a shared storage is there once, and in order."""

import threading
from pathlib import Path
from typing import Any

from .... import StorageFull
from ....abc.sharing import Gap, Part
from .base import Sender, SharedBase, Worker, depth_of, lane_of, read_all


class Appending(SharedBase):
    """Each parcel is there whole, once, behind those of its producer before it; or not at all."""

    def test_a_parcel_is_there_once_however_often_it_is_sent(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            first, second = sender.parcel(0, 1, 2, 3), sender.parcel(0, 4, known=3)
            for parcel in (first, first, second, first, second, second):
                assert sender.send(parcel) is None
            assert read_all(sender.store) == [1, 2, 3, 4]
            assert depth_of(sender.store).appended == 4

    def test_a_parcel_whose_reply_was_lost_is_there_once(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            sender.write(0, 1)
            self.lose_reply(site.storage)
            sender.resend(sender.parcel(0, 2, 3))
            sender.write(0, 4)
            assert read_all(sender.store) == [1, 2, 3, 4]

    def test_another_store_sends_a_parcel_again(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            parcel = sender.parcel(0, 1, 2)
            assert sender.send(parcel) is None
            sender.store.close()
            sender.store = site.open()
            assert sender.send(parcel) is None
            sender.write(0, 3)
            assert read_all(sender.store) == [1, 2, 3]

    def test_what_is_settled_has_been_there(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            parcel = sender.parcel(0, 1, 2)
            assert sender.send(parcel) is None
            worker = Worker(sender.store)
            worker.drain()
            worker.settle()
            assert sender.send(parcel) is None
            assert worker.drain() == [1, 2]

    def test_parcels_of_several_partitions_go_together(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 4) as site:
            sender, items = Sender(site.open()), range(40)
            parcels = [sender.parcel(item % 4, item, known=max(0, item - 3)) for item in items]
            for begin in range(0, 40, 4):
                for lane in range(len(sender.store.layout.lanes)):
                    those = [
                        parcel
                        for parcel in parcels[begin : begin + 4]
                        if lane_of(sender.store.layout, parcel.partition) == lane
                    ]
                    answers = sender.store.append(lane, sender.name, those)
                    assert list(answers) == [None] * len(those)
            for partition in range(4):
                assert read_all(sender.store, partition) == [*items[partition::4]]

    def test_data_come_back_as_they_were(self, tmp_path: Path) -> None:
        every = bytes(range(256))
        with self.site(tmp_path) as site:
            store = site.open()
            sender = Sender(store)
            for data in (every, b"\r\n\0", every * 2000):
                sent = sender.send(sender.parcel(0, 1)._replace(data=data))
                assert sent is None
            claim = Worker(store).want()
            (read,) = store.step(lane_of(store.duty, 0), [claim])
            assert [chunk.data for chunk in read.chunks] == [every, b"\r\n\0", every * 2000]

    def test_a_parcel_that_is_there_in_part_is_refused_whole(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            sender.write(0, 1, 2)
            sender.write(0, 3)
            sender.mark = 1
            overlapping = sender.parcel(0, 2, 3, 4, 5, known=1)
            for _ in range(2):
                answer = sender.send(overlapping)
                assert isinstance(answer, Part)
                assert (answer.upto, answer.had) == (3, 3)
            sender.mark = 3
            sender.write(0, 4, 5)
            assert read_all(sender.store) == [1, 2, 3, 4, 5]

    def test_a_gap_says_what_was_had(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            sender.write(0, 1, 2)
            sender.mark = 7
            answer = sender.send(sender.parcel(0, 8, known=7))
            assert isinstance(answer, Gap)
            assert answer.had == 2
            assert read_all(sender.store) == [1, 2]

    def test_what_the_server_has_lost_is_a_gap(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            sender.write(0, 1, 2, 3)
            sender.write(0, 4, 5)
            self.forgets(site.storage, 2)
            sender.store = site.open()
            parcel = sender.parcel(0, 6)
            answer = sender.send(parcel)
            assert isinstance(answer, Gap)
            assert answer.had == 3
            assert sender.send(parcel._replace(known=-1)) is None
            assert read_all(sender.store) == [1, 2, 3, 6]

    def test_who_does_not_know_what_is_there_says_so(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender = Sender(site.open())
            parcels = [sender.parcel(0, 1, 2, known=-1), sender.parcel(0, 3, known=-1)]
            for _ in range(2):
                assert [sender.send(parcel) for parcel in parcels] == [None, None]
            sender.mark = 2
            assert isinstance(sender.send(sender.parcel(0, 3, 4, known=-1)), Part)
            sender.mark = 90  # whatever it has sent in between
            assert sender.send(sender.parcel(0, 91, known=-1)) is None
            assert read_all(sender.store) == [1, 2, 3, 91]

    def test_marks_between_went_elsewhere(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2) as site:
            sender = Sender(site.open())
            for item in range(10):
                sender.write(item % 2, item)
            assert read_all(sender.store, 0) == [0, 2, 4, 6, 8]
            assert read_all(sender.store, 1) == [1, 3, 5, 7, 9]

    def test_producers_have_marks_of_their_own(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            senders = [Sender(site.open(), name) for name in ("a", "b")]
            for item in range(6):
                senders[item % 2].write(0, item)
            assert read_all(senders[0].store) == [0, 1, 2, 3, 4, 5]

    def test_many_append_at_once(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            senders = [Sender(site.open(), f"producer {number}") for number in range(4)]

            def run(number: int) -> None:
                for item in range(50):
                    senders[number].write(0, [number, item])

            threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            items: list[Any] = read_all(senders[0].store)
            assert len(items) == 200
            for number in range(4):
                assert [item for who, item in items if who == number] == [*range(50)]

    def test_a_producer_that_is_retired_is_forgotten_alone(self, tmp_path: Path) -> None:
        with self.site(tmp_path) as site:
            sender, other = Sender(site.open(), "a"), Sender(site.open(), "b")
            sender.write(0, 1)
            kept = other.parcel(0, 2)
            assert other.send(kept) is None
            sender.store.retire("a")
            sender.store.retire("a")
            sender.store.retire("nobody")
            assert other.send(kept) is None
            assert isinstance(sender.send(sender.parcel(0, 3)), Gap)
            assert read_all(sender.store) == [1, 2]


class Limited(SharedBase):
    """A server that has its measure of records takes more when some are settled."""

    def test_what_has_no_room_goes_in_later(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 1, limit=10) as site:
            sender = Sender(site.open())
            first = sender.parcel(0, *range(8))
            assert sender.send(first) is None
            parcel = sender.parcel(0, 8, 9, 10)
            for _ in range(2):
                assert isinstance(sender.send(parcel), StorageFull)
            assert sender.send(first) is None, "it is there, and takes no room"
            worker = Worker(sender.store)
            worker.drain()
            worker.settle(1)
            assert sender.send(parcel) is None
            assert worker.drain() == [*range(11)]

    def test_more_than_all_room_goes_in_alone(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 1, limit=4) as site:
            sender = Sender(site.open())
            sender.write(0, 1)
            parcel = sender.parcel(0, *range(2, 12))
            assert isinstance(sender.send(parcel), StorageFull)
            worker = Worker(sender.store)
            worker.drain()
            worker.settle()
            assert sender.send(parcel) is None
            assert worker.drain() == [*range(1, 12)]

    def test_partitions_share_the_room(self, tmp_path: Path) -> None:
        with self.site(tmp_path, 2, limit=10) as site:
            sender = Sender(site.open())
            sender.write(0, *range(5))
            assert isinstance(sender.send(sender.parcel(0, 5)), StorageFull)
            sender.write(1, 6)
