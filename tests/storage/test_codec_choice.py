"""What `codec=` takes, what it is called in the file; functions, and pickle."""

import dataclasses
import functools
import json
import pickle
import struct
import sys
import zlib
from typing import Annotated, Any, Literal, NewType, Optional

import pytest

from partitioned_buffer.errors import InvalidOption, StorageError, Undecodable
from partitioned_buffer.storage.codec import make_codec, name_of

Id = NewType("Id", int)


@dataclasses.dataclass
class Event:
    n: int


class Plain:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain)

    __hash__ = None  # type: ignore[assignment]


@dataclasses.dataclass
class Holder:
    of: dict[str, list[Plain]]


@dataclasses.dataclass
class Node:
    inner: "list[Node]"


def to_json(item: Any) -> bytes:
    return json.dumps(item).encode()


JSON = (to_json, json.loads)


def refused(codec: Any, *words: str, **options: Any) -> None:
    with pytest.raises(InvalidOption) as raised:
        make_codec(codec, **options)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Event, f"{__name__}.Event"),
        (int, "int"),
        (list[Event], f"list[{__name__}.Event]"),
        (Event | None, f"None | {__name__}.Event"),
        (Optional[Event], f"None | {__name__}.Event"),  # noqa: UP045
        (None | Event, f"None | {__name__}.Event"),
        (dict[str, tuple[int, ...]], "dict[str, tuple[int, ...]]"),
        (Annotated[int, "positive"], "int"),
        (Literal["b", "a"], "Literal['a', 'b']"),
        (Id, f"{__name__}.Id"),
        (Any, "typing.Any"),
    ],
)
def test_a_type_is_named_by_where_it_is_defined(kind: Any, name: str) -> None:
    assert name_of(kind) == name


def test_names_are_what_a_file_remembers() -> None:
    pytest.importorskip("msgspec")

    assert make_codec().name == "msgspec.msgpack"
    assert make_codec(Event).name == f"msgspec.msgpack:{__name__}.Event"
    assert make_codec(Id).name == f"msgspec.msgpack:{__name__}.Id"
    assert make_codec(Event, name="events").name == "events"
    assert make_codec(name="mine").name == "mine"


def test_functions_are_named_too() -> None:
    assert make_codec("pickle").name == "pickle"
    assert make_codec("pickle", name="old").name == "old"
    assert make_codec(JSON).name == f"pair:{__name__}.to_json,json.loads"
    assert make_codec(JSON, name="json").name == "json"
    assert make_codec((str.encode, bytes.decode)).name == "pair:builtins.str.encode,builtins.bytes.decode"  # fmt: skip  # noqa: E501
    assert make_codec((zlib.compress, zlib.decompress)).name == "pair:zlib.compress,zlib.decompress"
    bound = json.JSONDecoder().decode
    assert make_codec((to_json, bound)).name.endswith(",json.decoder.JSONDecoder.decode")
    nameless = functools.partial(json.loads)
    refused((to_json, nameless), "has no name", "name=")
    assert make_codec((to_json, nameless), name="json 1").name == "json 1"


