"""
Files of Parquet, one per batch.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ... import batch_id
from ...errors import InvalidOption
from ..base import Closing, expect, expect_flag, imported
from ..halving import bad_of, find_bad
from ..rows import Maker, Refused, RowOf, expect_columns
from .placing import name_of, place

_CUT = frozenset({float, Decimal})
"""What pyarrow makes whole numbers of without a word."""


class ParquetFiles(Closing):
    """
    Writes a file of Parquet for each batch.

    *path*: a folder, the URL of a bucket, `s3://bucket/prefix`, or a store of obstore's.

    *schema*: a `pyarrow.Schema`, or names and types, `{"id": "int64", "text": "string"}`: all files
    of a set have the same one.

    Files are called by the buffer, its store, the partition, and the position and size of the
    batch. So a batch that comes twice is the same file twice. They are written beside, with a dot
    before their name, and renamed when they are whole.

    *row*: a function that makes a dict or tuple of an item, or of a Map's entry.

    *compression*: what `pyarrow.parquet.write_table` takes.

    *fsync*: whether a call returns only when a power failure would not undo it.

    *timeout*: seconds that a bucket has to answer. A disk has as long as it takes.

    A row that is not of the schema is rejected with the reason, and the others are written. All
    else is an outage. A file for ten rows is a small one: a `processing_batch_size` of some
    thousand makes better ones. Raises `InvalidOption`.
    """

    def __init__(
        self,
        path: Any,
        schema: Any,
        *,
        row: RowOf | None = None,
        compression: str = "zstd",
        fsync: bool = True,
        timeout: float = 30.0,
    ) -> None:
        expect_flag("fsync", fsync)
        expect(isinstance(compression, str), "compression", compression, "the name of one")
        arrow = _load()
        self._schema = _schema_of(arrow, schema)
        expect(_is_codec(arrow, compression), "compression", compression, "one that pyarrow has")
        self._compression, self._place = compression, place(path, fsync=fsync, timeout=timeout)
        self._make_rows = Maker(expect_columns(self._schema.names), row)

    def __repr__(self) -> str:
        return f"ParquetFiles({self._place!r})"

    def __call__(self, batch: Any, /) -> None:
        """Write *batch*. Raises `Outage`, and `PartialFailure` for what is not of the schema."""
        made, bad, table = self._make_rows(batch), Refused(), None
        rows = made.rows
        try:
            table = self._table(rows) if rows else None
        except Exception as error:
            search = find_bad(len(rows), error)
            bad = bad_of(search, lambda part: self._refusal(rows[part.start : part.stop]))
            good = [row for number, row in enumerate(rows) if number not in bad]
            table = self._table(good) if good else None
        if table is not None:
            self._place.put(name_of(batch_id(), ".parquet"), self._written(table))
        if failure := made.rejected(bad):
            raise failure

    def _refusal(self, rows: Sequence[Any]) -> BaseException | None:
        """Return why there can be no table of *rows*."""
        try:
            self._table(rows)
        except Exception as error:
            return error
        return None

    def _table(self, rows: Sequence[Any]) -> Any:
        arrow = _load()
        arrays: list[Any] = []
        for field, values in zip(self._schema, zip(*rows, strict=True), strict=True):
            if arrow.types.is_integer(field.type) and not _CUT.isdisjoint(map(type, values)):
                raise TypeError(f"{field.name} is no whole number: expected {field.type}")
            array = arrow.array(values, type=field.type)
            if array.null_count and not field.nullable:
                raise ValueError(f"{field.name} is null: expected {field.type}")
            arrays.append(array)
        return arrow.Table.from_arrays(arrays, schema=self._schema)

    def _written(self, table: Any) -> bytes:
        sink = _load().BufferOutputStream()
        _load().parquet.write_table(table, sink, compression=self._compression)
        data: bytes = sink.getvalue().to_pybytes()
        return data


def _load() -> Any:
    return imported("ParquetFiles", "parquet", "pyarrow", "pyarrow.parquet")


def _schema_of(arrow: Any, schema: Any) -> Any:
    words = "a pyarrow.Schema, or the names of columns and their types"
    try:
        made = arrow.schema(schema.items() if isinstance(schema, Mapping) else schema)
    except Exception as error:
        raise InvalidOption(f"schema={schema!r}: expected {words} ({error})") from error
    expect(len(made) > 0, "schema", schema, words)
    return made


def _is_codec(arrow: Any, name: str) -> bool:
    try:
        return name == "none" or bool(arrow.Codec.is_available(name))
    except Exception:
        return False
