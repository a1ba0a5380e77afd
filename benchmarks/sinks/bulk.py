"""`BulkIndex`, beside what is written by hand; on a server that only counts, in another process."""

import atexit
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from opensearchpy import OpenSearch

from partitioned_buffer.sinks import BulkIndex

from ..speed.measure import Timed
from .subjects import Row, each_batch, rows

TITLE = "BulkIndex: batches of 100 documents, over loopback, to a server that only counts them"
FLOOR = "Elasticsearch: bulk(operations=…), a request per batch"


@contextmanager
def subjects(_: Path, quick: bool) -> Iterator[dict[str, Timed]]:
    some = rows(5_000 if quick else 50_000)
    few = some[: len(some) // 50]
    url = _started()
    elastic, opensearch = Elasticsearch(url), OpenSearch(url)
    yield {
        FLOOR: lambda: each_batch(some, _batches(elastic.bulk, "operations")),
        "Elasticsearch: index(), one by one": lambda: each_batch(few, _one_by_one(elastic.index)),
        "Elasticsearch: BulkIndex": lambda: each_batch(some, BulkIndex(elastic, "rows", id="id")),
        "OpenSearch: bulk(body=…), a request per batch": lambda: each_batch(
            some, _batches(opensearch.bulk, "body")
        ),
        "OpenSearch: BulkIndex": lambda: each_batch(some, BulkIndex(opensearch, "rows", id="id")),
    }


def _batches(bulk: Any, name: str) -> Callable[[list[Row]], None]:
    def index(batch: list[Row]) -> None:
        lines = list[Any]()
        for row in batch:
            lines += ({"index": {"_index": "rows", "_id": str(row["id"])}}, row)
        if bulk(**{name: lines})["errors"]:
            raise RuntimeError("some were refused")

    return index


def _one_by_one(index: Any) -> Callable[[list[Row]], None]:
    def index_each(batch: list[Row]) -> None:
        for row in batch:
            index(index="rows", id=str(row["id"]), document=row)

    return index_each


def _started() -> str:
    path = Path(__file__).with_name("bulk_server.py")
    server = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    assert server.stdout is not None
    return f"http://127.0.0.1:{server.stdout.readline().strip()}"
