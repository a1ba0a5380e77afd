"""What a processor is given for each key, and lets go of: compiled, it is used again."""

import gc
import sys
import weakref
from typing import Any

import pytest
from implementations import Key, opened

from partitioned_buffer import Entry


def taken(made: Any, values: dict[Any, Any], size: int | None = None) -> Any:
    table = opened(made.MapTable())
    for key, value in values.items():
        table.put(key, value)
    table.swap()
    return table, table.take(size)


@pytest.mark.parametrize("size", [None, 3])
def test_who_keeps_an_entry_has_it_as_it_was(made: Any, size: int | None) -> None:
    numbers = range(5000)
    table, batch = taken(made, {number: str(number) for number in numbers}, size)
    kept = list(batch[:2])
    while batch:
        kept += batch[-1:]
        batch = table.take(size or 7)
    table.put("more", 1)
    table.swap()
    assert table.take() == [Entry("more", 1, 0, 0)]
    assert all(each.value == str(each.key) for each in kept)
    assert len({id(each) for each in kept}) >= len(kept) - 1  # the same once, where it is one batch


def test_entries_within_entries_end_however_many(made: Any) -> None:
    _others = taken(made, {number: number for number in range(3000)})  # so that none is spare
    chain: Any = None
    for number in range(1_000_000):
        chain = Entry(chain, number, 0, 0) if number % 2 else Entry(number, chain, 0, 0)
    table, batch = taken(made, {"k": chain})
    del chain
    assert batch[0].key == "k"
    del batch
    table.acknowledge()
    assert len(table) == 0


# Whatever the way is from one to the next: any field, and what Python itself ends at once.
LINKS: dict[str, Any] = {
    "version": lambda entry: Entry("k", 1, entry, 0),
    "updates": lambda entry: Entry("k", 1, 0, entry),
    "a bound method": lambda entry: Entry("k", entry._asdict, 0, 0),
    "an iterator": lambda entry: Entry("k", iter(entry), 0, 0),
    "a list": lambda entry: Entry("k", [entry], 0, 0),
}


@pytest.mark.parametrize("link", LINKS)
def test_entries_that_refer_to_each_other_by_other_ways_end_however_many(
    link: str, made: Any
) -> None:
    chain = Entry("k", 1, 0, 0)
    for _ in range(200_000):
        chain = LINKS[link](chain)
    table, batch = taken(made, {"k": chain})
    del chain, batch
    table.acknowledge()


def test_those_that_refer_to_themselves_are_collected(made: Any) -> None:
    class Value:
        entry: Any = None

    value = Value()
    table, (value.entry,) = taken(made, {"k": value})
    gone = weakref.ref(value)
    table.acknowledge()
    del value
    gc.collect()
    assert gone() is None


def test_what_ends_with_an_entry_may_write_and_take(made: Any) -> None:
    table, other = opened(made.MapTable()), opened(made.MapTable())
    other.put("left", 0)

    class Last:
        def __del__(self) -> None:
            other.acknowledge()
            other.swap()
            seen.extend(other.take() or ())
            other.put(f"written {len(seen)}", 1)

    seen = list[Any]()
    for number in range(40):
        table.put(number, Last())
    table.swap()
    while table.take(4):
        pass
    assert [each.key for each in seen] == ["left", *(f"written {n}" for n in range(1, 40))]
    assert other.counts()["accepted"] == 41


class Own(Entry[str, int]):
    """Somebody's own, with attributes."""

    note: str


def test_subclasses_and_odd_ones_end_as_ever() -> None:
    before = sys.getrefcount(Own)
    for number in range(3000):
        own = Own("k", number, 0, 0)
        own.note = "mine"
        assert own._replace(value=0).key == "k"
        odd = tuple.__new__(Entry, range(number % 7))
        assert len(odd) == number % 7
    del own, odd
    assert abs(sys.getrefcount(Own) - before) < 10

    class Late(Entry[str, int]):
        def __del__(self) -> None:
            late.append(self)

    late = list[Entry[str, int]]()
    Late("k", 1, 0, 0)
    assert late == [("k", 1, 0, 0)]


def test_a_class_that_was_given_a_finalizer_has_it_called(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, again = list[Any](), list[Any]()

    def last(self: Any) -> None:
        late.append(self[0])
        again.append(self)

    table, batch = taken(made, {"a": 1, "b": 2})
    with monkeypatch.context() as patch:
        patch.setattr(Entry, "__del__", last, raising=False)
        batch.clear()
    assert sorted(late) == ["a", "b"]
    assert sorted(again) == [("a", 1, 0, 0), ("b", 2, 0, 0)]
    table.acknowledge()


def test_the_class_is_referred_to_by_those_there_are(made: Any) -> None:
    before = sys.getrefcount(Entry)
    for _ in range(5):
        table, batch = taken(made, dict.fromkeys(range(5000), 1))
        while batch:
            batch = table.take(100)
    assert sys.getrefcount(Entry) - before < 1100  # the spare ones


def test_a_whole_table_is_a_dict_where_its_keys_hash_without_code(made: Any) -> None:
    table = opened(made.MapTable())
    for number in range(3000):  # more than is made in one step
        table.put(number, -number, number + 1 if number % 3 else None)
    table.put((1, "x"), 0)
    table.delete(7)
    table.swap()
    whole = table.take_table()
    assert type(whole) is dict
    assert list(whole) == [*(each for each in range(3000) if each != 7), (1, "x")]
    assert all(entry == Entry(key, entry.value, entry.version, 0) for key, entry in whole.items())
    assert (whole[3], whole[4]) == (Entry(3, -3, 0, 0), Entry(4, -4, 5, 0))
    assert type(whole[3]) is Entry

    table.put(3, "newer")
    table.put(4, "newest", 9)
    table.keep()
    table.swap()
    again = table.take_table()
    assert (again[3], again[4]) == (Entry(3, "newer", 0, 0), Entry(4, "newest", 9, 1))
    assert (len(again), table.take_table()) == (3000, None)


def test_a_whole_table_is_a_list_where_a_key_has_code_of_its_own(made: Any) -> None:
    table, own = opened(made.MapTable()), Key(1)
    table.put("a", 1)
    table.put(own, 2)
    table.swap()
    assert table.take_table() == [Entry("a", 1, 0, 0), Entry(own, 2, 0, 0)]
    table.acknowledge()
    table.put("b", 3)
    table.swap()
    assert table.take_table() == {"b": Entry("b", 3, 0, 0)}
