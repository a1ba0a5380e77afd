"""
Processors that know their destination: what an outage is there, a bad row, a batch too large.

    SQLiteTable         rows of a table in a file
    PostgresTable       rows of a table on a server; extra [postgres]
    AsyncPostgresTable  ... from tasks
    HTTPEndpoint        requests, by any client; extra [http]
    AsyncHTTPEndpoint   ... from tasks; extra [http-asyncio]
    JSONLines           files of JSON, a line per item
    ParquetFiles        files of Parquet; extra [parquet]
                        both: in a folder, or in a bucket; extra [objects]
    RedisStream         entries of streams on a Redis or Valkey server; extra [redis]
    AsyncRedisStream    ... from tasks
    KafkaTopic          messages of a topic of Kafka; extra [kafka]
    BulkIndex           documents of an index; extra [elasticsearch] or [opensearch]
    AsyncBulkIndex      ... from tasks

Each is imported, with its client, when it is asked for. `abc.Sink` says how to write one,
`testing.sinks` tests it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bulk.index import AsyncBulkIndex, BulkIndex
    from .files.json_lines import JSONLines
    from .files.parquet import ParquetFiles
    from .http.endpoint import AsyncHTTPEndpoint, HTTPEndpoint
    from .kafka.topic import KafkaTopic
    from .postgres.table import AsyncPostgresTable, PostgresTable
    from .redis_stream import AsyncRedisStream, RedisStream
    from .sqlite import SQLiteTable

__all__ = [
    "AsyncBulkIndex",
    "AsyncHTTPEndpoint",
    "AsyncPostgresTable",
    "AsyncRedisStream",
    "BulkIndex",
    "HTTPEndpoint",
    "JSONLines",
    "KafkaTopic",
    "ParquetFiles",
    "PostgresTable",
    "RedisStream",
    "SQLiteTable",
]

_MODULES = {
    "AsyncBulkIndex": "bulk.index",
    "AsyncHTTPEndpoint": "http.endpoint",
    "AsyncPostgresTable": "postgres.table",
    "AsyncRedisStream": "redis_stream",
    "BulkIndex": "bulk.index",
    "HTTPEndpoint": "http.endpoint",
    "JSONLines": "files.json_lines",
    "KafkaTopic": "kafka.topic",
    "ParquetFiles": "files.parquet",
    "PostgresTable": "postgres.table",
    "RedisStream": "redis_stream",
    "SQLiteTable": "sqlite",
}


def __getattr__(name: str) -> Any:
    """Import a sink when it is asked for: nobody needs all of them."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    sink = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    sink.__module__ = __name__  # tracebacks, reprs and pickles name the public module
    globals()[name] = sink
    return sink
