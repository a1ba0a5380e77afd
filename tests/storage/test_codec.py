"""Items by msgspec: what comes back as what, what raises at the push, what is in a chunk."""

import dataclasses
import datetime as dt
import enum
import uuid
from collections import OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypedDict

import pytest

pytest.importorskip("msgspec")
import msgspec

from partitioned_buffer.errors import Undecodable
from partitioned_buffer.storage.codec import Failed, make_codec


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Event:
    user: str
    at: dt.datetime
    tags: tuple[str, ...] = ()


@dataclasses.dataclass
class Late(Event):
    by: float = 0.0


class Price(msgspec.Struct):
    amount: Decimal
    of: uuid.UUID


class Row(TypedDict):
    when: dt.date
    kinds: set[Colour]


class Text(str):
    __slots__ = ()


class Whole(int): ...


class Plain: ...


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError


NAIVE = dt.datetime(2020, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001
UTC = NAIVE.replace(tzinfo=dt.UTC)
EAST = NAIVE.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))
ONE = uuid.UUID(int=1)
EVENT = Event("ada", NAIVE, ("a", "b"))

THE_SAME: list[Any] = [
    None, True, False, 0, -1, 2**63, 2**64 - 1, -(2**63), 1.5, float("inf"), -0.0, "", "é\0", b"",
    b"\xff", [], [1, [2]], {}, {"a": {"b": []}}, UTC,
    {1: 2, None: 3, b"x": 4, 1.5: 5, (1, (2, 3)): 6},
]  # fmt: skip

CHANGED: list[tuple[Any, Any]] = [
    ((1, (2,)), [1, [2]]),
    (Point(1, 2), [1, 2]),
    ({1}, [1]),
    (frozenset({1}), [1]),
    (bytearray(b"x"), b"x"),
    (memoryview(b"x"), b"x"),
    (NAIVE, "2020-01-02T03:04:05.000006"),
    (EAST, UTC - dt.timedelta(hours=2)),
    (NAIVE.date(), "2020-01-02"),
    (NAIVE.time(), "03:04:05.000006"),
    (dt.timedelta(seconds=90), "PT90S"),
    (Decimal("1.10"), "1.10"),
    (ONE, str(ONE)),
    (Colour.RED, "red"),
    (Level.LOW, 1),
    (EVENT, {"user": "ada", "at": "2020-01-02T03:04:05.000006", "tags": ["a", "b"]}),
    (Price(Decimal(1), ONE), {"amount": "1", "of": str(ONE)}),
    (OrderedDict(a=1), {"a": 1}),
    ({ONE: 1}, {str(ONE): 1}),
    ({Text("a"): 1}, {"a": 1}),
]

LOOP: list[Any] = []
LOOP.append(LOOP)

REFUSED: list[Any] = [
    2**64, -(2**63) - 1, "\ud800", object(), Plain(), Text("a"), Whole(1), 1j, int,
    Fraction(1, 2), deque([1]), range(3), iter([]), ValueError("x"), LOOP, Event("ada", Plain()),  # type: ignore[arg-type]
]  # fmt: skip


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("item", THE_SAME, ids=repr)
def test_these_come_back_as_they_were(item: Any) -> None:
    codec = make_codec()

    assert same(codec.decode(codec.join([codec.encode(item)]), 1), [item])
    assert same(codec.decode(codec.pack([item, item]), 2), [item, item])


@pytest.mark.parametrize(("item", "back"), CHANGED, ids=lambda each: repr(each)[:40])
def test_these_come_back_as_what_is_nearest(item: Any, back: Any) -> None:
    codec = make_codec()

    assert same(codec.decode(codec.pack([item]), 1), [back])


@pytest.mark.parametrize("item", REFUSED, ids=lambda each: type(each).__name__)
def test_these_raise_at_the_push(item: Any) -> None:
    codec = make_codec()

    with pytest.raises(TypeError, match="item cannot be stored") as raised:
        codec.encode(item)
    assert raised.value.__cause__ is not None
    assert "codec=(encode, decode)" in str(raised.value)
    for way in (codec.encode_all, codec.pack):
        with pytest.raises(TypeError, match=r"item 1 of 3 \(from 0\) cannot be stored"):
            way([1, item, object()])


def test_an_error_names_the_item_and_is_short() -> None:
    codec = make_codec()

    with pytest.raises(TypeError, match=r"\{'user': <.*object.*>\}: TypeError: Encoding objects"):
        codec.encode({"user": object()})
    with pytest.raises(TypeError) as raised:
        codec.encode(["x" * 10_000, {"y": list(range(10_000))}, Plain()])
    assert len(str(raised.value)) < 600
    with pytest.raises(TypeError, match="Nameless"):
        codec.encode(Nameless())


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (Event, EVENT),
        (Event, Event("ada", EAST)),
        (Price, Price(Decimal("1.10"), ONE)),
        (Row, {"when": NAIVE.date(), "kinds": {Colour.RED}}),
        (Point, Point(1, 2)),
        (tuple[int, ...], (1, 2)),
        (dict[uuid.UUID, frozenset[int]], {ONE: frozenset({1})}),
        (Colour, Colour.RED),
        (Level, Level.LOW),
        (bytearray, bytearray(b"x")),
        (dt.timedelta, dt.timedelta(days=1)),
        (Event | None, None),
    ],
)
def test_items_of_a_type_come_back_as_themselves(kind: Any, item: Any) -> None:
    codec = make_codec(kind)

    for data in (codec.join([codec.encode(item)]), codec.pack([item]), codec.pack((item,))):
        (back,) = codec.decode(data, 1)
        assert type(back) is type(item)
        assert back == item


