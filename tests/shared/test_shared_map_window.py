"""What a worker has in hand of a Map's partition, when the server gives it some of it again."""

from collections.abc import Iterator
from typing import Any

from helpers import KINDS

from partitioned_buffer._core.sharing.work.map_window import MapWindow
from partitioned_buffer.abc.shared_map import HEAD, PUT, MapOp
from partitioned_buffer.abc.sharing import Claim, SharedTerms, Swap
from partitioned_buffer.testing import RecordingProcessor
from partitioned_buffer.testing.sharing import SharedDict


class SettledMeanwhile(list[MapOp]):
    """Entries of which the processor has had some by the time that they are looked at."""

    def __init__(self, entries: list[MapOp], table: Any) -> None:
        super().__init__(entries)
        self._table = table

    def __iter__(self) -> Iterator[MapOp]:
        self._table.acknowledge()
        return super().__iter__()


def test_what_is_settled_while_it_comes_again_is_not_delivered_again() -> None:
    shared = SharedDict(partitions=1)
    store = shared.share(SharedTerms("window", "Map", None, "host:1"))
    made = KINDS["threads"]["map"]("window", RecordingProcessor(), storage=shared)
    claim = Claim(0, 0, 1, until=float("inf"))
    window = MapWindow(claim, made._settings, 10)
    record = HEAD.pack(PUT, 0, 0, 0, 7) + shared.codec.encode(1)
    a, b = map(shared.keys.encode, "ab")
    entries = [(a, record), (b, record)]
    window.took(store, window.want(), Swap(1, entries, False, 2, 0), lambda: None)
    table = window.table
    table.open(lambda: None, None)
    assert table.swap() == 2
    assert [entry.key for entry in table.take(1)] == ["a"]
    want = window.want()
    again = SettledMeanwhile(entries, table)
    window.took(store, want, Swap(1, again, True, 2, 0), lambda: None)
    assert [entry.key for entry in table.take(None)] == ["b"]
    assert (table.swap(), len(table)) == (1, 1)
    assert window.want().delivered == [a]


def test_what_is_settled_of_an_earlier_swap_settles_nothing_of_a_later_one() -> None:
    """It was deleted on the server, and written again, while the processor had it."""
    shared = SharedDict(partitions=1)
    store = shared.share(SharedTerms("later", "Map", None, "host:1"))
    made = KINDS["threads"]["map"]("later", RecordingProcessor(), storage=shared)
    window = MapWindow(Claim(0, 0, 1, until=float("inf")), made._settings, 10)
    records = [HEAD.pack(PUT, 0, 0, 0, 7) + shared.codec.encode(value) for value in (1, 2)]
    a, table = shared.keys.encode("a"), window.table
    window.took(store, window.want(), Swap(1, [(a, records[0])], True, 1, 0), lambda: None)
    table.open(lambda: None, None)
    table.swap()
    assert [entry.value for entry in table.take(None)] == [1]
    assert not window.want().may_swap
    window.took(store, window.want(), Swap(2, [(a, records[1])], True, 1, 0), lambda: None)
    table.acknowledge()
    assert window.want().delivered == []
    table.swap()
    assert [entry.value for entry in table.take(None)] == [2]
    table.acknowledge()
    assert window.want().delivered == [a]
    assert window.want().may_swap
