"""Files of Parquet, in a folder and in a bucket; and of JSON in a bucket. The bucket is moto's."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from folders import in_the_way
from relays import Relay

from partitioned_buffer import InvalidOption, Outage, PartialFailure
from partitioned_buffer.sinks import JSONLines, ParquetFiles
from partitioned_buffer.testing.contract.sinks.using import Use
from partitioned_buffer.testing.sinks import SinkContract

if os.environ.get("SERVERS") != "required":
    for needed in ("pyarrow.parquet", "obstore", "moto.server"):
        pytest.importorskip(needed)

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

SCHEMA = {"id": "int64", "text": "string"}


class Folder(SinkContract):
    cannot = {  # noqa: RUF012
        "too_large": "a disk takes files of any size",
        "throttled": "a disk does not say when to come back",
        "silence": "a disk takes as long as it takes",
        "versions": "files are not written over",
    }
    reason = "Expected bytes, got a 'list' object"
    wrong_options: ClassVar[Any] = (
        {"path": ""},
        {"schema": {}},
        {"schema": {"id": "number"}},
        {"schema": 3},
        {"row": 3},
        {"compression": "none of them"},
        {"fsync": "os"},
        {"timeout": 0},
    )

    def make(self, tmp_path: Path, **options: Any) -> Any:
        given: dict[str, Any] = {"path": self.where(tmp_path), "schema": SCHEMA}
        return ParquetFiles(**given | options)

    def make_for_map(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, row=lambda entry: entry.value)

    def where(self, tmp_path: Path) -> Any:
        return tmp_path / "rows"

    def files(self, tmp_path: Path) -> list[bytes]:
        return [path.read_bytes() for path in sorted((tmp_path / "rows").iterdir())]

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        tables = [pq.read_table(pa.BufferReader(data)) for data in self.files(tmp_path)]
        return [(row["id"], row["text"]) for table in tables for row in table.to_pylist()]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": ["no text"]}

    def outage(self, tmp_path: Path) -> AbstractContextManager[None]:
        return in_the_way(tmp_path / "rows")


class TestParquetInAFolder(Folder):
    pass


# --- in a bucket ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moto() -> Iterator[ThreadedMotoServer]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def relay(moto: ThreadedMotoServer) -> Iterator[Relay]:
    relay = Relay(moto.get_host_and_port()[1])
    yield relay
    relay.close()


def bucket(port: int, name: str = "rows", **limits: str) -> S3Store:
    options: Any = {"allow_http": True, "timeout": "20s"} | limits
    return S3Store(
        name,
        endpoint=f"http://127.0.0.1:{port}",
        access_key_id="testing",
        secret_access_key="testing",
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options=options,
        retry_config={"max_retries": 0},
    )


@pytest.fixture
def made(moto: ThreadedMotoServer) -> Iterator[S3Store]:
    port = moto.get_host_and_port()[1]
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="rows")
    store = bucket(port)
    yield store
    store.delete([each["path"] for page in store.list() for each in page])
    client.delete_bucket(Bucket="rows")
    client.close()


class Bucket(Folder):
    cannot = {  # noqa: RUF012
        "too_large": "a bucket takes files of any size",
        "throttled": "its client does not tell when to come back",
        "versions": "files are not written over",
    }

    @pytest.fixture(autouse=True)
    def _there(self, made: S3Store, relay: Relay) -> None:
        self.store, self.relay = made, relay

    def where(self, tmp_path: Path) -> Any:
        return bucket(self.relay.port)

    def make_hasty(self, tmp_path: Path) -> Any:
        return self.make(tmp_path, path=bucket(self.relay.port, timeout="500ms"))

    def files(self, tmp_path: Path) -> list[bytes]:
        found = sorted(each["path"] for page in self.store.list() for each in page)
        return [bytes(self.store.get(path).bytes()) for path in found]

    def outage(self, tmp_path: Path) -> AbstractContextManager[None]:
        return self.relay.sent_away()

    def silence(self, tmp_path: Path) -> AbstractContextManager[None]:
        return self.relay.falling_silent()


class TestParquetInABucket(Bucket):
    pass


class TestJSONInABucket(Bucket):
    reason = "not JSON serializable"
    wrong_options = ({"path": "nowhere://rows"}, {"timeout": None})

    def make(self, tmp_path: Path, **options: Any) -> Any:
        return JSONLines(**{"path": self.where(tmp_path)} | options)

    def found(self, tmp_path: Path) -> list[tuple[int, str]]:
        items = [json.loads(line) for data in self.files(tmp_path) for line in data.splitlines()]
        return [tuple(i.values()) if isinstance(i, dict) else (i[0], i[1]) for i in items]

    def bad_item(self, number: int) -> Any:
        return {"id": number, "text": object()}


def given(sink: Any, *items: Any, **where: Any) -> BaseException | None:
    with Use(sink) as use:
        return use.give(list(items), **where)


def test_a_url_is_opened_with_what_the_environment_says(
    moto: ThreadedMotoServer, made: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = moto.get_host_and_port()[1]
    for name, value in {
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    }.items():
        monkeypatch.setenv(name, value)
    assert given(JSONLines("s3://rows/of/today"), {"id": 1}) is None

    (path,) = [each["path"] for page in made.list() for each in page]
    assert path == "of/today/contract-contract-000-000000000000000-1.jsonl"
    assert bytes(made.get(path).bytes()) == b'{"id":1}\n'


def test_a_bucket_cannot_be_gone_on_with() -> None:
    with pytest.raises(InvalidOption, match="with max_bytes or max_age, a folder"):
        JSONLines("memory:///", max_bytes=5)


def test_a_bucket_that_is_not_there_is_an_outage(moto: ThreadedMotoServer, made: S3Store) -> None:
    error = given(JSONLines(bucket(moto.get_host_and_port()[1], "other")), 1)
    assert isinstance(error, Outage)
    assert "NoSuchBucket" in str(error)


# --- Parquet --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ((1.5, "x"), "id is no whole number"),
        ((Decimal("1.5"), "x"), "id is no whole number"),
        (("1", "x"), "tried to convert to int64"),
        ((1 << 70, "x"), "too large"),
        ((None, "x"), "id is null"),
        ((1, "\ud800"), "surrogates"),
        ((1,), "expected 2 values"),
        ({"id": 1}, "has no text"),
    ],
)
def test_what_is_not_of_the_schema_is_rejected_alone(bad: Any, why: str, tmp_path: Path) -> None:
    schema = pa.schema([pa.field("id", "int64", nullable=False), pa.field("text", "string")])
    error = given(ParquetFiles(tmp_path, schema), (1, None), bad, (3, "three"))

    assert isinstance(error, PartialFailure)
    assert isinstance(error.reject, dict)
    assert why in str(error.reject[1])
    table = pq.read_table(tmp_path)
    assert table.to_pylist() == [{"id": 1, "text": None}, {"id": 3, "text": "three"}]
    assert table.schema.equals(schema)


def test_files_of_one_set_are_read_as_one(tmp_path: Path) -> None:
    with Use(ParquetFiles(tmp_path, SCHEMA, compression="none")) as use:
        for number in range(0, 9, 3):
            batch = [(number + n, None) for n in range(3)]
            assert use.give(batch, position=number) is None
    assert len(list(tmp_path.iterdir())) == 3
    assert pq.read_table(tmp_path).column("id").to_pylist() == list(range(9))


def test_a_schema_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"schema=.*No type alias for number"):
        ParquetFiles(tmp_path, {"id": "number"})