@pytest.mark.parametrize(
    "codec", ["json", "", 3, print, object(), pickle, [str.encode, bytes.decode], (1, 2),
              (to_json,), (to_json, json.loads, "json"), b"pickle", {}],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_expected(codec: Any) -> None:
    refused(codec, f"codec={codec!r}", "(encode, decode)", '"pickle"', "a dataclass")


def test_two_types_are_no_pair() -> None:
    refused((Event, Holder), "no function to bytes", "A | B")
    assert make_codec((bytes, bytes)).encode(b"x") == b"x"


@pytest.mark.parametrize("name", ["", 3, b"x"])
def test_a_name_is_a_text(name: Any) -> None:
    refused(JSON, f"name={name!r}", name=name)


def test_a_codec_is_taken_as_it_is() -> None:
    codec = make_codec(JSON)

    assert make_codec(codec) is codec
    refused(codec, "is made", name="x")
    refused(codec, "is made", checks=True)


@pytest.mark.parametrize(
    ("codec", "culprit"),
    [(Plain, "Plain"), (list[Plain], "Plain"), (Holder, "Plain"), (complex, "complex")],
)
def test_a_type_that_could_not_be_decoded_is_refused_when_it_is_given(
    codec: Any, culprit: str
) -> None:
    pytest.importorskip("msgspec")

    refused(codec, culprit, "expected a dataclass", "pydantic")


def test_a_type_may_hold_itself_and_anything() -> None:
    pytest.importorskip("msgspec")
    node = Node([Node([])])

    assert make_codec(Node).decode(make_codec(Node).pack([node]), 1) == [node]
    for anything in (Any, object):
        codec = make_codec(anything)
        assert codec.decode(codec.pack([[1, "a"]]), 1) == [[1, "a"]]
    refused(Event | Holder, "not supported", "expected a type that msgspec decodes")


@pytest.mark.parametrize("codec", [None, Event])
def test_without_msgspec_the_error_says_what_to_do(
    codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)

    refused(codec, "pip install 'partitioned-buffer[sqlite]'", "(encode, decode)", "pickle")
    assert make_codec(JSON).encode(1) == b"1"
    assert make_codec("pickle").encode(1)


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_records_of_functions_are_told_apart(count: int) -> None:
    codec, items = make_codec(JSON), ["x" * (each % 7) for each in range(count)]
    records = codec.encode_all(items)
    data = codec.join(records)

    assert records == [to_json(item) for item in items]
    assert data == codec.pack(items)
    assert len(data) == 4 + 4 * count + sum(map(len, records))
    assert codec.split(data) == records
    assert codec.decode(data, count) == items
    assert codec.decode_each(data, count) == (list(enumerate(items)), [])


def test_empty_records_are_records() -> None:
    codec = make_codec((str.encode, bytes.decode))

    assert codec.decode(codec.pack(["", "a", ""]), 3) == ["", "a", ""]


@pytest.mark.parametrize("given", ["x", bytearray(b"x"), memoryview(b"x"), None, 3])
def test_what_encode_returns_has_to_be_bytes(given: Any) -> None:
    codec = make_codec((lambda item: item, bytes.decode))

    with pytest.raises(TypeError, match=f"encoded to {type(given).__name__}: expected bytes"):
        codec.encode(given)
    for way in (codec.encode_all, codec.pack):
        with pytest.raises(TypeError, match=r"item 1 of 3 .* expected bytes"):
            way([b"", given, b""])


def test_what_encode_raises_names_the_item() -> None:
    codec = make_codec(JSON)

    with pytest.raises(TypeError, match=r"item 2 of 3 .* \{1, 2\}: TypeError: Object of type set"):
        codec.pack([1, 2, {1, 2}])


def test_what_decodes_at_the_push_if_asked_for() -> None:
    codec = make_codec((str.encode, json.loads), checks=True)

    assert codec.encode_all(["1", "2"]) == [b"1", b"2"]
    with pytest.raises(TypeError, match="JSONDecodeError"):
        codec.encode("no")
    with pytest.raises(TypeError, match=r"item 1 of 2 .*JSONDecodeError"):
        codec.encode_all(["1", "no"])


@pytest.mark.parametrize(
    "data",
    [b"", b"\1\0\0\0", b"\0\0\0\0x", b"\xff\xff\xff\xff", struct.pack("<2I", 1, 2) + b"x",
     struct.pack("<2I", 1, 2) + b"xyz"],
)  # fmt: skip
def test_what_is_not_framed_raises_one_error(data: bytes) -> None:
    codec = make_codec(JSON)

    with pytest.raises(Undecodable, match="pair:"):
        codec.decode(data, 1)
    with pytest.raises(Undecodable):
        codec.split(data)
    with pytest.raises(StorageError):
        codec.decode_each(data, 1)


def test_one_bad_record_takes_no_other_along() -> None:
    codec = make_codec(JSON)
    data = codec.join([b"1", b"{", b"3"])

    with pytest.raises(Undecodable, match=r"3 records .*JSONDecodeError"):
        codec.decode(data, 3)
    items, failed = codec.decode_each(data, 3)
    assert items == [(0, 1), (2, 3)]
    assert [(place, record) for place, record, _ in failed] == [(1, b"{")]
    with pytest.raises(Undecodable, match="there are 3"):
        codec.decode_each(data, 2)


def test_pickle_takes_what_can_be_pickled() -> None:
    codec = make_codec("pickle")
    items = [Event(1), {1, 2}, 2**70, (1, (2,)), "\ud800", Plain()]

    assert codec.decode(codec.pack(items), 6) == items
    assert codec.encode(1) == pickle.dumps(1, 5)
    with pytest.raises(TypeError, match=r"item 1 of 2 .*lambda"):
        codec.encode_all([1, lambda: 1])


class Forgetful(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(one)


def test_pickles_that_cannot_be_read_raise_at_the_push_if_asked_for() -> None:
    assert make_codec("pickle").encode(Forgetful(1, 2))
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        make_codec("pickle", checks=True).encode(Forgetful(1, 2))


def test_a_class_that_is_gone_takes_no_other_record_along() -> None:
    codec = make_codec("pickle")
    gone = codec.encode(Event(1)).replace(b"Event", b"Evont")
    data = codec.join([codec.encode(1), gone])

    with pytest.raises(Undecodable, match="AttributeError"):
        codec.decode(data, 2)
    assert codec.decode_each(data, 2).items == [(0, 1)]
    assert pickle.loads(pickle.dumps(Undecodable("x"))).args == ("x",)
