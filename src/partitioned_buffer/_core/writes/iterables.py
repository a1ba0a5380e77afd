"""What may be given to a write of many: an iterable of items, and nothing that only looks so."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def listed(items: Iterable[T]) -> list[T]:
    """
    Return *items* in a list, which may be the very one given.

    Raises `TypeError` for what can be iterated over and is hardly meant so: text and bytes, a
    mapping, whose keys that would be, and a frame of data, whose columns' names.
    """
    if type(items) is list:
        return items
    kind = type(items).__name__
    if isinstance(items, str | bytes | bytearray):
        raise TypeError(
            f"push_all() got one {kind}: expected an iterable of items; push() takes a single one"
        )
    if isinstance(items, Mapping):
        raise TypeError(
            f"push_all() got one {kind}, of which it would push the keys alone: expected an "
            "iterable of items; push() takes a single one, and push_all(....items()) the pairs"
        )
    if _is_frame(items):
        raise TypeError(
            f"push_all() got a {kind}, of which it would push the columns, or their names: "
            "expected an iterable of items, as to_dict('records') of pandas, to_dicts() of polars "
            "or to_pylist() of pyarrow make one of its rows"
        )
    return list(items)


def _is_frame(items: object) -> bool:
    # By what pandas, polars, pyarrow and others have agreed on; and by what the first two have.
    return any(
        all(hasattr(items, name) for name in names)
        for names in (("__dataframe__",), ("columns", "dtypes"))
    )
