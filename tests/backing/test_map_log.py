"""Ops of a Map's log become the bytes of a chunk, and come back from them."""

import struct
from typing import Any

import pytest
from maplogs import DELETE, KEPT, KNOWN, NEWER, PUT, SETTLED, Log

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from partitioned_buffer._core.backing.map.log import BURIED, OWN, VOID, Op, join, read, route
from partitioned_buffer.errors import Undecodable
from partitioned_buffer.storage.codec import make_codec

pytest.importorskip("msgspec")

CODECS: list[Any] = [make_codec(), make_codec("pickle")]
numbers = st.integers(-(2**63), 2**63 - 1)
versions = st.integers() | numbers | st.sampled_from([-(2**63), 1 - 2**63, 2**63 - 1, 2**63])
keys = st.binary(max_size=9)
none, zero = st.none(), st.just(0)


def op(kind: int, value: Any = none, version: Any = none, position: Any = zero) -> Any:
    return st.builds(Op, st.just(kind), numbers, keys, value, version, position)


ops = st.lists(
    st.one_of(
        op(PUT, st.just(b"\x01")),
        op(NEWER, st.just(b"\x02"), versions),
        op(DELETE),
        op(SETTLED, none, none | versions, numbers),
        op(BURIED, none, none, numbers),
        op(VOID, none, none, numbers),
        op(KNOWN, none, versions, st.integers(0, 1)),
        op(KEPT, st.just(b"\x03"), none | versions, numbers),
    ),
    min_size=1,
    max_size=20,
)


@given(ops=ops)
def test_ops_come_back_as_they_were(ops: list[Op]) -> None:
    codec = CODECS[0]
    columns = read(join(ops, codec), len(ops))

    assert list(columns.ops(codec.split(columns.values) if columns.valued else ())) == ops


@given(ops=ops, data=st.data())
def test_what_is_cut_or_changed_is_undecodable_or_reads(ops: list[Op], data: Any) -> None:
    whole = bytearray(join(ops, CODECS[1]))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        columns = read(bytes(whole), len(ops))
        list(columns.ops((None,) * columns.valued))
    except Undecodable:
        pass


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02" + bytes(12), b"\x01" + b"\xff" * 40])
def test_what_is_no_chunk_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        read(data, 1)


def test_another_number_of_ops_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="2 ops of a Map's log were expected: it has 1"):
        read(join([Op(DELETE, 0, b"a")], CODECS[0]), 2)


def test_an_op_of_an_unknown_kind_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="no known kind"):
        read(join([Op(9, 0, b"a")], CODECS[0]), 1)


def test_a_put_takes_few_bytes() -> None:
    data = join([Op(PUT, 0, b"key", b"\x01")] * 1000, CODECS[0])

    assert len(data) < 1000 * (1 + 8 + 4 + 3 + 1) + 20


# --- other partitions ----------------------------------------------------------------


def modulo(hashed: int, partitions: int) -> int:
    return hashed % partitions


def parted(*ops: Op, places: Any = None, codec: Any = CODECS[0]) -> dict[int, list[Op]]:
    pieces = route(
        join(ops, codec), range(len(ops)) if places is None else places, 3, modulo, codec
    )
    found = {}
    for slot, (count, data) in pieces.items():
        columns = read(data, count)
        records = codec.split(columns.values) if columns.valued else ()
        found[slot] = [Op(*op) for op in columns.ops(records)]
    return found


@pytest.mark.parametrize("codec", CODECS, ids=["msgpack", "pickle"])
def test_ops_go_where_their_hashes_say_in_their_order(codec: Any) -> None:
    one, two = codec.encode("one"), codec.encode("two")
    ops = [
        Op(KEPT, 4, b"a", one, None, OWN),
        Op(KNOWN, 5, b"b", None, 2**70, 1),
        Op(KEPT, 1, b"c", two, -3, OWN),
        Op(NEWER, -2, b"d", one, 7),
        Op(DELETE, 0, b"e"),
    ]

    assert parted(*ops, codec=codec) == {1: [ops[0], ops[2], ops[3]], 2: [ops[1]], 0: [ops[4]]}
    assert parted(*ops, places=[1, 2], codec=codec) == {2: [ops[1]], 1: [ops[2]]}
    assert parted(*ops, places=[], codec=codec) == {}


@pytest.mark.parametrize(
    "op",
    [Op(SETTLED, 0, b"a"), Op(BURIED, 0, b"a"), Op(VOID, 0, b"a"), Op(KEPT, 0, b"a", b"\x01")],
)
def test_what_refers_to_a_position_is_not_moved(op: Op) -> None:
    with pytest.raises(Undecodable, match="a snapshot has to be moved"):
        parted(op)


def test_a_chunk_of_a_log_is_read_on_any_machine() -> None:
    log = Log(CODECS[0])
    log.append(log.op(PUT, "a", 1), log.op(NEWER, "b", 2, 5), log.op(SETTLED, "a", 0, None))
    ((_, _, data),) = log.chunks

    assert data is not None
    assert data[:16] == struct.pack("<BIII", 1, 3, 0, 6) + bytes([PUT, NEWER, SETTLED])
    assert data.endswith(b"\xa1a\xa1b\xa1a" + b"\x92\x01\x02")
