"""Whatever Hypothesis thinks of comes back, in any chunk; a bad record among good ones is found."""

import dataclasses
import datetime as dt
import enum
import json
import uuid
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("msgspec")
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from partitioned_buffer.errors import Undecodable
from partitioned_buffer.storage.codec import Codec, make_codec
from partitioned_buffer.storage.keys import make_keys
from partitioned_buffer.storage.stable_hash import residue, stable_hash

text = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | text
    | st.binary(max_size=40)
)
plain_keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple))
items = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars, inner, max_size=4)
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Event:
    user: str
    at: dt.datetime
    price: Decimal
    of: uuid.UUID
    tags: tuple[str, ...]
    days: dict[dt.date, int]
    colour: Colour | None


events = st.builds(
    Event,
    text,
    st.datetimes().map(lambda at: at.replace(fold=0)),  # which is not kept
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.lists(text, max_size=3).map(tuple),
    st.dictionaries(st.dates(), st.integers(0, 9), max_size=3),
    st.none() | st.sampled_from(Colour),
)

UNTYPED = make_codec()
TYPED = make_codec(Event)
PICKLE = make_codec("pickle")
PAIR = make_codec((lambda item: json.dumps(item).encode(), json.loads))


def comes_back(codec: Codec, given: list[Any]) -> None:
    records = codec.encode_all(given)
    data = codec.join(records)

    assert data == codec.pack(given)
    assert codec.split(data) == records == list(map(codec.encode, given))
    back = codec.decode(data, len(given))
    assert repr(back) == repr(given)
    assert codec.decode_each(data, len(given)) == (list(enumerate(back)), [])


@given(st.lists(items, max_size=20))
def test_items_come_back(given: list[Any]) -> None:
    comes_back(UNTYPED, given)
    comes_back(PICKLE, given)
    assert UNTYPED.pack(given) == msgspec.msgpack.encode(given)


@given(st.lists(events, max_size=5))
def test_items_of_a_type_come_back(given: list[Event]) -> None:
    comes_back(TYPED, given)
    comes_back(PICKLE, given)


@given(st.lists(text, max_size=20))
def test_items_by_functions_come_back(given: list[str]) -> None:
    comes_back(PAIR, given)


@given(st.lists(text | st.just(object()), max_size=20))
def test_the_first_that_cannot_be_stored_is_named(given: list[Any]) -> None:
    bad = [place for place, item in enumerate(given) if not isinstance(item, str)]

    for codec in (UNTYPED, PAIR):
        for way in (codec.encode_all, codec.pack):
            if bad:
                with pytest.raises(TypeError, match=rf"item {bad[0]} of {len(given)} "):
                    way(given)
            else:
                way(given)


@given(st.lists(events | text, min_size=1, max_size=8))
def test_records_that_do_not_decode_are_told_apart(given: list[Any]) -> None:
    data = UNTYPED.pack(given)
    items, failed = TYPED.decode_each(data, len(given))

    assert items == [pair for pair in enumerate(given) if isinstance(pair[1], Event)]
    assert [each.place for each in failed] == [
        place for place, item in enumerate(given) if not isinstance(item, Event)
    ]
    assert all(each.record == UNTYPED.encode(given[each.place]) for each in failed)


@given(st.binary(max_size=60), st.integers(0, 5))
def test_noise_raises_one_error_or_is_items(data: bytes, count: int) -> None:
    for codec in (UNTYPED, TYPED, PAIR):
        for way in (codec.decode, codec.decode_each):
            with suppress(Undecodable):
                way(data, count)


@given(plain_keys)
def test_keys_come_back_as_themselves(key: Any) -> None:
    for codec in (UNTYPED, PAIR, PICKLE):
        keys = make_keys(codec)
        back = keys.decode(keys.encode(key))
        assert repr(back) == repr(key)
    raw = b"\x81" + make_keys(UNTYPED).encode(key) + b"\x01"
    assert raw == msgspec.msgpack.encode({key: 1})


numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.booleans(),
)
moments = st.datetimes(timezones=st.timezones())


@given(numbers)
def test_numbers_hash_by_what_they_equal(number: Any) -> None:
    assert residue(number) == hash(number)
    if abs(number) != float("inf"):
        assert stable_hash(Fraction(number)) == stable_hash(number)


@given(
    st.lists(
        plain_keys | st.dates() | st.datetimes(timezones=st.timezones()) | st.times(), max_size=6
    )
)
def test_equal_keys_hash_alike(keys: list[Any]) -> None:
    for one in keys:
        for other in keys:
            if one == other:
                assert stable_hash(one) == stable_hash(other)
                assert stable_hash((one, 1)) == stable_hash((other, True))


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False), st.timezones())
def test_a_moment_hashes_alike_wherever_it_is_told(moment: dt.datetime, zone: Any) -> None:
    try:
        other = moment.astimezone(zone)
    except OverflowError:
        return
    if other == moment and hash(other) == hash(moment):
        assert stable_hash(other) == stable_hash(moment)
