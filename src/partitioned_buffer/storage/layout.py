"""
What stands around the data of a codec in a chunk: the routing hashes of its items, or none.

    0 | the codec's data            no hashes
    1 | 8 bytes for each item, little-endian and signed, -1 is none | the codec's data
"""

from ..errors import Undecodable

_HASH = 8


def codec_data(data: bytes, count: int) -> bytes:
    """Return the codec's part of a chunk of *count* items; raise `Undecodable`."""
    if data[:1] == b"\0":
        return data[1:]
    if data[:1] == b"\1" and len(data) > _HASH * count:
        return data[1 + _HASH * count :]
    raise Undecodable(
        f"a chunk of {count} items begins with {data[:1].hex() or 'nothing'}, and has {len(data)} "
        "bytes: expected 00, or 01 and 8 bytes for each item"
    )
