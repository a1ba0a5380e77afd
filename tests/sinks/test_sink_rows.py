"""What sinks share: rows, the search for bad ones, and clients that are imported late."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import partitioned_buffer.sinks as public
from partitioned_buffer import Entry, InvalidOption
from partitioned_buffer.sinks.base import imported
from partitioned_buffer.sinks.halving import bad_of, find_bad
from partitioned_buffer.sinks.rows import Maker
from partitioned_buffer.testing.contract.base import raised


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ((1,), "a row of 1: expected 2 values (id, text)"),
        ((1, 2, 3), "a row of 3: expected 2 values (id, text)"),
        ({"id": 1}, "the row has no text"),
        ({}, "the row has no id, text"),
        ("ab", "a row of type str: expected a dict or a tuple"),
        (None, "a row of type NoneType: expected a dict or a tuple"),
    ],
)
def test_what_is_no_row_says_why(item: Any, why: str) -> None:
    made = Maker(["id", "text"], None)([(1, "one"), item, {"text": "three", "id": 3, "more": 0}])

    assert made.rows == [(1, "one"), (3, "three")]
    assert made.places == [0, 2]
    assert [str(error) for error in made.refused.values()] == [why]


@pytest.mark.parametrize("columns", [["id"], ["id", "text"]])
@pytest.mark.parametrize("kind", [dict, tuple, list, "mixed"])
def test_rows_of_all_kinds_are_the_same(columns: list[str], kind: Any) -> None:
    dicts = [{"text": str(n), "id": n} for n in range(4)]
    tuples = [tuple(row[name] for name in columns) for row in dicts]
    items = {dict: dicts, tuple: tuples, list: list(map(list, tuples))}.get(
        kind, [*dicts[:2], *tuples[2:]]
    )
    made = Maker(columns, None)(items)

    assert (made.rows, list(made.places), made.refused) == (tuples, [0, 1, 2, 3], {})


class Named(NamedTuple):
    id: int
    text: str


class Counting(tuple[Any, ...]):
    """Is gone through in its own way."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        if self[0] == 0:
            raise RuntimeError("not this one")
        return iter(("counted", self[1]))


class Longer(tuple[Any, ...]):
    """Has a length of its own."""

    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("no length")


def test_named_tuples_are_rows_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Maker, "_made")  # which looks
    made = Maker(["id", "text"], None)([Named(1, "one"), (2, "two"), Named(3, "three")])

    assert made.rows == [(1, "one"), (2, "two"), (3, "three")]
    assert {type(row) for row in made.rows} == {tuple}, "which databases take fastest"


def test_tuples_that_do_more_are_asked_one_by_one() -> None:
    made = Maker(["id", "text"], None)([Counting((0, "a")), Counting((1, "b"))])
    assert made.rows == [("counted", "b")]
    assert [str(error) for error in made.refused.values()] == ["not this one"]

    assert list(Maker(["id", "text"], None)([Longer((0, "a"))]).refused) == [0]


def test_what_is_bad_is_named_by_its_place_in_the_batch() -> None:
    made = Maker(["id"], None)([(1,), None, (2,), (3,)])
    failure = made.rejected({2: ValueError("three"), 0: ValueError("one")})

    assert failure is not None
    assert failure.by_place
    assert {place: str(error) for place, error in dict(failure.reject or ()).items()} == {
        0: "one",
        1: "a row of type NoneType: expected a dict or a tuple",
        3: "three",
    }
    assert Maker(["id"], None)([(1,)]).rejected({}) is None


def test_a_function_makes_rows_of_any_item() -> None:
    entries = {"a": Entry("a", 1, 0, 0), "b": Entry("b", 0, 0, 0)}
    made = Maker(["key", "half"], lambda entry: (entry.key, 1 / entry.value))(entries)

    assert made.rows == [("a", 1.0)]
    assert [str(error) for error in made.refused.values()] == ["division by zero"]
    assert all(error.__traceback__ is None for error in made.refused.values())


@pytest.mark.parametrize("columns", [None, ["id", "text", "more", "most"]])
def test_a_maps_entries_are_no_rows_by_themselves(columns: list[str] | None) -> None:
    with pytest.raises(InvalidOption, match=r"row=None: expected, for a Map, a function"):
        Maker(columns, None)([Entry("a", 1, 0, 0)])


@pytest.mark.parametrize("row", [3, "id", asyncio.sleep, (x for x in "ab").__iter__()])
def test_a_function_that_makes_rows_is_a_plain_one(row: Any) -> None:
    error = raised(InvalidOption, Maker, None, row)
    assert "expected a plain function" in str(error)


# --- the search for what is bad -------------------------------------------------------------------


@pytest.mark.parametrize("bad", [[0], [99], [50], [0, 99], [3, 4, 5], list(range(100)), []])
def test_what_is_bad_is_found_and_the_rest_goes_through_once_in_order(bad: list[int]) -> None:
    through, calls = list[int](), 0

    def attempt(part: range) -> ValueError | None:
        nonlocal calls
        calls += 1
        if refused := [number for number in part if number in bad]:
            return ValueError(f"{refused[0]} is bad")
        through.extend(part)
        return None

    found = bad_of(find_bad(100, ValueError("one of them is")), attempt)

    assert list(found) == bad
    assert through == [number for number in range(100) if number not in bad]
    assert all(str(error) == f"{number} is bad" for number, error in found.items())
    assert len(bad) > 1 or calls <= 2 * 7


def test_one_that_is_alone_is_not_tried_again() -> None:
    assert str(bad_of(find_bad(1, ValueError("bad")), lambda _: None)[0]) == "bad"


# --- clients --------------------------------------------------------------------------------------


def test_nothing_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, partitioned_buffer.sinks as sinks; sinks.SQLiteTable; sinks.JSONLines\n"
        "late = {'pyarrow', 'obstore', 'redis', 'asyncio'} & set(sys.modules)\n"
        "assert not late, late"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("name", public.__all__)
def test_each_sink_is_public(name: str) -> None:
    sink = getattr(public, name)
    assert (sink.__name__, sink.__module__) == (name, "partitioned_buffer.sinks")
    assert f"    {name} " in (public.__doc__ or "")


def test_there_are_no_others() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = public.Nothing


def test_a_client_that_is_not_installed_is_named_with_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'partitioned-buffer\[parquet\]'"):
        public.ParquetFiles(tmp_path, {"id": "int64"})
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ImportError, match=r"pip install 'partitioned-buffer\[objects\]'"):
        public.JSONLines("s3://bucket")
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.backoff", None)
    with pytest.raises(ImportError, match=r"pip install 'partitioned-buffer\[redis\]'"):
        public.RedisStream("redis://there", "s")
    assert imported("this", "none", "json").loads("1") == 1