@pytest.mark.parametrize(
    ("kind", "item", "why"),
    [
        (Event, {"user": "ada"}, "missing required field"),
        (Event, {"user": "ada", "at": NAIVE}, "would come back as Event"),
        (Event, Event("ada", "today"), "Invalid RFC3339"),  # type: ignore[arg-type]
        (Event, Event(7, NAIVE), "Expected `str`, got `int`"),  # type: ignore[arg-type]
        (Event, Late("ada", NAIVE, by=1.0), "is a Late and would come back as Event"),
        (list[int], (1, 2), r"is a tuple and would come back as \[1, 2\]"),
        (Event, None, "Expected `object`, got `None`"),
        (int, "1", "Expected `int`"),
    ],
)
def test_what_would_not_come_back_as_the_type_raises_at_the_push(
    kind: Any, item: Any, why: str
) -> None:
    codec = make_codec(kind)
    good = EVENT if kind is Event else [1] if kind == list[int] else 1

    with pytest.raises(TypeError, match=why):
        codec.encode(item)
    for way in (codec.encode_all, codec.pack):
        with pytest.raises(TypeError, match=f"item 1 of 2 .*{why}"):
            way([good, item])


def test_what_is_equal_in_another_type_is_taken() -> None:
    codec = make_codec(float)

    assert codec.decode(codec.pack([1, 2.5]), 2) == [1.0, 2.5]
    assert codec.encode_all([1, 2.5]) == [codec.encode(1), codec.encode(2.5)]


def test_checks_are_a_types_and_can_be_asked_for() -> None:
    key = dataclasses.make_dataclass("Key", ["x"], frozen=True)(1)  # no key of what comes back

    assert make_codec(Event, checks=False).encode({"user": 1})
    assert make_codec().encode({key: 1})
    with pytest.raises(TypeError, match=r"item cannot be stored.*hashable"):
        make_codec(checks=True).encode({key: 1})
    with pytest.raises(TypeError, match=r"item 1 of 2.*hashable"):
        make_codec(checks=True).pack([1, {key: 1}])
    assert make_codec(checks=True).encode((1,)) == b"\x91\x01"
    assert make_codec(checks=True).encode_all([(1,)]) == [b"\x91\x01"]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65_535, 65_536])
def test_a_chunk_is_the_encoding_of_the_list(count: int) -> None:
    codec, items = make_codec(), [each % 300 for each in range(count)]
    records = codec.encode_all(items)
    data = msgspec.msgpack.encode(items)

    assert codec.join(records) == codec.pack(items) == data
    assert codec.pack(deque(items)) == data
    assert codec.split(data) == records
    assert codec.decode(data, count) == items


def test_items_may_be_any_sequence() -> None:
    codec = make_codec()

    assert codec.decode(codec.pack("abc"), 3) == ["a", "b", "c"]
    assert codec.decode(codec.pack((1, 2)), 2) == [1, 2]
    assert codec.encode_all("ab") == [b"\xa1a", b"\xa1b"]


@pytest.mark.parametrize("data", [b"", b"\x91", b"\x92\x01", b"\x91\x01\x01", b"\x01", b"\x91\xc1"])
def test_what_is_no_chunk_raises_one_error(data: bytes) -> None:
    codec = make_codec()

    for way in (codec.decode, codec.decode_each):
        with pytest.raises(Undecodable, match=r"msgspec\.msgpack"):
            way(data, 1)
    with pytest.raises(Undecodable, match="a chunk of the codec"):
        codec.split(data)


def test_another_number_of_records_is_no_chunk() -> None:
    codec = make_codec()

    for way in (codec.decode, codec.decode_each):
        with pytest.raises(Undecodable, match=r"3 records .* expected: there are 2"):
            way(codec.pack([1, 2]), 3)


def test_a_changed_type_takes_no_other_record_along() -> None:
    new, old = make_codec(Event), make_codec()
    ada, bob = old.encode(EVENT), old.encode({"name": "bob"})
    data = new.join([ada, bob, ada])

    with pytest.raises(Undecodable, match=r"3 records .*missing required field"):
        new.decode(data, 3)
    items, failed = new.decode_each(data, 3)
    assert items == [(0, EVENT), (2, EVENT)]
    assert [each[:2] for each in failed] == [(1, bob)]
    assert isinstance(failed[0], Failed)
    assert "missing required field" in str(failed[0].error)


def test_what_a_class_raises_when_it_is_made_is_said_too() -> None:
    class Odd(msgspec.Struct):
        n: int

        def __post_init__(self) -> None:
            if self.n % 2 == 0:
                raise KeyError(self.n)

    codec = make_codec(Odd, name="odd")
    data = make_codec().pack([{"n": 1}, {"n": 2}])

    with pytest.raises(Undecodable, match="KeyError: 2"):
        codec.decode(data, 2)
    assert [each.place for each in codec.decode_each(data, 2).failed] == [1]


def test_no_memory_is_not_the_datas_fault() -> None:
    def out_of_memory(_: Any) -> Any:
        raise MemoryError

    codec = make_codec((out_of_memory, out_of_memory), name="greedy")
    data = codec.join([b"x"])
    for way in (codec.encode, codec.encode_all, codec.pack):
        with pytest.raises(MemoryError):
            way([1])
    for back in (codec.decode, codec.decode_each):
        with pytest.raises(MemoryError):
            back(data, 1)
