"""What is sent is done once, and whole; what is found of a key is of one moment."""

import threading
from pathlib import Path
from typing import Any

from ..... import StorageFull
from .....abc.shared_map import ADD, NEWER, PUT
from .....abc.sharing import Gap, Part, Tally
from ..base import depth_of
from .base import MapBase, MapSender
from .ops import Seen, add, delete, newer, part, put, seen, total


class Parcels(MapBase):
    """Each parcel is done whole, once, behind those of its producer before it; or not at all."""

    def test_a_parcel_is_done_once_however_often_it_is_sent(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            first = shared.sender.ops(add("k", 1), add("k", 2), delete("x"))
            second = shared.sender.ops(add("k", 3), part("p", "a"), known=3)
            for parcel in (first, second):
                assert shared.send(parcel) is None
                for again in (first, parcel, first):
                    assert shared.again(again) is None
            assert shared.waiting("k") == Seen(ADD, b"i6")
            assert shared.numbers() == (2, 0)

    def test_parcels_that_go_together_are_done_in_order(self, tmp_path: Path) -> None:
        with self.map(tmp_path, 4) as shared:
            layout = shared.store.layout
            for lane, partitions in enumerate(layout.lanes):
                parcels = [
                    shared.sender.ops(put("k", f"{turn}"), add("n", turn), partition=partition)
                    for turn in range(3)
                    for partition in partitions
                ]
                parcels = [parcel._replace(known=-1) for parcel in parcels]
                answers = shared.store.append(lane, shared.sender.name, parcels)
                assert list(answers) == [None] * len(parcels)
            shared.accepted += 4 * 3 * 2
            shared.check()
            for partition in range(4):
                assert shared.found("k", partition) == (Seen(PUT, b"2"), None)
                assert shared.found("n", partition) == (Seen(ADD, b"i3"), None)

    def test_a_parcel_whose_reply_was_lost_is_done_once(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(add("k", 1))
            self.lose_reply(shared.site.storage)
            parcel = shared.sender.ops(add("k", 2), delete("other"))
            shared.sender.resend(parcel)
            shared.accepted += parcel.tally.accepted
            shared.write(add("k", 4))
            assert shared.waiting("k") == Seen(ADD, b"i7")

    def test_what_is_settled_or_deleted_has_been_there(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            parcel = shared.sender.ops(add("a", 1), add("b", 1))
            assert shared.send(parcel) is None
            worker = shared.worker()
            assert len(worker.read()) == 2
            shared.write(delete("a"))
            assert shared.again(parcel) is None
            worker.settle()
            assert shared.again(parcel) is None
            assert shared.held() == 0

    def test_a_parcel_that_is_there_in_part_is_refused_whole(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(add("k", 1), add("k", 2))
            shared.write(add("k", 3))
            shared.sender.mark = 1
            overlapping = shared.sender.ops(add("k", 2), add("k", 3), add("k", 4), known=1)
            for _ in range(2):
                answer = shared.send(overlapping)
                assert isinstance(answer, Part)
                assert (answer.upto, answer.had) == (3, 3)
            shared.sender.mark = 3
            shared.write(add("k", 4))
            assert shared.waiting("k") == Seen(ADD, b"i10")

    def test_a_gap_says_what_was_had(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(add("k", 1), add("k", 2))
            shared.sender.mark = 7
            answer = shared.send(shared.sender.ops(add("k", 3), known=7))
            assert isinstance(answer, Gap)
            assert answer.had == 2
            assert shared.waiting("k") == Seen(ADD, b"i3")

    def test_what_the_server_has_lost_is_a_gap(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            shared.write(add("k", 1), add("k", 2), put("a", "x"))
            shared.write(put("lost", "x"), put("lost, too", "x"))
            self.forgets(shared.site.storage, 2)
            shared.accepted -= 2
            shared.sender.store = shared.store = shared.open()
            parcel = shared.sender.ops(add("k", 8))
            answer = shared.send(parcel)
            assert isinstance(answer, Gap)
            assert answer.had == 3
            assert shared.send(parcel._replace(known=-1)) is None
            assert shared.waiting("k") == Seen(ADD, b"i11")
            assert shared.waiting("lost") is shared.waiting("lost, too") is None

    def test_who_does_not_know_what_is_there_says_so(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            parcels = [shared.sender.ops(add("k", number), known=-1) for number in (1, 2)]
            for parcel in parcels:
                assert shared.send(parcel) is None
                assert shared.again(parcel) is None
            shared.sender.mark = 1
            answer = shared.send(shared.sender.ops(add("k", 2), add("k", 3), known=-1))
            assert isinstance(answer, Part)
            shared.sender.mark = 90  # whatever it has sent in between
            assert shared.send(shared.sender.ops(add("k", 4), known=-1)) is None
            assert shared.waiting("k") == Seen(ADD, b"i7")

    def test_a_producer_that_is_retired_is_forgotten_alone(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            other = MapSender(shared.store, "another")
            shared.write(add("k", 1))
            kept = other.ops(add("k", 2))
            assert other.send(kept) is None
            shared.accepted += 1
            shared.store.retire(shared.sender.name)
            assert other.send(kept) is None
            assert isinstance(shared.send(shared.sender.ops(add("k", 4))), Gap)
            assert shared.waiting("k") == Seen(ADD, b"i3")

    def test_what_its_producer_has_made_of_its_writes_is_counted(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            ops = put("a", "x"), delete("b")
            parcel = shared.sender.ops(*ops, tally=Tally(10, 6, 3))
            assert shared.send(parcel) is None
            assert shared.again(parcel) is None
            assert shared.numbers() == (6, 3)
            assert depth_of(shared.store).appended == 10
            shared.write(put("a", "y"), newer("c", "z", 3))
            nothing = shared.sender.ops(delete("nothing"), tally=Tally(5, 1, 4))
            assert shared.send(nothing) is None
            assert shared.numbers() == (8, 7)
            shared.worker().cycle()
            assert shared.delivered == 2

    def test_many_write_at_once(self, tmp_path: Path) -> None:
        with self.map(tmp_path) as shared:
            senders = [MapSender(shared.open(), f"producer {number}") for number in range(4)]
            sums, newest = {"i": 0, "p": 0}, 0

            def run(number: int) -> None:
                for turn in range(40):
                    version = turn * 4 + number
                    ops = add("i", 1), part("p", number), newer("n", f"{version}", version)
                    assert senders[number].send(senders[number].ops(*ops)) is None

            threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            worker = shared.worker()
            while any(thread.is_alive() for thread in threads) or shared.held():
                for key, waits in brought(worker).items():
                    if waits is not None and waits.mode == NEWER:
                        assert int(waits.value) == waits.version
                        assert waits.version is not None
                        assert waits.version >= newest, "it went back"
                        newest = waits.version
                    else:
                        sums[key.decode()] += int(total(waits))
            assert sums == {"i": 160, "p": 40 * (0 + 1 + 2 + 3)}
            assert newest == 159


def brought(worker: Any) -> dict[bytes, Seen | None]:
    """Return all of a swap, settled: without looking at numbers that change meanwhile."""
    found = dict[bytes, Seen | None]()
    while True:
        swap = worker.ask(worker.want(100))
        worker.number = swap.number
        found |= {key: seen(key, record) for key, record in swap.entries}
        if swap.is_all:
            worker.ask(worker.want(0, delivered=list(found)))
            return found


class Refused(MapBase):
    """A parcel that does not go in now changes nothing, and goes in later."""

    def test_what_has_no_room_goes_in_later(self, tmp_path: Path) -> None:
        with self.map(tmp_path, limit=10) as shared:
            first = shared.sender.ops(*(newer(f"{n}", "a", 5) for n in range(8)))
            assert shared.send(first) is None
            parcel = shared.sender.ops(*(put(f"{n}", "b") for n in range(8, 11)))
            for _ in range(2):
                assert isinstance(shared.send(parcel), StorageFull)
                assert shared.waiting("8") is None
            assert shared.again(first) is None, "it is there, and takes no room"
            late = parcel._replace(known=20, first=21, last=23)
            assert isinstance(shared.send(late), Gap), "what is known is said before that"
            overlapping = parcel._replace(known=7, first=8)
            assert isinstance(shared.send(overlapping), Part)
            worker = shared.worker()
            worker.read()
            assert isinstance(shared.send(parcel), StorageFull), "what is in flight takes room"
            worker.settle("0", "1", "2", "3")
            assert shared.send(parcel) is None
            assert shared.held() == 7

    def test_more_than_all_room_goes_in_alone(self, tmp_path: Path) -> None:
        with self.map(tmp_path, limit=4) as shared:
            shared.write(put("a", "x"))
            parcel = shared.sender.ops(*(put(f"{n}", "b") for n in range(10)))
            assert isinstance(shared.send(parcel), StorageFull)
            worker = shared.worker()
            worker.cycle()
            assert shared.send(parcel) is None
            assert len(worker.cycle()) == 10
