"""Many entries, dealt out to the tables of their keys in C: as Python does it, or not at all."""

import random
import uuid
from typing import Any

import pytest
from implementations import Key, load

NOT_FOR_C: list[Any] = [
    (pair for pair in [(1, 1)]),
    ((1, 1),),
    [(1, 1), [2, 2]],
    [(1, 1), (2, 2, 2)],
    [(1, 1), 5],
    type("Pairs", (dict,), {})({1: 1}),
    type("Listed", (list,), {})([(1, 1)]),
    None,
    5,
]


def equipped(
    name: str, slots: int = 7, weigh: Any = None, made: str = "c"
) -> tuple[Any, tuple[Any, ...]]:
    found = load(made)
    tables = [found.MapTable() for _ in range(3)]
    writer = getattr(found, name)()
    shares = tuple(tables[slot % 3] for slot in range(slots))
    writer._equip(tuple(tables), shares, lambda *_: tables[0], weigh, print)
    return writer, shares


def keys(rng: random.Random) -> Any:
    kind = rng.randrange(5)
    number = rng.randrange(-40, 40)
    return [number, str(number), (number, "x"), uuid.UUID(int=number + 40), Key(number)][kind]


def expected(shares: tuple[Any, ...], entries: list[Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value, *version in entries:
        table = shares[hash(key) % len(shares)]
        groups.setdefault(table, []).append((key, value, *(version or [None]), 0))
    return groups


@pytest.mark.parametrize("name", ["MapWriter", "AsyncMapWriter"])
@pytest.mark.parametrize("how", ["pairs", "dict", "triples"])
def test_what_is_dealt_is_where_each_key_belongs(name: str, how: str) -> None:
    for seed in range(50):
        rng = random.Random(seed)
        writer, shares = equipped(name, slots=rng.choice([1, 3, 64]))
        more = [9] if how == "triples" else []
        entries: list[Any] = [(keys(rng), n, *more) for n in range(rng.choice([0, 1, 40]))]
        given = dict(entries) if how == "dict" else entries
        entries = list(given.items()) if isinstance(given, dict) else entries

        dealt = writer._deal(given, how == "triples")

        assert list(dealt.items()) == list(expected(shares, entries).items())


@pytest.mark.parametrize("entries", NOT_FOR_C, ids=lambda each: type(each).__name__)
def test_what_is_not_as_simple_is_left_to_others(entries: Any) -> None:
    assert equipped("MapWriter")[0]._deal(entries, False) is None


@pytest.mark.parametrize("version", [True, "5", 5.0, None, type("Number", (int,), {})(5)])
def test_versions_of_other_kinds_are_left_to_others(version: Any) -> None:
    assert equipped("MapWriter")[0]._deal([(1, 1, 4), (2, 2, version)], True) is None


def test_weights_and_keys_for_partitions_are_left_to_others() -> None:
    assert equipped("MapWriter", weigh=lambda _: 1)[0]._deal([(1, 1)], False) is None
    writer = load("c").MapWriter()
    writer._equip((load("c").MapTable(),), None, lambda *_: None, None, print)
    assert writer._deal([(1, 1)], False) is None


def test_plain_python_leaves_all_to_others() -> None:
    assert equipped("MapWriter", made="python")[0]._deal([(1, 1)], False) is None


@pytest.mark.parametrize("given", [list, dict])
def test_a_key_that_changes_what_was_given_changes_nothing_of_it(given: Any) -> None:
    class Clearing:
        def __hash__(self) -> int:
            entries.clear()
            return 1

    keys = [Clearing() for _ in range(30)]
    entries: Any = []
    entries = given([(key, number) for number, key in enumerate(keys)])
    if given is dict:  # whose making hashes, too
        entries |= {key: number for number, key in enumerate(keys)}
    before = len(entries)

    dealt = equipped("MapWriter")[0]._deal(entries, False)

    assert not entries
    assert sum(map(len, dealt.values())) == before


def test_what_a_hash_raises_is_raised() -> None:
    class Wrong:
        def __hash__(self) -> int:
            raise LookupError("no hash")

    with pytest.raises(LookupError):
        equipped("MapWriter")[0]._deal([(1, 1), (Wrong(), 2)], False)
    with pytest.raises(TypeError, match="unhashable"):
        equipped("MapWriter")[0]._deal([(1, 1), ([], 2)], False)
