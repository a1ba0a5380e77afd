"""`JSONLines` and `ParquetFiles`, beside what is written by hand."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitioned_buffer.sinks import JSONLines, ParquetFiles

from ..speed.measure import Timed
from .subjects import Row, each_batch, rows

TITLE = "JSONLines and ParquetFiles: batches of 100 rows (and of 1000), a file each, synced"
FLOOR = "json.dumps, write and sync, a file per batch"

TYPES = {"id": "int64", "at": "float64", "who": "string", "text": "string"}

_numbers = itertools.count()


@contextmanager
def subjects(folder: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(5_000 if quick else 50_000)
    few = some[: len(some) // 20]
    yield {
        FLOOR: lambda: each_batch(some, _Written(_new(folder))),
        "json.dumps, write and sync, row by row": lambda: each_batch(few, _RowByRow(_new(folder))),
        "JSONLines": lambda: _sink(JSONLines(_new(folder)), some),
        "JSONLines, gone on with": lambda: _sink(JSONLines(_new(folder), max_bytes=1 << 24), some),
        "JSONLines, compressed": lambda: _sink(JSONLines(_new(folder), compress=True), some),
        "write_table, 1000": lambda: each_batch(some, _Tables(_new(folder)), 1000),
        "ParquetFiles, 1000": lambda: _sink(ParquetFiles(_new(folder), TYPES), some, 1000),
    }


def _new(folder: Path) -> Path:
    made = folder / str(next(_numbers))
    made.mkdir()
    return made


def _sink(sink: Any, items: list[Row], size: int = 100) -> float:
    with sink:
        return each_batch(items, sink, size)


class _Written:
    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()

    def __call__(self, batch: list[Row]) -> None:
        with (self._folder / f"{next(self._numbers)}.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in batch)
            file.flush()
            os.fsync(file.fileno())


class _RowByRow:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "rows.jsonl"

    def __call__(self, batch: list[Row]) -> None:
        for row in batch:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())


class _Tables:
    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self._schema = pa.schema(TYPES.items())

    def __call__(self, batch: list[Row]) -> None:
        table = pa.Table.from_pylist(batch, schema=self._schema)
        path = self._folder / f"{next(self._numbers)}.parquet"
        pq.write_table(table, path, compression="zstd")
        with path.open("rb") as file:
            os.fsync(file.fileno())
