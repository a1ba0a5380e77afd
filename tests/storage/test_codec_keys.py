"""A Map's keys come back as themselves, or are refused; and their hash is every process's."""

import datetime as dt
import enum
import os
import subprocess
import sys
import uuid
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import pytest

from partitioned_buffer.errors import Undecodable
from partitioned_buffer.storage.codec import make_codec
from partitioned_buffer.storage.keys import Keys, is_itself, make_keys
from partitioned_buffer.storage.stable_hash import canonical, residue, stable_hash


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    ADA = "ada"


class Share(float, enum.Enum):
    HALF = 0.5


class Mode(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


class Folded(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


class Autumn(dt.tzinfo):
    """When clocks go back: an hour comes twice."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=2 - (when.fold if when else 0))

    def dst(self, when: dt.datetime | None) -> None: ...

    def tzname(self, when: dt.datetime | None) -> None: ...


ONE = uuid.UUID(int=1)
NOON = dt.datetime(2020, 1, 2, 12, tzinfo=dt.UTC)
TWICE = NOON.replace(tzinfo=Autumn())
EAST = dt.timezone(dt.timedelta(hours=2))


def keys_of(codec: str) -> Keys:
    if codec == "functions":
        return make_keys(make_codec((str.encode, bytes.decode)))
    if codec == "msgpack":
        pytest.importorskip("msgspec")
    return make_keys(make_codec(None if codec == "msgpack" else codec))


ALL = pytest.mark.parametrize("codec", ["msgpack", "functions", "pickle"])
PLAIN: list[Any] = [
    "", "é\0", 0, 1, -1, 127, 128, -128, -129, 255, 256, 2**63, -(2**63), b"", b"\xff", None, True,
    False, 1.5, -0.0, float("inf"), (), (1,), (1, True, 1.0), ("a", (b"b", (None, ()))), ("",) * 40,
]  # fmt: skip


@ALL
@pytest.mark.parametrize("key", PLAIN, ids=repr)
def test_plain_keys_come_back_as_themselves(codec: str, key: Any) -> None:
    keys = keys_of(codec)
    data = keys.encode(key)
    back = keys.decode(data)

    assert type(data) is bytes
    assert repr(back) == repr(key)
    assert type(back) is type(key)
    assert is_itself(key, back)


@pytest.mark.parametrize(
    ("codec", "keys"),
    [
        ("msgpack", [NOON]),
        ("functions", [ONE, (ONE, 1), 2**200, -(2**200)]),
        ("pickle", [ONE, 2**200, Colour.RED, Point(1, 2), Level.LOW, NOON.astimezone(EAST), Text(),
                    frozenset({1}), Decimal(1), "\ud800"]),
    ],
)  # fmt: skip
def test_some_codecs_know_more(codec: str, keys: list[Any]) -> None:
    for key in keys:
        back = keys_of(codec).decode(keys_of(codec).encode(key))
        assert is_itself(key, back)


@pytest.mark.parametrize(
    ("codec", "refused"),
    [
        ("msgpack", [ONE, Point(1, 2), (1, Point(1, 2)), frozenset({1}), Colour.RED, Level.LOW,
                     Name.ADA, NOON.date(), NOON.astimezone(EAST), Decimal(1), 2**64, "\ud800",
                     Text("a"), object(), [1], float("nan"), (float("nan"),), NOON.time()]),
        ("functions", [Point(1, 2), Colour.RED, Level.LOW, Name.ADA, Text("a"), object(), [1], NOON,
                       "\ud800", float("nan"), frozenset({1}), (1, Level.LOW), Decimal(1)]),
        ("pickle", [object(), float("nan"), lambda: 1]),
    ],
)  # fmt: skip
def test_what_would_be_another_key_is_refused(codec: str, refused: list[Any]) -> None:
    keys = keys_of(codec)

    for key in refused:
        with pytest.raises(TypeError, match=r"^key .* cannot be stored: .*Expected ") as raised:
            keys.encode(key)
        assert type(key).__name__ in str(raised.value)


def test_the_words_say_what_it_would_be_and_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"would come back as 'red' \(str\).*key\.value"):
        keys_of("msgpack").encode(Colour.RED)
    with pytest.raises(TypeError, match=r"OverflowError: .*Expected text, bytes"):
        keys_of("msgpack").encode(2**64)


def test_a_key_is_what_the_key_of_a_map_is() -> None:
    msgspec = pytest.importorskip("msgspec")
    keys = keys_of("msgpack")

    for key in ("a", 7, b"x", (1, ("b",)), None):
        made = b"\x81" + keys.encode(key) + msgspec.msgpack.encode([1])
        assert made == msgspec.msgpack.encode({key: [1]})
        assert msgspec.msgpack.decode(made) == {key: [1]}


@pytest.mark.parametrize("data", [b"", b"x", b"t1", b"u1", b"d1", b"(\0\0\0\2s", b"(\0"])
def test_what_is_no_key_raises(data: bytes) -> None:
    with pytest.raises(Undecodable, match="a key cannot be read"):
        keys_of("functions").decode(data)


def test_itself_is_of_the_same_types_all_the_way_down() -> None:
    assert is_itself((1, ("a", NOON)), (1, ("a", NOON)))
    for other in [(1.0,), (True,), [1], (1, 1), (), (2,), Point(1, 1)]:
        assert not is_itself((1,), other)
    assert not is_itself(NOON, NOON.astimezone(EAST))


# --- the hash

EQUAL: list[list[Any]] = [
    [1, 1.0, True, Decimal(1), Decimal("1.00"), Fraction(1), Level.LOW],
    [0, 0.0, -0.0, False, Decimal(0)],
    [-1, -1.0, Decimal(-1)],
    [-2, -2.0],
    [0.5, Decimal("0.5"), Fraction(1, 2), Share.HALF],
    [Decimal("0.1"), Fraction(1, 10)],
    [2**61, float(2**61)],
    [10**30, Decimal("1e30")],
    [float("inf"), Decimal("inf")],
    [float("-inf"), Decimal("-inf")],
    ["ada", Name.ADA, Text("ada")],
    [(1, 2), Point(1, 2), (1.0, True + True)],
    [frozenset({1, "a"}), frozenset({"a", True})],
    [frozenset("abcdefgh"), frozenset("hgfedcba")],
    [NOON, NOON.astimezone(EAST), NOON.replace(fold=1)],
    [TWICE, TWICE.replace(fold=1)],
    [NOON.replace(tzinfo=None), NOON.replace(tzinfo=None, fold=1)],
    [dt.time(12, tzinfo=dt.UTC), dt.time(14, tzinfo=EAST)],
    [dt.timedelta(days=1), dt.timedelta(hours=24)],
    [Mode.A | Mode.B, Mode.B | Mode.A],
]
OTHERS: list[Any] = [
    None, "", b"", (), "1", b"1", 2**200, 1e300, float("nan"), ONE, Colour.RED, NOON.date(),
    NOON.time(), dt.datetime.min.replace(tzinfo=EAST), frozenset(), "\ud800", ("a", ("b", None)),
    Mode(0), ("ab", "c"), ("a", "bc"), ("a", None), -3,
]  # fmt: skip
PINNED = {
    "": 453955339, "ada": 721391124, b"ada": 3260727022, 7: 3972848443, -1: 1103724155,
    1.5: 2031374117, None: 4108050209, ("a", 1): 370321335, ONE: 787669972,
}  # fmt: skip


@pytest.mark.parametrize("keys", EQUAL, ids=lambda keys: repr(keys[0]))
def test_keys_that_are_equal_have_one_hash(keys: list[Any]) -> None:
    for key in keys:
        assert key == keys[0]
        assert hash(key) == hash(keys[0])
    assert len(set(map(stable_hash, keys))) == 1
    assert len({stable_hash((key, "x")) for key in keys}) == 1


def test_keys_that_differ_differ() -> None:
    keys = [*(each[0] for each in EQUAL), *OTHERS]
    alike = [keys.index(-2), keys.index(2**61)]  # to hash() they are -1 and 1
    apart = [key for place, key in enumerate(keys) if place not in alike]

    assert len(set(map(canonical, apart))) == len(apart)
    assert all(0 <= stable_hash(key) < 1 << 32 for key in keys)


def test_a_hash_never_changes() -> None:
    assert {key: stable_hash(key) for key in PINNED} == PINNED


def test_every_process_has_the_same_hash() -> None:
    script = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"  # noqa: PTH120
        "from test_codec_keys import EQUAL, OTHERS, chain, stable_hash\n"
        "print([stable_hash(key) for key in [*chain(*EQUAL), *OTHERS]])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "4000000000")
    }  # fmt: skip

    assert said == {f"{[stable_hash(key) for key in [*chain(*EQUAL), *OTHERS]]}\n"}


def test_numbers_hash_alike_where_words_have_32_bits() -> None:
    edge = (1 << 61) - 1
    for key in [*range(-5, 5), edge, -edge, edge + 1, 2**200, 0.1, -1.5, 1e300, Decimal("-0.1"),
                Fraction(1, edge), Fraction(-3, 7), float("inf"), -float("inf"), True]:  # fmt: skip
        assert residue(key) == hash(key)


@pytest.mark.parametrize(
    "key", [object(), [1], {}, print, 1j, Folded("a"), (1, object()), {1}, int]
)
def test_what_has_no_hash_of_every_process_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="partition_key function"):
        stable_hash(key)


@pytest.mark.parametrize("modulus", [131, 521, 64])
@pytest.mark.parametrize(
    "make", [int, str, "user-{}".format, lambda n: n * 4096, lambda n: ("t", n)]
)
def test_keys_spread(make: Any, modulus: int) -> None:
    found = Counter(stable_hash(make(each)) % modulus for each in range(modulus * 100))

    assert len(found) == modulus
    assert max(found.values()) < 200


@pytest.mark.parametrize("codec", [None, "pickle", (repr, str)])
def test_many_keys_are_decoded_as_each_is(codec: Any) -> None:
    if codec is None:
        pytest.importorskip("msgspec")
    keys = make_keys(make_codec(codec))
    found = ["a", "", 1, -5, b"x", None, True, 2.5, (1, "x"), ((1,), None), *map(str, range(20))]
    data = [keys.encode(key) for key in found]

    assert keys.decode_all(data) == found
    assert [type(key) for key in keys.decode_all(data)] == [type(key) for key in found]
    assert keys.decode_all([]) == []


def test_plain_keys_are_decoded_without_being_parted_and_others_are_not() -> None:
    pytest.importorskip("msgspec")
    keys = make_keys(make_codec())

    def joined(*found: Any) -> Any:
        return keys.decode_joined(b"".join(map(keys.encode, found)), len(found))

    plain = ["a", "", 1, -5, b"x", None, True, *map(str, range(20))]
    assert joined(*plain) == plain
    assert list(map(type, joined(*plain))) == list(map(type, plain))
    assert joined() == []
    assert joined(1, (1, "x")) is None
    assert joined(1, 2.5) is None
    assert keys.decode_joined(b"\x01\x02\x03", 2) is None
    assert keys.decode_joined(b"\x01\xc1", 2) is None


@pytest.mark.parametrize("bad", [b"", b"\xc1", b"\xa1a\xa1b", b"\xa1a\xc0\x81\xa1b"])
def test_keys_that_do_not_decode_do_not_shift_others(bad: bytes) -> None:
    pytest.importorskip("msgspec")
    keys = make_keys(make_codec())
    with pytest.raises(Undecodable):
        keys.decode_all([keys.encode("a"), bad, keys.encode("b")])
